"""The base of all initializers and those that draw nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from timeloom import backend
from timeloom.arguments import integer, number

__all__ = ["Constant", "Identity", "Initializer", "Ones", "Zeros"]


class Initializer:
    """Base of all initializers: a callable from shape and dtype to an array.

    A subclass gives `values(shape)` in float64; `__call__` casts, so a float32 and a float64 model with
    the same seeds start from the same numbers.
    """

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """Returns an array of that shape.

        Args:
            shape: Sizes, each at least 0.
            dtype: Any floating dtype. Default None: `timeloom.backend.floatx()`.

        Raises:
            ValueError: If a size is no integer of at least 0.
        """
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise ValueError(f"shape: expected a tuple of sizes, got {shape!r}")
        sizes = tuple(integer("shape", size) for size in shape)
        return self.values(sizes).astype(backend.floatx() if dtype is None else dtype, copy=False)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Returns the values in float64; what a subclass writes."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method values(shape), got none")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the initializer from `get_config()`; Keras 2 files carry a dtype, which is dropped."""
        return cls(**{name: value for name, value in config.items() if name not in _FOREIGN_KEYS})

    def clone(self) -> Self:
        """Returns a new initializer with the same arguments."""
        return self.from_config(self.get_config())


# Written by other versions of Keras; they change no values here.
_FOREIGN_KEYS = ("dtype", "input_axes", "output_axes")


class Zeros(Initializer):
    """All zeros.

    Example:
        >>> Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.zeros(shape)


class Ones(Initializer):
    """All ones."""

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.ones(shape)


class Constant(Initializer):
    """One value everywhere, or a given array.

    Args:
        value: Number, or array that broadcasts to the shape. Default 0.0.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        value = np.asarray(self.value, dtype=np.float64)
        try:
            return np.array(np.broadcast_to(value, shape))
        except ValueError:
            raise ValueError(f"value: expected a shape that fits {shape}, got {value.shape}") from None

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}


class Identity(Initializer):
    """The identity matrix times gain, for two-dimensional shapes only.

    Args:
        gain: Value on the diagonal. Default 1.0.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number("gain", gain)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) != 2:
            raise ValueError(f"shape: expected two dimensions for Identity, got {shape}")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
