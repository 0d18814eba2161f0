"""Recurrent networks on NumPy arrays: fused kernels under a small Keras-like layer.

Here stand only the names users reach as ``timeloom.NAME``; each is written in the module it comes from and
is loaded when it is first asked for. Importing timeloom loads NumPy, the kernels and the operations on them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from timeloom import ops  # always: it gives the tape the product of matrices, which a kernel computes
from timeloom._core import __version__

if TYPE_CHECKING:
    from timeloom import (
        activations,
        backend,
        callbacks,
        constraints,
        data,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        regularizers,
        utils,
    )
    from timeloom.autograd import GradientTape
    from timeloom.backend import show_config
    from timeloom.layers import Input
    from timeloom.memory import memory_estimate
    from timeloom.models import Model, Sequential
    from timeloom.packed import Packed
    from timeloom.variables import Variable

__all__ = [
    "GradientTape",
    "Input",
    "Model",
    "Packed",
    "Sequential",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "constraints",
    "data",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "memory_estimate",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "regularizers",
    "show_config",
    "utils",
]

# Names that are not modules, and where they come from.
_HOMES = {
    "GradientTape": "timeloom.autograd",
    "Input": "timeloom.layers",
    "Model": "timeloom.models",
    "Packed": "timeloom.packed",
    "Sequential": "timeloom.models",
    "Variable": "timeloom.variables",
    "memory_estimate": "timeloom.memory",
    "show_config": "timeloom.backend",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in __all__:
        found = importlib.import_module(f"timeloom.{name}")
    else:
        raise AttributeError(f"module 'timeloom' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
