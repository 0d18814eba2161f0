import hashlib

import pytest

from timeloom.datasets import cached, files

FILES = {"a.txt": b"alpha", "b.txt": b"beta"}
PINS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def load(path="things", fetch=lambda: dict(FILES)):
    return cached.contents("Things", path, PINS, "shop", fetch)


def closed():
    raise OSError("closed today")


def test_contents_from_the_source_then_from_the_cache(home, capsys):
    assert load() == FILES
    said = capsys.readouterr().err
    assert "downloading Things from the shop" in said
    assert f"Things is now in {home / 'datasets' / 'things'}" in said
    assert load(fetch=closed) == FILES
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", [b"", b"alph", b"alpha!", None])
def test_contents_replaces_what_is_damaged(home, capsys, damage):
    load()
    file = home / "datasets" / "things" / "a.txt"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert load() == FILES
    assert "not to be had from the cache" in capsys.readouterr().err
    assert load(fetch=closed) == FILES


@pytest.mark.parametrize("fetch", [closed, lambda: {**FILES, "b.txt": b"other"}])
def test_contents_says_what_it_tried(home, fetch):
    with pytest.raises(OSError, match="Things: expected it in one of these, neither had it") as caught:
        load(fetch=fetch)
    lines = str(caught.value).splitlines()
    assert "a.txt: no such file" in lines[1]
    assert "2. shop: " in lines[2]
    assert "closed today" in lines[2] or f"b.txt: expected SHA-256 {PINS['b.txt']}" in lines[2]
    assert not (home / "datasets").exists()


@pytest.mark.parametrize("relative", [False, True])
def test_contents_never_replaces_a_file_outside_the_cache(home, tmp_path, relative):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.txt").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"path: expected Things or no files yet, got .*a\.txt"):
        load("../../own" if relative else tmp_path / "own")
    assert (tmp_path / "own" / "a.txt").read_bytes() == b"mine"


def test_contents_takes_an_absolute_folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    assert load(tmp_path, closed) == FILES


def test_contents_without_a_writable_cache(home, capsys):
    home.write_text("a file where the folder should be")
    assert load() == FILES
    assert "cannot keep Things in" in capsys.readouterr().err


def test_contents_reads_no_more_than_the_limit(home, monkeypatch):
    load()
    monkeypatch.setattr(files, "LARGEST_DOWNLOAD", 2)
    with pytest.raises(OSError, match=r"a\.txt: expected SHA-256"):
        load(fetch=closed)


@pytest.mark.parametrize("path", ["", None, 3])
def test_contents_refuses_a_path(path):
    with pytest.raises(ValueError, match="path: expected the name of a folder"):
        load(path)
