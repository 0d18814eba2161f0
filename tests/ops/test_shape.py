import numpy as np
from tests.autograd.differences import check_gradients

from timeloom import Variable, ops

X = np.random.default_rng(0).normal(size=(2, 3, 4))


def test_values_and_derivatives():
    np.testing.assert_array_equal(ops.reshape(X, (6, -1)), X.reshape(6, 4))
    np.testing.assert_array_equal(ops.transpose(X, (1, 0, 2)), X.transpose(1, 0, 2))
    np.testing.assert_array_equal(ops.concatenate([X, X], axis=-1), np.concatenate([X, X], -1))
    np.testing.assert_array_equal(ops.stack([X, X], axis=1), np.stack([X, X], 1))
    check_gradients(lambda x: ops.reshape(x, (6, -1)), X)
    check_gradients(lambda x: ops.transpose(x), X)
    check_gradients(lambda x: ops.transpose(x, (1, 0, 2)), X)
    check_gradients(lambda x, y: ops.concatenate([x, y], axis=1), X, X[:, :1])
    check_gradients(lambda x, y: ops.stack([x, y], axis=-1), X, X)


def test_variables_without_a_tape_give_plain_arrays():
    w = Variable(X)
    for result in (ops.reshape(w, -1), ops.transpose(w), ops.concatenate([w, X]), ops.stack([w])):
        assert type(result) is np.ndarray
