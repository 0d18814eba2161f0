import numpy as np
import pytest
from tests.layers.own_cells import BATCH, FEATURES, MASKS, TIMESTEPS, UNITS, Counter, Leaky, OwnLSTM, mask_of
from tests.reference import recurrent as reference

from timeloom import GradientTape, Packed, Sequential, layers, ops, utils
from timeloom.layers import GRU, LSTM, RNN, Dense, Embedding, GRUCell, LSTMCell, SimpleRNN

KINDS = [SimpleRNN, LSTM, GRU]


def inputs(seed=0, timesteps=TIMESTEPS):
    return np.random.default_rng(seed).normal(size=(BATCH, timesteps, FEATURES))


def built(kind, **options):
    layer = kind(UNITS, dtype="float64", **options)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(1)
    layer.set_weights([generator.normal(size=w.shape) for w in layer.weights])
    return layer


# ---- a cell of the user's own -------------------------------------------------------------------------


@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_own_cell_agrees_with_the_reference_in_values_and_gradients(
    mask, go_backwards, return_sequences, zero
):
    weights = built(LSTM).cell
    options = {
        "go_backwards": go_backwards,
        "return_sequences": return_sequences,
        "zero_output_for_mask": zero,
    }
    layer = RNN(OwnLSTM(weights), return_state=True, dtype="float64", **options)
    generator = np.random.default_rng(3)
    starts = [generator.normal(size=(BATCH, UNITS)) for _ in range(2)]
    x = inputs()
    if mask_of(mask) is not None:
        x[~mask_of(mask)] = np.nan  # what stands at a masked timestep never counts
    kernel, recurrent_kernel, bias = weights.get_weights()
    run = reference.forward(
        "lstm", x, kernel, recurrent_kernel, bias, tuple(starts), mask=mask_of(mask), **options
    )
    with GradientTape() as tape:
        traced = [tape.watch(array) for array in (x, *starts)]
        found = layer(traced[0], initial_state=traced[1:], mask=mask_of(mask))
        upstream = [generator.normal(size=part.shape) for part in found]
        loss = sum(ops.sum(part * weight) for part, weight in zip(found, upstream, strict=True))
    for part, expected in zip(found, (run.outputs, *run.states), strict=True):
        np.testing.assert_allclose(part.numpy(), expected, rtol=0, atol=1e-12)
    gradients = tape.gradient(loss, [*traced, *weights.weights])
    expected = reference.backward(run, upstream[0], tuple(upstream[1:]))
    wanted = [expected.inputs, *expected.states, expected.kernel, expected.recurrent_kernel, expected.bias]
    for gradient, exact in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-11 * np.abs(exact).max())


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_own_cell_takes_packed_sequences(go_backwards, return_sequences):
    weights = built(LSTM).cell
    flags = {"go_backwards": go_backwards, "return_sequences": return_sequences}
    layer = RNN(OwnLSTM(weights), return_state=True, dtype="float64", **flags)
    x, lengths = inputs(), [5, 2, 0, 3]
    packed = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    found, *finals = layer(packed)
    for i, length in enumerate(lengths):
        if length == 0:
            assert not finals[0][i].any()
            continue
        expected, *states = layer(x[i : i + 1, :length])
        np.testing.assert_array_equal(found[i], expected[0])
        for final, state in zip(finals, states, strict=True):
            np.testing.assert_array_equal(final[i], state[0])
    assert isinstance(found, Packed) == return_sequences


def test_own_cell_that_is_a_layer_learns_in_a_model():
    # Leaky computes something else in training, so that not every first kernel gets better outside it.
    utils.set_random_seed(0)
    model = Sequential([RNN(Leaky(3), return_sequences=True), Dense(1)])
    model.compile("sgd", "mse")
    x, y = inputs(), np.zeros((BATCH, TIMESTEPS, 1))
    before = model.evaluate(x, y, verbose=0)
    cell = model.layers[0].cell
    model.predict(x, verbose=0)
    kernel = cell.kernel.numpy()
    model.fit(x, y, epochs=5, verbose=0)
    assert (cell.kernel.numpy() != kernel).all()
    assert model.evaluate(x, y, verbose=0) < before
    assert model.output_shape == (None, TIMESTEPS, 1)
    assert [w.shape for w in model.weights] == [(FEATURES, 3), (6, 1), (1,)]
    np.testing.assert_allclose(
        model.layers[0](x, training=True)[:, 0] - model.layers[0](x)[:, 0],
        np.tile([1.0] * 3 + [-1.0] * 3, (BATCH, 1)),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_states_of_an_own_cell_may_be_nested(mask):
    layer = RNN(Counter(), return_state=True)
    x = inputs().astype("float32")
    outputs, first, second = layer(x, mask=mask_of(mask))
    valid = np.ones((BATCH, TIMESTEPS)) if mask == "none" else mask_of(mask) * 1.0
    np.testing.assert_array_equal(second[0][:, 0], valid.sum(1))
    np.testing.assert_allclose(first[0], (x[:, :, :2] * valid[..., None]).sum(1), atol=1e-5)
    assert outputs.shape == (BATCH, 1)
    assert not second[1].any()
    shapes = layer.compute_output_shape((None, TIMESTEPS, FEATURES))
    assert shapes == ((None, 1), [(None, 2)], [(None, 1), (None, 3)])
    starts = [[np.zeros((BATCH, 2))], [np.full((BATCH, 1), 10.0), np.ones((BATCH, 3))]]
    counted = layer(x, initial_state=starts)[2]
    np.testing.assert_array_equal(counted[0], np.full((BATCH, 1), 15.0))
    np.testing.assert_array_equal(counted[1], starts[1][1])


def test_own_cell_may_say_where_it_starts():
    class Starting(Leaky):
        def get_initial_state(self, batch_size=None):
            return np.full((batch_size, self.units), 8.0, "float32")

    layer = RNN(Starting(2), return_state=True)
    x = np.zeros((BATCH, 2, FEATURES))
    np.testing.assert_array_equal(layer(x)[1], np.full((BATCH, 2), 2.0))


def test_subclass_of_a_cell_with_its_own_call_runs_it():
    class Doubled(GRUCell):
        def call(self, inputs, states, training=False):
            outputs, states = super().call(inputs, states, training)
            return 2.0 * outputs, states

    plain = built(GRU, return_sequences=True)
    doubled = RNN(Doubled(UNITS, dtype="float64", dropout=0.5, seed=1), return_sequences=True)
    x = inputs()
    doubled(x)
    doubled.set_weights(plain.get_weights())
    np.testing.assert_array_equal(doubled(x), 2 * plain(x))
    # One mask for all timesteps of a call, another for the next.
    drop = np.random.default_rng(1).random((2, BATCH, FEATURES), dtype=np.float32) >= 0.5
    for kept in drop:
        np.testing.assert_array_equal(doubled(x, training=True), 2 * plain(x * kept[:, None] * 2))


def test_what_is_no_cell_is_refused():
    class NoSize:
        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(ValueError, match="cell: expected an object with call"):
        RNN(object())
    with pytest.raises(ValueError, match="cell: expected an object with state_size"):
        RNN(NoSize())
    with pytest.raises(ValueError, match="state_size: expected a positive integer"):
        RNN(type("Empty", (NoSize,), {"state_size": 0})())
    with pytest.raises(ValueError, match="cells: expected a list of at least one cell"):
        RNN([])
    with pytest.raises(NotImplementedError, match="OwnLSTM: expected a method get_config"):
        RNN(OwnLSTM(built(LSTM).cell)).get_config()


# ---- a built-in cell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "layer_kind"), [(LSTMCell, LSTM), (GRUCell, GRU)])
def test_rnn_over_a_cell_is_its_layer(kind, layer_kind):
    layer = built(layer_kind, return_sequences=True, return_state=True)
    rnn = RNN(kind(UNITS, dtype="float64"), return_sequences=True, return_state=True)
    x = inputs()
    rnn(x)
    rnn.set_weights(layer.get_weights())
    for found, expected in zip(rnn(x), layer(x), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert rnn.dtype == "float64"
    config = rnn.get_config()
    again = RNN.from_config(config)
    assert again.get_config() == config
    assert isinstance(again.cell, kind)
    own = RNN(Leaky(3), name="own").get_config()
    assert RNN.from_config(own, custom_objects={"Leaky": Leaky}).get_config() == own
    with pytest.raises(ValueError, match="layer: expected one of"):
        RNN.from_config(own)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [bool, "int8", "float32"])
def test_mask_of_any_dtype_and_with_a_last_axis(kind, dtype):
    layer = built(kind, return_sequences=True)
    x, mask = inputs(), mask_of("holes")
    expected = layer(x, mask=mask)
    assert (expected != layer(x)).any()
    np.testing.assert_array_equal(layer(x, mask=mask.astype(dtype)), expected)
    np.testing.assert_array_equal(layer(x, mask=mask.astype(dtype)[:, :, None]), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(BATCH, 4), (3, TIMESTEPS), (BATCH, TIMESTEPS, 2), (BATCH,)])
def test_mask_of_another_shape_is_refused(kind, shape):
    with pytest.raises(ValueError, match="mask: expected shape"):
        built(kind)(inputs(), mask=np.ones(shape, bool))


@pytest.mark.parametrize("kind", KINDS)
def test_masked_row_gives_no_output_and_its_initial_state(kind):
    layer = built(kind, return_state=True)
    count = len(layer.state_size)
    starts = [np.full((BATCH, UNITS), 0.5 + i) for i in range(count)]
    outputs, *finals = layer(inputs(), initial_state=starts, mask=np.zeros((BATCH, TIMESTEPS)))
    assert not outputs.any()
    for final, start in zip(finals, starts, strict=True):
        np.testing.assert_array_equal(final, start)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_packed_sequences_give_what_each_gives_alone(kind, return_sequences, go_backwards):
    flags = {"return_sequences": return_sequences, "go_backwards": go_backwards}
    layer = built(kind, return_state=True, **flags)
    x, lengths = inputs(), [5, 2, 1, 3]
    packed = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    found, *finals = layer(packed)
    for i, length in enumerate(lengths):
        expected, *states = layer(x[i : i + 1, :length])
        np.testing.assert_array_equal(found[i], expected[0])
        for final, state in zip(finals, states, strict=True):
            np.testing.assert_array_equal(final[i], state[0])
    with pytest.raises(ValueError, match="mask: expected None"):
        layer(packed, mask=np.ones((BATCH, TIMESTEPS)))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_in_training_with_dropout_and_zoneout(kind):
    # One sequence after the other has the same masks as the padded batch: drawn per sequence, not per row.
    options = {"dropout": 0.5, "recurrent_dropout": 0.5, "seed": 3}
    padded, packed = (built(kind, return_state=True, **options) for _ in range(2))
    x, lengths = inputs(), np.array([5, 2, 1, 3])
    mask = np.arange(TIMESTEPS) < lengths[:, None]
    sequences = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    results = padded(x, mask=mask, training=True), packed(sequences, training=True)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)
    zoned = built(kind, zoneout=0.5, return_sequences=True)
    assert zoned(sequences, training=True).values.shape == (11, UNITS)


def test_mask_from_the_layer_below_holds_with_an_initial_state_too():
    embedding, layer = Embedding(5, FEATURES, mask_zero=True), LSTM(UNITS)
    numbers = np.array([[1, 2, 0, 0], [3, 0, 4, 1]])
    model = Sequential([embedding, layer])
    found = model.predict(numbers, verbose=0)
    x = embedding(numbers)
    np.testing.assert_array_equal(found, layer(x, mask=numbers != 0))
    assert (found != layer(x)).any()
    start = [np.ones((2, UNITS))] * 2
    rows, mask = embedding.run_with_mask(embedding.cast_inputs("x", numbers))
    masked = layer(rows, initial_state=start, mask=mask)
    np.testing.assert_array_equal(masked[0], layer(x[:1, :2], initial_state=[s[:1] for s in start])[0])


def test_mask_of_the_outputs():
    mask = mask_of("holes")
    assert LSTM(UNITS).compute_mask(None, mask) is None
    assert LSTM(UNITS, return_sequences=True).compute_mask(None, mask) is mask
    assert LSTM(UNITS, return_sequences=True, return_state=True).compute_mask(None, mask) == [
        mask,
        None,
        None,
    ]
    assert GRU(UNITS, return_state=True).compute_mask(None, mask) == [None, None]


# ---- states from outside ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_states_may_come_in_one_list_with_the_inputs(kind):
    layer = built(kind, return_state=True)
    x = inputs()
    starts = [np.full((BATCH, UNITS), 0.5, "float32") for _ in layer.state_size]
    expected = layer(x, initial_state=starts)
    for found in (layer([x, *starts]), layer((x, *starts)), layer(x, starts)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    if len(starts) == 1:
        np.testing.assert_array_equal(layer(x, initial_state=starts[0])[0], expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_through_the_states_of_an_encoder(kind):
    whole = built(kind, return_state=True)
    x = inputs()
    with GradientTape() as tape:
        loss = ops.sum(whole(x)[0] ** 2)
    with GradientTape() as other:
        _, *states = whole(x[:, :2])
        second = ops.sum(whole(x[:, 2:], initial_state=states)[0] ** 2)
    expected = tape.gradient(loss, whole.trainable_weights)
    found = other.gradient(second, whole.trainable_weights)
    for gradient, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-12 * np.abs(exact).max())


# ---- penalties ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_penalties_of_weights_and_outputs(kind):
    options = {f"{part}_regularizer": "l2" for part in ("kernel", "recurrent", "bias")}
    layer = built(kind, activity_regularizer="l1", return_sequences=True, **options)
    outputs = layer(inputs())
    expected = [0.01 * np.sum(w.numpy() ** 2) for w in layer.weights]
    expected.append(0.01 * np.abs(outputs).sum() / BATCH)
    np.testing.assert_allclose([float(loss) for loss in layer.losses], expected, rtol=1e-12)


def test_layer_that_is_not_trainable_has_no_trainable_weights():
    for layer in (LSTM(2, trainable=False), RNN(Leaky(2), trainable=False)):
        layer(inputs())
        assert layer.trainable_weights == []
        assert not layer.weights[0].trainable
        layer.trainable = True
        assert layer.trainable_weights == layer.weights


@pytest.mark.parametrize("sizes", [(2, 3), (2, 0, FEATURES), (2, 5, FEATURES + 1)])
def test_inputs_that_do_not_fit_are_refused(sizes):
    for layer in (RNN(GRUCell(UNITS)), RNN([GRUCell(UNITS), GRUCell(UNITS)])):
        layer.build((None, None, FEATURES))
        with pytest.raises(ValueError, match="inputs: expected"):
            layer(np.zeros(sizes))


def test_layers_are_listed():
    for name in ("RNN", "StackedRNNCells", "SimpleRNNCell", "GRUCell", "LSTMCell", "Bidirectional"):
        assert name in layers.__all__
