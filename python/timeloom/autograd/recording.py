"""What happens while a tape records: operands, keys and the list of records.

A *session* is one stretch of recording on one Python thread, from the entry of the outermost tape to its
exit; nested tapes share it. Every traced value of a session has a key, its number in the list of records. A
record is ``(count, keys, backward)``: it produced the values ``key .. key + count - 1`` from the values
``keys``, and ``backward(needs, *gradients)`` maps gradients of the former to gradients of the latter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from timeloom.autograd.traced import TracedArray
    from timeloom.variables import Variable

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Backward: TypeAlias = Callable[..., Sequence[Any]]
Record: TypeAlias = tuple[int, tuple[int, ...], Backward]

# Keys below zero carry no gradient: CONSTANT is a plain operand, the ones below it are Variables that
# nothing asks a gradient of but whose version still has to be what it was.
CONSTANT = -1


class Operand:
    """Base of TracedArray and Variable: something a tape may follow. ``_value`` changes only by
    ``assign``."""

    __slots__ = ("_value",)

    _value: Array

    def _key_in(self, session: Session | None) -> int:
        """The number under which ``session`` knows this operand, below zero where it carries no gradient."""
        raise NotImplementedError

    def _is_recorded(self) -> bool:
        """Whether a tape is recording this operand now, so that converting it would cut a gradient."""
        raise NotImplementedError


class Session:
    """One stretch of recording on one thread.

    Args:
        array_type: class of the traced results, called as ``array_type(value, session, key)``.
    """

    __slots__ = ("adopted", "array_type", "depth", "recording", "records", "tapes", "variables", "versions")

    def __init__(self, array_type: type[TracedArray]) -> None:
        self.array_type = array_type
        self.recording = True
        self.depth = 0
        self.tapes = 0
        self.records: list[Record | None] = []
        self.variables: dict[int, int] = {}
        self.versions: dict[int, tuple[Variable, int]] = {}
        self.adopted: dict[int, Array] = {}

    def leaf(self) -> int:
        """Give a key to a value that nothing produced."""
        self.records.append(None)
        return len(self.records) - 1

    def variable_key(self, variable: Variable) -> int:
        """The key of a Variable; the first use notes its version."""
        key = self.variables.get(id(variable))
        if key is None:
            key = self.leaf() if variable.trainable else CONSTANT - 1 - len(self.versions)
            self.variables[id(variable)] = key
            self.versions[key] = (variable, variable.version)
        return key

    def watch_variable(self, variable: Variable) -> None:
        """Follow a Variable even if it is not trainable."""
        if self.variables.get(id(variable), CONSTANT) < 0:
            key = self.leaf()
            self.variables[id(variable)] = key
            self.versions[key] = (variable, variable.version)

    def append(self, output: Array, keys: tuple[int, ...], backward: Backward) -> TracedArray:
        """Record an operation of one result."""
        records = self.records
        key = len(records)
        records.append((1, keys, backward))
        return self.array_type(output, self, key)

    def append_many(
        self, outputs: Sequence[Array], keys: tuple[int, ...], backward: Backward
    ) -> tuple[TracedArray, ...]:
        """Record an operation of several results, which share one backward."""
        records = self.records
        first = len(records)
        records.append((len(outputs), keys, backward))
        records.extend([None] * (len(outputs) - 1))
        return tuple(self.array_type(output, self, first + i) for i, output in enumerate(outputs))


class _Thread(threading.local):
    session: Session | None = None


thread = _Thread()


def value(operand: Any) -> Any:
    """The array behind a traced array or a Variable; anything else as it is. For reading only."""
    return operand._value if isinstance(operand, Operand) else operand


def is_recorded(*inputs: Any) -> bool:
    """Whether an operation on these inputs is recorded by a tape of this thread."""
    session = thread.session
    for x in inputs:  # noqa: SIM110 - a generator costs more than what it loops over
        if isinstance(x, Operand) and x._key_in(session) >= 0:
            return True
    return False


def record(output: Any, inputs: Sequence[Any], backward: Backward) -> Any:
    """Record one operation if a tape of this thread follows one of its inputs.

    Args:
        output: the array computed. Integers and booleans carry no gradient and come back plain.
        inputs: operands in the order of the gradients that ``backward`` returns; plain ones and None may be
            among them.
        backward: ``backward(needs, d_output)`` returns one gradient for each input, or None where ``needs``
            (a list of bool) is False. Arrays it keeps must be safe from changes: see ``keep``.

    Returns:
        A traced array, or ``output`` itself when nothing is recorded.
    """
    session = thread.session
    keys = tuple([x._key_in(session) if isinstance(x, Operand) else CONSTANT for x in inputs])
    if max(keys) < 0:
        return output
    kind = output.dtype.kind
    if kind != "f":
        if kind in "iub":
            return output
        raise TypeError(f"traced array: expected results of real numbers, got dtype {output.dtype}")
    assert session is not None
    return session.append(output if type(output) is np.ndarray else np.asarray(output), keys, backward)


def record_many(outputs: Sequence[Array], inputs: Sequence[Any], backward: Backward) -> tuple[Any, ...]:
    """As ``record`` for several results; ``backward(needs, *d_outputs)`` gets None for an unused result."""
    session = thread.session
    keys = tuple([x._key_in(session) if isinstance(x, Operand) else CONSTANT for x in inputs])
    if max(keys) < 0:
        return tuple(outputs)
    assert session is not None
    return session.append_many(outputs, keys, backward)


def keep(operand: Any) -> Any:
    """The value of an operand, safe to keep until backward: what its owner could still change is copied."""
    if isinstance(operand, Operand):
        return operand._value
    if isinstance(operand, np.ndarray):
        return operand if _is_frozen(operand) else operand.copy()
    if isinstance(operand, (np.generic, float, int, type(None))):
        return operand
    return np.array(operand)


def _is_frozen(array: Array) -> bool:
    session = thread.session
    adopted = session.adopted if session is not None else {}
    owner: Any = array
    writable = False
    while isinstance(owner, np.ndarray):
        if id(owner) in adopted:
            return True
        writable = writable or owner.flags.writeable
        owner = owner.base
    if writable:
        return False
    # Memory of another library (a memory map, a capsule) may change under a read-only view of it.
    return owner is None or isinstance(owner, bytes)


def refusal(what: str) -> TypeError:
    """The error of everything that would cut a gradient without a word."""
    return TypeError(
        f"{what} would cut the gradient that a GradientTape is recording: "
        "call .numpy() to take the values out, or do it after the with block"
    )


def numeric(name: str, given: Any) -> Array:
    """An array of real numbers, of whatever a user gives as one."""
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(
            f"{name}: expected numbers of one shape, got nested lists of unequal lengths"
        ) from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array
