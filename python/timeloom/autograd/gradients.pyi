from typing import Any

from timeloom.autograd.recording import Array

class Scatter:
    __slots__ = ("index", "part", "repeats", "shape")
    shape: tuple[int, ...]
    index: Any
    part: Array
    repeats: bool
    def __init__(self, shape: tuple[int, ...], index: Any, part: Array, repeats: bool) -> None: ...
    def add_to(self, total: Array) -> None: ...
    def dense(self) -> Array: ...

def sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array: ...
def walk_backward(
    records: list[Any],
    span: tuple[int, int],
    targets: list[tuple[int, Array]],
    sources: list[int],
    release: bool = False,
) -> tuple[dict[int, Array | None], set[int]]: ...
def arrays_of(
    sources: list[Any],
    keys: list[int | None],
    found: dict[int, Any],
    targets: list[tuple[int, Array]],
    mode: str,
) -> list[Array | None]: ...
