"""Rows: sequences in Python lists and arrays, read into arrays of one type.

Here belong the checks that padding and packing share: what a sequence is, which numbers a type holds, and
the words of a refusal. Here belong no padding and no order of batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from timeloom.data import _ragged


def checked_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        target = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype: expected a NumPy dtype or its name, got {dtype!r}") from None
    if target.kind in "US" and target.itemsize == 0:
        raise ValueError(
            f"dtype: expected `object`, or a sized text type such as '<U10', for text, got {dtype!r}"
        )
    if target.kind == "V":
        raise ValueError(f"dtype: expected a type of numbers, text or object, got {dtype!r}")
    return target


def is_sequence(candidate: object) -> bool:
    if isinstance(candidate, (str, bytes, Mapping, Set)):
        return False
    if isinstance(candidate, np.ndarray):
        return candidate.ndim > 0
    return hasattr(candidate, "__len__") and hasattr(candidate, "__getitem__")


def checked_rows(sequences: Sequence[Any] | npt.NDArray[Any]) -> list[Any]:
    """The sequences as a list of lists, tuples and arrays of numbers or text."""
    if not is_sequence(sequences):
        raise ValueError(f"sequences: expected a list of sequences, got {short(sequences)}")
    rows = list(sequences)
    if {type(row) for row in rows} <= {list, tuple}:
        return rows
    for index, row in enumerate(rows):
        kind = type(row)
        if kind is np.ndarray and row.ndim > 0:
            if row.dtype.kind == "O":
                rows[index] = row.tolist()
        elif kind is not list and kind is not tuple:
            if not is_sequence(row):
                raise ValueError(f"sequences[{index}]: expected a list or an array, got {short(row)}")
            rows[index] = np.asarray(row) if isinstance(row, np.ndarray) else list(row)
    return rows


def depth_of_lists(rows: list[Any]) -> tuple[int, int]:
    """How deep lists nest below a step (0 numbers, 1 feature vectors, 2 anything else), and the features."""
    first = next((row[0] for row in rows if row), 0)
    if type(first) is not list and type(first) is not tuple:
        return (2 if np.ndim(first) else 0), 0
    if first and (isinstance(first[0], (list, tuple)) or np.ndim(first[0])):
        return 2, 0
    return 1, len(first)


def written_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that `_ragged.fill_from_lists` writes for `dtype`: native integers, float32 or float64."""
    others = {"?": np.float64, "e": np.float32, "g": np.float64}
    return np.dtype(others[dtype.char]) if dtype.char in others else dtype.newbyteorder("=")


def flattened(out: npt.NDArray[Any], axes: int) -> npt.NDArray[Any]:
    """`out` as [positions, features], the first `axes` axes being the positions: a view."""
    return out.reshape(math.prod(out.shape[:axes]), math.prod(out.shape[axes:]))


def as_bytes(out: npt.NDArray[Any], axes: int) -> npt.NDArray[np.uint8]:
    """`out` as [positions, bytes of a step]: a view."""
    width = math.prod(out.shape[axes:]) * out.itemsize
    return out.reshape(-1).view(np.uint8).reshape(math.prod(out.shape[:axes]), width)


def fill_from_lists(
    rows: list[Any],
    lengths: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    steps: int,
    out: npt.NDArray[Any],
    nested: bool,
    cut_before: bool,
) -> None:
    """Copies lists of numbers to `out` [positions, features], or says which item is none."""
    problem = _ragged.fill_from_lists(rows, lengths, starts, steps, out, nested, cut_before)
    if problem is None:
        return
    reason, row, step, feature = problem
    place = f"sequences[{row}][{step}]"
    if reason == "changed":
        raise ValueError(f"sequences[{row}]: expected a list that keeps its length while it is read")
    item = rows[row][step]
    if reason == "features":
        raise ValueError(
            f"{place}: expected {out.shape[1]} features as in the first timestep, got {short(item)}"
        )
    if nested:
        place, item = f"{place}[{feature}]", item[feature]
    refuse(place, reason, item, out.dtype)


def joined(rows: list[Any], target: np.dtype[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """All sequences one behind the other in an array of type `target`, and their lengths."""
    if set(map(type, rows)) == {np.ndarray} and rows[0].dtype.kind in "biuf":
        # The case worth its speed: NumPy itself checks that types and feature axes agree, and one cast does.
        try:
            flat = np.concatenate(rows, dtype=rows[0].dtype, casting="no")
        except (TypeError, ValueError):
            pass
        else:
            if _fits(flat, target):
                return flat.astype(target, copy=False), np.fromiter(map(len, rows), np.intp, len(rows))
    arrays = [row if isinstance(row, np.ndarray) else _as_array(row, index) for index, row in enumerate(rows)]
    lengths = np.fromiter(map(len, arrays), np.intp, len(arrays))
    filled = np.flatnonzero(lengths)
    step_shape = arrays[filled[0]].shape[1:] if filled.size else ()
    parts = [np.empty((0, *step_shape), target)]
    for index in filled.tolist():
        array = arrays[index]
        check_step_shape(array, step_shape, index)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"sequences[{index}]: expected numbers, got an array of {array.dtype}")
        parts.append(cast(array, target, f"sequences[{index}]"))
    return np.concatenate(parts, dtype=target), lengths


def _as_array(row: Sequence[Any], index: int) -> npt.NDArray[Any]:
    try:
        return np.asarray(row)
    except (TypeError, ValueError):
        raise ValueError(f"sequences[{index}]: expected timesteps of one shape, got {short(row)}") from None


def _fits(array: npt.NDArray[Any], target: np.dtype[Any]) -> bool:
    """Whether `target` holds every number of `array` (fractions may be cut off)."""
    if target.kind == "b" or array.size == 0 or np.can_cast(array.dtype, target, "safe"):
        return True
    if target.kind == "f":
        with np.errstate(over="ignore"):
            return bool((np.isfinite(array.astype(target)) == np.isfinite(array)).all())
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        return False
    limits = np.iinfo(target)
    return limits.min <= int(low) and int(high) <= limits.max


def cast(array: npt.NDArray[Any], target: np.dtype[Any], place: str) -> npt.NDArray[Any]:
    if array.dtype == target:
        return array
    if not _fits(array, target):
        bad = next(item for item in array.flat if not _fits(np.asarray(item), target))
        refuse(place, "range", bad, target)
    return array.astype(target)


def check_step_shape(array: npt.NDArray[Any], step_shape: tuple[int, ...], index: int) -> None:
    if array.shape[1:] != step_shape:
        raise ValueError(
            f"sequences[{index}]: expected timesteps of shape {step_shape} as in the first sequence, "
            f"got {array.shape[1:]}"
        )


def refuse(place: str, reason: str, item: Any, dtype: np.dtype[Any]) -> NoReturn:
    if reason == "number":
        hint = " (text needs dtype=object)" if isinstance(item, str) else ""
        raise ValueError(f"{place}: expected a number for dtype {dtype}{hint}, got {short(item)}")
    message = f"{place}: expected a number that {dtype} can hold, got {short(item)}"
    raise ValueError(message) if item != item else OverflowError(message)


def short(item: object) -> str:
    text = f"{type(item).__name__} {item!r}" if not isinstance(item, (str, int, float)) else repr(item)
    return text if len(text) <= 80 else f"{text[:77]}..."
