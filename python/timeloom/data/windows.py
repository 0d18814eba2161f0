"""Windows: pieces of equal length out of one long sequence."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from timeloom import arguments

Array = npt.NDArray[Any]


@overload
def windows(
    series: npt.ArrayLike, length: int, stride: int = ..., sampling_rate: int = ..., *, copy: bool = ...
) -> Array: ...


@overload
def windows(
    series: npt.ArrayLike,
    length: int,
    stride: int = ...,
    sampling_rate: int = ...,
    targets: npt.ArrayLike = ...,
    target_offset: int = ...,
    copy: bool = ...,
) -> tuple[Array, Array]: ...


def windows(
    series: npt.ArrayLike,
    length: int,
    stride: int = 1,
    sampling_rate: int = 1,
    targets: npt.ArrayLike | None = None,
    target_offset: int = 1,
    copy: bool = True,
) -> Array | tuple[Array, Array]:
    """Cuts a long sequence into windows, and finds the target of each.

    Equations:
        inputs[i, t] = series[i * stride + t * sampling_rate]
        outputs[i] = targets[i * stride + (length - 1) * sampling_rate + target_offset]

    Args:
        series: [timesteps, ...] array.
        length: timesteps of a window, a positive integer.
        stride: timesteps from the beginning of a window to that of the next, a positive integer. Default: 1.
        sampling_rate: timesteps of the series from one of a window to the next one. Default: 1.
        targets: [timesteps, ...] array as long as `series`, often `series` itself. Default None: no targets.
        target_offset: how many timesteps behind the last one of a window its target stands, an integer of at
            least 0. Default: 1, the forecast of the next value. A window without a target is left out.
        copy: False gives a read-only view of `series`, which takes no memory; but what needs it contiguous,
            as a layer does, copies it then. Default: True.

    Returns:
        inputs: [windows, length, ...] of the type of `series`; as many as there are.
        outputs: [windows, ...], with `targets` only.

    Raises:
        ValueError: an argument is not as above, or not one window fits into `series`.
        MemoryError: the windows do not fit into memory.

    Example:
        >>> windows(np.arange(6), length=3, stride=2)
        array([[0, 1, 2],
               [2, 3, 4]])
        >>> x, y = windows(np.arange(6), length=2, sampling_rate=2, targets=np.arange(6))
        >>> x.tolist(), y.tolist()
        ([[0, 2], [1, 3], [2, 4]], [3, 4, 5])
    """
    array = _series("series", series)
    length = arguments.positive_integer("length", length)
    stride = arguments.positive_integer("stride", stride)
    sampling_rate = arguments.positive_integer("sampling_rate", sampling_rate)
    target_offset = arguments.integer("target_offset", target_offset)
    copy = arguments.flag("copy", copy)
    span = (length - 1) * sampling_rate + 1
    needed = span if targets is None else span + target_offset
    if needed > len(array):
        raise ValueError(f"series: expected at least {needed} timesteps for one window, got {len(array)}")
    count = (len(array) - needed) // stride + 1
    # A huge step that is never taken would not fit into 64 bits.
    stride, sampling_rate = min(stride, len(array)), min(sampling_rate, len(array))
    inputs = _cut(array, count, length, stride, sampling_rate, copy)
    if targets is None:
        return inputs
    wanted = _series("targets", targets)
    if len(wanted) != len(array):
        raise ValueError(f"targets: expected {len(array)} timesteps as in series, got {len(wanted)}")
    return inputs, wanted[needed - 1 :: stride][:count].copy()


def _series(name: str, values: npt.ArrayLike) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: expected an array, got lists of unequal lengths") from None
    if array.ndim == 0:
        raise ValueError(f"{name}: expected [timesteps, ...], got a single {array.dtype}")
    return array


def _cut(array: Array, count: int, length: int, stride: int, sampling_rate: int, copy: bool) -> Array:
    step = array.strides[0]
    strides = (stride * step, sampling_rate * step, *array.strides[1:])
    # The last element that this reaches lies inside: the caller has counted.
    view = np.lib.stride_tricks.as_strided(array, (count, length, *array.shape[1:]), strides, writeable=False)
    if not copy:
        return view
    try:
        # Measured: NumPy copies the view as fast as one memcpy a window, and up to 9 times as fast as a take,
        # unless timesteps are skipped and have a few features each: there the take is 8 times as fast.
        if sampling_rate > 1 and math.prod(array.shape[1:]) > 1:
            starts = np.arange(count, dtype=np.intp)[:, np.newaxis] * stride
            return array.take(starts + np.arange(length, dtype=np.intp) * sampling_rate, axis=0)
        return view.copy(order="C")
    except MemoryError:
        sizes = ", ".join(map(str, view.shape))
        raise MemoryError(
            f"series: expected windows that fit into memory, got [{sizes}] of {array.dtype}: "
            "a larger stride gives fewer, copy=False a view"
        ) from None
