"""Matrix products, under the summation rule of the kernels: also what ``@`` means on traced arrays and
Variables.

Equations:
    y = a b;   da = dy b^T;   db = a^T dy
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import _core
from timeloom.autograd import OTHERS, is_recorded, keep, record, value
from timeloom.autograd.gradients import sum_to_shape
from timeloom.autograd.recording import Array
from timeloom.ops.checks import contiguous, real, same_dtype


def matmul(x1: Any, x2: Any) -> Any:
    """Product of matrices, stacks of matrices or vectors, as ``numpy.matmul``.

    Every element of a product with a matrix is one chain of fused multiply-adds in ascending order, so it
    does not depend on other rows or on the number of threads. Products of two stacks are NumPy's.

    Args:
        x1: [..., M, K] or [K], float32 or float64.
        x2: [..., K, N] or [K], of the same dtype.

    Returns:
        [..., M, N], without M or N where the operand is a vector.

    Raises:
        TypeError: another dtype, or two dtypes.
        ValueError: shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
        array([[11.]])
    """
    same_dtype("x2", real("x2", x2), "x1", real("x1", x1))
    return _matmul(x1, x2)


def _matmul(a: Any, b: Any) -> Any:
    """NumPy's matmul with its dtype promotion, recorded."""
    recorded = is_recorded(a, b)
    x, y = np.asarray(keep(a) if recorded else value(a)), np.asarray(keep(b) if recorded else value(b))
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("matmul: expected arrays of at least one axis, got a scalar; use * for it")
    inner = y.shape[0] if y.ndim == 1 else y.shape[-2]
    if x.shape[-1] != inner:
        raise ValueError(
            f"matmul: expected {x.shape[-1]} rows in x2 as x1 has columns, got {x.shape} @ {y.shape}"
        )
    dtype = x.dtype if x.dtype is y.dtype else np.result_type(x, y)
    if y.ndim > 2 or dtype.char not in "fd" or not dtype.isnative:
        return _stacked(a, b, x, y)
    rows = math.prod(x.shape[:-1])
    columns = 1 if y.ndim == 1 else y.shape[1]
    left, right = _matrix(x, dtype, (rows, inner)), _matrix(y, dtype, (inner, columns))
    output = _core.matmul(left, right)
    if x.ndim != 2 or y.ndim != 2:
        output = output.reshape(x.shape[:-1] + y.shape[1:])
    if not recorded:
        return output

    def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any]:
        d = _matrix(np.asarray(g), dtype, (rows, columns))
        d_a = d_b = None
        if needs[0]:
            d_a = _core.matmul(d, right, transpose_b=True).reshape(x.shape).astype(x.dtype, copy=False)
        if needs[1]:
            d_b = _core.matmul(left, d, transpose_a=True).reshape(y.shape).astype(y.dtype, copy=False)
        return d_a, d_b

    return record(output, (a, b), backward)


def _matrix(array: Array, dtype: np.dtype[Any], shape: tuple[int, int]) -> Array:
    """The array as the matrix that the kernels take."""
    if array.dtype is not dtype:
        array = array.astype(dtype, copy=False)
    matrix: Array = contiguous(array if array.shape == shape else array.reshape(shape))
    return matrix


def _stacked(a: Any, b: Any, x: Array, y: Array) -> Any:
    """Products of stacks, and of dtypes that the kernels do not know."""

    def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any]:
        left = x[None, :] if x.ndim == 1 else x
        right = y[:, None] if y.ndim == 1 else y
        d = np.asarray(g)
        if x.ndim == 1:
            d = np.expand_dims(d, -1 if y.ndim == 1 else -2)
        if y.ndim == 1:
            d = np.expand_dims(d, -1)
        d_a = d_b = None
        if needs[0]:
            d_a = (
                sum_to_shape(d @ np.swapaxes(right, -1, -2), left.shape)
                .reshape(x.shape)
                .astype(x.dtype, copy=False)
            )
        if needs[1]:
            d_b = (
                sum_to_shape(np.swapaxes(left, -1, -2) @ d, right.shape)
                .reshape(y.shape)
                .astype(y.dtype, copy=False)
            )
        return d_a, d_b

    return record(np.asarray(np.matmul(x, y)), (a, b), backward)


OTHERS[np.matmul] = _matmul
