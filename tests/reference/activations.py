"""Activations and their derivatives, both as functions of the input.

Belongs here: one pair per Keras activation, valid on float and complex arrays alike. A branch looks at the
real part only, so each piece stays analytic and a complex step passes through it.
Does not belong here: derivatives from the output, which is how the kernels do it.
"""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


def linear(x: np.ndarray) -> np.ndarray:
    """y = x."""
    return x


def linear_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1."""
    return np.ones_like(x)


def tanh(x: np.ndarray) -> np.ndarray:
    """y = tanh(x)."""
    return np.tanh(x)


def tanh_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 - tanh(x)^2."""
    return 1 - np.tanh(x) ** 2


def sigmoid(x: np.ndarray) -> np.ndarray:
    """y = 1 / (1 + exp(-x)), with the exponential of a negative number on either side: none overflows."""
    positive = x.real >= 0
    small = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1, small) / (1 + small)


def sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = sigmoid(x) sigmoid(-x)."""
    return sigmoid(x) * sigmoid(-x)


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """y = min(max(x + 3, 0), 6) / 6, the definition of Keras 3."""
    return np.where(x.real <= -3, 0 * x, np.where(x.real >= 3, 0 * x + 1, (x + 3) / 6))


def hard_sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1/6 for -3 < x < 3, else 0."""
    return np.where((x.real > -3) & (x.real < 3), np.ones_like(x) / 6, np.zeros_like(x))


def relu(x: np.ndarray) -> np.ndarray:
    """y = max(x, 0)."""
    return np.where(x.real > 0, x, np.zeros_like(x))


def relu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for x > 0, else 0."""
    return np.where(x.real > 0, np.ones_like(x), np.zeros_like(x))


ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "linear": (linear, linear_derivative),
    "tanh": (tanh, tanh_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_derivative),
    "relu": (relu, relu_derivative),
}
