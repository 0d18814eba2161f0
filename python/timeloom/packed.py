"""Packed: sequences of unequal lengths in one array, without padding.

Here belong the container and the ways in and out of it; which layer takes one is said there.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from timeloom.autograd import Operand
from timeloom.autograd.recording import value as plain

__all__ = ["Packed"]


class Packed:
    """Sequences one after the other: what stands for [batch, timesteps, ...] where lengths differ.

    Recurrent layers take one in place of an array, layers that act on each timestep alone do too, and fit,
    evaluate and predict make them from lists of arrays. Nothing is computed for padding, as there is none.

    Args:
        values: All timesteps of the first sequence, then those of the second ...: array, traced array or
            Variable, shape [sum(lengths), ...].
        lengths: Number of timesteps of each sequence, integers of at least 0, shape [batch].

    Attributes:
        values: As given.
        lengths: A copy, as int64.

    Raises:
        ValueError: If lengths does not add up to the timesteps in values.
        TypeError: If lengths holds no integers.

    Example:
        >>> batch = Packed(np.arange(3.0), [1, 2])
        >>> batch
        <Packed shape=(2, None) lengths=[1, 2] dtype=float64>
        >>> batch[1]
        array([1., 2.])
    """

    __slots__ = ("_offsets", "lengths", "values")

    def __init__(self, values: Any, lengths: Any) -> None:
        if not isinstance(values, (np.ndarray, Operand)):
            values = np.asarray(values)
        counts = np.asarray(lengths)
        if counts.size and counts.dtype.kind not in "iu":
            raise TypeError(f"lengths: expected integers, got dtype {counts.dtype}")
        if counts.ndim != 1 or (counts.size and counts.min() < 0):
            raise ValueError(f"lengths: expected a row of integers of at least 0, got {lengths!r}")
        # Sums of integers of 64 bits wrap around in silence; those of Python do not.
        wraps = float(counts.sum(dtype=np.float64)) >= 2.0**62
        total = sum(counts.tolist()) if wraps else int(counts.sum())
        if len(values.shape) == 0 or total != values.shape[0]:
            got = "a single number" if len(values.shape) == 0 else f"{values.shape[0]} timesteps"
            raise ValueError(f"values: expected {total} timesteps, the sum of lengths, got {got}")
        self.values = values
        self.lengths: NDArray[np.int64] = counts.astype(np.int64)
        self._offsets: NDArray[np.int64] | None = None

    @classmethod
    def from_sequences(cls, sequences: Iterable[Any], name: str = "sequences") -> "Packed":
        """Joins sequences, copying each once.

        Args:
            sequences: Arrays [timesteps, ...] that agree in all axes but the first; at least one.
            name: What messages call them. Default ``"sequences"``.

        Raises:
            ValueError: If there is none, or the shapes of their timesteps differ.
            TypeError: If one does not hold real numbers.

        Example:
            >>> Packed.from_sequences([np.zeros((2, 3)), np.ones((4, 3))]).shape
            (2, None, 3)
        """
        arrays = [np.asarray(sequence) for sequence in sequences]
        if not arrays:
            raise ValueError(f"{name}: expected at least one, got none")
        for place, array in enumerate(arrays):
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{name}[{place}]: expected real numbers, got dtype {array.dtype}")
            if array.ndim == 0 or array.shape[1:] != arrays[0].shape[1:]:
                expected = ", ".join(map(str, ("timesteps", *arrays[0].shape[1:])))
                raise ValueError(f"{name}[{place}]: expected shape [{expected}], got {array.shape}")
        return cls(np.concatenate(arrays), np.fromiter(map(len, arrays), np.int64, len(arrays)))

    def with_values(self, values: Any) -> "Packed":
        """Returns other values, as many timesteps of them, under the same lengths."""
        if values.shape[:1] != self.values.shape[:1]:
            raise ValueError(f"values: expected {self.values.shape[0]} timesteps, got shape {values.shape}")
        fresh = object.__new__(Packed)
        fresh.values, fresh.lengths, fresh._offsets = values, self.lengths, self._offsets
        return fresh

    # ---- what an array has --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int | None, ...]:
        """(number of sequences, None, ...): None stands for the lengths."""
        return (len(self.lengths), None, *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes of `shape`."""
        return len(self.values.shape) + 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        found: np.dtype[Any] = self.values.dtype
        return found

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        lengths = np.array2string(self.lengths, separator=", ", threshold=8, edgeitems=3)
        return f"<Packed shape={self.shape} lengths={lengths} dtype={self.dtype}>"

    def __array__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("Packed: expected pad(), split() or values to take the numbers out, got np.asarray")

    # ---- sequences ----------------------------------------------------------------------------------------

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sequence begins in values, and behind the last one their end: shape [batch + 1]."""
        if self._offsets is None:
            offsets = np.zeros(len(self.lengths) + 1, np.int64)
            np.cumsum(self.lengths, out=offsets[1:])
            self._offsets = offsets
        return self._offsets

    def __iter__(self) -> Iterator[Any]:
        return iter(self.split())

    def __getitem__(self, index: Any) -> Any:
        """One sequence by an integer; a Packed of some by a slice, or by what `take` takes.

        Raises:
            IndexError: If there is no such sequence.
            TypeError: If index is anything else.
        """
        if isinstance(index, np.ndarray) and index.ndim == 0:
            index = index[()]
        offsets = self.offsets
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            place = int(index)
            if not -len(self) <= place < len(self):
                raise IndexError(f"index: expected a place among {len(self)} sequences, got {place}")
            place %= len(self)
            return self.values[int(offsets[place]) : int(offsets[place + 1])]
        if isinstance(index, slice):
            places = range(len(self))[index]
            if places.step == 1:
                start, stop = places.start, max(places.start, places.stop)
                return Packed(self.values[int(offsets[start]) : int(offsets[stop])], self.lengths[start:stop])
            index = np.array(places, dtype=np.int64)
        if isinstance(index, tuple):
            raise TypeError(f"index: expected one for the sequences, got {len(index)}: {index!r}")
        return self.take(index)

    def take(self, rows: Any) -> "Packed":
        """Returns the sequences at these places, in that order.

        Args:
            rows: Integers, shape [n], of which negative ones count from the end; or a bool for each sequence.

        Raises:
            IndexError: If there is no such sequence, or a bool too many or too few.
            TypeError: If rows is no row of integers or bools.

        Example:
            >>> Packed(np.arange(3.0), [1, 2]).take([-1, 0]).values
            array([1., 2., 0.])
        """
        places = self._places(rows)
        lengths = self.lengths[places]
        offsets = self.offsets
        starts, stops = offsets[places].tolist(), offsets[places + 1].tolist()
        followed = isinstance(self.values, Operand)
        if followed:
            steps = [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
            return Packed(self.values[np.concatenate(steps) if steps else np.empty(0, np.int64)], lengths)
        parts = [self.values[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return Packed(np.concatenate(parts) if parts else self.values[:0], lengths)

    def _places(self, rows: Any) -> NDArray[np.int64]:
        """Returns rows as places counted from the front."""
        chosen = np.asarray(rows)
        if chosen.ndim == 1 and chosen.size == 0 and not isinstance(rows, np.ndarray):
            chosen = chosen.astype(np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iub":
            raise TypeError(
                f"rows: expected a row of integers or bools, got shape {chosen.shape} of dtype {chosen.dtype}"
            )
        count = len(self)
        if chosen.dtype.kind == "b":
            if chosen.size != count:
                raise IndexError(f"rows: expected {count} bools, one for each sequence, got {chosen.size}")
        elif chosen.size and not (chosen.min() >= -count and chosen.max() < count):
            worst = chosen.min() if chosen.min() < -count else chosen.max()
            raise IndexError(f"rows: expected places among {count} sequences, got {worst}")
        found: NDArray[np.int64] = np.arange(count)[chosen]
        return found

    def split(self) -> list[Any]:
        """Returns the sequences as a list of arrays, views of the values."""
        ends = self.offsets.tolist()
        return [self.values[start:stop] for start, stop in itertools.pairwise(ends)]

    def mask(self) -> NDArray[np.bool_]:
        """Returns which timesteps of `pad` are real: bool, shape [batch, longest length]."""
        longest = int(self.lengths.max(initial=0))
        found: NDArray[np.bool_] = np.arange(longest) < self.lengths[:, np.newaxis]
        return found

    def pad(self, value: float = 0.0) -> tuple[Any, NDArray[np.bool_]]:
        """Fills every sequence up to the longest length, behind its timesteps.

        Args:
            value: What to fill with: a number that the dtype of the values holds. Default 0.0.

        Returns:
            The array [batch, longest length, ...] of the same dtype, and its mask (bool, True where real).

        Raises:
            ValueError: If value is no number, or none of that dtype (NaN or a fraction among integers).

        Example:
            >>> Packed(np.arange(3.0), [1, 2]).pad(-1.0)[0]
            array([[ 0., -1.],
                   [ 1.,  2.]])
        """
        value = _filling(value, self.dtype)
        mask = self.mask()
        followed = isinstance(self.values, Operand)
        if followed:
            # Every place looks a timestep up, the padding one behind the last.
            row = np.full((1, *self.values.shape[1:]), value, self.dtype)
            places = np.full(mask.shape, self.values.shape[0], np.int64)
            places[mask] = np.arange(self.values.shape[0])
            return np.concatenate([self.values, row])[places], mask
        padded = np.full((*mask.shape, *self.values.shape[1:]), value, self.dtype)
        padded[mask] = plain(self.values)
        return padded, mask


def _filling(number: Any, dtype: np.dtype[Any]) -> Any:
    """Returns a number as one of the dtype, or refuses it."""
    filling = np.asarray(number)
    if filling.ndim or filling.dtype.kind not in "fiub":
        raise ValueError(f"value: expected a number, got {number!r}")
    if dtype.kind not in "iub":
        return number
    # Casts of what does not fit warn, or wrap around in silence; the comparison finds both.
    with np.errstate(invalid="ignore"):
        held = filling.astype(dtype)
    if held != filling:
        raise ValueError(f"value: expected a number that {dtype} holds, as the values do, got {number!r}")
    return held
