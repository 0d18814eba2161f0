"""Calls that keep more than the caches hold, for which the kernels ask ahead of time."""

import pytest
from tests.kernels.cases import CELLS, Case, assert_same_bits, kernel_results, of_rows, per_row

ARRANGEMENTS = {"dense": {}, "masked": {"mask": "holes"}, "by gate": {"recurrent_dropout": True}}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
@pytest.mark.parametrize("cell", CELLS)
def test_asking_ahead_changes_no_bit(cell, arrangement):
    """Rows alone are not asked for: 5 MB of float64 are kept of 40 in the smallest case."""
    problem = Case(cell, 40, 400, 3, 40, **arrangement).problem
    alone = kernel_results(of_rows(problem, slice(2)), threads=1)
    for threads, path in ((1, "batch-fused"), (2, "batch-fused"), (2, "units-fused")):
        whole = kernel_results(problem, threads=threads, path=path)
        assert_same_bits(per_row(whole, slice(2)), per_row(alone))
