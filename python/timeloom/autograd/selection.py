"""NumPy's functions that pick elements, on traced arrays: indexing, splitting, choice and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom.autograd.functions import implements
from timeloom.autograd.gradients import Scatter
from timeloom.autograd.recording import Array, Operand, is_recorded, keep, record, refusal, value
from timeloom.autograd.shapes import reshape
from timeloom.autograd.ufuncs import Rule, binary

_BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


def take_index(a: Any, index: Any) -> Any:
    """a[index] for slices, integers, None, Ellipsis, boolean and integer arrays."""
    x = value(a)
    parts = index if type(index) is tuple else (index,)
    repeats = False
    for part in parts:
        if type(part) in _BASIC:
            continue
        if isinstance(part, Operand) and part._value.dtype.kind == "f":
            raise IndexError("index: expected integers, booleans or slices, got an array of real numbers")
        if not isinstance(part, np.integer) and np.asarray(part).dtype.kind != "b":
            repeats = True
    output = x[index]
    if not is_recorded(a):
        return output
    # The user may change an index array or list before the gradient is taken.
    kept = tuple([part if type(part) in _BASIC else keep(part) for part in parts])
    shape = x.shape
    place = kept if type(index) is tuple else kept[0]
    return record(np.asarray(output), (a,), lambda _needs, g: (Scatter(shape, place, g, repeats),))


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements along an axis."""
    if axis is None:
        return take_index(reshape(a, -1), np.asarray(indices))
    axis = axis % np.ndim(value(a))
    return take_index(a, (slice(None),) * axis + (np.asarray(indices),))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """One element for each index array's element, along an axis."""
    if axis is None:
        return take_index(reshape(arr, -1), np.asarray(indices))
    x, picked = value(arr), np.asarray(indices)
    axis = axis % x.ndim
    if picked.ndim != x.ndim:
        raise ValueError(f"indices: expected {x.ndim} axes as the array has, got {picked.ndim}")
    grid = np.ogrid[tuple(slice(n) for n in x.shape)]
    return take_index(arr, tuple(picked if i == axis else one for i, one in enumerate(grid)))


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts along an axis, as equal as they can be."""
    axis = axis % value(ary).ndim
    size = value(ary).shape[axis]
    if np.ndim(indices_or_sections):
        stops = [*np.asarray(indices_or_sections).tolist(), size]
    else:
        stops = np.cumsum(
            [len(part) for part in np.array_split(np.arange(size), indices_or_sections)]
        ).tolist()
    before = (slice(None),) * axis
    return [take_index(ary, (*before, slice(i, j))) for i, j in zip([0, *stops[:-1]], stops, strict=True)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts along an axis, of equal size or at given places."""
    if not np.ndim(indices_or_sections) and value(ary).shape[axis] % indices_or_sections:
        raise ValueError(
            f"indices_or_sections: expected a divisor of {value(ary).shape[axis]}, got {indices_or_sections}"
        )
    return array_split(ary, indices_or_sections, axis)


@implements(np.where)
def where(condition: Any, *choices: Any) -> Any:
    """Elements of one array or the other."""
    if is_recorded(condition):
        raise refusal("np.where with a traced condition (compare it with something: a comparison is plain)")
    if not choices:
        return np.where(value(condition))
    a, b = choices
    chosen = keep(condition)
    rule = Rule(
        lambda x, y: np.where(chosen, x, y),
        ("", lambda g: np.where(chosen, g, g.dtype.type(0))),
        ("", lambda g: np.where(chosen, g.dtype.type(0), g)),
    )
    return binary(rule, a, b)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Limited to a range; the gradient is zero outside it and whole on its borders."""
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    x = value(a)
    output = np.asarray(np.clip(x, value(low), value(high)))
    if is_recorded(low, high) or output.shape != np.shape(x):
        a = np.maximum(a, low) if low is not None else a
        return np.minimum(a, high) if high is not None else a
    low, high = keep(low), keep(high)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        inside = np.ones(x.shape, dtype=bool)
        if low is not None:
            inside = inside & (x >= low)
        if high is not None:
            inside = inside & (x <= high)
        return ((g * inside).astype(x.dtype, copy=False),)

    return record(output, (a,), backward)
