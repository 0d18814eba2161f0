"""Recurrent networks on NumPy arrays: fused kernels under a small Keras-like layer.

Here stand only the names users reach as ``timeloom.NAME``; each is written in the module it comes from.
Importing timeloom loads NumPy and nothing else.
"""

from timeloom._core import __version__
from timeloom.backend import show_config

__all__ = ["__version__", "show_config"]
