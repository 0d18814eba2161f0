"""The door through which NumPy's functions reach traced arrays, and the register of those with a derivative.

Elementwise functions are in ufuncs.py; shapes.py, selection.py and reductions.py hold the others. Adding one:
a function there with NumPy's name and the arguments it supports, marked ``@implements(np.name)``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from timeloom.autograd.recording import Operand, is_recorded, refusal

Function = TypeVar("Function", bound=Callable[..., Any])


class Entry(NamedTuple):
    """A function that records, and which arguments of NumPy's it supports."""

    function: Callable[..., Any]
    positional: float
    names: frozenset[str]


FUNCTIONS: dict[Any, Entry] = {}


def implements(*numpy_functions: Any) -> Callable[[Function], Function]:
    """Mark the version of NumPy functions that records."""

    def register(function: Function) -> Function:
        code = function.__code__
        names = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        positional = math.inf if code.co_flags & inspect.CO_VARARGS else code.co_argcount
        for numpy_function in numpy_functions:
            FUNCTIONS[numpy_function] = Entry(function, positional, names)
        return function

    return register


# Functions whose result is no number that a gradient could belong to: shapes, booleans, text, arrays of new
# values.
_PLAIN = frozenset(
    {
        np.shape,
        np.ndim,
        np.size,
        np.result_type,
        np.iscomplexobj,
        np.isrealobj,
        np.zeros_like,
        np.ones_like,
        np.empty_like,
        np.isclose,
        np.allclose,
        np.array_equal,
        np.array_repr,
        np.array_str,
        np.array2string,
        np.may_share_memory,
        np.shares_memory,
    }
)


def call_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_function__`` of TracedArray and Variable does."""
    entry = FUNCTIONS.get(function)
    if entry is not None and len(args) <= entry.positional and kwargs.keys() <= entry.names:
        return entry.function(*args, **kwargs)
    operands: list[Operand] = []
    plain_args, plain_kwargs = _plain(args, operands), _plain(kwargs, operands)
    name = f"np.{function.__name__}"
    if isinstance(kwargs.get("out"), Operand):
        raise TypeError(f"{name}: expected out= to be a plain array, got {type(kwargs['out']).__name__}")
    if not is_recorded(*operands) or function in _PLAIN:
        return function(*plain_args, **plain_kwargs)
    if kwargs.get("out") is not None:
        raise refusal(f"{name} with out=")
    if entry is None:
        raise refusal(f"{name}, which has no derivative here,")
    given = {key: item for key, item in kwargs.items() if item is not None}
    if len(given) < len(kwargs):
        return call_function(function, args, given)
    unknown = [f"{key}=" for key in kwargs if key not in entry.names]
    raise refusal(f"{name} with {', '.join(unknown) or f'{len(args)} positional arguments'}")


def _plain(item: Any, operands: list[Operand]) -> Any:
    """Replace operands by their arrays, in lists, tuples and dicts too, and collect them."""
    if isinstance(item, Operand):
        operands.append(item)
        return item._value
    if type(item) in (list, tuple):
        return type(item)(_plain(i, operands) for i in item)
    if type(item) is dict:
        return {name: _plain(i, operands) for name, i in item.items()}
    return item
