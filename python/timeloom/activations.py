"""Activation functions by the names of Keras.

Here belong names and arguments; the functions and their derivatives are ops, and recurrent layers
compute theirs inside the kernels.
"""

from collections.abc import Callable
from typing import Any

from timeloom import ops
from timeloom.arguments import not_implemented
from timeloom.lookup import Lookup

__all__ = [
    "exponential",
    "fused_name",
    "get",
    "hard_sigmoid",
    "linear",
    "log_softmax",
    "relu",
    "serialize",
    "sigmoid",
    "softmax",
    "tanh",
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


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """max(x, 0).

    Args:
        x: Array of any shape.
        negative_slope: 0.0; other slopes are not implemented yet.
        max_value: None; a limit is not implemented yet.
        threshold: 0.0; others are not implemented yet.
    """
    not_implemented("negative_slope", negative_slope, (0.0, 0))
    not_implemented("max_value", max_value, (None,))
    not_implemented("threshold", threshold, (0.0, 0))
    return ops.relu(x)


def exponential(x: Any) -> Any:
    """exp(x)."""
    return ops.exp(x)


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


_FUNCTIONS = (linear, tanh, sigmoid, hard_sigmoid, relu, exponential, softmax, log_softmax)
_FUSED = (linear, tanh, sigmoid, hard_sigmoid, relu)
_LATER = """
    softplus softsign elu selu silu swish gelu leaky_relu relu6 mish hard_silu hard_swish celu hard_tanh
    log_sigmoid sparsemax glu hard_shrink soft_shrink sparse_plus sparse_sigmoid squareplus tanh_shrink
    threshold
"""
_LOOKUP = Lookup(
    "activation",
    "keras.activations",
    {function.__name__: function for function in _FUNCTIONS},
    later=_LATER.split(),
)


def get(identifier: Any) -> Callable[[Any], Any]:
    """Resolves what a layer's ``activation`` argument may be.

    Args:
        identifier: Name, callable, configuration dict or None (linear).

    Returns:
        A function from an array to an array of the same shape.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
        NotImplementedError: If a later release will have it.

    Example:
        >>> get(None).__name__
        'linear'
    """
    found: Callable[[Any], Any] = linear if identifier is None else _LOOKUP.get(identifier)
    return found


def fused_name(argument: str, activation: Callable[[Any], Any]) -> str:
    """Returns the name under which the kernels compute an activation.

    Args:
        argument: The layer's argument, for the message.
        activation: What get() returned.

    Raises:
        NotImplementedError: If the kernels do not have it.
    """
    for function in _FUSED:
        if activation is function:
            return function.__name__
    known = ", ".join(function.__name__ for function in _FUSED)
    name = getattr(activation, "__name__", repr(activation))
    raise NotImplementedError(f"{argument}: expected one of {known}, got {name}: not implemented yet")


def is_fused(activation: Callable[[Any], Any]) -> bool:
    """Whether the kernels compute this activation in the pass that makes its input."""
    return activation in _FUSED


def serialize(activation: Any) -> Any:
    """Writes an activation down as Keras does: its name."""
    return _LOOKUP.serialize(activation)
