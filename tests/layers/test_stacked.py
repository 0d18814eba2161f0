import numpy as np
import pytest
from tests.layers.own_cells import BATCH, FEATURES, MASKS, TIMESTEPS, Leaky, mask_of

from timeloom import GradientTape, Packed, layers, ops
from timeloom.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells


def inputs():
    return np.random.default_rng(0).normal(size=(BATCH, TIMESTEPS, FEATURES))


def cells():
    return [LSTMCell(4, dtype="float64"), GRUCell(3, dtype="float64")]


@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("go_backwards", [False, True])
def test_stack_equals_layers_one_after_the_other(mask, go_backwards):
    stack = RNN(cells(), return_sequences=True, return_state=True, go_backwards=go_backwards)
    first = LSTM(4, return_sequences=True, return_state=True, go_backwards=go_backwards, dtype="float64")
    second = GRU(3, return_sequences=True, return_state=True, dtype="float64")
    x, valid = inputs(), mask_of(mask)
    stack(x)
    first(x)
    second(first(x)[0])
    first.set_weights(stack.get_weights()[:3])
    second.set_weights(stack.get_weights()[3:])
    outputs, one, two = stack(x, mask=valid)
    between, *expected_one = first(x, mask=valid)
    turned = valid[:, ::-1] if go_backwards and valid is not None else valid
    expected, *expected_two = second(between, mask=turned)
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(one, expected_one)
    np.testing.assert_array_equal(two, expected_two)


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_own_cell_among_built_in_ones(mask):
    x, valid = inputs(), mask_of(mask)
    stack = RNN([GRUCell(3, dtype="float64"), Leaky(2, dtype="float64"), GRUCell(3, dtype="float64")])
    with GradientTape() as tape:
        loss = ops.sum(stack(x, mask=valid) ** 2)
    below = RNN(stack.cell.cells[0], return_sequences=True)
    own = RNN(stack.cell.cells[1], return_sequences=True)
    above = RNN(stack.cell.cells[2])
    with GradientTape() as other:
        rows = own(below(x, mask=valid), mask=valid)
        expected = ops.sum(above(rows, mask=valid) ** 2)
    assert float(loss) == float(expected)
    assert len(stack.weights) == 7
    for a, b in zip(tape.gradient(loss, stack.weights), other.gradient(expected, stack.weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_stack_by_hand_equals_the_walk():
    stack = StackedRNNCells([*cells(), Leaky(2, dtype="float64")])
    x = inputs()
    layer = RNN(stack, return_sequences=True)
    outputs = layer(x)
    states = stack.get_initial_state(BATCH)
    assert [[state.shape for state in part] for part in states] == [[(4, 4)] * 2, [(4, 3)], [(4, 2)]]
    for t in range(TIMESTEPS):
        found, states = stack(x[:, t], states)
        np.testing.assert_array_equal(found, outputs[:, t])
    assert stack.state_size == [[4, 4], 3, 2]
    assert stack.output_size == 4


def test_states_go_in_nested_or_flat_and_come_out_by_cell():
    layer = RNN(cells(), return_state=True)
    x = inputs()
    generator = np.random.default_rng(1)
    h, c, g = (generator.normal(size=(BATCH, units)) for units in (4, 4, 3))
    outputs, first, second = layer(x, initial_state=[[h, c], [g]])
    for given in ([[h, c], g], [h, c, g]):
        np.testing.assert_array_equal(layer(x, initial_state=given)[0], outputs)
    np.testing.assert_array_equal(layer([x, [h, c], g])[0], outputs)
    assert [len(first), len(second)] == [2, 1]
    np.testing.assert_array_equal(second[0], outputs)
    shapes = layer.compute_output_shape((None, None, FEATURES))
    assert shapes == ((None, 3), [(None, 4), (None, 4)], [(None, 3)])
    with pytest.raises(ValueError, match="initial_state: expected 3 for"):
        layer(x, initial_state=[h, c])
    with pytest.raises(ValueError, match=r"initial_state: expected shape \(4, 3\), got \(4, 4\)"):
        layer(x, initial_state=[h, c, h])


def test_stack_takes_packed_sequences():
    layer = RNN(cells())
    x, lengths = inputs(), [5, 2, 1, 3]
    packed = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    mask = np.arange(TIMESTEPS) < np.array(lengths)[:, None]
    np.testing.assert_array_equal(layer(packed), layer(x, mask=mask))


def test_paths_and_configuration():
    stack = StackedRNNCells(
        [SimpleRNNCell(2, name="low"), StackedRNNCells([GRUCell(3, name="high")], name="in")]
    )
    layer = RNN(stack, name="all")
    layer.build((None, None, FEATURES))
    names = [
        f"all/{stack.name}/{cell}/{w}" for cell in ("low", "in/high") for w in ("kernel", "recurrent_kernel")
    ]
    assert [w.path for w in layer.weights if not w.path.endswith("bias")] == names
    config = layer.get_config()
    assert layers.RNN.from_config(config).get_config() == config
    own = RNN([Leaky(3), GRUCell(2)]).get_config()
    assert RNN.from_config(own, custom_objects={"Leaky": Leaky}).get_config() == own


def test_stack_that_is_not_trainable_has_no_trainable_weights():
    layer = RNN(StackedRNNCells([GRUCell(2), Leaky(2)], trainable=False))
    layer(inputs())
    assert layer.trainable_weights == []
    assert len(layer.weights) == 4


def test_what_is_no_stack_is_refused():
    for wrong in ([], GRUCell(3), None):
        with pytest.raises(ValueError, match="cells: expected a list of at least one cell"):
            StackedRNNCells(wrong)
    with pytest.raises(ValueError, match="cell: expected an object with call"):
        StackedRNNCells([GRUCell(3), 7])


class Training:
    """Outputs and a state of 1 in training, of 0 else."""

    state_size = 2

    def call(self, inputs, states, training=False):
        new = 0.0 * states[0] + float(training)
        return new, [new]


@pytest.mark.parametrize("training", [False, True])
def test_one_step_of_a_stack_hands_training_to_every_cell(training):
    stack = StackedRNNCells([Leaky(2), Training()])
    outputs, _ = stack(inputs()[:, 0], [np.zeros((BATCH, 2))] * 2, training=training)
    np.testing.assert_array_equal(outputs, np.full((BATCH, 2), float(training)))


def test_states_of_a_stack_need_the_size_of_the_batch():
    with pytest.raises(ValueError, match="batch_size: expected"):
        StackedRNNCells(cells()).get_initial_state()


def test_one_step_of_a_cell_that_returns_no_states_is_refused():
    cell = Training()
    cell.call = lambda inputs, states: inputs
    with pytest.raises(ValueError, match="cell: expected 'Training' to return a pair"):
        StackedRNNCells([cell])(inputs()[:, 0], [np.zeros((BATCH, 2))])
