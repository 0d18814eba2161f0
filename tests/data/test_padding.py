import array
import decimal
import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import timeloom.preprocessing.sequence
import timeloom.utils
from timeloom.data import pad_sequences

NUMERIC = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i2"]
REAL = ["float16", "float32", "float64", "longdouble", ">f4"]


def padded_by_loop(sequences, maxlen, dtype, padding, truncating, value):
    """The definition: one NumPy assignment for each sequence."""
    steps = max((len(row) for row in sequences), default=0) if maxlen is None else maxlen
    step_shape = next((np.asarray(row).shape[1:] for row in sequences if len(row)), ())
    result = np.full((len(sequences), steps, *step_shape), value, dtype=dtype)
    for index, row in enumerate(sequences):
        taken = min(len(row), steps)
        part = row[len(row) - taken :] if truncating == "pre" else row[:taken]
        begin = steps - taken if padding == "pre" else 0
        if taken:
            result[index, begin : begin + taken] = np.asarray(part, dtype=dtype)
    return result


def assert_same(result, expected):
    assert result.dtype == expected.dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected, strict=True)


def test_keras_paths_name_the_same_function():
    assert timeloom.utils.pad_sequences is pad_sequences
    assert timeloom.preprocessing.sequence.pad_sequences is pad_sequences


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 0, 1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [*NUMERIC, *REAL, "bool", "complex64", "object"])
def test_pad_sequences_every_dtype_and_side(padding, truncating, maxlen, dtype):
    sequences = [[1], [], [2, 3], (4, 5, 6), [7, 8, 9, 10, 11]]
    result = pad_sequences(sequences, maxlen, dtype, padding, truncating, 1)
    assert_same(result, padded_by_loop(sequences, maxlen, dtype, padding, truncating, 1))


rows_of_integers = st.lists(st.lists(st.integers(-(2**15), 2**15 - 1), max_size=9), min_size=1, max_size=9)


@settings(deadline=None)
@given(
    sequences=rows_of_integers,
    form=st.sampled_from(
        [list, tuple, np.array, lambda row: np.array(row, np.int16), lambda row: array.array("h", row)]
    ),
    maxlen=st.none() | st.integers(0, 12),
    dtype=st.sampled_from(["int16", "int32", "int64", "float32", "float64"]),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
    value=st.integers(-100, 100),
)
def test_pad_sequences_equals_the_loop(sequences, form, maxlen, dtype, padding, truncating, value):
    rows = [form(row) for row in sequences]
    expected = padded_by_loop(sequences, maxlen, dtype, padding, truncating, value)
    assert_same(pad_sequences(rows, maxlen, dtype, padding, truncating, value), expected)


@settings(deadline=None)
@given(
    sequences=st.lists(
        st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), max_size=5),
        min_size=1,
        max_size=6,
    ),
    as_arrays=st.booleans(),
    maxlen=st.none() | st.integers(0, 6),
    padding=st.sampled_from(["pre", "post"]),
)
def test_pad_sequences_equals_the_loop_for_feature_vectors(sequences, as_arrays, maxlen, padding):
    rows = [np.array(row) if as_arrays else row for row in sequences]
    expected = padded_by_loop(sequences, maxlen, "float32", padding, "pre", 0.5)
    assert_same(pad_sequences(rows, maxlen, "float32", padding, "pre", 0.5), expected)


def test_pad_sequences_deeper_nesting():
    sequences = [np.arange(12.0).reshape(2, 3, 2).tolist(), np.arange(6.0).reshape(1, 3, 2).tolist()]
    assert_same(
        pad_sequences(sequences, dtype="float32"), padded_by_loop(sequences, None, "float32", "pre", "pre", 0)
    )


@pytest.mark.parametrize(
    "sequences",
    [
        [[np.int64(1), np.float32(2.5)], [np.uint8(3)]],
        [[True, False], [True]],
        [[np.array(4)], [5.0, fractions.Fraction(7, 2)]],
        [range(3), range(5)],
        np.arange(6).reshape(2, 3),
        np.arange(12.0).reshape(2, 3, 2)[:, ::-1],
        [np.arange(10)[::-2], np.arange(3)],
        [np.arange(3, dtype=">i4"), np.arange(2, dtype=">i4")],
        [np.arange(3), [1, 2], np.arange(2.0)],
        [[np.arange(2), np.arange(2)], [np.arange(2)]],
        [[[1, 2], (3, 4)], [[5, 6]]],
        np.array([[1, 2], [3]], dtype=object),
        [np.array([1, 2.5], dtype=object), [1]],
    ],
    ids=lambda sequences: type(sequences).__name__,
)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_pad_sequences_kinds_of_rows(sequences, dtype):
    plain = [np.asarray(list(row), dtype=dtype) for row in sequences]
    assert_same(pad_sequences(sequences, dtype=dtype), padded_by_loop(plain, None, dtype, "pre", "pre", 0))


def test_pad_sequences_decimal_is_a_number():
    assert_same(pad_sequences([[decimal.Decimal("1.5")]], dtype="float32"), np.array([[1.5]], np.float32))


def test_pad_sequences_fractions_are_cut_off_for_integers():
    expected = np.array([[0, 2, -2], [0, 0, 0]], np.int32)
    assert_same(pad_sequences([[2.9, -2.9], [-0.5]], value=0.9, maxlen=3), expected)
    assert_same(pad_sequences([np.array([2.9, -2.9]), np.array([-0.5])], value=0.9, maxlen=3), expected)


def test_pad_sequences_limits_of_integers_pass():
    for dtype in NUMERIC:
        limits = np.iinfo(dtype)
        row = [limits.min, limits.max]
        assert pad_sequences([row], dtype=dtype).tolist() == [row]
        assert pad_sequences([np.array(row, dtype)], dtype=dtype).tolist() == [row]


def test_pad_sequences_not_finite_numbers_stay_in_floats():
    row = [np.nan, np.inf, -np.inf]
    for dtype in REAL:
        assert_same(pad_sequences([row], dtype=dtype, value=np.nan, maxlen=4)[:, 1:], np.array([row], dtype))
        assert_same(pad_sequences([np.array(row)], dtype=dtype), np.array([row], dtype))


def test_pad_sequences_nothing_to_pad():
    assert_same(pad_sequences([]), np.zeros((0, 0), np.int32))
    assert_same(pad_sequences([], maxlen=4), np.zeros((0, 4), np.int32))
    assert_same(pad_sequences([[], []]), np.zeros((2, 0), np.int32))
    assert_same(pad_sequences([np.array([]), []], maxlen=2, value=7), np.full((2, 2), 7, np.int32))
    assert_same(pad_sequences([[[], []], [[]]], dtype="float32"), np.zeros((2, 2, 0), np.float32))
    assert_same(pad_sequences([np.zeros((0, 3)), np.ones((1, 2))]), np.array([[[0, 0]], [[1, 1]]], np.int32))


def test_pad_sequences_leaves_its_input_alone():
    rows = [[1, 2], np.array([3])]
    result = pad_sequences(rows, maxlen=2, dtype="int64")
    result[:] = 0
    assert rows[0] == [1, 2]
    assert rows[1].tolist() == [3]


def test_pad_sequences_text():
    rows = [["a"], ["bc", "d"], []]
    assert pad_sequences(rows, dtype=object, value="pad").tolist() == [
        ["pad", "a"],
        ["bc", "d"],
        ["pad", "pad"],
    ]
    assert_same(
        pad_sequences(rows, dtype="<U3", value="pad", padding="post", maxlen=3),
        np.array([["a", "pad", "pad"], ["bc", "d", "pad"], ["pad"] * 3]),
    )


def test_pad_sequences_objects_keep_their_references():
    marker = object()
    result = pad_sequences([[marker], []], maxlen=2, dtype=object, value=None)
    assert result[0, 1] is marker
    assert result[1].tolist() == [None, None]


REFUSED = [
    (3, {}, ValueError, "sequences: expected a list of sequences, got 3"),
    ("abc", {}, ValueError, "sequences: expected a list of sequences, got 'abc'"),
    ({1: [2]}, {}, ValueError, "sequences: expected a list of sequences"),
    (np.array(3), {}, ValueError, "sequences: expected a list of sequences"),
    ((row for row in [[1]]), {}, ValueError, "sequences: expected a list of sequences"),
    ([1, 2], {}, ValueError, r"sequences\[0\]: expected a list or an array, got 1"),
    (np.arange(3), {}, ValueError, r"sequences\[0\]: expected a list or an array"),
    ([[1], "ab"], {}, ValueError, r"sequences\[1\]: expected a list or an array, got 'ab'"),
    ([[1], {2}], {}, ValueError, r"sequences\[1\]: expected a list or an array, got set"),
    ([[1], None], {}, ValueError, r"sequences\[1\]: expected a list or an array, got NoneType"),
    (
        [[1], [2, None]],
        {},
        ValueError,
        r"sequences\[1\]\[1\]: expected a number for dtype int32, got NoneType",
    ),
    ([[1], ["2"]], {}, ValueError, r"sequences\[1\]\[0\]: .*text needs dtype=object\), got '2'"),
    ([[1], [2j]], {}, ValueError, r"sequences\[1\]\[0\]: expected a number for dtype int32"),
    ([[1], [np.complex64(2)]], {}, ValueError, r"sequences\[1\]\[0\]: expected a number"),
    ([[1], [[2]]], {}, ValueError, r"sequences\[1\]\[0\]: expected a number for dtype int32, got list \[2\]"),
    ([[[1, 2]], [[3]]], {}, ValueError, r"sequences\[1\]\[0\]: expected 2 features .* got list \[3\]"),
    ([[[1, 2], 3]], {}, ValueError, r"sequences\[0\]\[1\]: expected 2 features .* got 3"),
    ([[[1, "x"]]], {}, ValueError, r"sequences\[0\]\[0\]\[1\]: expected a number"),
    ([[[1, 2]], [[3, 10**20]]], {}, OverflowError, r"sequences\[1\]\[0\]\[1\]: expected a number that int32"),
    (
        [np.ones((2, 3)), np.ones((2, 4))],
        {},
        ValueError,
        r"sequences\[1\]: expected timesteps of shape \(3,\)",
    ),
    ([[[[1], [2]]], [[[1]]]], {}, ValueError, r"sequences\[1\]: expected timesteps of shape \(2, 1\)"),
    ([[[[1], [2, 3]]]], {}, ValueError, r"sequences\[0\]: expected timesteps of one shape"),
    ([np.array(["a"])], {}, ValueError, r"sequences\[0\]: expected numbers, got an array of <U1"),
    ([np.array([1j])], {}, ValueError, r"sequences\[0\]: expected numbers, got an array of complex128"),
    ([[1], [2, 300]], {"dtype": "int8"}, OverflowError, r"sequences\[1\]\[1\]: .* int8 can hold, got 300"),
    ([[-1]], {"dtype": "uint8"}, OverflowError, r"sequences\[0\]\[0\]: .* uint8 can hold, got -1"),
    ([[-1]], {"dtype": "uint64"}, OverflowError, "uint64 can hold, got -1"),
    ([[2**64]], {"dtype": "uint64"}, OverflowError, "uint64 can hold"),
    ([[-1.0]], {"dtype": "uint64"}, OverflowError, "uint64 can hold, got -1.0"),
    ([[2**63]], {"dtype": "int64"}, OverflowError, "int64 can hold"),
    ([[2.0**63]], {"dtype": "int64"}, OverflowError, "int64 can hold"),
    ([[2**31]], {}, OverflowError, "int32 can hold"),
    ([[float("inf")]], {}, OverflowError, "int32 can hold, got inf"),
    ([[float("nan")]], {}, ValueError, "int32 can hold, got nan"),
    ([[10**400]], {"dtype": "float64"}, OverflowError, "float64 can hold"),
    ([[1e39]], {"dtype": "float32"}, OverflowError, r"float32 can hold, got 1e\+39"),
    ([[1e5]], {"dtype": "float16"}, OverflowError, "float16 can hold"),
    (
        [np.array([1]), np.array([2**40])],
        {},
        OverflowError,
        r"sequences\[1\]: expected a number that int32 can hold",
    ),
    ([np.array([1.0]), np.array([np.nan])], {}, ValueError, r"sequences\[1\]: .* got .*nan"),
    ([np.array([1e39])], {"dtype": "float32"}, OverflowError, r"sequences\[0\]: .* float32 can hold"),
    ([np.array([-1])], {"dtype": "uint8"}, OverflowError, "uint8 can hold"),
    ([[1]], {"maxlen": -1}, ValueError, "maxlen: expected None or an integer of at least 0, got -1"),
    ([[1]], {"maxlen": 2.5}, ValueError, "maxlen: expected None or an integer of at least 0, got 2.5"),
    ([[1]], {"maxlen": True}, ValueError, "maxlen: expected None or an integer of at least 0, got True"),
    ([[1]], {"maxlen": "3"}, ValueError, "maxlen: expected None or an integer of at least 0, got '3'"),
    ([[1]], {"maxlen": 10**15}, MemoryError, "maxlen: expected a result that fits into memory"),
    ([[1]], {"maxlen": 10**30}, MemoryError, "maxlen: expected a result that fits into memory"),
    ([[1]], {"padding": "left"}, ValueError, "padding: expected 'pre' or 'post', got 'left'"),
    ([[1]], {"truncating": None}, ValueError, "truncating: expected 'pre' or 'post', got None"),
    ([[1]], {"dtype": "int33"}, ValueError, "dtype: expected a NumPy dtype or its name, got 'int33'"),
    ([["a"]], {"dtype": str}, ValueError, "dtype: expected `object`, or a sized text type"),
    ([[1]], {"dtype": "V8"}, ValueError, "dtype: expected a type of numbers, text or object"),
    (
        [["abc"]],
        {"dtype": "<U2", "value": ""},
        ValueError,
        r"sequences\[0\]: expected text that <U2 can hold",
    ),
    ([["a"]], {"dtype": "<U2", "value": "pad"}, ValueError, "value: expected text that <U2 can hold"),
    ([["a"]], {"dtype": "complex64"}, ValueError, r"sequences\[0\]: expected values of dtype complex64"),
    ([[1]], {"value": "pad"}, ValueError, r"value: expected a number for dtype int32 .* got 'pad'"),
    ([[1]], {"value": None}, ValueError, "value: expected a number for dtype int32"),
    ([[1]], {"value": [0]}, ValueError, "value: expected a number for dtype int32"),
    ([[1]], {"value": 1e20}, OverflowError, "value: expected a number that int32 can hold"),
    ([[1]], {"value": 300, "dtype": "uint8"}, OverflowError, "value: expected a number that uint8 can hold"),
    ([[1.0]], {"value": 1e39, "dtype": "float32"}, OverflowError, "value: expected a number that float32"),
]


@pytest.mark.parametrize(("sequences", "options", "error", "message"), REFUSED)
def test_pad_sequences_refuses(sequences, options, error, message):
    with pytest.raises(error, match=message):
        pad_sequences(sequences, **options)


def test_pad_sequences_survives_a_list_that_changes_under_it():
    class Shrinks:
        def __init__(self, row):
            self.row = row

        def __float__(self):
            self.row.clear()
            return 1.0

    row = []
    row.extend([Shrinks(row), *range(1000)])
    with pytest.raises(ValueError, match=r"sequences\[0\]: expected a list that keeps its length"):
        pad_sequences([row], dtype="float32")

    step = []
    step.extend([Shrinks(step), *range(1000)])
    with pytest.raises(
        ValueError, match=r"sequences\[0\]: expected a list that keeps|expected 1001 features"
    ):
        pad_sequences([[step]], dtype="float32")


def test_pad_sequences_passes_on_an_error_of_an_item():
    class Broken:
        def __float__(self):
            raise RuntimeError("no number today")

    with pytest.raises(RuntimeError, match="no number today"):
        pad_sequences([[Broken()]])
