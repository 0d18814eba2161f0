"""Other shapes and orders of the same elements. NumPy's functions do the same; these have Keras's argument
names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def reshape(x: Any, newshape: Sequence[int] | int) -> Any:
    """The same elements in another shape.

    Args:
        x: an array.
        newshape: the shape; one length may be -1.

    Returns:
        An array of that shape.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.reshape(np.arange(4.0), (2, -1))
        array([[0., 1.],
               [2., 3.]])
    """
    return np.reshape(x, newshape)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order.

    Args:
        x: an array.
        axes: the order; reversed by default.

    Returns:
        An array.
    """
    return np.transpose(x, axes)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Arrays one after another along an axis.

    Args:
        xs: arrays of one shape but for ``axis``.
        axis: where they are joined. Default 0.

    Returns:
        An array.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.concatenate([np.ones((1, 2)), np.zeros((1, 1))], axis=-1)
        array([[1., 1., 0.]])
    """
    return np.concatenate(xs, axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Arrays side by side along a new axis.

    Args:
        x: arrays of one shape.
        axis: place of the new axis. Default 0.

    Returns:
        An array with one axis more.
    """
    return np.stack(x, axis)
