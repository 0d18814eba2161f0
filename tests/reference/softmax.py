"""Softmax and its logarithm over the last axis.

Belongs here: softmax, log_softmax and their gradients.
Does not belong here: losses of their outputs (losses.py).
"""

import numpy as np


def _shifted(x):
    """x less the largest (real) element of its row, which changes no result; no exponential overflows."""
    return x - np.max(x.real, axis=-1, keepdims=True)


def softmax(x):
    """y_i = exp(x_i) / sum_j exp(x_j)."""
    powers = np.exp(_shifted(x))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def softmax_gradient(x, d_output):
    """dx_i = y_i (dy_i - sum_j dy_j y_j)."""
    y = softmax(x)
    return y * (d_output - np.sum(d_output * y, axis=-1, keepdims=True))


def log_softmax(x):
    """y_i = x_i - log sum_j exp(x_j)."""
    shifted = _shifted(x)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def log_softmax_gradient(x, d_output):
    """dx_i = dy_i - softmax(x)_i sum_j dy_j."""
    return d_output - softmax(x) * np.sum(d_output, axis=-1, keepdims=True)
