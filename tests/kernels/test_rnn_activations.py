"""Every activation inside every cell: outputs, states and every gradient against the reference.

Those whose derivative takes the input are kept as inputs by the driver and computed again in backward.
"""

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DTYPES,
    ISAS,
    PATHS,
    Case,
    assert_matches_reference,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    timesteps_of_activation,
)
from tests.reference.activations import ACTIVATIONS

each_role = pytest.mark.parametrize("role", ["activation", "recurrent_activation"])
each_name = pytest.mark.parametrize("name", ACTIVATIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_cell = pytest.mark.parametrize("cell", CELLS)


@each_role
@each_name
@each_dtype
@each_isa
@each_cell
def test_every_activation(cell, isa, dtype, name, role):
    case = Case(cell, 3, timesteps_of_activation(name, role), 5, 9, **{role: name})
    assert_matches_reference(kernel_results(case.problem.as_type(dtype), isa=isa), case)


@each_name
@each_cell
def test_both_at_once_going_backwards_without_bias(cell, name):
    timesteps = 1 if name == "exponential" else 3
    pair = {"activation": name, "recurrent_activation": name}
    case = Case(cell, 2, timesteps, 2, 17, False, False, True, False, "states", **pair)
    assert_matches_reference(kernel_results(case.problem), case)


@each_role
@each_name
@each_cell
def test_inference_gives_the_bits_of_training(cell, name, role):
    arguments = Case(cell, 7, 5, 3, 17, **{role: name}).problem.as_type(np.float32).arguments
    *kept, _ = kernel_forward(arguments)
    *plain, cache = kernel_forward(arguments, keep=False)
    assert cache is None
    assert_same_bits(by_name(*plain), by_name(*kept))


@each_role
@pytest.mark.parametrize("name", ["gelu", "mish", "softplus"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("threads", [2, 3])
@each_cell
def test_threads_and_paths_change_no_bit(cell, threads, path, name, role):
    problem = Case(cell, 5, 6, 3, 33, **{role: name}).problem.as_type(np.float32)
    assert_same_bits(kernel_results(problem, threads=threads, path=path), kernel_results(problem, threads=1))
