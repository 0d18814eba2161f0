"""The dense layer as one primitive: product, bias and activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import _core
from timeloom.autograd import append, keep, keys_of, value
from timeloom.autograd.recording import Array
from timeloom.ops.activations import ACTIVATIONS, KERNEL_ACTIVATIONS
from timeloom.ops.checks import contiguous, real, same_dtype

# Activations whose derivative the kernel computes from the output alone.
_FUSED = frozenset(name for name, by_input in KERNEL_ACTIVATIONS.items() if not by_input) - {"linear"}

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


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
    x, w, b = value(inputs), value(kernel), value(bias)
    if not _fit(x, w, b):
        x, w, b = _checked(inputs, kernel, bias)
    if activation is not None and not (isinstance(activation, str) and activation in ACTIVATIONS):
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    features, units = w.shape
    lengths = x.shape[:-1]
    rows = math.prod(lengths)
    is_matrix = len(lengths) == 1
    left = contiguous(x) if is_matrix else contiguous(x).reshape(rows, features)
    output = _core.matmul(left, contiguous(w), contiguous(b))
    fused = activation if activation in _FUSED else None
    if fused:
        output = _core.activation(fused, output)
    if not is_matrix:
        output = output.reshape(*lengths, units)
    result: Any = output
    keys = keys_of(inputs, kernel, bias)
    if keys is not None:
        kept_inputs, kept_kernel = keep(inputs), keep(kernel)
        kept_output = output if fused else None

        def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any, Any]:
            d = contiguous(g)
            if fused:
                d = _core.activation_gradient(fused, kept_output, d)
            left = contiguous(kept_inputs)
            if not is_matrix:
                d, left = d.reshape(rows, units), left.reshape(rows, features)
            d_inputs = None
            if needs[0]:
                d_inputs = _core.matmul(d, contiguous(kept_kernel), transpose_b=True)
                d_inputs = d_inputs if is_matrix else d_inputs.reshape(*lengths, features)
            return (
                d_inputs,
                _core.matmul(left, d, transpose_a=True) if needs[1] else None,
                _core.sum_rows(d) if needs[2] else None,
            )

        result = append(output, keys, backward)
    if activation in (None, "linear") or fused:
        return result
    return ACTIVATIONS[activation](result)


def _fit(x: Any, w: Any, b: Any) -> bool:
    """Whether the operands are what they should be; asked at every step of training, so in few words."""
    if type(x) is not np.ndarray or type(w) is not np.ndarray or w.dtype is not x.dtype:
        return False
    if x.dtype not in _DTYPES or x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[0]:
        return False
    return b is None or (type(b) is np.ndarray and b.dtype is x.dtype and b.shape == w.shape[1:])


def _checked(inputs: Any, kernel: Any, bias: Any) -> tuple[Array, Array, Array | None]:
    """The arrays of the operands, or the error that says what is wrong with them."""
    x = real("inputs", inputs)
    if x.ndim < 1:
        raise ValueError("inputs: expected at least one axis, got a scalar")
    w = real("kernel", kernel, shape=(x.shape[-1], None))
    same_dtype("kernel", w, "inputs", x)
    if bias is None:
        return x, w, None
    b = real("bias", bias, shape=(w.shape[1],))
    same_dtype("bias", b, "inputs", x)
    return x, w, b
