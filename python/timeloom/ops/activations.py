"""Activation functions: elementwise ones by the kernels, and softmax over the last axis.

The kernels compute most derivatives from the output: tanh 1 - y^2, sigmoid y (1 - y), relu 1 above 0; those
of gelu, silu, mish and others from the input, which is kept then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from timeloom import _core
from timeloom.autograd import is_recorded, keep, record
from timeloom.autograd.recording import Array
from timeloom.ops.checks import contiguous, real

# Every elementwise activation that the kernels know; whether its derivative is computed from the input.
KERNEL_ACTIVATIONS: dict[str, bool] = _core.activations()


def activation(name: str, x: Any) -> Any:
    """An elementwise activation by its name, as recurrent layers compute it inside their kernels.

    Args:
        name: linear, tanh, sigmoid, hard_sigmoid, relu, relu6, leaky_relu, elu, selu, softplus, softsign,
            exponential, hard_tanh, log_sigmoid, soft_shrink, hard_shrink, squareplus, sparse_plus,
            sparse_sigmoid, gelu, gelu_tanh, silu, hard_silu, mish or tanh_shrink: the functions of
            ``timeloom.activations`` with their default arguments; gelu_tanh is gelu with approximate=True.
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.

    Raises:
        ValueError: another name.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.activation("relu6", np.array([-1.0, 2.0, 9.0]))
        array([0., 2., 6.])
    """
    if name == "linear":
        return linear(x)
    if name not in KERNEL_ACTIVATIONS:
        raise ValueError(f"name: expected one of {', '.join(KERNEL_ACTIVATIONS)}, got {name!r}")
    return _elementwise(name, x)


def _elementwise(name: str, x: Any) -> Any:
    output = _core.activation(name, contiguous(real("x", x)))
    value = contiguous(keep(x)) if KERNEL_ACTIVATIONS[name] and is_recorded(x) else output
    return record(output, (x,), lambda _needs, g: (_core.activation_gradient(name, value, contiguous(g)),))


def linear(x: Any) -> Any:
    """The input itself.

    Args:
        x: any shape, float32 or float64.

    Returns:
        ``x``.
    """
    real("x", x)
    return x


def relu(x: Any) -> Any:
    """The positive part, max(x, 0); its derivative at 0 is 0.

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.relu(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    return _elementwise("relu", x)


def sigmoid(x: Any) -> Any:
    """The logistic function, 1 / (1 + exp(-x)).

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.sigmoid(np.array([0.0]))
        array([0.5])
    """
    return _elementwise("sigmoid", x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.
    """
    return _elementwise("tanh", x)


def hard_sigmoid(x: Any) -> Any:
    """A sigmoid of three lines, min(max(x + 3, 0), 6) / 6 (Keras 3; Keras 2 had another slope).

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.
    """
    return _elementwise("hard_sigmoid", x)


def exp(x: Any) -> Any:
    """The exponential function, by the kernels.

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.
    """
    output = _core.exp(contiguous(real("x", x)))
    return record(output, (x,), lambda _needs, g: (g * output,))


def log(x: Any) -> Any:
    """The natural logarithm, by the kernels.

    Args:
        x: any shape, float32 or float64.

    Returns:
        Same shape and dtype.
    """
    output = _core.log(contiguous(real("x", x)))
    kept = keep(x)
    return record(output, (x,), lambda _needs, g: (g / kept,))


def softmax(x: Any, axis: int = -1) -> Any:
    """Positive numbers that sum to one along an axis.

    Equations:
        y_i = exp(x_i - max x) / sum_j exp(x_j - max x);   dx = y (dy - sum_j dy_j y_j)

    Args:
        x: [..., N], float32 or float64.
        axis: the axis of the sum. Default -1.

    Returns:
        Same shape and dtype.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.softmax(np.array([[1.0, 1.0]]))
        array([[0.5, 0.5]])
    """
    array = _with_axis(x, axis)
    if axis not in (-1, array.ndim - 1):
        return np.swapaxes(softmax(np.swapaxes(x, axis, -1)), axis, -1)
    output = _core.softmax(contiguous(array))
    return record(output, (x,), lambda _needs, g: (_core.softmax_gradient(output, contiguous(g)),))


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Logarithm of softmax, exact where softmax would be zero.

    Equations:
        y_i = x_i - max x - log sum_j exp(x_j - max x);   dx = dy - exp(y) sum_j dy_j

    Args:
        x: [..., N], float32 or float64.
        axis: the axis of the sum. Default -1.

    Returns:
        Same shape and dtype.
    """
    array = _with_axis(x, axis)
    if axis not in (-1, array.ndim - 1):
        return np.swapaxes(log_softmax(np.swapaxes(x, axis, -1)), axis, -1)
    output = _core.log_softmax(contiguous(array))

    return record(output, (x,), lambda _needs, g: (_core.log_softmax_gradient(output, contiguous(g)),))


def _with_axis(x: Any, axis: int) -> Array:
    array = real("x", x)
    if type(axis) is bool or not isinstance(axis, (int, np.integer)) or not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis: expected an axis of an array of {array.ndim} axes, got {axis!r}")
    return array


# The names that ``dense`` and layers accept.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    **{name: partial(activation, name) for name in KERNEL_ACTIVATIONS},
    "softmax": softmax,
    "log_softmax": log_softmax,
}
