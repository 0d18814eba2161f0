"""Sizes worth measuring: (batch, timesteps, features, units).

Belongs here: the sizes, with what each stands for.
Does not belong here: anything that runs.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """Sizes of one recurrent layer."""

    batch: int
    timesteps: int
    features: int
    units: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


FORECAST = Shape(32, 50, 1, 64)  # a series, one value per step
MNIST_ROWS = Shape(32, 28, 28, 128)  # the rows of a picture as timesteps
LONG_SERIES = Shape(32, 100, 1, 600)
CHARACTERS = Shape(64, 100, 65, 512)  # one-hot characters
FEATURES = Shape(128, 100, 128, 256)
LARGE = Shape(64, 50, 1024, 1024)
STREAM = Shape(1, 100, 128, 128)  # one sequence at a time
LARGE_STREAM = Shape(1, 100, 512, 512)

ALL = (FORECAST, MNIST_ROWS, LONG_SERIES, CHARACTERS, FEATURES, LARGE, STREAM, LARGE_STREAM)
SMALL = (FORECAST, MNIST_ROWS, STREAM)
