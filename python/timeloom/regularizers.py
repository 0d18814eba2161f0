"""Penalties that a layer adds to the loss for large weights or outputs.

Here belong functions from one array to one number, written with ops so that the tape differentiates them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from timeloom import ops
from timeloom.arguments import number
from timeloom.lookup import Lookup

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2", "serialize"]


class Regularizer:
    """Base of all regularizers: a callable from an array to a number."""

    def __call__(self, x: Any) -> Any:
        """Returns the penalty for x, a scalar."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(x), got none")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the regularizer from `get_config()`."""
        return cls(**config)


class L1L2(Regularizer):
    """Both penalties.

    Equations:
        l1 * sum(abs(x)) + l2 * sum(x**2), without a factor 1/2.

    Args:
        l1: Weight of the first, at least 0. Default 0.0.
        l2: Weight of the second, at least 0. Default 0.0.

    Example:
        >>> import numpy as np
        >>> float(L1L2(l1=0.5, l2=2.0)(np.array([1.0, -2.0])))
        11.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = number("l1", 0.0 if l1 is None else l1, 0.0)
        self.l2 = number("l2", 0.0 if l2 is None else l2, 0.0)

    def __call__(self, x: Any) -> Any:
        penalty: Any = 0.0
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(x * x)
        return penalty

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum(abs(x)).

    Args:
        l1: At least 0. Default 0.01.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum(x**2).

    Args:
        l2: At least 0. Default 0.01.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


l1 = L1
l2 = L2


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Returns L1L2 with the defaults of Keras 2."""
    return L1L2(l1, l2)


_LOOKUP = Lookup(
    "regularizer",
    "keras.regularizers",
    {"L1": L1, "l1": L1, "L2": L2, "l2": L2, "L1L2": L1L2},
    later=("OrthogonalRegularizer", "orthogonal_regularizer"),
)


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """Resolves what a layer's ``*_regularizer`` argument may be.

    Args:
        identifier: Name, class, instance, configuration dict, callable or None.

    Returns:
        A callable, or None for None.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
    """
    if isinstance(identifier, str) and identifier == "l1_l2":
        return l1_l2()
    found: Callable[[Any], Any] | None = _LOOKUP.get(identifier)
    return found


def serialize(regularizer: Any) -> Any:
    """Writes a regularizer down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(regularizer)
