"""From the arrays that fit, evaluate and predict get to batches: casts, checks, weights, shuffling."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import backend
from timeloom.arguments import integer, number, positive_integer

__all__ = ["Batch", "Batches", "check_lengths", "class_weights", "single_array", "split_validation"]

# Inputs, targets, sample weights.
Batch = tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]


def single_array(name: str, value: Any) -> Any:
    """Returns the one array that a Sequential takes, out of a list or dict of one if need be.

    Raises:
        ValueError: If there is none, or several.
        NotImplementedError: If value is a generator or another iterator of batches.
    """
    if value is None:
        raise ValueError(f"{name}: expected an array, got None")
    if isinstance(value, Mapping):
        value = list(value.values())
    # A list of arrays is several inputs, a list of numbers or of lists is data.
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, np.ndarray) for item in value):
        if len(value) == 1:
            return value[0]
        if value[0].ndim > 1 or isinstance(value, tuple):
            raise ValueError(f"{name}: expected one array, got {len(value)}")
    is_data = hasattr(value, "__array__") or isinstance(value, (list, tuple, int, float, str, bytes))
    if not is_data and hasattr(value, "__iter__"):
        raise NotImplementedError(
            f"{name}: expected an array, got {type(value).__name__}: iterators are not implemented yet"
        )
    return value


def check_lengths(**arrays: NDArray[Any] | None) -> int:
    """Returns the common number of samples.

    Raises:
        ValueError: If the numbers differ or are 0.
    """
    sizes = {}
    for name, array in arrays.items():
        if array is not None:
            if array.ndim == 0:
                raise ValueError(f"{name}: expected at least one dimension, got a single number")
            sizes[name] = len(array)
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(
            f"{', '.join(sizes)}: expected the same number of samples, got {found}. "
            "Data cardinality is ambiguous"
        )
    name, size = next(iter(sizes.items()))
    if size == 0:
        raise ValueError(f"{name}: expected at least one sample, got 0")
    return size


def class_weights(class_weight: Any, y: NDArray[Any]) -> NDArray[np.float64]:
    """Returns one weight per sample: that of its class, 1 for a class that is not listed.

    Args:
        class_weight: Dict from class number to weight.
        y: One-hot rows or labels.

    Raises:
        ValueError: If class_weight is no such dict.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight: expected a dict, got {type(class_weight).__name__}")
    labels = y
    if y.ndim > 1:
        labels = y[..., 0] if y.shape[-1] == 1 else y.argmax(-1)
    if labels.ndim != 1:
        raise ValueError(f"class_weight: expected one label per sample, got targets of shape {y.shape}")
    numbers = np.round(labels)
    weights = np.ones(len(numbers))
    for label, weight in class_weight.items():
        weights[numbers == integer("class_weight", label)] = number("class_weight", weight)
    return weights


def split_validation(
    validation_split: Any, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None
) -> tuple[Batch, Batch]:
    """Cuts the last fraction off for validation.

    Raises:
        ValueError: If the fraction lies outside [0, 1) or leaves a part without samples.
    """
    fraction = number("validation_split", validation_split, 0.0, 1.0)
    cut = math.floor(len(x) * (1.0 - fraction))
    if cut in (0, len(x)):
        raise ValueError(
            f"validation_split: expected a fraction that leaves some of {len(x)} samples on both sides, "
            f"got {fraction}"
        )
    first = (x[:cut], y[:cut], None if weights is None else weights[:cut])
    return first, (x[cut:], y[cut:], None if weights is None else weights[cut:])


class Batches:
    """Arrays of one length, cut into batches epoch by epoch.

    Args:
        data: Inputs, targets and weights; the latter two may be None.
        batch_size: Positive integer. Default None: 32, or as many as steps makes of the data.
        steps: Batches in an epoch. Default None: all, the last one may be smaller. Epochs of fewer steps go
            on where the one before stopped, and start anew when the data is used up.
        shuffle: True, False or ``"batch"`` (only inside each batch).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, data: Batch, batch_size: Any = None, steps: Any = None, shuffle: bool | str = False
    ) -> None:
        if not isinstance(shuffle, (bool, np.bool_)) and shuffle != "batch":
            raise ValueError(f"shuffle: expected True, False or 'batch', got {shuffle!r}")
        self.data = data
        self.size = len(data[0])
        steps = None if steps is None else positive_integer("steps", steps)
        if batch_size is None:
            batch_size = 32 if steps is None else math.ceil(self.size / steps)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.shuffle = "batch" if shuffle == "batch" else bool(shuffle)
        whole = math.ceil(self.size / self.batch_size)
        self.steps = whole if steps is None else steps
        self._order: NDArray[np.intp] | None = None
        self._position = self.size

    def restart(self) -> None:
        """Lets the next epoch begin with the first sample."""
        self._position = self.size

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of one epoch."""
        for _ in range(self.steps):
            if self._position >= self.size:
                self._position = 0
                self._order = None
                if self.shuffle is True:
                    self._order = backend.random_generator().permutation(self.size)
            start, stop = self._position, min(self._position + self.batch_size, self.size)
            self._position = stop
            if self._order is not None:
                yield self._gather(self._order[start:stop])
            elif self.shuffle == "batch":
                yield self._gather(start + backend.random_generator().permutation(stop - start))
            else:
                x, y, weights = self.data
                yield (
                    x[start:stop],
                    None if y is None else y[start:stop],
                    None if weights is None else weights[start:stop],
                )

    def _gather(self, rows: NDArray[np.intp]) -> Batch:
        x, y, weights = self.data
        return (
            x.take(rows, axis=0),
            None if y is None else y.take(rows, axis=0),
            None if weights is None else weights.take(rows, axis=0),
        )
