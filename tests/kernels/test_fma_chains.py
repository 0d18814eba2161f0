"""The loop that measures the most a core can do: it does what it says, on as many threads as it says."""

import numpy as np
import pytest
from tests.kernels.cases import HAS_THREADS, ISAS, assert_last_ran_on

from timeloom import _core

CHAINS = 12


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_every_lane_of_every_thread_runs_all_chains(isa, threads, rounds):
    sums = _core.fma_chains(rounds, _threads=threads, _isa=isa)
    assert_last_ran_on(threads)
    chains = np.arange(CHAINS, dtype=np.float32)
    for _ in range(rounds):
        chains = chains * np.float32(0.5) + 1  # exact so far
    assert sums.dtype == np.float32
    assert len(sums) == threads
    ran = threads if HAS_THREADS else 1
    np.testing.assert_array_equal(sums[:ran], chains.sum())
    np.testing.assert_array_equal(sums[ran:], 0)  # of threads that did not run


def test_negative_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds: expected a number that is not negative, got -1"):
        _core.fma_chains(-1)
