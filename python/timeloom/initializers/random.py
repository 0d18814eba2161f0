"""Initializers that draw from a distribution, each instance from its own seed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import backend
from timeloom.arguments import integer, number
from timeloom.initializers.constant import Initializer

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "fans",
]

# Standard deviation of a unit normal distribution cut at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of the initializers that draw: an instance gives the same values at every call, as in Keras.

    Args:
        seed: Non-negative integer. Default None: drawn once, when the instance is created, from the
            process-wide generator.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else integer("seed", seed)
        self._drawn_seed = backend.next_seed() if self.seed is None else self.seed

    def generator(self) -> np.random.Generator:
        """Returns a fresh generator; the same numbers each time."""
        return np.random.default_rng(self._drawn_seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomUniform(RandomInitializer):
    """Uniform values in [minval, maxval).

    Args:
        minval: Lower bound. Default -0.05.
        maxval: Upper bound. Default 0.05.
        seed: As for every random initializer.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = number("minval", minval)
        self.maxval = number("maxval", maxval, self.minval)
        super().__init__(seed)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return self.generator().uniform(self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class RandomNormal(RandomInitializer):
    """Normal values.

    Args:
        mean: Default 0.0.
        stddev: Default 0.05.
        seed: As for every random initializer.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = number("mean", mean)
        self.stddev = number("stddev", stddev, 0.0)
        super().__init__(seed)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return self.generator().normal(self.mean, self.stddev, shape)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normal values; those beyond two standard deviations are drawn again."""

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return self.mean + self.stddev * _truncated_normal(self.generator(), shape)


class VarianceScaling(RandomInitializer):
    """Values whose variance is scale / fan, so that a layer keeps the size of its signal.

    Equations:
        fan_in and fan_out are the sizes of the last two axes (times those before), n one of them or
        their mean. truncated_normal: stddev = sqrt(scale / n) / 0.8796 before the cut;
        untruncated_normal: stddev = sqrt(scale / n); uniform: limit = sqrt(3 scale / n).

    Args:
        scale: Positive number. Default 1.0.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``. Default ``"fan_in"``.
        distribution: ``"truncated_normal"`` (also called ``"normal"``), ``"untruncated_normal"`` or
            ``"uniform"``. Default ``"truncated_normal"``.
        seed: As for every random initializer.

    Raises:
        ValueError: If scale is not positive, or mode or distribution is unknown.

    Reference:
        Glorot and Bengio 2010; He et al. 2015.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        self.scale = number("scale", scale, 0.0)
        if self.scale == 0:
            raise ValueError(f"scale: expected a positive number, got {scale!r}")
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"mode: expected one of {modes}, got {mode!r}")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        distributions = ("truncated_normal", "untruncated_normal", "uniform")
        if distribution not in distributions:
            raise ValueError(f"distribution: expected one of {distributions}, got {distribution!r}")
        self.mode = mode
        self.distribution = distribution
        super().__init__(seed)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, fan)
        generator = self.generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return generator.normal(0.0, math.sqrt(variance), shape)
        return math.sqrt(variance) / _TRUNCATED_STDDEV * _truncated_normal(generator, shape)

    def get_config(self) -> dict[str, Any]:
        config = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**config, **super().get_config()}


class _Fixed(VarianceScaling):
    """A VarianceScaling whose only argument is the seed."""

    scaling: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.scaling, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Fixed):
    """Uniform in ±sqrt(6 / (fan_in + fan_out)).

    Example:
        >>> GlorotUniform(seed=1)((3, 2)).shape
        (3, 2)
    """

    scaling = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Fixed):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    scaling = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Fixed):
    """Uniform in ±sqrt(6 / fan_in)."""

    scaling = (2.0, "fan_in", "uniform")


class HeNormal(_Fixed):
    """Truncated normal with variance 2 / fan_in."""

    scaling = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Fixed):
    """Uniform in ±sqrt(3 / fan_in)."""

    scaling = (1.0, "fan_in", "uniform")


class LecunNormal(_Fixed):
    """Truncated normal with variance 1 / fan_in."""

    scaling = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns, whichever are fewer.

    Equations:
        q r = normal(max(rows, columns), min(rows, columns)); q sign(diag r), transposed if rows < columns.

    Args:
        gain: Factor. Default 1.0.
        seed: As for every random initializer.

    Raises:
        ValueError: On call, if the shape has fewer than two dimensions.

    Reference:
        Saxe et al. 2014. Leading axes are flattened into rows; for a recurrent kernel the whole
        (units, gates * units) matrix is one orthogonal matrix, as in Keras.

    Example:
        >>> q = Orthogonal(seed=3)((2, 4), "float64")
        >>> bool(np.allclose(q @ q.T, np.eye(2)))
        True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = number("gain", gain)
        super().__init__(seed)

    def values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) < 2:
            raise ValueError(f"shape: expected at least two dimensions for Orthogonal, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = self.generator().normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        matrix = q.T if rows < columns else q
        return self.gain * np.ascontiguousarray(matrix).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """Returns how many inputs and outputs one value of a weight of that shape connects.

    Example:
        >>> fans((3, 4)), fans((5,)), fans((2, 3, 4))
        ((3.0, 4.0), (5.0, 5.0), (6.0, 8.0))
    """
    if len(shape) == 0:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    receptive = math.prod(shape[:-2])
    return float(shape[-2] * receptive), float(shape[-1] * receptive)


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    values = generator.normal(size=shape)
    outside = np.abs(values) > 2.0
    while outside.any():
        values[outside] = generator.normal(size=int(outside.sum()))
        outside = np.abs(values) > 2.0
    return values
