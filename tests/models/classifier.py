"""A small model, its data, and what must be the same after a refused call."""

import numpy as np

from timeloom import Sequential
from timeloom.layers import LSTM, Dense

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(40, 6, 3)).astype("float32")
Y = (X[:, :, 0].sum(1) > 0).astype("int64")


def classifier(**options):
    model = Sequential([LSTM(8, input_shape=(6, 3)), Dense(2, activation="softmax")])
    arguments = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, **options})
    return model


def state_of(model):
    """Weights, optimizer and what was built, to compare before and after."""
    optimizer = model.optimizer
    values = [*model.get_weights(), *(variable.numpy() for variable in optimizer.variables)]
    return model.built, model.metrics_names, [variable.version for variable in model.weights], values


def assert_same_state(model, before):
    after = state_of(model)
    assert after[:3] == before[:3]
    assert len(after[3]) == len(before[3])
    for a, b in zip(after[3], before[3], strict=True):
        np.testing.assert_array_equal(a, b)
