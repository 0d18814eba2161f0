import random

import numpy as np
import pytest

from timeloom import backend
from timeloom.utils import set_random_seed


def draw():
    return random.random(), np.random.rand(), backend.random_generator().random()  # noqa: NPY002


def test_set_random_seed_repeats_every_generator():
    set_random_seed(3)
    first = draw()
    set_random_seed(np.int64(3))
    assert draw() == first
    set_random_seed(4)
    assert all(new != old for new, old in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None, True])
def test_set_random_seed_refuses_and_touches_nothing(seed):
    set_random_seed(5)
    expected = draw()
    set_random_seed(5)
    with pytest.raises(ValueError, match=r"seed: expected an integer from 0 to 2\*\*32 - 1, got"):
        set_random_seed(seed)
    assert draw() == expected
