"""Activation functions by the names of Keras.

Here belong names and what becomes of them; the functions stand in functions.py, and recurrent layers compute
theirs inside the kernels: every elementwise one with its default arguments.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from timeloom.activations.functions import (
    celu,
    elu,
    exponential,
    gelu,
    gelu_tanh,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from timeloom.lookup import Lookup

__all__ = [
    "celu",
    "elu",
    "exponential",
    "fused_name",
    "gelu",
    "gelu_tanh",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "is_fused",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
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

# What acts on single elements with its default arguments, and the name under which the kernels have it.
_FUSED: dict[Callable[..., Any], str] = {
    function: function.__name__
    for function in (
        *(linear, tanh, sigmoid, hard_sigmoid, relu, relu6, leaky_relu, elu, selu, gelu, gelu_tanh, silu),
        *(hard_silu, mish, softplus, softsign, exponential, hard_tanh, log_sigmoid, tanh_shrink, soft_shrink),
        *(hard_shrink, squareplus, sparse_plus, sparse_sigmoid),
    )
} | {celu: "elu"}
_NEIGHBOURS = (softmax, log_softmax, sparsemax, glu)
_LOOKUP = Lookup(
    "activation",
    "keras.activations",
    {function.__name__: function for function in (*_FUSED, *_NEIGHBOURS, threshold)}
    | {"swish": silu, "hard_swish": hard_silu},
)


def get(identifier: Any) -> Callable[[Any], Any]:
    """Resolves what a layer's ``activation`` argument may be.

    Args:
        identifier: Name, callable, configuration dict or None (linear). ``functools.partial(gelu,
            approximate=True)`` is understood as gelu_tanh, which has a name in configurations.

    Returns:
        A function from an array to an array of the same shape.

    Raises:
        ValueError: If the name is unknown or the value of another kind.

    Example:
        >>> get(None).__name__
        'linear'
    """
    if isinstance(identifier, partial) and identifier.func is gelu and not identifier.args:
        return gelu_tanh if identifier.keywords.get("approximate") else gelu
    found: Callable[[Any], Any] = linear if identifier is None else _LOOKUP.get(identifier)
    return found


def fused_name(argument: str, activation: Callable[..., Any]) -> str:
    """Returns the name under which the kernels compute an activation.

    Args:
        argument: The layer's argument, for the message.
        activation: What get() returned.

    Raises:
        ValueError: If it is one that needs the neighbours of an element, as softmax does, or more arguments.
        NotImplementedError: If it is a function of the user's.
    """
    if is_fused(activation):
        return _FUSED[activation]
    known = ", ".join(function.__name__ for function in _FUSED)
    name = getattr(activation, "__name__", repr(activation))
    if activation in _NEIGHBOURS:
        raise ValueError(
            f"{argument}: expected a function of single elements ({known}), got {name}, which needs the "
            "neighbours of an element"
        )
    if activation is threshold:
        raise ValueError(
            f"{argument}: expected one of {known}, got threshold, which needs two arguments more"
        )
    raise NotImplementedError(
        f"{argument}: expected one of {known}, got {name}: not implemented yet inside a cell of the kernels; "
        "a cell of your own, given to RNN(cell), may use any function"
    )


def is_fused(activation: Callable[..., Any]) -> bool:
    """Whether the kernels compute this activation in the pass that makes its input."""
    return any(activation is function for function in _FUSED)


def serialize(activation: Any) -> Any:
    """Writes an activation down as Keras does: its name."""
    return _LOOKUP.serialize(activation)
