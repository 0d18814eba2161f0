"""Activations and their derivatives, both as functions of the input.

Belongs here: one pair per Keras activation with its default arguments, valid on float (also extended) and
complex arrays alike. A branch looks at the real part only, so each piece stays analytic and a complex step
passes through it.
Does not belong here: derivatives from the output, which is how the kernels do most of them.
"""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def number(text: str, x: np.ndarray) -> np.floating:
    """A constant in the precision of x."""
    return np.real(x).dtype.type(text)


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
    """dy/dx = 1 - tanh(x)^2 = 1 / cosh(x)^2, by exponentials of negative numbers."""
    small = np.exp(np.where(x.real > 0, -2 * x, 2 * x))
    return 4 * small / (1 + small) ** 2


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


def relu6(x: np.ndarray) -> np.ndarray:
    """y = min(max(x, 0), 6)."""
    return np.where(x.real <= 0, np.zeros_like(x), np.where(x.real >= 6, np.full_like(x, 6), x))


def relu6_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for 0 < x < 6, else 0."""
    return np.where((x.real > 0) & (x.real < 6), np.ones_like(x), np.zeros_like(x))


def leaky_relu(x: np.ndarray) -> np.ndarray:
    """y = x for x > 0, else x / 5."""
    return np.where(x.real > 0, x, x / 5)


def leaky_relu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for x > 0, else 1/5."""
    return np.where(x.real > 0, np.ones_like(x), np.ones_like(x) / 5)


def elu(x: np.ndarray) -> np.ndarray:
    """y = x for x > 0, else e^x - 1."""
    return np.where(x.real > 0, x, np.expm1(np.where(x.real > 0, -x, x)))


def elu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for x > 0, else e^x."""
    return np.exp(np.where(x.real > 0, 0 * x, x))


def selu(x: np.ndarray) -> np.ndarray:
    """y = scale x for x > 0, else scale alpha (e^x - 1); Klambauer et al. 2017."""
    return number(SELU_SCALE, x) * np.where(x.real > 0, x, number(SELU_ALPHA, x) * elu(x))


def selu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = scale for x > 0, else scale alpha e^x."""
    return number(SELU_SCALE, x) * np.where(x.real > 0, 1, number(SELU_ALPHA, x)) * elu_derivative(x)


def softplus(x: np.ndarray) -> np.ndarray:
    """y = log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    positive = x.real > 0
    return np.where(positive, x, 0) + np.log1p(np.exp(np.where(positive, -x, x)))


def softplus_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = sigmoid(x)."""
    return sigmoid(x)


def softsign(x: np.ndarray) -> np.ndarray:
    """y = x / (1 + |x|)."""
    return x / (1 + np.where(x.real > 0, x, -x))


def softsign_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 / (1 + |x|)^2."""
    return (1 / (1 + np.where(x.real > 0, x, -x))) ** 2


def exponential(x: np.ndarray) -> np.ndarray:
    """y = e^x."""
    return np.exp(x)


def hard_tanh(x: np.ndarray) -> np.ndarray:
    """y = min(max(x, -1), 1)."""
    return np.where(x.real <= -1, -np.ones_like(x), np.where(x.real >= 1, np.ones_like(x), x))


def hard_tanh_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for -1 < x < 1, else 0."""
    return np.where(np.abs(x.real) < 1, np.ones_like(x), np.zeros_like(x))


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """y = log(sigmoid(x)) = -log(1 + e^-x)."""
    return -softplus(-x)


def log_sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = sigmoid(-x)."""
    return sigmoid(-x)


def soft_shrink(x: np.ndarray) -> np.ndarray:
    """y = x moved towards 0 by 1/2, and 0 for |x| <= 1/2."""
    return np.where(np.abs(x.real) <= 0.5, np.zeros_like(x), x - np.copysign(0.5, x.real))


def hard_shrink(x: np.ndarray) -> np.ndarray:
    """y = x for |x| > 1/2, else 0."""
    return np.where(np.abs(x.real) <= 0.5, np.zeros_like(x), x)


def shrink_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1 for |x| > 1/2, else 0."""
    return np.where(np.abs(x.real) <= 0.5, np.zeros_like(x), np.ones_like(x))


def squareplus(x: np.ndarray) -> np.ndarray:
    """y = (x + sqrt(x^2 + 4)) / 2; for x < 0 times (sqrt(x^2 + 4) - x) / 2 above and below."""
    root = np.sqrt(x * x + 4)
    return np.where(x.real < 0, 2 / (root - np.where(x.real < 0, x, 0)), (x + root) / 2)


def squareplus_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = (1 + x / sqrt(x^2 + 4)) / 2 = y / sqrt(x^2 + 4)."""
    return squareplus(x) / np.sqrt(x * x + 4)


def sparse_plus(x: np.ndarray) -> np.ndarray:
    """y = 0 up to -1, ((x + 1) / 2)^2 up to 1, then x."""
    return np.where(x.real <= -1, np.zeros_like(x), np.where(x.real < 1, (x + 1) ** 2 / 4, x))


def sparse_plus_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 0 up to -1, (x + 1) / 2 up to 1, then 1."""
    return sparse_sigmoid(x)


def sparse_sigmoid(x: np.ndarray) -> np.ndarray:
    """y = 0 up to -1, (x + 1) / 2 up to 1, then 1."""
    return np.where(x.real <= -1, np.zeros_like(x), np.where(x.real < 1, (x + 1) / 2, np.ones_like(x)))


def sparse_sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 1/2 for -1 < x < 1, else 0."""
    return np.where(np.abs(x.real) < 1, np.ones_like(x) / 2, np.zeros_like(x))


def normal_density(x: np.ndarray) -> np.ndarray:
    """phi(x) = e^(-x^2 / 2) / sqrt(2 pi)."""
    return np.exp(-x * x / 2) * number("0.398942280401432677939946059934381868", x)


def normal_distribution(x: np.ndarray) -> np.ndarray:
    """Phi(x), relatively accurate for any x.

    For |x| < 3 by the series 1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 5) + ...), for x <= -3 by Laplace's
    continued fraction phi(x) / (t + 1 / (t + 2 / (t + 3 / (t + ...)))), t = -x; for x >= 3 by 1 - Phi(-x).
    """
    far = np.where(x.real > 0, x, -x)
    t = np.where(far.real < 3, 3, far)
    fraction = t
    for term in range(160, 0, -1):
        fraction = t + term / fraction
    tail = normal_density(t) / fraction
    near = np.where(far.real < 3, x, 0)
    term = total = near
    for odd in range(3, 100, 2):
        term = term * near * near / odd
        total = total + term
    middle = 0.5 + normal_density(near) * total
    return np.where(far.real < 3, middle, np.where(x.real > 0, 1 - tail, tail))


def gelu(x: np.ndarray) -> np.ndarray:
    """y = x Phi(x)."""
    return x * normal_distribution(x)


def gelu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = Phi(x) + x phi(x)."""
    return normal_distribution(x) + x * normal_density(x)


def gelu_tanh_argument(x: np.ndarray) -> np.ndarray:
    """u = 2 sqrt(2 / pi) (x + 0.044715 x^3)."""
    return number("1.59576912160573071175978423973752747", x) * (x + number("0.044715", x) * x**3)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """y = x (1 + tanh(u / 2)) / 2 = x sigmoid(u)."""
    return x * sigmoid(gelu_tanh_argument(x))


def gelu_tanh_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = sigmoid(u) + x sigmoid'(u) u'."""
    u = gelu_tanh_argument(x)
    du = number("1.59576912160573071175978423973752747", x) * (1 + 3 * number("0.044715", x) * x * x)
    return sigmoid(u) + x * sigmoid_derivative(u) * du


def silu(x: np.ndarray) -> np.ndarray:
    """y = x sigmoid(x)."""
    return x * sigmoid(x)


def silu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = sigmoid(x) + x sigmoid'(x)."""
    return sigmoid(x) + x * sigmoid_derivative(x)


def hard_silu(x: np.ndarray) -> np.ndarray:
    """y = x hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


def hard_silu_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = 0 up to -3, x / 3 + 1/2 up to 3, then 1."""
    middle = x / 3 + np.ones_like(x) / 2
    return np.where(x.real <= -3, np.zeros_like(x), np.where(x.real >= 3, np.ones_like(x), middle))


def mish(x: np.ndarray) -> np.ndarray:
    """y = x tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def mish_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = tanh(s) + x tanh'(s) sigmoid(x) with s = softplus(x)."""
    s = softplus(x)
    return np.tanh(s) + x * tanh_derivative(s) * sigmoid(x)


def tanh_shrink(x: np.ndarray) -> np.ndarray:
    """y = x - tanh(x)."""
    return x - np.tanh(x)


def tanh_shrink_derivative(x: np.ndarray) -> np.ndarray:
    """dy/dx = tanh(x)^2."""
    return np.tanh(x) ** 2


ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "linear": (linear, linear_derivative),
    "tanh": (tanh, tanh_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_derivative),
    "relu": (relu, relu_derivative),
    "relu6": (relu6, relu6_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "selu": (selu, selu_derivative),
    "softplus": (softplus, softplus_derivative),
    "softsign": (softsign, softsign_derivative),
    "exponential": (exponential, exponential),
    "hard_tanh": (hard_tanh, hard_tanh_derivative),
    "log_sigmoid": (log_sigmoid, log_sigmoid_derivative),
    "soft_shrink": (soft_shrink, shrink_derivative),
    "hard_shrink": (hard_shrink, shrink_derivative),
    "squareplus": (squareplus, squareplus_derivative),
    "sparse_plus": (sparse_plus, sparse_plus_derivative),
    "sparse_sigmoid": (sparse_sigmoid, sparse_sigmoid_derivative),
    "gelu": (gelu, gelu_derivative),
    "gelu_tanh": (gelu_tanh, gelu_tanh_derivative),
    "silu": (silu, silu_derivative),
    "hard_silu": (hard_silu, hard_silu_derivative),
    "mish": (mish, mish_derivative),
    "tanh_shrink": (tanh_shrink, tanh_shrink_derivative),
}
