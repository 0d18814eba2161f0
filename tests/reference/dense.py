"""The dense layer: a product over features, a bias, an activation.

Belongs here: dense forward and backward.
Does not belong here: the order of summation, which is a rule of the kernels and not of the mathematics.
"""

import numpy as np

from tests.reference.activations import ACTIVATIONS


def forward(inputs, kernel, bias=None, activation="linear"):
    """y = a(x @ K + b); returns (y, kept) with x [..., features], K [features, units], b [units]."""
    p = inputs @ kernel
    if bias is not None:
        p = p + bias
    return ACTIVATIONS[activation][0](p), (inputs, kernel, p, activation)


def backward(kept, d_outputs):
    """dp = dy * a'(p);  dx = dp @ K^T;  dK = x^T @ dp and db = sum of dp over every axis but the last."""
    inputs, kernel, p, activation = kept
    dp = d_outputs * ACTIVATIONS[activation][1](p)
    rows = dp.reshape(-1, dp.shape[-1])
    d_kernel = inputs.reshape(-1, inputs.shape[-1]).T @ rows
    return dp @ kernel.T, d_kernel, np.sum(rows, axis=0)
