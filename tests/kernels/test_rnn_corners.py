"""Corners of the recurrent kernels: values and sizes that only a hostile caller thinks of."""

import numpy as np
import pytest
from tests.kernels.cases import CELLS, ISAS, Case, kernel_forward, kernel_results
from tests.reference import recurrent

from timeloom import GradientTape, _core, ops

# Batches and units whose last panels are of all widths, of several rows and of a row alone.
LAST_PANELS = [(3, 9), (9, 20), (2, 29), (1, 20), (1, 23), (1, 26), (1, 31)]


@pytest.mark.parametrize("path", _core.rnn_paths())
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("batch", "units"), LAST_PANELS)
@pytest.mark.parametrize("cell", CELLS)
def test_infinite_input_spoils_only_what_depends_on_it(cell, batch, units, isa, path):
    problem = Case(cell, batch, 4, 5, units, upstream="outputs").problem.as_type(np.float32)
    problem.arguments["inputs"][0, 3, 1] = np.inf
    with np.errstate(all="ignore"):
        run = recurrent.forward(**problem.arguments)
        expected = recurrent.backward(run, problem.d_outputs)
    results = kernel_results(problem, isa=isa, path=path)
    for name, wanted in (("outputs", run.outputs), ("d_inputs", expected.inputs)):
        assert not np.isnan(results[name][~np.isnan(wanted)]).any(), name
    assert not np.isnan(results["d_inputs"][1:]).any()


@pytest.mark.parametrize("cell", CELLS)
def test_block_of_any_size_gives_the_same_bits(cell):
    problem = Case(cell, 2, 3, 4, 5).problem.as_type(np.float64)
    usual, huge = kernel_results(problem), kernel_results(problem, k_block=2**63 - 1)
    for name, value in usual.items():
        assert value.tobytes() == huge[name].tobytes(), name


@pytest.mark.parametrize("cell", CELLS)
def test_no_sequences_of_many_timesteps_take_no_time(cell):
    problem = Case(cell, 1, 1, 1, 2).problem.as_type(np.float32)
    problem.arguments.update(inputs=np.empty((0, 2**40, 1), np.float32), initial_states=None)
    outputs, states, _ = kernel_forward({**problem.arguments, "return_sequences": False})
    assert outputs.shape == (0, 2)
    assert all(state.shape == (0, 2) for state in states)


@pytest.mark.parametrize("name", ["input_dropout", "recurrent_dropout", "zoneout"])
def test_factors_are_those_of_the_call_when_the_gradient_is_taken(name):
    random = np.random.default_rng(1)
    x, kernel, recurrent_kernel = (random.standard_normal(size) for size in ((2, 3, 4), (4, 5), (5, 5)))
    sizes = {"input_dropout": (1, 2, 4), "recurrent_dropout": (1, 2, 5), "zoneout": (2, 3, 5)}
    factors = random.random(sizes[name])
    found = []
    for changed in (False, True):
        given = factors.copy()
        with GradientTape() as tape:
            w = tape.watch(kernel)
            y, _ = ops.simple_rnn(x, w, recurrent_kernel, **{name: (given,) if name == "zoneout" else given})
            loss = ops.sum(y * y)
        if changed:
            given[...] = 7.0
        found.append(tape.gradient(loss, w))
    np.testing.assert_array_equal(found[0], found[1])


def test_zoneout_of_none_leaves_an_infinite_state_alone():
    problem = Case("lstm", 1, 2, 3, 4).problem
    arguments = {k: problem.arguments[k] for k in ("inputs", "kernel", "recurrent_kernel", "bias")}
    state = (np.zeros((1, 4)), np.full((1, 4), np.inf))
    for rate in (np.float32(0.5), np.float64(0.5), 0.5):
        _, (_, c) = ops.lstm(**arguments, initial_state=state, zoneout=(rate, None))
        assert np.isinf(c).all()
