import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeloom.utils import normalize, to_categorical


@given(labels=st.lists(st.integers(0, 6), max_size=20), spare=st.integers(0, 3))
def test_to_categorical_has_its_one_at_the_label(labels, spare):
    rows = to_categorical(labels, num_classes=7 + spare)
    assert rows.shape == (len(labels), 7 + spare)
    assert rows.dtype == np.float64
    assert rows.sum(axis=-1).tolist() == [1] * len(labels)
    assert rows.argmax(axis=-1).tolist() == labels


def test_to_categorical_shapes():
    assert to_categorical([[0, 1], [2, 0]]).shape == (2, 2, 3)
    assert to_categorical([[0], [2]]).shape == (2, 3)
    assert to_categorical(1).tolist() == [0, 1]
    assert to_categorical([]).shape == (0, 0)
    assert to_categorical([], 3).shape == (0, 3)


def test_to_categorical_kinds_of_labels():
    for labels in ([1.0, 0.0], np.array([1, 0], np.uint8), [True, False], np.array([1.0, 0.0], np.float32)):
        assert to_categorical(labels, dtype="int32").tolist() == [[0, 1], [1, 0]]


def test_to_categorical_keras_2_spelling():
    result = to_categorical(y=[1, 0], num_classes=2, dtype="float32")
    assert result.dtype == np.float32
    assert result.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, -1], {}, "x: expected class numbers from 0 to 0, got -1"),
        ([0, 3], {"num_classes": 3}, "x: expected class numbers from 0 to 2, got 3"),
        ([0.5], {}, "x: expected whole numbers, got 0.5"),
        ([np.nan], {}, "x: expected whole numbers, got nan"),
        ([np.inf], {}, "x: expected whole numbers, got inf"),
        (["1"], {}, "x: expected whole numbers, got an array of <U1"),
        ([1j], {}, "x: expected whole numbers, got an array of complex128"),
        ([None], {}, "x: expected whole numbers, got an array of object"),
        ([[1], [2, 3]], {}, "x: expected an array of class numbers, got lists of unequal lengths"),
        (np.array([2**63], np.uint64), {}, "x: expected class numbers that fit into memory"),
        ([0], {"num_classes": 0}, "num_classes: expected a positive integer, got 0"),
        ([0], {"num_classes": 2.5}, "num_classes: expected a positive integer, got 2.5"),
        ([0], {"dtype": "U3"}, "dtype: expected a type of numbers, got 'U3'"),
        ([0], {"dtype": "float33"}, "dtype: expected a type of numbers, got 'float33'"),
    ],
)
def test_to_categorical_refuses(labels, options, message):
    with pytest.raises(ValueError, match=message):
        to_categorical(labels, **options)


def test_to_categorical_too_many_classes_for_memory():
    with pytest.raises(MemoryError, match=r"num_classes: expected a result that fits into memory, got \[1, "):
        to_categorical([10**14])


def test_to_categorical_needs_one_array():
    with pytest.raises(TypeError, match="got none"):
        to_categorical()
    with pytest.raises(TypeError, match="got two"):
        to_categorical([1], y=[1])


@pytest.mark.parametrize("order", [1, 2, 3, 0.5, np.inf])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize_gives_norm_one(order, axis):
    x = np.random.default_rng(0).standard_normal((4, 5)) * 10
    result = normalize(x, axis, order)
    norm = np.abs(result).max(axis) if order == np.inf else (np.abs(result) ** order).sum(axis) ** (1 / order)
    np.testing.assert_allclose(norm, 1, rtol=1e-14)
    np.testing.assert_allclose(result * x, np.abs(result * x), rtol=0)


def test_normalize_types_and_edges():
    assert normalize(np.ones((2, 3), np.float32)).dtype == np.float32
    assert normalize([[1, 2]]).dtype == np.float64
    assert normalize(np.zeros((2, 3))).tolist() == [[0] * 3] * 2
    assert normalize(np.zeros((2, 0))).shape == (2, 0)
    np.testing.assert_allclose(normalize([3e300, 4e300]), [0.6, 0.8])
    np.testing.assert_allclose(normalize([3e-300, 4e-300]), [0.6, 0.8])
    assert np.isnan(normalize([np.nan, 1.0])).all()
    assert normalize([np.inf, 1.0])[1] == 0


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (["a"], {}, "x: expected real numbers, got an array of <U1"),
        ([1j], {}, "x: expected real numbers"),
        ([[1], [2, 3]], {}, "x: expected an array, got lists of unequal lengths"),
        ([1.0], {"axis": 1}, "axis: expected an axis of an array of 1 axes, got 1"),
        (1.0, {}, "axis: expected an axis of an array of 0 axes, got -1"),
        ([1.0], {"order": 0}, "order: expected a positive number, got 0"),
        ([1.0], {"order": "2"}, "order: expected a positive number, got '2'"),
    ],
)
def test_normalize_refuses(x, options, message):
    with pytest.raises(ValueError, match=message):
        normalize(x, **options)
