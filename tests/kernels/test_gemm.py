"""Dense products and sums: the order of summation is a rule, so most results are known to the bit.

Forward products, and sums over the last axis, are one ascending chain of fused multiply-adds per element.
Sums over rows (weight gradients) are chains over chunks of 512 rows, added up.
"""

from fractions import Fraction

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits

from timeloom import _core

THREADS = (1, 2, 3, 8)
CHUNK = 512
# (rows, inner, columns): every tail of rows and columns, few rows and many, inner sizes about one K block and
# several and about a chunk, left rows that crowd and others.
SIZES = [
    (1, 1, 1),
    (2, 3, 7),
    (3, 31, 8),
    (5, 2, 9),
    (6, 5, 15),
    (7, 64, 16),
    (13, 28, 17),
    (4, 513, 33),
    (1, 300, 65),
    (40, 7, 130),
    (129, 17, 3),
    (32, 1025, 64),
    (12, 128, 96),
    (13, 129, 97),
    (25, 512, 128),
    (257, 200, 41),
]

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_size = pytest.mark.parametrize("size", SIZES, ids=["x".join(map(str, size)) for size in SIZES])


exact_fma = np.frompyfunc(lambda a, b, c: float(Fraction(a) * Fraction(b) + Fraction(c)), 3, 1)


def fma(a, b, c, isa):
    """a * b + c rounded as the ISA does: once, or for the scalar table after each operation.

    A float32 product is exact in float64, and its sum rounded there and then to float32 is one rounding but
    for about one in 2^29. Float64 goes through exact fractions.
    """
    if isa == "scalar":
        return a * b + c
    if c.dtype == np.float64:
        return exact_fma(a, b, c).astype(np.float64)
    return (a.astype(np.float64) * b + c).astype(np.float32)


def chain(a, b, start, isa):
    """start + sum over k of a[:, k] b[k, :], one fma after another in ascending k.

    None where exact fractions would take seconds.
    """
    total = start
    if isa != "scalar" and a.dtype == np.float64 and a.size * b.shape[1] > 5_000:
        return None
    for k in range(a.shape[1]):
        total = fma(a[:, k, None], b[k], total, isa)
    return total


def draw(seed, dtype, *shapes):
    """Random arrays whose sums neither cancel nor stay small."""
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(dtype) for shape in shapes]


def check(actual, expected, exact, inner):
    """Compare with float64 within the bound of a sum of `inner` terms, with the rule to the bit."""
    bound = (inner + 2) * np.finfo(actual.dtype).eps
    scale = np.abs(expected).max() + np.sqrt(inner)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= bound * scale
    if exact is not None:
        assert same_bits(actual, exact)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@each_size
@each_dtype
@each_isa
def test_matmul_is_one_ascending_chain(isa, dtype, size, transpose_b, with_bias):
    rows, inner, columns = size
    a, b, bias = draw(size, dtype, (rows, inner), (inner, columns), (columns,))
    start = np.broadcast_to(bias, (rows, columns)) if with_bias else np.zeros((rows, columns), dtype)
    second = np.ascontiguousarray(b.T) if transpose_b else b
    actual = _core.matmul(a, second, bias if with_bias else None, transpose_b=transpose_b, _isa=isa)
    expected = a.astype(np.float64) @ b.astype(np.float64) + start
    check(actual, expected, chain(a, b, start, isa), inner)


@pytest.mark.parametrize("rows", [1, 7, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("width", [(1, 1), (3, 9), (17, 33), (28, 16)], ids=str)
@each_dtype
@each_isa
def test_weight_gradient_adds_chains_of_chunks(isa, dtype, width, rows):
    a, b = draw((rows, *width), dtype, (rows, width[0]), (rows, width[1]))
    actual = _core.matmul(a, b, transpose_a=True, _isa=isa)
    exact = np.zeros(width, dtype)
    for begin in range(0, rows, CHUNK):
        part = chain(a[begin : begin + CHUNK].T, b[begin : begin + CHUNK], np.zeros(width, dtype), isa)
        exact = None if part is None or exact is None else exact + part
    check(actual, a.T.astype(np.float64) @ b.astype(np.float64), exact, rows)


@pytest.mark.parametrize("rows", [0, 1, 7, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("columns", [1, 3, 8, 9, 17, 33])
@each_dtype
@each_isa
def test_sum_rows_adds_chains_of_chunks(isa, dtype, columns, rows):
    (a,) = draw((rows, columns), dtype, (rows, columns))
    exact = np.zeros(columns, dtype)
    for begin in range(0, rows, CHUNK):
        part = np.zeros(columns, dtype)
        for row in a[begin : begin + CHUNK]:
            part = part + row
        exact = exact + part
    assert same_bits(_core.sum_rows(a, _isa=isa), exact)


@pytest.mark.parametrize("shape", [(1,), (3, 1), (5, 17), (2, 3, 33), (4, 600), (0, 5), (4, 0)], ids=str)
@each_dtype
@each_isa
def test_sum_last_is_one_ascending_chain(isa, dtype, shape):
    (a,) = draw(shape, dtype, shape)
    exact = np.zeros(shape[:-1], dtype)
    for k in range(shape[-1]):
        exact = exact + a[..., k]
    assert same_bits(np.asarray(_core.sum_last(a, _isa=isa)), np.asarray(exact))


@each_size
@each_dtype
@each_isa
def test_threads_and_neighbours_change_no_bit(isa, dtype, size):
    rows, inner, columns = size
    a, b, bias, d = draw(size, dtype, (rows, inner), (inner, columns), (columns,), (rows, columns))

    def results(threads):
        return [
            _core.matmul(a, b, bias, _threads=threads, _isa=isa),
            _core.matmul(d, b, transpose_b=True, _threads=threads, _isa=isa),
            _core.matmul(a, d, transpose_a=True, _threads=threads, _isa=isa),
            _core.sum_rows(d, _threads=threads, _isa=isa),
        ]

    expected = results(1)
    for threads in THREADS[1:]:
        _core.matmul(a, b, bias, _threads=threads, _isa=isa)
        assert_last_ran_on(threads)
        assert all(map(same_bits, results(threads), expected))
    for row in {0, rows // 2, rows - 1}:
        alone = _core.matmul(a[row : row + 1], b, bias, _isa=isa)
        assert same_bits(alone, expected[0][row : row + 1])
    for column in {0, columns // 2, columns - 1}:
        only = slice(column, column + 1)
        alone = _core.matmul(a, np.ascontiguousarray(b[:, only]), bias[only], _isa=isa)
        assert same_bits(alone, expected[0][:, only])


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("size", [(96, 200, 128), (300, 40, 65), (50, 512, 10), (1, 30, 100)], ids=str)
@each_isa
def test_any_number_of_threads_gives_the_same_bits(isa, size, transpose_b):
    rows, inner, columns = size
    a, b, bias = draw(size, np.float32, (rows, inner), (inner, columns), (columns,))
    second = np.ascontiguousarray(b.T) if transpose_b else b
    expected = _core.matmul(a, b, bias, _threads=1, _isa=isa)
    for threads in (*range(1, 18), 31, 64):
        actual = _core.matmul(a, second, bias, transpose_b=transpose_b, _threads=threads, _isa=isa)
        assert_last_ran_on(threads)
        assert same_bits(actual, expected)


@each_dtype
def test_empty_products_are_empty_or_the_bias(dtype):
    a, b, bias = draw(0, dtype, (3, 4), (4, 5), (5,))
    assert _core.matmul(a[:0], b, bias).shape == (0, 5)
    assert _core.matmul(a, np.zeros((4, 0), dtype)).shape == (3, 0)
    no_inner = _core.matmul(np.zeros((3, 0), dtype), np.zeros((0, 5), dtype), bias)
    assert np.array_equal(no_inner, np.broadcast_to(bias, (3, 5)))
    _core.matmul(np.full((1, 4), np.nan, dtype), b[:1], transpose_a=True)  # leaves no zeros in its memory
    assert not _core.matmul(a[:0], np.zeros((0, 5), dtype), transpose_a=True).any()


@each_dtype
@each_isa
def test_nan_and_infinity_propagate_and_stay_in_their_row(isa, dtype):
    a, b = draw(1, dtype, (9, 20), (20, 33))
    expected = _core.matmul(a, b, _isa=isa)
    a[4, 7], a[5, 7] = np.nan, np.inf
    actual = _core.matmul(a, b, _isa=isa)
    assert np.isnan(actual[4]).all()
    assert np.array_equal(actual[5], np.sign(b[7]) * np.inf)
    assert same_bits(np.delete(actual, [4, 5], axis=0), np.delete(expected, [4, 5], axis=0))


SPOILT = [
    ((TypeError, "a"), lambda a, b: (a.astype(np.int32), b)),
    ((TypeError, "a"), lambda a, b: (a.astype(object), b)),
    ((TypeError, "a"), lambda a, b: (a.astype(str), b)),
    ((TypeError, "b"), lambda a, b: (a, b.astype(np.complex64))),
    ((TypeError, "b"), lambda a, b: (a, b.astype(np.float64))),
    ((ValueError, "a"), lambda a, b: (a[0], b)),
    ((ValueError, "b"), lambda a, b: (a, b[None])),
    ((ValueError, "(a|b)"), lambda a, b: (a, np.concatenate([b, b]))),
    ((ValueError, "a"), lambda a, b: (np.asfortranarray(a), b)),
    ((ValueError, "b"), lambda a, b: (a, b[:, ::-1])),
    ((ValueError, "b"), lambda a, b: (a, np.repeat(b, 2, axis=1)[:, ::2])),
]


@pytest.mark.parametrize("place", range(len(SPOILT)))
def test_matmul_refuses_spoilt_arrays(place):
    (kind, name), spoil = SPOILT[place]
    a, b = draw(2, np.float32, (3, 4), (4, 5))
    with pytest.raises(kind, match=rf"^{name}: expected .+, got .+"):
        _core.matmul(*spoil(a, b))


@pytest.mark.parametrize("bias", [np.zeros(4, np.float32), np.zeros((1, 5), np.float32), np.zeros(5)])
def test_matmul_refuses_a_bias_that_does_not_fit(bias):
    a, b = draw(2, np.float32, (3, 4), (4, 5))
    with pytest.raises((TypeError, ValueError), match=r"^bias: expected .+, got .+"):
        _core.matmul(a, b, bias)
