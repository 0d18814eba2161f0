from typing import Any, TypeAlias

from timeloom.ops.recurrent_options import Options

# Outputs and final states.
_Results: TypeAlias = tuple[Any, tuple[Any, ...]]

def cells() -> dict[str, Any]: ...
def prepare(
    cell: str,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_state: Any = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    return_sequences: bool = False,
    go_backwards: bool = False,
    options: Options | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...] | None]: ...
def call(
    cell: str,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    initial_state: Any,
    activation: str | None,
    recurrent_activation: str | None,
    return_sequences: bool,
    go_backwards: bool,
    options: Options,
) -> _Results: ...
def run_both(first: dict[str, Any], second: dict[str, Any]) -> list[_Results]: ...
