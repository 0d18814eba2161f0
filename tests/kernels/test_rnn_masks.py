"""Masked, ragged and packed batches: the kernels against the reference."""

import numpy as np
import pytest
from tests.kernels.cases import (
    ARRANGEMENTS,
    CELLS,
    DTYPES,
    ISAS,
    ORDERS,
    Case,
    assert_matches_reference,
    kernel_results,
)

each_cell = pytest.mark.parametrize("cell", CELLS)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)

each_arrangement = pytest.mark.parametrize(
    "arrangement", ARRANGEMENTS, ids=[arrangement.get("mask", *arrangement) for arrangement in ARRANGEMENTS]
)
# (batch, timesteps, features, units): every tail of the rows and of the units, one chunk and several.
SIZES = [(1, 1, 1, 1), (3, 7, 5, 9), (8, 2, 28, 17), (13, 130, 2, 8), (9, 70, 3, 33), (600, 3, 1, 7)]


def check(case, isa, dtype):
    actual = kernel_results(case.problem.as_type(dtype), isa=isa)
    assert {value.dtype for value in actual.values()} == {np.dtype(dtype)}
    assert_matches_reference(actual, case)


def drawn_options(place):
    """Options for a size at this place, drawn once and for all."""
    random = np.random.default_rng((place, 7))
    names = ("bias", "initial_states", "go_backwards", "return_sequences", "zero_output_for_mask")
    drawn = {name: bool(random.integers(2)) for name in (*names, "keep_time_order")}
    return drawn | {"upstream": str(random.choice(["outputs", "states", "both"])), "seed": place}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@each_arrangement
@each_dtype
@each_isa
@each_cell
def test_every_arrangement_and_size(cell, isa, dtype, arrangement, size):
    place = SIZES.index(size) + 10 * ARRANGEMENTS.index(arrangement)
    check(Case(cell, *size, **arrangement, **drawn_options(place)), isa, dtype)


@pytest.mark.parametrize("return_sequences", [True, False], ids=["sequences", "last"])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["repeats", "zeros"])
@each_arrangement
@each_cell
def test_every_form(cell, arrangement, zero_output_for_mask, order, return_sequences):
    for upstream in ("outputs", "states", "both"):
        case = Case(
            cell,
            *(5, 6, 3, 9),
            zero_output_for_mask=zero_output_for_mask,
            return_sequences=return_sequences,
            upstream=upstream,
            **order,
            **arrangement,
        )
        for isa in ISAS:
            check(case, isa, np.float64)
