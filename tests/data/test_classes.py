import numpy as np
import pytest

from timeloom.data import one_hot


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("code_type", ["uint8", "int8", "int16", "int32", "int64", "uint32", "uint64", ">i4"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 0, 3), (2, 3, 4)])
def test_one_hot_is_rows_of_the_identity(dtype, code_type, shape):
    codes = np.random.default_rng(1).integers(0, 6, shape).astype(code_type)
    np.testing.assert_array_equal(one_hot(codes, 6, dtype), np.eye(6, dtype=dtype)[codes], strict=True)


def test_one_hot_takes_lists_and_strided_codes():
    assert one_hot([[2], [0]], 3).tolist() == [[[0, 0, 1]], [[1, 0, 0]]]
    codes = np.arange(12).reshape(3, 4)[::-1, ::2]
    np.testing.assert_array_equal(one_hot(codes, 12), np.eye(12)[codes])
    assert one_hot([], 4).shape == (0, 4)
    assert one_hot(3, 4).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("codes", "classes", "dtype", "error", "message"),
    [
        ([0, 3], 3, "float32", ValueError, "codes: expected integers from 0 to 2, got 3"),
        ([0, -1], 3, "float32", ValueError, "codes: expected integers from 0 to 2, got -1"),
        (np.array([-128], np.int8), 3, "uint8", ValueError, "got -128"),
        (np.array([2**63], np.uint64), 3, "float32", ValueError, "got 9223372036854775808"),
        (np.array([2**63 - 1]), 3, "float32", ValueError, "got 9223372036854775807"),
        ([2**70], 3, "float32", ValueError, "codes: expected integers, got an array of object"),
        ([0.0], 3, "float32", ValueError, "codes: expected integers, got an array of float64"),
        ([True], 3, "float32", ValueError, "codes: expected integers, got an array of bool"),
        (["a"], 3, "float32", ValueError, "codes: expected integers, got an array of <U1"),
        ([[0], [0, 1]], 3, "float32", ValueError, "codes: expected an array of integers, got lists"),
        ([0], 0, "float32", ValueError, "classes: expected a positive integer, got 0"),
        ([0], 2.0, "float32", ValueError, "classes: expected a positive integer, got 2.0"),
        ([0], 3, "int32", ValueError, "dtype: expected float32, float64 or uint8, got 'int32'"),
        ([0], 3, ">f4", ValueError, "dtype: expected float32"),
        ([0], 3, "float33", ValueError, "dtype: expected float32"),
        ([0, 1], 10**18, "float32", MemoryError, "classes: expected a result that fits into memory"),
        ([0, 1], 10**30, "float32", MemoryError, "classes: expected a result that fits into memory"),
    ],
)
def test_one_hot_refuses(codes, classes, dtype, error, message):
    with pytest.raises(error, match=message):
        one_hot(codes, classes, dtype)
