"""Keras 3 on its torch backend as the peer: the same layer with the same weights and the same dropped units.

Belongs here: whatever translates between the two. Does not belong here: tests.
"""

import importlib
import os

import numpy as np
import pytest
from tests.properties.layer_options import layer_of

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import keras
    import torch
except ImportError:
    keras = torch = None

if keras is None:
    missing = "could not import 'keras'"
elif keras.backend.backend() != "torch":
    missing = f"Keras runs on {keras.backend.backend()}, not on torch"
else:
    missing = ""
    # Off TensorFlow, Keras rounds the result of a float64 product or mean to float32: not here.
    keras.config.set_floatx("float64")
    importlib.import_module("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE.pop("float64", None)

needs_keras = pytest.mark.skipif(bool(missing), reason=missing)


def tensor(array, requires_grad=False):
    """A tensor of its own memory."""
    return torch.tensor(array.copy(), requires_grad=requires_grad)


def numbers(result):
    """The numbers of a tensor."""
    return result.detach().numpy().copy()


def weights_of(layer):
    """What get_weights returns, of which NumPy 2 warns."""
    return [numbers(variable.value) for variable in layer.weights]


def cells_of(layer):
    """The cells of a recurrent layer in the order in which timeloom calls its kernels."""
    if isinstance(layer, keras.layers.Bidirectional):
        return [*cells_of(layer.forward_layer), *cells_of(layer.backward_layer)]
    return list(getattr(layer.cell, "cells", [layer.cell]))


def keras_layer(options, shape, weights):
    """The layer that the options describe, built, with these weights."""
    layer = layer_of(options, keras.layers)
    layer.build(shape)
    layer.set_weights(weights)
    return layer


def drop_the_same(layer, seen):
    """Make each cell use the multipliers of tests.properties.expected_layers that timeloom drew."""
    for cell, drawn in zip(cells_of(layer), seen, strict=True):
        shared, per_gate, recurrent = drawn.shared, drawn.input_dropout, drawn.recurrent_dropout
        inputs = None
        if per_gate is not None:
            inputs = list(map(tensor, per_gate))
        elif np.ndim(shared):
            inputs = tensor(shared[:, 0])
        if inputs is not None and getattr(cell, "implementation", 2) == 1 and not isinstance(inputs, list):
            inputs = [inputs] * cell.dropout_mask_count
        states = None if recurrent is None else list(map(tensor, recurrent))
        if states is not None and not hasattr(cell, "implementation"):
            (states,) = states  # SimpleRNN
        if isinstance(inputs, list) and not hasattr(cell, "implementation"):
            (inputs,) = inputs
        cell.get_dropout_mask = lambda _inputs, mask=inputs: mask
        cell.get_recurrent_dropout_mask = lambda _state, mask=states: mask


def flat(results):
    """The leaves of nested lists and tuples."""
    if isinstance(results, (list, tuple)):
        return [leaf for part in results for leaf in flat(part)]
    return [results]
