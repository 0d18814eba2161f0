# cython: language_level=3, auto_pickle=False, nonecheck=True
"""The walk backward over the records of a tape, and the sums of gradients it makes.

Compiled, as recording is; its types are in gradients.pyi.
"""

from timeloom.autograd.recording cimport Operand, Paired

import numpy as np

cdef object ndarray = np.ndarray


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

    def __init__(self, shape, index, part, repeats):
        self.shape = shape
        self.index = index
        self.part = part
        self.repeats = repeats

    def add_to(self, total):
        """Add to ``total`` in place."""
        if self.repeats:
            np.add.at(total, self.index, self.part)
        else:
            total[self.index] += self.part

    def dense(self):
        """The gradient as an array of its own."""
        total = np.zeros(self.shape, dtype=self.part.dtype)
        self.add_to(total)
        return total


cdef object dense(gradient):
    return gradient.dense() if type(gradient) is Scatter else gradient


def sum_to_shape(gradient, tuple shape):
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


cdef class Gradients:
    """Gradients by key, added up in the order in which they come."""

    cdef dict totals
    cdef set owned

    def __cinit__(self):
        self.totals = {}
        self.owned = set()

    cdef int add(self, key, gradient) except -1:
        """Add an array or a Scatter. The first array is held as it is and never written to."""
        total = self.totals.get(key)
        if total is None:
            self.totals[key] = gradient
            return 0
        if key not in self.owned:
            self.owned.add(key)
            if type(total) is Scatter:
                total = total.dense()
            elif type(gradient) is Scatter:
                total = np.array(total)
            else:
                # Fresh memory: the first array may also be the gradient of something else.
                self.totals[key] = np.asarray(total + gradient)
                return 0
            self.totals[key] = total
        if type(gradient) is Scatter:
            gradient.add_to(total)
        else:
            np.add(total, gradient, out=total)
        return 0

    cdef list take(self, long long key, long long count, set kept):
        """The sums of ``count`` keys in a row, which are forgotten unless they are among ``kept``.

        Returns:
            None if nothing came for any.
        """
        cdef list found = []
        cdef bint nothing = True
        cdef long long number
        for number in range(key, key + count):
            own = number
            total = self.totals.get(own)
            if total is not None:
                nothing = False
                total = dense(total)
                if own not in kept:
                    del self.totals[own]
            found.append(total)
        return None if nothing else found


cdef list needs_of(tuple inputs, set needed):
    return [key in needed for key in inputs]


cdef tuple taken_along(list path, backward, Gradients gradients, set needed, set wanted):
    """Take the record before off the path if it can run at once with this backward.

    Returns:
        Its inputs, which of them are needed, and its gradients; None if it does not come along.
    """
    if not path or not isinstance(backward, Paired):
        return None
    cdef tuple record = path[-1]
    if record[3] is not (<Paired>backward).before:
        return None
    cdef list d_outputs = gradients.take(record[0], record[1], wanted)
    if d_outputs is None:
        return None
    path.pop()
    return record[2], needs_of(record[2], needed), d_outputs


cdef list path_of(list records, long long first, long long last, set needed):
    """The records that compute with needed keys; what they produced becomes needed too."""
    cdef list path = []
    cdef long long place, own, key
    cdef tuple record
    for place in range(first, last):
        record = records[place]
        for source in <tuple>record[2]:
            if source in needed:
                key = record[0]
                for own in range(key, key + <long long>record[1]):
                    needed.add(own)
                path.append(record)
                break
    return path


def walk_backward(list records, tuple span, list targets, list sources, bint release=False):
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
    cdef set wanted = set(sources)
    cdef set needed = set(wanted)
    cdef set touched = set()
    cdef Gradients gradients = Gradients()
    cdef dict totals = gradients.totals
    cdef tuple inputs, along
    cdef list needs, d_outputs
    cdef Py_ssize_t place
    cdef list path = path_of(records, span[0], span[1], needed)
    if release:
        records.clear()
    for key, seed in targets:
        gradients.add(key, seed)
    while path:
        key, count, inputs, backward = <tuple>path.pop()
        needs = needs_of(inputs, needed)
        if count == 1:
            d_output = totals.get(key)
            if d_output is None:
                continue
            results = backward(needs, dense(d_output))
            d_output = None
            if key not in wanted:
                del totals[key]
        else:
            d_outputs = gradients.take(key, count, wanted)
            if d_outputs is None:
                continue
            along = taken_along(path, backward, gradients, needed, wanted)
            if along is None:
                results = backward(needs, *d_outputs)
            else:
                results = backward.with_before(needs, d_outputs, along[1], along[2])
                inputs, needs = inputs + <tuple>along[0], needs + <list>along[1]
            along = d_outputs = None
        backward = None
        if len(results) != len(inputs):
            raise ValueError(f"backward: expected {len(inputs)} gradients, got {len(results)}")
        touched.update(inputs)
        for place, gradient in enumerate(results):
            if needs[place] and gradient is not None:
                gradients.add(inputs[place], gradient)
    return {source: dense(totals.get(source)) for source in wanted}, touched


def arrays_of(list sources, list keys, dict found, list targets, str mode):
    """Give every source an array of its own: C-contiguous, writable, shared with nothing.

    Args:
        sources: Variables and traced arrays.
        keys: Of each, None if the tape does not know it.
        found: Gradients by key.
        targets: Keys and the gradients that the walk began with, which are somebody else's.
        mode: What becomes of a source without a gradient: "error", "none" or "zero".

    Raises:
        ValueError: there is one, and the mode is "error".
    """
    cdef set taken = {id(seed) for _, seed in targets}
    cdef list results = []
    cdef Py_ssize_t place
    for place, source in enumerate(sources):
        key = keys[place]
        gradient = None if key is None else found.get(key)
        if gradient is None:
            results.append(unconnected(source, place, mode))
            continue
        dtype = (<Operand?>source)._value.dtype
        if type(gradient) is not ndarray or gradient.dtype is not dtype:
            gradient = np.asarray(gradient, dtype=dtype)
        if isinstance(gradient.base, ndarray) or not gradient.flags.carray or id(gradient) in taken:
            gradient = np.array(gradient, order="C")
        taken.add(id(gradient))
        results.append(gradient)
    return results


cdef object unconnected(source, Py_ssize_t number, str mode):
    """The gradient of a source that no target depends on."""
    if mode == "error":
        name = getattr(source, "name", None)
        raise ValueError(
            f"sources: expected the target to depend on all, got source {number} with no effect"
            + (f" (Variable {name!r})" if name else "")
            + ': pass unconnected_gradients="none" or "zero" to allow it'
        )
    value = (<Operand?>source)._value
    return np.zeros(value.shape, dtype=value.dtype) if mode == "zero" else None
