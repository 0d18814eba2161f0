"""One seed for every source of random numbers."""

from __future__ import annotations

import random

import numpy as np

from timeloom import arguments, backend

# NumPy's global generator takes 32 bits, the smallest range of the three.
_SEED_LIMIT = 2**32


def set_random_seed(seed: int) -> None:
    """Seeds every random generator that a training run draws from.

    Seeds Python's `random`, NumPy's global generator and timeloom's own, which initializers, dropout and
    shuffling use when they have no seed of their own. Call it before the model is built: a script that
    starts with it gives the same weights, batches and masks each time.

    Args:
        seed: an integer from 0 to 2**32 - 1.

    Raises:
        ValueError: `seed` is not such an integer. No generator was touched.

    Reference:
        keras.utils.set_random_seed. The numbers themselves are not Keras's.

    Example:
        >>> from timeloom.utils import set_random_seed
        >>> set_random_seed(7)
        >>> first = np.random.rand()
        >>> set_random_seed(7)
        >>> np.random.rand() == first
        True
    """
    number = arguments.integer("seed", seed, 0, "an integer from 0 to 2**32 - 1")
    if number >= _SEED_LIMIT:
        raise ValueError(f"seed: expected an integer from 0 to 2**32 - 1, got {seed!r}")
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - the user's own code may draw from it
    backend.seed_random_generator(number)
