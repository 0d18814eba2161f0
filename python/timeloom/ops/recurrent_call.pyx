# cython: language_level=3, auto_pickle=False, nonecheck=True
"""Calls of recurrent cells: from operands and options to the kernels and the record of a tape.

Compiled: a step of a small cell takes the kernels less than a microsecond; its types are in recurrent_call.pyi.
Here: what ``recurrent`` and its short forms share. Not here: their documentation (recurrent), the options
(recurrent_options), how weights are kept packed (weights).
"""

from timeloom.autograd.recording cimport Paired, value
from timeloom.ops.weights cimport KeptWeights, kept_weights

import numpy as np

from timeloom import _core
from timeloom.arguments import flag
from timeloom.autograd.recording import append_many, keep, keys_of, thread
from timeloom.ops.recurrent_options import checked_options

cdef object ndarray = np.ndarray
cdef dict no_options = {}
cdef dict known_cells = None  # asked for at the first use, which chooses the kernels


cpdef dict cells():
    """The recurrent cells by name, each with its numbers of gates and states."""
    global known_cells
    if known_cells is None:
        known_cells = dict(_core.rnn_cells())
    return known_cells


def call(
    cell,
    inputs,
    kernel,
    recurrent_kernel,
    bias,
    initial_state,
    activation,
    recurrent_activation,
    return_sequences,
    go_backwards,
    options,
):
    """Check a call and run it; the arguments of ``recurrent``, whose options may be none at all."""
    return run(
        prepare(
            cell,
            inputs,
            kernel,
            recurrent_kernel,
            bias,
            initial_state,
            activation,
            recurrent_activation,
            return_sequences,
            go_backwards,
            options,
        )
    )


def run_both(dict first, dict second):
    """Run two calls by name, side by side where that is sooner, and so the way back if it leads through both."""
    cdef tuple one = prepare(**first)
    cdef tuple other = prepare(**second)
    found = _core.rnn_forward_both(one[0], one[1], other[0], other[1])
    results = []
    back = None
    for (_, _, keys), (outputs, finals, cache) in zip((one, other), found, strict=True):
        if keys is not None:
            back = WayBack(cache, len(keys), back)
        results.append(recorded(outputs, finals, keys, back))
    return results


cpdef tuple prepare(
    cell,
    inputs,
    kernel,
    recurrent_kernel,
    bias=None,
    initial_state=None,
    activation=None,
    recurrent_activation=None,
    return_sequences=False,
    go_backwards=False,
    dict options=None,
):
    """What the kernels are given, in a tuple and a dict, and the keys of the operands on a tape or None."""
    cdef dict facts = cells().get(cell) if isinstance(cell, str) else None
    if facts is None:
        raise ValueError(f"cell: expected one of {', '.join(cells())}, got {cell!r}")
    if activation is None:
        activation = facts["activation"]
    elif not isinstance(activation, str):
        raise no_name("activation", activation)
    if recurrent_activation is None:
        recurrent_activation = facts["recurrent_activation"]
    else:
        check_gate_activation(cell, facts, recurrent_activation)
    if return_sequences is not True and return_sequences is not False:
        return_sequences = flag("return_sequences", return_sequences)
    if go_backwards is not True and go_backwards is not False:
        go_backwards = flag("go_backwards", go_backwards)
    cdef tuple states = states_of(initial_state, facts["states"])
    cdef KeptWeights kept = kept_weights(cell, kernel, recurrent_kernel, bias)

    # The kernels check types and shapes, and copy an array of another layout.
    initial = states or None
    plain = thread.session is None and type(inputs) is ndarray
    for one in states:
        plain = plain and (type(one) is ndarray or one is None)
    keys = None
    if plain and kept is not None:
        w, u, b = kept.arrays
    elif plain and is_plain(kernel) and is_plain(recurrent_kernel) and (bias is None or is_plain(bias)):
        w, u, b = kernel, recurrent_kernel, bias
    else:
        operands = (inputs, kernel, recurrent_kernel, bias, *states)
        keys = keys_of(*operands)
        inputs, w, u, b, *arrays = [value(one) if keys is None else keep(one) for one in operands]
        initial = arrays or None
    arguments = (
        cell,
        inputs,
        w,
        u,
        b,
        initial,
        activation,
        recurrent_activation,
        go_backwards,
        return_sequences,
        keys is not None,
        None if kept is None else kept.packed,
        True,
    )
    return arguments, checked_options(keys is not None, **options) if options else no_options, keys


cdef run(tuple prepared):
    arguments, options, keys = prepared
    outputs, finals, cache = (
        _core.rnn_forward(*arguments, **options) if options else _core.rnn_forward(*arguments)
    )
    return recorded(outputs, finals, keys, None if keys is None else WayBack(cache, len(keys)))


cdef tuple recorded(outputs, tuple finals, keys, back):
    """Outputs and final states, traced if the operands have keys; then there is a way back."""
    if keys is None:
        return outputs, finals
    cdef tuple results = append_many((outputs, *finals), keys, back)
    return results[0], results[1:]


cdef class WayBack(Paired):
    """Backpropagation through time of one call, whose operands are inputs, weights and states.

    Args:
        cache: What forward kept.
        operands: How many there are.
        before: Of the call before, if both ran at once.
    """

    cdef object cache
    cdef Py_ssize_t operands

    def __init__(self, cache, Py_ssize_t operands, WayBack before=None):
        super().__init__(before)
        self.cache = cache
        self.operands = operands

    def __call__(self, needs, *gradients):
        return self.of_operands(_core.rnn_backward(*self.arguments(needs, gradients)))

    def with_before(self, needs, gradients, needs_before, gradients_before):
        cdef WayBack before = self.before
        own, other = _core.rnn_backward_both(
            self.arguments(needs, gradients), before.arguments(needs_before, gradients_before)
        )
        return self.of_operands(own) + before.of_operands(other)

    cdef tuple arguments(self, list needs, gradients):
        return self.cache, gradients[0], tuple(gradients[1:]), needs[0], True

    cdef tuple of_operands(self, tuple found):
        # Of inputs, kernel, recurrent kernel and bias, and of as many initial states as were given.
        return found[:4] if self.operands == 4 else found[:4] + found[4][: self.operands - 4]


cdef bint is_plain(operand):
    return type(operand) is ndarray


cdef int check_gate_activation(cell, dict facts, given) except -1:
    if facts["recurrent_activation"] == "linear" and given != "linear":
        raise ValueError(f"recurrent_activation: expected None for {cell} (no gates), got {given!r}")
    if not isinstance(given, str):
        raise no_name("recurrent_activation", given)
    return 0


cdef object no_name(argument, given):
    return ValueError(f"{argument}: expected the name of an activation, got {given!r}")


cdef tuple states_of(initial_state, Py_ssize_t count):
    if initial_state is None:
        return ()
    cdef tuple states = tuple(initial_state) if isinstance(initial_state, (list, tuple)) else (initial_state,)
    if len(states) != count:
        raise ValueError(f"initial_state: expected {count} array{'s' * (count > 1)}, got {len(states)}")
    return states
