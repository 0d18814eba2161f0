"""Keras's import path `preprocessing`: names only.

Here belong modules that Keras users import by path; what they name is written in `timeloom.data`. Here
belong no loops and no layers.
"""

from timeloom.preprocessing import sequence, text
from timeloom.utils import timeseries_dataset_from_array

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]
