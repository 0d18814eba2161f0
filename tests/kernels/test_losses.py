"""The losses of the kernels, values and gradients, against the float64 reference."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, FLOAT32_FACTOR, ISAS, assert_last_ran_on, same_bits
from tests.reference import losses as reference

from timeloom import _core

REFERENCE = {
    "squared": "mean_squared_error",
    "absolute": "mean_absolute_error",
    "binary": "binary_crossentropy",
    "binary_logits": "binary_crossentropy_from_logits",
    "categorical": "categorical_crossentropy",
    "categorical_logits": "categorical_crossentropy_from_logits",
}
CATEGORICAL = ("categorical", "categorical_logits")

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_loss = pytest.mark.parametrize("name", REFERENCE)
each_width = pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 15, 16, 17, 33, 300])


def problem(name, rows, width, dtype):
    """Outputs, targets and gradients of the values that are exact in float32."""
    random = np.random.default_rng(width)
    outputs = random.normal(size=(rows, width)) * 3
    if name in ("binary", "categorical"):
        outputs = random.uniform(0.02, 0.98, (rows, width))
    targets, d_values = random.uniform(0.02, 0.98, (rows, width)), random.normal(size=rows)
    return [array.astype(np.float32).astype(dtype) for array in (outputs, targets, d_values)]


def answers(name, outputs, targets, d_values):
    value, gradient = (getattr(reference, REFERENCE[name] + end) for end in ("", "_gradient"))
    return value(targets, outputs), gradient(targets, outputs, d_values)


def assert_close(found, name, outputs, targets, d_values):
    """By the rule of the recurrent kernels: float64 to 1e-11, float32 to 8 times the reference in float32."""
    exact = answers(name, *(np.asarray(a, np.float64) for a in (outputs, targets, d_values)))
    rounded = answers(name, outputs, targets, d_values)
    for got, want, other in zip(found, exact, rounded, strict=True):
        assert got.dtype == outputs.dtype
        assert got.shape == want.shape
        largest = np.abs(want).max()
        allowed = 1e-11 * largest
        if outputs.dtype == np.float32:
            eps = np.finfo(np.float32).eps
            allowed = FLOAT32_FACTOR * (np.abs(other - want).max() + eps * largest)
        assert np.abs(got - want).max() <= allowed


@each_isa
@each_dtype
@each_loss
@each_width
def test_values_and_gradients_match_the_reference(name, width, dtype, isa):
    outputs, targets, d_values = problem(name, 5, width, dtype)
    found = (
        _core.loss_values(name, outputs, targets, _isa=isa),
        _core.loss_gradient(name, outputs, targets, d_values, _isa=isa),
    )
    assert_close(found, name, outputs, targets, d_values)


@each_isa
@each_dtype
@pytest.mark.parametrize("name", CATEGORICAL)
@each_width
def test_labels_are_rows_of_the_identity(name, width, dtype, isa):
    outputs, _, d_values = problem(name, 5, width, dtype)
    labels = np.arange(5) % width
    targets = reference.one_hot(labels, width, dtype)
    found = (
        _core.loss_values(name, outputs, labels, _isa=isa),
        _core.loss_gradient(name, outputs, labels, d_values, _isa=isa),
    )
    if width == 1:  # a share of one class is 1, and clipped
        assert not found[1].any()
        assert np.abs(found[0]).max() < 2e-7
        return
    assert_close(found, name, outputs, targets, d_values)


@each_isa
@each_loss
def test_smoothed_targets(name, isa):
    outputs, targets, d_values = problem(name, 5, 17, np.float64)
    share = 2 if name.startswith("binary") else 17
    smooth = targets * 0.9 + 0.1 / share
    if name in ("squared", "absolute"):
        share, smooth = 17, targets * 0.9 + 0.1 / 17
    found = (
        _core.loss_values(name, outputs, targets, 0.1, _isa=isa),
        _core.loss_gradient(name, outputs, targets, d_values, 0.1, _isa=isa),
    )
    assert_close(found, name, outputs, smooth, d_values)


@each_isa
@each_loss
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_and_other_rows_change_no_bits(name, isa, threads):
    outputs, targets, d_values = problem(name, 300, 13, np.float32)
    for call, more in ((_core.loss_values, ()), (_core.loss_gradient, (d_values,))):
        one = call(name, outputs, targets, *more, _isa=isa, _threads=1)
        several = call(name, outputs, targets, *more, _isa=isa, _threads=threads)
        assert_last_ran_on(threads)
        assert same_bits(one, several)
        alone = call(name, outputs[7:8], targets[7:8], *(d[7:8] for d in more), _isa=isa)
        assert same_bits(alone[0], one[7])


@each_isa
@each_loss
@each_dtype
def test_the_sum_of_a_batch_is_that_of_its_values(name, isa, dtype):
    outputs, targets, _ = problem(name, 1100, 5, dtype)
    values = _core.loss_values(name, outputs, targets, _isa=isa)
    weights = np.random.default_rng(0).uniform(size=1100).astype(dtype)
    for factors in (None, weights):
        total = _core.loss_sum(name, outputs, targets, factors, 1100, _isa=isa)
        column = (values if factors is None else values * factors)[:, None]
        assert total.shape == ()
        assert total.dtype == dtype
        assert same_bits(total, _core.sum_rows(column, _isa=isa)[0] / dtype(1100))


def test_one_gradient_for_all_rows():
    outputs, labels = np.random.default_rng(0).normal(size=(2, 3, 4)), np.zeros((2, 3), int)
    for name in CATEGORICAL:
        same = _core.loss_gradient(name, np.exp(outputs), labels, np.full((2, 3), 0.25))
        assert same_bits(_core.loss_gradient(name, np.exp(outputs), labels, np.array(0.25)), same)


@each_isa
@pytest.mark.parametrize("name", CATEGORICAL)
def test_ignored_labels_cost_nothing(name, isa):
    outputs, labels = np.random.default_rng(0).uniform(size=(3, 9)), np.array([4, -7, 0])
    values = _core.loss_values(name, outputs, labels, ignored=-7, _isa=isa)
    assert values[1] == 0
    assert (values[[0, 2]] != 0).all()
    gradient = _core.loss_gradient(name, outputs, labels, np.ones(3), ignored=-7, _isa=isa)
    assert not gradient[1].any()
    assert gradient[[0, 2]].any(axis=-1).all()
    zero = _core.loss_values(name, outputs, np.array([4, 0, 0]), ignored=0, _isa=isa)
    assert zero.tolist() == [values[0], 0, 0]


@each_isa
def test_clipped_probabilities_have_a_value_but_no_gradient(isa):
    sure = np.array([[1.0, 0.0, 0.0]], np.float32)
    for label in (0, 1):
        value = _core.loss_values("categorical", sure, np.array([label]), _isa=isa)
        np.testing.assert_allclose(value, -np.log([1 - 1e-7, 1e-7][label]), rtol=1e-6, atol=2e-8)
        assert not _core.loss_gradient(
            "categorical", sure, np.array([label]), np.ones(1, "f4"), _isa=isa
        ).any()
    assert not _core.loss_gradient("binary", sure, sure, np.ones(1, "f4"), _isa=isa).any()


@each_isa
@each_loss
def test_nan_passes(name, isa):
    outputs, targets, d_values = problem(name, 2, 9, np.float32)
    outputs[1, 3] = np.nan
    assert np.isnan(_core.loss_values(name, outputs, targets, _isa=isa)).tolist() == [False, True]
    gradient = _core.loss_gradient(name, outputs, targets, d_values, _isa=isa)
    assert np.isnan(gradient[1, 3])
    assert not np.isnan(gradient[0]).any()


def test_large_logits_do_not_overflow():
    x, t = np.array([[1e4, -1e4]], np.float32), np.array([[1.0, 0.0]], np.float32)
    for name in ("binary_logits", "categorical_logits"):
        assert _core.loss_values(name, x, t)[0] == 0
        assert not _core.loss_gradient(name, x, t, np.ones(1, np.float32)).any()


def test_bad_arguments_are_refused():
    p, labels = np.ones((2, 3)), np.array([0, 1])
    with pytest.raises(ValueError, match=r"name: expected one of squared, .*, got 'cubed'"):
        _core.loss_values("cubed", p, p)
    with pytest.raises(ValueError, match=r"targets: expected shape \(2, 3\), got \(3, 2\)"):
        _core.loss_values("squared", p, p.reshape(3, 2))
    with pytest.raises(TypeError, match="targets: expected dtype float32 or float64, got int64"):
        _core.loss_values("squared", p, labels)
    with pytest.raises(TypeError, match="targets: expected dtype int64, got int32"):
        _core.loss_values("categorical", p, labels.astype(np.int32))
    for label in (3, -1):
        with pytest.raises(ValueError, match=rf"y_true: expected labels in \[0, 3\) .*, got {label}"):
            _core.loss_gradient("categorical", p, np.array([0, label]), np.ones(2))
    with pytest.raises(ValueError, match=r"targets: expected shape \(2,\), got \(3,\)"):
        _core.loss_values("categorical", p, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"d_values: expected shape \(2,\)"):
        _core.loss_gradient("squared", p, p, np.ones(3))
    with pytest.raises(ValueError, match=r"weights: expected shape \(2,\)"):
        _core.loss_sum("squared", p, p, np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"smoothing: expected a number in \[0, 1\]"):
        _core.loss_values("binary", p, p, 2.0)
    with pytest.raises(ValueError, match="outputs: expected an array with at least one axis"):
        _core.loss_values("squared", np.array(1.0), np.array(1.0))
