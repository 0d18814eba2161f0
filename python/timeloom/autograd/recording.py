"""What happens while a tape records: operands, keys and the list of records.

A *session* is one stretch of recording on one Python thread, from the entry of the outermost tape to its
exit; nested tapes share it. Every traced value of a session has a key, a number that grows. A record is
``(key, count, keys, backward)``: it produced the values ``key .. key + count - 1`` from the values ``keys``,
all of them smaller, and ``backward(needs, *gradients)`` maps gradients of the former to gradients of the
latter. A value that nothing produced has no record.
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
Record: TypeAlias = tuple[int, int, tuple[int, ...], Backward]


class Paired:
    """A backward of several results that can run at once with that of the record right before its own.

    Args:
        before: That one; None: there is none to wait for.
    """

    __slots__ = ("before",)

    def __init__(self, before: Paired | None = None) -> None:
        self.before = before

    def __call__(self, needs: Sequence[bool], *gradients: Any) -> Sequence[Any]:
        """As every backward."""
        raise NotImplementedError

    def with_before(
        self,
        needs: Sequence[bool],
        gradients: Sequence[Any],
        needs_before: Sequence[bool],
        gradients_before: Sequence[Any],
    ) -> Sequence[Any]:
        """Its own results, and after them those of ``before``."""
        raise NotImplementedError


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

    __slots__ = (
        "adopted",
        "array_type",
        "depth",
        "next_key",
        "recording",
        "records",
        "tapes",
        "variables",
        "versions",
    )

    def __init__(self, array_type: type[TracedArray]) -> None:
        self.array_type = array_type
        self.recording = True
        self.depth = 0
        self.tapes = 0
        self.next_key = 0
        self.records: list[Record] = []
        self.variables: dict[int, int] = {}
        self.versions: dict[int, tuple[Variable, int]] = {}
        self.adopted: dict[int, Array] = {}

    def leaf(self) -> int:
        """Give a key to a value that nothing produced."""
        key = self.next_key
        self.next_key = key + 1
        return key

    def variable_key(self, variable: Variable) -> int:
        """The key of a Variable; the first use notes its version."""
        key = self.variables.get(id(variable))
        if key is None:
            key = self.leaf() if variable._trainable else CONSTANT - 1 - len(self.versions)
            self.variables[id(variable)] = key
            self.versions[key] = (variable, variable._version)
        return key

    def watch_variable(self, variable: Variable) -> None:
        """Follow a Variable even if it is not trainable."""
        if self.variables.get(id(variable), CONSTANT) < 0:
            key = self.leaf()
            self.variables[id(variable)] = key
            self.versions[key] = (variable, variable._version)

    def append(self, output: Array, keys: tuple[int, ...], backward: Backward) -> TracedArray:
        """Record an operation of one result."""
        key = self.next_key
        self.next_key = key + 1
        self.records.append((key, 1, keys, backward))
        return self.array_type(output, self, key)

    def append_many(
        self, outputs: Sequence[Array], keys: tuple[int, ...], backward: Backward
    ) -> tuple[TracedArray, ...]:
        """Record an operation of several results, which share one backward."""
        first = self.next_key
        self.next_key = first + len(outputs)
        self.records.append((first, len(outputs), keys, backward))
        array_type = self.array_type
        return tuple([array_type(output, self, key) for key, output in enumerate(outputs, first)])


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


def keys_of(*inputs: Any) -> tuple[int, ...] | None:
    """The keys of these inputs where a tape of this thread follows one of them, else None.

    An operation that has to know before it computes asks here and gives them to ``append`` or
    ``append_many``; the others call ``record``.
    """
    session = thread.session
    keys = tuple([x._key_in(session) if isinstance(x, Operand) else CONSTANT for x in inputs])
    return None if max(keys) < 0 else keys


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
    keys = keys_of(*inputs)
    if keys is None:
        return output
    kind = output.dtype.kind
    if kind != "f":
        if kind in "iub":
            return output
        raise TypeError(f"traced array: expected results of real numbers, got dtype {output.dtype}")
    return append(output if type(output) is np.ndarray else np.asarray(output), keys, backward)


def append(output: Array, keys: tuple[int, ...], backward: Backward) -> TracedArray:
    """Record an operation of one real result on the inputs of these keys; ``backward`` as for ``record``."""
    session = thread.session
    assert session is not None
    return session.append(output, keys, backward)


def append_many(
    outputs: Sequence[Array], keys: tuple[int, ...], backward: Backward
) -> tuple[TracedArray, ...]:
    """As ``append`` for several results; ``backward(needs, *d_outputs)`` gets None for an unused result."""
    session = thread.session
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
