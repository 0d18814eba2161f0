"""Masks in training: which timesteps loss, gradients and metrics count."""

import threading

import numpy as np
import pytest

from timeloom import Model, Sequential, losses, metrics
from timeloom.layers import Dense, Dropout, Embedding, Layer, Masking
from timeloom.optimizers import SGD

GENERATOR = np.random.default_rng(0)
MASK = GENERATOR.random((12, 5)) < 0.6
X = (GENERATOR.normal(size=(12, 5, 3)) * MASK[..., None]).astype("float32")
LABELS = GENERATOR.integers(0, 3, (12, 5))
ONE_HOT = np.eye(3)[LABELS]
ROW_WEIGHTS, STEP_WEIGHTS = GENERATOR.random(12), GENERATOR.random((12, 5))


def by_step(**options):
    model = Sequential([Masking(), Dense(3, activation="softmax")])
    arguments = {"optimizer": SGD(0.5), "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, "weighted_metrics": ["accuracy"], **options})
    model.build((None, None, 3))
    return model


@pytest.mark.parametrize("weights", [None, ROW_WEIGHTS, STEP_WEIGHTS, STEP_WEIGHTS[..., None]])
def test_loss_and_metrics_are_means_over_the_valid_steps(weights):
    model = by_step()
    p = model.predict(X, verbose=0)
    each = -np.log(np.take_along_axis(p, LABELS[..., None], -1)[..., 0])
    right = p.argmax(-1) == LABELS
    w = np.ones((12, 5)) if weights is None else np.broadcast_to(weights.reshape(12, -1), (12, 5))
    expected = [
        (each * w)[MASK].sum() / MASK.sum(),
        right[MASK].mean(),
        (right * w)[MASK].sum() / w[MASK].sum(),
    ]
    found = model.evaluate(X, LABELS, sample_weight=weights, batch_size=12, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(model.test_on_batch(X, LABELS, sample_weight=weights), expected, rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(X, LABELS, sample_weight=weights), expected, rtol=1e-5)


def test_class_weights_count_valid_steps():
    model = by_step()
    p = model.predict(X, verbose=0)
    each = -np.log(np.take_along_axis(p, LABELS[..., None], -1)[..., 0])
    w = np.where(LABELS == 2, 4.0, 1.0)
    found = model.train_on_batch(X, LABELS, class_weight={2: 4.0}, return_dict=True)
    assert found["loss"] == pytest.approx((each * w)[MASK].mean(), rel=1e-5)
    by_rows = by_step(loss="categorical_crossentropy", metrics=None, weighted_metrics=None)
    by_rows.set_weights(by_step().get_weights())
    p = by_rows.predict(X, verbose=0)
    each = -np.log(np.take_along_axis(p, LABELS[..., None], -1)[..., 0])
    found = by_rows.train_on_batch(X, ONE_HOT, class_weight={2: 4.0})
    assert found == pytest.approx((each * w)[MASK].mean(), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weights", [None, ROW_WEIGHTS, STEP_WEIGHTS])
def test_training_equals_training_on_the_valid_steps_alone(reduction, weights):
    options = {
        "loss": losses.SparseCategoricalCrossentropy(reduction=reduction),
        "optimizer": SGD(0.05),
        "weighted_metrics": ["sparse_categorical_crossentropy"],
    }
    masked, alone = by_step(**options), Sequential([Dense(3, activation="softmax", input_dim=3)])
    alone.compile(metrics=["accuracy"], **{**options, "optimizer": SGD(0.05)})
    alone.set_weights(masked.get_weights())
    w = None if weights is None else np.broadcast_to(weights.reshape(12, -1), (12, 5))[MASK]
    for _ in range(3):
        found = masked.train_on_batch(X, LABELS, sample_weight=weights)
        expected = alone.train_on_batch(X[MASK], LABELS[MASK], sample_weight=w)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
    for a, b in zip(masked.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_what_stands_at_masked_steps_changes_nothing():
    outcomes = []
    for filler in (0, 2):
        model = by_step()
        model.set_weights([np.linspace(-1, 1, 9).reshape(3, 3), np.zeros(3)])
        labels = np.where(MASK, LABELS, filler)
        history = model.fit(
            X, labels, epochs=2, batch_size=5, shuffle=False, validation_split=0.25, verbose=0
        ).history
        outcomes.append((history, model.get_weights()))
    assert outcomes[0][0] == outcomes[1][0]
    for a, b in zip(outcomes[0][1], outcomes[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_validation_counts_valid_steps():
    model = by_step(optimizer=SGD(0.0))
    logs = model.fit(X, LABELS, validation_data=(X[:4], LABELS[:4]), verbose=0).history
    p = model.predict(X[:4], verbose=0)
    each = -np.log(np.take_along_axis(p, LABELS[:4, :, None], -1)[..., 0])
    assert logs["val_loss"][0] == pytest.approx(each[MASK[:4]].mean(), rel=1e-5)
    assert logs["val_accuracy"][0] == pytest.approx((p.argmax(-1) == LABELS[:4])[MASK[:4]].mean())


def test_batch_without_a_valid_step_teaches_nothing():
    model = by_step()
    before = model.get_weights()
    found = model.train_on_batch(np.zeros((2, 5, 3)), LABELS[:2], return_dict=True)
    assert found == {"loss": 0.0, "accuracy": 0.0, "weighted_accuracy": 0.0}
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_kind_of_metric_counts_valid_steps():
    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    class Rows(metrics.Metric):
        def reset_state(self):
            self.rows = 0.0

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows += float(len(y_true) if sample_weight is None else np.sum(sample_weight))

        def result(self):
            return self.rows

    model = by_step(
        loss="mse",
        metrics=[largest, "binary_accuracy", metrics.RootMeanSquaredError(), Rows(name="rows")],
        weighted_metrics=None,
    )
    p = model.predict(X, verbose=0)
    found = model.evaluate(X, ONE_HOT, verbose=0, return_dict=True)
    error = (p - ONE_HOT)[MASK]
    assert found["loss"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert found["largest"] == pytest.approx(np.abs(error).max(-1).mean(), rel=1e-5)
    assert found["binary_accuracy"] == pytest.approx(((p > 0.5) == ONE_HOT)[MASK].mean())
    assert found["root_mean_squared_error"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert found["rows"] == MASK.sum()


def test_metric_without_a_value_per_step_is_named():
    def overall(y_true, y_pred):
        return np.abs(y_true - y_pred).mean()

    model = by_step(loss="mse", metrics=[overall], weighted_metrics=None)
    with pytest.raises(ValueError, match=r"metrics: expected 'overall' to give values that .* \(12, 5\) fit"):
        model.evaluate(X, ONE_HOT, verbose=0)


def test_loss_of_a_loop_of_ones_own_takes_a_mask():
    p = GENERATOR.random((12, 5, 2))
    y = GENERATOR.random((12, 5, 2))
    each = ((p - y) ** 2).mean(-1)
    loss = losses.MeanSquaredError()
    assert loss(y, p, mask=MASK) == pytest.approx(each[MASK].mean())
    assert loss(y, p, sample_weight=ROW_WEIGHTS, mask=MASK) == pytest.approx(
        (each * ROW_WEIGHTS[:, None])[MASK].sum() / MASK.sum()
    )
    with pytest.raises(ValueError, match=r"mask: expected shape \(12, 5\).* got \(5, 12\)"):
        loss(y, p, mask=MASK.T)


def test_outputs_that_the_mask_does_not_fit_are_refused():
    class First(Layer):
        supports_masking = True

        def call(self, inputs):
            return inputs[:, 0]

    model = Sequential([Masking(), First(), Dense(3)])
    model.compile("sgd", "mse")
    before = model.built
    with pytest.raises(ValueError, match=r"mask: expected shape \(12,\), one for each value of the loss"):
        model.fit(X, ONE_HOT[:, 0], verbose=0)
    assert model.built == before
    assert model.predict(X, verbose=0).shape == (12, 3)


class Mean(Layer):
    """The mean of the valid timesteps."""

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs.mean(axis=1)
        counted = mask[..., None].astype(inputs.dtype)
        return (inputs * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)

    def compute_mask(self, inputs, mask=None):
        return None


def test_threads_do_not_see_the_masks_of_others():
    model = Sequential([Embedding(9, 4, mask_zero=True), Dropout(0.5), Mean(), Dense(2)])
    batches = [GENERATOR.integers(0, 9, (3, 1 + i)) for i in range(8)]
    expected = [model.predict(batch, verbose=0) for batch in batches]
    found = [[] for _ in batches]

    def work(i):
        for _ in range(20):
            found[i].append(model.predict(batches[i], verbose=0))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results, values in zip(found, expected, strict=True):
        assert len(results) == 20
        for result in results:
            np.testing.assert_array_equal(result, values)


def test_models_written_as_a_class_hand_masks_on():
    class Tagger(Model):
        def __init__(self):
            super().__init__()
            self.embed = Embedding(9, 4, mask_zero=True)
            self.mean = Mean()
            self.top = Dense(3, activation="softmax")

        def call(self, inputs, training=False, mask=None):
            mask = self.embed.compute_mask(inputs)
            words = self.embed(inputs)
            return self.top(words + np.expand_dims(self.mean(words, mask=mask), 1))

        def compute_mask(self, inputs, mask=None):
            return self.embed.compute_mask(inputs)

    words = GENERATOR.integers(0, 9, (12, 5))
    model = Tagger()
    model.compile(SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    logs = model.fit(words, LABELS, verbose=0, shuffle=False).history
    p = model.predict(words, verbose=0)
    each = -np.log(np.take_along_axis(p, LABELS[..., None], -1)[..., 0])
    assert logs["loss"][0] == pytest.approx(each[words > 0].mean(), rel=1e-5)
    assert logs["accuracy"][0] == pytest.approx((p.argmax(-1) == LABELS)[words > 0].mean())
    assert model.compute_output_shape((None, None)) == (None, None, 3)


@pytest.mark.parametrize("method", ["fit", "train_on_batch", "test_on_batch", "predict", "predict_on_batch"])
def test_first_step_that_fails_leaves_the_model_unbuilt(method):
    class Failing(Layer):
        broken = True

        def call(self, inputs):
            if self.broken:
                raise MemoryError("outputs: expected less")
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    failing = Failing()
    model = Sequential([Dense(4), failing, Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    targets = [] if method.startswith("predict") else [X[:, 0, :1]]
    silent = {"verbose": 0} if method in ("fit", "predict") else {}
    with pytest.raises(MemoryError, match="outputs"):
        getattr(model, method)(X[:, 0], *targets, **silent)
    assert not model.built
    assert model.weights == []
    assert model.metrics == []
    assert model.history is None
    assert not any(layer.built for layer in model.layers)
    failing.broken = False
    assert getattr(model, method)(X[:, 0, :2], *targets, **silent) is not None
    assert model.get_weights()[0].shape == (2, 4)


def test_later_step_that_fails_keeps_what_was_learnt():
    class Impatient(Sequential):
        steps = 0

        def train_step(self, data):
            self.steps += 1
            if self.steps == 2:
                raise KeyboardInterrupt
            return super().train_step(data)

    model = Impatient([Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, 0], X[:, 0, :1], batch_size=4, verbose=0)
    assert model.built
    assert int(model.optimizer.iterations) == 1
