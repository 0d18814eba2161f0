"""Checks of the arguments of ops, in the words ``argument: expected ..., got ...``."""

from __future__ import annotations

from typing import Any

import numpy as np

from timeloom.autograd import value
from timeloom.autograd.recording import Array

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def real(
    name: str, operand: Any, ndim: int | None = None, shape: tuple[int | None, ...] | None = None
) -> Array:
    """The array of an operand: float32 or float64, of ``ndim`` axes or of ``shape`` (None: any length)."""
    array: Array = value(operand)
    if type(array) is not np.ndarray:
        if isinstance(array, np.floating):
            array = np.asarray(array)
        elif not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: expected an array of float32 or float64, got {type(array).__name__}")
    dtype = array.dtype
    # Native dtypes are single objects; comparing others takes longer than a small kernel.
    if dtype is not _FLOAT32 and dtype is not _FLOAT64 and dtype not in (_FLOAT32, _FLOAT64):
        raise TypeError(f"{name}: expected dtype float32 or float64, got {dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes, got {array.ndim} (shape {array.shape})")
    if shape is not None and array.shape != shape:
        lengths = zip(shape, array.shape, strict=False)
        if array.ndim != len(shape) or any(n is not None and n != m for n, m in lengths):
            words = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(f"{name}: expected shape ({words}), got {array.shape}")
    return array


def same_dtype(name: str, array: Array, other_name: str, other: Array) -> None:
    """Refuse mixed precision, which would hide a conversion in every step."""
    if array.dtype is not other.dtype and array.dtype != other.dtype:
        raise TypeError(f"{name}: expected dtype {other.dtype} as {other_name} has, got {array.dtype}")


def contiguous(array: Any) -> Any:
    """An array in C order and aligned, as the kernels take it: a copy only if it is not, None for None.

    What is no array stays what it is, for the kernels to refuse; NumPy's scalars become arrays.
    """
    if isinstance(array, np.ndarray):
        flags = array.flags
        return array if flags.c_contiguous and flags.aligned else np.array(array, order="C", subok=False)
    return np.asarray(array) if isinstance(array, np.floating) else array


def plain(name: str, operand: Any) -> Array:
    """An operand that no gradient passes through as an array; a traced one refuses."""
    try:
        return np.asarray(operand)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got lists of unequal lengths") from error


def integers(name: str, operand: Any) -> Array:
    """An array of integers."""
    array = plain(name, operand)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got dtype {array.dtype}")
    return array


def last_axis(axis: int, ndim: int) -> None:
    """Refuse an ``axis`` that is not the last."""
    if axis not in (-1, ndim - 1):
        raise NotImplementedError(
            f"axis: expected -1, the last axis, got {axis}, which is not implemented yet"
        )
