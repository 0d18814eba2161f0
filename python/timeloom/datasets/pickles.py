"""Pickles of plain arrays, read without trusting them."""

from __future__ import annotations

import pickle
from typing import Any, Protocol

import numpy as np

_ARRAY_TYPE = object()  # stands for numpy.ndarray in the file; as a plain object it cannot be called
# What a pickle of an array calls first; NumPy 1 and 2 name it differently.
_empty_array: Any = np.empty(0).__reduce__()[0]


def _array(subtype: object, *_: object) -> Any:
    """An empty array: its type, shape and values follow in the file."""
    if subtype is not _ARRAY_TYPE:
        raise pickle.UnpicklingError("pickle: expected plain NumPy arrays, got another class of array")
    return _empty_array(np.ndarray, (0,), b"b")


def _dtype(code: object, *_: object) -> np.dtype[Any]:
    """A type of numbers; its byte order follows in the file."""
    dtype = np.dtype(code) if isinstance(code, str) else np.dtype(object)
    if dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"pickle: expected arrays of numbers, got dtype {code!r}")
    return np.dtype(dtype.str, copy=True)  # a copy: the file's state would be set on NumPy's own int32


def _encode(text: object, encoding: object) -> bytes:
    """The bytes of an array in protocols 0 to 2, which know text only."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"pickle: expected bytes of arrays in latin1, got {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): _ARRAY_TYPE,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
}


class SupportsRead(Protocol):
    """An open binary file, also a compressed one."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


class ArrayUnpickler(pickle.Unpickler):
    """Reads nested tuples, lists and dictionaries of NumPy arrays of numbers, and refuses all else.

    A pickle names functions to be called while it is read. Here every name but those that an array of numbers
    needs raises, before anything was called.

    Args:
        file: open binary file.

    Raises:
        pickle.UnpicklingError: from `load()`, naming what the file asked for.

    Example:
        >>> import io
        >>> ArrayUnpickler(io.BytesIO(pickle.dumps((np.arange(3), "label")))).load()
        (array([0, 1, 2]), 'label')
        >>> ArrayUnpickler(io.BytesIO(pickle.dumps(print))).load()
        Traceback (most recent call last):
        _pickle.UnpicklingError: pickle: expected NumPy arrays of numbers only, got builtins.print
    """

    def __init__(self, file: SupportsRead) -> None:
        # latin1 maps the bytes of a Python 2 string, which older NumPy arrays are stored in, one to one.
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a name in the file; pickle calls it.

        Raises:
            pickle.UnpicklingError: The name is none that an array of numbers needs.
        """
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"pickle: expected NumPy arrays of numbers only, got {module}.{name}"
            ) from None
