"""Softmax and its logarithm over the last axis, forward and backward, against the float64 reference."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits
from tests.reference import softmax as reference

from timeloom import _core

FUNCTIONS = ("softmax", "log_softmax")

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_function = pytest.mark.parametrize("function", FUNCTIONS)
each_width = pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 15, 16, 17, 33, 1000])


def logits(shape, dtype, seed=0):
    return (4 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


@each_isa
@each_dtype
@each_function
@each_width
def test_forward_matches_the_reference(function, dtype, isa, width):
    x = logits((5, width), dtype, width)
    y = getattr(_core, function)(x, _isa=isa)
    want = getattr(reference, function)(x.astype(np.float64))
    assert y.dtype == dtype
    # x - max rounds at the size of the range of x, which exp turns into a relative error; and every addition
    # to the sum of a row rounds (scalar: one chain).
    error = (20 + width / 20) * np.finfo(dtype).eps
    np.testing.assert_allclose(y, want, rtol=error, atol=(0 if function == "softmax" else error))


@each_isa
@each_dtype
@each_function
@each_width
def test_gradient_matches_the_reference(function, dtype, isa, width):
    x, d_output = logits((5, width), dtype, width), logits((5, width), dtype, width + 1)
    y = getattr(_core, function)(x, _isa=isa)
    d_x = getattr(_core, f"{function}_gradient")(y, d_output, _isa=isa)
    want = getattr(reference, f"{function}_gradient")(x.astype(np.float64), d_output.astype(np.float64))
    assert d_x.dtype == dtype
    scale = np.abs(d_output).max() * (1 if function == "softmax" else np.sqrt(width))
    np.testing.assert_allclose(d_x, want, rtol=0, atol=40 * np.finfo(dtype).eps * scale)


@each_isa
@each_dtype
@each_function
def test_large_logits_do_not_overflow(function, dtype, isa):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4]], dtype)
    y = getattr(_core, function)(x, _isa=isa)
    np.testing.assert_allclose(y, getattr(reference, function)(x.astype(np.float64)), rtol=1e-6)


@each_isa
@each_dtype
@pytest.mark.parametrize("width", [3, 20])
def test_infinity_and_nan_do_as_in_numpy(dtype, isa, width):
    x = np.zeros((5, width), dtype)
    x[1, 0] = -np.inf  # probability 0
    x[2, -1] = np.inf  # no distribution
    x[3] = -np.inf  # no distribution
    x[4, width // 2] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        for function in FUNCTIONS:
            want = getattr(reference, function)(x.astype(np.float64))
            y = getattr(_core, function)(x, _isa=isa)
            np.testing.assert_allclose(y, want, rtol=1e-6)
    assert _core.softmax(x, _isa=isa)[1, 0] == 0
    assert _core.log_softmax(x, _isa=isa)[1, 0] == -np.inf


@each_isa
@each_dtype
def test_nan_in_a_gradient_stays_in_its_row(dtype, isa):
    y = _core.softmax(logits((3, 10), dtype), _isa=isa)
    d_output = np.ones((3, 10), dtype)
    d_output[1, 4] = np.nan
    for function in FUNCTIONS:
        d_x = getattr(_core, f"{function}_gradient")(y, d_output, _isa=isa)
        assert np.isnan(d_x[1]).all()
        assert np.isfinite(d_x[[0, 2]]).all()


@each_isa
@each_dtype
@each_function
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_and_other_rows_change_no_bit(function, dtype, isa, threads):
    x, d_output = logits((37, 19), dtype), logits((37, 19), dtype, 1)
    forward, backward = getattr(_core, function), getattr(_core, f"{function}_gradient")
    y = forward(x, _isa=isa, _threads=1)
    d_x = backward(y, d_output, _isa=isa, _threads=1)
    assert same_bits(forward(x, _isa=isa, _threads=threads), y)
    assert_last_ran_on(threads)
    assert same_bits(backward(y, d_output, _isa=isa, _threads=threads), d_x)
    assert same_bits(forward(x[11:12], _isa=isa), y[11:12])
    assert same_bits(backward(y[11:12], d_output[11:12], _isa=isa), d_x[11:12])


@each_function
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 4), (3, 0), (0, 0)])
def test_any_shape_with_a_last_axis_is_kept(function, shape):
    x = logits(shape, np.float32)
    y = getattr(_core, function)(x)
    assert y.shape == shape
    assert getattr(_core, f"{function}_gradient")(y, x).shape == shape


@each_function
def test_bad_input_is_refused(function):
    forward, backward = getattr(_core, function), getattr(_core, f"{function}_gradient")
    x = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"x: expected an array with at least one axis, got shape \(\)"):
        forward(np.zeros((), np.float32))
    with pytest.raises(TypeError, match="x: expected dtype float32 or float64, got int64"):
        forward(np.zeros((3, 4), np.int64))
    with pytest.raises(ValueError, match="x: expected a C-contiguous array, got strides"):
        forward(x.T)
    with pytest.raises(ValueError, match=r"d_output: expected shape \(3, 4\), got \(4, 3\)"):
        backward(x, np.zeros((4, 3), np.float32))
    with pytest.raises(TypeError, match="d_output: expected dtype float32, got float64"):
        backward(x, x.astype(np.float64))
