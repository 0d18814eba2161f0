"""Activations and their gradients over whole arrays, against the float64 reference."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits
from tests.reference.activations import ACTIVATIONS

from timeloom import _core

SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 1000)

FROM_INPUT = _core.activations()
# Everything is relatively accurate to 4 eps, but tanh_shrink is a difference, accurate to the digits of x,
# and the exponent of gelu_tanh, up to 17 here, carries 1.5 units of its own error to the result.
RELATIVE = {"gelu_tanh": 4 + 1.5 * 17}
ABSOLUTE = {"tanh_shrink": 5}

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
    want = ACTIVATIONS[name][0](x.astype(np.longdouble))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, want, rtol=RELATIVE.get(name, 4) * eps, atol=ABSOLUTE.get(name, 0) * eps)


@each_isa
@each_dtype
@each_name
@pytest.mark.parametrize("size", SIZES)
def test_gradient_matches_the_reference(name, dtype, isa, size):
    x, d_output = numbers(size, dtype, size), numbers(size, dtype, size + 1)
    value = x if FROM_INPUT[name] else _core.activation(name, x, _isa=isa)
    d_x = _core.activation_gradient(name, value, d_output, _isa=isa)
    assert d_x.dtype == dtype
    want = ACTIVATIONS[name][1](x.astype(np.longdouble)) * d_output
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


SELU = 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772
SPECIAL = {  # name: results at 0, infinity, -infinity, and derivatives there
    "linear": (0, np.inf, -np.inf, 1, 1, 1),
    "tanh": (0, 1, -1, 1, 0, 0),
    "sigmoid": (0.5, 1, 0, 0.25, 0, 0),
    "hard_sigmoid": (0.5, 1, 0, 1 / 6, 0, 0),
    "relu": (0, np.inf, 0, 0, 1, 0),
    "relu6": (0, 6, 0, 0, 0, 0),
    "leaky_relu": (0, np.inf, -np.inf, 0.2, 1, 0.2),
    "elu": (0, np.inf, -1, 1, 1, 0),
    "selu": (0, np.inf, -SELU[1], SELU[1], SELU[0], 0),
    "softplus": (np.log(2), np.inf, 0, 0.5, 1, 0),
    "softsign": (0, 1, -1, 1, 0, 0),
    "exponential": (1, np.inf, 0, 1, np.inf, 0),
    "hard_tanh": (0, 1, -1, 1, 0, 0),
    "log_sigmoid": (-np.log(2), 0, -np.inf, 0.5, 0, 1),
    "soft_shrink": (0, np.inf, -np.inf, 0, 1, 1),
    "hard_shrink": (0, np.inf, -np.inf, 0, 1, 1),
    "squareplus": (1, np.inf, 0, 0.5, 1, 0),
    "sparse_plus": (0.25, np.inf, 0, 0.5, 1, 0),
    "sparse_sigmoid": (0.5, 1, 0, 0.5, 0, 0),
    "gelu": (0, np.inf, 0, 0.5, 1, 0),
    "gelu_tanh": (0, np.inf, 0, 0.5, 1, 0),
    "silu": (0, np.inf, 0, 0.5, 1, 0),
    "hard_silu": (0, np.inf, 0, 0.5, 1, 0),
    "mish": (0, np.inf, 0, 0.6, 1, 0),
    "tanh_shrink": (0, np.inf, -np.inf, 0, 1, 1),
}


@each_isa
@each_dtype
@each_name
@pytest.mark.parametrize("far", [np.inf, None, 1000.0], ids=["infinity", "largest", "1000"])
def test_far_out_the_limits_are_exact_and_nan_stays(name, dtype, isa, far):
    far = np.finfo(dtype).max if far is None else far
    x = np.array([0, far, -far, np.nan, -np.nan], dtype)
    y = _core.activation(name, x, _isa=isa)
    want = np.array(SPECIAL[name], dtype)
    if far == np.inf:
        np.testing.assert_allclose(y[:3], want[:3], rtol=2 * np.finfo(dtype).eps)
    assert not np.isnan(y[:3]).any()
    assert np.isnan(y[3:]).all()
    d_x = _core.activation_gradient(name, x if FROM_INPUT[name] else y, np.ones_like(y), _isa=isa)
    if far == np.inf or name not in ("softsign", "squareplus"):  # their derivatives fall as powers only
        np.testing.assert_allclose(d_x[:3], want[3:], rtol=2 * np.finfo(dtype).eps)
    assert not np.isnan(d_x[:3]).any()
    assert name == "linear" or np.isnan(d_x[3:]).all()


@each_isa
@each_dtype
@each_name
def test_gradient_of_nan_is_nan(name, dtype, isa):
    upstream = _core.activation_gradient(name, np.full(3, 0.5, dtype), np.full(3, np.nan, dtype), _isa=isa)
    assert np.isnan(upstream).all()


KINKS = {  # name: input and derivative there, as Keras has it on PyTorch
    "relu": {0: 0},
    "relu6": {0: 0, 6: 0},
    "leaky_relu": {0: 0.2},
    "selu": {0: SELU[1]},
    "hard_sigmoid": {-3: 0, 3: 0},
    "hard_tanh": {-1: 0, 1: 0},
    "hard_silu": {-3: 0, 3: 1},
    "soft_shrink": {-0.5: 0, 0.5: 0},
    "hard_shrink": {-0.5: 0, 0.5: 0},
    "sparse_sigmoid": {-1: 0, 1: 0},
}


@each_isa
@each_dtype
@pytest.mark.parametrize("name", KINKS)
def test_gradient_at_a_kink(name, dtype, isa):
    x = np.array([*KINKS[name]], dtype)
    value = x if FROM_INPUT[name] else _core.activation(name, x, _isa=isa)
    d_x = _core.activation_gradient(name, value, np.ones_like(x), _isa=isa)
    assert d_x.tolist() == np.array([*KINKS[name].values()], dtype).tolist()


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
