"""The walk backward over the records of a tape, and the sums of gradients it makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from timeloom.autograd.recording import Array, Paired, Record


class Scatter:
    """A gradient that is zero outside ``index``, kept as the part so that T slices of an array cost T parts.

    Args:
        shape: shape of the whole gradient.
        index: what ``array[index]`` was taken with.
        part: gradient of ``array[index]``.
        repeats: whether ``index`` may name an element twice (integer arrays), so that parts must be added
            one by one.
    """

    __slots__ = ("index", "part", "repeats", "shape")

    def __init__(self, shape: tuple[int, ...], index: Any, part: Array, repeats: bool) -> None:
        self.shape = shape
        self.index = index
        self.part = part
        self.repeats = repeats

    def add_to(self, total: Array) -> None:
        """Add to ``total`` in place."""
        if self.repeats:
            np.add.at(total, self.index, self.part)
        else:
            total[self.index] += self.part

    def dense(self) -> Array:
        """The gradient as an array of its own."""
        total = np.zeros(self.shape, dtype=self.part.dtype)
        self.add_to(total)
        return total


def _dense(gradient: Any) -> Any:
    return gradient.dense() if type(gradient) is Scatter else gradient


def sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum over the axes along which an operand of ``shape`` was repeated."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    if extra < 0:
        return np.broadcast_to(gradient, shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and gradient.shape[extra + i] != 1
    )
    if axes:
        gradient = np.add.reduce(gradient, axis=axes, keepdims=True)
    if gradient.ndim != len(shape):
        gradient = gradient.reshape(gradient.shape[extra:])
    return gradient if gradient.shape == shape else np.broadcast_to(gradient, shape)


class Gradients:
    """Gradients by key, added up in the order in which they come."""

    __slots__ = ("_owned", "totals")

    def __init__(self) -> None:
        # Most keys get one gradient: the walk writes that here itself.
        self.totals: dict[int, Any] = {}
        self._owned: set[int] = set()

    def add(self, key: int, gradient: Any) -> None:
        """Add an array or a Scatter. The first array is held as it is and never written to."""
        total = self.totals.get(key)
        if total is None:
            self.totals[key] = gradient
            return
        if key not in self._owned:
            self._owned.add(key)
            if isinstance(total, Scatter):
                total = total.dense()
            elif isinstance(gradient, Scatter):
                total = np.array(total)
            else:
                # Fresh memory: the first array may also be the gradient of something else.
                self.totals[key] = np.asarray(total + gradient)
                return
            self.totals[key] = total
        if isinstance(gradient, Scatter):
            gradient.add_to(total)
        else:
            np.add(total, gradient, out=total)

    def take(self, key: int, count: int, kept: set[int]) -> list[Array | None] | None:
        """The sums of ``count`` keys in a row, which are forgotten unless they are among ``kept``.

        Returns:
            None if nothing came for any.
        """
        totals = self.totals
        found: list[Array | None] = []
        nothing = True
        for own in range(key, key + count):
            total = totals.get(own)
            if total is not None:
                nothing = False
                total = _dense(total)
                if own not in kept:
                    del totals[own]
            found.append(total)
        return None if nothing else found


def _taken_along(
    path: list[Record], backward: Any, gradients: Gradients, needed: set[int], wanted: set[int]
) -> tuple[tuple[int, ...], list[bool], list[Array | None]] | None:
    """Take the record before off the path if it can run at once with this backward.

    Returns:
        Its inputs, which of them are needed, and its gradients; None if it does not come along.
    """
    if not isinstance(backward, Paired) or not path or path[-1][3] is not backward.before:
        return None
    key, count, inputs, _ = path[-1]
    d_outputs = gradients.take(key, count, wanted)
    if d_outputs is None:
        return None
    path.pop()
    return inputs, [i in needed for i in inputs], d_outputs


def _path(records: Iterable[Record], needed: set[int]) -> list[Record]:
    """The records that compute with needed keys; what they produced becomes needed too."""
    path = []
    for entry in records:
        key, count, inputs, _ = entry
        if not needed.isdisjoint(inputs):
            needed.update(range(key, key + count))
            path.append(entry)
    return path


def walk_backward(
    records: list[Record],
    span: tuple[int, int],
    targets: Sequence[tuple[int, Array]],
    sources: Iterable[int],
    release: bool = False,
) -> tuple[dict[int, Array | None], set[int]]:
    """Propagate gradients from targets to sources through ``records[span[0] : span[1]]``.

    Records that do not lie on a path from a source are skipped, so nothing is computed for parameters that
    are not asked for.

    Args:
        records: Those of a session.
        span: Which of them.
        targets: Keys and the gradients to begin with.
        sources: Keys.
        release: Whether the list is emptied, and each record let go with all that it keeps once it was walked
            over.

    Returns:
        Gradient by key of source, None where no target depends on it, and every key that was an input on the
        way.
    """
    wanted = set(sources)
    needed = set(wanted)
    path = _path(records[span[0] : span[1]], needed)
    if release:
        records.clear()
    gradients = Gradients()
    totals = gradients.totals
    for key, seed in targets:
        gradients.add(key, seed)
    touched: set[int] = set()
    while path:
        key, count, inputs, backward = path.pop()
        needs = [i in needed for i in inputs]
        if count == 1:
            d_output = totals.get(key)
            if d_output is None:
                continue
            results = backward(needs, _dense(d_output))
            if key not in wanted:
                del totals[key]
        else:
            d_outputs = gradients.take(key, count, wanted)
            if d_outputs is None:
                continue
            along = _taken_along(path, backward, gradients, needed, wanted)
            if along is None:
                results = backward(needs, *d_outputs)
            else:
                results = cast(Paired, backward).with_before(needs, d_outputs, *along[1:])
                inputs, needs = inputs + along[0], needs + along[1]
            del along
        del backward
        touched.update(inputs)
        for i, need, gradient in zip(inputs, needs, results, strict=True):
            if need and gradient is not None:
                if i in totals:
                    gradients.add(i, gradient)
                else:
                    totals[i] = gradient
    found = {}
    for key in wanted:
        found[key] = _dense(totals.get(key))
    return found, touched
