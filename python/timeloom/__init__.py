"""Recurrent networks on NumPy arrays: fused kernels under a small Keras-like layer.

Here stand only the names users reach as ``timeloom.NAME``; each is written in the module it comes from.
Importing timeloom loads NumPy and nothing else.
"""

from timeloom import ops
from timeloom._core import __version__
from timeloom.autograd import GradientTape
from timeloom.backend import show_config
from timeloom.variables import Variable

__all__ = ["GradientTape", "Variable", "__version__", "ops", "show_config"]
