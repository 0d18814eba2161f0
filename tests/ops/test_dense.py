import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable, ops

RANDOM = np.random.default_rng(2)  # no sum is within a difference step of relu's kink
X, KERNEL, BIAS = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(3, 5)), RANDOM.normal(size=5)
ACTIVATIONS = [None, "linear", "relu", "sigmoid", "tanh", "hard_sigmoid", "softmax", "log_softmax"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_values_and_derivatives(activation):
    plain = X @ KERNEL + BIAS
    expected = plain if activation is None else getattr(ops, activation)(plain)
    np.testing.assert_allclose(ops.dense(X, KERNEL, BIAS, activation), expected, rtol=1e-12, atol=1e-13)
    check_gradients(lambda x, w, b: ops.dense(x, w, b, activation), X, KERNEL, BIAS)
    check_gradients(lambda x, w: ops.dense(x, w, activation=activation), X, KERNEL)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3), (2, 1, 2, 3), (0, 3), (2, 0, 3)])
def test_contracts_the_last_axis(shape):
    x = RANDOM.normal(size=shape)
    assert ops.dense(x, KERNEL, BIAS).shape == (*shape[:-1], 5)
    check_gradients(lambda x, w, b: ops.dense(x, w, b, "tanh"), x, KERNEL, BIAS)


def test_layouts():
    expected = ops.dense(X, KERNEL, BIAS)
    np.testing.assert_array_equal(ops.dense(np.asfortranarray(X), KERNEL[:, ::-1][:, ::-1], BIAS), expected)
    np.testing.assert_array_equal(ops.dense(X[::-1], KERNEL, BIAS), expected[::-1])
    wide = RANDOM.normal(size=(4, 6))
    check_gradients(lambda x, w: ops.dense(x[:, ::-2], w.T), wide, KERNEL.T)


def test_plain_operands_are_copied_when_recorded():
    x, kernel = X.copy(), KERNEL.copy()
    w = Variable(KERNEL)
    with GradientTape(persistent=True) as tape:
        h = tape.watch(X)
        y, z = ops.dense(x, w), ops.dense(h, kernel)
    x[:], kernel[:] = 0, 0
    np.testing.assert_allclose(tape.gradient(y, w), X.T @ np.ones((4, 5)))
    np.testing.assert_allclose(tape.gradient(z, h), np.ones((4, 5)) @ KERNEL.T)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((X, KERNEL.T, BIAS), ValueError, r"kernel: expected shape \(3, any\), got \(5, 3\)"),
        ((X, KERNEL, BIAS[:4]), ValueError, r"bias: expected shape \(5\), got \(4,\)"),
        ((X, KERNEL[0], BIAS), ValueError, "kernel: expected shape"),
        (
            (X.astype(np.float32), KERNEL, BIAS),
            TypeError,
            "kernel: expected dtype float32 as inputs has, got float64",
        ),
        ((X, KERNEL, BIAS.astype(np.float32)), TypeError, "bias: expected dtype float64"),
        ((X.astype(int), KERNEL, BIAS), TypeError, "inputs: expected dtype float32 or float64, got int64"),
        ((X.tolist(), KERNEL, BIAS), TypeError, "inputs: expected an array of float32 or float64, got list"),
        ((X * 1j, KERNEL, BIAS), TypeError, "inputs"),
        ((np.array(1.0), KERNEL, BIAS), ValueError, "inputs: expected at least one axis"),
        ((X, KERNEL, BIAS, "nonsense"), ValueError, "activation: expected one of linear"),
        ((X, KERNEL, BIAS, ["relu"]), ValueError, "activation: expected one of linear"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        ops.dense(*arguments)


def test_matmul_wants_one_dtype():
    np.testing.assert_allclose(ops.matmul(X, KERNEL), X @ KERNEL)
    check_gradients(ops.matmul, X, KERNEL)
    with pytest.raises(TypeError, match="x2: expected dtype float64 as x1 has"):
        ops.matmul(X, KERNEL.astype(np.float32))
    with pytest.raises(TypeError, match="x1: expected dtype"):
        ops.matmul(X.astype(int), KERNEL)
    with pytest.raises(ValueError, match="expected 3 rows"):
        ops.matmul(X, X)


def test_a_row_alone_has_the_same_bits():
    x = RANDOM.normal(size=(37, 19)).astype(np.float32)
    kernel, bias = RANDOM.normal(size=(19, 23)).astype(np.float32), RANDOM.normal(size=23).astype(np.float32)
    whole = ops.dense(x, kernel, bias, "tanh")
    for row in (0, 5, 36):
        assert ops.dense(x[row : row + 1], kernel, bias, "tanh").tobytes() == whole[row].tobytes()
