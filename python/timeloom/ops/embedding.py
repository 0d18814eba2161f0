"""Rows of a table, picked by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import _core
from timeloom.autograd import is_recorded, keep, record
from timeloom.autograd.recording import Array
from timeloom.ops.checks import contiguous, integers, real


def embedding(indices: Any, embeddings: Any) -> Any:
    """Look up rows of a table.

    Equations:
        outputs[..., :] = embeddings[indices[...], :]
        d embeddings[i] = sum of d outputs over the places where indices is i, in their order

    Args:
        indices: integers of any shape, in [0, rows).
        embeddings: [rows, features], float32 or float64.

    Returns:
        [*indices.shape, features].

    Raises:
        TypeError: indices that are not integers.
        ValueError: an index out of range.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.embedding(np.array([2, 0]), np.array([[0.0], [1.0], [2.0]]))
        array([[2.],
               [0.]])
    """
    table = real("embeddings", embeddings, ndim=2)
    picked = integers("indices", indices)
    rows = table.shape[0]
    numbers = contiguous(picked.astype(np.int64, copy=False))
    if numbers is picked and is_recorded(embeddings):
        numbers = keep(picked)

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        return (_core.embedding_gradient(contiguous(g), numbers, rows),)

    return record(_core.embedding(contiguous(table), numbers), (embeddings,), backward)
