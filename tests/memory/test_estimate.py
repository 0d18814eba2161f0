"""memory_estimate against the measured peak, and what it says and refuses.

The peak is exact: the arrays of NumPy and the blocks of the kernels' pool report themselves to tracemalloc.
"""

import gc
import tracemalloc

import numpy as np
import pytest
from tests.memory.models import MODELS, features

import timeloom
from timeloom import Model, Sequential, _core, layers
from timeloom.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Dropout,
    Input,
    SimpleRNN,
)

PREDICTED = ["lstm", "gru sequences", "stacked", "bidirectional", "embedding", "penalties"]


@pytest.fixture
def threads():
    yield timeloom.backend.set_num_threads
    timeloom.backend.set_num_threads(0)


@pytest.fixture(scope="module", autouse=True)
def modules_are_loaded():
    """Or the first test of a process would count them."""
    measured_peak(*MODELS["stacked"], training=True)


def measured_peak(make, inputs, targets, options, training):
    """Bytes of model, batch and the third step; in the first two the pool of the kernels fills."""
    gc.collect()
    _core.free_workspaces()
    tracemalloc.start()
    try:
        model = Sequential(make())
        model.compile(**{"optimizer": "adam", "loss": "mse", **options})
        dtype = model.layers[0].dtype
        x, y = inputs(), targets() if training else None
        # What a user hands over in another dtype is there beside the batch.
        x = x.astype(dtype, copy=False) if x.dtype.kind == "f" else x
        y = y.astype(dtype, copy=False) if training and y.dtype.kind == "f" else y
        for _ in range(3):
            tracemalloc.reset_peak()
            if training:
                model.train_on_batch(x, y)
            else:
                model.predict_on_batch(x)
        return model, x.shape, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_near(estimate, model, peak):
    """Within 10 %; where no second thread comes, two directions take turns, as they do on one."""
    least = estimate.peak
    if any(isinstance(layer, Bidirectional) for layer in model.layers):
        timeloom.backend.set_num_threads(1)
        sizes = estimate.batch, estimate.timesteps
        least = timeloom.memory_estimate(model, *sizes, training=estimate.training).peak
    assert 0.9 * peak <= estimate.peak
    assert least <= 1.1 * peak


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_estimate_of_training_is_near_the_measured_peak(threads, name, count):
    threads(count)
    model, shape, peak = measured_peak(*MODELS[name], training=True)
    estimate = timeloom.memory_estimate(model, *shape[:2])
    assert peak > 3e6  # or what Python itself takes would count
    assert estimate.threads == count
    assert_near(estimate, model, peak)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", PREDICTED)
def test_estimate_of_prediction_is_near_the_measured_peak(threads, name, count):
    threads(count)
    model, shape, peak = measured_peak(*MODELS[name], training=False)
    estimate = timeloom.memory_estimate(model, *shape[:2], training=False)
    assert (estimate.kept, estimate.gradients, estimate.optimizer_slots) == ({}, 0, 0)
    assert_near(estimate, model, peak)
    # The rest is objects of Python's; and two directions may take turns.
    assert -1e5 < peak - estimate.peak < 1e5 or (name, count) == ("bidirectional", 2)


def test_fit_needs_what_the_estimate_says_beside_its_data():
    x, y = features(96, 60, 96)(), features(96, 1)()
    _core.free_workspaces()
    tracemalloc.start()
    try:
        model = Sequential(MODELS["lstm"][0]())
        model.compile("adam", "mse")
        tracemalloc.reset_peak()
        model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert timeloom.memory_estimate(model, 32, 60).peak == pytest.approx(peak, rel=0.1)


def test_parts_of_a_known_model():
    model = Sequential(
        [Input((None, 8)), LSTM(64, return_sequences=True, name="first"), LSTM(32, name="second")]
    )
    model.compile("adam", "mse")
    estimate = timeloom.memory_estimate(model, 16, 200)
    parameters = 4 * (64 * (8 + 64 + 1) + 32 * (64 + 32 + 1))
    assert estimate.weights == 4 * parameters == 4 * model.count_params()
    assert estimate.optimizer_slots == 2 * estimate.weights
    assert estimate.data == 4 * 16 * (200 * 8 + 32)
    assert estimate.activations["first"] == 4 * 16 * 200 * 64
    # Beside the outputs: cell states and gates, 20 bytes, and the outputs where only the last is returned.
    for layer, bytes_ in (("first", 20 * 64), ("second", 24 * 32)):
        assert estimate.kept[layer] == pytest.approx(16 * 200 * bytes_, rel=0.05)
    assert estimate.moment[0] == "backward"
    by_layer = (estimate.activations, estimate.kept, estimate.workspace, estimate.packed_weights)
    parts = [estimate.weights, estimate.optimizer_slots, estimate.gradients, estimate.data, estimate.idle]
    assert estimate.peak == sum(parts) + sum(size for part in by_layer for size in part.values())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("stack", "slots", "batch", "timesteps", "features"),
    [
        ([(LSTM, 128, True), (LSTM, 96, False)], 2, 64, 100, 64),
        ([(GRU, 128, True)], 1, 64, 100, 64),
        ([(SimpleRNN, 256, True), (GRU, 64, True), (LSTM, 64, False)], 0, 64, 100, 64),
        ([(LSTM, 64, False)], 2, 32, 100, 8),  # the example
        ([(LSTM, 1024, False)], 2, 16, 20, 512),  # mostly weights
        ([(LSTM, 512, True), (LSTM, 512, False)], 0, 32, 20, 128),
        ([(SimpleRNN, 256, True)], 0, 64, 40, 256),  # gathered rows beside two strands
        ([(SimpleRNN, 512, True)], 0, 64, 20, 512),  # and one
    ],
)
def test_formula_of_the_documentation_is_near_the_estimate(
    threads, stack, slots, batch, timesteps, features, count
):
    threads(count)
    model = Sequential([Input((None, features))])
    kept, packed, largest = 0, 0, 0
    for number, (kind, units, sequences) in enumerate(stack):
        model.add(kind(units, return_sequences=sequences))
        factor, gates, sums = {LSTM: (6, 4, 4), GRU: (5, 3, 4), SimpleRNN: (1, 1, 1)}[kind]
        kept += factor * 4 * batch * timesteps * units
        weights = 4 * gates * units * (features + units)
        packed += 2 * weights
        work = 4 * batch * timesteps * (units * sequences + features * (number > 0))
        row = 4 * (sums * units + features + units)
        if weights <= 2**19:
            rows = min(batch * timesteps // 2, max(256, min(2**19 // (4 * sums * units), 512)))
            work += weights + rows * row * count
        else:
            work += min(batch * timesteps, 512) * row
        largest, features = max(largest, work), units
    model.compile({2: "adam", 1: "rmsprop", 0: "sgd"}[slots], "mse")
    estimate = timeloom.memory_estimate(model, batch, timesteps)
    peak = 4 * model.count_params() * (2 + slots) + packed + estimate.data + kept + largest
    assert peak == pytest.approx(estimate.peak, rel=0.1)


@pytest.mark.parametrize("units", [(128, 96), (512, 512)])
def test_formula_of_a_prediction_holds(units):
    features, batch, timesteps = 64, 32, 100
    model = Sequential([Input((None, features)), LSTM(units[0], return_sequences=True), LSTM(units[1])])
    products = 4 * 4 * sum(u * (f + u) for f, u in zip((features, units[0]), units, strict=True))
    first = 4 * batch * timesteps * units[0]  # what leaves the first layer is the most there is
    least = 4 * model.count_params() + products + 4 * batch * timesteps * features + first
    most = least + 4 * 512 * max(4 * units[0] + features, 4 * units[1] + units[0])
    peak = timeloom.memory_estimate(model, batch, timesteps, training=False).peak
    assert least <= peak <= 1.1 * most


def test_text_names_every_part():
    model = Sequential([LSTM(4, input_shape=(5, 3), name="memory_of_it")], name="small")
    text = str(timeloom.memory_estimate(model, 2))
    assert repr(timeloom.memory_estimate(model, 2)) == text
    assert "training step of 'small': batch 2 x 5 timesteps" in text
    for words in ("weights", "optimizer slots", "kept for backward", "  memory_of_it", "workspace", "peak"):
        assert words in text
    assert "not compiled: neither loss nor optimizer slots" in text
    model.compile("adam", "mse")
    assert "not compiled" not in str(timeloom.memory_estimate(model, 2))
    assert "prediction of 'small'" in str(timeloom.memory_estimate(model, 2, training=False))


def test_estimate_leaves_the_model_as_it_was():
    model = Sequential([LSTM(4, input_shape=(5, 3), stateful=True, batch_size=2), Dense(1)])
    model.compile("adam", "mse")
    before = [(variable.version, variable.numpy()) for variable in model.weights]
    timeloom.memory_estimate(model, 2)
    assert not model.optimizer.built
    for variable, (version, values) in zip(model.weights, before, strict=True):
        assert variable.version == version
        np.testing.assert_array_equal(variable.numpy(), values)


def test_inputs_without_time_take_no_timesteps():
    model = Sequential([Input((8,)), Dense(4)])
    assert timeloom.memory_estimate(model, 2).timesteps is None
    with pytest.raises(ValueError, match="timesteps: expected None for inputs of shape"):
        timeloom.memory_estimate(model, 2, 5)


def test_sizes_that_are_missing_or_do_not_fit_are_refused():
    model = Sequential([LSTM(4, input_shape=(None, 3))])
    with pytest.raises(ValueError, match="timesteps: expected a number"):
        timeloom.memory_estimate(model, 2)
    fixed = Sequential([LSTM(4, batch_input_shape=(2, 5, 3))])
    with pytest.raises(ValueError, match="timesteps: expected 5"):
        timeloom.memory_estimate(fixed, 2, 6)
    with pytest.raises(ValueError, match="batch: expected 2"):
        timeloom.memory_estimate(fixed, 3, 5)
    with pytest.raises(ValueError, match="batch: expected"):
        timeloom.memory_estimate(model, 0, 5)
    with pytest.raises(ValueError, match="model: expected a built model"):
        timeloom.memory_estimate(Sequential([LSTM(4)]), 2, 5)
    with pytest.raises(TypeError, match="model: expected a Sequential, got LSTM"):
        timeloom.memory_estimate(LSTM(4), 2, 5)
    with pytest.raises(TypeError, match="model: expected a Sequential, got Model"):
        timeloom.memory_estimate(Model(), 2, 5)


class Doubled(layers.Layer):
    def call(self, inputs):
        return inputs + inputs


class Smoother:
    state_size = 3

    def call(self, inputs, states):
        new = 0.9 * states[0] + 0.1 * inputs
        return new, [new]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Doubled(), r"layers that memory_estimate knows .*RNN.*Doubled"),
        (RNN(Smoother(), return_sequences=True), r"cells of timeloom's kernels, got .*Smoother"),
        (Dense(3, activation=lambda x: x * x), r"activations of timeloom.activations"),
        (Dense(3, activity_regularizer="l2"), r"without activity_regularizer"),
        (Bidirectional(LSTM(3), merge_mode=None), r"merge_mode: expected one output"),
        (LSTM(3, return_state=True), r"return_state: expected one output"),
    ],
)
def test_what_cannot_be_estimated_is_refused(layer, words):
    model = Sequential([Input((5, 3)), layer])
    with pytest.raises(ValueError, match=words):
        timeloom.memory_estimate(model, 2)


def test_losses_and_penalties_of_the_users_own_are_refused():
    model = Sequential([Input((5, 3)), LSTM(3)])
    model.compile("sgd", lambda y, p: (y - p) ** 2)
    with pytest.raises(ValueError, match=r"loss: expected a loss of timeloom\.losses"):
        timeloom.memory_estimate(model, 2)
    timeloom.memory_estimate(model, 2, training=False)
    penalised = Sequential([Input((5, 3)), LSTM(3, kernel_regularizer=lambda w: (w * w * w).sum())])
    penalised.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"regularizer: expected one of timeloom\.regularizers"):
        timeloom.memory_estimate(penalised, 2)
    frozen = Sequential([Input((5, 3)), LSTM(3, trainable=False)])
    with pytest.raises(ValueError, match="model: expected trainable weights"):
        timeloom.memory_estimate(frozen, 2)


def test_dropout_alone_changes_nothing_for_a_prediction():
    plain = Sequential([Input((5, 3)), LSTM(3)])
    dropped = Sequential([Input((5, 3)), Dropout(0.5), LSTM(3)])
    sizes = [timeloom.memory_estimate(model, 2, training=False).peak for model in (plain, dropped)]
    assert sizes[0] == sizes[1]
