"""Both directions in one call of the kernels, and layers and cells whose own code keeps them apart."""

from unittest import mock

import numpy as np
import pytest

from timeloom import GradientTape, ops, regularizers
from timeloom.layers import GRU, LSTM, RNN, Bidirectional, LSTMCell

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 5, 3))
MASK = np.array([[True, True, False, True, False], [True] * 5])


class OwnCall(LSTM):
    def call(self, inputs, *args, **kwargs):
        return super().call(2 * inputs, *args, **kwargs)


class OwnRun(LSTM):
    def run_with_mask(self, inputs, *args, **kwargs):
        return super().run_with_mask(2 * inputs, *args, **kwargs)


class OwnMask(LSTM):
    def compute_mask(self, inputs, mask=None):
        return np.arange(inputs.shape[1]) < np.full((len(inputs), 1), 2)


class OwnWalk(LSTMCell):
    def walk(self, sequences, *args, **kwargs):
        return super().walk(2 * sequences, *args, **kwargs)


class OwnStep(LSTMCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training)


def built(layer):
    layer.build_for((None, None, 3))
    generator = np.random.default_rng(1)
    layer.set_weights([generator.normal(size=w.shape) for w in layer.weights])
    return layer


def both_of(kind, **options):
    """A bidirectional layer of two layers of this kind."""
    options = {"units": 4, "dtype": "float64", "return_sequences": True, **options}
    return built(Bidirectional(kind(**options), backward_layer=kind(go_backwards=True, **options)))


def calls_of(layer, *arguments, **keywords):
    """How many calls of one recurrence and of two a call of the layer makes."""
    with (
        mock.patch.object(ops, "recurrent", wraps=ops.recurrent) as one,
        mock.patch.object(ops, "recurrent_pair", wraps=ops.recurrent_pair) as pair,
    ):
        layer(*arguments, **keywords)
    return one.call_count, pair.call_count


@pytest.mark.parametrize("keywords", [{}, {"mask": MASK}, {"training": True}])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.5, "recurrent_dropout": 0.5}, {"return_state": True}])
def test_both_directions_are_one_call(options, keywords):
    assert calls_of(both_of(GRU, **options), X, **keywords) == (0, 1)


@pytest.mark.parametrize("kind", [OwnCall, OwnRun])
def test_a_layer_with_code_of_its_own_runs_it(kind):
    layer = both_of(kind)
    assert calls_of(layer, X) == (2, 0)
    np.testing.assert_array_equal(layer(X), built(both_of(LSTM))(2 * X))


@pytest.mark.parametrize(("kind", "calls"), [(OwnWalk, (2, 0)), (OwnStep, (2 * 5, 0))])
def test_a_cell_with_code_of_its_own_runs_it(kind, calls):
    def layer_of(cell):
        layers = [
            RNN(cell(4, dtype="float64"), return_sequences=True, go_backwards=backwards)
            for backwards in (False, True)
        ]
        return built(Bidirectional(layers[0], backward_layer=layers[1]))

    layer = layer_of(kind)
    assert calls_of(layer, X) == calls
    np.testing.assert_allclose(layer(X), layer_of(LSTMCell)(2 * X), rtol=1e-12)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("kind", [LSTM, OwnMask])
def test_penalties_of_the_outputs_of_each_direction(kind, mask):
    layer = both_of(kind, activity_regularizer=regularizers.L2(0.1))
    outputs = np.split(layer(X, mask=mask), 2, axis=-1)
    counted = layer.forward_layer.compute_mask(X, mask)
    expected = [0.1 * np.sum((half if counted is None else half[counted]) ** 2) / len(X) for half in outputs]
    np.testing.assert_allclose(layer.losses, expected, rtol=1e-12)


def test_a_refused_call_leaves_the_states_as_they_were():
    layer = Bidirectional(GRU(4, stateful=True, dtype="float64"), batch_input_shape=(2, 5, 3))
    layer(X)
    before = [state.numpy() for state in layer.states]
    with (
        mock.patch.object(ops, "recurrent_pair", side_effect=MemoryError),
        pytest.raises(MemoryError),
    ):
        layer(X)
    for state, was in zip(layer.states, before, strict=True):
        np.testing.assert_array_equal(state.numpy(), was)


@pytest.mark.parametrize("merge_mode", [None, "concat"])
def test_changed_weights_of_one_direction_leave_the_gradient_of_the_other(merge_mode):
    layer = both_of(LSTM)
    layer.merge_mode = merge_mode
    with GradientTape(persistent=True) as tape:
        total = ops.sum(layer(X)[0] if merge_mode is None else layer(X))
    weights = layer.forward_layer.trainable_weights
    expected = tape.gradient(total, weights)
    for variable in layer.backward_layer.trainable_weights:
        variable.assign(2 * variable.numpy())
    for found, wanted in zip(tape.gradient(total, weights), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(RuntimeError, match="expected Variable 'kernel' as it was recorded"):
        tape.gradient(total, layer.trainable_weights, unconnected_gradients="none")
