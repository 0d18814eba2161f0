"""The same recurrent layer in timeloom and in everything it is compared with, on the same numbers.

Belongs here: for each library a file of contestants, and the task that all of them have to solve.
Does not belong here: timing.
"""

import importlib.util

from bench.contestants.jax_layers import Jax, JaxInside
from bench.contestants.keras_layers import Keras
from bench.contestants.numpy_layers import BestNumpy, Reference
from bench.contestants.onnx_layers import OnnxRuntime, OpenVino
from bench.contestants.task import Contestant, Results, Task, task_of
from bench.contestants.timeloom_ops import Timeloom
from bench.contestants.torch_layers import Torch, TorchCompiled, TorchFrozen, TorchLoop, TorchNative

__all__ = ["ALL", "HAS_TORCH", "Contestant", "Results", "Task", "Timeloom", "contestants", "task_of"]

HAS_TORCH = importlib.util.find_spec("torch") is not None

ALL: tuple[type[Contestant], ...] = (
    Timeloom,
    Torch,
    TorchNative,
    TorchFrozen,
    TorchLoop,
    TorchCompiled,
    Jax,
    JaxInside,
    OnnxRuntime,
    OpenVino,
    Keras,
    BestNumpy,
    Reference,
)


def contestants(cell: str, work: str) -> list[type[Contestant]]:
    """Who is installed here and has this cell and this work; timeloom is the first."""
    return [
        kind
        for kind in ALL
        if cell in (kind.cells or (cell,))
        and work in kind.works
        and importlib.util.find_spec(kind.library) is not None
    ]
