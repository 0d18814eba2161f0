"""Shapes and dtypes as layers take them, and the check whether a weight fits into this machine."""

import contextlib
import functools
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timeloom import backend
from timeloom.arguments import integer, positive_integer
from timeloom.arrays import shape_text

__all__ = ["Shape", "check_memory", "float_dtype", "full_shape", "take_input_shape"]

# With the batch first; None where any size may come.
Shape = tuple[int | None, ...]


def float_dtype(dtype: Any) -> str:
    """Returns the dtype of a layer: from None, a name, a NumPy dtype or the dict of a dtype policy.

    Raises:
        NotImplementedError: If it is neither float32 nor float64.
        ValueError: If it is no dtype at all.

    Example:
        >>> float_dtype({"class_name": "DTypePolicy", "config": {"name": "float64"}})
        'float64'
    """
    if dtype is None:
        return backend.floatx()
    if isinstance(dtype, Mapping):
        dtype = dtype.get("config", {}).get("name")
    try:
        name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or np.dtype(dtype).name
    except TypeError:
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}") from None
    if name not in ("float32", "float64"):
        raise NotImplementedError(
            f"dtype: expected 'float32' or 'float64', got {name!r}: not implemented yet"
        )
    return str(name)


def full_shape(name: str, shape: Any) -> Shape:
    """Returns shape as a tuple of sizes, each a positive integer or None.

    Raises:
        ValueError: If it is anything else.

    Example:
        >>> full_shape("input_shape", [None, 3])
        (None, 3)
    """
    if not isinstance(shape, Sequence) or isinstance(shape, (str, bytes)):
        raise ValueError(f"{name}: expected a tuple of sizes, got {shape!r}")
    return tuple(None if size is None else integer(name, size, 1, "positive sizes or None") for size in shape)


def take_input_shape(kwargs: dict[str, Any], input_length: bool = False) -> Shape | None:
    """Takes what a first layer may say about its inputs out of kwargs.

    Args:
        kwargs: May hold input_shape, batch_input_shape (or batch_shape), batch_size, input_dim and, if the
            layer knows it, input_length. These are removed.
        input_length: Whether input_dim is the last of two sizes, the first being input_length or None.

    Returns:
        The shape with the batch, or None if there is none.
    """
    batch_size = kwargs.pop("batch_size", None)
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    shape = kwargs.pop("input_shape", None)
    input_dim = kwargs.pop("input_dim", None)
    batch_shape = kwargs.pop("batch_shape", None)
    batch_shape = kwargs.pop("batch_input_shape", batch_shape)
    length = kwargs.pop("input_length", None) if input_length else None
    if batch_shape is not None:
        return full_shape("batch_input_shape", batch_shape)
    if shape is not None:
        if isinstance(shape, (int, np.integer)):
            shape = (shape,)
        return (batch_size, *full_shape("input_shape", shape))
    if input_dim is None:
        return None
    features = positive_integer("input_dim", input_dim)
    if not input_length:
        return (batch_size, features)
    return (batch_size, None if length is None else positive_integer("input_length", length), features)


@functools.cache
def installed_memory() -> float:
    """Returns how many bytes of memory this process may use at most, as far as the system tells."""
    limit = math.inf
    with contextlib.suppress(AttributeError, ValueError, OSError):
        limit = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    # A container may have less than the machine; its file says "max" if it has not.
    with contextlib.suppress(ValueError, OSError), open("/sys/fs/cgroup/memory.max") as file:
        limit = min(limit, float(file.read()))
    return limit


def check_memory(name: str, shape: Sequence[int], itemsize: int) -> None:
    """Refuses a weight that this machine cannot hold, before the system kills the process over it.

    Raises:
        MemoryError: If the weight and its initial values in float64 exceed the installed memory.
    """
    installed = installed_memory()
    needed = math.prod(shape) * itemsize
    if needed + math.prod(shape) * 8 > installed:
        raise MemoryError(
            f"{name}: expected a weight that fits into {installed / 2**30:.0f} GiB of memory, "
            f"got shape {shape_text(shape)}: {needed / 2**30:.0f} GiB"
        )
