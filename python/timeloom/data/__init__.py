"""Data on its way into a model.

Here belong the functions that turn ragged Python data into arrays, and batches of them; the loops are in the
Cython module `_ragged`, which only this package calls. Here belong no layer, no gradient and no file of a
dataset (see `timeloom.datasets`).
"""

from timeloom.data.buckets import bucket_by_length
from timeloom.data.classes import one_hot
from timeloom.data.packing import gather, pack, starts_of, unpack
from timeloom.data.padding import pad_sequences
from timeloom.data.text import Vocabulary, text_to_word_sequence
from timeloom.data.windows import windows

__all__ = [
    "Vocabulary",
    "bucket_by_length",
    "gather",
    "one_hot",
    "pack",
    "pad_sequences",
    "starts_of",
    "text_to_word_sequence",
    "unpack",
    "windows",
]
