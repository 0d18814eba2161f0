"""Keras's import path `preprocessing`: names only.

Here belong modules that Keras users import by path; what they name is written in `timeloom.data`. Here
belong no loops and no layers.
"""

from timeloom.preprocessing import sequence

__all__ = ["sequence"]
