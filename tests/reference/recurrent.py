"""Recurrent layers: one loop over time for all cells.

Belongs here: the loop that carries states forward and their gradients back (backpropagation through time),
one masked step after the other.
Does not belong here: the equations of a step (cells.py); plans, threads, rows ordered by their lengths.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tests.reference.activations import ACTIVATIONS
from tests.reference.cells import CELLS, Cell, Functions, Multipliers, States, Weights, bias_shape


class Step(NamedTuple):
    """One step of the loop, for all rows of the batch."""

    source: int  # timestep of the inputs
    place: int  # timestep of the outputs
    valid: np.ndarray  # [batch, 1], False where the step is masked
    zoneout: tuple[np.ndarray | float | None, ...]  # for each state
    kept: Any


class Run(NamedTuple):
    """A forward pass: what the user sees, and what backward needs."""

    outputs: np.ndarray
    states: States
    cell: Cell
    weights: Weights
    functions: Functions
    multipliers: Multipliers
    has_bias: bool
    return_sequences: bool
    zero_output_for_mask: bool
    steps: list[Step]
    packed: tuple[np.ndarray, np.ndarray] | None  # (row, timestep) of each row of packed inputs
    packed_outputs: tuple[np.ndarray, np.ndarray] | None  # the same of packed outputs


class Gradients(NamedTuple):
    """Gradients of a loss with respect to every argument of a forward pass."""

    inputs: np.ndarray
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None
    states: States


def mask_of_lengths(lengths: Sequence[int] | np.ndarray, timesteps: int) -> np.ndarray:
    """The mask [batch, timesteps] whose row has True at its first `length` timesteps."""
    return np.arange(timesteps) < np.asarray(lengths)[:, None]


def forward(
    cell: str,
    inputs: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    initial_states: States | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    go_backwards: bool = False,
    return_sequences: bool = True,
    mask: np.ndarray | None = None,
    lengths: np.ndarray | None = None,
    zero_output_for_mask: bool = False,
    keep_time_order: bool = False,
    input_dropout: np.ndarray | None = None,
    recurrent_dropout: np.ndarray | None = None,
    zoneout: tuple[np.ndarray | float | None, ...] | None = None,
) -> Run:
    """Run a cell over a batch of sequences.

    At a masked step nothing is computed: the states stay, and the output is that of the step before, zero
    where no step was valid before, or always zero with zero_output_for_mask.

    Args:
        cell: a name of CELLS.
        inputs: [batch, timesteps, features], or packed [sum(lengths), features]: one sequence after the
            other. Their dtype is that of the computation.
        kernel: [features, gates * units].
        recurrent_kernel: [units, gates * units].
        bias: `bias_shape(cell, units)`, or None for none.
        initial_states: one [batch, units] per state, or None for zeros.
        activation: name of the activation a.
        recurrent_activation: name of the activation s; simple_rnn has none and ignores it.
        go_backwards: read time from the end.
        return_sequences: outputs are [batch, timesteps, units], packed where the inputs are, or
            [batch, units] of the last step; the last step of a packed sequence is never masked.
        mask: bool [batch, timesteps], False where a timestep is masked.
        lengths: [batch], instead of a mask: timesteps from a row's length on are masked.
        zero_output_for_mask: whether the output of a masked step is zero.
        keep_time_order: outputs stand at the timestep of their input; else in the order of computation.
        input_dropout: [gates, batch, features]; every step of gate g reads inputs * input_dropout[g].
        recurrent_dropout: [gates, batch, units], the same for the hidden state that feeds the gates.
        zoneout: for each state None, a rate, or an array laid out like the outputs of all steps. The cell's
            new state becomes zoneout * old + (1 - zoneout) * new.

    Returns:
        A Run whose outputs and states are the result.
    """
    rule = CELLS[cell]
    batch = len(inputs) if lengths is None else len(lengths)
    units = recurrent_kernel.shape[0]
    zoneout = zoneout or (None,) * rule.states
    packed = packed_outputs = None
    if inputs.ndim == 2:
        timesteps = int(max(lengths, default=0))
        packed = np.nonzero(mask_of_lengths(lengths, timesteps))
        rows, times = packed
        # Without its padding, a sequence that is read from its end starts at once.
        reverse = go_backwards and not keep_time_order
        packed_outputs = (rows, times + (timesteps - np.asarray(lengths))[rows] if reverse else times)
        inputs = spread(inputs, packed, (batch, timesteps))
        zoneout = tuple(spread(z, packed_outputs, (batch, timesteps)) if np.ndim(z) else z for z in zoneout)
        zero_output_for_mask = False
    timesteps = inputs.shape[1]
    if lengths is not None:
        mask = mask_of_lengths(lengths, timesteps)
    elif mask is None:
        mask = np.ones((batch, timesteps), bool)
    has_bias = bias is not None
    given = [kernel, recurrent_kernel, bias, *(initial_states or ()), input_dropout, recurrent_dropout]
    dtype = np.result_type(inputs, *[array for array in given if array is not None])
    weights = Weights(
        kernel, recurrent_kernel, bias if has_bias else np.zeros(bias_shape(cell, units), dtype)
    )
    functions = Functions(*ACTIVATIONS[activation], *ACTIVATIONS[recurrent_activation])
    multipliers = Multipliers(input_dropout, recurrent_dropout)
    states = initial_states or tuple(np.zeros((batch, units), dtype) for _ in range(rule.states))
    outputs = np.zeros((batch, timesteps, units), dtype)
    output = np.zeros((batch, units), dtype)
    steps = []
    for step in range(timesteps):
        source = timesteps - 1 - step if go_backwards else step
        place = source if keep_time_order else step
        valid = mask[:, source, None]
        # What stands at a masked step is never read: it may be NaN.
        x = np.where(valid, inputs[:, source], 0)
        keeps = tuple(np.where(valid, z[:, place], 0) if np.ndim(z) else z for z in zoneout)
        computed, kept = rule.forward(x, states, weights, functions, multipliers)
        blended = [
            new if keep is None else keep * old + (1 - keep) * new
            for keep, old, new in zip(keeps, states, computed, strict=True)
        ]
        states = tuple(np.where(valid, new, old) for new, old in zip(blended, states, strict=True))
        output = np.where(valid, states[0], 0 if zero_output_for_mask else output)
        outputs[:, place] = output
        steps.append(Step(source, place, valid, keeps, kept))
    if return_sequences:
        output = outputs if packed_outputs is None else outputs[packed_outputs]
    return Run(
        output,
        states,
        rule,
        weights,
        functions,
        multipliers,
        has_bias,
        return_sequences,
        zero_output_for_mask,
        steps,
        packed,
        packed_outputs,
    )


def spread(packed, places, shape):
    """Packed rows at their (row, timestep) in zeros [batch, timesteps, ...]."""
    result = np.zeros(shape + packed.shape[1:], packed.dtype)
    result[places] = packed
    return result


def backward(run: Run, d_outputs: np.ndarray | None = None, d_states: States | None = None) -> Gradients:
    """Carry gradients of a loss back through a forward pass.

    Args:
        run: what forward returned.
        d_outputs: gradient of the loss with respect to run.outputs, same shape, or None for zero.
        d_states: gradient with respect to each final state, [batch, units] each, or None for zeros.

    Returns:
        The gradients, `bias` None if the run had none.
    """
    timesteps, (batch, features) = len(run.steps), (len(run.states[0]), len(run.weights.kernel))
    d_states = d_states or tuple(np.zeros_like(state) for state in run.states)
    d_weights = Weights(*(np.zeros_like(weight) for weight in run.weights))
    d_inputs = np.zeros((batch, timesteps, features), run.states[0].dtype)
    d_output = np.zeros_like(run.states[0])  # of the output that masked steps repeat
    if d_outputs is not None and not run.return_sequences:
        d_output = d_outputs
    elif d_outputs is not None and run.packed_outputs is not None:
        d_outputs = spread(d_outputs, run.packed_outputs, (batch, timesteps))
    for step in reversed(run.steps):
        if d_outputs is not None and run.return_sequences:
            d_output = d_output + d_outputs[:, step.place]
        d_states = (d_states[0] + np.where(step.valid, d_output, 0), *d_states[1:])
        d_output = np.where(step.valid | run.zero_output_for_mask, 0, d_output)
        d_computed, d_kept_back = [], []
        for d, keep in zip(d_states, step.zoneout, strict=True):
            d_computed.append(np.where(step.valid, d if keep is None else (1 - keep) * d, 0))
            d_kept_back.append(np.where(step.valid, 0 if keep is None else keep * d, d))
        d_x, d_old, d_step = run.cell.backward(
            step.kept, tuple(d_computed), run.weights, run.functions, run.multipliers
        )
        d_states = tuple(
            np.where(step.valid, old, 0) + back for old, back in zip(d_old, d_kept_back, strict=True)
        )
        d_inputs[:, step.source] = np.where(step.valid, d_x, 0)
        d_weights = Weights(*(total + part for total, part in zip(d_weights, d_step, strict=True)))
    d_bias = d_weights.bias if run.has_bias else None
    d_inputs = d_inputs if run.packed is None else d_inputs[run.packed]
    return Gradients(d_inputs, d_weights.kernel, d_weights.recurrent_kernel, d_bias, tuple(d_states))
