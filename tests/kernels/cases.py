"""How a recurrent problem is put to the kernels and what the referee allows.

Belongs here: the one place that knows the order of _core's arguments, the cached answers of the reference,
the tolerances of float64 and float32, and how a script runs that may take its process down.
Does not belong here: tests.
"""

import subprocess
import sys
import textwrap
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from tests.reference import recurrent
from tests.reference.problems import MASKS, Problem, recurrent_problem

from timeloom import _core

ISAS = _core.supported_isas()
DTYPES = (np.float32, np.float64)
CELLS = sorted(_core.rnn_cells())
PATHS = _core.rnn_paths()
# What can be dropped of which cell: one whose gates see the input alone has no state to drop.
DROPOUTS = [
    (cell, f"{kind}_dropout")
    for cell, facts in sorted(_core.rnn_cells().items())
    for kind, gates in (("input", "input_gates"), ("recurrent", "state_gates"))
    if facts[gates]
]
HAS_THREADS = _core.build_info()["openmp"]

# Arguments of recurrent.forward that the kernels take by keyword, where a problem has them.
OPTIONS = (
    "mask",
    "lengths",
    "zero_output_for_mask",
    "keep_time_order",
    "input_dropout",
    "recurrent_dropout",
    "zoneout",
)
# Which timesteps of a batch there are, and in which order a layer takes them and gives its outputs.
ARRANGEMENTS = (*({"mask": kind} for kind in MASKS), {"lengths": True}, {"packed": True})
ORDERS = {
    "forwards": {"go_backwards": False, "keep_time_order": False},
    "backwards": {"go_backwards": True, "keep_time_order": False},
    "backwards in time order": {"go_backwards": True, "keep_time_order": True},
}

FLOAT64_TOLERANCE = 1e-11
FLOAT32_FACTOR = 8


@dataclass(frozen=True)
class Case:
    """A recurrent problem by its sizes and options; see recurrent_problem for their meaning."""

    cell: str
    batch: int
    timesteps: int
    features: int
    units: int
    bias: bool = True
    initial_states: bool = True
    go_backwards: bool = False
    return_sequences: bool = True
    upstream: str = "both"
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    mask: str | None = None
    lengths: bool = False
    packed: bool = False
    zero_output_for_mask: bool = False
    keep_time_order: bool = False
    input_dropout: bool = False
    recurrent_dropout: bool = False
    zoneout: str | None = None
    seed: int = 0

    @property
    def problem(self) -> Problem:
        """The problem in float64, its numbers exact in float32; drawn once, never to be changed."""
        return drawn_problem(self)

    def __str__(self) -> str:
        return f"{self.batch}x{self.timesteps}x{self.features}x{self.units}"


@cache
def drawn_problem(case: Case) -> Problem:
    """Draw the problem of a case."""
    return recurrent_problem(**asdict(case))


def replaced(problem: Problem, **arguments) -> Problem:
    """The same problem with other arguments."""
    return problem._replace(arguments={**problem.arguments, **arguments})


def without(problem: Problem, *names) -> Problem:
    """The same problem without some arguments."""
    kept = {name: value for name, value in problem.arguments.items() if name not in names}
    return problem._replace(arguments=kept)


def timesteps_of_activation(name: str, role: str) -> int:
    """How many timesteps leave room for the tolerance where an activation of any kind has that role."""
    if name == "exponential":
        return 1  # e^(e^x) soon overflows
    return 4 if role == "activation" else 2  # gates without bounds multiply errors at every step


def by_name(outputs, states, gradients=None) -> dict[str, np.ndarray]:
    """Results under one name each; gradients is (inputs, kernel, recurrent_kernel, bias, states)."""
    named = {"outputs": outputs} | {f"states[{place}]": state for place, state in enumerate(states)}
    if gradients is not None:
        d_inputs, d_kernel, d_recurrent_kernel, d_bias, d_states = gradients
        named |= {"d_inputs": d_inputs, "d_kernel": d_kernel, "d_recurrent_kernel": d_recurrent_kernel}
        named |= {"d_bias": d_bias} if d_bias is not None else {}
        named |= {f"d_states[{place}]": state for place, state in enumerate(d_states)}
    return named


def forward_arguments(arguments, keep=True) -> tuple[tuple, dict]:
    """The arguments of recurrent.forward as _core.rnn_forward takes them, without names and with."""
    in_order = (
        arguments["cell"],
        arguments["inputs"],
        arguments["kernel"],
        arguments["recurrent_kernel"],
        arguments["bias"],
        arguments["initial_states"],
        arguments["activation"],
        arguments["recurrent_activation"],
        arguments["go_backwards"],
        arguments["return_sequences"],
        keep,
    )
    return in_order, {name: arguments[name] for name in OPTIONS if name in arguments}


def kernel_forward(arguments, keep=True, **private):
    """Call _core.rnn_forward with the arguments of recurrent.forward; returns (outputs, states, cache)."""
    in_order, options = forward_arguments(arguments, keep)
    return _core.rnn_forward(*in_order, **options, **private)


def kernel_results(problem: Problem, threads=0, isa="", path="", k_block=0) -> dict[str, np.ndarray]:
    """Forward and backward by the kernels, every result by name."""
    private = {"_threads": threads, "_path": path, "_k_block": k_block}
    outputs, states, cache = kernel_forward(problem.arguments, _isa=isa, **private)
    gradients = _core.rnn_backward(cache, problem.d_outputs, problem.d_states, **private)
    return by_name(outputs, states, gradients)


def of_rows(problem, rows):
    """The same dense or masked problem for some rows of the batch, in the order given."""

    def take(value):
        return None if value is None else np.ascontiguousarray(value[rows])

    arguments = dict(problem.arguments)
    for name in ("inputs", "mask"):
        arguments[name] = take(arguments.get(name))
    for name in ("input_dropout", "recurrent_dropout"):
        if name in arguments:
            arguments[name] = np.ascontiguousarray(arguments[name][:, rows])
    arguments["initial_states"] = tuple(map(take, arguments["initial_states"]))
    if "zoneout" in arguments:
        arguments["zoneout"] = tuple(take(z) if np.ndim(z) else z for z in arguments["zoneout"])
    arguments = {name: value for name, value in arguments.items() if name != "mask" or value is not None}
    return problem._replace(
        arguments=arguments, d_outputs=take(problem.d_outputs), d_states=tuple(map(take, problem.d_states))
    )


def per_row(results, rows=slice(None)):
    """The results that belong to rows of the batch, for some of the rows."""
    names = [name for name in results if name in ("outputs", "d_inputs") or "states" in name]
    return {name: np.ascontiguousarray(results[name][rows]) for name in names}


@cache
def reference_results(case: Case, dtype) -> dict[str, np.ndarray]:
    """Forward and backward by the reference computing in dtype, every result by name."""
    problem = case.problem.as_type(dtype)
    run = recurrent.forward(**problem.arguments)
    return by_name(run.outputs, run.states, recurrent.backward(run, problem.d_outputs, problem.d_states))


def allowed_error(expected, in_float32=None) -> float:
    """Return how far a result may be from the float64 reference.

    Args:
        expected: the reference in float64.
        in_float32: the reference in float32 on the same data, if the result is float32.

    A float64 element may err by 1e-11 of the largest; a float32 element by 8 times the largest error of the
    float32 reference plus 8 eps of the largest, since both sums round alike but in another order.
    """
    largest = np.abs(expected).max(initial=0)
    if in_float32 is None:
        return FLOAT64_TOLERANCE * largest
    error = np.abs(in_float32 - expected).max(initial=0)
    return FLOAT32_FACTOR * (error + np.finfo(np.float32).eps * largest)


def assert_within_tolerance(actual, expected, in_float32=None):
    """Hold one result, float32 or float64, against the reference; the arguments are of allowed_error."""
    assert actual.shape == expected.shape
    allowed = allowed_error(expected, in_float32 if actual.dtype == np.float32 else None)
    error = np.abs(actual.astype(np.float64) - expected).max(initial=0)
    assert error <= allowed, (
        f"error {error:.3g}, allowed {allowed:.3g}, largest {np.abs(expected).max(initial=0):.3g}"
    )


def assert_matches_reference(actual: dict[str, np.ndarray], case: Case) -> None:
    """Hold every result of a case against the reference."""
    expected = reference_results(case, np.float64)
    in_float32 = reference_results(case, np.float32)
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        try:
            assert_within_tolerance(value, expected[name], in_float32[name])
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def assert_last_ran_on(threads: int) -> None:
    """So many threads came to the last kernel of this Python thread (without OpenMP: one)."""
    assert _core.last_thread_count() == (threads if HAS_THREADS else 1)


def same_bits(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Whether dtype, shape and every byte agree: -0.0 is not 0.0, and a NaN is itself."""
    alike = actual.dtype == expected.dtype and actual.shape == expected.shape
    return alike and actual.tobytes() == expected.tobytes()


def assert_same_bits(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Every array equal in every bit."""
    assert actual.keys() == expected.keys()
    different = [name for name in actual if not same_bits(actual[name], expected[name])]
    assert not different, f"differ: {different}"


def run_alone(script: str) -> None:
    """Runs an indented script in a process of its own, which has to end well and soon."""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    root = Path(__file__).parents[2]
    finished = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
