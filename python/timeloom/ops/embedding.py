"""Rows of a table, picked by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom.autograd import record
from timeloom.autograd.recording import Array
from timeloom.ops.checks import integers, real


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
    rows, features = table.shape
    flat = picked.reshape(-1).astype(np.intp)
    if flat.size:
        low, high = int(flat.min()), int(flat.max())
        if low < 0 or high >= rows:
            raise ValueError(f"indices: expected integers in [0, {rows}), got {low if low < 0 else high}")

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
        gradient = np.zeros((rows, features), dtype=table.dtype)
        if flat.size:
            # Equal indices side by side, in order of occurrence: one sum for each row of the table.
            order = np.argsort(flat, kind="stable")
            names = flat[order]
            starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
            gradient[names[starts]] = np.add.reduceat(
                np.asarray(g).reshape(-1, features)[order], starts, axis=0
            )
        return (gradient,)

    return record(table[flat].reshape(*picked.shape, features), (embeddings,), backward)
