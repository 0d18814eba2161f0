"""Files of a data set that are fetched once, kept in the cache folder, and checked each time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from timeloom.datasets import files

Contents = dict[str, bytes]


def contents(
    title: str,
    path: str | os.PathLike[str],
    pins: Mapping[str, str],
    source: str,
    fetch: Callable[[], Contents],
) -> Contents:
    """Returns the files of a data set, from the cache or else from their source, in which case they are kept.

    Args:
        title: the data set's name, for messages.
        path: a folder: a name in the cache folder, or an absolute path. Files in the cache folder that are
            not those expected count as damaged and are replaced; those anywhere else are never touched.
        pins: SHA-256, hexadecimal, by name of the file.
        source: where `fetch` looks, for messages.
        fetch: returns the files by name, or raises OSError or ValueError.

    Raises:
        ValueError: `path` is empty, no path, or a folder outside the cache folder with other files.
        OSError: neither the cache nor the source has the files; the message says why.
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ValueError(f"path: expected the name of a folder, got {path!r}")
    # Without "..": a folder that does not exist yet would hide the file that the path leads to.
    folder = Path(os.path.normpath(files.cache_folder() / os.fspath(path)))
    tried = []
    try:
        return _checked({name: _read(folder / name) for name in pins}, pins)
    except (OSError, ValueError) as error:
        there = [name for name in pins if (folder / name).exists()]
        if there and files.cache_folder().resolve() not in folder.resolve().parents:
            raise ValueError(
                f"path: expected {title} or no files yet, got {folder / there[0]}: {error}"
            ) from error
        tried.append(f"cache {folder}: {error}")
        if there:
            files.say(f"{title} is not to be had from the {tried[-1]}")
    files.say(f"downloading {title} from the {source}")
    try:
        found = _checked(fetch(), pins)
    except (OSError, ValueError) as error:
        tried.append(f"{source}: {str(error) or type(error).__name__}")
        reasons = "".join(f"\n  {index}. {reason}" for index, reason in enumerate(tried, 1))
        raise OSError(f"{title}: expected it in one of these, neither had it:{reasons}") from error
    try:
        for name, content in found.items():
            with files.written_atomically(folder / name) as part:
                part.write_bytes(content)
    except OSError as error:
        files.say(f"cannot keep {title} in {folder} ({error}); the next call fetches it again")
    else:
        files.say(f"{title} is now in {folder}")
    return found


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise FileNotFoundError(f"{file.name}: no such file")
    with file.open("rb") as stream:
        return stream.read(files.LARGEST_DOWNLOAD + 1)


def _checked(found: Contents, pins: Mapping[str, str]) -> Contents:
    for name, expected in pins.items():
        got = hashlib.sha256(found[name]).hexdigest()
        if got != expected:
            raise ValueError(f"{name}: expected SHA-256 {expected}, got {got}")
    return found
