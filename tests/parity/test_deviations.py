"""Where timeloom deliberately does not do as Keras 3.15.

Each test also holds what Keras does, so that its repair is noticed.

Others, of which a test would only show an exception of Keras: on torch it raises for one mask of dropout a
gate without recurrent_dropout, for a mask beside unroll and go_backwards, for the gradient of a stateful
layer, and for return_state of a stateful Bidirectional; timeloom computes them all.
"""

import numpy as np
from tests.parity.keras_peer import keras, needs_keras, numbers, tensor, weights_of

from timeloom import layers, models

pytestmark = needs_keras
RANDOM = np.random.default_rng(6)


def test_implicit_mask_holds_beside_an_initial_state():
    integers, state = np.array([[3, 1, 2, 0], [4, 0, 0, 0]]), RANDOM.standard_normal((2, 3))
    embedding, recurrent = keras.layers.Embedding(5, 2, mask_zero=True), keras.layers.GRU(3)
    vectors, mask = embedding(tensor(integers)), embedding.compute_mask(tensor(integers))
    implicit = numbers(recurrent(vectors, initial_state=[tensor(state)]))
    explicit = numbers(recurrent(vectors, initial_state=[tensor(state)], mask=mask))
    assert not np.allclose(implicit, explicit)  # Keras forgets the mask that came with the vectors
    ours = models.Sequential(
        [layers.Embedding(5, 2, mask_zero=True, dtype="float64"), Starting(3, state, dtype="float64")]
    )
    ours(integers)
    ours.set_weights(weights_of(embedding) + weights_of(recurrent))
    np.testing.assert_allclose(ours(integers), explicit, rtol=1e-10)


class Starting(layers.GRU):
    """A GRU that always starts from the same state, wherever it stands in a model."""

    def __init__(self, units, state, **options):
        super().__init__(units, **options)
        self.start = state

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(sequences, [self.start], mask, training)


def test_dropout_of_one_drops_everything():
    x = RANDOM.standard_normal((2, 3, 4))
    for name in ("GRUCell", "LSTMCell"):  # Keras's SimpleRNNCell does drop everything
        theirs = keras.layers.RNN(getattr(keras.layers, name)(3, dropout=1.0))
        ours = layers.RNN(getattr(layers, name)(3, dropout=1.0, dtype="float64"))
        plain = numbers(theirs(tensor(x)))
        assert np.array_equal(numbers(theirs(tensor(x), training=True)), plain)  # Keras drops nothing
        ours.build((None, 3, 4))
        ours.set_weights(weights_of(theirs))
        assert np.array_equal(ours(x, training=True), ours(np.zeros_like(x)))
        np.testing.assert_allclose(ours(x), plain, rtol=1e-10)


def test_simple_rnn_keeps_its_activity_regularizer():
    x = RANDOM.standard_normal((2, 3, 4))
    theirs = keras.layers.SimpleRNN(3, activity_regularizer="l2")
    theirs(tensor(x))
    assert not theirs.losses  # Keras drops it
    model = models.Sequential([layers.SimpleRNN(3, activity_regularizer="l2")])
    model.compile(loss="mse")
    y = np.asarray(model(x))
    penalty = 0.01 * (y**2).sum() / len(y)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), penalty, rtol=1e-4)
