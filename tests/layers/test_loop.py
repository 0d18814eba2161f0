"""What a cell of one's own must return."""

import numpy as np
import pytest
from tests.layers.own_cells import BATCH, FEATURES, TIMESTEPS, UNITS

from timeloom.layers import RNN, GRUCell


def inputs():
    return np.random.default_rng(0).normal(size=(BATCH, TIMESTEPS, FEATURES))


def own_cell(returned, start=None):
    """A cell of two states of sizes 2 and 3 that returns what `returned` makes of its inputs."""

    class Own:
        state_size = (UNITS, 3)

        def call(self, inputs, states):
            return returned(inputs[:, :UNITS], states)

    cell = Own()
    if start is not None:
        cell.get_initial_state = lambda batch_size: start(batch_size)
    return cell


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x, _: x, "to return a pair, outputs and new states, got ndarray"),
        (lambda x, states: (x, *states), "to return a pair, outputs and new states, got 3 values"),
        (lambda x, _: (x, [x]), "expected 2 new states of 'Own', got 1"),
        (lambda x, _: (x, [x, x]), r"expected a new state of 'Own' of shape \(4, 3\), got \(4, 2\)"),
        (lambda x, states: (x, [x[:1], states[1]]), r"a new state of 'Own' of shape \(4, 2\), got \(1, 2\)"),
        (lambda x, states: (x, [0.0, states[1]]), "a new state of 'Own' to be an array, got float"),
        (lambda x, states: (x.tolist(), states), "outputs of 'Own' to be an array, got list"),
        (lambda x, states: (x[:, :1], states), r"outputs of 'Own' of shape \(4, 2\), got \(4, 1\)"),
    ],
)
def test_what_a_cell_must_not_return_is_refused(returned, words):
    layers_of_it = [RNN(own_cell(returned)), RNN([GRUCell(UNITS), own_cell(returned)])]
    layers_of_it.append(RNN(own_cell(returned), return_state=True, return_sequences=True, stateful=True))
    for layer in layers_of_it:
        with pytest.raises(ValueError, match="cell: .*" + words):
            layer(inputs())


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda batch: np.zeros((batch, UNITS)), "expected 2 states of get_initial_state of 'Own', got 1"),
        (
            lambda batch: [np.zeros((batch, UNITS))] * 2,
            r"expected states of shape \(4, 3\) of get_initial_state",
        ),
        (lambda _: [np.zeros((1, UNITS)), np.zeros((1, 3))], r"states of shape \(4, 2\) .*, got \(1, 2\)"),
    ],
)
def test_first_states_of_a_cell_that_do_not_fit_are_refused(start, words):
    with pytest.raises(ValueError, match="cell: .*" + words):
        RNN(own_cell(lambda x, states: (x, states), start))(inputs())
