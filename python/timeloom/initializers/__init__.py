"""First values of weights: each initializer is a distribution, a seed and one call.

Here belong functions of a shape, a dtype and a seed. Which weight takes which is the layers' business.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom.initializers.constant import Constant, Identity, Initializer, Ones, Zeros
from timeloom.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from timeloom.lookup import Lookup

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]

_CLASSES: tuple[type[Initializer], ...] = (
    Zeros,
    Ones,
    Constant,
    Identity,
    RandomUniform,
    RandomNormal,
    TruncatedNormal,
    VarianceScaling,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
)

# The lower-case names are the classes, as in Keras: `he_uniform(seed=42)` creates an instance.
zeros = zero = Zeros
ones = one = Ones
constant = Constant
identity = IdentityInitializer = Identity
random_uniform = uniform = RandomUniform
random_normal = normal = RandomNormal
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = OrthogonalInitializer = Orthogonal

_LOOKUP = Lookup(
    "initializer",
    "keras.initializers",
    {name: value for name, value in globals().items() if isinstance(value, type) and value in _CLASSES},
    later=("STFT", "stft", "STFTInitializer"),
)


def get(identifier: Any) -> Callable[..., NDArray[Any]] | None:
    """Resolves what a layer's ``*_initializer`` argument may be.

    Args:
        identifier: Name, class, instance, configuration dict, array, callable(shape, dtype=None) or None.

    Returns:
        A callable of shape and dtype, or None for None.

    Raises:
        ValueError: If the name is unknown or the value of another kind.

    Example:
        >>> type(get("he_normal")).__name__
        'HeNormal'
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return Constant(identifier)
    found: Callable[..., NDArray[Any]] | None = _LOOKUP.get(identifier)
    return found


def serialize(initializer: Any) -> Any:
    """Writes an initializer down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(initializer)
