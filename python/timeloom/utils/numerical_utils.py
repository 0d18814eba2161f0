"""Labels and norms of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import arguments


def to_categorical(
    x: npt.ArrayLike | None = None,
    num_classes: int | None = None,
    dtype: npt.DTypeLike = "float64",
    *,
    y: npt.ArrayLike | None = None,
) -> npt.NDArray[Any]:
    """Turns class numbers into one-hot rows, for `categorical_crossentropy`.

    Equations:
        result[..., c] = 1 if x[...] == c else 0

    Args:
        x: class numbers from 0 to num_classes - 1, of any shape; floats must be whole numbers. A last axis of
            size 1 is dropped.
        num_classes: number of classes, a positive integer. Default: the largest class number + 1.
        dtype: type of the result, a type of numbers. Default: float64.
        y: the name of `x` in Keras 2.

    Returns:
        Array of the shape of `x` followed by `num_classes`, of type `dtype`.

    Raises:
        TypeError: neither `x` nor `y` is given, or both are.
        ValueError: a label is not a whole number from 0 to num_classes - 1, the labels are ragged or no
            numbers, or `num_classes` or `dtype` is not as above.

    Reference:
        keras.utils.to_categorical, which counts a label of -1 as the last class and cuts fractions off.

    Example:
        >>> to_categorical([0, 2, 1])
        array([[1., 0., 0.],
               [0., 0., 1.],
               [0., 1., 0.]])
        >>> to_categorical([[1]], num_classes=2, dtype="int32")
        array([[0, 1]], dtype=int32)
    """
    if (x is None) == (y is None):
        raise TypeError(
            f"x: expected one array of class numbers, got {'two (x and y)' if y is not None else 'none'}"
        )
    labels = _whole_numbers(x if y is None else y)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    largest = int(labels.max(initial=-1))
    classes = largest + 1 if num_classes is None else arguments.positive_integer("num_classes", num_classes)
    if labels.size and (int(labels.min()) < 0 or largest >= classes):
        wrong = int(labels.min()) if int(labels.min()) < 0 else largest
        raise ValueError(f"x: expected class numbers from 0 to {classes - 1}, got {wrong}")
    result = _zeros((labels.size, classes), dtype)
    result[np.arange(labels.size), labels.reshape(-1)] = 1
    return result.reshape(*labels.shape, classes)


def _whole_numbers(values: Any) -> npt.NDArray[np.int64]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError("x: expected an array of class numbers, got lists of unequal lengths") from None
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(f"x: expected whole numbers, got an array of {array.dtype}")
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.trunc(array) == array) & (np.abs(array) < 2.0**53)
        if not whole.all():
            raise ValueError(f"x: expected whole numbers, got {array[~whole].flat[0]}")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        raise ValueError(f"x: expected class numbers that fit into memory, got {array.max()}")
    return array.astype(np.int64)


def _zeros(shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = np.dtype(object)
    if target.kind not in "biufc":
        raise ValueError(f"dtype: expected a type of numbers, got {dtype!r}")
    try:
        return np.zeros(shape, target)
    except (MemoryError, ValueError):
        sizes = ", ".join(map(str, shape))
        raise MemoryError(
            f"num_classes: expected a result that fits into memory, got [{sizes}] of {target}"
        ) from None


def normalize(x: npt.ArrayLike, axis: int = -1, order: float = 2) -> npt.NDArray[Any]:
    """Divides an array by its norm along an axis.

    Equations:
        result = x / (sum |x|^order)^(1/order), the sum along `axis`; a slice of zeros stays zeros

    Args:
        x: array of real numbers. Integers become float64.
        axis: the axis of the norm. Default: the last.
        order: 1, 2, any other positive number, or `numpy.inf` for the largest element. Default: 2.

    Returns:
        Array of the shape of `x`, of its type if that is a float, else float64.

    Raises:
        ValueError: `x` is no array of real numbers, has no such axis, or `order` is not positive.

    Reference:
        keras.utils.normalize.

    Example:
        >>> normalize([[3.0, 4.0], [0.0, 0.0]])
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError("x: expected an array, got lists of unequal lengths") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"x: expected real numbers, got an array of {array.dtype}")
    if isinstance(axis, bool) or not isinstance(axis, int) or not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis: expected an axis of an array of {array.ndim} axes, got {axis!r}")
    if isinstance(order, (bool, str)) or not order > 0:
        raise ValueError(f"order: expected a positive number, got {order!r}")
    real = array if array.dtype.kind == "f" else array.astype(np.float64)
    # Divided by the largest element first: squares of large numbers would overflow, of small ones vanish.
    largest = np.abs(real).max(axis=axis, keepdims=True, initial=0)
    with np.errstate(invalid="ignore"):  # infinity over infinity is nan, without a word
        scaled = real / np.where(largest == 0, 1, largest).astype(real.dtype)
    if order == np.inf:
        return scaled
    norm = (np.abs(scaled) ** order).sum(axis=axis, keepdims=True) ** (1 / order)
    return scaled / np.where((norm == 0) | np.isinf(largest), 1, norm).astype(real.dtype)
