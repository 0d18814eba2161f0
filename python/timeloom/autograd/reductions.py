"""NumPy's reductions and products on traced arrays: sums, means, extremes, spreads, running sums, dot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from timeloom.autograd.functions import implements
from timeloom.autograd.recording import Array, record, refusal, value
from timeloom.autograd.shapes import reshape
from timeloom.autograd.ufuncs import OTHERS, REDUCTIONS, RULES, binary


def _spread(g: Any, axis: Any, keepdims: bool, shape: tuple[int, ...]) -> Array:
    """Give the gradient of a reduction, or its result, back the axes that it lost."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    spread = np.empty(shape, dtype=g.dtype)
    spread[...] = g
    return spread


@implements(np.sum)
def sum(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Sum over axes."""
    x = value(a)
    shape = x.shape
    return record(
        x.sum(axis=axis, keepdims=keepdims),
        (a,),
        lambda _needs, g: (_spread(g, axis, keepdims, shape),),
    )


def _count(shape: tuple[int, ...], axis: Any) -> int:
    if axis is None:
        return math.prod(shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    return math.prod([shape[i] for i in axes])


@implements(np.mean)
def mean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Mean over axes."""
    x = value(a)
    shape = x.shape
    count = _count(shape, axis)
    return record(
        x.mean(axis=axis, keepdims=keepdims),
        (a,),
        lambda _needs, g: (_spread(g / count, axis, keepdims, shape),),
    )


def _extreme(reduce: Callable[..., Any], a: Any, axis: Any, keepdims: bool) -> Any:
    x = value(a)
    output = reduce(x, axis=axis, keepdims=keepdims)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        # Elements that tie share the gradient equally.
        chosen = x == _spread(output, axis, keepdims, x.shape)
        count = np.count_nonzero(chosen, axis=axis, keepdims=True)
        return (_spread(g, axis, keepdims, x.shape) * (chosen / np.maximum(count, 1)).astype(x.dtype),)

    return record(output, (a,), backward)


@implements(np.max, np.amax)
def max(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Largest element over axes."""
    return _extreme(np.max, a, axis, keepdims)


@implements(np.min, np.amin)
def min(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Smallest element over axes."""
    return _extreme(np.min, a, axis, keepdims)


@implements(np.prod)
def prod(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Product over axes."""
    x = value(a)
    output = np.prod(x, axis=axis, keepdims=keepdims)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        # The product of the others, without dividing by elements that may be zero.
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        last = tuple(range(-len(axes), 0))
        moved = np.moveaxis(x, axes, last)
        flat = moved.reshape(*moved.shape[: x.ndim - len(axes)], -1)
        ones = np.ones((*flat.shape[:-1], 1), dtype=x.dtype)
        left = np.cumprod(np.concatenate([ones, flat[..., :-1]], axis=-1), axis=-1)
        right = np.cumprod(np.concatenate([ones, flat[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
        others = np.moveaxis((left * right).reshape(moved.shape), last, axes)
        return (_spread(g, axis, keepdims, x.shape) * others,)

    return record(output, (a,), backward)


@implements(np.var)
def var(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """Variance over axes."""
    x = value(a)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        deviation = x - np.mean(x, axis=axis, keepdims=True)
        return (_spread(g * 2 / (_count(x.shape, axis) - ddof), axis, keepdims, x.shape) * deviation,)

    return record(np.var(x, axis=axis, ddof=ddof, keepdims=keepdims), (a,), backward)


@implements(np.std)
def std(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """Standard deviation over axes; its gradient at zero deviation is taken as zero."""
    x = value(a)
    output = np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        deviation = x - np.mean(x, axis=axis, keepdims=True)
        scale = g / (np.where(output == 0, 1, output).astype(x.dtype) * (_count(x.shape, axis) - ddof))
        return (_spread(scale, axis, keepdims, x.shape) * deviation,)

    return record(output, (a,), backward)


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None) -> Any:
    """Running sums along an axis."""
    if axis is None:
        return cumsum(reshape(a, -1), 0)
    return record(
        np.cumsum(value(a), axis), (a,), lambda _needs, g: (np.flip(np.cumsum(np.flip(g, axis), axis), axis),)
    )


# Products: matmul is registered by ops, which may call the kernels.


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """Product of vectors and matrices; of scalars with anything."""
    if np.ndim(value(a)) == 0 or np.ndim(value(b)) == 0:
        return binary(RULES[np.multiply], a, b)
    if np.ndim(value(b)) > 2:
        raise refusal("np.dot with an array of more than two axes on the right")
    return OTHERS[np.matmul](a, b)


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    """Products of all pairs."""
    return binary(RULES[np.multiply], np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


REDUCTIONS.update(
    {
        (np.add, "reduce"): lambda a, axis=0, keepdims=False: sum(a, axis, keepdims=keepdims),
        (np.multiply, "reduce"): lambda a, axis=0, keepdims=False: prod(a, axis, keepdims=keepdims),
        (np.maximum, "reduce"): lambda a, axis=0, keepdims=False: max(a, axis, keepdims=keepdims),
        (np.minimum, "reduce"): lambda a, axis=0, keepdims=False: min(a, axis, keepdims=keepdims),
    }
)
