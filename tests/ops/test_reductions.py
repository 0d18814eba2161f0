import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import ops

X = np.random.default_rng(0).normal(size=(3, 4, 5))
AXES = [None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (2, 0), (0, 1, 2), (1,)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_values_and_derivatives(name, axis, keepdims):
    op, numpy_op = getattr(ops, name), getattr(np, name)
    result = op(X, axis=axis, keepdims=keepdims)
    expected = numpy_op(X, axis=axis, keepdims=keepdims)
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    check_gradients(lambda x: op(x, axis=axis, keepdims=keepdims), X)


def test_sums_are_accurate_in_float32():
    x = np.random.default_rng(1).uniform(0.5, 1.5, size=(100_000, 3)).astype(np.float32)
    np.testing.assert_allclose(ops.sum(x, axis=0), np.sum(x.astype(np.float64), axis=0), rtol=2e-6)


def test_empty_and_scalar():
    assert ops.sum(np.zeros((0, 3)), axis=0).tolist() == [0, 0, 0]
    assert ops.sum(np.zeros((3, 0)), axis=1).tolist() == [0, 0, 0]
    assert ops.sum(np.array(2.0)) == 2.0
    with pytest.warns(RuntimeWarning):
        assert np.isnan(ops.mean(np.zeros((0, 2)), axis=0)).all()


@pytest.mark.parametrize("op", [ops.sum, ops.mean, ops.max])
def test_bad_arguments(op):
    for axis in (3, -4, (0, 0), 1.5, (0, 3), True):
        with pytest.raises(ValueError, match="axis: expected"):
            op(X, axis=axis)
    for bad in (np.arange(3), [1.0], X.astype(np.float16)):
        with pytest.raises(TypeError, match="x: expected"):
            op(bad)


def test_a_row_alone_has_the_same_bits():
    x = np.random.default_rng(1).normal(size=(33, 77)).astype(np.float32)
    whole = ops.sum(x, axis=-1)
    for row in (0, 7, 32):
        assert ops.sum(x[row : row + 1], axis=-1).tobytes() == whole[row : row + 1].tobytes()
