"""Recurrent cells over a whole sequence, each call one record of the tape.

The cells are listed in one place, the kernels: ``_core.rnn_cells()``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from timeloom.ops.recurrent_call import call, run_both
from timeloom.ops.recurrent_options import OPTIONS, Options

_REQUIRED = frozenset(("cell", "inputs", "kernel", "recurrent_kernel"))
_ARGUMENTS = _REQUIRED | {
    "bias",
    "initial_state",
    "activation",
    "recurrent_activation",
    "return_sequences",
    "go_backwards",
}


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
    options: Options = {}
    if not (
        mask is None
        and lengths is None
        and zero_output_for_mask is False
        and keep_time_order is False
        and input_dropout is None
        and recurrent_dropout is None
        and zoneout is None
    ):
        options = {
            "mask": mask,
            "lengths": lengths,
            "zero_output_for_mask": zero_output_for_mask,
            "keep_time_order": keep_time_order,
            "input_dropout": input_dropout,
            "recurrent_dropout": recurrent_dropout,
            "zoneout": zoneout,
        }
    return call(
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


def recurrent_pair(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[tuple[Any, tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]:
    """Run two calls of ``recurrent`` that do not need each other, such as the two directions of time.

    They run side by side, a thread each, where that is sooner than one after the other on all threads, and so
    do their gradients. The results are the same either way.

    Args:
        first: the arguments of ``recurrent`` by name.
        second: likewise.

    Returns:
        What ``recurrent`` returns for each.

    Raises:
        TypeError: an argument that ``recurrent`` does not know or that is missing; else as ``recurrent``.
        ValueError: as ``recurrent``.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> call = {
        ...     "cell": "simple_rnn",
        ...     "inputs": np.array([[[1.0], [2.0]]]),
        ...     "kernel": np.ones((1, 1)),
        ...     "recurrent_kernel": np.ones((1, 1)),
        ...     "activation": "linear",
        ...     "return_sequences": True,
        ... }
        >>> (one, _), (other, _) = ops.recurrent_pair(call, {**call, "go_backwards": True})
        >>> one[0, :, 0], other[0, :, 0]
        (array([1., 3.]), array([2., 3.]))
    """
    one, other = run_both(_arguments(first), _arguments(second))
    return one, other


def _arguments(given_call: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``recurrent`` by name, the options that are not at their defaults in a dict of their own."""
    arguments = dict(given_call)
    options: dict[str, Any] = {}
    for name, default in OPTIONS.items():
        given = arguments.pop(name, default)
        if given is not default:
            options[name] = given
    if not _REQUIRED <= arguments.keys() <= _ARGUMENTS:
        for name in arguments.keys() - _ARGUMENTS:
            raise TypeError(f"{name}: expected a name of an argument of recurrent, got {name!r}")
        raise TypeError(f"{min(_REQUIRED - arguments.keys())}: expected a value, got none")
    return {**arguments, "options": options}


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
    return call(
        "simple_rnn",
        inputs,
        kernel,
        recurrent_kernel,
        bias,
        initial_state,
        activation,
        None,
        return_sequences,
        go_backwards,
        options,
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
    return call(
        "lstm",
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
    return call(
        "gru" if reset_after else "gru_reset_before",
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
