"""Buckets: batches of sequences of similar lengths."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timeloom import arguments, backend
from timeloom.data import _ragged
from timeloom.data.packing import checked_counts


def bucket_by_length(
    lengths: npt.ArrayLike, batch_size: int, shuffle: bool = True, seed: int | None = None
) -> list[npt.NDArray[np.int64]]:
    """Groups sequences into batches of similar lengths.

    Padded batches of this kind hold little padding, and in packed ones all rows end at about the same step.
    The sequences are ordered by length, those of one length in random order, and cut into batches, which are
    then put into random order. Call it again with another seed for the next epoch.

    Args:
        lengths: [sequences] integers of at least 0.
        batch_size: sequences in a batch, a positive integer.
        shuffle: whether there is any randomness; without it batches and rows are ordered by length, and by
            position where lengths are equal. Default: True.
        seed: an integer of at least 0 that fixes the random order. Default None: `set_random_seed` does.

    Returns:
        A list of batches, [batch_size] int64 indices each; one batch, that of the longest sequences, may be
        smaller. Every index is in exactly one.

    Raises:
        ValueError: an argument is not as above.

    Example:
        >>> bucket_by_length([5, 1, 4, 1, 5], batch_size=2, shuffle=False)
        [array([1, 3]), array([2, 0]), array([4])]
    """
    counts = checked_counts("lengths", lengths)
    batch_size = arguments.positive_integer("batch_size", batch_size)
    shuffle = arguments.flag("shuffle", shuffle)
    if seed is not None:
        seed = arguments.integer("seed", seed, 0, "None or an integer of at least 0")
    generator = backend.random_generator() if seed is None else np.random.default_rng(seed)
    rows = generator.permutation(len(counts)) if shuffle else np.arange(len(counts))
    ordered = _by_length(counts, rows.astype(np.intp, copy=False)).astype(np.int64, copy=False)
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    if shuffle:
        batches = [batches[index] for index in generator.permutation(len(batches))]
    return batches


def _by_length(counts: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    longest = int(counts.max(initial=0))
    if longest > 4 * len(counts) + 1024:
        # A few very long sequences: more lengths to count than sequences to sort.
        order: npt.NDArray[np.intp] = rows[np.argsort(counts[rows], kind="stable")]
        return order
    out = np.empty_like(rows)
    _ragged.order_by_length(counts, rows, np.zeros(longest + 2, np.intp), out)
    return out
