from typing import Any, TypeAlias

from timeloom.ops.recurrent_options import Options

# Outputs and final states.
Results: TypeAlias = tuple[Any, tuple[Any, ...]]

def cells() -> dict[str, Any]: ...
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
) -> Results: ...
def run_both(first: dict[str, Any], second: dict[str, Any]) -> list[Results]: ...
