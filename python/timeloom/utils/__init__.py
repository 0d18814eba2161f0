"""Keras's import path `utils`: small functions around a model.

Here belong functions that users call on their data and settings before or after a model: labels, padding,
windows, seeds. Here belong no layers, no gradients and nothing that the package needs for its own work.
"""

from timeloom.data import pad_sequences
from timeloom.utils.numerical_utils import normalize, to_categorical
from timeloom.utils.rng_utils import set_random_seed
from timeloom.utils.timeseries_dataset_utils import timeseries_dataset_from_array

__all__ = ["normalize", "pad_sequences", "set_random_seed", "timeseries_dataset_from_array", "to_categorical"]
