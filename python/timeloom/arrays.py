"""Turns what users hand in into arrays that the kernels take: real numbers, one dtype, C order.

Here belongs the one rule of which data is legal, for inputs, targets, weights and labels alike.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["class_labels", "is_integral", "real_array", "shape_text"]


def real_array(name: str, value: Any, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Returns value as an aligned C-ordered array, without a copy where it is one already.

    Args:
        name: The argument's name, for messages.
        value: Array of any real dtype, layout and byte order, Variable, or (nested) list of numbers.
        dtype: The dtype to cast to. Default None: as it comes.

    Raises:
        TypeError: If the elements are no real numbers: strings, objects, complex. If a tape records and this
            would cut a gradient.
        ValueError: If value holds lists of unequal lengths.

    Example:
        >>> real_array("x", [[1, 2], [3, 4]], "float32")
        array([[1., 2.],
               [3., 4.]], dtype=float32)
        >>> real_array("x", ["a"])
        Traceback (most recent call last):
            ...
        TypeError: x: expected real numbers, got dtype <U1
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"{name}: expected an array, got lists of unequal lengths: timeloom.utils.pad_sequences pads them"
        ) from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    wanted = array.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    flags = array.flags
    if array.dtype == wanted and flags.c_contiguous and flags.aligned and type(array) is np.ndarray:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return np.require(array, wanted, ["C", "A"])


def is_integral(array: NDArray[Any]) -> bool:
    """Whether every element is a whole number, whatever the dtype."""
    return array.dtype.kind in "iub" or bool(np.all(np.isfinite(array) & (array == np.floor(array))))


def class_labels(name: str, value: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Returns labels as int64, each checked to name one of the classes.

    Raises:
        ValueError: If an element is not a whole number in [0, classes).

    Example:
        >>> class_labels("y", np.array([0.0, 2.0]), 3)
        array([0, 2])
        >>> class_labels("y", np.array([0, 3]), 3)
        Traceback (most recent call last):
            ...
        ValueError: y: expected labels in [0, 2], got 3
    """
    if not is_integral(value):
        raise ValueError(f"{name}: expected whole numbers as labels, got fractions, NaN or infinity")
    if value.size:
        for extreme in (value.min(), value.max()):
            if not 0 <= extreme < classes:
                raise ValueError(f"{name}: expected labels in [0, {classes - 1}], got {int(extreme)}")
    return value.astype(np.int64, copy=False)


def shape_text(shape: Sequence[int | None]) -> str:
    """Writes a shape for a message or a table: ``(None, 28)``."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
