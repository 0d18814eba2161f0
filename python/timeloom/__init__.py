"""Recurrent networks on NumPy arrays: fused kernels under a small Keras-like layer.

Here stand only the names users reach as ``timeloom.NAME``; each is written in the module it comes from.
Importing timeloom loads NumPy and nothing else.
"""

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
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "show_config",
    "utils",
]
