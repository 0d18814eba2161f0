"""Recurrent cells over a whole sequence, each call one record of the tape.

The cells are listed in one place, the kernels: ``_core.rnn_cells()``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from timeloom import _core
from timeloom.arguments import flag
from timeloom.autograd import is_recorded, keep, record_many, value
from timeloom.ops.checks import contiguous


class Options(TypedDict, total=False):
    """The keyword arguments of ``recurrent`` that its short forms hand on."""

    mask: Any
    lengths: Any
    zero_output_for_mask: bool
    keep_time_order: bool
    input_dropout: Any
    recurrent_dropout: Any
    zoneout: Any


@functools.cache
def cells() -> dict[str, Any]:
    """The recurrent cells by name, each with its numbers of gates and states."""
    return dict(_core.rnn_cells())


def recurrent(
    cell: str,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    mask: Any = None,
    lengths: Any = None,
    zero_output_for_mask: bool = False,
    keep_time_order: bool = False,
    input_dropout: Any = None,
    recurrent_dropout: Any = None,
    zoneout: Any = None,
) -> tuple[Any, tuple[Any, ...]]:
    """Run a recurrent cell over a sequence.

    Without a tape nothing is kept for a gradient. With one, the whole sequence is one record, whose backward
    is backpropagation through time. Masked timesteps are not computed, whatever the inputs hold there.

    Args:
        cell: "simple_rnn", "lstm", "gru" or "gru_reset_before"; their equations are at ``simple_rnn``,
            ``lstm`` and ``gru``.
        inputs: [batch, timesteps, features], float32 or float64, at least one timestep. Or packed: the
            sequences one after the other, [sum of lengths, features], beside ``lengths``.
        kernel: input weights [features, gates * units].
        recurrent_kernel: recurrent weights [units, gates * units].
        bias: [gates * units], or [2, gates * units] for "gru"; None for no bias.
        initial_state: one array [batch, units] for each state (a list or tuple, or the array of a single
            state); None for zeros.
        activation: name of an elementwise activation of ``timeloom.activations``. Default: that of the cell,
            tanh.
        recurrent_activation: activation of the gates. Default: that of the cell, sigmoid; only None for a
            cell without gates.
        return_sequences: whether the outputs of every timestep are returned, or of the last one.
        go_backwards: whether time runs from the last timestep to the first; outputs stay in the order of
            processing.
        mask: bool [batch, timesteps], False where a timestep does not exist: there states stay as they are.
        lengths: integers [batch], the timesteps that exist, from the first on; not beside a mask.
        zero_output_for_mask: whether the output of a masked timestep is zero. Default: that of the timestep
            processed before it, zero before the first one.
        keep_time_order: whether, with go_backwards, outputs stand at the timestep of their input.
        input_dropout: factors of the inputs for each gate, the same at every timestep,
            [gates, batch, features].
        recurrent_dropout: factors of the state in its products, likewise, [gates, batch, units].
        zoneout: for each state the part of its old value that it keeps: None, a rate in [0, 1], or an array
            laid out as the outputs of all timesteps.

    Returns:
        The outputs, [batch, timesteps, units] ([sum of lengths, units] if packed) or [batch, units], and a
        tuple of the final states, each [batch, units]. A sequence without a timestep has outputs of zero and
        final states like its initial ones.

    Raises:
        TypeError: another dtype, or several.
        ValueError: an unknown cell or activation; shapes that do not fit; lengths out of range.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> x = np.ones((2, 5, 3))
        >>> y, (h, c) = ops.recurrent("lstm", x, np.zeros((3, 16)), np.zeros((4, 16)), return_sequences=True)
        >>> y.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))
    """
    facts = cells().get(cell) if isinstance(cell, str) else None
    if facts is None:
        raise ValueError(f"cell: expected one of {', '.join(cells())}, got {cell!r}")
    has_gates = facts["recurrent_activation"] != "linear"
    if not has_gates and recurrent_activation not in (None, "linear"):
        raise ValueError(
            f"recurrent_activation: expected None for {cell} (no gates), got {recurrent_activation!r}"
        )
    states = _states(initial_state, facts["states"])
    operands = (inputs, kernel, recurrent_kernel, bias, *states)
    recorded = is_recorded(*operands)
    # The kernels check types and shapes; here only the layout is made theirs.
    given = [contiguous(keep(one) if recorded else value(one)) for one in operands]
    outputs, finals, cache = _core.rnn_forward(
        cell,
        given[0],
        given[1],
        given[2],
        given[3],
        tuple(given[4:]) if states else None,
        _activation_name("activation", activation, facts["activation"]),
        _activation_name("recurrent_activation", recurrent_activation, facts["recurrent_activation"]),
        flag("go_backwards", go_backwards),
        flag("return_sequences", return_sequences),
        recorded,
        mask=_mask(mask),
        lengths=_lengths(lengths),
        zero_output_for_mask=flag("zero_output_for_mask", zero_output_for_mask),
        keep_time_order=flag("keep_time_order", keep_time_order),
        input_dropout=_constant("input_dropout", input_dropout, recorded),
        recurrent_dropout=_constant("recurrent_dropout", recurrent_dropout, recorded),
        zoneout=_zoneout(zoneout, recorded),
    )
    if not recorded:
        return outputs, finals

    def backward(needs: Sequence[bool], d_outputs: Any, *d_finals: Any) -> Sequence[Any]:
        d_states = tuple(contiguous(d) for d in d_finals)  # None: no gradient
        d_inputs, d_kernel, d_recurrent, d_bias, d_initial = _core.rnn_backward(
            cache, contiguous(d_outputs), d_states, need_inputs=needs[0]
        )
        return (d_inputs, d_kernel, d_recurrent, d_bias, *d_initial[: len(states)])

    results = record_many((outputs, *finals), operands, backward)
    return results[0], results[1:]


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


def _activation_name(argument: str, given: Any, default: str) -> str:
    if given is None:
        return default
    if not isinstance(given, str):
        raise ValueError(f"{argument}: expected the name of an activation, got {given!r}")
    return given


def _states(initial_state: Any, count: int) -> tuple[Any, ...]:
    if initial_state is None:
        return ()
    states = tuple(initial_state) if isinstance(initial_state, (list, tuple)) else (initial_state,)
    if len(states) != count:
        raise ValueError(f"initial_state: expected {count} array{'s' * (count > 1)}, got {len(states)}")
    return states


def simple_rnn(
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    *,
    activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    **options: Unpack[Options],
) -> tuple[Any, tuple[Any]]:
    """A simple recurrent network (Elman).

    Equations:
        h_t = activation(x_t W + h_{t-1} U + b)

    Args:
        inputs: [batch, timesteps, features].
        kernel: W [features, units].
        recurrent_kernel: U [units, units].
        bias: b [units] or None.
        initial_state: h_0 [batch, units]; None for zeros.
        activation: default tanh.
        return_sequences: as ``recurrent``.
        go_backwards: as ``recurrent``.
        **options: mask, lengths and the others of ``recurrent``.

    Returns:
        The outputs and ``(h,)``.

    Reference:
        Elman, Finding Structure in Time, Cognitive Science 14, 1990; Keras's SimpleRNN.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> x, w, u = np.ones((1, 2, 1)), np.ones((1, 1)), np.ones((1, 1))
        >>> y, (h,) = ops.simple_rnn(x, w, u, activation="linear")
        >>> y
        array([[2.]])
    """
    return recurrent(
        "simple_rnn",
        inputs,
        kernel,
        recurrent_kernel,
        bias,
        initial_state,
        activation=activation,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )


def lstm(
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    **options: Unpack[Options],
) -> tuple[Any, tuple[Any, Any]]:
    """Long short-term memory; gates in the order i, f, c, o.

    Equations:
        z = x_t W + h_{t-1} U + b
        i, f, o = recurrent_activation(z_i, z_f, z_o)
        c_t = f * c_{t-1} + i * activation(z_c)
        h_t = o * activation(c_t)

    Args:
        inputs: [batch, timesteps, features].
        kernel: W [features, 4 * units].
        recurrent_kernel: U [units, 4 * units].
        bias: b [4 * units] or None.
        initial_state: ``(h_0, c_0)``, each [batch, units]; None for zeros.
        activation: default tanh.
        recurrent_activation: default sigmoid.
        return_sequences: as ``recurrent``.
        go_backwards: as ``recurrent``.
        **options: mask, lengths and the others of ``recurrent``.

    Returns:
        The outputs and ``(h, c)``.

    Reference:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997, with the forget gate
        of Gers, Schmidhuber and Cummins, 2000; Keras's LSTM.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> x, w, u = np.ones((1, 2, 1)), np.zeros((1, 4)), np.zeros((1, 4))
        >>> y, (h, c) = ops.lstm(x, w, u, np.array([0.0, 0.0, 9.0, 0.0]))
        >>> c.round(3)
        array([[0.75]])
    """
    return recurrent(
        "lstm",
        inputs,
        kernel,
        recurrent_kernel,
        bias,
        initial_state,
        activation=activation,
        recurrent_activation=recurrent_activation,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )


def gru(
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    reset_after: bool = True,
    **options: Unpack[Options],
) -> tuple[Any, tuple[Any]]:
    """Gated recurrent unit; gates in the order z, r, h.

    Equations:
        z, r = recurrent_activation(x_t W_zr + h_{t-1} U_zr + biases)
        reset_after:      n = activation(x_t W_h + b_0h + r * (h_{t-1} U_h + b_1h))
        not reset_after:  n = activation(x_t W_h + b_h + (r * h_{t-1}) U_h)
        h_t = z * h_{t-1} + (1 - z) * n

    Args:
        inputs: [batch, timesteps, features].
        kernel: W [features, 3 * units].
        recurrent_kernel: U [units, 3 * units].
        bias: [2, 3 * units] with reset_after (b_0 of the input, b_1 of the state), else [3 * units]; or None.
        initial_state: h_0 [batch, units]; None for zeros.
        activation: default tanh.
        recurrent_activation: default sigmoid.
        return_sequences: as ``recurrent``.
        go_backwards: as ``recurrent``.
        reset_after: whether the reset gate multiplies after the recurrent product (Keras's default) or
            before.
        **options: mask, lengths and the others of ``recurrent``.

    Returns:
        The outputs and ``(h,)``.

    Reference:
        Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014 (reset before);
        Keras's GRU.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> x, w, u = np.ones((1, 2, 1)), np.zeros((1, 3)), np.zeros((1, 3))
        >>> y, (h,) = ops.gru(x, w, u, initial_state=np.ones((1, 1)))
        >>> y
        array([[0.25]])
    """
    return recurrent(
        "gru" if reset_after else "gru_reset_before",
        inputs,
        kernel,
        recurrent_kernel,
        bias,
        initial_state,
        activation=activation,
        recurrent_activation=recurrent_activation,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )
