import numpy as np
import pytest

from tests.golden import load
from timeloom import GradientTape, Variable, losses

GOLDEN = load("keras_losses")


@pytest.mark.parametrize("case", GOLDEN)
def test_loss_and_gradient_agree_with_keras(case):
    values = GOLDEN[case]
    options = dict(values["options"])
    function = losses.get(options.pop("name"))
    with GradientTape() as tape:
        prediction = tape.watch(values["prediction"])
        loss = function(values["target"], prediction, **options)
    np.testing.assert_allclose(loss.numpy(), values["loss"], rtol=1e-11)
    gradient = tape.gradient(loss, prediction, output_gradients=values["upstream"])
    largest = np.abs(values["d_prediction"]).max()
    np.testing.assert_allclose(gradient, values["d_prediction"], rtol=0, atol=1e-11 * largest)


@pytest.mark.parametrize("case", GOLDEN)
def test_class_is_the_mean_of_its_function(case):
    values = GOLDEN[case]
    options = dict(values["options"])
    name = "".join(word.capitalize() for word in options.pop("name").split("_"))
    loss = getattr(losses, name)(**options)
    assert float(loss(values["target"], values["prediction"])) == pytest.approx(values["loss"].mean())
    copy = losses.get(losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
    assert float(copy(values["target"], values["prediction"])) == pytest.approx(values["loss"].mean())


def test_reductions_and_weights():
    y, p = np.zeros((3, 2)), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    weights = [1.0, 0.0, 2.0]
    expected = {
        "sum_over_batch_size": (14 / 3, 19 / 3),
        "mean": (14 / 3, 19 / 3),
        "sum": (14, 19),
        "mean_with_sample_weight": (14 / 3, 19 / 3),
    }
    for reduction, (plain, weighted) in expected.items():
        loss = losses.MeanSquaredError(reduction=reduction)
        assert float(loss(y, p)) == pytest.approx(plain)
        assert float(loss(y, p, sample_weight=weights)) == pytest.approx(weighted)
    for none in ("none", None):
        np.testing.assert_allclose(losses.MeanSquaredError(reduction=none)(y, p, weights), [1.0, 0.0, 18.0])
    zero = losses.MeanSquaredError(reduction="mean_with_sample_weight")(y, p, [0.0, 0.0, 0.0])
    assert float(zero) == 0.0


def test_weights_per_timestep_and_per_sample():
    y, p = np.zeros((2, 3, 1)), np.ones((2, 3, 1))
    loss = losses.MeanSquaredError(reduction="sum")
    assert float(loss(y, p, [1.0, 2.0])) == 9.0
    assert float(loss(y, p, np.array([[1.0, 0, 0], [0, 0, 5.0]]))) == 6.0
    with pytest.raises(ValueError, match=r"sample_weight: expected shape \(2,\) or \(2, 3\), got \(3,\)"):
        loss(y, p, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("target", "output"), [((4,), (4, 1)), ((4, 1), (4,)), ((2, 3), (2, 3, 1))])
def test_missing_last_axis_is_added_and_never_broadcast(target, output):
    y = np.arange(np.prod(target), dtype=float).reshape(target)
    p = np.zeros(output)
    assert float(losses.MeanSquaredError()(y, p)) == pytest.approx((y**2).mean())


@pytest.mark.parametrize(
    ("function", "target", "output", "words"),
    [
        ("mse", np.zeros((4, 3)), np.zeros((4, 1)), r"y_true: expected shape \(4, 1\), got \(4, 3\)"),
        ("mse", np.zeros(3), np.zeros((4, 1)), r"y_true: expected shape \(4, 1\), got \(3,\)"),
        ("categorical_crossentropy", np.zeros(4), np.ones((4, 3)), "y_true: expected shape"),
        ("sparse_categorical_crossentropy", np.zeros((4, 3)), np.ones((4, 3)), "y_true: expected shape"),
        ("sparse_categorical_crossentropy", [0, 1, 2, 3], np.ones((4, 3)), r"labels in \[0, 2\], got 3"),
        ("sparse_categorical_crossentropy", [0, 1, 2, -1], np.ones((4, 3)), r"labels in \[0, 2\], got -1"),
        ("sparse_categorical_crossentropy", [0, 1, 0.5, 1], np.ones((4, 3)), "whole numbers"),
        ("sparse_categorical_crossentropy", [0, 1, np.nan, 1], np.ones((4, 3)), "whole numbers"),
    ],
)
def test_targets_that_do_not_fit_are_refused(function, target, output, words):
    with pytest.raises(ValueError, match=words):
        losses.get(function)(target, output)


def test_nan_propagates():
    assert np.isnan(losses.mean_squared_error([[np.nan], [1.0]], [[0.0], [0.0]])).tolist() == [True, False]


def test_names_of_keras_and_names_to_come():
    assert losses.get("MSE") is losses.mean_squared_error
    assert isinstance(losses.get("BinaryCrossentropy"), losses.BinaryCrossentropy)
    assert losses.get(None) is None
    with pytest.raises(NotImplementedError, match="huber"):
        losses.get("huber")
    with pytest.raises(ValueError, match=r"loss: expected one of .*, got 'mes'"):
        losses.get("mes")
    with pytest.raises(ValueError, match="reduction: expected"):
        losses.MeanSquaredError(reduction="max")
    with pytest.raises(NotImplementedError, match="ignore_class"):
        losses.SparseCategoricalCrossentropy(ignore_class=0)
    with pytest.raises(ValueError, match="label_smoothing: expected"):
        losses.BinaryCrossentropy(label_smoothing=2.0)


@pytest.mark.parametrize("loss", [losses.MeanSquaredError(), losses.mean_absolute_error])
def test_gradient_of_a_variable_passes_through_a_loss(loss):
    outputs, targets = Variable([[1.0, 2.0]]), Variable([[3.0, 1.0]])
    assert float(np.sum(loss([[0.0, 0.0]], outputs))) > 0
    with GradientTape() as tape:
        value = loss(targets, outputs)
    by_targets, by_outputs = tape.gradient(value, [targets, outputs])
    np.testing.assert_array_equal(by_targets, -by_outputs)
    assert np.abs(by_outputs).min() > 0
    with GradientTape(), pytest.raises(TypeError, match=r"would cut the gradient .*\.numpy\(\)"):
        losses.MeanSquaredError()(targets, outputs, sample_weight=Variable([1.0]))


def test_weights_fit_values_of_more_or_fewer_axes():
    def each(y_true, y_pred):
        return (y_true - y_pred) ** 2

    def whole(y_true, y_pred):
        return ((y_true - y_pred) ** 2).mean(axis=(1, 2))

    y, p = np.random.default_rng(0).random((2, 3, 4, 3))
    rows, steps = np.array([1.0, 0.0, 2.0]), np.random.default_rng(1).random((3, 4))
    error = (y - p) ** 2
    for weights, spread in ((rows, rows[:, None, None]), (steps, steps[..., None])):
        loss = losses.LossFunctionWrapper(each)(y, p, sample_weight=weights)
        assert loss == pytest.approx((error * spread).mean())
    loss = losses.LossFunctionWrapper(whole)
    assert loss(y, p, sample_weight=rows) == pytest.approx((error.mean((1, 2)) * rows).mean())
    assert loss.reduce(whole(y, p), rows[:, None]) == loss(y, p, sample_weight=rows)
    with pytest.raises(
        ValueError, match=r"loss: expected values that fit weights .* \(3, 4\), got shape \(3,\)"
    ):
        loss.reduce(whole(y, p), steps)


LOSSES = [
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(reduction="sum"),
    losses.BinaryCrossentropy(label_smoothing=0.2),
    losses.BinaryCrossentropy(from_logits=True),
    losses.CategoricalCrossentropy(label_smoothing=0.2, reduction="mean"),
    losses.CategoricalCrossentropy(from_logits=True),
    losses.SparseCategoricalCrossentropy(),
    losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
    losses.MeanSquaredError(reduction="mean_with_sample_weight"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.name}-{loss.reduction}")
@pytest.mark.parametrize("weighted", [None, "rows", "steps"])
def test_the_loss_of_a_batch_is_its_reduced_values(loss, weighted):
    random = np.random.default_rng(0)
    outputs, targets = random.uniform(0.1, 0.9, (2, 4, 3, 5)).astype(np.float32)
    if "sparse" in loss.name:
        targets = random.integers(0, 5, (4, 3))
    shape = {None: None, "rows": (4, 1), "steps": (4, 3)}[weighted]
    weights = None if shape is None else random.uniform(size=shape).astype(np.float32)

    def gradient(compute):
        with GradientTape() as tape:
            handle = tape.watch(outputs)
            value = compute(handle)
        return value.numpy(), tape.gradient(value, handle)

    found = gradient(lambda handle: loss.batch_loss(targets, handle, weights))
    expected = gradient(lambda handle: loss.reduce(loss.call_checked(targets, handle), weights))
    assert found[0].dtype == np.float32
    assert found[0].shape == ()
    # The same kernels and the same sum; the weights may come before or after the division.
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(found[0], expected[0], rtol=2 * eps)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=8 * eps * np.abs(expected[1]).max())
    assert loss.batch_loss(targets, outputs, weights) == found[0]


def test_the_loss_of_a_batch_is_one_operation_unless_a_subclass_computes_otherwise():
    class Doubled(losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return 2 * super().call(y_true, y_pred)

    class Halved(losses.MeanSquaredError):
        def reduce(self, values, sample_weight=None):
            return super().reduce(values, sample_weight) * 0.5

    y, p = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)

    def records(loss):
        with GradientTape() as tape:
            value = loss.batch_loss(y, tape.watch(p))
            count = sum(entry is not None for entry in tape._records)
        return float(value), count

    assert records(losses.MeanSquaredError()) == (1.0, 1)
    assert records(Halved())[0] == 0.5
    # What a subclass wrote is not what the primitive of its function computes.
    assert Doubled()._kernel is None


@pytest.mark.parametrize("dtype", ["int8", "int32", ">i8"])
def test_batch_loss_takes_integers_of_any_width(dtype):
    outputs = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)
    loss = losses.SparseCategoricalCrossentropy()
    expected = float(loss(np.array([1, 0]), outputs))
    assert float(loss.batch_loss(np.array([1, 0], dtype), outputs)) == pytest.approx(expected, rel=1e-6)
    # Whole numbers as targets of a regression are no class numbers.
    found = losses.MeanSquaredError().batch_loss(
        np.array([1, 0], dtype), np.array([[3.0], [1.0]], np.float32)
    )
    assert float(found) == pytest.approx(2.5)
