import array

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from timeloom.data import gather, pack, starts_of, unpack


def assert_packed(result, parts, dtype):
    values, lengths = result
    expected = [np.asarray(part, dtype) for part in parts]
    np.testing.assert_array_equal(values, np.concatenate(expected, dtype=dtype), strict=True)
    np.testing.assert_array_equal(lengths, np.array([len(part) for part in parts], np.int64), strict=True)
    assert values.flags.c_contiguous


@settings(deadline=None)
@example(parts=[[], [0]], form=np.array, dtype=">i4")
@given(
    parts=st.lists(st.lists(st.integers(-100, 100), max_size=8), min_size=1, max_size=8),
    form=st.sampled_from(
        [list, tuple, np.array, lambda row: np.array(row, np.int16), lambda row: array.array("h", row)]
    ),
    dtype=st.sampled_from(["int8", "int32", "int64", "float16", "float32", "float64", ">i4", "longdouble"]),
)
def test_pack_equals_concatenate(parts, form, dtype):
    assert_packed(pack([form(part) for part in parts], dtype), parts, dtype)


@pytest.mark.parametrize("as_lists", [True, False])
def test_pack_feature_vectors(as_lists):
    random = np.random.default_rng(0)
    parts = [random.standard_normal((steps, 3)) for steps in (2, 5, 1)]
    given_parts = [part.tolist() for part in parts] if as_lists else parts
    assert_packed(pack(given_parts), parts, np.float32)


def test_pack_more_axes_mixed_types_and_strides():
    cubes = [np.arange(12.0).reshape(2, 3, 2), np.arange(6).reshape(1, 3, 2), np.zeros((0, 9))]
    assert_packed(pack(cubes), [*cubes[:2], np.zeros((0, 3, 2))], np.float32)
    assert_packed(pack([cube.tolist() for cube in cubes[:2]]), cubes[:2], np.float32)
    parts = [np.arange(10)[::-2], range(3), [1.5, 2], np.arange(3, dtype=">i4")]
    assert_packed(pack(parts), [np.asarray(part) for part in parts], np.float32)
    matrix = np.arange(6.0).reshape(3, 2)
    assert_packed(pack(matrix), list(matrix), np.float32)


def test_pack_nothing():
    for sequences in ([], [[]], [[], []]):
        values, lengths = pack(sequences)
        assert values.shape == (0,)
        assert values.dtype == np.float32
        assert lengths.tolist() == [0] * len(sequences)
    assert pack([np.zeros((0, 4)), np.zeros((0, 4))])[0].shape == (0, 4)


def test_pack_copies():
    part = np.arange(3, dtype=np.float32)
    values, _ = pack([part])
    values[:] = -1
    assert part.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("sequences", "dtype", "error", "message"),
    [
        ([1, 2], "int32", ValueError, r"sequences\[0\]: expected a list or an array, got 1"),
        ("ab", "int32", ValueError, "sequences: expected a list of sequences"),
        ([["a"]], "int32", ValueError, r"sequences\[0\]\[0\]: expected a number"),
        ([np.array(["a"])], "int32", ValueError, r"sequences\[0\]: expected numbers, got an array of <U1"),
        ([[1, [2]]], "int32", ValueError, r"sequences\[0\]\[1\]: expected a number"),
        ([[[1, 2]], [[3]]], "int32", ValueError, r"sequences\[1\]\[0\]: expected 2 features"),
        ([np.ones((2, 3)), np.ones((2, 4))], "int32", ValueError, r"sequences\[1\]: expected timesteps"),
        ([[300]], "uint8", OverflowError, "uint8 can hold, got 300"),
        ([np.array([1e39])], "float32", OverflowError, "float32 can hold"),
        ([[1e5]], "float16", OverflowError, "float16 can hold"),
        ([[1]], "int33", ValueError, "dtype: expected a NumPy dtype"),
        ([[1]], "complex64", ValueError, "dtype: expected a type of real numbers"),
        ([[1]], object, ValueError, "dtype: expected a type of real numbers"),
    ],
)
def test_pack_refuses(sequences, dtype, error, message):
    with pytest.raises(error, match=message):
        pack(sequences, dtype)


def test_pack_survives_a_list_that_changes_under_it():
    class Grows:
        def __init__(self, row):
            self.row = row

        def __float__(self):
            self.row.extend(range(100000))
            return 1.0

    row = []
    row.extend([Grows(row), 2.0])
    with pytest.raises(ValueError, match=r"sequences\[0\]: expected a list that keeps its length"):
        pack([row, [1.0]])

    class Empties:
        def __init__(self, rows):
            self.rows = rows

        def __float__(self):
            self.rows[1].extend(range(100000))
            return 1.0

    rows = [[], [1.0]]
    rows[0].append(Empties(rows))
    with pytest.raises(ValueError, match=r"sequences\[1\]: expected a list that keeps its length"):
        pack(rows)


def test_starts_of():
    assert starts_of([3, 0, 1]).tolist() == [0, 3, 3]
    assert starts_of([]).tolist() == []
    assert starts_of(np.array([2], np.uint8)).dtype == np.int64


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    step=st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64", "complex128", ">f4", "bool"]),
    data=st.data(),
)
def test_gather_equals_indexing(lengths, step, dtype, data):
    rows = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=10))
    random = np.random.default_rng(0)
    parts = [random.integers(0, 9, (length, *step)).astype(dtype) for length in lengths]
    values = np.concatenate(parts)
    taken, taken_lengths = gather(values, starts_of(lengths), lengths, rows)
    expected = np.concatenate([values[:0], *(parts[row] for row in rows)])
    np.testing.assert_array_equal(taken, expected, strict=True)
    assert taken_lengths.tolist() == [lengths[row] for row in rows]


def test_gather_from_a_strided_set_and_with_any_starts():
    values = np.arange(20)[::2]
    taken, lengths = gather(values, np.array([5, 0], np.int32), [2, 3], np.array([1, 0, 1], np.uint8))
    assert taken.tolist() == [0, 2, 4, 10, 12, 0, 2, 4]
    assert lengths.tolist() == [3, 2, 3]


HUGE = 2**63 - 1


@pytest.mark.parametrize(
    ("starts", "lengths", "rows", "error", "message"),
    [
        ([0, 3], [3, 2], [2], IndexError, "rows: expected numbers below 2, got 2"),
        ([0, 3], [3, 2], [-3], IndexError, "rows: expected numbers below 2, got -3"),
        ([0, 3], [3, 2], [0.0], ValueError, "rows: expected integers along one axis, got float64"),
        ([0, 3], [3, 2], [True], ValueError, "rows: expected integers along one axis, got bool"),
        ([0, 3], [3, 2], [[0]], ValueError, "rows: expected integers along one axis, got int64 of 2 axes"),
        ([0, 3], [3, 2], [[0], [0, 1]], ValueError, "rows: expected integers, got lists of unequal"),
        ([0, 3], [3, 3], [0, 1], ValueError, "inside 5 steps, got one from 3 of 3 steps"),
        ([0, HUGE], [3, HUGE], [1], ValueError, "inside 5 steps"),
        ([0, 6], [3, 0], [1], ValueError, "inside 5 steps, got one from 6 of 0 steps"),
        ([0, -1], [3, 1], [1], ValueError, "inside 5 steps, got one from -1 of 1 steps"),
        ([0, 3], [3, -2], [1], ValueError, "inside 5 steps, got one from 3 of -2 steps"),
        ([0], [3, 2], [1], ValueError, "starts: expected one for each of 2 lengths, got 1"),
        (
            np.array([0, 2**63], np.uint64),
            [3, 2],
            [1],
            ValueError,
            r"starts: expected integers below 2\*\*63",
        ),
    ],
)
def test_gather_refuses(starts, lengths, rows, error, message):
    with pytest.raises(error, match=message):
        gather(np.arange(5), starts, lengths, rows)


@pytest.mark.parametrize("values", [np.array(3), np.array(["a", None], object)])
def test_gather_refuses_values(values):
    with pytest.raises(ValueError, match="values: expected an array of numbers"):
        gather(values, [0], [1], [0])


def test_unpack_is_the_inverse_of_pack():
    parts = [np.arange(6.0).reshape(3, 2), np.zeros((0, 2)), np.ones((1, 2))]
    values, lengths = pack(parts, "float64")
    for part, back in zip(parts, unpack(values, lengths), strict=True):
        np.testing.assert_array_equal(back, part, strict=True)
        assert np.shares_memory(back, values) or not back.size
    for wrong in ([3], [3, 2], [5, -1]):
        with pytest.raises(ValueError, match="lengths: expected"):
            unpack(values, wrong)
