"""exp, tanh, sigmoid and log of the kernels, judged in units of the last place against extended precision.

The samples are random bit patterns of the whole range of a type, a dense walk over the range where the result
moves, every neighbour of the edges, and the special values.
"""

from functools import cache

import numpy as np
import pytest

from timeloom import _core

ISAS = _core.supported_isas()
DTYPES = (np.float32, np.float64)
# The largest error in units of the last place: measured over every float32 and these samples, rounded up.
MAX_ULP = {"exp": 1.1, "tanh": 2.25, "sigmoid": 2.5, "log": 0.96}
LANES = 16  # of the widest vector
Extended = np.longdouble

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_function = pytest.mark.parametrize("function", sorted(MAX_ULP))


def extended_sigmoid(x):
    return 1 / (1 + np.exp(-x))


REFERENCE = {"exp": np.exp, "tanh": np.tanh, "sigmoid": extended_sigmoid, "log": np.log}


def kernel(function, x, **private):
    if function in ("exp", "log"):
        return getattr(_core, function)(x, **private)
    return _core.activation(function, x, **private)


def edges(dtype):
    """Where formulas change: ends of the range of exp, saturation, steps of the reduction, powers of two."""
    info = np.finfo(dtype)
    tiny, huge = Extended(info.smallest_normal), Extended(info.max)
    values = [0, tiny, huge, info.eps, np.sqrt(np.sqrt(Extended(0.5))), 1, 2, 1 / np.sqrt(Extended(2))]
    values += [np.log(tiny), np.log(huge), 9.01, 9.25, 18.5, 19.25, 38.5, 3, 1 / Extended(6)]
    values += [127.5 * np.log(Extended(2)), 88.75, 1023.5 * np.log(Extended(2)), 709.9]
    values += [
        (n + Extended(0.5)) * np.log(Extended(2)) for n in range(-3, 4)
    ]  # between two powers of the reduction
    values += [Extended(2) ** n for n in range(info.minexp, info.maxexp, max(1, info.maxexp // 64))]
    nearest = np.array([value for edge in values for value in (edge, -edge)]).astype(dtype)
    steps = [nearest]
    for towards in (np.inf, -np.inf):
        walk = nearest
        for _ in range(4):
            with np.errstate(over="ignore"):
                walk = np.nextafter(walk, dtype(towards))
            steps.append(walk)
    return np.concatenate(steps)


@cache
def samples(dtype):
    """Finite arguments, none denormal."""
    generator = np.random.default_rng(19)
    info = np.finfo(dtype)
    bits = np.dtype(f"u{info.bits // 8}")
    patterns = generator.integers(0, np.iinfo(bits).max, 300_000, dtype=bits, endpoint=True).view(dtype)
    end = float(np.log(info.max))
    moving = np.concatenate([generator.uniform(-size, size, 100_000) for size in (0.5, 2, 20, 1.05 * end)])
    near_one = 1 + generator.uniform(-1e-3, 1e-3, 20_000)
    x = np.concatenate([patterns, moving.astype(dtype), near_one.astype(dtype), edges(dtype)])
    x = x[np.isfinite(x) & ((np.abs(x) >= info.smallest_normal) | (x == 0))]
    x.flags.writeable = False
    return x


@cache
def expected(function, dtype):
    with np.errstate(all="ignore"):
        return REFERENCE[function](samples(dtype).astype(Extended))


def units_in_the_last_place(values, dtype):
    """The distance of neighbouring numbers of dtype at each value, the smallest normal one below that."""
    info = np.finfo(dtype)
    exponent = np.frexp(np.maximum(np.abs(values), Extended(info.smallest_normal)))[1] - 1
    return np.ldexp(Extended(1), exponent - info.nmant)


def test_reference_is_precise_enough():
    assert np.finfo(Extended).nmant >= 63


@each_isa
@each_dtype
@each_function
def test_normal_results_are_within_the_stated_ulp(function, dtype, isa):
    x, want = samples(dtype), expected(function, dtype)
    got = kernel(function, x, _isa=isa)
    assert got.dtype == dtype
    info = np.finfo(dtype)
    normal = (np.abs(want) >= info.smallest_normal) & (np.abs(want) <= info.max)
    error = np.abs(got[normal].astype(Extended) - want[normal]) / units_in_the_last_place(want[normal], dtype)
    worst = int(np.argmax(error))
    assert error[worst] <= MAX_ULP[function], f"{error[worst]:.3f} ULP at {x[normal][worst]!r}"


@each_isa
@each_dtype
@each_function
def test_results_outside_the_normal_range_are_zero_infinite_or_nan(function, dtype, isa):
    x, want = samples(dtype), expected(function, dtype)
    got = kernel(function, x, _isa=isa)
    info = np.finfo(dtype)
    assert not np.any(got[np.abs(want) < info.smallest_normal])
    overflow = want > Extended(info.max) + Extended(info.max) * info.eps
    assert np.array_equal(got[overflow], np.full(overflow.sum(), np.inf, dtype))
    assert np.isnan(got[np.isnan(want)]).all()
    assert not np.isnan(got[~np.isnan(want)]).any()


SPECIAL = {  # function: results at 0, -0, infinity, -infinity
    "exp": [1, 1, np.inf, 0],
    "tanh": [0.0, -0.0, 1, -1],
    "sigmoid": [0.5, 0.5, 1, 0],
    "log": [-np.inf, -np.inf, np.inf, np.nan],
}


@each_isa
@each_dtype
@each_function
def test_special_values_are_exact(function, dtype, isa):
    got = kernel(function, np.array([0.0, -0.0, np.inf, -np.inf], dtype), _isa=isa)
    want = np.array(SPECIAL[function], dtype)
    assert np.array_equal(got, want, equal_nan=True)
    assert np.array_equal(np.signbit(got[:2]), np.signbit(want[:2]))


@each_isa
@each_dtype
@each_function
def test_nan_of_any_sign_and_payload_stays_nan(function, dtype, isa):
    bits = np.dtype(f"u{dtype().itemsize}")
    generator = np.random.default_rng(3)
    payloads = np.abs(generator.integers(1, 2 ** (np.finfo(dtype).nmant - 1), 100)).astype(bits)
    nan = np.concatenate([payloads | np.array(value, dtype).view(bits) for value in (np.nan, -np.nan)]).view(
        dtype
    )
    assert np.isnan(nan).all()
    assert np.isnan(kernel(function, nan, _isa=isa)).all()


@each_isa
@each_dtype
@each_function
def test_denormal_arguments_count_as_zero(function, dtype, isa):
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([smallest, -smallest, 1000 * smallest, -1000 * smallest], dtype)
    zeros = np.copysign(dtype(0), x)
    assert kernel(function, x, _isa=isa).tobytes() == kernel(function, zeros, _isa=isa).tobytes()


@each_isa
@each_dtype
def test_tanh_is_odd_and_bounded(dtype, isa):
    x = samples(dtype)
    y = _core.activation("tanh", x, _isa=isa)
    assert y.tobytes() == (-_core.activation("tanh", -x, _isa=isa)).tobytes()
    assert np.abs(y).max() == 1


@each_isa
@each_dtype
def test_tanh_of_a_tiny_argument_is_the_argument(dtype, isa):
    x = np.geomspace(2 * float(np.finfo(dtype).smallest_normal), float(np.finfo(dtype).eps) / 4, 1000).astype(
        dtype
    )
    assert np.array_equal(_core.activation("tanh", x, _isa=isa), x)


@each_isa
@each_dtype
def test_sigmoid_far_below_zero_keeps_its_relative_precision(dtype, isa):
    x = np.linspace(np.log(float(np.finfo(dtype).smallest_normal)) + 1e-3, -40, 5000).astype(dtype)
    want = np.exp(x.astype(Extended))  # e^x / (1 + e^x), and e^-40 is below eps of float64
    got = _core.activation("sigmoid", x, _isa=isa)
    assert np.max(np.abs(got - want) / want) <= 2.5 * np.finfo(dtype).eps


@each_isa
@each_dtype
@each_function
@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 15, 16, 17, 33])
def test_the_place_in_a_vector_or_its_tail_changes_no_bit(function, dtype, isa, size):
    x = np.random.default_rng(size).uniform(0.1, 5, size + LANES).astype(dtype)
    whole = kernel(function, x, _isa=isa)
    for start in range(LANES):
        part = kernel(function, x[start : start + size].copy(), _isa=isa)
        assert part.tobytes() == whole[start : start + size].tobytes()


@each_dtype
@each_function
def test_every_isa_agrees_within_the_stated_ulp(function, dtype):
    x = samples(dtype)
    unit = units_in_the_last_place(expected(function, dtype), dtype)
    plain = kernel(function, x, _isa="scalar").astype(Extended)
    regular = np.isfinite(plain) & (plain != 0)
    for isa in ISAS[1:]:
        other = kernel(function, x, _isa=isa).astype(Extended)
        assert np.max(np.abs(other[regular] - plain[regular]) / unit[regular]) <= 2 * MAX_ULP[function]
