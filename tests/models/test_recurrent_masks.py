"""Whole models of recurrent layers on ragged data: padding, masks and lists of sequences agree."""

import threading

import numpy as np
import pytest

from timeloom import Packed, Sequential, utils
from timeloom.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Masking,
    SimpleRNN,
    TimeDistributed,
)
from timeloom.optimizers import SGD

GENERATOR = np.random.default_rng(0)
LENGTHS = [4, 1, 6, 2, 2, 5, 3, 6, 1, 4]
X = [GENERATOR.normal(size=(length, 3)).astype("float32") for length in LENGTHS]
WORDS = [GENERATOR.integers(1, 9, length) for length in LENGTHS]
TAGS = [GENERATOR.integers(0, 3, length) for length in LENGTHS]
CLASSES = GENERATOR.integers(0, 3, len(LENGTHS))
MASK = Packed.from_sequences(WORDS).mask()


def padded(sequences):
    return Packed.from_sequences(sequences).pad()[0]


def padded_before(sequences):
    """Padding before the sequences, as pad_sequences puts it."""
    found = padded(sequences)
    for row, sequence in zip(found, sequences, strict=True):
        row[:] = 0
        row[len(row) - len(sequence) :] = sequence
    return found


STACKS = {
    "simple_rnn": lambda **kwargs: [SimpleRNN(5, **kwargs)],
    "lstm": lambda **kwargs: [LSTM(5, **kwargs)],
    "gru": lambda **kwargs: [GRU(5, **kwargs)],
    "gru_reset_before": lambda **kwargs: [GRU(5, reset_after=False, **kwargs)],
    "relu": lambda **kwargs: [LSTM(5, activation="relu", recurrent_activation="hard_sigmoid", **kwargs)],
    "bidirectional": lambda **kwargs: [Bidirectional(LSTM(4, **kwargs))],
    "stacked": lambda **kwargs: [
        Bidirectional(GRU(4, return_sequences=True), merge_mode="sum"),
        LSTM(5, **kwargs),
    ],
    "dropout": lambda **kwargs: [LSTM(5, dropout=0.3, recurrent_dropout=0.2, seed=3, **kwargs)],
}


def classifier(stack, sequences, first=None):
    """With the same weights at every call."""
    utils.set_random_seed(5)
    top = Dense(3, activation="softmax")
    model = Sequential(
        [
            *([] if first is None else [first()]),
            *STACKS[stack](return_sequences=sequences),
            TimeDistributed(top) if sequences else top,
        ]
    )
    model.compile(SGD(0.5, momentum=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def embedding():
    return Embedding(9, 4, mask_zero=True)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("sequences", [False, True], ids=["many_to_one", "many_to_many"])
def test_fit_on_a_list_equals_fit_on_padding(stack, sequences):
    model, other = classifier(stack, sequences, embedding), classifier(stack, sequences, embedding)
    targets = TAGS if sequences else CLASSES
    common = {"batch_size": 4, "epochs": 3, "verbose": 0, "validation_split": 0.2}
    utils.set_random_seed(1)
    found = model.fit(WORDS, targets, **common).history
    utils.set_random_seed(1)
    expected = other.fit(padded(WORDS), padded(targets) if sequences else targets, **common).history
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stack", STACKS)
def test_padding_never_changes_a_prediction(stack):
    model = classifier(stack, False, Masking)
    found = model.predict(X, batch_size=3, verbose=0)
    np.testing.assert_array_equal(model.predict(padded(X), verbose=0), found)
    np.testing.assert_array_equal(model.predict(padded_before(X), batch_size=4, verbose=0), found)
    wide = np.zeros((len(X), 11, 3), "float32")
    wide[:, 2:8] = padded(X)
    np.testing.assert_array_equal(model.predict(wide, verbose=0), found)
    for one, sequence in zip(found, X, strict=True):
        np.testing.assert_array_equal(model.predict(sequence[None], verbose=0)[0], one)


@pytest.mark.parametrize("stack", STACKS)
def test_padding_never_changes_the_outputs_of_the_steps(stack):
    model = classifier(stack, True, Masking)
    found = model.predict(X, batch_size=3, verbose=0)
    for batch, mask in (
        (padded(X), MASK),
        (padded_before(X), MASK[:, ::-1]),
    ):
        outputs = model.predict(batch, verbose=0)
        for one, row, valid in zip(found, outputs, mask, strict=True):
            np.testing.assert_array_equal(row[valid], one)


@pytest.mark.parametrize("stack", ["simple_rnn", "lstm", "gru", "gru_reset_before", "relu"])
def test_steps_in_a_hole_are_left_out(stack):
    model = classifier(stack, False, Masking)
    x = GENERATOR.normal(size=(6, 7, 3)).astype("float32")
    holes = GENERATOR.random((6, 7)) < 0.4
    x[holes] = 0
    expected = [
        model.predict(row[None, ~hole], verbose=0)[0]
        for row, hole in zip(x, holes, strict=True)
        if not hole.all()
    ]
    np.testing.assert_array_equal(model.predict(x, verbose=0)[~holes.all(1)], expected)


def test_explicit_mask_equals_that_of_a_layer():
    plain, masking = classifier("lstm", True), classifier("lstm", True, Masking)
    found = plain(padded(X), mask=MASK)
    np.testing.assert_array_equal(found, masking(padded(X)))
    np.testing.assert_array_equal(masking.compute_mask(padded(X)), MASK)
    np.testing.assert_array_equal(plain.compute_mask(padded(X), MASK), MASK)
    assert plain.compute_mask(padded(X)) is None
    assert not np.array_equal(plain(padded(X)), found)


def test_threads_predict_from_one_model():
    model = classifier("bidirectional", True, Masking)
    batches = [X[i : i + 4] for i in range(6)]
    expected = [model.predict(batch, verbose=0) for batch in batches]
    wrong = []

    def work(i):
        for turn in range(10):
            batch = Packed.from_sequences(batches[i])
            found = model.predict(batches[i] if turn % 2 else batch.pad()[0], verbose=0)
            for one, other, length in zip(found, expected[i], batch.lengths, strict=True):
                if not np.array_equal(one[:length], other):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_rows_without_a_valid_step_are_zero_for_the_next_layer():
    model = Sequential([Masking(), LSTM(4), Dense(2, bias_initializer="ones")])
    x = padded(X)
    x[3] = 0
    np.testing.assert_array_equal(model.predict(x, verbose=0)[3], [1, 1])


def test_activity_penalties_count_no_padding():
    def model(first):
        utils.set_random_seed(5)
        stack = [GRU(4, return_sequences=True, activity_regularizer="l2"), Dropout(0.0), Dense(1)]
        made = Sequential([*first, *stack])
        made.compile(SGD(0.1), "mse")
        return made

    y = [GENERATOR.normal(size=(length, 1)) for length in LENGTHS]
    one, other = model([]), model([Masking()])
    for _ in range(2):
        assert one.train_on_batch(X, y) == pytest.approx(other.train_on_batch(padded(X), padded(y)), rel=1e-5)
