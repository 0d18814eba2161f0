import copy
import pickle

import numpy as np
import pytest
from tests.models.classifier import GENERATOR, X, Y, classifier

from timeloom import Sequential, backend, callbacks, metrics, optimizers, utils
from timeloom.layers import GRU, LSTM, Dense, Dropout, SimpleRNN


@pytest.mark.parametrize("cell", [SimpleRNN, LSTM, GRU])
def test_tiny_training_learns(cell):
    utils.set_random_seed(1)
    model = Sequential(
        [cell(16, return_sequences=True), Dropout(0.1), cell(8), Dense(1, activation="sigmoid")]
    )
    model.compile(optimizer=optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["acc"])
    x = np.random.default_rng(1).normal(size=(256, 8, 2))
    y = x[:, :, 0].sum(1) > 0
    history = model.fit(x, y, epochs=15, verbose=0, validation_split=0.25)
    assert history.history["val_acc"][-1] > 0.85
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(x[192:], y[192:], verbose=0)
    assert loss == pytest.approx(history.history["val_loss"][-1])
    assert accuracy == history.history["val_acc"][-1]
    assert (model.predict(x[192:], verbose=0)[:, 0] > 0.5).mean() > 0


def test_same_seed_gives_the_same_training():
    def train():
        utils.set_random_seed(7)
        model = Sequential([GRU(8, dropout=0.2), Dropout(0.2), Dense(2, activation="softmax")])
        model.compile("rmsprop", "sparse_categorical_crossentropy")
        history = model.fit(X, Y, epochs=3, batch_size=7, verbose=0)
        return history.history["loss"], model.get_weights()

    first, second = train(), train()
    assert first[0] == second[0]
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_keys_epochs_and_old_names():
    history = classifier().fit(X, Y, epochs=5, initial_epoch=2, verbose=0, validation_data=(X, Y))
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == [2, 3, 4]
    assert history.params == {"verbose": 0, "epochs": 5, "steps": 2}
    assert history.history["acc"] == history.history["accuracy"]
    assert history.history.get("val_acc") == history.history["val_accuracy"]
    assert "acc" in history.history
    assert all(type(value) is float for values in history.history.values() for value in values)
    old = classifier(metrics=["acc"]).fit(X, Y, verbose=0)
    assert list(old.history) == ["acc", "loss"]
    assert old.model.history is old


def test_returns_are_a_float_or_a_list_in_the_order_of_compile():
    plain = classifier(metrics=None)
    assert isinstance(plain.evaluate(X, Y, verbose=0), float)
    assert isinstance(plain.train_on_batch(X, Y), float)
    assert plain.metrics_names == ["loss"]
    model = classifier(metrics=["sparse_categorical_crossentropy", "accuracy", "accuracy"])
    assert model.metrics_names == ["loss", "sparse_categorical_crossentropy", "accuracy", "accuracy"]
    found = model.evaluate(X, Y, verbose=0)
    assert len(found) == 4
    assert found[0] == pytest.approx(found[1])
    assert model.metrics_names == ["loss", "sparse_categorical_crossentropy", "accuracy", "accuracy_1"]
    named = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert [named[name] for name in model.metrics_names] == found
    assert model.test_on_batch(X, Y, return_dict=True) == pytest.approx(named)


def test_loss_of_a_training_batch_is_from_before_the_step():
    model = classifier()
    expected = model.evaluate(X, Y, batch_size=40, verbose=0)
    assert model.train_on_batch(X, Y) == expected
    assert model.evaluate(X, Y, batch_size=40, verbose=0) != expected


def test_one_step_is_forward_loss_gradient_optimizer():
    model = Sequential([Dense(2, use_bias=False, kernel_initializer="ones", input_dim=3, dtype="float64")])
    model.compile(optimizers.SGD(0.5), "mse")
    x, y = GENERATOR.normal(size=(5, 3)), GENERATOR.normal(size=(5, 2))
    kernel = np.ones((3, 2))
    model.fit(x, y, batch_size=5, epochs=1, verbose=0, shuffle=False)
    expected = kernel - 0.5 * x.T @ (2 * (x @ kernel - y)) / y.size
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-12)


def test_epoch_values_are_weighted_by_batch_size():
    model = classifier(optimizer=optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=32, verbose=0)
    loss, accuracy = model.evaluate(X, Y, batch_size=40, verbose=0)
    assert history.history["loss"][0] == pytest.approx(loss, rel=1e-6)
    assert history.history["accuracy"][0] == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("targets", "units", "loss", "kind"),
    [
        (Y, 1, "binary_crossentropy", metrics.BinaryAccuracy),
        (Y[:, None], 1, "mse", metrics.BinaryAccuracy),
        (Y, 2, "sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy),
        (Y[:, None], 2, "sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy),
        (np.eye(2)[Y], 2, "categorical_crossentropy", metrics.CategoricalAccuracy),
        (np.eye(2)[Y], 2, "crossentropy", metrics.CategoricalAccuracy),
        (Y, 2, "ce", metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_is_chosen_by_the_shapes(targets, units, loss, kind):
    activation = "sigmoid" if units == 1 else "softmax"
    model = Sequential([LSTM(4), Dense(units, activation=activation)])
    model.compile("adam", loss, metrics=["accuracy"])
    found = model.evaluate(X, targets, verbose=0)
    assert type(model.metrics[1]) is kind
    p = model.predict(X, verbose=0)
    guess = p[:, 0] > 0.5 if units == 1 else p.argmax(1)
    assert found[1] == pytest.approx((guess == Y).mean())


def test_targets_for_every_timestep():
    model = Sequential([GRU(6, return_sequences=True), Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = GENERATOR.integers(0, 3, (40, 6))
    weights = GENERATOR.random((40, 6))
    loss, accuracy = model.evaluate(X, labels, verbose=0, sample_weight=weights)
    p = model.predict(X, verbose=0)
    picked = np.take_along_axis(p, labels[..., None], -1)[..., 0]
    assert loss == pytest.approx((-np.log(picked) * weights).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(-1) == labels).mean())
    assert model.fit(X, labels[..., None], verbose=0).history["loss"][0] > 0


def test_sample_and_class_weights():
    model = classifier(weighted_metrics=["accuracy"])
    weights = GENERATOR.random(40)
    p = model.predict(X, verbose=0)
    each = -np.log(p[np.arange(40), Y])
    right = p.argmax(1) == Y
    loss, plain, weighted = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert loss == pytest.approx((each * weights).mean(), rel=1e-5)
    assert plain == pytest.approx(right.mean())
    assert weighted == pytest.approx((right * weights).sum() / weights.sum())
    by_class = np.where(Y == 1, 3.0, 1.0)
    logs = model.train_on_batch(X, Y, class_weight={1: 3.0}, return_dict=True)
    assert logs["loss"] == pytest.approx((each * by_class).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="class_weight: expected either"):
        model.fit(X, Y, class_weight={0: 1.0}, sample_weight=weights, verbose=0)


def test_validation_split_is_the_last_part_before_shuffling():
    model = classifier(optimizer=optimizers.SGD(0.0))
    weights = np.arange(40.0)
    history = model.fit(X, Y, validation_split=0.25, sample_weight=weights, verbose=0)
    loss, accuracy = model.evaluate(X[30:], Y[30:], sample_weight=weights[30:], verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(loss)
    assert history.history["val_accuracy"][0] == pytest.approx(accuracy)
    given = model.fit(X, Y, validation_split=0.25, validation_data=(X[:5], Y[:5]), verbose=0)
    assert given.history["val_loss"][0] == pytest.approx(model.evaluate(X[:5], Y[:5], verbose=0)[0])


def test_validation_steps_begin_anew_every_epoch():
    model = classifier(optimizer=optimizers.SGD(0.0))
    history = model.fit(
        X, Y, epochs=3, validation_data=(X, Y), validation_batch_size=8, validation_steps=2, verbose=0
    )
    expected = model.evaluate(X, Y, batch_size=8, steps=2, verbose=0)[0]
    assert history.history["val_loss"] == [expected] * 3
    assert expected == pytest.approx(model.evaluate(X[:16], Y[:16], verbose=0)[0])


def test_list_of_callbacks_that_was_made_before_gets_a_history():
    model = classifier()
    history = model.fit(X, Y, verbose=0, callbacks=callbacks.CallbackList(model=model))
    assert list(history.history) == ["accuracy", "loss"]


def test_validation_frequency():
    for frequency, count in ((2, 2), ([1, 3, 4], 3)):
        history = classifier().fit(
            X, Y, epochs=5, validation_data=(X, Y), validation_freq=frequency, verbose=0
        )
        assert len(history.history["val_loss"]) == count


def test_steps_per_epoch_go_on_through_the_data():
    seen = []

    class Keep(Sequential):
        def train_step(self, data):
            seen.append(data[0][:, 0, 0].copy())
            return super().train_step(data)

    model = Keep([Dense(1, input_shape=(1, 1))])
    model.compile("sgd", "mse")
    x = np.arange(10.0).reshape(10, 1, 1)
    model.fit(x, x, batch_size=4, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    assert [rows.tolist() for rows in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 2
    seen.clear()
    history = model.fit(x, x, steps_per_epoch=3, shuffle=False, verbose=0)
    assert [len(rows) for rows in seen] == [4, 4, 2]
    assert history.params["steps"] == 3
    seen.clear()
    model.fit(x, x, batch_size=4, shuffle="batch", verbose=0)
    assert [sorted(rows.tolist()) for rows in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    seen.clear()
    model.fit(x, x, batch_size=4, verbose=0)
    assert sorted(np.concatenate(seen).tolist()) == list(range(10))


def test_data_of_every_dtype_and_layout_trains_the_same():
    pixels = GENERATOR.integers(0, 3, (40, 6, 3))

    def losses_of(x, y):
        utils.set_random_seed(3)
        return classifier().fit(x, y, epochs=2, verbose=0).history["loss"]

    expected = losses_of(pixels.astype("float32"), Y)
    for x in (pixels.astype("uint8"), pixels.astype("float64"), np.asfortranarray(pixels), pixels.tolist()):
        assert losses_of(x, Y) == expected
    assert losses_of(pixels[::-1].copy()[::-1], Y.astype("float64")) == expected
    assert losses_of(pixels, Y.tolist()) == expected
    assert losses_of([pixels], [Y]) == expected


def test_nan_propagates_and_can_stop_training():
    x = X.copy()
    x[3, 2, 1] = np.nan
    history = classifier().fit(x, Y, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert np.isnan(history.history["loss"][0])
    assert len(history.epoch) == 1


def test_frozen_layers_and_models_without_trainable_weights():
    model = Sequential([LSTM(4, input_shape=(6, 3)), Dense(2, activation="softmax")])
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[3], after[3])
    model.trainable = False
    assert np.isfinite(model.train_on_batch(X, Y))
    np.testing.assert_array_equal(after[3], model.get_weights()[3])


def test_custom_losses_and_metrics():
    def cubic(y_true, y_pred):
        return ((y_true - y_pred) ** 2 * abs(y_true - y_pred)).mean(axis=-1)

    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    model = Sequential([Dense(2, input_dim=3)])
    model.compile("adam", cubic, metrics=[largest, metrics.MeanAbsoluteError(name="mine")])
    x, y = GENERATOR.normal(size=(20, 3)), GENERATOR.normal(size=(20, 2))
    history = model.fit(x, y, epochs=30, verbose=0)
    assert list(history.history) == ["largest", "loss", "mine"]
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_zero_epochs_train_nothing():
    model = classifier()
    before = model.get_weights()
    history = model.fit(X, Y, epochs=0, verbose=0)
    assert history.history == {}
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_float64_models_train_in_float64():
    backend.set_floatx("float64")
    try:
        model = classifier()
        model.fit(X, Y, verbose=0)
    finally:
        backend.set_floatx("float32")
    assert {weight.dtype for weight in model.get_weights()} == {np.dtype("float64")}
    assert model.predict(X, verbose=0).dtype == np.float64


@pytest.mark.parametrize("copies", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copied_model_goes_on_by_itself(copies):
    model = classifier()
    model.fit(X, Y, verbose=0, shuffle=False)
    twin = copies(model)
    before = model.get_weights()
    other = twin.fit(X, Y, verbose=0, shuffle=False)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert model.fit(X, Y, verbose=0, shuffle=False).history == other.history
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_changed_stack_resolves_its_metrics_anew():
    model = classifier()
    model.fit(X, Y, verbose=0)
    model.pop()
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    model.pop()
    model.add(Dense(2, activation="sigmoid"))
    assert len(model.evaluate(X, np.eye(2)[Y], verbose=0)) == 2
    assert type(model.metrics[1]) is metrics.CategoricalAccuracy
