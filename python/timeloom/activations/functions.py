"""Activation functions with the names and arguments of Keras.

With its default arguments an elementwise one is a single op; with others it is composed of NumPy's functions,
which the tape differentiates.
"""

from typing import Any

import numpy as np

from timeloom import ops
from timeloom.arguments import number

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "gelu_tanh",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


def linear(x: Any) -> Any:
    """x itself."""
    return x


def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    Example:
        >>> import numpy as np
        >>> tanh(np.zeros(2, "float32"))
        array([0., 0.], dtype=float32)
    """
    return ops.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """clip(x / 6 + 1 / 2, 0, 1), as in Keras 3."""
    return ops.hard_sigmoid(x)


def relu(
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
    *,
    alpha: float | None = None,
) -> Any:
    """max(x, 0); in general x (at most max_value) above the threshold, negative_slope (x - threshold) below.

    Args:
        x: Array of any shape.
        negative_slope: Slope below the threshold. Default 0.
        max_value: Largest output. Default None: no limit.
        threshold: Input from which on x is passed through. Default 0.
        alpha: Name of negative_slope in Keras 2.

    Example:
        >>> import numpy as np
        >>> relu(np.array([-2.0, 1.0, 9.0]), negative_slope=0.5, max_value=6.0)
        array([-1.,  1.,  6.])
    """
    slope = number("negative_slope", negative_slope if alpha is None else alpha)
    limit = None if max_value is None else number("max_value", max_value, 0.0)
    start = number("threshold", threshold)
    if start == 0 and limit is None:
        return leaky_relu(x, slope) if slope else ops.relu(x)
    if start == 0 and limit == 6 and not slope:
        return relu6(x)
    # As Keras: a limit also cuts what a threshold below 0 would let through; nothing passes at the threshold.
    above = x if limit is None else np.where(x > limit, limit, np.where(x < 0, 0.0, x))
    return np.where(x > start, above, np.where(x < start, slope * (x - start), 0.0) if slope else 0.0)


def relu6(x: Any) -> Any:
    """clip(x, 0, 6)."""
    return ops.activation("relu6", x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x for x > 0, else negative_slope x.

    Args:
        x: Array of any shape.
        negative_slope: Default 0.2.
    """
    slope = number("negative_slope", negative_slope)
    return ops.activation("leaky_relu", x) if slope == 0.2 else np.where(x > 0, x, slope * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha (exp(x) - 1).

    Args:
        x: Array of any shape.
        alpha: The negative limit. Default 1.
    """
    scale = number("alpha", alpha)
    curve = ops.activation("elu", x)
    return curve if scale == 1 else np.where(x > 0, x, scale * curve)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha (exp(x / alpha) - 1), whose slope has no step at 0.

    Args:
        x: Array of any shape.
        alpha: The negative limit, not 0. Default 1.
    """
    scale = number("alpha", alpha)
    if scale == 0:
        raise ValueError("alpha: expected a number other than 0, got 0")
    return ops.activation("elu", x) if scale == 1 else np.where(x > 0, x, scale * elu(x / scale))


def selu(x: Any) -> Any:
    """1.0507 elu(x, alpha=1.6733), which keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return ops.activation("selu", x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x Phi(x) with the normal distribution Phi (Hendrycks & Gimpel 2016).

    Args:
        x: Array of any shape.
        approximate: Whether to take the formula with tanh, gelu_tanh. Default False.
    """
    return ops.activation("gelu_tanh" if approximate else "gelu", x)


def gelu_tanh(x: Any) -> Any:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: gelu with approximate=True under a name of its own.

    The name lets a layer's ``activation`` say which of the two forms it means; Keras has no name for it, so a
    file for Keras should hold ``"gelu"``.

    Example:
        >>> from functools import partial
        >>> from timeloom import activations
        >>> activations.get(partial(gelu, approximate=True)).__name__
        'gelu_tanh'
    """
    return ops.activation("gelu_tanh", x)


def silu(x: Any) -> Any:
    """x sigmoid(x), also called swish."""
    return ops.activation("silu", x)


def hard_silu(x: Any) -> Any:
    """x hard_sigmoid(x), also called hard_swish."""
    return ops.activation("hard_silu", x)


swish, hard_swish = silu, hard_silu


def mish(x: Any) -> Any:
    """x tanh(softplus(x)) (Misra 2019)."""
    return ops.activation("mish", x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)); large x overflow nowhere."""
    return ops.activation("softplus", x)


def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return ops.activation("softsign", x)


def exponential(x: Any) -> Any:
    """exp(x)."""
    return ops.exp(x)


def hard_tanh(x: Any) -> Any:
    """clip(x, -1, 1)."""
    return ops.activation("hard_tanh", x)


def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x)."""
    return ops.activation("log_sigmoid", x)


def tanh_shrink(x: Any) -> Any:
    """x - tanh(x)."""
    return ops.activation("tanh_shrink", x)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by threshold, and 0 where |x| is not above it.

    Args:
        x: Array of any shape.
        threshold: At least 0. Default 0.5.
    """
    width = number("threshold", threshold, 0.0)
    if width == 0.5:
        return ops.activation("soft_shrink", x)
    return np.where(x > width, x - width, np.where(x < -width, x + width, 0.0))


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| is above threshold, else 0.

    Args:
        x: Array of any shape.
        threshold: At least 0. Default 0.5.
    """
    width = number("threshold", threshold, 0.0)
    return ops.activation("hard_shrink", x) if width == 0.5 else np.where(np.abs(x) > width, x, 0.0)


def squareplus(x: Any, b: float = 4) -> Any:
    """(x + sqrt(x^2 + b)) / 2, an algebraic softplus (Barron 2021).

    Args:
        x: Array of any shape.
        b: Roundness of the corner, at least 0. Default 4.
    """
    roundness = number("b", b, 0.0)
    return ops.activation("squareplus", x) if roundness == 4 else (x + np.sqrt(x * x + roundness)) / 2


def sparse_plus(x: Any) -> Any:
    """0 up to -1, ((x + 1) / 2)^2 up to 1, then x."""
    return ops.activation("sparse_plus", x)


def sparse_sigmoid(x: Any) -> Any:
    """clip((x + 1) / 2, 0, 1)."""
    return ops.activation("sparse_sigmoid", x)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where it is above threshold, else default_value.

    Args:
        x: Array of any shape.
        threshold: Number.
        default_value: Number.
    """
    limit, other = number("threshold", threshold), number("default_value", default_value)
    return np.where(x > limit, x, other)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) over its sum along one axis.

    Args:
        x: Array of at least one dimension.
        axis: Default -1.
    """
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)), without the loss of digits; arguments as softmax."""
    return ops.log_softmax(x, axis)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The point of the probability simplex nearest to x: softmax with exact zeros (Martins & Astudillo 2016).

    Keras 3.15 takes a larger tau by mistake; its results do not sum to 1.

    Equations:
        y = max(x - tau, 0) with tau such that the sum of y along the axis is 1

    Args:
        x: Array of at least one dimension.
        axis: Default -1.

    Example:
        >>> import numpy as np
        >>> sparsemax(np.array([2.0, 1.5, -1.0]))
        array([0.75, 0.25, 0.  ])
    """
    rows = np.moveaxis(x, axis, -1)
    plain = rows.numpy() if hasattr(rows, "numpy") else np.asarray(rows)
    ordered = -np.sort(-plain, axis=-1)
    counts = np.arange(1, plain.shape[-1] + 1)
    support = np.sum(1 + counts * ordered > np.cumsum(ordered, axis=-1), axis=-1, keepdims=True)
    smallest = np.take_along_axis(ordered, support - 1, axis=-1)
    inside = plain >= smallest
    size = np.sum(inside, axis=-1, keepdims=True).astype(plain.dtype)
    tau = (ops.sum(np.where(inside, rows, 0.0), axis=-1, keepdims=True) - 1) / size
    return np.moveaxis(np.where(inside, rows - tau, 0.0), -1, axis)


def glu(x: Any, axis: int = -1) -> Any:
    """Gated linear unit: the first half along an axis times the sigmoid of the second (Dauphin et al. 2017).

    Args:
        x: Array with an even number of elements along the axis.
        axis: Default -1.

    Returns:
        Half as long along the axis.
    """
    length = x.shape[axis]
    if length % 2:
        raise ValueError(f"x: expected an even length along axis {axis}, got shape {tuple(x.shape)}")
    rows = np.moveaxis(x, axis, -1)
    return np.moveaxis(rows[..., : length // 2] * sigmoid(rows[..., length // 2 :]), -1, axis)
