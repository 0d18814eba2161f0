"""Models whose layers go on where the batch before stopped."""

import numpy as np
import pytest

from timeloom import Input, Model, Sequential
from timeloom.layers import GRU, LSTM, RNN, Dense, Masking
from timeloom.optimizers import SGD

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")


def stateful(timesteps=3, batch=2):
    return Sequential(
        [
            Input(batch_shape=(batch, timesteps, 3)),
            LSTM(4, stateful=True, return_sequences=True),
            Sequential([Dense(4, activation="tanh"), GRU(4, stateful=True)]),
            Dense(1),
        ]
    )


class Going(Model):
    def __init__(self):
        super().__init__()
        self.memory = LSTM(4, stateful=True)
        self.top = Dense(1)

    def call(self, inputs, training=False):
        return self.top(self.memory(inputs, training=training))


def test_states_go_on_until_they_are_reset():
    model = stateful()
    assert model.stateful
    first, second = (
        model.predict(X[:, part], batch_size=2, verbose=0) for part in (slice(0, 3), slice(3, 6))
    )
    whole = stateful(timesteps=6)
    whole.set_weights(model.get_weights())
    np.testing.assert_array_equal(whole.predict(X, batch_size=2, verbose=0), second)
    again = model.predict(X[:, :3], batch_size=2, verbose=0)
    assert not np.array_equal(again, first)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X[:, :3], batch_size=2, verbose=0), first)
    twice = model.predict(X[:, :3], batch_size=2, verbose=0)
    model.reset_states()
    model.predict(X[:, :3], batch_size=2, verbose=0)
    model.reset_states(rows=[1])
    found = model.predict(X[:, :3], batch_size=2, verbose=0)
    np.testing.assert_array_equal(found, [twice[0], first[1]])
    with pytest.raises(ValueError, match="rows: expected rows of a batch of 2"):
        model.reset_states(rows=[2])


def test_states_go_on_through_epochs_validation_and_evaluation():
    model = stateful()
    model.compile(SGD(0.0), "mse")
    y = np.zeros((2, 1))
    losses = model.fit(
        X[:, :3], y, epochs=2, batch_size=2, shuffle=False, verbose=0, validation_data=(X[:, 3:], y)
    ).history
    model.reset_states()
    expected = [
        model.evaluate(X[:, part], y, batch_size=2, verbose=0)
        for part in (slice(0, 3), slice(3, 6), slice(0, 3), slice(3, 6))
    ]
    assert losses["loss"] == pytest.approx(expected[::2], rel=1e-6)
    assert losses["val_loss"] == pytest.approx(expected[1::2], rel=1e-6)
    assert expected[0] != expected[2]


def test_stateful_models_need_one_size_of_batch():
    model = stateful()
    with pytest.raises(ValueError, match=r"inputs: expected 2 rows for 'lstm.*', which is stateful, got 1"):
        model.predict_on_batch(X[:1, :3])
    with pytest.raises(ValueError, match="batch_shape: expected the size of the batch for 'lstm"):
        Sequential([Input((3, 3)), LSTM(4, stateful=True)])
    for inner in (LSTM(4, stateful=True), Sequential([LSTM(4, stateful=True)])):
        model = Sequential([inner])
        with pytest.raises(ValueError, match="batch_shape: expected the size of the batch for 'lstm"):
            model.predict(X, batch_size=1, verbose=0)
        assert not model.built
        # One call has one batch.
        assert model(X).shape == (2, 4)


def test_models_written_as_a_class_keep_states_once_called():
    model = Going()
    model.compile(SGD(0.0), "mse")
    y = np.zeros((2, 1))
    with pytest.raises(ValueError, match=r"stateful: expected 'going.*' to be called on a batch first"):
        model.train_on_batch(X[:, :3], y)
    first, second = model(X[:, :3]), model(X[:, 3:])
    model.reset_states()
    losses = [model.train_on_batch(X[:, part], y) for part in (slice(0, 3), slice(3, 6))]
    assert losses == pytest.approx([(first**2).mean(), (second**2).mean()], rel=1e-5)


def test_models_without_states_have_nothing_to_reset():
    model = Sequential([LSTM(4), Dense(1)])
    assert not model.stateful
    first = model.predict(X, verbose=0)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X, verbose=0), first)


def states_of(model):
    parts = [part for part in model.flat_parts() if isinstance(part, RNN)]
    return [state.numpy() for part in parts for state in part.states or []]


def assert_states(model, expected):
    for found, before in zip(states_of(model), expected, strict=True):
        np.testing.assert_array_equal(found, before)


def test_questions_about_shapes_and_masks_leave_the_states_as_they_were():
    model = Going()
    assert model.compute_output_shape((2, 6, 3)) == (2, 1)
    assert len(states_of(model)) == 2
    assert not any(state.any() for state in states_of(model))
    model(X)
    held = states_of(model)
    assert any(state.any() for state in held)
    assert model.output_shape == (2, 1)
    assert model.compute_output_shape((None, 6, 3)) == (None, 1)
    assert_states(model, held)
    model = Sequential([Input(batch_shape=(2, 6, 3)), Masking(), LSTM(4, stateful=True), Dense(1)])
    model(X)
    held = states_of(model)
    assert model.compute_mask(X) is None
    assert_states(model, held)


def test_mask_of_an_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="compute_mask: expected a built model, got 'sequential"):
        Sequential([Masking(), GRU(4)]).compute_mask(X)


@pytest.mark.parametrize("name", ["train_on_batch", "test_on_batch"])
def test_metric_that_fails_leaves_the_states_as_they_were(name):
    def fails(y_true, y_pred):
        raise KeyboardInterrupt

    model = stateful()
    model.compile("sgd", "mse", metrics=[fails])
    model.predict(X[:, :3], batch_size=2, verbose=0)
    held, weights = states_of(model), model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        getattr(model, name)(X[:, :3], np.zeros((2, 1)))
    assert_states(model, held)
    for found, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, before)


def test_loss_of_no_weight_leaves_the_states_as_they_were():
    model = stateful()
    model.compile("sgd", lambda y_true, y_pred: np.zeros(len(y_true), "float32"))
    model.predict(X[:, :3], batch_size=2, verbose=0)
    held = states_of(model)
    with pytest.raises(ValueError, match="loss: expected a loss that depends on the trainable weights"):
        model.train_on_batch(X[:, :3], np.zeros((2, 1)))
    assert_states(model, held)


MANY, ZEROS = np.random.default_rng(1).normal(size=(8, 3, 3)).astype("float32"), np.zeros((8, 1))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (
            lambda m: m.fit(MANY[:6], ZEROS[:6], batch_size=4, verbose=0),
            "x: expected a multiple of 4 .* got 6",
        ),
        (lambda m: m.fit(MANY[:6], ZEROS[:6], verbose=0), "x: expected a multiple of 4 samples"),
        (lambda m: m.fit(MANY, ZEROS, batch_size=8, verbose=0), "batch_size: expected 4 .* got 8"),
        (lambda m: m.fit(MANY, ZEROS, batch_size=3, verbose=0), "batch_size: expected 4 .* got 3"),
        (
            lambda m: m.fit(MANY[:6], ZEROS[:6], steps_per_epoch=1, epochs=2, verbose=0),
            "x: expected a multiple of 4 samples",
        ),
        (
            lambda m: m.fit(MANY, ZEROS, validation_split=0.25, verbose=0),
            "validation_split: expected a multiple of 4 .* got 2",
        ),
        (
            lambda m: m.fit(MANY[:6], ZEROS[:6], validation_split=0.3, verbose=0),
            "validation_split: expected a multiple of 4",
        ),
        (
            lambda m: m.fit(MANY, ZEROS, validation_data=(MANY[:6], ZEROS[:6]), verbose=0),
            "validation_x: expected a multiple of 4 .* got 6",
        ),
        (
            lambda m: m.fit(
                MANY, ZEROS, validation_data=(MANY, ZEROS), validation_batch_size=2, batch_size=4, verbose=0
            ),
            "validation_batch_size: expected 4 .* got 2",
        ),
        (lambda m: m.evaluate(MANY[:6], ZEROS[:6], verbose=0), "x: expected a multiple of 4 .* got 6"),
        (lambda m: m.evaluate(MANY, ZEROS, batch_size=5, verbose=0), "batch_size: expected 4 .* got 5"),
        (lambda m: m.predict(MANY[:6], verbose=0), "x: expected a multiple of 4 .* got 6"),
        (lambda m: m.predict(MANY[:6], batch_size=5, verbose=0), "batch_size: expected 4 .* got 5"),
    ],
)
def test_batches_of_another_size_are_refused_before_the_first(run, words):
    model = stateful(batch=4)
    model.compile("sgd", "mse")
    model.predict(MANY, verbose=0)
    held, weights = states_of(model), model.get_weights()
    with pytest.raises(ValueError, match=words):
        run(model)
    assert_states(model, held)
    assert model.optimizer.iterations == 0
    for found, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, before)


def test_stateful_models_take_batches_of_the_size_they_were_built_for():
    model, other = stateful(batch=4), stateful(batch=4)
    other.set_weights(model.get_weights())
    found = model.predict(MANY, verbose=0)
    np.testing.assert_array_equal(found, other.predict(MANY, batch_size=4, verbose=0))
    model.compile(SGD(0.0), "mse")
    # The samples left over are not reached.
    model.fit(MANY[:6], ZEROS[:6], steps_per_epoch=1, validation_data=(MANY, ZEROS), shuffle=False, verbose=0)
    model.evaluate(MANY[:6], ZEROS[:6], steps=1, verbose=0)
    # One batch of all samples, however many it might have.
    model.predict(MANY[:4], batch_size=32, verbose=0)
    for part in (MANY[:4], MANY[:4], MANY[4:], MANY[:4], MANY[:4]):
        other.predict(part, verbose=0)
    assert_states(model, states_of(other))
