"""The networks that bench.fit lets train in turns: the ones that are installed learn drawn digits."""

import importlib.util

import numpy as np
import pytest

from bench import fit
from timeloom import backend

NAMES = [name for name in ("timeloom", "PyTorch") if importlib.util.find_spec(fit.LIBRARIES[name])]


@pytest.mark.parametrize("name", NAMES)
def test_network_learns_drawn_digits(name):
    x, y = fit.drawn_digits(1100)
    network = fit.network_of(name, backend.get_num_threads())
    for _ in range(3):
        network.train_epoch(x[:1000], y[:1000])
    accuracy = np.mean(network.probabilities(x[1000:]).argmax(axis=1) == y[1000:])
    assert accuracy > 0.5  # a tenth by chance
