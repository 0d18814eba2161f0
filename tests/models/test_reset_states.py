import numpy as np

from timeloom import Input, Sequential
from timeloom.layers import GRU, LSTM, Bidirectional, Dense


def test_reset_states_reaches_every_stateful_layer():
    inner = Sequential([Input(batch_shape=(2, None, 4)), GRU(4, return_sequences=True, stateful=True)])
    model = Sequential(
        [
            Input(batch_shape=(2, None, 3)),
            LSTM(4, return_sequences=True, stateful=True),
            inner,
            Bidirectional(GRU(3, stateful=True)),
            Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    first = model.predict_on_batch(x)
    second = model.predict_on_batch(x)
    assert np.abs(second - first).max() > 1e-4
    model.reset_states()
    np.testing.assert_array_equal(model.predict_on_batch(x), first)


def test_reset_states_without_stateful_layers():
    model = Sequential([Input((None, 3)), LSTM(4), Dense(1)])
    x = np.ones((2, 5, 3))
    before = model.predict_on_batch(x)
    model.reset_states()
    np.testing.assert_array_equal(model.predict_on_batch(x), before)
