import numpy as np
import pytest
from tests.reference import recurrent as reference

import timeloom
from timeloom import GradientTape, layers, ops
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.recurrent import RecurrentLayer

# Cell, layer, name in the reference, gates, more arguments.
KINDS = {
    "simple_rnn": (layers.SimpleRNNCell, layers.SimpleRNN, 1, {}),
    "lstm": (layers.LSTMCell, layers.LSTM, 4, {}),
    "gru": (layers.GRUCell, layers.GRU, 3, {}),
    "gru_reset_before": (layers.GRUCell, layers.GRU, 3, {"reset_after": False}),
}
NAMES = sorted(KINDS)
BATCH, TIMESTEPS, FEATURES, UNITS = 3, 5, 2, 4
# A float64 pass of ours and of the reference differ by their order of summation.
TOLERANCE = {"rtol": 0, "atol": 1e-12}


def inputs():
    return np.random.default_rng(5).normal(size=(BATCH, TIMESTEPS, FEATURES))


def layer_of(name, **options):
    _, kind, _, more = KINDS[name]
    layer = kind(UNITS, dtype="float64", return_sequences=True, return_state=True, **more, **options)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(6)
    layer.set_weights([generator.normal(size=w.shape) / 2 for w in layer.weights])
    return layer


def referee(name, layer, x, **options):
    kernel, recurrent_kernel, bias = layer.get_weights()
    return reference.forward(name, x, kernel, recurrent_kernel, bias, **options)


def multipliers(generator, shape, rate):
    return (generator.random(shape, dtype=np.float32) >= np.float32(rate)) / (1 - rate)


def assert_agree(found, run):
    outputs, *finals = found
    np.testing.assert_allclose(outputs, run.outputs, **TOLERANCE)
    for final, expected in zip(finals, run.states, strict=True):
        np.testing.assert_allclose(final, expected, **TOLERANCE)


# ---- a single step ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_cell_by_hand_equals_its_layer_to_the_bit(name):
    layer = layer_of(name)
    x = inputs()
    outputs, *finals = layer(x)
    states = layer.cell.get_initial_state(BATCH)
    for t in range(TIMESTEPS):
        found, states = layer.cell(x[:, t], states)
        np.testing.assert_array_equal(found, outputs[:, t])
    for state, final in zip(states, finals, strict=True):
        np.testing.assert_array_equal(state, final)


@pytest.mark.parametrize("name", ["simple_rnn", "gru"])
def test_bare_state_gives_a_bare_state(name):
    cell = KINDS[name][0](UNITS)
    x, h = np.ones((BATCH, FEATURES)), np.ones((BATCH, UNITS))
    outputs, state = cell(x, h)
    again, states = cell(x, [h])
    assert isinstance(state, np.ndarray)
    assert isinstance(states, list)
    for found in (state, again, states[0]):
        np.testing.assert_array_equal(found, outputs)


def test_attributes_of_cells_are_those_of_keras():
    lstm, gru = layers.LSTMCell(UNITS, name="mine"), layers.GRUCell(UNITS)
    assert (lstm.state_size, gru.state_size, gru.output_size) == ([UNITS, UNITS], UNITS, UNITS)
    assert [state.shape for state in lstm.get_initial_state(7)] == [(7, UNITS)] * 2
    assert not any(state.any() for state in lstm.get_initial_state(batch_size=7))
    assert lstm.get_initial_state(1)[0].dtype == np.float32
    layer = layers.GRU(
        UNITS, dropout=0.25, recurrent_dropout=2.0, kernel_constraint="non_neg", use_bias=False
    )
    layer.build((None, None, FEATURES))
    assert (layer.units, layer.dropout, layer.recurrent_dropout, layer.use_bias) == (UNITS, 0.25, 1.0, False)
    assert layer.activation is timeloom.activations.tanh
    assert layer.kernel_constraint is layer.cell.kernel_constraint
    assert layer.weights == [layer.cell.kernel, layer.cell.recurrent_kernel]
    assert [w.path for w in layer.weights] == [
        f"{layer.name}/gru_cell/kernel",
        f"{layer.name}/gru_cell/recurrent_kernel",
    ]
    with pytest.raises(AttributeError):
        layers.SimpleRNN(UNITS).recurrent_activation  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_gradients_flow_through_steps_by_hand(name):
    layer = layer_of(name)
    x = inputs()
    with GradientTape() as tape:
        whole = ops.sum(layer(x)[0] ** 2)
    with GradientTape() as other:
        states = layer.cell.get_initial_state(BATCH)
        total = 0.0
        for t in range(TIMESTEPS):
            outputs, states = layer.cell(x[:, t], states)
            total = total + ops.sum(outputs**2)
    expected = tape.gradient(whole, layer.trainable_weights)
    for found, wanted in zip(other.gradient(total, layer.trainable_weights), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_a_cell_of_the_kernels_needs_two_names():
    class PlainCell(RecurrentCell):
        kernels = "gru"

    class Plain(RecurrentLayer):
        cell_class = PlainCell

    layer = Plain(UNITS, dtype="float64", return_sequences=True, return_state=True, dropout=0.5, seed=1)
    x = inputs()
    layer(x)
    expected = layer_of("gru")
    layer.set_weights(expected.get_weights())
    np.testing.assert_array_equal(layer(x)[0], expected(x)[0])
    assert (layer(x, training=True)[0] != layer(x)[0]).any()
    assert Plain.from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.weights[0].path == f"{layer.name}/plain_cell/kernel"


# ---- dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_recurrent_dropout_has_a_mask_for_each_gate_and_so_have_the_inputs(name):
    gates = KINDS[name][2]
    layer = layer_of(name, dropout=0.25, recurrent_dropout=0.5, seed=3)
    x = inputs()
    found = layer(x, training=True)
    generator = np.random.default_rng(3)
    shape = (BATCH, FEATURES) if gates == 1 else (gates, BATCH, FEATURES)
    drops = multipliers(generator, shape, 0.25)
    recurrent = multipliers(generator, (gates, BATCH, UNITS), 0.5)
    drops = drops[None] if gates == 1 else drops
    assert_agree(found, referee(name, layer, x, input_dropout=drops, recurrent_dropout=recurrent))
    assert_agree(layer(x), referee(name, layer, x))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_implementation_one_has_a_mask_of_the_inputs_for_each_gate(name):
    gates = KINDS[name][2]
    layer = layer_of(name, dropout=0.5, implementation=1, seed=4)
    x = inputs()
    drops = multipliers(np.random.default_rng(4), (gates, BATCH, FEATURES), 0.5)
    assert len({drop.tobytes() for drop in drops}) == gates
    assert_agree(layer(x, training=True), referee(name, layer, x, input_dropout=drops))


@pytest.mark.parametrize("name", NAMES)
def test_dropout_of_one_leaves_nothing(name):
    layer = layer_of(name, dropout=1.0, recurrent_dropout=1.0)
    x = inputs()
    gates = KINDS[name][2]
    nothing = {"recurrent_dropout": np.zeros((gates, BATCH, UNITS))}
    assert_agree(layer(x, training=True), referee(name, layer, 0 * x, **nothing))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_with_recurrent_dropout_are_those_of_the_reference(name):
    gates = KINDS[name][2]
    layer = layer_of(name, recurrent_dropout=0.5, seed=3)
    x = inputs()
    with GradientTape() as tape:
        loss = ops.sum(layer(x, training=True)[0] ** 2)
    recurrent = multipliers(np.random.default_rng(3), (gates, BATCH, UNITS), 0.5)
    run = referee(name, layer, x, recurrent_dropout=recurrent)
    expected = reference.backward(run, 2 * run.outputs)
    found = tape.gradient(loss, layer.trainable_weights)
    for name_of, gradient in zip(("kernel", "recurrent_kernel", "bias"), found, strict=True):
        wanted = getattr(expected, name_of)
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_seeds_reproduce_for_any_number_of_threads_and_calls_differ():
    options = {"dropout": 0.3, "recurrent_dropout": 0.3, "zoneout": 0.2, "seed": 8, "dtype": "float32"}
    x = np.random.default_rng(0).normal(size=(16, 12, 8)).astype("float32")
    first, second = layers.LSTM(32, **options), layers.LSTM(32, **options)
    first(x)
    second(x)
    second.set_weights(first.get_weights())
    before = timeloom.backend.get_num_threads()
    results = []
    try:
        for layer, threads in ((first, 1), (second, 3)):
            timeloom.backend.set_num_threads(threads)
            results.append([layer(x, training=True) for _ in range(2)])
    finally:
        timeloom.backend.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0][0] != results[0][1]).any()


def test_masks_by_hand_stay_until_they_are_reset():
    cell = layers.SimpleRNNCell(64, dropout=0.5, recurrent_dropout=0.5, seed=1)
    x, h = np.ones((2, 32)), np.ones((2, 64))
    first = cell(x, h, training=True)[0]
    np.testing.assert_array_equal(cell(x, h, training=True)[0], first)
    cell.reset_dropout_mask()
    second = cell(x, h, training=True)[0]
    assert (second != first).any()
    cell.reset_recurrent_dropout_mask()
    assert (cell(x, h, training=True)[0] != second).any()
    assert cell(x[:1], h[:1], training=True)[0].shape == (1, 64)


# ---- zoneout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_zoneout_is_drawn_in_training_and_the_expectation_otherwise(name):
    rates = (0.5, 0.25) if name == "lstm" else (0.5,)
    layer = layer_of(name, zoneout=rates if name == "lstm" else rates[0], seed=2)
    x = inputs()
    assert_agree(layer(x), referee(name, layer, x, zoneout=rates))
    generator = np.random.default_rng(2)
    shape = (BATCH, TIMESTEPS, UNITS)
    keeps = tuple((generator.random(shape, np.float32) < np.float32(rate)) * 1.0 for rate in rates)
    assert_agree(layer(x, training=True), referee(name, layer, x, zoneout=keeps))


def test_zoneout_of_one_keeps_the_state_and_of_zero_changes_nothing():
    x, h = inputs(), np.full((BATCH, UNITS), 0.5)
    for training in (False, True):
        outputs = layer_of("gru", zoneout=1.0)(x, initial_state=h, training=training)[0]
        np.testing.assert_array_equal(outputs, np.broadcast_to(h[:, None], outputs.shape))
    np.testing.assert_array_equal(layer_of("gru", zoneout=0.0)(x)[0], layer_of("gru")(x)[0])


# ---- what is refused, and configurations --------------------------------------------------------------


@pytest.mark.parametrize("kind", [layers.LSTM, layers.LSTMCell])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": 0}, "units: expected a positive integer"),
        ({"units": 3, "dropout": "much"}, "dropout: expected a number"),
        ({"units": 3, "zoneout": 1.5}, r"zoneout: expected a number in \[0, 1\]"),
        ({"units": 3, "zoneout": (0.1, 0.1, 0.1)}, "zoneout: expected 2 numbers, got 3"),
        ({"units": 3, "seed": -1}, "seed: expected"),
        ({"units": 3, "unitz": 4}, "unitz: expected an argument"),
        ({"units": 3, "implementation": 7}, "implementation: expected 0, 1 or 2"),
    ],
)
def test_arguments_that_are_not_legal_are_refused(kind, options, words):
    with pytest.raises(ValueError, match=words):
        kind(**options)


@pytest.mark.parametrize("argument", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("kind", [layers.GRU, layers.LSTMCell])
def test_activation_that_the_kernels_do_not_have_is_refused(kind, argument):
    with pytest.raises(
        ValueError, match=f"{argument}: expected a function of single elements .* got softmax"
    ):
        kind(3, **{argument: "softmax"})
    with pytest.raises(NotImplementedError, match=rf"{argument}: expected .* given to RNN\(cell\)"):
        kind(3, **{argument: lambda x: x * x})


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("gru", np.zeros((BATCH, 3)), r"initial_state: expected shape \(3, 4\), got \(3, 3\)"),
        ("lstm", [np.zeros((BATCH, UNITS))], "initial_state: expected 2 for 'lstm_cell"),
        ("lstm", np.zeros((BATCH, UNITS)), "initial_state: expected 2 for 'lstm_cell"),
    ],
)
def test_states_that_do_not_fit_are_refused(name, state, words):
    cell = KINDS[name][0](UNITS)
    with pytest.raises(ValueError, match=words):
        cell(np.zeros((BATCH, FEATURES)), state)


@pytest.mark.parametrize("name", NAMES)
def test_configuration_makes_the_same_cell_and_layer(name):
    kind, layer_kind, _, more = KINDS[name]
    options = {
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "recurrent_regularizer": "l2",
        "bias_constraint": "non_neg",
        "dropout": 0.25,
        "seed": 3,
        "zoneout": 0.125,
        **more,
    }
    if name != "simple_rnn":
        options["implementation"] = 1
    config = kind(UNITS, **options).get_config()
    assert kind.from_config(config).get_config() == config
    flags = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
    config = layer_kind(UNITS, **options, **dict.fromkeys(flags, True)).get_config()
    assert all(config[flag] is True for flag in flags)
    assert layer_kind.from_config(config).get_config() == config
    plain = layer_kind(UNITS).get_config()
    assert "zoneout" not in plain
    assert "implementation" not in plain
    assert "cell" not in plain


def test_new_states_are_a_list_or_the_array_itself():
    x, state = np.ones((BATCH, FEATURES)), np.zeros((BATCH, UNITS))
    for given in ([state], (state,)):
        assert isinstance(layers.GRUCell(UNITS)(x, given)[1], list)
    assert isinstance(layers.LSTMCell(UNITS)(x, (state, state))[1], list)
    assert isinstance(layers.GRUCell(UNITS)(x, state)[1], np.ndarray)
