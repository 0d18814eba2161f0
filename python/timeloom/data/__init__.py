"""Data on its way into a model.

Here belong the functions that turn ragged Python data into arrays, and batches of them; the loops are in the
Cython module `_ragged`, which only this package calls. Here belong no layer, no gradient and no file of a
dataset (see `timeloom.datasets`).
"""

from timeloom.data.packing import gather, pack, starts_of, unpack
from timeloom.data.padding import pad_sequences

__all__ = ["gather", "pack", "pad_sequences", "starts_of", "unpack"]
