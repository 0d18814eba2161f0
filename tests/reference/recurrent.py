"""Recurrent layers: one loop over time for all cells, and one pair of functions per cell.

Belongs here: the equations of one step of each cell, forward and backward, and the loop that carries states
forward and their gradients back (backpropagation through time).
Does not belong here: plans, threads, fused products; a step is written as it stands in the papers.

Letters: x input [batch, features], h hidden state and c cell state [batch, units], K kernel
[features, gates * units], R recurrent kernel [units, gates * units], b bias, s the recurrent activation
("sigmoid" where nobody chose another), a the activation ("tanh"), * elementwise, @ the matrix product.
To add a cell: write its pair and add one line to CELLS.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.reference.activations import ACTIVATIONS, Function

States = tuple[np.ndarray, ...]


class Weights(NamedTuple):
    """Parameters of a cell, or their gradients."""

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray


class Functions(NamedTuple):
    """The two activations of a cell and their derivatives, all taken at the input of the activation."""

    a: Function
    da: Function
    s: Function
    ds: Function


class Cell(NamedTuple):
    """What the time loop needs to know of a cell."""

    gates: int
    states: int
    bias_rows: int
    forward: Callable[[np.ndarray, States, Weights, Functions], tuple[States, Any]]
    backward: Callable[[Any, States, Weights, Functions], tuple[np.ndarray, States, Weights]]
    state_gates: int | None = None  # gates that the recurrent kernel feeds, if not all


class Run(NamedTuple):
    """A forward pass: what the user sees, and what backward needs."""

    outputs: np.ndarray
    states: States
    cell: Cell
    weights: Weights
    functions: Functions
    has_bias: bool
    go_backwards: bool
    return_sequences: bool
    kept: list[Any]


class Gradients(NamedTuple):
    """Gradients of a loss with respect to every argument of a forward pass."""

    inputs: np.ndarray
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None
    states: States


def simple_rnn_forward(x, states, w, f):
    """h' = a(x @ K + h @ R + b)."""
    (h,) = states
    p = x @ w.kernel + h @ w.recurrent_kernel + w.bias
    return (f.a(p),), (x, h, p)


def simple_rnn_backward(kept, d_states, w, f):
    """dp = dh' * a'(p);  dx = dp @ K^T;  dh = dp @ R^T;  dK = x^T @ dp;  dR = h^T @ dp;  db = sum dp."""
    x, h, p = kept
    (d_h,) = d_states
    dp = d_h * f.da(p)
    return dp @ w.kernel.T, (dp @ w.recurrent_kernel.T,), Weights(x.T @ dp, h.T @ dp, dp.sum(axis=0))


def lstm_forward(x, states, w, f):
    """Long short-term memory, gates in the order i, f, c, o.

    p = x @ K + h @ R + b;  i = s(p_i);  f = s(p_f);  g = a(p_c);  o = s(p_o)
    c' = f * c + i * g;  h' = o * a(c')
    """
    h, c = states
    p_i, p_f, p_c, p_o = np.split(x @ w.kernel + h @ w.recurrent_kernel + w.bias, 4, axis=-1)
    new_c = f.s(p_f) * c + f.s(p_i) * f.a(p_c)
    return (f.s(p_o) * f.a(new_c), new_c), (x, h, c, p_i, p_f, p_c, p_o, new_c)


def lstm_backward(kept, d_states, w, f):
    """do = dh' * a(c');  dc' += dh' * o * a'(c');  df = dc' * c;  di = dc' * g;  dg = dc' * i;  dc = dc' * f.

    Each gate's gradient times the derivative of its activation gives dp, and from there on as simple_rnn.
    """
    x, h, c, p_i, p_f, p_c, p_o, new_c = kept
    d_h, d_new_c = d_states
    d_new_c = d_new_c + d_h * f.s(p_o) * f.da(new_c)
    dp = np.concatenate(
        [
            d_new_c * f.a(p_c) * f.ds(p_i),
            d_new_c * c * f.ds(p_f),
            d_new_c * f.s(p_i) * f.da(p_c),
            d_h * f.a(new_c) * f.ds(p_o),
        ],
        axis=-1,
    )
    d_previous = (dp @ w.recurrent_kernel.T, d_new_c * f.s(p_f))
    return dp @ w.kernel.T, d_previous, Weights(x.T @ dp, h.T @ dp, dp.sum(axis=0))


def gru_forward(x, states, w, f):
    """Gated recurrent unit with reset_after=True, gates in the order z, r, h; b has an input and a state row.

    p = x @ K + b_0;  q = h @ R + b_1;  z = s(p_z + q_z);  r = s(p_r + q_r)
    g = a(p_h + r * q_h);  h' = z * h + (1 - z) * g
    """
    (h,) = states
    p_z, p_r, p_h = np.split(x @ w.kernel + w.bias[0], 3, axis=-1)
    q_z, q_r, q_h = np.split(h @ w.recurrent_kernel + w.bias[1], 3, axis=-1)
    z_in, r_in = p_z + q_z, p_r + q_r
    g_in = p_h + f.s(r_in) * q_h
    z = f.s(z_in)
    return (z * h + (1 - z) * f.a(g_in),), (x, h, z_in, r_in, q_h, g_in)


def gru_backward(kept, d_states, w, f):
    """dz = dh' * (h - g);  dg = dh' * (1 - z);  dp_h = dg * a';  dq_h = dp_h * r;  dr = dp_h * q_h.

    dh = dh' * z + dq @ R^T;  dp = [dz s', dr s', dp_h] goes to x, K and b_0;
    dq = [dz s', dr s', dq_h] goes to h, R and b_1.
    """
    x, h, z_in, r_in, q_h, g_in = kept
    (d_h,) = d_states
    z, r = f.s(z_in), f.s(r_in)
    dp_z = d_h * (h - f.a(g_in)) * f.ds(z_in)
    dp_h = d_h * (1 - z) * f.da(g_in)
    dp_r = dp_h * q_h * f.ds(r_in)
    dp = np.concatenate([dp_z, dp_r, dp_h], axis=-1)
    dq = np.concatenate([dp_z, dp_r, dp_h * r], axis=-1)
    d_bias = np.stack([dp.sum(axis=0), dq.sum(axis=0)])
    return dp @ w.kernel.T, (d_h * z + dq @ w.recurrent_kernel.T,), Weights(x.T @ dp, h.T @ dq, d_bias)


def gru_reset_before_forward(x, states, w, f):
    """Gated recurrent unit with reset_after=False, gates in the order z, r, h; b has one row.

    p = x @ K + b;  z = s(p_z + h @ R_z);  r = s(p_r + h @ R_r)
    g = a(p_h + (r * h) @ R_h);  h' = z * h + (1 - z) * g
    """
    (h,) = states
    p_z, p_r, p_h = np.split(x @ w.kernel + w.bias, 3, axis=-1)
    r_z, r_r, r_h = np.split(w.recurrent_kernel, 3, axis=-1)
    z_in, r_in = p_z + h @ r_z, p_r + h @ r_r
    g_in = p_h + (f.s(r_in) * h) @ r_h
    z = f.s(z_in)
    return (z * h + (1 - z) * f.a(g_in),), (x, h, z_in, r_in, g_in)


def gru_reset_before_backward(kept, d_states, w, f):
    """dz = dh' * (h - g);  dp_h = dh' * (1 - z) * a';  d(r * h) = dp_h @ R_h^T;  dr = d(r * h) * h.

    dh = dh' * z + d(r * h) * r + dp_z @ R_z^T + dp_r @ R_r^T;  dR_h = (r * h)^T @ dp_h.
    """
    x, h, z_in, r_in, g_in = kept
    (d_h,) = d_states
    z, r = f.s(z_in), f.s(r_in)
    r_z, r_r, r_h = np.split(w.recurrent_kernel, 3, axis=-1)
    dp_z = d_h * (h - f.a(g_in)) * f.ds(z_in)
    dp_h = d_h * (1 - z) * f.da(g_in)
    d_reset = dp_h @ r_h.T
    dp_r = d_reset * h * f.ds(r_in)
    dp = np.concatenate([dp_z, dp_r, dp_h], axis=-1)
    d_recurrent = np.concatenate([h.T @ dp_z, h.T @ dp_r, (r * h).T @ dp_h], axis=-1)
    d_previous = d_h * z + d_reset * r + dp_z @ r_z.T + dp_r @ r_r.T
    return dp @ w.kernel.T, (d_previous,), Weights(x.T @ dp, d_recurrent, dp.sum(axis=0))


CELLS: dict[str, Cell] = {
    "simple_rnn": Cell(1, 1, 1, simple_rnn_forward, simple_rnn_backward),
    "lstm": Cell(4, 2, 1, lstm_forward, lstm_backward),
    "gru": Cell(3, 1, 2, gru_forward, gru_backward),
    "gru_reset_before": Cell(3, 1, 1, gru_reset_before_forward, gru_reset_before_backward),
}


def bias_shape(cell: str, units: int) -> tuple[int, ...]:
    """Return the shape of the bias: [gates * units], or [2, 3 * units] of a GRU with reset_after."""
    width = CELLS[cell].gates * units
    return (width,) if CELLS[cell].bias_rows == 1 else (CELLS[cell].bias_rows, width)


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
) -> Run:
    """Run a cell over a batch of sequences.

    Args:
        cell: a name of CELLS.
        inputs: [batch, timesteps, features]; its dtype is that of the computation.
        kernel: [features, gates * units].
        recurrent_kernel: [units, gates * units].
        bias: `bias_shape(cell, units)`, or None for none.
        initial_states: one [batch, units] per state, or None for zeros.
        activation: name of the activation a.
        recurrent_activation: name of the activation s; simple_rnn has none and ignores it.
        go_backwards: read time from the end; outputs stay in the order they were computed in.
        return_sequences: outputs are [batch, timesteps, units], or [batch, units] of the last step.

    Returns:
        A Run whose outputs and states are the result.
    """
    rule = CELLS[cell]
    batch, timesteps, _ = inputs.shape
    units = recurrent_kernel.shape[0]
    has_bias = bias is not None
    dtype = np.result_type(
        inputs, kernel, recurrent_kernel, *([bias] if has_bias else []), *(initial_states or ())
    )
    weights = Weights(
        kernel, recurrent_kernel, bias if has_bias else np.zeros(bias_shape(cell, units), dtype)
    )
    functions = Functions(*ACTIVATIONS[activation], *ACTIVATIONS[recurrent_activation])
    states = initial_states or tuple(np.zeros((batch, units), dtype) for _ in range(rule.states))
    outputs = np.zeros((batch, timesteps, units), dtype)
    kept = []
    for step in range(timesteps):
        source = timesteps - 1 - step if go_backwards else step
        states, step_kept = rule.forward(inputs[:, source], states, weights, functions)
        outputs[:, step] = states[0]
        kept.append(step_kept)
    result = outputs if return_sequences else outputs[:, -1]
    return Run(result, states, rule, weights, functions, has_bias, go_backwards, return_sequences, kept)


def backward(run: Run, d_outputs: np.ndarray | None = None, d_states: States | None = None) -> Gradients:
    """Carry gradients of a loss back through a forward pass.

    Args:
        run: what forward returned.
        d_outputs: gradient of the loss with respect to run.outputs, same shape, or None for zero.
        d_states: gradient with respect to each final state, [batch, units] each, or None for zeros.

    Returns:
        The gradients, `bias` None if the run had none.
    """
    timesteps = len(run.kept)
    d_states = d_states or tuple(np.zeros_like(state) for state in run.states)
    d_weights = Weights(*(np.zeros_like(weight) for weight in run.weights))
    d_inputs: list[np.ndarray] = [run.outputs] * timesteps
    for step in reversed(range(timesteps)):
        if d_outputs is not None and run.return_sequences:
            d_states = (d_states[0] + d_outputs[:, step], *d_states[1:])
        elif d_outputs is not None and step == timesteps - 1:
            d_states = (d_states[0] + d_outputs, *d_states[1:])
        d_x, d_states, d_step = run.cell.backward(run.kept[step], d_states, run.weights, run.functions)
        d_inputs[timesteps - 1 - step if run.go_backwards else step] = d_x
        d_weights = Weights(*(total + part for total, part in zip(d_weights, d_step, strict=True)))
    d_bias = d_weights.bias if run.has_bias else None
    return Gradients(
        np.stack(d_inputs, axis=1), d_weights.kernel, d_weights.recurrent_kernel, d_bias, tuple(d_states)
    )
