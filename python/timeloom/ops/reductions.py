"""Sums, means and maxima over axes. Sums are the kernels': one chain per row, chunks of 512 rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import _core
from timeloom.autograd import record
from timeloom.autograd.recording import Array
from timeloom.ops.checks import contiguous, real


def _axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    chosen = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for one in chosen:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)) or not -ndim <= one < ndim:
            raise ValueError(f"axis: expected axes of an array of {ndim} axes, got {axis!r}")
    found = tuple(sorted(one % ndim for one in chosen))
    if len(set(found)) != len(found):
        raise ValueError(f"axis: expected different axes, got {axis!r}")
    return found


def _sum(x: Array, axes: tuple[int, ...]) -> Array:
    """Sum over axes, without them."""
    if not axes:
        return x.copy()
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in kept)
    if axes == tuple(range(len(axes))):
        # Leading axes: rows that are added up.
        columns = math.prod(shape)
        rows = math.prod([x.shape[i] for i in axes])
        return np.asarray(_core.sum_rows(contiguous(x).reshape(rows, columns)).reshape(shape))
    length = math.prod([x.shape[i] for i in axes])
    return np.asarray(
        _core.sum_last(contiguous(np.transpose(x, kept + axes)).reshape(*shape, length)).reshape(shape)
    )


def _reduced(x: Any, axis: int | tuple[int, ...] | None, keepdims: bool, average: bool) -> Any:
    array = real("x", x)
    axes = _axes(axis, array.ndim)
    shape, dtype = array.shape, array.dtype
    one = tuple(1 if i in axes else n for i, n in enumerate(shape))
    output = _sum(array, axes)
    count = math.prod([shape[i] for i in axes]) if average else 1
    if average:
        output = np.asarray(output / count)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        spread = np.empty(shape, dtype=dtype)  # the sum need not keep what it was taken of
        np.divide(np.reshape(g, one), count, out=spread)
        return (spread,)

    return record(output.reshape(one) if keepdims else output, (x,), backward)


def sum(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """Sum over axes.

    Args:
        x: float32 or float64.
        axis: one axis, several, or None for all.
        keepdims: whether summed axes stay with length 1.

    Returns:
        An array.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=-1)
        array([3., 7.])
    """
    return _reduced(x, axis, keepdims, average=False)


def mean(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """Mean over axes.

    Args:
        x: float32 or float64.
        axis: one axis, several, or None for all.
        keepdims: whether the axes stay with length 1.

    Returns:
        An array; of no elements the mean is NaN, with NumPy's warning.
    """
    return _reduced(x, axis, keepdims, average=True)


def max(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """Largest element over axes; elements that tie share the gradient equally.

    Args:
        x: float32 or float64.
        axis: one axis, several, or None for all.
        keepdims: whether the axes stay with length 1.

    Returns:
        An array.
    """
    _axes(axis, real("x", x).ndim)
    return np.max(x, axis=axis, keepdims=keepdims)
