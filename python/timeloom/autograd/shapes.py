"""NumPy's functions that only move elements, on traced arrays: shapes, orders, repeats and joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom.autograd.functions import implements
from timeloom.autograd.recording import Array, record, refusal, value
from timeloom.autograd.ufuncs import RULES, binary


@implements(np.reshape)
def reshape(a: Any, shape: Any, order: str = "C") -> Any:
    """The same elements, in row order, in another shape."""
    if order != "C":
        raise refusal(f"np.reshape with order={order!r}")
    x = value(a)
    old = x.shape
    return record(np.reshape(x, shape), (a,), lambda _needs, g: (g.reshape(old),))


@implements(np.ravel)
def ravel(a: Any) -> Any:
    """One axis with every element."""
    return reshape(a, -1)


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    """Axes in another order, reversed by default."""
    inverse = None if axes is None else np.argsort([axis % value(a).ndim for axis in axes])
    return record(np.transpose(value(a), axes), (a,), lambda _needs, g: (np.transpose(g, inverse),))


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    output = np.swapaxes(value(a), axis1, axis2)
    return record(output, (a,), lambda _needs, g: (np.swapaxes(g, axis1, axis2),))


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places."""
    return record(
        np.moveaxis(value(a), source, destination),
        (a,),
        lambda _needs, g: (np.moveaxis(g, destination, source),),
    )


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Without axes of length one."""
    return reshape(a, np.squeeze(value(a), axis).shape)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """With new axes of length one."""
    return reshape(a, np.expand_dims(value(a), axis).shape)


@implements(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    """At least one axis."""
    return reshape(a, np.atleast_1d(value(a)).shape)


@implements(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    """At least two axes."""
    return reshape(a, np.atleast_2d(value(a)).shape)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Reversed along axes."""
    return record(np.flip(value(m), axis), (m,), lambda _needs, g: (np.flip(g, axis),))


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Rotated along axes."""
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return record(np.roll(value(a), shift, axis), (a,), lambda _needs, g: (np.roll(g, back, axis),))


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Any:
    """Repeated to a shape."""
    return binary(RULES[np.add], array, np.zeros(shape, dtype=value(array).dtype))


@implements(np.repeat)
def repeat(a: Any, repeats: int, axis: int | None = None) -> Any:
    """Every element ``repeats`` times."""
    if axis is None:
        return repeat(reshape(a, -1), repeats, 0)
    axis = axis % value(a).ndim
    old = value(a).shape
    split_shape = (*old[: axis + 1], int(repeats), *old[axis + 1 :])
    return record(
        np.repeat(value(a), int(repeats), axis),
        (a,),
        lambda _needs, g: (g.reshape(split_shape).sum(axis=axis + 1),),
    )


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """The whole array repeated along its axes."""
    counts = (reps,) if np.ndim(reps) == 0 else tuple(reps)
    old = value(A).shape
    ndim = max(len(old), len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    padded = (1,) * (ndim - len(old)) + old
    pairs = [n for pair in zip(counts, padded, strict=True) for n in pair]
    return record(
        np.tile(value(A), reps),
        (A,),
        lambda _needs, g: (g.reshape(pairs).sum(axis=tuple(range(0, 2 * ndim, 2))).reshape(old),),
    )


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A plain array of the shape of another, filled with a value that NumPy takes only if it is plain."""
    return np.full_like(value(a), fill_value, dtype=dtype)


# Joining.


@implements(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays one after another along an axis."""
    if axis is None:
        return concatenate([reshape(a, -1) for a in arrays], 0)
    arrays = tuple(arrays)
    values = [value(a) for a in arrays]
    output = np.concatenate(values, axis)
    axis = axis % output.ndim
    shapes = [(np.shape(x)[axis], getattr(x, "dtype", output.dtype)) for x in values]

    def backward(needs: Sequence[bool], g: Array) -> list[Any]:
        gradients: list[Any] = []
        start = 0
        for need, (size, dtype) in zip(needs, shapes, strict=True):
            index: tuple[Any, ...] = (*(slice(None),) * axis, slice(start, start + size))
            gradients.append(g[index].astype(dtype, copy=False) if need else None)
            start += size
        return gradients

    return record(output, arrays, backward)


@implements(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape side by side along a new axis."""
    arrays = tuple(arrays)
    values = [value(a) for a in arrays]
    output = np.stack(values, axis)
    axis = axis % output.ndim
    before: tuple[Any, ...] = (slice(None),) * axis
    dtypes = [getattr(x, "dtype", output.dtype) for x in values]

    def backward(needs: Sequence[bool], g: Array) -> list[Any]:
        return [
            g[(*before, i)].astype(dtype, copy=False) if need else None
            for i, (need, dtype) in enumerate(zip(needs, dtypes, strict=True))
        ]

    return record(output, arrays, backward)


@implements(np.vstack)
def vstack(tup: Sequence[Any]) -> Any:
    """Rows one below another."""
    return concatenate([np.atleast_2d(a) for a in tup], 0)


@implements(np.hstack)
def hstack(tup: Sequence[Any]) -> Any:
    """Columns side by side; vectors one after another."""
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)
