"""One-hot codes of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import arguments
from timeloom.data import _ragged

_TYPES = ("float32", "float64", "uint8")


def one_hot(codes: npt.ArrayLike, classes: int, dtype: npt.DTypeLike = "float32") -> npt.NDArray[Any]:
    """Turns integer codes into one-hot vectors: characters or words as inputs of a recurrent layer.

    Equations:
        result[..., c] = 1 if codes[...] == c else 0

    Args:
        codes: integers from 0 to classes - 1, of any shape.
        classes: number of classes, a positive integer.
        dtype: float32, float64 or uint8. Default: float32.

    Returns:
        Array of the shape of `codes` followed by `classes`, of type `dtype`.

    Raises:
        ValueError: a code is no class, `codes` are no integers, or another argument is not as above.
        MemoryError: the result does not fit into memory.

    Example:
        >>> one_hot([0, 2], 3)
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    classes = arguments.positive_integer("classes", classes)
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = np.dtype(object)
    if target.name not in _TYPES or not target.isnative:
        raise ValueError(f"dtype: expected float32, float64 or uint8, got {dtype!r}")
    try:
        array = np.asarray(codes)
    except ValueError:
        raise ValueError("codes: expected an array of integers, got lists of unequal lengths") from None
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"codes: expected integers, got an array of {array.dtype}")
    if array.dtype == np.uint64 and array.size and int(array.max()) >= classes:
        raise ValueError(f"codes: expected integers from 0 to {classes - 1}, got {array.max()}")
    # The three types that the loop reads; what is converted is the smaller of the two arrays.
    read_as = array.dtype if array.dtype in (np.uint8, np.intc, np.int64) else np.dtype(np.int64)
    flat = np.ascontiguousarray(array.reshape(-1), read_as)
    try:
        out = np.zeros((flat.size, classes), target)
    except (MemoryError, ValueError):
        sizes = " x ".join(map(str, (*array.shape, classes)))
        raise MemoryError(
            f"classes: expected a result that fits into memory, got {sizes} of {target}"
        ) from None
    refused = _ragged.mark_classes(flat, out)
    if refused >= 0:
        raise ValueError(f"codes: expected integers from 0 to {classes - 1}, got {flat[refused]}")
    return out.reshape(*array.shape, classes)
