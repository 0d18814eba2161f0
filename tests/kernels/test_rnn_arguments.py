"""What the recurrent kernels refuse, what they say, and the edges that have a defined result."""

import sys

import numpy as np
import pytest
from tests.kernels.cases import CELLS, Case, kernel_forward, kernel_results, run_alone
from tests.kernels.spoilt import SPOILT, says
from tests.reference import recurrent

from timeloom import _core

each_cell = pytest.mark.parametrize("cell", CELLS)
limits_memory = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits its memory the Linux way"
)


def problem_of(cell, batch=3, timesteps=4, features=5, units=6):
    return Case(cell, batch, timesteps, features, units).problem.as_type(np.float32)


# A cell whose gates the state does not feed has an empty recurrent kernel, which few faults change.
SPOILT_PLACES = [
    (cell, argument)
    for cell in CELLS
    for argument in ("inputs", "kernel", "recurrent_kernel", "bias")
    if argument != "recurrent_kernel" or _core.rnn_cells()[cell]["state_gates"] > 0
]


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize(("cell", "argument"), SPOILT_PLACES)
def test_forward_refuses_a_spoilt_array(cell, argument, fault):
    arguments = problem_of(cell).arguments
    if argument == "inputs" and fault in ("longer first axis", "other float"):
        # Another batch size is the fault of the states, another float of everything else.
        blamed = "(initial_states.*|kernel|recurrent_kernel|bias)"
    else:
        blamed = {"inputs": "(inputs|kernel)", "kernel": "(kernel|inputs|recurrent_kernel)"}.get(
            argument, f"({argument}|kernel)"
        )
    kind, spoil = SPOILT[fault]
    with pytest.raises(kind, match=says(blamed)):
        kernel_forward({**arguments, argument: spoil(arguments[argument])})


@pytest.mark.parametrize("fault", SPOILT)
@each_cell
def test_forward_refuses_a_spoilt_initial_state(cell, fault):
    arguments = problem_of(cell).arguments
    kind, spoil = SPOILT[fault]
    *others, last = arguments["initial_states"]
    with pytest.raises(kind, match=says("initial_states.*")):
        kernel_forward({**arguments, "initial_states": (*others, spoil(last))})


@pytest.mark.parametrize("fault", SPOILT)
@each_cell
def test_backward_refuses_spoilt_gradients(cell, fault):
    problem = problem_of(cell)
    *_, cache = kernel_forward(problem.arguments)
    kind, spoil = SPOILT[fault]
    with pytest.raises(kind, match=says("d_outputs")):
        _core.rnn_backward(cache, spoil(problem.d_outputs), problem.d_states)
    *others, last = problem.d_states
    with pytest.raises(kind, match=says("d_states.*")):
        _core.rnn_backward(cache, problem.d_outputs, (*others, spoil(last)))


@each_cell
def test_wrong_number_of_states_is_refused(cell):
    problem = problem_of(cell)
    *_, cache = kernel_forward(problem.arguments)
    for wrong in ((), problem.d_states[:1] * (recurrent.CELLS[cell].states + 1)):
        with pytest.raises(ValueError, match=says("initial_states")):
            kernel_forward({**problem.arguments, "initial_states": wrong})
        with pytest.raises(ValueError, match=says("d_states")):
            _core.rnn_backward(cache, problem.d_outputs, wrong)


@each_cell
@pytest.mark.parametrize("value", [3, 2.5, {1, 2}])
def test_states_that_are_no_sequence_are_refused(cell, value):
    problem = problem_of(cell)
    *_, cache = kernel_forward(problem.arguments)
    with pytest.raises(TypeError, match=says("initial_states")):
        kernel_forward({**problem.arguments, "initial_states": value})
    with pytest.raises(TypeError, match=says("d_states")):
        _core.rnn_backward(cache, problem.d_outputs, value)


@each_cell
def test_gradient_of_a_sequence_is_not_that_of_the_last_output(cell):
    problem = problem_of(cell)
    *_, cache = kernel_forward({**problem.arguments, "return_sequences": False})
    with pytest.raises(ValueError, match=says("d_outputs")):
        _core.rnn_backward(cache, problem.d_outputs, None)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("cell", "elman"), ("cell", ""), ("activation", "tan"), ("recurrent_activation", "Sigmoid")],
)
def test_unknown_name_is_refused(argument, value):
    with pytest.raises(ValueError, match=says(argument) + repr(value).replace("'", "['\"]?")):
        kernel_forward({**problem_of("lstm").arguments, argument: value})


@pytest.mark.parametrize("argument", ["inputs", "kernel", "recurrent_kernel", "cell", "activation"])
@pytest.mark.parametrize("value", [None, 3, [[1.0]]])
def test_something_else_than_an_array_or_a_name_is_refused(argument, value):
    with pytest.raises(TypeError):
        kernel_forward({**problem_of("lstm").arguments, argument: value})


@pytest.mark.parametrize(
    "private",
    [{"_threads": -1}, {"_threads": 1025}, {"_isa": "sse9"}, {"_path": "shortcut"}, {"_k_block": -8}],
    ids=str,
)
def test_private_argument_out_of_range_is_refused(private):
    with pytest.raises(ValueError, match=says(next(iter(private)))):
        kernel_forward(problem_of("lstm").arguments, **private)


@pytest.mark.parametrize("value", [None, 3, "cache"])
def test_backward_refuses_what_is_no_cache(value):
    with pytest.raises(TypeError, match=says("cache")):
        _core.rnn_backward(value, None, None)


@each_cell
def test_backward_copies_gradients_of_another_layout_if_asked(cell):
    problem = problem_of(cell)
    *_, cache = kernel_forward(problem.arguments)
    expected = _core.rnn_backward(cache, problem.d_outputs, problem.d_states)
    d_outputs, *d_states = map(np.asfortranarray, (problem.d_outputs, *problem.d_states))
    with pytest.raises(ValueError, match=says("d_outputs")):
        _core.rnn_backward(cache, d_outputs, d_states)
    found = _core.rnn_backward(cache, d_outputs, d_states, copies=True)
    for one, other in zip((*found[:4], *found[4]), (*expected[:4], *expected[4]), strict=True):
        np.testing.assert_array_equal(one, other)


@each_cell
def test_empty_batch_gives_empty_results_and_zero_gradients(cell):
    problem = problem_of(cell)
    arguments = dict(problem.arguments)
    arguments["inputs"] = arguments["inputs"][:0]
    arguments["initial_states"] = tuple(state[:0] for state in arguments["initial_states"])
    d_states = tuple(state[:0] for state in problem.d_states)
    empty = problem._replace(arguments=arguments, d_outputs=problem.d_outputs[:0], d_states=d_states)
    results = kernel_results(empty)
    assert results["outputs"].shape == (0, 4, 6)
    assert results["d_inputs"].shape == (0, 4, 5)
    assert results["states[0]"].shape == results["d_states[0]"].shape == (0, 6)
    for name in ("kernel", "recurrent_kernel", "bias"):
        assert results[f"d_{name}"].shape == arguments[name].shape
        assert not results[f"d_{name}"].any()


@each_cell
def test_zero_timesteps_or_features_are_refused(cell):
    arguments = problem_of(cell).arguments
    with pytest.raises(ValueError, match=says("inputs")):
        kernel_forward({**arguments, "inputs": np.ascontiguousarray(arguments["inputs"][:, :0])})
    featureless = {"inputs": np.zeros((3, 4, 0), np.float32), "kernel": arguments["kernel"][:0]}
    with pytest.raises(ValueError, match=says("inputs")):
        kernel_forward({**arguments, **featureless})


@each_cell
def test_zero_units_are_refused(cell):
    arguments = problem_of(cell).arguments
    shape = recurrent.bias_shape(cell, 0)
    empty = {
        "kernel": np.zeros((5, 0), np.float32),
        "recurrent_kernel": np.zeros((0, 0), np.float32),
        "bias": np.zeros(shape, np.float32),
        "initial_states": None,
    }
    with pytest.raises(ValueError, match=says("recurrent_kernel")):
        kernel_forward({**arguments, **empty})


TOO_LARGE = """
    import resource
    import numpy as np
    from tests.kernels.cases import CELLS, Case, kernel_forward, kernel_results

    small = {cell: Case(cell, 3, 4, 5, 6).problem for cell in CELLS}
    for problem in small.values():
        kernel_results(problem)
    units = 512
    weights = {
        cell: dict(
            kernel=np.zeros((1, gates * units)), recurrent_kernel=np.zeros((units, gates * units)), bias=None
        )
        for cell, gates in {"simple_rnn": 1, "lstm": 4}.items()
    }
    inputs = np.zeros((64, 1000, 1))  # outputs of 262 MB
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
    for cell, arrays in weights.items():
        for keep in (False, True):
            arguments = small[cell].arguments | arrays | {"inputs": inputs, "initial_states": None}
            try:
                kernel_forward(arguments, keep=keep)
            except MemoryError:
                pass
            else:
                raise SystemExit(f"{cell}: no MemoryError")
    for problem in small.values():
        kernel_results(problem)
"""


@limits_memory
def test_memory_that_is_not_there_is_a_memory_error_and_nothing_breaks():
    run_alone(TOO_LARGE)


# The first calls leave four blocks of 55 MB idle; the last one needs one of 160 MB where 100 MB are left.
IDLE_MEMORY = """
    import resource
    import numpy as np
    from tests.kernels.cases import Case, kernel_forward

    problem = Case("simple_rnn", 3, 4, 5, 6).problem
    def run(timesteps, count=1):
        inputs = np.zeros((64, timesteps, 5))
        arguments = problem.arguments | {"inputs": inputs, "initial_states": None, "return_sequences": False}
        return [kernel_forward(arguments, _threads=1) for _ in range(count)]

    run(18000, 4)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 230_000_000, resource.RLIM_INFINITY))
    run(52000)
"""


@limits_memory
def test_idle_memory_is_given_up_before_a_memory_error():
    run_alone(IDLE_MEMORY)
