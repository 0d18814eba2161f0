import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from timeloom.autograd.traced import TracedArray

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_Backward: TypeAlias = Callable[..., Sequence[Any]]
_Record: TypeAlias = tuple[int, int, tuple[int, ...], _Backward]

CONSTANT: int

class Paired:
    before: Paired | None
    def __init__(self, before: Paired | None = None) -> None: ...
    def __call__(self, needs: Sequence[bool], *gradients: Any) -> Sequence[Any]: ...
    def with_before(
        self,
        needs: Sequence[bool],
        gradients: Sequence[Any],
        needs_before: Sequence[bool],
        gradients_before: Sequence[Any],
    ) -> Sequence[Any]: ...

class Operand:
    _value: Array
    def _key_in(self, session: Session | None) -> int: ...
    def _is_recorded(self) -> bool: ...

class TracedOperand(Operand):
    _session: Session
    _key: int
    def __init__(self, value: Array, session: Session, key: int) -> None: ...

class VariableOperand(Operand):
    _version: int
    _trainable: bool

class Session:
    array_type: type[TracedArray]
    recording: bool
    depth: int
    tapes: int
    next_key: int
    records: list[_Record]
    variables: dict[int, int]
    versions: dict[int, tuple[Any, int]]
    adopted: dict[int, Array]
    def __init__(self, array_type: type[TracedArray]) -> None: ...
    def leaf(self) -> int: ...
    def variable_key(self, variable: VariableOperand) -> int: ...
    def watch_variable(self, variable: VariableOperand) -> None: ...
    def close(self) -> None: ...
    def append(self, output: Array, keys: tuple[int, ...], backward: _Backward) -> TracedArray: ...
    def append_many(
        self, outputs: Sequence[Array], keys: tuple[int, ...], backward: _Backward
    ) -> tuple[TracedArray, ...]: ...

class _Thread(threading.local):
    session: Session | None

thread: _Thread

def value(operand: Any) -> Any: ...
def is_recorded(*inputs: Any) -> bool: ...
def keys_of(*inputs: Any) -> tuple[int, ...] | None: ...
def record(output: Any, inputs: Sequence[Any], backward: _Backward) -> Any: ...
def append(output: Array, keys: tuple[int, ...], backward: _Backward) -> TracedArray: ...
def append_many(
    outputs: Sequence[Array], keys: tuple[int, ...], backward: _Backward
) -> tuple[TracedArray, ...]: ...
def keep(operand: Any) -> Any: ...
def is_frozen(owner: Any) -> bool: ...
def refusal(what: str) -> TypeError: ...
def numeric(name: str, given: Any) -> Array: ...
