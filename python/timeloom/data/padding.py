"""`pad_sequences`: sequences of unequal lengths as one rectangular array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import arguments
from timeloom.data import _ragged
from timeloom.data.rows import (
    as_bytes,
    cast,
    check_step_shape,
    checked_dtype,
    checked_rows,
    depth_of_lists,
    fill_from_lists,
    flattened,
    joined,
    refuse,
    short,
    written_as,
)


def pad_sequences(
    sequences: Sequence[Any] | npt.NDArray[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> npt.NDArray[Any]:
    """Pads sequences to one length.

    For batches of sentences, series or event lists whose lengths differ. Shorter sequences are filled up with
    `value`, longer ones are cut; by default both happen at the beginning, so that the last step of each
    sequence is the last column, where a recurrent layer ends.

    Args:
        sequences: list (or tuple, or array) of sequences. A sequence is a list, tuple, range or array of
            numbers, or one of feature vectors of equal size ([timesteps, features], or more axes).
        maxlen: timesteps of the result, an integer of at least 0. Default: the longest length.
        dtype: type of the result. Default: int32, which cuts fractions off: name "float32" for real numbers.
            For text of any length, use `object`.
        padding: "pre" or "post": fill before or after the values. Default: "pre".
        truncating: "pre" or "post": cut the first or the last values of a long sequence. Default: "pre".
        value: what to fill with. Default: 0.

    Returns:
        Array [number of sequences, maxlen], followed by the axes of one timestep, of type `dtype`. No
        sequences give [0, maxlen], or [0, 0].

    Raises:
        ValueError: `sequences` is no sequence of sequences, the feature vectors differ in size, an entry is
            no number, a string does not fit `dtype`, `value` does not suit `dtype`, or `maxlen`, `padding` or
            `truncating` is not one of the values above.
        OverflowError: a number, or `value`, does not fit into `dtype`. Nothing wraps around.

    Reference:
        keras.utils.pad_sequences, which cuts text to fit a dtype such as "<U3", and fails for `maxlen=0` and
        for no sequences at all.

    Example:
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]])
        array([[0, 0, 1],
               [0, 2, 3],
               [4, 5, 6]], dtype=int32)
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post", truncating="post", value=-1)
        array([[ 1, -1],
               [ 2,  3],
               [ 4,  5]], dtype=int32)
        >>> pad_sequences([[[0.5, 1.0]], [[1.5, 2.0], [2.5, 3.0]]], dtype="float32").shape
        (2, 2, 2)
    """
    for name, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise ValueError(f"{name}: expected 'pre' or 'post', got {choice!r}")
    target = checked_dtype(dtype)
    steps = (
        None if maxlen is None else arguments.integer("maxlen", maxlen, 0, "None or an integer of at least 0")
    )
    rows = checked_rows(sequences)
    pad_before, cut_before = padding == "pre", truncating == "pre"

    if target.kind not in "biuf":
        return _pad_objects(rows, steps, target, pad_before, cut_before, value)
    lengths = np.empty(len(rows), np.intp)
    if _ragged.measure(rows, lengths) == -1:
        depth, features = depth_of_lists(rows)
        if depth <= 1:
            shape = (len(rows), _longest(lengths, steps), *((features,) if depth else ()))
            out = _filled(shape, written_as(target), value)
            starts = _starts(lengths, out.shape[1], pad_before)
            fill_from_lists(rows, lengths, starts, out.shape[1], flattened(out, 2), depth == 1, cut_before)
            return out if out.dtype == target else cast(out, target, "sequences")
    return _pad_arrays(rows, steps, target, pad_before, cut_before, value)


def _longest(lengths: npt.NDArray[np.intp], steps: int | None) -> int:
    return steps if steps is not None else int(lengths.max(initial=0))


def _filled(shape: tuple[int, ...], dtype: np.dtype[Any], value: Any) -> npt.NDArray[Any]:
    """An array full of `value`, which must be a number that `dtype` can hold."""
    cell = np.empty((1, 1), written_as(dtype))
    one, zero = np.ones(1, np.intp), np.zeros(1, np.intp)
    problem = _ragged.fill_from_lists([[value]], one, zero, 1, cell, False, False)
    if problem is not None:
        refuse("value", problem[0], value, dtype)
    return _allocated(shape, dtype, cast(cell, dtype, "value")[0, 0])


def _allocated(shape: tuple[int, ...], dtype: np.dtype[Any], value: Any) -> npt.NDArray[Any]:
    try:
        return np.full(shape, value, dtype)
    except (MemoryError, ValueError, OverflowError):
        sizes = ", ".join(map(str, shape))
        raise MemoryError(
            f"maxlen: expected a result that fits into memory, got [{sizes}] of {dtype}"
        ) from None


def _starts(lengths: npt.NDArray[np.intp], steps: int, pad_before: bool) -> npt.NDArray[np.intp]:
    """Where the first value of each sequence stands among the rows * steps positions of the result."""
    starts = np.arange(len(lengths), dtype=np.intp) * steps
    return starts + (steps - np.minimum(lengths, steps)) if pad_before else starts


def _pad_arrays(
    rows: list[Any], steps: int | None, target: np.dtype[Any], pad_before: bool, cut_before: bool, value: Any
) -> npt.NDArray[Any]:
    """Numbers in arrays, or in lists of any depth: one array after the other, then one copy of bytes."""
    flat, lengths = joined(rows, target)
    out = _filled((len(rows), _longest(lengths, steps), *flat.shape[1:]), target, value)
    taken = np.minimum(lengths, out.shape[1])
    ends = np.cumsum(lengths)
    sources = ends - taken if cut_before else ends - lengths
    starts = _starts(lengths, out.shape[1], pad_before)
    _ragged.copy_runs(as_bytes(flat, 1), sources, taken, as_bytes(out, 2), starts)
    return out


def _pad_objects(
    rows: list[Any], steps: int | None, target: np.dtype[Any], pad_before: bool, cut_before: bool, value: Any
) -> npt.NDArray[Any]:
    """Text, objects, complex numbers and dates: one NumPy assignment a sequence."""
    arrays = [_as_dtype(row, target, f"sequences[{index}]") for index, row in enumerate(rows)]
    lengths = np.fromiter(map(len, arrays), np.intp, len(arrays))
    step_shape = next((array.shape[1:] for array in arrays if len(array)), ())
    fill = value if target.kind == "O" else _as_dtype(value, target, "value")
    out = _allocated((len(rows), _longest(lengths, steps), *step_shape), target, fill)
    for index, array in enumerate(arrays):
        taken = min(len(array), out.shape[1])
        if taken == 0:
            continue
        check_step_shape(array, step_shape, index)
        begin = out.shape[1] - taken if pad_before else 0
        out[index, begin : begin + taken] = array[len(array) - taken :] if cut_before else array[:taken]
    return out


def _as_dtype(values: Any, target: np.dtype[Any], place: str) -> npt.NDArray[Any]:
    try:
        if target.kind not in "US":
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray(values, dtype=target)
        array = np.asarray(values)
        text = array.astype(target.kind)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{place}: expected values of dtype {target}, got {short(values)}") from None
    if array.size and text.dtype.itemsize > target.itemsize:
        raise ValueError(
            f"{place}: expected text that {target} can hold (dtype=object has no limit), got {short(values)}"
        )
    return text.astype(target)
