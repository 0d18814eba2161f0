"""Derivatives of NumPy's elementwise functions, and the one door through which a ufunc reaches traced arrays.

Adding one: a line in ``RULES``. In the derivatives g is the gradient of the result y, a and b are the
    operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from timeloom.autograd.gradients import sum_to_shape
from timeloom.autograd.recording import (
    CONSTANT,
    Array,
    Operand,
    is_recorded,
    keep,
    record,
    refusal,
    thread,
    value,
)

# What a derivative needs, as letters of "yab", and the derivative itself.
Part: TypeAlias = tuple[str, Callable[..., Any]]


class Rule:
    """An elementwise function with the derivative of each operand."""

    __slots__ = ("a", "a_needs", "b", "b_needs", "ufunc")

    def __init__(self, ufunc: Callable[..., Any], a: Part, b: Part = ("", lambda g: g)) -> None:
        self.ufunc = ufunc
        self.a_needs, self.a = a
        self.b_needs, self.b = b


def _pick(needs: str, y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    """The values that a derivative keeps, copied where the user could still change them."""
    if needs == "":
        return ()
    if needs == "y":
        return (y,)
    if needs == "b":
        return (keep(b),)
    if needs == "a":
        return (keep(a),)
    found = {"y": y, "a": a, "b": b}
    return tuple([found[letter] if letter == "y" else keep(found[letter]) for letter in needs])


def unary(rule: Rule, a: Any) -> Any:
    """Compute and record a function of one operand."""
    session = thread.session
    key = a._key_in(session) if isinstance(a, Operand) else CONSTANT
    x = value(a)
    y = rule.ufunc(x)
    if key < 0:
        return y
    assert session is not None
    if type(y) is not np.ndarray:
        y = np.asarray(y)
    derivative = rule.a
    kept = _pick(rule.a_needs, y, a, None)
    dtype = x.dtype

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Any]:
        gradient = derivative(g, *kept)
        return (gradient if gradient.dtype == dtype else gradient.astype(dtype),)

    return session.append(y, (key,), backward)


def binary(rule: Rule, a: Any, b: Any) -> Any:
    """Compute and record a function of two operands that broadcast against each other."""
    session = thread.session
    x, y = a, b
    a_key = b_key = CONSTANT
    if isinstance(a, Operand):
        a_key = a._key_in(session)
        x = a._value
    if isinstance(b, Operand):
        b_key = b._key_in(session)
        y = b._value
    output = rule.ufunc(x, y)
    if a_key < 0 and b_key < 0:
        return output
    if type(output) is not np.ndarray:
        output = np.asarray(output)
    if output.dtype.kind != "f":
        raise TypeError(f"traced array: expected results of real numbers, got dtype {output.dtype}")
    assert session is not None
    a_part = b_part = None
    if a_key >= 0:
        a_part = (rule.a, _pick(rule.a_needs, output, a, b), x.shape, x.dtype)
    if b_key >= 0:
        b_part = (rule.b, _pick(rule.b_needs, output, a, b), y.shape, y.dtype)

    def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any]:
        return (
            _gradient(a_part, g) if a_part is not None and needs[0] else None,
            _gradient(b_part, g) if b_part is not None and needs[1] else None,
        )

    return session.append(output, (a_key, b_key), backward)


def _gradient(part: tuple[Callable[..., Any], tuple[Any, ...], tuple[int, ...], Any], g: Array) -> Any:
    derivative, kept, shape, dtype = part
    gradient = derivative(g, *kept)
    if gradient.shape != shape:
        gradient = sum_to_shape(gradient, shape)
    return gradient if gradient.dtype == dtype else gradient.astype(dtype)


def _power_base(g: Array, a: Any, b: Any) -> Any:
    """b a^(b-1); zero, not 0 * infinity, where b is zero."""
    b = np.asarray(b, dtype=g.dtype)
    return g * b * np.power(a, np.where(b == 0, b, b - 1), dtype=g.dtype)


def _power_exponent(g: Array, y: Any, a: Any) -> Any:
    """a^b log a; zero at a = 0, undefined for a negative base."""
    a = np.asarray(a, dtype=g.dtype)
    logarithm = np.log(np.where(a > 0, a, a.dtype.type(1)))
    return g * y * np.where(a < 0, a.dtype.type(math.nan), logarithm)


def _larger(g: Array, a: Any, b: Any) -> Any:
    """All of g where a > b; half of it at a tie, the mean of the derivatives on both sides."""
    return g * ((np.greater(a, b).astype(g.dtype) + np.greater_equal(a, b)) / 2).astype(g.dtype)


_LN_2 = math.log(2.0)
_LN_10 = math.log(10.0)

RULES: dict[Any, Rule] = {
    rule.ufunc: rule
    for rule in (
        Rule(np.add, ("", lambda g: g), ("", lambda g: g)),
        Rule(np.subtract, ("", lambda g: g), ("", lambda g: -g)),
        Rule(np.multiply, ("b", lambda g, b: g * b), ("a", lambda g, a: g * a)),
        Rule(np.divide, ("b", lambda g, b: g / b), ("yb", lambda g, y, b: -g * y / b)),
        Rule(np.power, ("ab", _power_base), ("ya", _power_exponent)),
        Rule(np.maximum, ("ab", _larger), ("ab", lambda g, a, b: _larger(g, b, a))),
        Rule(np.minimum, ("ab", lambda g, a, b: _larger(g, b, a)), ("ab", _larger)),
        Rule(
            np.logaddexp,
            ("ya", lambda g, y, a: g * np.exp(a - y)),
            ("yb", lambda g, y, b: g * np.exp(b - y)),
        ),
        Rule(
            np.arctan2,
            ("ab", lambda g, a, b: g * b / (a * a + b * b)),
            ("ab", lambda g, a, b: -g * a / (a * a + b * b)),
        ),
        Rule(np.hypot, ("ya", lambda g, y, a: g * a / y), ("yb", lambda g, y, b: g * b / y)),
        Rule(np.negative, ("", lambda g: -g)),
        Rule(np.positive, ("", lambda g: g)),
        Rule(np.absolute, ("a", lambda g, a: g * np.sign(a))),
        Rule(np.tanh, ("y", lambda g, y: g * (1 - y * y))),
        Rule(np.exp, ("y", lambda g, y: g * y)),
        Rule(np.exp2, ("y", lambda g, y: g * y * _LN_2)),
        Rule(np.expm1, ("y", lambda g, y: g * (y + 1))),
        Rule(np.log, ("a", lambda g, a: g / a)),
        Rule(np.log2, ("a", lambda g, a: g / (a * _LN_2))),
        Rule(np.log10, ("a", lambda g, a: g / (a * _LN_10))),
        Rule(np.log1p, ("a", lambda g, a: g / (1 + a))),
        Rule(np.sqrt, ("y", lambda g, y: g / (2 * y))),
        Rule(np.cbrt, ("y", lambda g, y: g / (3 * y * y))),
        Rule(np.square, ("a", lambda g, a: g * (2 * a))),
        Rule(np.reciprocal, ("y", lambda g, y: -g * y * y)),
        Rule(np.sin, ("a", lambda g, a: g * np.cos(a))),
        Rule(np.cos, ("a", lambda g, a: -g * np.sin(a))),
        Rule(np.tan, ("y", lambda g, y: g * (1 + y * y))),
        Rule(np.arcsin, ("a", lambda g, a: g / np.sqrt(1 - a * a))),
        Rule(np.arccos, ("a", lambda g, a: -g / np.sqrt(1 - a * a))),
        Rule(np.arctan, ("a", lambda g, a: g / (1 + a * a))),
        Rule(np.sinh, ("a", lambda g, a: g * np.cosh(a))),
        Rule(np.cosh, ("a", lambda g, a: g * np.sinh(a))),
        Rule(np.arcsinh, ("a", lambda g, a: g / np.sqrt(a * a + 1))),
        Rule(np.arccosh, ("a", lambda g, a: g / np.sqrt(a * a - 1))),
        Rule(np.arctanh, ("a", lambda g, a: g / (1 - a * a))),
    )
}

# Questions about values: their answers are booleans, which carry no gradient.
_QUESTIONS = frozenset(
    {
        np.equal,
        np.not_equal,
        np.less,
        np.less_equal,
        np.greater,
        np.greater_equal,
        np.isnan,
        np.isinf,
        np.isfinite,
        np.signbit,
        np.logical_and,
        np.logical_or,
        np.logical_xor,
        np.logical_not,
    }
)

# Ufuncs that are not elementwise: their floor registers them (matmul belongs to ops, which may call the
# kernels).
OTHERS: dict[Any, Callable[..., Any]] = {}

# Reductions of ufuncs, by the function that has the derivative.
REDUCTIONS: dict[tuple[Any, str], Callable[..., Any]] = {}


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_ufunc__`` of TracedArray and Variable does."""
    if method == "__call__" and not kwargs:
        rule = RULES.get(ufunc)
        if rule is not None:
            return unary(rule, inputs[0]) if ufunc.nin == 1 else binary(rule, inputs[0], inputs[1])
        if ufunc in OTHERS:
            return OTHERS[ufunc](*inputs)
    name = f"np.{ufunc.__name__}" if method == "__call__" else f"np.{ufunc.__name__}.{method}"
    for target in kwargs.get("out", ()):
        if isinstance(target, Operand):
            raise TypeError(
                f"{name}: expected out= to be a plain array, got {type(target).__name__}, which only "
                "operations and assign() change"
            )
    if not is_recorded(*inputs, *kwargs.values()):
        plain = {name: value(item) for name, item in kwargs.items()}
        return getattr(ufunc, method)(*[value(x) for x in inputs], **plain)
    if kwargs.get("out") is not None:
        raise refusal(f"{name} with out= (an in-place operation on a plain array is one)")
    if method == "__call__" and not kwargs and ufunc in _QUESTIONS:
        return ufunc(*[value(x) for x in inputs])
    if (ufunc, method) in REDUCTIONS and not kwargs.keys() - {"axis", "keepdims"}:
        return REDUCTIONS[ufunc, method](*inputs, **kwargs)
    if kwargs:
        raise refusal(f"{name} with {', '.join(f'{k}=' for k in kwargs)}")
    raise refusal(f"{name}, which has no derivative here,")


def astype(a: Operand, dtype: Any) -> Any:
    """Cast. A cast to integers or booleans gives a plain array."""
    source = a._value.dtype
    return record(a._value.astype(dtype), (a,), lambda _needs, g: (g.astype(source),))
