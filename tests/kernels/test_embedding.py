"""Rows of a table by number, and the sums of their gradients."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits

from timeloom import _core

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_width = pytest.mark.parametrize("width", [0, 1, 3, 7, 8, 9, 16, 17, 33])


@each_isa
@each_dtype
@each_width
def test_rows_are_copied_and_gradients_added_in_order(dtype, isa, width):
    random = np.random.default_rng(width)
    table = random.normal(size=(9, width)).astype(dtype)
    indices = random.integers(0, 9, (4, 11))
    assert same_bits(_core.embedding(table, indices, _isa=isa), table[indices])
    d_outputs = random.normal(size=(4, 11, width)).astype(dtype)
    want = np.zeros_like(table)
    for index, row in zip(indices.ravel(), d_outputs.reshape(44, width), strict=True):
        want[index] += row
    assert same_bits(_core.embedding_gradient(d_outputs, indices, 9, _isa=isa), want)


@each_isa
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(isa, threads):
    random = np.random.default_rng(1)
    d_outputs = random.normal(size=(500, 10)).astype(np.float32)
    indices = random.integers(0, 40, 500)
    one = _core.embedding_gradient(d_outputs, indices, 40, _isa=isa, _threads=1)
    several = _core.embedding_gradient(d_outputs, indices, 40, _isa=isa, _threads=threads)
    assert_last_ran_on(threads)
    assert same_bits(one, several)


def test_nothing_to_look_up():
    none = np.zeros((0, 3), np.int64)
    assert _core.embedding(np.ones((2, 4)), none).shape == (0, 3, 4)
    assert not _core.embedding_gradient(np.ones((0, 3, 4)), none, 2).any()


def test_bad_arguments_are_refused():
    table, indices = np.ones((3, 2)), np.array([0, 2])
    for index in (3, -1, 2**62):
        with pytest.raises(ValueError, match=rf"indices: expected integers in \[0, 3\), got {index}"):
            _core.embedding(table, np.array([0, index]))
        with pytest.raises(ValueError, match=rf"indices: expected integers in \[0, 3\), got {index}"):
            _core.embedding_gradient(np.ones((2, 2)), np.array([0, index]), 3)
    with pytest.raises(TypeError, match="indices: expected dtype int64, got int32"):
        _core.embedding(table, indices.astype(np.int32))
    with pytest.raises(ValueError, match="indices: expected a C-contiguous, aligned array"):
        _core.embedding(table, np.zeros((4, 2), np.int64)[:, 0])
    with pytest.raises(ValueError, match=r"d_outputs: expected shape \(2, 5\)"):
        _core.embedding_gradient(np.ones((3, 5)), indices, 3)
    with pytest.raises(ValueError, match="rows: expected a number of at least 0"):
        _core.embedding_gradient(np.ones((2, 2)), indices, -1)
