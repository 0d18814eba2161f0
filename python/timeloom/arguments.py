"""Checks of single arguments, so that every constructor refuses the same values in the same words.

Here belong checks of one value against a rule, without arrays; what a layer or a model checks about
its data stands there.
"""

import math
import operator
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

__all__ = [
    "flag",
    "integer",
    "no_more",
    "not_implemented",
    "number",
    "optional_number",
    "positive_integer",
]


def integer(name: str, value: Any, minimum: int = 0, expected: str | None = None) -> int:
    """Returns value as an int of at least minimum.

    Args:
        name: The argument's name, for the message.
        value: What the caller gave; NumPy integers are fine, bool and float are not.
        minimum: Smallest legal value. Default 0.
        expected: Words for the message. Default says integer and minimum.

    Raises:
        ValueError: If value is not an integer or too small.

    Example:
        >>> integer("epochs", 3)
        3
        >>> integer("epochs", 2.5)
        Traceback (most recent call last):
            ...
        ValueError: epochs: expected an integer of at least 0, got 2.5
    """
    words = expected or f"an integer of at least {minimum}"
    if isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: expected {words}, got {value!r}")
    try:
        result = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: expected {words}, got {value!r}") from None
    if result < minimum:
        raise ValueError(f"{name}: expected {words}, got {value!r}")
    return result


def positive_integer(name: str, value: Any) -> int:
    """Returns value as an int above zero.

    Raises:
        ValueError: If value is anything else: 0, -3, 2.5, True, a string.
    """
    return integer(name, value, 1, "a positive integer")


def number(name: str, value: Any, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Returns value as a float between minimum and maximum.

    Raises:
        ValueError: If value is not a real number, is NaN or lies outside.
    """
    bounds = "" if math.isinf(minimum) and math.isinf(maximum) else f" in [{minimum:g}, {maximum:g}]"
    if math.isinf(maximum) and not math.isinf(minimum):
        bounds = f" of at least {minimum:g}"
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise ValueError(f"{name}: expected a number{bounds}, got {value!r}")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a number{bounds}, got {value!r}") from None
    if math.isnan(result) or not minimum <= result <= maximum:
        raise ValueError(f"{name}: expected a number{bounds}, got {value!r}")
    return result


def optional_number(name: str, value: Any, minimum: float = 0.0) -> float | None:
    """Returns None for None, otherwise value as a float of at least minimum."""
    return None if value is None else number(name, value, minimum)


def flag(name: str, value: Any) -> bool:
    """Returns value as a bool.

    Raises:
        ValueError: If value is neither a bool nor 0 or 1.
    """
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{name}: expected True or False, got {value!r}")


def not_implemented(name: str, value: Any, accepted: Collection[Any]) -> None:
    """Refuses a value that a later release will take.

    Args:
        name: The argument's name.
        value: What the caller gave.
        accepted: The values that work today, the default first.

    Raises:
        NotImplementedError: If value is none of the accepted ones.
    """
    for known in accepted:
        if value is known or (type(value) is type(known) and value == known):
            return
    words = " or ".join(map(repr, accepted))
    raise NotImplementedError(f"{name}: expected {words}, got {value!r}: not implemented yet")


def no_more(owner: str, kwargs: Mapping[str, Any]) -> None:
    """Refuses keyword arguments that nothing has taken.

    Raises:
        ValueError: If kwargs is not empty.
    """
    if kwargs:
        names = ", ".join(sorted(kwargs))
        raise ValueError(f"{names}: expected an argument that {owner} knows, got an unknown name")
