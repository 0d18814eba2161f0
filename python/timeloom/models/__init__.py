"""Models: layers in order, the training loop, and the hooks that callbacks use.

Here belong compile, fit, evaluate, predict and what they print; callbacks with a purpose stand one
floor above.
"""

from timeloom.models.model import Model
from timeloom.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
