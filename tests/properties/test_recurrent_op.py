"""ops.recurrent in combinations of its options that chance draws, against the reference.

Outputs, final states and every gradient through the tape.
"""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.kernels.cases import CELLS, OPTIONS, Case, assert_within_tolerance, by_name, reference_results
from tests.reference.activations import ACTIVATIONS
from tests.reference.problems import MASKS

from timeloom import GradientTape, backend, ops
from timeloom.ops.recurrent_call import cells

# These square or worse what they are given, in a loop: no tolerance holds.
EXPLOSIVE = {"exponential"}
NAMES = sorted(set(ACTIVATIONS) - EXPLOSIVE)
ARRANGEMENTS = [{}, {"lengths": True}, {"packed": True}, *({"mask": kind} for kind in MASKS)]


@st.composite
def drawn_cases(draw):
    """Cases of every combination; sizes small, with whole and broken vectors of units."""
    flags = (
        "bias",
        "initial_states",
        "go_backwards",
        "return_sequences",
        "input_dropout",
        "recurrent_dropout",
    )
    flags += ("zero_output_for_mask", "keep_time_order")
    return Case(
        draw(st.sampled_from(CELLS)),
        draw(st.integers(1, 5)),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from((1, 3, 8, 9))),
        **{name: draw(st.booleans()) for name in flags},
        **draw(st.sampled_from(ARRANGEMENTS)),
        zoneout=draw(st.sampled_from((None, None, "rate", "multipliers", "mixed"))),
        upstream=draw(st.sampled_from(("outputs", "states", "both"))),
        activation=draw(st.one_of(st.just("tanh"), st.sampled_from(NAMES))),
        recurrent_activation=draw(st.one_of(st.just("sigmoid"), st.sampled_from(NAMES))),
        seed=draw(st.integers(0, 2**16)),
    )


def through_the_tape(problem):
    """Every result of ops.recurrent by name."""
    arguments = problem.arguments
    has_gates = cells()[arguments["cell"]]["recurrent_activation"] != "linear"
    with GradientTape() as tape:
        arrays = [arguments[name] for name in ("inputs", "kernel", "recurrent_kernel", "bias")]
        watched = [None if array is None else tape.watch(array) for array in arrays]
        states = [tape.watch(state) for state in arguments["initial_states"] or ()]
        outputs, finals = ops.recurrent(
            arguments["cell"],
            *watched,
            states or None,
            activation=arguments["activation"],
            recurrent_activation=arguments["recurrent_activation"] if has_gates else None,
            return_sequences=arguments["return_sequences"],
            go_backwards=arguments["go_backwards"],
            **{name: arguments[name] for name in OPTIONS if name in arguments},
        )
    targets = [(outputs, problem.d_outputs), *zip(finals, problem.d_states or (), strict=False)]
    targets = [(target, d) for target, d in targets if d is not None]
    sources = [array for array in watched if array is not None] + states
    gradients = tape.gradient(
        [target for target, _ in targets], sources, output_gradients=[d for _, d in targets]
    )
    d_bias = gradients[3] if arrays[3] is not None else None
    d_states = gradients[len(sources) - len(states) :]
    return by_name(outputs.numpy(), [final.numpy() for final in finals], (*gradients[:3], d_bias, d_states))


@given(
    case=drawn_cases(),
    dtype=st.sampled_from((np.float64, np.float64, np.float32)),
    threads=st.sampled_from((1, 2)),
)
@settings(max_examples=600, derandomize=True, deadline=None, database=None)
def test_any_combination_of_options(case, dtype, threads):
    expected, in_float32 = (reference_results(case, kind) for kind in (np.float64, np.float32))
    # Without saturation a state may explode, and then the roundings decide.
    assume(all(np.abs(value).max(initial=0) < 1e4 for value in expected.values()))
    before = backend.get_num_threads()
    backend.set_num_threads(threads)
    try:
        actual = through_the_tape(case.problem.as_type(dtype))
    finally:
        backend.set_num_threads(before)
    assert {value.dtype for value in actual.values()} == {np.dtype(dtype)}
    assert actual.keys() == {n for n in expected if case.initial_states or not n.startswith("d_states")}
    for name, value in actual.items():
        assert_within_tolerance(value, expected[name], in_float32[name])
