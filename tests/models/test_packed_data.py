"""Lists of sequences of unequal lengths: the same numbers as padding and a mask, without the padding."""

import numpy as np
import pytest

from timeloom import GradientTape, Input, Model, Packed, Sequential, losses, utils
from timeloom.layers import GRU, Activation, Dense, Dropout, Embedding, Flatten, Layer, Masking
from timeloom.optimizers import SGD, Adam

GENERATOR = np.random.default_rng(0)
LENGTHS = [4, 1, 6, 2, 2, 5, 3, 6, 1, 4]
# Padding is recognised by its zeros, so no timestep is zero.
X = [GENERATOR.normal(size=(length, 3)).astype("float32") for length in LENGTHS]
LABELS = [GENERATOR.integers(0, 3, length) for length in LENGTHS]
WEIGHTS = [GENERATOR.random(length) for length in LENGTHS]
ROW_WEIGHTS = GENERATOR.random(len(LENGTHS))
CLASSES = GENERATOR.integers(0, 3, len(LENGTHS))


def padded(sequences):
    return Packed.from_sequences(sequences).pad()[0]


class Total(Layer):
    """The sum over the valid timesteps: what a layer that knows masks and packed sequences looks like."""

    _takes_packed = True

    def call(self, inputs, mask=None):
        if isinstance(inputs, Packed):
            padding, mask = inputs.pad()
            inputs = padding
        return (inputs if mask is None else inputs * mask[..., None].astype(inputs.dtype)).sum(axis=1)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *input_shape[2:])


def by_step(masking, **options):
    """A model of an output for every timestep; with the same weights at every call."""
    utils.set_random_seed(5)
    stack = [Dense(4), Activation("tanh"), Dense(3, activation="softmax")]
    model = Sequential([Masking(), *stack] if masking else stack)
    model.build((None, None, 3))
    arguments = {"optimizer": Adam(0.05), "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, "weighted_metrics": ["accuracy"], **options})
    return model


def by_sequence(masking):
    utils.set_random_seed(5)
    stack = [Dense(4, activation="tanh"), Total(), Dense(3, activation="softmax")]
    model = Sequential([Masking(), *stack] if masking else stack)
    model.build((None, None, 3))
    model.compile(Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def assert_same_training(model, other, history, expected):
    assert list(history.history) == list(expected.history)
    for name, values in history.history.items():
        np.testing.assert_allclose(values, expected.history[name], rtol=1e-5, atol=1e-6)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        # Adam divides by the size of a gradient, so that rounding of small ones shows.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"validation_split": 0.3},
        {"shuffle": "batch"},
        {"shuffle": False, "steps_per_epoch": 2},
        {"sample_weight": ROW_WEIGHTS},
        {"sample_weight": ROW_WEIGHTS[:, None], "validation_split": 0.2},
        {"sample_weight": WEIGHTS},
        {"class_weight": {0: 2.0, 1: 0.5}},
    ],
)
def test_fit_equals_fit_on_padding_with_a_mask(options):
    model, other = by_step(masking=False), by_step(masking=True)
    common = {"batch_size": 4, "epochs": 3, "verbose": 0}
    utils.set_random_seed(1)
    history = model.fit(X, LABELS, **common, **options)
    if isinstance(options.get("sample_weight"), list):
        options = {**options, "sample_weight": padded(WEIGHTS)}
    utils.set_random_seed(1)
    expected = other.fit(padded(X), padded(LABELS), **common, **options)
    assert_same_training(model, other, history, expected)


@pytest.mark.parametrize("options", [{}, {"sample_weight": ROW_WEIGHTS}, {"class_weight": {0: 2.0}}])
def test_fit_of_one_output_per_sequence_equals_fit_on_padding(options):
    model, other = by_sequence(masking=False), by_sequence(masking=True)
    common = {"batch_size": 4, "epochs": 3, "verbose": 0, "validation_split": 0.2}
    utils.set_random_seed(1)
    history = model.fit(X, CLASSES, **common, **options)
    utils.set_random_seed(1)
    expected = other.fit(padded(X), CLASSES, **common, **options)
    assert_same_training(model, other, history, expected)
    found = model.predict(X, batch_size=3, verbose=0)
    np.testing.assert_allclose(found, other.predict(padded(X), verbose=0), rtol=1e-4, atol=1e-6)


def test_evaluate_and_single_batches_equal_those_on_padding():
    model, other = by_step(masking=False), by_step(masking=True)
    for weights, padded_weights in ((None, None), (ROW_WEIGHTS, ROW_WEIGHTS), (WEIGHTS, padded(WEIGHTS))):
        for method, options in (
            ("evaluate", {"batch_size": 3, "verbose": 0}),
            ("test_on_batch", {}),
            ("train_on_batch", {}),
        ):
            found = getattr(model, method)(X, LABELS, sample_weight=weights, **options)
            expected = getattr(other, method)(
                padded(X), padded(LABELS), sample_weight=padded_weights, **options
            )
            np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_other_reductions_equal_those_on_padding(reduction):
    options = {"loss": losses.SparseCategoricalCrossentropy(reduction=reduction)}
    model, other = by_step(masking=False, **options), by_step(masking=True, **options)
    found = model.train_on_batch(X, LABELS, sample_weight=ROW_WEIGHTS)
    expected = other.train_on_batch(padded(X), padded(LABELS), sample_weight=ROW_WEIGHTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_validation_data_may_be_sequences_or_an_array():
    model = by_step(masking=False, optimizer=SGD(0.0))
    loss, *_ = model.evaluate(X[2:5], LABELS[2:5], sample_weight=ROW_WEIGHTS[2:5], verbose=0)
    held_out = (X[2:5], LABELS[2:5], ROW_WEIGHTS[2:5])
    history = model.fit(X, LABELS, validation_data=held_out, epochs=2, verbose=0).history
    assert history["val_loss"] == pytest.approx([loss, loss])
    # Two sequences of one length are an array.
    held_out = (np.stack([X[3], X[4]]), np.stack([LABELS[3], LABELS[4]]))
    history = model.fit(X, LABELS, validation_data=held_out, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(*held_out, verbose=0)[0])


def test_predictions_are_lists_to_the_bit():
    model = by_step(masking=False)
    whole = model.predict(padded(X), verbose=0)
    for found in (
        model.predict(X, batch_size=3, verbose=0),
        model.predict_on_batch(X),
        model.predict(Packed.from_sequences(X), verbose=0),
        model.predict(np.array(X, dtype=object), verbose=0),
        model(Packed.from_sequences(X)).split(),
    ):
        assert type(found) is list
        for one, row, length in zip(found, whole, LENGTHS, strict=True):
            np.testing.assert_array_equal(one, row[:length])
    silent = Sequential([Dropout(0.5)])
    found = silent.predict(X, verbose=0)
    assert not any(np.shares_memory(a, b) for a, b in zip(found, X, strict=True))


def test_sequences_of_indices_for_an_embedding():
    words = [GENERATOR.integers(1, 9, length) for length in LENGTHS]

    def model():
        utils.set_random_seed(5)
        made = Sequential([Embedding(9, 4, mask_zero=True), Total(), Dense(1)])
        made.compile(SGD(0.1), "mse")
        return made

    one, other = model(), model()
    y = GENERATOR.normal(size=len(words))
    options = {"epochs": 2, "verbose": 0, "shuffle": False, "batch_size": 4}
    history, expected = one.fit(words, y, **options), other.fit(padded(words), y, **options)
    assert_same_training(one, other, history, expected)
    with pytest.raises(ValueError, match=r"\(Embedding\) masks no timestep, got 2 masked ones"):
        one.predict([np.array([0, 1]), np.array([0, 1, 2])], verbose=0)
    with pytest.raises(ValueError, match=r"x: expected indices in \[0, 8\]"):
        one.predict([np.array([9, 1]), np.array([2])], verbose=0)


def test_first_list_builds_the_model():
    model = Sequential([Dense(2), Total(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, CLASSES, verbose=0)
    assert model.built
    assert model.input_shape == (None, None, 3)
    assert model.predict(padded(X), verbose=0).shape == (10, 1)


def test_shuffling_keeps_inputs_targets_and_weights_together():
    seen = []

    class Keep(Sequential):
        def train_step(self, data):
            x, y, weights = data
            seen.extend(zip(x, y, weights, strict=True))
            return super().train_step(data)

    model = Keep([Dense(1)])
    model.compile("sgd", "mse")
    numbers = [np.full((length, 1), place, "float32") for place, length in enumerate(LENGTHS)]
    model.fit(numbers, numbers, sample_weight=np.arange(10.0), batch_size=4, verbose=0)
    assert sorted(len(x) for x, _, _ in seen) == sorted(LENGTHS)
    assert [int(x[0, 0]) for x, _, _ in seen] != list(range(10))
    for x, y, weights in seen:
        place = int(x[0, 0])
        assert len(x) == LENGTHS[place]
        np.testing.assert_array_equal(x, numbers[place])
        np.testing.assert_array_equal(y, numbers[place])
        assert (weights == place).all()


def test_sequences_without_a_timestep_teach_nothing():
    model, other = by_step(masking=False), by_step(masking=True)
    empty = [X[0][:0], X[1][:0]]
    x, y = [*empty, *X], [LABELS[0][:0], LABELS[1][:0], *LABELS]
    zeros = np.zeros((2, 6, 3)), np.zeros((2, 6), int)
    common = {"batch_size": 2, "verbose": 0, "shuffle": False}
    found = model.fit(x, y, **common)
    expected = other.fit(
        np.concatenate([zeros[0], padded(X)]), np.concatenate([zeros[1], padded(LABELS)]), **common
    )
    assert_same_training(model, other, found, expected)
    assert [row.shape for row in model.predict(x, verbose=0)][:3] == [(0, 3), (0, 3), (4, 3)]


def test_models_written_as_a_class_take_sequences():
    class Tagger(Model):
        def __init__(self):
            super().__init__()
            self.top = Dense(3, activation="softmax")

        def call(self, inputs):
            return self.top(inputs)

    model = Tagger()
    model.compile(SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(X, LABELS, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert [row.shape for row in model.predict(X, verbose=0)] == [(length, 3) for length in LENGTHS]


def test_models_written_as_a_class_ask_their_layers_for_a_mask():
    class Tagger(Model):
        def __init__(self):
            super().__init__()
            self.words = Embedding(9, 4, mask_zero=True)
            self.context = GRU(8, return_sequences=True)

        def call(self, inputs, training=False):
            mask = self.compute_mask(inputs)
            return self.context(self.words(inputs), mask=mask, training=training)

        def compute_mask(self, inputs, mask=None):
            return self.words.compute_mask(inputs)

    model = Tagger()
    whole = model.predict(np.array([[3, 1, 4], [2, 0, 0]]), verbose=0)
    first, second = model.predict([np.array([3, 1, 4]), np.array([2])], verbose=0)
    # The same three products of eight terms at most, in another order.
    np.testing.assert_allclose(first, whole[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, whole[1, :1], rtol=1e-5, atol=1e-6)


def test_steps_of_ones_own_get_packed_batches():
    class Own(Sequential):
        def train_step(self, data):
            x, y, weights = data
            with GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True), weights)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            return {"loss": float(loss)}

    model, own = by_step(masking=False), Own([Dense(4), Activation("tanh"), Dense(3, activation="softmax")])
    own.compile(Adam(0.05), "sparse_categorical_crossentropy")
    own.build((None, None, 3))
    own.set_weights(model.get_weights())
    for each in (model, own):
        each.fit(X, LABELS, sample_weight=ROW_WEIGHTS, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), own.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


REFUSED = [
    ({"y": CLASSES}, "y: expected a list of arrays, one for each sequence of the inputs, got shape"),
    ({"y": LABELS[:9]}, "x, y: expected the same number of samples, got x 10, y 9"),
    ({"y": [*LABELS[:2], LABELS[2][:5], *LABELS[3:]]}, r"y\[2\]: expected 6 timesteps .*, got 5"),
    ({"y": [row + 1 for row in LABELS]}, r"y: expected labels in \[0, 2\]"),
    ({"x": [*X[:9], X[9][:, :2]]}, r"x\[9\]: expected shape \[timesteps, 3\], got \(4, 2\)"),
    ({"sample_weight": ROW_WEIGHTS[:9]}, "x, y, sample_weight: expected the same number"),
    ({"sample_weight": np.ones((10, 6))}, "sample_weight: expected one for each sequence, or a list"),
    ({"sample_weight": [*WEIGHTS[:9], np.ones(5)]}, r"sample_weight\[9\]: expected 4 timesteps"),
    ({"x": padded(X)}, "y: expected an array, got sequences of unequal lengths"),
    ({"x": padded(X), "y": padded(LABELS), "sample_weight": WEIGHTS}, "sample_weight: expected an array"),
    ({"x": X[0]}, "inputs: expected|x, y: expected|y: expected"),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_refused_sequences_change_nothing(wrong, words):
    model = by_step(masking=False)
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        model.fit(**{"x": X, "y": LABELS, "verbose": 0, **wrong})
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_and_input_shapes_that_need_one_length_say_so():
    model = Sequential([Dense(2), Flatten()])
    with pytest.raises(ValueError, match=r"inputs: expected an array for 'flatten.*pad_sequences"):
        model.predict(X, verbose=0)
    assert not model.built
    fixed = Sequential([Input((6, 3)), Dense(2), Total()])
    with pytest.raises(ValueError, match=r"x: expected 6 timesteps for 'sequential.* unequal lengths"):
        fixed.predict(X, verbose=0)


def test_rows_of_features_are_no_sequences():
    model = by_step(masking=False)
    rows = [np.ones(3), np.zeros(3)]
    dense = Sequential([Dense(2)])
    for given in (rows, rows, rows[:1]):
        found = dense.predict(given, verbose=0)
        np.testing.assert_array_equal(found, dense.predict(np.array(given), verbose=0))
    assert model.predict([padded(X)], verbose=0).shape == (10, 6, 3)


@pytest.mark.parametrize("places", [[3], [3, 4]])
def test_sequences_that_happen_to_have_one_length_are_sequences(places):
    model, other = by_step(masking=False), by_step(masking=False)
    x, y = [X[place] for place in places], [LABELS[place] for place in places]
    weights = [WEIGHTS[place] for place in places]
    array = model.predict(np.stack(x), verbose=0)
    for given in (x, np.array([*x, None], dtype=object)[:-1]):
        found = model.predict(given, verbose=0)
        assert type(found) is list
        for one, row in zip(found, array, strict=True):
            np.testing.assert_array_equal(one, row)
    for sample_weight, stacked in (
        (None, None),
        (ROW_WEIGHTS[places], ROW_WEIGHTS[places]),
        (weights, np.stack(weights)),
    ):
        found = model.train_on_batch(x, y, sample_weight=sample_weight)
        expected = other.train_on_batch(np.stack(x), np.stack(y), sample_weight=stacked)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        # An array of targets or weights says the same.
        found = model.test_on_batch(x, np.stack(y), sample_weight=stacked)
        expected = other.test_on_batch(np.stack(x), np.stack(y), sample_weight=stacked)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    history = model.fit(X, LABELS, validation_data=(x, y), verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(x, y, verbose=0)[0])


def test_one_sequence_before_and_after_the_first_data():
    def model(first):
        utils.set_random_seed(5)
        return Sequential([*first, GRU(4), Dense(1)])

    words = [np.array([1, 2, 3]), np.array([4, 5, 6])]
    for first, rows in (([], [X[0]]), ([Input((None, 3))], [X[0]]), ([Embedding(9, 4)], words[:1])):
        early, late = model(first), model(first)
        expected = late.predict(np.stack(rows), verbose=0)
        for each in (early, late):
            np.testing.assert_allclose(each.predict(rows, verbose=0), expected, rtol=1e-5, atol=1e-6)
        assert each.predict([], verbose=0).shape == (0, 1)
    late.compile("sgd", "mse")
    history = late.fit(words, np.ones(2), validation_data=(words[:1], np.ones(1)), verbose=0).history
    assert list(history) == ["loss", "val_loss"]


def test_layers_and_input_shapes_that_want_one_length_get_an_array():
    utils.set_random_seed(5)
    fixed = Sequential([Input((2, 3)), GRU(4, return_sequences=True), Flatten(), Dense(1)])
    free = Sequential([GRU(4, return_sequences=True), Flatten(), Dense(1)])
    free.predict(np.stack(X[3:5]), verbose=0)
    for model in (fixed, free):
        expected = model.predict(np.stack(X[3:5]), verbose=0)
        np.testing.assert_array_equal(model.predict(X[3:5], verbose=0), expected)
        np.testing.assert_allclose(model.predict(X[3:4], verbose=0), expected[:1], rtol=1e-5, atol=1e-6)
        assert model.predict([], verbose=0).shape == (0, 1)


def test_rows_of_one_length_may_hold_padding():
    utils.set_random_seed(5)
    words = [np.array([1, 2, 0]), np.array([3, 0, 0])]
    vectors = [np.ones((2, 3)), np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])]
    for first, rows in ((Embedding(9, 4, mask_zero=True), words), (Masking(), vectors)):
        model = Sequential([first, GRU(4), Dense(1)])
        expected = model.predict(np.stack(rows), verbose=0)
        np.testing.assert_array_equal(model.predict(rows, verbose=0), expected)
        np.testing.assert_allclose(model.predict(rows[1:], verbose=0), expected[1:], rtol=1e-5, atol=1e-6)
