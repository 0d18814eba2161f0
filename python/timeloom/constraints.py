"""What a weight must satisfy after every update: each constraint maps an array to the nearest legal one.

Here belong functions from one array to one array. The optimizer applies them after its step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timeloom import backend
from timeloom.arguments import number
from timeloom.lookup import Lookup

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get", "serialize"]


class Constraint:
    """Base of all constraints: a callable from an array to a new one of the same shape and dtype."""

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        """Returns the constrained array; w stays as it is."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(w), got none")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the constraint from `get_config()`."""
        return cls(**config)


def _norms(w: NDArray[Any], axis: int | Sequence[int]) -> NDArray[Any]:
    axes = axis if isinstance(axis, int) else tuple(axis)
    norms: NDArray[Any] = np.sqrt(np.sum(np.square(w), axis=axes, keepdims=True))
    return norms


class MaxNorm(Constraint):
    """Scales down what is longer than max_value.

    Equations:
        w * min(norm, max_value) / (epsilon + norm), norms along axis.

    Args:
        max_value: At least 0. Default 2.
        axis: Axis or axes of one vector; 0 for the kernels of Dense and recurrent layers. Default 0.

    Example:
        >>> MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(3).tolist()
        [[0.6], [0.8]]
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = number("max_value", max_value, 0.0)
        self.axis = axis

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        norms = _norms(w, self.axis)
        scaled: NDArray[Any] = w * (np.minimum(norms, self.max_value) / (backend.epsilon() + norms))
        return scaled.astype(w.dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets what is negative to zero."""

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        positive: NDArray[Any] = np.maximum(w, np.zeros((), w.dtype))
        return positive


class UnitNorm(Constraint):
    """Scales every vector to length 1.

    Args:
        axis: Axis or axes of one vector. Default 0.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        scaled: NDArray[Any] = w / (backend.epsilon() + _norms(w, self.axis))
        return scaled.astype(w.dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves lengths into [min_value, max_value].

    Equations:
        desired = rate * clip(norm, min_value, max_value) + (1 - rate) * norm;
        w * desired / (epsilon + norm), norms along axis.

    Args:
        min_value: At least 0. Default 0.0.
        max_value: At least min_value. Default 1.0.
        rate: How much of the way to go at one update, in [0, 1]. Default 1.0.
        axis: Axis or axes of one vector. Default 0.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = number("min_value", min_value, 0.0)
        self.max_value = number("max_value", max_value, self.min_value)
        self.rate = number("rate", rate, 0.0, 1.0)
        self.axis = axis

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        norms = _norms(w, self.axis)
        clipped = np.clip(norms, self.min_value, self.max_value)
        desired = self.rate * clipped + (1.0 - self.rate) * norms
        scaled: NDArray[Any] = w * (desired / (backend.epsilon() + norms))
        return scaled.astype(w.dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm

_CLASSES = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
_LOOKUP = Lookup(
    "constraint",
    "keras.constraints",
    {name: value for name, value in globals().items() if isinstance(value, type) and value in _CLASSES},
    later=("RadialConstraint", "radial_constraint"),
)


def get(identifier: Any) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Resolves what a layer's ``*_constraint`` argument may be.

    Args:
        identifier: Name, class, instance, configuration dict, callable or None.

    Returns:
        A callable, or None for None.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
    """
    found: Callable[[NDArray[Any]], NDArray[Any]] | None = _LOOKUP.get(identifier)
    return found


def serialize(constraint: Any) -> Any:
    """Writes a constraint down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(constraint)
