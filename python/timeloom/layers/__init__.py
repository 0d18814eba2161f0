"""Layers: each creates its weights and says, with ops, what it computes; none has a backward of its own.

Here belong one file for each recurrent cell and the layers around them. A new cell is a file and a line
here.
"""

from collections.abc import Mapping
from typing import Any

from timeloom.layers.base import KerasTensor, Layer
from timeloom.layers.bidirectional import Bidirectional
from timeloom.layers.core import Activation, Dropout, Flatten
from timeloom.layers.dense import Dense
from timeloom.layers.embedding import Embedding
from timeloom.layers.gru import GRU, GRUCell
from timeloom.layers.input import Input, InputLayer
from timeloom.layers.lstm import LSTM, LSTMCell
from timeloom.layers.masking import Masking
from timeloom.layers.repeat_vector import RepeatVector
from timeloom.layers.rnn import RNN
from timeloom.layers.saved import restored
from timeloom.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from timeloom.layers.stacked import StackedRNNCells
from timeloom.layers.time_distributed import TimeDistributed
from timeloom.lookup import Lookup

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Bidirectional",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "Input",
    "InputLayer",
    "KerasTensor",
    "LSTMCell",
    "Layer",
    "Masking",
    "RepeatVector",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
    "deserialize",
    "serialize",
]

_LATER = """
    CuDNNLSTM CuDNNGRU Reshape Permute LayerNormalization BatchNormalization Concatenate Add Subtract Multiply
    Average Maximum Minimum Dot SpatialDropout1D GaussianNoise LeakyReLU ReLU ELU PReLU Softmax
    ActivityRegularization Lambda GlobalMaxPooling1D GlobalAveragePooling1D Conv1D MaxPooling1D
    GaussianDropout AlphaDropout ConvLSTM1D ConvLSTM2D ConvLSTM3D Attention
"""
_LOOKUP = Lookup(
    "layer",
    "keras.layers",
    {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, Layer)
    },
    later=_LATER.split(),
)


def serialize(layer: Layer) -> Any:
    """Writes a layer down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Builds the unbuilt layer that `serialize` wrote down; a Sequential that was built is built again.

    Args:
        config: Dict with class_name and config.
        custom_objects: Classes of the user's own by name, also for the layers and cells inside. Default None.

    Raises:
        ValueError: If the class is unknown.
        NotImplementedError: If a later release will have it.
    """
    own = isinstance(config, Mapping) and custom_objects
    found: Layer = restored(config, custom_objects) if own else _LOOKUP.from_configuration(config)
    return found
