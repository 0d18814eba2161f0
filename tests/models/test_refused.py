import numpy as np
import pytest
from tests.models.classifier import GENERATOR, X, Y, assert_same_state, classifier, state_of

from timeloom import Sequential, layers, losses
from timeloom.layers import LSTM, Dense


def test_recompiling_starts_metrics_and_optimizer_anew():
    model = classifier()
    model.fit(X, Y, verbose=0)
    first = model.optimizer
    model.compile("adam", losses.SparseCategoricalCrossentropy(), metrics=["acc"])
    assert model.optimizer is not first
    assert model.metrics == []
    before = state_of(model)
    for arguments, error in (
        ({"optimizer": "adamm"}, ValueError),
        ({"loss": "nothing"}, ValueError),
        ({"loss": "huber"}, NotImplementedError),
        ({"loss": ["mse", "mae"]}, ValueError),
        ({"loss": losses.MeanSquaredError(reduction=None)}, ValueError),
        ({"metrics": "accuracy"}, ValueError),
        ({"metrics": ["nothing"]}, ValueError),
        ({"loss_weights": [1.0]}, NotImplementedError),
        ({"steps_per_execution": 2}, NotImplementedError),
        ({"jit_compile": True}, NotImplementedError),
        ({"losss": "mse"}, ValueError),
    ):
        with pytest.raises(error, match=r": expected|not implemented"):
            model.compile(**arguments)
        assert_same_state(model, before)


REFUSED = [
    ({"x": X[:, :, 0]}, ValueError, "inputs: expected"),
    ({"x": np.full(X.shape, "a")}, TypeError, "x: expected real numbers, got dtype <U1"),
    ({"x": X.astype(object)}, TypeError, "x: expected real numbers, got dtype object"),
    ({"x": X.astype(complex)}, TypeError, "x: expected real numbers, got dtype complex"),
    ({"x": [[1.0], [1.0, 2.0]]}, ValueError, "x: expected an array, got lists of unequal lengths"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, "x: expected at least one sample, got 0"),
    ({"x": X[:, :0]}, ValueError, "inputs: expected"),
    ({"x": X[:39]}, ValueError, "x, y: expected the same number of samples, got x 39, y 40"),
    ({"x": None}, ValueError, "x: expected an array, got None"),
    ({"x": [X, X]}, ValueError, "x: expected one array, got 2"),
    ({"x": (batch for batch in [(X, Y)])}, NotImplementedError, "x: expected an array, got generator"),
    ({"y": None}, ValueError, "y: expected an array, got None"),
    ({"y": Y + 1}, ValueError, r"y: expected labels in \[0, 1\], got 2"),
    ({"y": Y - 1}, ValueError, r"y: expected labels in \[0, 1\], got -1"),
    ({"y": Y + 0.5}, ValueError, "y: expected whole numbers"),
    ({"y": np.eye(3)[Y]}, ValueError, r"y: expected shape \(40,\), got \(40, 3\)"),
    ({"y": ["a"] * 40}, TypeError, "y: expected real numbers"),
    ({"batch_size": 0}, ValueError, "batch_size: expected a positive integer, got 0"),
    ({"batch_size": 2.5}, ValueError, "batch_size: expected a positive integer, got 2.5"),
    ({"epochs": -1}, ValueError, "epochs: expected"),
    ({"epochs": 1.5}, ValueError, "epochs: expected"),
    ({"initial_epoch": -1}, ValueError, "initial_epoch: expected"),
    ({"verbose": 3}, ValueError, "verbose: expected"),
    ({"verbose": "loud"}, ValueError, "verbose: expected"),
    ({"shuffle": "all"}, ValueError, "shuffle: expected"),
    ({"validation_split": 1.0}, ValueError, "validation_split: expected"),
    ({"validation_split": -0.1}, ValueError, "validation_split: expected"),
    ({"validation_data": X}, ValueError, "validation_data: expected"),
    ({"validation_data": (X[:3], Y[:2])}, ValueError, "validation_x, validation_y: expected the same"),
    ({"validation_data": (X, Y + 1)}, ValueError, "validation_y: expected labels"),
    ({"validation_freq": 0}, ValueError, "validation_freq: expected"),
    ({"validation_batch_size": 0}, ValueError, "validation_batch_size: expected"),
    ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch: expected"),
    ({"sample_weight": np.ones(39)}, ValueError, "x, y, sample_weight: expected the same number"),
    ({"sample_weight": np.ones((40, 3))}, ValueError, "sample_weight: expected shape"),
    ({"class_weight": [1.0, 2.0]}, ValueError, "class_weight: expected a dict"),
    ({"class_weight": {"a": 1.0}}, ValueError, "class_weight: expected"),
    ({"callbacks": ["History"]}, TypeError, "callbacks: expected Callbacks, got str"),
]


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize(("wrong", "error", "words"), REFUSED)
def test_refused_fit_changes_nothing(built, wrong, error, words):
    model = classifier()
    if not built:
        model = Sequential([LSTM(8), Dense(2, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        words = words.replace("inputs", "inputs|input_shape")
    else:
        model.fit(X, Y, verbose=0)
    before = state_of(model)
    with pytest.raises(error, match=words):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **wrong})
    assert_same_state(model, before)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("metric", ["mae", "mse", "categorical_accuracy", "binary_accuracy"])
def test_metric_that_does_not_take_the_targets_changes_nothing(built, metric):
    shape = {"input_shape": (6, 3)} if built else {}
    model = Sequential([LSTM(8, **shape), Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", metric])
    before = state_of(model)
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=f"metrics: expected targets that '{metric}' takes, got y_true"):
            method(X, Y)
        assert_same_state(model, before)
        assert not model.history


@pytest.mark.parametrize(
    "loss", [lambda y, p: 0.5, lambda y, p: np.zeros(len(y)), lambda y, p: p.numpy() - y]
)
def test_loss_without_a_gradient_does_not_pass_for_training(loss):
    model = Sequential([LSTM(8, input_shape=(6, 3)), Dense(1)])
    model.compile("adam", loss)
    before = state_of(model)
    with pytest.raises(ValueError, match="loss: expected a loss that depends on the trainable weights"):
        model.fit(X, Y, verbose=0)
    assert_same_state(model, before)


@pytest.mark.parametrize("given", [None, "a", ["a"], {}])
def test_loss_that_is_no_number_is_named(given):
    model = Sequential([LSTM(8, input_shape=(6, 3)), Dense(1)])
    model.compile("adam", lambda y, p: given)
    before = state_of(model)
    for method in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(TypeError, match="loss: expected real numbers"):
            method(X, Y)
    assert_same_state(model, before)


@pytest.mark.parametrize("scale", [np.nan, 1e30])
def test_class_weights_of_targets_that_are_no_labels(scale):
    model = Sequential([LSTM(8, input_shape=(6, 3)), Dense(1)])
    model.compile("sgd", "mae")
    assert model.test_on_batch(X, Y) >= 0
    model.train_on_batch(X, (Y + 1) * scale, class_weight={0: 2.0})


def test_fit_before_compile_and_without_loss():
    model = Sequential([Dense(1)])
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="expected a compiled model"):
            method(X[:, 0], Y)
    model.compile("adam")
    with pytest.raises(ValueError, match="expected a model compiled with a loss"):
        model.fit(X[:, 0], Y)
    assert not model.built
    with pytest.raises(TypeError, match="nb_epoch"):
        model.fit(X, Y, nb_epoch=3)


def test_embedding_model_takes_words():
    model = Sequential([layers.Embedding(20, 4), LSTM(4), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    words = GENERATOR.integers(0, 20, (30, 7))
    history = model.fit(words, words[:, 0] > 9, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    before = state_of(model)
    with pytest.raises(ValueError, match=r"x: expected indices in \[0, 19\]"):
        model.fit(words + 1, words[:, 0] > 9, verbose=0)
    assert_same_state(model, before)
