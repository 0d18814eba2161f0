"""`pad_sequences`: sequences of unequal lengths as one rectangular array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from timeloom import arguments
from timeloom.data import _ragged


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
    target = _checked_dtype(dtype)
    steps = (
        None if maxlen is None else arguments.integer("maxlen", maxlen, 0, "None or an integer of at least 0")
    )
    rows = _checked_rows(sequences)
    pad_before, cut_before = padding == "pre", truncating == "pre"

    if target.kind not in "biuf":
        return _pad_objects(rows, steps, target, pad_before, cut_before, value)
    lengths = np.empty(len(rows), np.intp)
    if _ragged.measure(rows, lengths) == -1:
        depth, features = _depth_of_lists(rows)
        if depth <= 1:
            shape = (len(rows), _longest(lengths, steps), *((features,) if depth else ()))
            out = _filled(shape, _written_as(target), value)
            _fill_from_lists(rows, out, depth == 1, pad_before, cut_before)
            return out if out.dtype == target else _cast(out, target, "sequences")
    return _pad_arrays(rows, steps, target, pad_before, cut_before, value)


def _checked_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
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


def _is_sequence(candidate: object) -> bool:
    if isinstance(candidate, (str, bytes, Mapping, Set)):
        return False
    if isinstance(candidate, np.ndarray):
        return candidate.ndim > 0
    return hasattr(candidate, "__len__") and hasattr(candidate, "__getitem__")


def _checked_rows(sequences: Sequence[Any] | npt.NDArray[Any]) -> list[Any]:
    """The sequences as a list of lists, tuples and arrays of numbers or text."""
    if not _is_sequence(sequences):
        raise ValueError(f"sequences: expected a list of sequences, got {_short(sequences)}")
    rows = list(sequences)
    if {type(row) for row in rows} <= {list, tuple}:
        return rows
    for index, row in enumerate(rows):
        kind = type(row)
        if kind is np.ndarray and row.ndim > 0:
            if row.dtype.kind == "O":
                rows[index] = row.tolist()
        elif kind is not list and kind is not tuple:
            if not _is_sequence(row):
                raise ValueError(f"sequences[{index}]: expected a list or an array, got {_short(row)}")
            rows[index] = np.asarray(row) if isinstance(row, np.ndarray) else list(row)
    return rows


def _depth_of_lists(rows: list[Any]) -> tuple[int, int]:
    """How deep lists nest below a step (0 numbers, 1 feature vectors, 2 anything else), and the features."""
    first = next((row[0] for row in rows if row), 0)
    if type(first) is not list and type(first) is not tuple:
        return (2 if np.ndim(first) else 0), 0
    if first and (isinstance(first[0], (list, tuple)) or np.ndim(first[0])):
        return 2, 0
    return 1, len(first)


def _written_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that `_ragged.fill_from_lists` writes for `dtype`: native integers, float32 or float64."""
    others = {"?": np.float64, "e": np.float32, "g": np.float64}
    return np.dtype(others[dtype.char]) if dtype.char in others else dtype.newbyteorder("=")


def _longest(lengths: npt.NDArray[np.intp], steps: int | None) -> int:
    return steps if steps is not None else int(lengths.max(initial=0))


def _filled(shape: tuple[int, ...], dtype: np.dtype[Any], value: Any) -> npt.NDArray[Any]:
    """An array full of `value`, which must be a number that `dtype` can hold."""
    cell = np.empty((1, 1, 1), _written_as(dtype))
    problem = _ragged.fill_from_lists([[value]], cell, False, True, True)
    if problem is not None:
        _refuse("value", problem[0], value, dtype)
    return _allocated(shape, dtype, _cast(cell, dtype, "value")[0, 0, 0])


def _allocated(shape: tuple[int, ...], dtype: np.dtype[Any], value: Any) -> npt.NDArray[Any]:
    try:
        return np.full(shape, value, dtype)
    except (MemoryError, ValueError, OverflowError):
        sizes = ", ".join(map(str, shape))
        raise MemoryError(
            f"maxlen: expected a result that fits into memory, got [{sizes}] of {dtype}"
        ) from None


def _fill_from_lists(
    rows: list[Any], out: npt.NDArray[Any], nested: bool, pad_before: bool, cut_before: bool
) -> None:
    cube = out if out.ndim == 3 else out[:, :, np.newaxis]
    problem = _ragged.fill_from_lists(rows, cube, nested, pad_before, cut_before)
    if problem is None:
        return
    reason, row, step, feature = problem
    place = f"sequences[{row}][{step}]"
    if reason == "changed":
        raise ValueError(f"sequences[{row}]: expected a list that keeps its length while it is read")
    item = rows[row][step]
    if reason == "features":
        raise ValueError(
            f"{place}: expected {out.shape[2]} features as in the first timestep, got {_short(item)}"
        )
    if nested:
        place, item = f"{place}[{feature}]", item[feature]
    _refuse(place, reason, item, out.dtype)


def _pad_arrays(
    rows: list[Any], steps: int | None, target: np.dtype[Any], pad_before: bool, cut_before: bool, value: Any
) -> npt.NDArray[Any]:
    """Numbers in arrays, or in lists of any depth: one array after the other, then one copy of bytes."""
    flat, lengths = _joined(rows, target)
    out = _filled((len(rows), _longest(lengths, steps), *flat.shape[1:]), target, value)
    if flat.size and out.size:
        flat_bytes = flat.reshape(-1).view(np.uint8)
        out_bytes = out.reshape(*out.shape[:2], -1).view(np.uint8)
        _ragged.fill_from_flat(flat_bytes, lengths, out_bytes, pad_before, cut_before)
    return out


def _joined(rows: list[Any], target: np.dtype[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
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
        _check_step_shape(array, step_shape, index)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"sequences[{index}]: expected numbers, got an array of {array.dtype}")
        parts.append(_cast(array, target, f"sequences[{index}]"))
    return np.concatenate(parts), lengths


def _as_array(row: Sequence[Any], index: int) -> npt.NDArray[Any]:
    try:
        return np.asarray(row)
    except (TypeError, ValueError):
        raise ValueError(f"sequences[{index}]: expected timesteps of one shape, got {_short(row)}") from None


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


def _cast(array: npt.NDArray[Any], target: np.dtype[Any], place: str) -> npt.NDArray[Any]:
    if array.dtype == target:
        return array
    if not _fits(array, target):
        bad = next(item for item in array.flat if not _fits(np.asarray(item), target))
        _refuse(place, "range", bad, target)
    return array.astype(target)


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
        _check_step_shape(array, step_shape, index)
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
        raise ValueError(f"{place}: expected values of dtype {target}, got {_short(values)}") from None
    if array.size and text.dtype.itemsize > target.itemsize:
        raise ValueError(
            f"{place}: expected text that {target} can hold (dtype=object has no limit), got {_short(values)}"
        )
    return text.astype(target)


def _check_step_shape(array: npt.NDArray[Any], step_shape: tuple[int, ...], index: int) -> None:
    if array.shape[1:] != step_shape:
        raise ValueError(
            f"sequences[{index}]: expected timesteps of shape {step_shape} as in the first sequence, "
            f"got {array.shape[1:]}"
        )


def _refuse(place: str, reason: str, item: Any, dtype: np.dtype[Any]) -> NoReturn:
    if reason == "number":
        hint = " (text needs dtype=object)" if isinstance(item, str) else ""
        raise ValueError(f"{place}: expected a number for dtype {dtype}{hint}, got {_short(item)}")
    message = f"{place}: expected a number that {dtype} can hold, got {_short(item)}"
    raise ValueError(message) if item != item else OverflowError(message)


def _short(item: object) -> str:
    text = f"{type(item).__name__} {item!r}" if not isinstance(item, (str, int, float)) else repr(item)
    return text if len(text) <= 80 else f"{text[:77]}..."
