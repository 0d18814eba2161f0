"""A few steps of fit beside Keras 3, from the same weights: the same losses, the same weights in the end."""

import numpy as np
import pytest
from tests.parity.keras_peer import keras, needs_keras, weights_of

from timeloom import layers, models, optimizers

pytestmark = needs_keras
BATCH, TIMESTEPS, WORDS, CLASSES = 4, 7, 9, 3
RANDOM = np.random.default_rng(3)
INTEGERS = RANDOM.integers(0, WORDS, (3 * BATCH, TIMESTEPS))
INTEGERS[1] = 0  # a row without any valid timestep
SERIES = RANDOM.standard_normal((3 * BATCH, TIMESTEPS, 2))
SERIES[:, 4:][RANDOM.random((3 * BATCH, 3)) < 0.5] = 0.0
LABELS = RANDOM.standard_normal((3 * BATCH, CLASSES))
LABELS_OF_STEPS = RANDOM.standard_normal((3 * BATCH, TIMESTEPS, CLASSES))


def many_to_one(kinds):
    return [
        kinds.Embedding(WORDS, 5, mask_zero=True),
        kinds.Bidirectional(kinds.LSTM(4, return_sequences=True)),
        kinds.GRU(4, reset_after=False),
        kinds.Dense(CLASSES),
    ]


def many_to_many(kinds):
    return [
        kinds.Masking(),
        kinds.SimpleRNN(5, activation="relu", return_sequences=True),
        kinds.Bidirectional(kinds.GRU(3, return_sequences=True), merge_mode="ave"),
        kinds.TimeDistributed(kinds.Dense(CLASSES)),
    ]


def one_to_many(kinds):
    return [
        kinds.LSTM(4, go_backwards=True, kernel_regularizer="l2", recurrent_regularizer="l1"),
        kinds.RepeatVector(TIMESTEPS),
        kinds.RNN([kinds.GRUCell(3), kinds.GRUCell(5)], return_sequences=True),
        kinds.Dense(CLASSES),
    ]


TRAININGS = {
    "many to one": (many_to_one, INTEGERS, LABELS),
    "many to many": (many_to_many, SERIES, LABELS_OF_STEPS),
    "one to many": (one_to_many, SERIES, LABELS_OF_STEPS),
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", TRAININGS)
def test_fit_gives_the_losses_and_weights_of_keras(name, optimizer):
    build, x, y = TRAININGS[name]
    x, y = (array.astype("float32") if array.dtype == np.float64 else array for array in (x, y))
    ours = models.Sequential(build(layers))
    theirs = keras.Sequential(build(keras.layers))
    for model, package in ((ours, optimizers), (theirs, keras.optimizers)):
        model(x[:1])  # builds
        model.compile(optimizer=getattr(package, optimizer)(learning_rate=0.05), loss="mse")
    random = np.random.default_rng(4)
    weights = [random.standard_normal(weight.shape) / 2 for weight in ours.get_weights()]
    histories = []
    for model in (ours, theirs):
        model.set_weights(weights)
        fitted = model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
        histories.append(fitted.history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=2e-5)
    assert histories[0][-1] < histories[0][0]
    for weight, expected in zip(ours.get_weights(), weights_of(theirs), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=2e-4 * np.abs(expected).max())
