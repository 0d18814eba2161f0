"""Calls that keep more than the caches hold, for which the kernels ask ahead of time."""

import pytest
from tests.kernels.cases import CELLS, Case, assert_same_bits, kernel_results

ARRANGEMENTS = {"dense": {}, "ragged": {"lengths": True}, "by gate": {"recurrent_dropout": True}}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
@pytest.mark.parametrize("cell", CELLS)
def test_asking_ahead_changes_no_bit(cell, arrangement):
    problem = Case(cell, 40, 330, 3, 40, **arrangement).problem  # 5 MB of SimpleRNN, half of it if ragged
    expected = kernel_results(problem, threads=1)
    for path in ("batch-fused", "units-fused"):
        assert_same_bits(kernel_results(problem, threads=2, path=path), expected)
