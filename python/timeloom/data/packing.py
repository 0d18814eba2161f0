"""Packing: sequences of unequal lengths one behind the other, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom.data import _ragged
from timeloom.data.rows import (
    as_bytes,
    cast,
    checked_dtype,
    checked_rows,
    depth_of_lists,
    fill_from_lists,
    flattened,
    joined,
    written_as,
)


def pack(
    sequences: Sequence[Any] | npt.NDArray[Any], dtype: npt.DTypeLike = "float32"
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Puts sequences one behind the other.

    What padding would add is neither stored nor computed: a recurrent layer takes ``Packed(*pack(...))``, and
    ops.recurrent takes values and lengths as they are. `unpack` takes them apart again, `gather` picks a
    batch out of them.

    Args:
        sequences: list (or tuple, or array) of sequences. A sequence is a list, tuple, range or array of
            numbers, or one of feature vectors of equal size ([timesteps, features], or more axes).
        dtype: type of the values, a type of real numbers. Default: float32.

    Returns:
        values: [sum of lengths], followed by the axes of one timestep, of type `dtype`; a copy.
        lengths: [number of sequences] int64.

    Raises:
        ValueError: `sequences` is no sequence of sequences, the feature vectors differ in size, an entry is
            no number, or `dtype` is no type of real numbers.
        OverflowError: a number does not fit into `dtype`.

    Example:
        >>> values, lengths = pack([[1, 2, 3], [], [4]], dtype="int32")
        >>> values, lengths
        (array([1, 2, 3, 4], dtype=int32), array([3, 0, 1]))
        >>> pack([np.zeros((2, 5)), np.zeros((7, 5))])[0].shape
        (9, 5)
    """
    target = checked_dtype(dtype)
    if target.kind not in "biuf":
        raise ValueError(f"dtype: expected a type of real numbers, got {dtype!r}")
    rows = checked_rows(sequences)
    lengths = np.empty(len(rows), np.intp)
    if _ragged.measure(rows, lengths) == -1:
        depth, features = depth_of_lists(rows)
        if depth <= 1:
            total = int(lengths.sum())
            out = np.empty((total, features) if depth else (total,), written_as(target))
            longest = int(lengths.max(initial=0))
            fill_from_lists(rows, lengths, starts_of(lengths), longest, flattened(out, 1), depth == 1, False)
            return cast(out, target, "sequences"), lengths.astype(np.int64, copy=False)
    values, lengths = joined(rows, target)
    return values, lengths.astype(np.int64, copy=False)


def starts_of(lengths: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Where each packed sequence begins.

    Equations:
        starts[i] = lengths[0] + ... + lengths[i - 1]

    Args:
        lengths: [sequences] integers of at least 0.

    Returns:
        [sequences] int64.

    Raises:
        ValueError: `lengths` is not as above.

    Example:
        >>> starts_of([3, 0, 1])
        array([0, 3, 3])
    """
    counts = checked_counts("lengths", lengths)
    starts = np.zeros(len(counts), np.int64)
    np.cumsum(counts[:-1], out=starts[1:])
    return starts


def gather(
    values: npt.NDArray[Any], starts: npt.ArrayLike, lengths: npt.ArrayLike, rows: npt.ArrayLike
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Packs chosen sequences of a packed set anew: a batch.

    One pass over the values of the batch; what is not chosen is not touched.

    Args:
        values: [steps, ...] array of any numbers: the packed set.
        starts: [sequences] integers, where each sequence begins in `values`, as `starts_of` gives them.
        lengths: [sequences] integers.
        rows: [batch] integers, the sequences to take, in this order; repeats are fine, and a negative one
            counts from the end.

    Returns:
        values: [sum of the chosen lengths, ...] of the type of `values`; a copy.
        lengths: [batch] int64.

    Raises:
        ValueError: a sequence lies outside `values`, or an argument is no array as above.
        IndexError: a row is out of range.

    Example:
        >>> values, lengths = pack([[1, 2, 3], [], [4], [5, 6]], dtype="int32")
        >>> gather(values, starts_of(lengths), lengths, [3, 0])
        (array([5, 6, 1, 2, 3], dtype=int32), array([2, 3]))
    """
    source = np.asarray(values)
    if source.ndim == 0 or source.dtype.hasobject:
        raise ValueError(f"values: expected an array of numbers, got {source.dtype} of {source.ndim} axes")
    begins, counts, chosen = (
        _integers("starts", starts),
        _integers("lengths", lengths),
        _integers("rows", rows),
    )
    if begins.shape != counts.shape:
        raise ValueError(f"starts: expected one for each of {len(counts)} lengths, got {len(begins)}")
    plan = np.empty((3, len(chosen)), np.intp)
    total, refused = _ragged.plan_runs(begins, counts, chosen, len(source), plan)
    if refused >= 0:
        row = int(chosen[refused])
        if not -len(counts) <= row < len(counts):
            raise IndexError(f"rows: expected numbers below {len(counts)}, got {row}")
        raise ValueError(
            f"starts, lengths: expected sequences inside {len(source)} steps, "
            f"got one from {begins[row]} of {counts[row]} steps"
        )
    out = np.empty((total, *source.shape[1:]), source.dtype)
    _ragged.copy_runs(as_bytes(np.ascontiguousarray(source), 1), plan[0], plan[1], as_bytes(out, 1), plan[2])
    return out, plan[1].astype(np.int64)


def unpack(values: npt.NDArray[Any], lengths: npt.ArrayLike) -> list[npt.NDArray[Any]]:
    """Takes packed sequences apart.

    Args:
        values: [sum of lengths, ...].
        lengths: [sequences] integers of at least 0.

    Returns:
        A list of arrays [length, ...], views of `values`.

    Raises:
        ValueError: the lengths do not add up to the steps of `values`.

    Example:
        >>> unpack(np.arange(4), [3, 0, 1])
        [array([0, 1, 2]), array([], dtype=int64), array([3])]
    """
    array = np.asarray(values)
    counts = checked_counts("lengths", lengths)
    steps = len(array) if array.ndim else 0
    if int(counts.sum()) != steps:
        raise ValueError(f"lengths: expected lengths that add up to {steps} steps, got {int(counts.sum())}")
    starts = starts_of(counts).tolist()
    return [array[start : start + count] for start, count in zip(starts, counts.tolist(), strict=True)]


def _integers(name: str, numbers: npt.ArrayLike) -> npt.NDArray[np.intp]:
    try:
        array = np.asarray(numbers)
    except ValueError:
        raise ValueError(f"{name}: expected integers, got lists of unequal lengths") from None
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(f"{name}: expected integers along one axis, got {array.dtype} of {array.ndim} axes")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.intp).max:
        raise ValueError(f"{name}: expected integers below 2**63, got {array.max()}")
    return np.ascontiguousarray(array, dtype=np.intp)


def checked_counts(name: str, counts: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """`counts` as a contiguous array of integers of at least 0, along one axis."""
    array = _integers(name, counts)
    if array.size and int(array.min()) < 0:
        raise ValueError(f"{name}: expected integers of at least 0, got {array.min()}")
    return array
