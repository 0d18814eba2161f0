from typing import Any

from timeloom._core import PackedWeights
from timeloom.variables import Variable

class KeptWeights:
    cell: str
    packed: PackedWeights
    arrays: list[Any]
    def __init__(self, cell: str, *variables: Variable) -> None: ...
    def close(self) -> None: ...

def kept_weights(cell: str, kernel: Any, recurrent_kernel: Any, bias: Any) -> KeptWeights | None: ...
