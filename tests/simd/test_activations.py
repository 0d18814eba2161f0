"""Every activation of the kernels over the whole range of a type, judged against extended precision.

Values in units of the last place; derivatives in eps, relative above 1 and absolute below, because most are
computed from a rounded output.
"""

from functools import cache

import numpy as np
import pytest
from tests.reference.activations import ACTIVATIONS, gelu_tanh_argument
from tests.simd.test_math import DTYPES, ISAS, Extended, edges, samples, units_in_the_last_place

from timeloom import _core

# The largest error of a value in units of the last place, measured over these samples and rounded up.
MAX_ULP = {
    "linear": 0,
    "tanh": 2.25,
    "sigmoid": 2.5,
    "hard_sigmoid": 1.5,
    "relu": 0,
    "relu6": 0,
    "leaky_relu": 1,
    "elu": 1.25,
    "selu": 2.25,
    "softplus": 2.1,
    "softsign": 1.5,
    "exponential": 1.1,
    "hard_tanh": 0,
    "log_sigmoid": 2.1,
    "soft_shrink": 0.5,
    "hard_shrink": 0,
    "squareplus": 2.9,
    "sparse_plus": 2,
    "sparse_sigmoid": 0.5,
    "gelu": 12,  # 7 with fma; without, two rounded polynomials of degree 10
    "gelu_tanh": 3,
    "silu": 3,
    "hard_silu": 2.5,
    "mish": 4,
    "tanh_shrink": 0.5,
}
# The largest error of a derivative in eps.
MAX_EPS = 2
FROM_INPUT = _core.activations()

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_name = pytest.mark.parametrize("name", ACTIVATIONS)


@cache
def arguments(dtype):
    """A part of the samples of exp and tanh, and the neighbours of every kink."""
    near = [kink + step * 2.0**-21 for kink in (0.5, 1, 3, 6, 20, 25) for step in range(-4, 5)]
    near = np.array([value for place in near for value in (place, -place)], dtype)
    x = np.concatenate([samples(dtype)[::8], edges(dtype), near])
    x = x[np.isfinite(x) & ((np.abs(x) >= np.finfo(dtype).smallest_normal) | (x == 0))]
    x.flags.writeable = False
    return x


@cache
def expected(name, dtype, order):
    with np.errstate(all="ignore"):
        return ACTIVATIONS[name][order](arguments(dtype).astype(Extended))


def conditioned_error(name, x, dtype, unit):
    """What a value may err beyond its units because of a rounded exponent or a last subtraction."""
    if name == "gelu_tanh":  # the exponent u carries 2.5 units of its own error to a result like e^u
        return np.where(x < 0, 2.5 * np.abs(gelu_tanh_argument(x)), 0) * unit
    if name == "tanh_shrink":  # x - tanh(x)
        return MAX_ULP["tanh"] * units_in_the_last_place(np.tanh(x), dtype)
    return 0


@each_isa
@each_dtype
@each_name
def test_values_over_the_whole_range(name, dtype, isa):
    x, want = arguments(dtype), expected(name, dtype, 0)
    got = _core.activation(name, x, _isa=isa)
    assert got.dtype == dtype
    assert not np.isnan(got).any()
    info = np.finfo(dtype)
    finite = np.abs(want) <= info.max
    assert np.isinf(got[np.abs(want) > Extended(info.max) * (1 + info.eps)]).all()
    got, want, x = got[finite].astype(Extended), want[finite], x[finite].astype(Extended)
    unit = units_in_the_last_place(want, dtype)
    allowed = MAX_ULP[name] * unit + conditioned_error(name, x, dtype, unit)
    # x e^x is zero already where e^x would be denormal.
    lost = 1024 * Extended(info.smallest_normal)
    allowed = np.where(np.abs(want) < lost, np.maximum(lost, allowed), allowed)
    error = np.abs(got - want)
    worst = int(np.argmax(error / np.maximum(allowed, np.ldexp(unit, -10))))
    assert error[worst] <= allowed[worst], f"{error[worst] / unit[worst]:.3f} ULP at {x[worst]!r}"


@each_isa
@each_dtype
@each_name
def test_derivatives_over_the_whole_range(name, dtype, isa):
    x, want = arguments(dtype), expected(name, dtype, 1)
    y = _core.activation(name, x, _isa=isa)
    got = _core.activation_gradient(name, x if FROM_INPUT[name] else y, np.ones_like(x), _isa=isa)
    assert got.dtype == dtype
    assert not np.isnan(got).any()
    info = np.finfo(dtype)
    compared = np.abs(want) <= info.max
    if name in ("hard_sigmoid", "sparse_sigmoid"):
        # Just inside a kink the output is rounded to that of the kink, and so is the derivative.
        kink = {"hard_sigmoid": 3, "sparse_sigmoid": 1}[name]
        compared &= np.abs(np.abs(x.astype(Extended)) - kink) > 4 * info.eps
    error = np.abs(got[compared] - want[compared]) / np.maximum(1, np.abs(want[compared])) / info.eps
    worst = int(np.argmax(error))
    assert error[worst] <= MAX_EPS, f"{error[worst]:.3f} eps at {x[compared][worst]!r}"


@each_isa
@each_dtype
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "softplus", "exponential", "sigmoid"])
def test_tails_keep_their_relative_precision(name, dtype, isa):
    """Far below zero the values have all their digits, where 1 + erf, 1 + tanh or log(1 + e^x) have none."""
    far = {"gelu": 12, "gelu_tanh": 9}.get(name, 80)
    x = np.linspace(-far, -4, 1000).astype(dtype)
    want = ACTIVATIONS[name][0](x.astype(Extended))
    error = np.abs(_core.activation(name, x, _isa=isa) - want) / np.abs(want) / np.finfo(dtype).eps
    assert np.max(error) <= (200 if name == "gelu_tanh" else MAX_ULP[name])
