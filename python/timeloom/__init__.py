"""Recurrent networks on NumPy arrays: fused kernels under a small Keras-like layer.

Here stand only the names users reach as ``timeloom.NAME``; each is written in the module it comes from.
Importing timeloom loads NumPy and nothing else.
"""

import importlib
from types import ModuleType

from timeloom import (
    activations,
    backend,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    regularizers,
    utils,
)
from timeloom._core import __version__
from timeloom.autograd import GradientTape
from timeloom.backend import show_config
from timeloom.layers import Input
from timeloom.models import Model, Sequential
from timeloom.variables import Variable

__all__ = [
    "GradientTape",
    "Input",
    "Model",
    "Sequential",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "regularizers",
    "show_config",
    "utils",
]


def __getattr__(name: str) -> ModuleType:
    # Downloads need urllib, ssl and more, which take as long to import as the whole package.
    if name == "datasets":
        return importlib.import_module("timeloom.datasets")
    raise AttributeError(f"module 'timeloom' has no attribute {name!r}")
