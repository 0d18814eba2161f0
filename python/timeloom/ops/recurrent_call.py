"""Calls of recurrent cells: from operands and options to the kernels and the record of a tape.

Here: what ``recurrent`` and its short forms share. Not here: their documentation (recurrent), how weights are
    kept packed (weights).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

import numpy as np

from timeloom import _core
from timeloom.arguments import flag
from timeloom.autograd import append_many, is_recorded, keep, keys_of, value
from timeloom.autograd.recording import Paired, thread
from timeloom.ops.checks import contiguous
from timeloom.ops.weights import kept_weights


class Options(TypedDict, total=False):
    """The keyword arguments of ``recurrent`` that its short forms hand on."""

    mask: Any
    lengths: Any
    zero_output_for_mask: bool
    keep_time_order: bool
    input_dropout: Any
    recurrent_dropout: Any
    zoneout: Any


# The same with their defaults.
OPTIONS: dict[str, Any] = {
    name: False if name in ("zero_output_for_mask", "keep_time_order") else None
    for name in Options.__annotations__
}
_NO_OPTIONS: dict[str, Any] = {}
_PLAIN = (np.ndarray, type(None))


@functools.cache
def cells() -> dict[str, Any]:
    """The recurrent cells by name, each with its numbers of gates and states."""
    return dict(_core.rnn_cells())


# What the kernels are given, and the keys of inputs, weights and states on a tape: None if there is none.
Prepared: TypeAlias = tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...] | None]
# Outputs and final states.
Results: TypeAlias = tuple[Any, tuple[Any, ...]]


def prepare(
    cell: str,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    options: Options | None = None,
) -> Prepared:
    """Check a call; the arguments of ``recurrent``, whose options may be none at all."""
    # A step of a small cell takes the kernels less than a microsecond: what is usual is asked first.
    facts = cells().get(cell) if isinstance(cell, str) else None
    if facts is None:
        raise ValueError(f"cell: expected one of {', '.join(cells())}, got {cell!r}")
    if activation is None:
        activation = facts["activation"]
    elif not isinstance(activation, str):
        raise _no_name("activation", activation)
    if recurrent_activation is None:
        recurrent_activation = facts["recurrent_activation"]
    else:
        recurrent_activation = _gate_activation(cell, facts, recurrent_activation)
    if return_sequences is not True and return_sequences is not False:
        return_sequences = flag("return_sequences", return_sequences)
    if go_backwards is not True and go_backwards is not False:
        go_backwards = flag("go_backwards", go_backwards)
    states = () if initial_state is None else _states(initial_state, facts["states"])
    kept = kept_weights(cell, kernel, recurrent_kernel, bias)

    # The kernels check types and shapes, and copy an array of another layout.
    initial: Any = states or None
    plain = thread.session is None and type(inputs) is np.ndarray
    for one in states:
        plain = plain and (type(one) is np.ndarray or one is None)
    keys = None
    if plain and kept is not None:
        w, u, b = kept.arrays
    elif plain and type(kernel) is type(recurrent_kernel) is np.ndarray and type(bias) in _PLAIN:
        w, u, b = kernel, recurrent_kernel, bias
    else:
        operands = (inputs, kernel, recurrent_kernel, bias, *states)
        keys = keys_of(*operands)
        inputs, w, u, b, *arrays = map(value if keys is None else keep, operands)
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
    return arguments, _options(keys is not None, **options) if options else _NO_OPTIONS, keys


def run(prepared: Prepared) -> Results:
    """Run a call."""
    arguments, options, keys = prepared
    found = _core.rnn_forward(*arguments, **options) if options else _core.rnn_forward(*arguments)
    outputs, finals, cache = found
    if keys is None:
        return outputs, finals
    results = append_many((outputs, *finals), keys, _WayBack(cache, len(keys)))
    return results[0], results[1:]


def run_both(*calls: Prepared) -> list[Results]:
    """Run two calls, side by side where that is sooner, and so the way back if it leads through both."""
    (first, first_options, _), (second, second_options, _) = calls
    found = _core.rnn_forward_both(first, first_options, second, second_options)
    results: list[Results] = []
    back = None
    for (_, _, keys), (outputs, finals, cache) in zip(calls, found, strict=True):
        if keys is None:
            results.append((outputs, finals))
            continue
        back = _WayBack(cache, len(keys), back)
        recorded = append_many((outputs, *finals), keys, back)
        results.append((recorded[0], recorded[1:]))
    return results


class _WayBack(Paired):
    """Backpropagation through time of one call, whose operands are inputs, weights and states.

    Args:
        cache: What forward kept.
        operands: How many there are.
        before: Of the call before, if both ran at once.
    """

    __slots__ = ("cache", "operands")

    before: _WayBack | None

    def __init__(self, cache: Any, operands: int, before: _WayBack | None = None) -> None:
        self.before = before
        self.cache = cache
        self.operands = operands

    def __call__(self, needs: Sequence[bool], *gradients: Any) -> Sequence[Any]:
        return self._of_operands(_core.rnn_backward(self.cache, gradients[0], gradients[1:], needs[0], True))

    def with_before(
        self,
        needs: Sequence[bool],
        gradients: Sequence[Any],
        needs_before: Sequence[bool],
        gradients_before: Sequence[Any],
    ) -> Sequence[Any]:
        before = self.before
        assert before is not None
        own, other = _core.rnn_backward_both(
            self._arguments(needs, gradients), before._arguments(needs_before, gradients_before)
        )
        return (*self._of_operands(own), *before._of_operands(other))

    def _arguments(self, needs: Sequence[bool], gradients: Sequence[Any]) -> tuple[Any, ...]:
        return self.cache, gradients[0], gradients[1:], needs[0], True

    def _of_operands(self, found: Any) -> tuple[Any, ...]:
        # Of inputs, kernel, recurrent kernel and bias, and of as many initial states as were given.
        return found[:4] if self.operands == 4 else (*found[:4], *found[4][: self.operands - 4])


def _options(
    recorded: bool,
    *,
    mask: Any = None,
    lengths: Any = None,
    zero_output_for_mask: bool = False,
    keep_time_order: bool = False,
    input_dropout: Any = None,
    recurrent_dropout: Any = None,
    zoneout: Any = None,
) -> dict[str, Any]:
    """The options as the kernels take them."""
    return {
        "mask": _mask(mask),
        "lengths": _lengths(lengths),
        "zero_output_for_mask": flag("zero_output_for_mask", zero_output_for_mask),
        "keep_time_order": flag("keep_time_order", keep_time_order),
        "input_dropout": _constant("input_dropout", input_dropout, recorded),
        "recurrent_dropout": _constant("recurrent_dropout", recurrent_dropout, recorded),
        "zoneout": _zoneout(zoneout, recorded),
    }


def _constant(name: str, given: Any, kept: bool = False) -> Any:
    """An array that no gradient flows to, as it is now if it is kept for backward."""
    if given is None:
        return None
    if is_recorded(given):
        raise TypeError(f"{name}: expected a plain array, got a recorded one; take its .numpy()")
    return contiguous(keep(given) if kept else value(given))


def _mask(given: Any) -> Any:
    if given is None:
        return None
    mask = np.asarray(_constant("mask", given))
    if mask.dtype.kind not in "biuf":
        raise TypeError(f"mask: expected bools, got dtype {mask.dtype}")
    return np.ascontiguousarray(mask if mask.dtype == bool else mask != 0)


def _lengths(given: Any) -> Any:
    if given is None:
        return None
    lengths = np.asarray(_constant("lengths", given))
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"lengths: expected integers, got dtype {lengths.dtype}")
    if lengths.dtype == np.uint64 and lengths.size and lengths.max() > np.iinfo(np.int64).max:
        raise ValueError(f"lengths: expected lengths of timesteps, got {lengths.max()}")
    return np.ascontiguousarray(lengths, np.int64)


def _zoneout(given: Any, kept: bool) -> Any:
    if given is None:
        return None
    parts = given if isinstance(given, (list, tuple)) else (given,)
    return tuple(
        part
        if part is None
        else float(part)
        if isinstance(part, (int, float, np.integer, np.floating))
        else _constant("zoneout", part, kept)
        for part in parts
    )


def _gate_activation(cell: str, facts: dict[str, Any], given: Any) -> str:
    if facts["recurrent_activation"] == "linear" and given != "linear":
        raise ValueError(f"recurrent_activation: expected None for {cell} (no gates), got {given!r}")
    if not isinstance(given, str):
        raise _no_name("recurrent_activation", given)
    return given


def _no_name(argument: str, given: Any) -> ValueError:
    return ValueError(f"{argument}: expected the name of an activation, got {given!r}")


def _states(initial_state: Any, count: int) -> tuple[Any, ...]:
    if initial_state is None:
        return ()
    states = tuple(initial_state) if isinstance(initial_state, (list, tuple)) else (initial_state,)
    if len(states) != count:
        raise ValueError(f"initial_state: expected {count} array{'s' * (count > 1)}, got {len(states)}")
    return states
