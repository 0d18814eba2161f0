"""The dense layer as one primitive: product, bias and activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from timeloom import _core
from timeloom.autograd import is_recorded, keep, record
from timeloom.autograd.recording import Array
from timeloom.ops.activations import ACTIVATIONS, KERNEL_ACTIVATIONS
from timeloom.ops.checks import contiguous, real, same_dtype

# Activations whose derivative the kernel computes from the output alone.
_FUSED = frozenset(name for name, by_input in KERNEL_ACTIVATIONS.items() if not by_input) - {"linear"}


def dense(inputs: Any, kernel: Any, bias: Any = None, activation: str | None = None) -> Any:
    """A fully connected layer on the last axis.

    Equations:
        outputs = activation(inputs kernel + bias)

    Each element is one chain of fused multiply-adds that starts from the bias; the weight gradient is summed
    in chunks of 512 rows. Results do not depend on the number of threads.

    Args:
        inputs: [..., features], float32 or float64.
        kernel: [features, units], of the same dtype.
        bias: [units] or None.
        activation: a name that ``ops.activation`` knows, "softmax" or "log_softmax"; None is "linear".

    Returns:
        [..., units].

    Raises:
        TypeError: another dtype, or two dtypes.
        ValueError: shapes that do not fit; an unknown activation.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.dense(np.array([[1.0, -2.0]]), np.eye(2), np.array([0.5, 0.5]), activation="relu")
        array([[1.5, 0. ]])
    """
    x = real("inputs", inputs)
    if x.ndim < 1:
        raise ValueError("inputs: expected at least one axis, got a scalar")
    features = x.shape[-1]
    w = real("kernel", kernel, shape=(features, None))
    same_dtype("kernel", w, "inputs", x)
    units = w.shape[1]
    b = None
    if bias is not None:
        b = real("bias", bias, shape=(units,))
        same_dtype("bias", b, "inputs", x)
    if activation is not None and not (isinstance(activation, str) and activation in ACTIVATIONS):
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    rows = math.prod(x.shape[:-1])
    left = contiguous(x).reshape(rows, features)
    output = _core.matmul(left, contiguous(w), None if b is None else contiguous(b))
    if activation in _FUSED:
        output = _core.activation(activation, output)
    output = output.reshape(*x.shape[:-1], units)
    if is_recorded(inputs, kernel, bias):
        kept_inputs, kept_kernel = keep(inputs), keep(kernel)

        def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any, Any]:
            d = contiguous(g)
            if activation in _FUSED:
                d = _core.activation_gradient(activation, output, d)
            d = d.reshape(rows, units)
            return (
                _core.matmul(d, contiguous(kept_kernel), transpose_b=True).reshape(x.shape)
                if needs[0]
                else None,
                _core.matmul(contiguous(kept_inputs).reshape(rows, features), d, transpose_a=True)
                if needs[1]
                else None,
                _core.sum_rows(d) if needs[2] else None,
            )

        recorded = record(output, (inputs, kernel, bias), backward)
    else:
        recorded = output
    if activation in (None, "linear") or activation in _FUSED:
        return recorded
    return ACTIVATIONS[activation](recorded)
