"""Cells as users write them, with NumPy operators and ops, and masks to try them with."""

import numpy as np

from timeloom import ops
from timeloom.layers import Layer

BATCH, TIMESTEPS, FEATURES, UNITS = 4, 5, 3, 2

# Rows of MASKS: valid timesteps as 1.
MASKS = {
    "none": None,
    "right": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0]],
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0, 1, 1, 1, 1]],
    "holes": [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [1, 1, 0, 1, 1], [0, 0, 1, 0, 0]],
    "whole rows": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]],
}


def mask_of(name):
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


class OwnLSTM:
    """The equations of LSTM on the weights of another cell."""

    def __init__(self, cell):
        self.weights_of = cell
        self.state_size = [cell.units, cell.units]

    def call(self, inputs, states):
        h, c = states
        w = self.weights_of
        i, f, g, o = np.split(inputs @ w.kernel + h @ w.recurrent_kernel + w.bias, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * np.tanh(g)
        h = ops.sigmoid(o) * np.tanh(c)
        return h, [h, c]


class Leaky(Layer):
    """A cell with a weight, one state, and an output of its own size."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.output_size = 2 * units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="kernel")

    def call(self, inputs, states, training=False):
        h = 0.5 * states[0] + np.tanh(inputs @ self.kernel)
        if training:
            h = h + 1.0
        return np.concatenate([h, -h], axis=-1), h

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Counter:
    """Nested states, of which one counts the valid timesteps."""

    state_size = ((2,), [1, 3])
    output_size = 1

    def call(self, inputs, states):
        (a,), (count, b) = states
        return count + 1.0, [[a + inputs[:, :2]], [count + 1.0, b]]
