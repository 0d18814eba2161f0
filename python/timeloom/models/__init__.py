"""Models: layers in order, the training loop, and the hooks that callbacks use.

Here belong compile, fit, evaluate, predict and what they print; callbacks with a purpose stand one
floor above.
"""

from timeloom.layers import _LOOKUP
from timeloom.models.model import Model
from timeloom.models.sequential import Sequential

__all__ = ["Model", "Sequential"]

# A model may be a layer of another one, whose configuration names it.
_LOOKUP.add("Sequential", Sequential)
