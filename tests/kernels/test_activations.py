"""Activations and their gradients over whole arrays, against the float64 reference."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits
from tests.reference.activations import ACTIVATIONS

from timeloom import _core

SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 1000)

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_name = pytest.mark.parametrize("name", sorted(ACTIVATIONS))


def numbers(size, dtype, seed=0):
    """Enough on either side of every kink."""
    return np.random.default_rng(seed).uniform(-5, 5, size).astype(dtype)


@each_isa
@each_dtype
@each_name
@pytest.mark.parametrize("size", SIZES)
def test_activation_matches_the_reference(name, dtype, isa, size):
    x = numbers(size, dtype, size)
    y = _core.activation(name, x, _isa=isa)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, ACTIVATIONS[name][0](x.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)


@each_isa
@each_dtype
@each_name
@pytest.mark.parametrize("size", SIZES)
def test_gradient_matches_the_reference(name, dtype, isa, size):
    x, d_output = numbers(size, dtype, size), numbers(size, dtype, size + 1)
    d_x = _core.activation_gradient(name, _core.activation(name, x, _isa=isa), d_output, _isa=isa)
    assert d_x.dtype == dtype
    want = ACTIVATIONS[name][1](x.astype(np.float64)) * d_output
    # The output, rounded to dtype, is all that the gradient sees: an error of half a unit at 1.
    np.testing.assert_allclose(d_x, want, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps * 5)


@each_dtype
@each_name
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (4, 1, 5), (0, 3), (2, 0)])
def test_any_shape_is_kept(name, dtype, shape):
    x = numbers(shape, dtype)
    assert _core.activation(name, x).shape == shape
    assert _core.activation_gradient(name, x, x).shape == shape


@each_isa
@each_dtype
@each_name
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(name, dtype, isa, threads):
    x, d_output = numbers(1003, dtype), numbers(1003, dtype, 1)
    y = _core.activation(name, x, _isa=isa, _threads=threads)
    assert_last_ran_on(threads)
    assert same_bits(y, _core.activation(name, x, _isa=isa, _threads=1))
    d_x = _core.activation_gradient(name, y, d_output, _isa=isa, _threads=threads)
    assert same_bits(d_x, _core.activation_gradient(name, y, d_output, _isa=isa, _threads=1))


@pytest.mark.parametrize("function", [_core.exp, _core.log])
def test_threads_change_no_bit_of_exp_and_log(function):
    x = np.random.default_rng(0).uniform(0.1, 9, 1003)
    assert same_bits(function(x, _threads=8), function(x, _threads=1))


SPECIAL = {  # name: results at 0, infinity, -infinity
    "linear": (0, np.inf, -np.inf),
    "tanh": (0, 1, -1),
    "sigmoid": (0.5, 1, 0),
    "hard_sigmoid": (0.5, 1, 0),
    "relu": (0, np.inf, 0),
}


@each_isa
@each_dtype
@each_name
def test_infinity_and_nan_propagate(name, dtype, isa):
    x = np.array([0, np.inf, -np.inf, np.nan, -np.nan], dtype)
    y = _core.activation(name, x, _isa=isa)
    assert np.array_equal(y[:3], np.array(SPECIAL[name], dtype))
    assert np.isnan(y[3:]).all()
    d_x = _core.activation_gradient(name, y, np.ones_like(y), _isa=isa)
    assert np.isfinite(d_x[:3]).all()
    assert name == "linear" or np.isnan(d_x[3:]).all()
    upstream = _core.activation_gradient(name, np.full(3, 0.5, dtype), np.full(3, np.nan, dtype), _isa=isa)
    assert np.isnan(upstream).all()


@each_isa
@each_dtype
def test_gradient_at_a_kink_is_zero(dtype, isa):
    """As Keras: relu at 0 and hard_sigmoid where it meets 0 and 1 pass nothing."""
    one = np.ones(1, dtype)
    assert _core.activation_gradient("relu", 0 * one, one, _isa=isa) == 0
    assert _core.activation_gradient("hard_sigmoid", 0 * one, one, _isa=isa) == 0
    assert _core.activation_gradient("hard_sigmoid", one, one, _isa=isa) == 0


X = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: _core.activation("tanhh", X),
            ValueError,
            "name: expected one of linear, tanh, .*, got 'tanhh'",
        ),
        (lambda: _core.activation("tanh", [1.0]), TypeError, "x: expected a NumPy array, got list"),
        (lambda: _core.activation("tanh", None), TypeError, "x: expected a NumPy array, got NoneType"),
        (
            lambda: _core.activation("tanh", X.astype(np.float16)),
            TypeError,
            "x: expected dtype float32 or float64, got float16",
        ),
        (lambda: _core.exp(np.zeros(3, np.int64)), TypeError, "x: expected dtype .*, got int64"),
        (lambda: _core.exp(np.zeros(3, complex)), TypeError, "x: expected dtype .*, got complex128"),
        (lambda: _core.exp(np.zeros(3, object)), TypeError, "x: expected dtype .*, got object"),
        (lambda: _core.exp(np.array(["a"])), TypeError, "x: expected dtype .*, got <U1"),
        (lambda: _core.exp(X.astype(">f4")), TypeError, "x: expected dtype .*, got >f4"),
        (lambda: _core.log(X.T), ValueError, r"x: expected a C-contiguous array, got strides \(4, 16\)"),
        (lambda: _core.log(X[:, ::-1]), ValueError, "x: expected a C-contiguous array, got strides"),
        (lambda: _core.log(X[:, :2]), ValueError, "x: expected a C-contiguous array, got strides"),
        (
            lambda: _core.activation_gradient("tanh", X, X[:2].copy()),
            ValueError,
            r"d_output: expected shape \(3, 4\), got \(2, 4\)",
        ),
        (
            lambda: _core.activation_gradient("tanh", X, X.astype(np.float64)),
            TypeError,
            "d_output: expected dtype float32, got float64",
        ),
        (lambda: _core.exp(X, _threads=-1), ValueError, "_threads: expected 0 .*, got -1"),
        (lambda: _core.exp(X, _isa="sse9"), ValueError, "_isa: expected .*, got 'sse9'"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_unaligned_memory_is_refused():
    memory = np.zeros(41, np.uint8)
    unaligned = memory[1:].view(np.float32)
    if unaligned.flags.aligned:
        unaligned = memory[2:38].view(np.float32)
    assert not unaligned.flags.aligned
    with pytest.raises(ValueError, match="x: expected an aligned array, got unaligned memory"):
        _core.exp(unaligned)


def test_operands_stay_as_they_are():
    x = numbers(100, np.float32)
    before = x.copy()
    x.flags.writeable = False
    _core.activation_gradient("tanh", x, x)
    _core.softmax(x)
    assert same_bits(x, before)
