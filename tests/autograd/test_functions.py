import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable
from timeloom.autograd.functions import FUNCTIONS

RANDOM = np.random.default_rng(4)
A = RANDOM.normal(size=(3, 4))
B = RANDOM.normal(size=(2, 3, 4))
V = RANDOM.normal(size=5)

CASES = {
    "sum": [
        (lambda x: np.sum(x), B),
        (lambda x: np.sum(x, axis=1), B),
        (lambda x: np.sum(x, (0, -1)), B),
        (lambda x: x.sum(axis=-1, keepdims=True), B),
        (lambda x: np.add.reduce(x), B),
    ],
    "mean": [
        (lambda x: np.mean(x), B),
        (lambda x: np.mean(x, axis=(0, 2), keepdims=True), B),
        (lambda x: x.mean(-1), B),
    ],
    "max": [
        (lambda x: np.max(x), B),
        (lambda x: x.max(axis=1), B),
        (lambda x: np.amax(x, axis=(0, 1), keepdims=True), B),
    ],
    "min": [(lambda x: np.min(x), B), (lambda x: x.min(axis=-1), B), (lambda x: np.minimum.reduce(x), B)],
    "prod": [
        (lambda x: np.prod(x), A),
        (lambda x: x.prod(axis=1), A),
        (lambda x: np.prod(x, axis=(0, 2)), B),
        (lambda x: np.prod(x), np.array([0.0, 2.0, 3.0])),
        (lambda x: np.prod(x), np.array([0.0, 2.0, 0.0])),
    ],
    "var": [
        (lambda x: np.var(x), A),
        (lambda x: x.var(axis=0, ddof=1), A),
        (lambda x: np.var(x, (0, 2), keepdims=True), B),
    ],
    "std": [(lambda x: np.std(x), A), (lambda x: x.std(axis=-1, ddof=1), A)],
    "cumsum": [(lambda x: np.cumsum(x), A), (lambda x: x.cumsum(axis=1), A)],
    "reshape": [
        (lambda x: np.reshape(x, (4, -1)), A),
        (lambda x: x.reshape(2, 6), A),
        (lambda x: x.reshape((12,)), A),
    ],
    "ravel": [(lambda x: np.ravel(x), A), (lambda x: x.ravel(), A), (lambda x: x.flatten(), A)],
    "transpose": [
        (lambda x: np.transpose(x), B),
        (lambda x: x.T, B),
        (lambda x: x.transpose(2, 0, 1), B),
        (lambda x: np.transpose(x, (1, -1, 0)), B),
        (lambda x: x.transpose((1, 0, 2)), B),
    ],
    "swapaxes": [(lambda x: np.swapaxes(x, 0, 2), B), (lambda x: x.swapaxes(-1, -2), B)],
    "moveaxis": [(lambda x: np.moveaxis(x, 0, -1), B)],
    "squeeze": [
        (lambda x: np.squeeze(x), B[:, :1]),
        (lambda x: x.squeeze(1), B[:, :1]),
        (lambda x: x.squeeze(), B[:1, :1]),
    ],
    "expand_dims": [
        (lambda x: np.expand_dims(x, 1), A),
        (lambda x: np.expand_dims(x, (0, 2)), A),
        (lambda x: x[:, None], A),
    ],
    "atleast": [(lambda x: np.atleast_2d(x), V), (lambda x: np.atleast_1d(x), V[0])],
    "flip": [(lambda x: np.flip(x), A), (lambda x: np.flip(x, 1), A), (lambda x: x[::-1, ::-1], A)],
    "roll": [
        (lambda x: np.roll(x, 2), A),
        (lambda x: np.roll(x, 1, axis=1), A),
        (lambda x: np.roll(x, (1, 2), (0, 1)), A),
    ],
    "broadcast_to": [
        (lambda x: np.broadcast_to(x, (3, 5)), V),
        (lambda x: np.broadcast_to(x, (2, 3, 4)), A[:, :1]),
    ],
    "repeat": [(lambda x: np.repeat(x, 3), A), (lambda x: np.repeat(x, 2, axis=0), A)],
    "tile": [
        (lambda x: np.tile(x, 2), A),
        (lambda x: np.tile(x, (2, 1, 3)), A),
        (lambda x: np.tile(x, 2), B),
    ],
    "concatenate": [
        (lambda x, y: np.concatenate([x, y, x]), A, A),
        (lambda x, y: np.concatenate((x, y), axis=-1), A, A[:, :2]),
        (lambda x: np.concatenate([x, np.ones((3, 2))], axis=1), A),
        (lambda x, y: np.concatenate([x, y], axis=None), A, V),
    ],
    "stack": [
        (lambda x, y: np.stack([x, y]), A, A),
        (lambda x, y: np.stack([x, y, x], axis=-1), A, A),
        (lambda x: np.vstack([x, np.ones(5)]), V),
        (lambda x, y: np.hstack([x, y]), V, V[:2]),
        (lambda x, y: np.hstack([x, y]), A, A[:, :1]),
    ],
    "split": [
        (lambda x: np.split(x, 2, axis=1)[1], A),
        (lambda x: np.split(x, [1, 3], -1)[1] * 2, A),
        (lambda x: np.array_split(x, 2)[0], A),
        (lambda x: sum(np.split(x, 3)), A),
    ],
    "where": [
        (lambda x, y: np.where(x > 0, x, y), A, A + 1),
        (lambda x: np.where(x > 0, x, 0.0), A),
        (lambda x: np.where(np.eye(3, 4) > 0, 1.0, x[:1]), A),
    ],
    "clip": [
        (lambda x: np.clip(x, -0.5, 0.6), A),
        (lambda x: x.clip(0.0), A),
        (lambda x: np.clip(x, None, 0.2), A),
        (lambda x: np.clip(x[0], A - 0.3, 3.0), A),
        (lambda x, y: np.clip(x, y, 2.0), A, A[::-1]),
    ],
    "dot": [
        (lambda x, y: np.dot(x, y), A, A.T),
        (lambda x, y: x.dot(y), V, V),
        (lambda x: np.dot(x, V[:4]), A),
        (lambda x: np.dot(2.0, x), A),
        (lambda x, y: np.dot(x, y), B, A.T),
    ],
    "outer": [(lambda x, y: np.outer(x, y), V, V[:3])],
    "take": [
        (lambda x: np.take(x, [0, 2, 2], axis=1), A),
        (lambda x: np.take(x, np.array([[0, 11], [3, 3]])), A),
    ],
    "take_along_axis": [
        (lambda x: np.take_along_axis(x, np.array([[1], [0], [3]]), axis=1), A),
        (lambda x: np.take_along_axis(x, np.array([[1, 1, 0, 2]]), 0), A),
    ],
    "index": [
        (lambda x: x[1], A),
        (lambda x: x[:, 1:3], A),
        (lambda x: x[..., -1], B),
        (lambda x: x[1, :, ::2], B),
        (lambda x: x[np.array([0, 2, 0])], A),
        (lambda x: x[[0, 1], [1, 1]], A),
        (lambda x: x[:, [0, 0, 1]], A),
        (lambda x: x[np.array([True, False, True])], A),
        (lambda x: x[A > 0], A),
        (lambda x: x[1, 2], A),
        (lambda x: x[np.arange(3), np.array([3, 0, 3])], A),
        (lambda x: x[None, :, None], A),
        (lambda x: x[True], V),
        (lambda x: x[-1, None, [0, 1]], A),
        (lambda x: x[0] + x[1] * x[0] + x[:2].sum(0), A),
    ],
    "astype": [(lambda x: x.astype(np.float64) * 2, A)],
    "iteration": [(lambda x: sum(row * i for i, row in enumerate(x)), A)],
}


@pytest.mark.parametrize(
    "case",
    [case for cases in CASES.values() for case in cases],
    ids=[f"{name}-{i}" for name, cases in CASES.items() for i in range(len(cases))],
)
def test_derivative(case):
    check_gradients(*case)


def test_every_function_is_checked_above():
    checked = set(CASES) | {
        "atleast_1d",
        "atleast_2d",
        "vstack",
        "hstack",
        "array_split",
        "amax",
        "amin",
        "permute_dims",
        "full_like",
    }
    assert {function.__name__ for function in FUNCTIONS} <= checked


def test_products_of_stacks():
    random = np.random.default_rng(1)
    for left, right in [
        ((2, 3, 4), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (4, 5)),
        ((4,), (4,)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((3, 4), (2, 4, 5)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((2, 3, 4), (2, 4, 1)),
    ]:
        check_gradients(lambda x, y: x @ y, random.normal(size=left), random.normal(size=right))


def test_product_shapes_that_do_not_fit():
    with GradientTape() as tape:
        x = tape.watch(np.ones((2, 3)))
        with pytest.raises(ValueError, match=r"expected 3 rows"):
            x @ np.ones((2, 3))
        with pytest.raises(ValueError, match="scalar"):
            x @ 2.0


@pytest.mark.parametrize(
    "function",
    [
        np.round,
        np.argsort,
        np.argmax,
        np.sort,
        np.median,
        np.floor,
        np.ceil,
        np.rint,
        np.sign,
        np.trunc,
        np.unique,
        np.linalg.norm,
        np.linalg.inv,
        np.cumprod,
        np.nan_to_num,
        np.fft.fft,
        np.ptp,
        np.histogram,
        np.diff,
        lambda x: np.einsum("ij->i", x),
        lambda x: np.tensordot(x, x),
        lambda x: np.dot(x, np.ones((2, 4, 3))),
        lambda x: x // 2,
        lambda x: 2 // x,
        lambda x: x % 2,
        lambda x: 2 % x,
        lambda x: divmod(x, 2),
        lambda x: divmod(2, x),
        lambda x: np.mod(x, 2.0),
        lambda x: np.add.accumulate(x),
        lambda x: np.modf(x),
        lambda x: np.add.at(np.ones((3, 4)), 0, x),
        lambda x: np.multiply.outer(x, x),
        lambda x: np.sum(x, where=A > 0),
        lambda x: np.sum(x, dtype=np.float64),
        lambda x: np.sum(x, 0, np.float64),
        lambda x: np.add(x, 1, where=A > 0),
        lambda x: np.add(x, 1, dtype=np.float32),
        lambda x: np.reshape(x, (4, 3), order="F"),
        lambda x: np.where(x, 1.0, x),
        lambda x: np.copy(x),
        lambda x: np.save("x", x),
        lambda x: np.array2string(x) and np.pad(x, 1),
    ],
)
def test_functions_without_a_derivative_raise_and_name_the_exit(function):
    with GradientTape() as tape:
        x = tape.watch(A)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 1j,
        lambda x: np.concatenate([x, x.numpy() * 1j]),
        lambda x: np.where(x > 0, x, 1j),
        lambda x: x.astype(complex),
        lambda x: x.astype(str),
        lambda x: x.astype(object),
        lambda x: x + np.array(["a"]),
        lambda x: x * None,
    ],
)
def test_results_that_are_no_real_numbers_raise(function):
    with GradientTape() as tape:
        x = tape.watch(A)
        with pytest.raises(TypeError):
            function(x)


def test_values_hidden_in_other_arguments_do_not_leak():
    with GradientTape() as tape:
        x = tape.watch(A)
        for leak in (
            lambda: np.full_like(A, x[0, 0]),
            lambda: np.full_like(x, x[0, 0]),
            lambda: np.full((3, 4), x),
            lambda: np.mean([x[0], x[1]]),
            lambda: np.linspace(0.0, x[0, 0], 3),
            lambda: np.searchsorted(np.ones(3), x[0]),
            lambda: np.random.default_rng(0).normal(x),
            lambda: np.random.default_rng(0).choice(4, p=x[0]),
        ):
            with pytest.raises(TypeError, match=r"\.numpy\(\)"):
                leak()


def test_functions_without_a_derivative_work_after_the_block():
    with GradientTape() as tape:
        x = tape.watch(A)
        y = x * 2
    for function in (
        np.round,
        np.argsort,
        np.sort,
        np.linalg.norm,
        lambda x: np.einsum("ij->i", x),
        lambda x: x.argmax(),
    ):
        np.testing.assert_array_equal(function(y), function(2 * A))
    assert tape.gradient(y, x)[0, 0] == 2


def test_arguments_that_are_none_change_nothing():
    check_gradients(lambda x: np.sum(x, axis=0, dtype=None, out=None), A)
    check_gradients(lambda x: np.mean(x, axis=1, dtype=None), A)
    check_gradients(lambda x: np.add(x, 1.0, out=None), A)


def test_every_argument_works_outside_a_tape():
    w = Variable(A)
    np.testing.assert_array_equal(np.sum(w, 0, np.float32), np.sum(A, 0, np.float32))
    np.testing.assert_array_equal(np.sum(w, where=A > 0), np.sum(A, where=A > 0))
    np.testing.assert_array_equal(np.linalg.norm(w), np.linalg.norm(A))


def test_plain_answers_about_traced_arrays():
    with GradientTape() as tape:
        x = tape.watch(A)
        assert np.shape(x) == (3, 4)
        assert np.ndim(x) == 2
        assert np.size(x) == 12
        assert type(np.zeros_like(x)) is np.ndarray
        assert type(np.ones_like(x)) is np.ndarray
        assert np.full_like(x, 3.0).tolist() == np.full_like(A, 3.0).tolist()
        assert np.allclose(x, A)
        assert np.array_equal(x, A)
        assert len(x) == 3
        assert (x.shape, x.ndim, x.size, x.dtype, x.nbytes) == ((3, 4), 2, 12, np.float64, 96)
        assert "TracedArray([[" in repr(x)
        assert f"{np.sum(x):.2f}" == f"{A.sum():.2f}"
        assert type(x.astype(np.int64)) is np.ndarray
        assert type(x.astype(bool)) is np.ndarray


def test_an_index_changed_later_does_not_change_the_gradient():
    chosen = np.array([0, 1])
    with GradientTape() as tape:
        x = tape.watch(np.ones(4))
        y = x[chosen] * 2
    chosen[:] = 3
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 2, 0, 0])


def test_an_index_of_real_numbers_is_refused():
    with GradientTape() as tape:
        x = tape.watch(np.ones(4))
        with pytest.raises(IndexError):
            x[x]
        with pytest.raises((IndexError, TypeError)):
            np.ones(3)[x[0]]
        with pytest.raises(IndexError):
            x[7]
