import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable
from timeloom.autograd import TracedArray
from timeloom.autograd.ufuncs import OTHERS, RULES

RANDOM = np.random.default_rng(3)
ANY = RANDOM.normal(size=(3, 4)) + 0.1
POSITIVE = RANDOM.uniform(0.3, 2.5, size=(3, 4))
INNER = RANDOM.uniform(-0.8, 0.8, size=(3, 4))
DOMAINS = {
    np.log: POSITIVE,
    np.log2: POSITIVE,
    np.log10: POSITIVE,
    np.log1p: POSITIVE,
    np.sqrt: POSITIVE,
    np.cbrt: POSITIVE,
    np.reciprocal: POSITIVE,
    np.arcsin: INNER,
    np.arccos: INNER,
    np.arctanh: INNER,
    np.arccosh: POSITIVE + 1.2,
}
UNARY = [ufunc for ufunc in RULES if ufunc.nin == 1]
BINARY = [ufunc for ufunc in RULES if ufunc.nin == 2]


def name_of(ufunc):
    return ufunc.__name__


@pytest.mark.parametrize("ufunc", UNARY, ids=name_of)
def test_unary_derivative(ufunc):
    check_gradients(ufunc, DOMAINS.get(ufunc, ANY))


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 1, 3), (4, 1))]
)
@pytest.mark.parametrize("ufunc", BINARY, ids=name_of)
def test_binary_derivative_with_broadcasting(ufunc, shapes):
    random = np.random.default_rng(5)
    a = random.uniform(0.3, 2.5, size=shapes[0])
    b = random.uniform(0.35, 2.4, size=shapes[1])
    check_gradients(ufunc, a, b)
    check_gradients(ufunc, b, a)


@pytest.mark.parametrize("ufunc", BINARY, ids=name_of)
def test_binary_derivative_with_a_plain_operand(ufunc):
    check_gradients(lambda x: ufunc(x, ANY), POSITIVE) if ufunc is not np.power else None
    check_gradients(lambda x: ufunc(x, 1.7), POSITIVE)
    check_gradients(lambda x: ufunc(POSITIVE, x), ANY + 4)
    check_gradients(lambda x: ufunc(x, x), POSITIVE) if ufunc not in (np.maximum, np.minimum) else None


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x**y,
        lambda x, y: x @ y.T,
        lambda x, y: -x + (+y),
        lambda x, y: abs(x - 2 * y),
        lambda x, y: 1.5 + x - 2.5 * y,
        lambda x, y: 2.0 - x / 4,
        lambda x, y: 3.0 / x,
        lambda x, y: x**2 + y**3,
        lambda x, y: 2.0**x,
        lambda x, y: np.arange(1.0, 5.0) * x + np.arange(1.0, 5.0) / y,
        lambda x, y: (np.ones((2, 3)) @ x) * (x.T @ np.ones((3, 4)))[:2],
        lambda x, y: np.float64(2) * x + x * np.float32(1),
        lambda x, y: [1.0, 2.0, 3.0, 4.0] * x,
    ],
)
def test_operators(function):
    check_gradients(function, POSITIVE, POSITIVE[::-1] + 0.2)


def test_power_at_zero():
    with GradientTape() as tape:
        x = tape.watch(np.array([0.0, 0.0, 2.0]))
        p = tape.watch(np.array([2.0, 0.0, 3.0]))
        y = x**p
    d_x, d_p = tape.gradient(y, [x, p])
    np.testing.assert_allclose(d_x, [0.0, 0.0, 12.0])
    np.testing.assert_allclose(d_p, [0.0, 0.0, 8 * np.log(2)])


def test_extremes_share_the_gradient_at_ties():
    with GradientTape(persistent=True) as tape:
        x = tape.watch(np.array([1.0, 2.0, 3.0]))
        y = np.maximum(x, np.array([1.0, 3.0, 0.0]))
        z = np.max(np.stack([x[0], x[0]]))
    np.testing.assert_array_equal(tape.gradient(y, x), [0.5, 0.0, 1.0])
    np.testing.assert_array_equal(tape.gradient(z, x), [1.0, 0.0, 0.0])


def test_dtypes_follow_numpy_promotion():
    with GradientTape(persistent=True) as tape:
        x = tape.watch(np.ones((2, 2), dtype=np.float32))
        results = {
            "python float": x * 2.0,
            "python int": x + 1,
            "float32": x - np.ones(2, dtype=np.float32),
            "float64": x * np.ones(2),
            "float64 scalar": x * np.float64(2),
            "int64": x * np.ones(2, dtype=np.int64),
            "int8": x * np.ones(2, dtype=np.int8),
            "bool": x * np.array([True, False]),
            "float16": x * np.ones(2, dtype=np.float16),
            "matmul int": x @ np.ones((2, 2), dtype=np.int64),
            "matmul float32": x @ x,
        }
    for name, result in results.items():
        assert type(result) is TracedArray, name
        wide = name in ("float64", "float64 scalar", "int64", "matmul int")
        assert result.dtype == (np.float64 if wide else np.float32), name
        assert tape.gradient(result, x).dtype == np.float32, name


def test_float16_is_numpys():
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 2), dtype=np.float16))
        y = np.tanh(x @ x)
    assert y.dtype == np.float16
    assert tape.gradient(y, x).dtype == np.float16


def test_numpy_scalars_on_the_left():
    with GradientTape() as tape:
        x = tape.watch(np.ones(3))
        for scalar in (np.float32(2), np.float64(2), np.int64(2), np.bool_(True), np.array(2.0)):
            for result in (scalar * x, scalar + x, scalar - x, scalar / x):
                assert type(result) is TracedArray
            assert type(scalar < x) is np.ndarray


@pytest.mark.parametrize(
    "question",
    [
        np.isnan,
        np.isfinite,
        np.isinf,
        np.signbit,
        np.logical_not,
        lambda x: x == 1,
        lambda x: x != 1,
        lambda x: x < 1,
        lambda x: x <= 1,
        lambda x: x > 1,
        lambda x: x >= 1,
        lambda x: np.less(1, x),
        lambda x: np.logical_and(x > 0, x < 2),
        lambda x: np.ones(3) == x,
    ],
)
def test_comparisons_are_plain(question):
    with GradientTape() as tape:
        x = tape.watch(np.array([0.0, 1.0, 2.0]))
        result = question(x)
    assert type(result) is np.ndarray
    assert result.dtype == bool
    np.testing.assert_array_equal(result, question(np.array([0.0, 1.0, 2.0])))


def test_scalar_comparison_is_a_condition():
    with GradientTape() as tape:
        loss = np.sum(tape.watch(np.ones(3)))
        assert loss < 4
        assert loss != 2


def test_zero_dimensional_results_stay_traced():
    with GradientTape() as tape:
        x = tape.watch(np.array(2.0))
        y = np.exp(x) * x + x[()] - 1.0
        z = np.sum(np.stack([y, x]))
        for result in (x, y, z, tape.watch(np.ones(3))[0], np.mean(tape.watch(np.ones(3)))):
            assert type(result) is TracedArray
            assert result.shape == ()
    assert tape.gradient(z, x) == pytest.approx(3 * np.exp(2) + 2)


def test_numpy_warns_as_it_does_on_plain_arrays():
    with GradientTape() as tape:
        x = tape.watch(np.array([0.0, 1.0]))
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            y = np.log(x)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert tape.gradient(y, x)[0] == np.inf


def test_every_operation_works_on_variables_without_a_tape():
    w = Variable(POSITIVE)
    for ufunc in UNARY:
        np.testing.assert_array_equal(
            ufunc(Variable(DOMAINS.get(ufunc, ANY))), ufunc(DOMAINS.get(ufunc, ANY))
        )
    for result in (
        w + 1,
        1 - w,
        w * w,
        w @ w.T,
        np.tanh(w),
        w[0],
        w.T,
        w.sum(),
        np.round(w),
        np.add.reduce(w),
    ):
        assert not isinstance(result, TracedArray)


def test_matmul_is_registered():
    assert np.matmul in OTHERS


def test_products_of_foreign_byte_order_are_numpys():
    swapped = np.arange(4.0).reshape(2, 2).astype(">f8")
    with GradientTape() as tape:
        x = tape.watch(swapped)
        y = x @ swapped
    np.testing.assert_array_equal(np.asarray(y), swapped @ swapped)
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones((2, 2)) @ swapped.T)
