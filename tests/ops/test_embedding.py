import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable, ops

TABLE = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize("indices", [[[1, 2, 1], [5, 1, 0]], [4], 3, [[]], [[[0], [0]]]])
def test_values_and_derivatives(indices):
    indices = np.array(indices, dtype=np.int64)
    np.testing.assert_array_equal(ops.embedding(indices, TABLE), TABLE[indices])
    check_gradients(lambda table: ops.embedding(indices, table), TABLE)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int16])
def test_any_integers(dtype):
    assert ops.embedding(np.array([1, 2], dtype=dtype), TABLE).shape == (2, 3)
    assert ops.embedding([1, 2], TABLE.astype(np.float32)).dtype == np.float32


def test_indices_changed_later():
    indices = np.array([0, 1])
    w = Variable(TABLE)
    with GradientTape() as tape:
        y = ops.embedding(indices, w)
    indices[:] = 5
    gradient = tape.gradient(y, w)
    assert gradient.sum(axis=1).tolist() == [3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("index", [6, -1, 2**40])
def test_an_index_out_of_range(index):
    with pytest.raises(ValueError, match=rf"indices: expected integers in \[0, 6\), got {index}"):
        ops.embedding(np.array([0, index]), TABLE)


def test_bad_arguments():
    with pytest.raises(TypeError, match="indices: expected integers, got dtype float64"):
        ops.embedding(np.array([1.0]), TABLE)
    with pytest.raises(ValueError, match="indices: expected an array, got lists of unequal lengths"):
        ops.embedding([[1], [1, 2]], TABLE)
    with pytest.raises(ValueError, match="embeddings: expected 2 axes"):
        ops.embedding(np.array([1]), TABLE[0])
    with pytest.raises(TypeError, match="embeddings: expected dtype"):
        ops.embedding(np.array([1]), TABLE.astype(int))
