"""Batches of windows of a long sequence, under Keras's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import arguments, backend

Array = npt.NDArray[Any]
Batch = Array | tuple[Array, Array]


class TimeseriesDataset:
    """Batches of windows, each made when it is asked for; `timeseries_dataset_from_array` makes it.

    Iterating over it is one epoch. It yields the inputs of a batch, [batch, sequence_length, ...], or, with
    targets, the pair of inputs and targets. Without a batch size it yields single windows.

    Args:
        data: [timesteps, ...].
        targets: [at least the last window, ...], or None.
        starts: [windows], the first timestep of each window.
        steps: [sequence_length], its timesteps, counted from the first.
        batch_size: a positive integer, or None.
        generator: makes a new random order each time; None keeps the order.
    """

    def __init__(
        self,
        data: Array,
        targets: Array | None,
        starts: npt.NDArray[np.intp],
        steps: npt.NDArray[np.intp],
        batch_size: int | None,
        generator: np.random.Generator | None,
    ) -> None:
        self._data, self._targets = data, targets
        self._starts, self._steps = starts, steps
        self._batch_size, self._generator = batch_size, generator

    def __len__(self) -> int:
        """Number of batches, or of windows where there is no batch size."""
        return -(-len(self._starts) // (self._batch_size or 1))

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of an epoch."""
        starts = self._starts if self._generator is None else self._generator.permutation(self._starts)
        if self._batch_size is None:
            for start in starts:
                yield self._batch(start)
        else:
            for begin in range(0, len(starts), self._batch_size):
                yield self._batch(starts[begin : begin + self._batch_size])

    def _batch(self, starts: Any) -> Batch:
        inputs = self._data.take(np.add.outer(starts, self._steps), axis=0)
        return inputs if self._targets is None else (inputs, self._targets[starts])


def timeseries_dataset_from_array(
    data: npt.ArrayLike,
    targets: npt.ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> TimeseriesDataset:
    """Cuts a long sequence into batches of windows, which exist only while they are used.

    For a sequence whose windows would not fit into memory together; `timeloom.data.windows` makes one array
    of all, which `fit` takes at once.

    Equations:
        window i begins at s = start_index + i * sequence_stride
        inputs[i, t] = data[s + t * sampling_rate], outputs[i] = targets[s]

    Args:
        data: [timesteps, ...] array.
        targets: targets[s] belongs to the window that BEGINS at s: for the forecast of the next value, those
            are data[sequence_length * sampling_rate:]. None: no targets.
        sequence_length: timesteps of a window.
        sequence_stride: timesteps between the beginnings of two windows. Default: 1.
        sampling_rate: timesteps between two of a window. Default: 1.
        batch_size: windows in a batch; the last batch may be smaller. None: single windows. Default: 128.
        shuffle: whether each epoch has a random order. Default: False.
        seed: an integer that fixes the random orders. Default None: that of `set_random_seed`.
        start_index: the first timestep to use. Default None: 0.
        end_index: the first timestep not to use any more. Default None: the number of timesteps.

    Returns:
        An object to iterate over, once an epoch; its `len` is the number of batches.

    Raises:
        ValueError: an argument is not as above.

    Reference:
        keras.utils.timeseries_dataset_from_array, which gives a tf.data.Dataset.

    Example:
        >>> for x, y in timeseries_dataset_from_array(np.arange(6), np.arange(2, 6), 2, batch_size=3):
        ...     print(x.tolist(), y)
        [[0, 1], [1, 2], [2, 3]] [2 3 4]
        [[3, 4]] [5]
    """
    array, wanted = np.asarray(data), None if targets is None else np.asarray(targets)
    for name, value in (("data", array), ("targets", wanted)):
        if value is not None and value.ndim == 0:
            raise ValueError(f"{name}: expected [timesteps, ...], got a single {value.dtype}")
    length = arguments.positive_integer("sequence_length", sequence_length)
    stride = arguments.positive_integer("sequence_stride", sequence_stride)
    rate = arguments.positive_integer("sampling_rate", sampling_rate)
    if batch_size is not None:
        batch_size = arguments.positive_integer("batch_size", batch_size)
    shuffle = arguments.flag("shuffle", shuffle)
    if seed is not None:
        seed = arguments.integer("seed", seed, 0, "None or an integer of at least 0")
    first = 0 if start_index is None else arguments.integer("start_index", start_index)
    end = len(array) if end_index is None else arguments.integer("end_index", end_index)
    if not first < end <= len(array):
        raise ValueError(
            f"start_index, end_index: expected 0 <= start_index < end_index <= {len(array)}, "
            f"got {first} and {end}"
        )
    stop = end - (length - 1) * rate
    if wanted is not None:
        stop = min(stop, len(wanted))
    # Python's range has no limit, np.arange would overflow on a huge stride.
    starts = np.fromiter(range(first, max(stop, first), min(stride, len(array))), np.intp)
    steps = np.fromiter(range(0, length * rate if len(starts) else 0, rate), np.intp)
    generator = None
    if shuffle:
        generator = backend.random_generator() if seed is None else np.random.default_rng(seed)
    return TimeseriesDataset(array, wanted, starts, steps, batch_size, generator)
