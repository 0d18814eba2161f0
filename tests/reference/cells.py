"""One step of each recurrent cell, forward and backward: a pair of functions per cell.

Belongs here: the equations of a step as they stand in the papers.
Does not belong here: time, masks and zoneout, which are the loop's (recurrent.py); plans, threads, fusion.

Letters: x input [batch, features], h hidden state and c cell state [batch, units], K kernel
[features, gates * units], R recurrent kernel [units, gates * units], b bias, s the recurrent activation
("sigmoid" where nobody chose another), a the activation ("tanh"), m the multipliers of dropout, *
elementwise, @ the matrix product. With dropout, gate g of a product written x @ K reads x * m_g.
To add a cell: write its pair and add one line to CELLS.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.reference.activations import Function

States = tuple[np.ndarray, ...]


class Weights(NamedTuple):
    """Parameters of a cell, or their gradients."""

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray


class Multipliers(NamedTuple):
    """Dropout: [gates, batch, features] of the inputs, [gates, batch, units] of the hidden state."""

    inputs: np.ndarray | None
    states: np.ndarray | None


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
    forward: Callable[[np.ndarray, States, Weights, Functions, Multipliers], tuple[States, Any]]
    backward: Callable[[Any, States, Weights, Functions, Multipliers], tuple[np.ndarray, States, Weights]]
    state_gates: int | None = None  # gates that the recurrent kernel feeds, if not all


def product(x, kernel, multipliers):
    """[(x * m_0) @ K_0, (x * m_1) @ K_1, ...] side by side; x @ K without multipliers."""
    if multipliers is None:
        return x @ kernel
    blocks = np.split(kernel, len(multipliers), axis=-1)
    return np.concatenate([(x * m) @ block for m, block in zip(multipliers, blocks, strict=True)], axis=-1)


def product_backward(x, kernel, multipliers, d):
    """dx = sum over gates of m_g * (d_g @ K_g^T);  dK_g = (x * m_g)^T @ d_g."""
    if multipliers is None:
        return d @ kernel.T, x.T @ d
    gates = len(multipliers)
    blocks, parts = np.split(kernel, gates, axis=-1), np.split(d, gates, axis=-1)
    d_x = sum(m * (part @ block.T) for m, part, block in zip(multipliers, parts, blocks, strict=True))
    d_kernel = [(x * m).T @ part for m, part in zip(multipliers, parts, strict=True)]
    return d_x, np.concatenate(d_kernel, axis=-1)


def simple_rnn_forward(x, states, w, f, m):
    """h' = a(x @ K + h @ R + b)."""
    (h,) = states
    p = product(x, w.kernel, m.inputs) + product(h, w.recurrent_kernel, m.states) + w.bias
    return (f.a(p),), (x, h, p)


def simple_rnn_backward(kept, d_states, w, f, m):
    """dp = dh' * a'(p);  dx = dp @ K^T;  dh = dp @ R^T;  dK = x^T @ dp;  dR = h^T @ dp;  db = sum dp."""
    x, h, p = kept
    (d_h,) = d_states
    dp = d_h * f.da(p)
    d_x, d_kernel = product_backward(x, w.kernel, m.inputs, dp)
    d_previous, d_recurrent = product_backward(h, w.recurrent_kernel, m.states, dp)
    return d_x, (d_previous,), Weights(d_kernel, d_recurrent, dp.sum(axis=0))


def lstm_forward(x, states, w, f, m):
    """Long short-term memory, gates in the order i, f, c, o.

    p = x @ K + h @ R + b;  i = s(p_i);  f = s(p_f);  g = a(p_c);  o = s(p_o)
    c' = f * c + i * g;  h' = o * a(c')
    """
    h, c = states
    p = product(x, w.kernel, m.inputs) + product(h, w.recurrent_kernel, m.states) + w.bias
    p_i, p_f, p_c, p_o = np.split(p, 4, axis=-1)
    new_c = f.s(p_f) * c + f.s(p_i) * f.a(p_c)
    return (f.s(p_o) * f.a(new_c), new_c), (x, h, c, p_i, p_f, p_c, p_o, new_c)


def lstm_backward(kept, d_states, w, f, m):
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
    d_x, d_kernel = product_backward(x, w.kernel, m.inputs, dp)
    d_previous, d_recurrent = product_backward(h, w.recurrent_kernel, m.states, dp)
    return d_x, (d_previous, d_new_c * f.s(p_f)), Weights(d_kernel, d_recurrent, dp.sum(axis=0))


def gru_forward(x, states, w, f, m):
    """Gated recurrent unit with reset_after=True, gates in the order z, r, h; b has an input and a state row.

    p = x @ K + b_0;  q = h @ R + b_1;  z = s(p_z + q_z);  r = s(p_r + q_r)
    g = a(p_h + r * q_h);  h' = z * h + (1 - z) * g
    """
    (h,) = states
    p_z, p_r, p_h = np.split(product(x, w.kernel, m.inputs) + w.bias[0], 3, axis=-1)
    q_z, q_r, q_h = np.split(product(h, w.recurrent_kernel, m.states) + w.bias[1], 3, axis=-1)
    z_in, r_in = p_z + q_z, p_r + q_r
    g_in = p_h + f.s(r_in) * q_h
    z = f.s(z_in)
    return (z * h + (1 - z) * f.a(g_in),), (x, h, z_in, r_in, q_h, g_in)


def gru_backward(kept, d_states, w, f, m):
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
    d_x, d_kernel = product_backward(x, w.kernel, m.inputs, dp)
    d_previous, d_recurrent = product_backward(h, w.recurrent_kernel, m.states, dq)
    return d_x, (d_h * z + d_previous,), Weights(d_kernel, d_recurrent, d_bias)


def gru_reset_before_forward(x, states, w, f, m):
    """Gated recurrent unit with reset_after=False, gates in the order z, r, h; b has one row.

    p = x @ K + b;  z = s(p_z + h @ R_z);  r = s(p_r + h @ R_r)
    g = a(p_h + (r * h) @ R_h);  h' = z * h + (1 - z) * g
    The third gate's multipliers of dropout go to r * h.
    """
    (h,) = states
    p_z, p_r, p_h = np.split(product(x, w.kernel, m.inputs) + w.bias, 3, axis=-1)
    gates, candidate = np.split(w.recurrent_kernel, [2 * h.shape[-1]], axis=-1)
    m_gates, m_candidate = (None, None) if m.states is None else (m.states[:2], m.states[2:])
    q_z, q_r = np.split(product(h, gates, m_gates), 2, axis=-1)
    z_in, r_in = p_z + q_z, p_r + q_r
    g_in = p_h + product(f.s(r_in) * h, candidate, m_candidate)
    z = f.s(z_in)
    return (z * h + (1 - z) * f.a(g_in),), (x, h, z_in, r_in, g_in)


def gru_reset_before_backward(kept, d_states, w, f, m):
    """dz = dh' * (h - g);  dp_h = dh' * (1 - z) * a';  d(r * h) = dp_h @ R_h^T;  dr = d(r * h) * h.

    dh = dh' * z + d(r * h) * r + dp_z @ R_z^T + dp_r @ R_r^T;  dR_h = (r * h)^T @ dp_h.
    """
    x, h, z_in, r_in, g_in = kept
    (d_h,) = d_states
    z, r = f.s(z_in), f.s(r_in)
    gates, candidate = np.split(w.recurrent_kernel, [2 * h.shape[-1]], axis=-1)
    m_gates, m_candidate = (None, None) if m.states is None else (m.states[:2], m.states[2:])
    dp_z = d_h * (h - f.a(g_in)) * f.ds(z_in)
    dp_h = d_h * (1 - z) * f.da(g_in)
    d_reset, d_candidate = product_backward(r * h, candidate, m_candidate, dp_h)
    dp_r = d_reset * h * f.ds(r_in)
    d_gated, d_gates = product_backward(h, gates, m_gates, np.concatenate([dp_z, dp_r], axis=-1))
    dp = np.concatenate([dp_z, dp_r, dp_h], axis=-1)
    d_x, d_kernel = product_backward(x, w.kernel, m.inputs, dp)
    d_recurrent = np.concatenate([d_gates, d_candidate], axis=-1)
    return d_x, (d_h * z + d_reset * r + d_gated,), Weights(d_kernel, d_recurrent, dp.sum(axis=0))


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
