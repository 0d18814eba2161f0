"""From arrays, and sequences without padding, to batches: order, shuffling, the part held out."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import backend
from timeloom.arguments import number, positive_integer
from timeloom.data import gather
from timeloom.packed import Packed

__all__ = ["Batch", "Batches", "Samples", "split_validation"]

# Samples first; a Packed where their numbers of timesteps differ.
Samples = NDArray[Any] | Packed
# Inputs, targets, sample weights.
Batch = tuple[Samples, Samples | None, Samples | None]


def split_validation(
    validation_split: Any, x: Samples, y: Samples, weights: Samples | None
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
    """As many inputs, targets and weights, cut into batches epoch by epoch.

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

    def check_rows(self, rows: int | None, name: str, epochs: int = 1, argument: str = "batch_size") -> None:
        """Refuses batches of which one would have another number of samples than a stateful model takes.

        Args:
            rows: What the model takes. None: any number.
            name: Of the data, for the message.
            epochs: How many epochs go on where the one before stopped. Default 1.
            argument: What said the size of the batches. Default ``"batch_size"``.

        Raises:
            ValueError: If there is such a batch.
        """
        if rows is None or self.size == 0 or self.size == rows <= self.batch_size:
            return
        if self.batch_size != rows:
            raise ValueError(
                f"{argument}: expected {rows} for a stateful model built for {rows} rows, "
                f"got {self.batch_size}"
            )
        if self.size % rows and self.steps * epochs > self.size // rows:
            raise ValueError(
                f"{name}: expected a multiple of {rows} samples for a stateful model built for {rows} rows, "
                f"got {self.size}"
            )

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
            _taken(x, rows),
            None if y is None else _taken(y, rows),
            None if weights is None else _taken(weights, rows),
        )


def _taken(samples: Samples, rows: NDArray[np.intp]) -> Samples:
    if isinstance(samples, Packed):
        return Packed(*gather(samples.values, samples.offsets[:-1], samples.lengths, rows))
    return samples.take(rows, axis=0)
