import numpy as np
import pytest

from timeloom import metrics

GENERATOR = np.random.default_rng(0)


def test_accuracies():
    p = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    one_hot = np.array([[0, 1], [0, 1], [0, 1]])
    assert metrics.CategoricalAccuracy()(one_hot, p) == pytest.approx(2 / 3)
    assert metrics.SparseCategoricalAccuracy()([1, 1, 1], p) == pytest.approx(2 / 3)
    assert metrics.SparseCategoricalAccuracy()([[1], [1], [0]], p) == pytest.approx(1 / 3)
    assert metrics.BinaryAccuracy()([1, 0, 1], [[0.9], [0.5], [0.2]]) == pytest.approx(2 / 3)
    assert metrics.BinaryAccuracy(threshold=0.1)([1, 0], [0.2, 0.2]) == 0.5
    assert metrics.Accuracy()([1, 2, 3], [1, 2, 4]) == pytest.approx(2 / 3)


def test_mean_gathers_batches_of_different_sizes_with_weights():
    metric = metrics.MeanSquaredError()
    metric.update_state(np.zeros((1, 1)), np.full((1, 1), 2.0))
    metric.update_state(np.zeros((3, 1)), np.full((3, 1), 1.0))
    assert metric.result() == pytest.approx(7 / 4)
    metric.reset_state()
    assert metric.result() == 0.0
    metric.update_state(np.zeros((2, 1)), np.array([[1.0], [3.0]]), sample_weight=[3.0, 1.0])
    assert metric.result() == pytest.approx((3 + 9) / 4)
    metric.reset_states()
    assert metric.result() == 0.0


def test_timesteps_average_over_samples_and_steps():
    p = GENERATOR.random((2, 5, 3))
    labels = GENERATOR.integers(0, 3, (2, 5))
    expected = (p.argmax(-1) == labels).mean()
    assert metrics.SparseCategoricalAccuracy()(labels, p) == pytest.approx(expected)
    assert metrics.SparseCategoricalAccuracy()(labels, p, [1.0, 1.0]) == pytest.approx(expected)


def test_root_and_sum():
    assert metrics.RootMeanSquaredError()(np.zeros(2), [[3.0], [4.0]]) == pytest.approx(np.sqrt(12.5))
    total = metrics.Sum()
    total.update_state([1.0, 2.0], sample_weight=[1.0, 2.0])
    total.update_state(3.0)
    assert total.result() == 8.0


def test_names_configurations_and_names_to_come():
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert isinstance(metrics.get("MAE"), metrics.MeanAbsoluteError)
    assert isinstance(metrics.get("binary_accuracy"), metrics.BinaryAccuracy)
    copy = metrics.get(metrics.serialize(metrics.BinaryAccuracy(name="b", threshold=0.3)))
    assert copy.get_config() == {"name": "b", "dtype": "float32", "threshold": 0.3}
    assert metrics.MeanMetricWrapper(metrics.accuracy).name == "mean_metric_wrapper"
    with pytest.raises(NotImplementedError, match="AUC"):
        metrics.get("AUC")
    with pytest.raises(ValueError, match="metric: expected one of"):
        metrics.get("acuracy")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="y_true: expected shape"):
        metrics.SparseCategoricalAccuracy()(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="y_true: expected shape"):
        metrics.BinaryAccuracy()(np.zeros((3, 2)), np.zeros((3, 1)))
