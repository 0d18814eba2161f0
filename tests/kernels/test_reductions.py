"""Sums and squared norms: values, special values and bits. The order of the sums is in test_gemm.py."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits

from timeloom import _core

SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 1000)

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@each_isa
@each_dtype
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("columns", [0, 1, 17, 40])
def test_sums_match_numpy_in_float64(dtype, isa, rows, columns):
    a = numbers((rows, columns), dtype, rows)
    tolerance = 4 * np.finfo(dtype).eps
    for got, axis in ((_core.sum_last(a, _isa=isa), -1), (_core.sum_rows(a, _isa=isa), 0)):
        assert got.dtype == dtype
        size = np.abs(a.astype(np.float64)).sum(axis)
        assert np.all(
            np.abs(got - a.astype(np.float64).sum(axis)) <= tolerance * np.sqrt(a.shape[axis] + 1) * size
        )


@each_isa
@each_dtype
def test_infinity_and_nan_stay_in_their_sum(dtype, isa):
    a = numbers((9, 5), dtype)
    a[2, 1], a[4, 3], a[7, 0], a[7, 2] = np.nan, np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        for got, axis in ((_core.sum_last(a, _isa=isa), -1), (_core.sum_rows(a, _isa=isa), 0)):
            want = a.astype(np.float64).sum(axis)
            np.testing.assert_allclose(got, want, rtol=1e-4)


@each_isa
@each_dtype
@pytest.mark.parametrize("size", [*SIZES, 4095, 4096, 4097, 20_000])
def test_squared_norms_match_float64(dtype, isa, size):
    arrays = [numbers(size, dtype, size), numbers((3, 5), dtype), numbers(0, dtype)]
    norms = _core.squared_norms(arrays, _isa=isa)
    assert norms.dtype == np.float64
    np.testing.assert_allclose(norms, [np.sum(a.astype(np.float64) ** 2) for a in arrays], rtol=1e-13)


def test_squared_norms_of_float32_do_not_overflow():
    assert _core.squared_norms([np.full(4, 1e30, np.float32)])[0] == pytest.approx(4e60, rel=1e-6)


@each_isa
@each_dtype
def test_squared_norms_keep_infinity_and_nan(dtype, isa):
    norms = _core.squared_norms([np.array([1, np.nan], dtype), np.array([-np.inf, 1], dtype)], _isa=isa)
    assert np.isnan(norms[0])
    assert norms[1] == np.inf


@each_isa
@each_dtype
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(dtype, isa, threads):
    arrays = [numbers(size, dtype, size) for size in (10_001, 1, 0, 4096, 50_000)]
    norms = _core.squared_norms(arrays, _isa=isa, _threads=threads)
    assert_last_ran_on(threads)
    assert same_bits(norms, _core.squared_norms(arrays, _isa=isa, _threads=1))
    a = numbers((1037, 203), dtype)
    for function in (_core.sum_last, _core.sum_rows):
        assert same_bits(function(a, _isa=isa, _threads=threads), function(a, _isa=isa, _threads=1))


def test_no_arrays_have_no_norms():
    assert _core.squared_norms([]).shape == (0,)


def test_bad_input_is_refused():
    a = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"a: expected an array with at least one axis, got shape \(\)"):
        _core.sum_last(np.zeros((), np.float32))
    with pytest.raises(ValueError, match=r"a: expected an array with 2 axes, got shape \(4,\)"):
        _core.sum_rows(a[0])
    with pytest.raises(TypeError, match="a: expected a NumPy array, got float"):
        _core.sum_rows(1.0)
    with pytest.raises(TypeError, match=r"gradients\[1\]: expected dtype float32, got float64"):
        _core.squared_norms([a, a.astype(np.float64)])
    with pytest.raises(ValueError, match=r"gradients\[0\]: expected a C-contiguous array, got strides"):
        _core.squared_norms([a.T])
