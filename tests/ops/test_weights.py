"""Packed weights: the same bits as without, packed once a version, freed when a Variable changes or dies."""

import copy
import gc
import threading

import numpy as np
import pytest
from tests.kernels.cases import CELLS, Case, same_bits

import timeloom
from timeloom import _core, ops
from timeloom.ops.weights import kept_weights

WEIGHTS = ("kernel", "recurrent_kernel", "bias")
each_cell = pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if _core.rnn_cells()[cell]["state_gates"] > 0]
)


def problem_of(cell, dtype="float32", units=17):
    return Case(cell, 3, 4, 5, units).problem.as_type(np.dtype(dtype)).arguments


def run(arguments, weights, **options):
    kernel, recurrent_kernel, bias = weights
    outputs, states = ops.recurrent(
        arguments["cell"],
        arguments["inputs"],
        kernel,
        recurrent_kernel,
        bias,
        arguments["initial_states"],
        return_sequences=True,
        **options,
    )
    return [outputs, *states]


def arrays_of(arguments):
    return [arguments[name] for name in WEIGHTS]


def variables_of(arguments):
    return [timeloom.Variable(arguments[name]) for name in WEIGHTS]


def assert_alike(actual, expected):
    assert len(actual) == len(expected)
    assert all(same_bits(np.asarray(a), np.asarray(b)) for a, b in zip(actual, expected, strict=True))


def dropout_of(arguments):
    """Factors for each gate, so that the weights are packed gate by gate."""
    units = arguments["recurrent_kernel"].shape[0]
    gates = arguments["recurrent_kernel"].shape[1] // units
    factors = np.random.default_rng(2).integers(0, 2, (gates, 3, units)) * 2.0
    return factors.astype(arguments["inputs"].dtype)


@each_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_gate", [False, True])
def test_bits_are_those_without_packed_weights(cell, dtype, by_gate):
    arguments = problem_of(cell, dtype)
    options = {"recurrent_dropout": dropout_of(arguments)} if by_gate else {}
    expected = run(arguments, arrays_of(arguments), **options)
    variables = variables_of(arguments)
    for _ in range(2):  # packed by the first call, ready in the second
        assert_alike(run(arguments, variables, **options), expected)


@each_cell
def test_gradients_are_those_without_packed_weights(cell):
    arguments = problem_of(cell)
    upstream = np.random.default_rng(1).standard_normal((3, 4, 17)).astype("float32")

    def gradients(weights, packs):
        with timeloom.GradientTape() as tape:
            watched = weights if packs else [tape.watch(weight) for weight in weights]
            loss = (run(arguments, watched)[0] * upstream).sum()
        return tape.gradient(loss, watched)

    expected = gradients(arrays_of(arguments), False)
    variables = variables_of(arguments)
    for _ in range(2):
        assert_alike(gradients(variables, True), expected)
    assert variables[0]._packed.packed.nbytes > 0


@each_cell
def test_weights_are_packed_once(cell):
    arguments = problem_of(cell)
    variables = variables_of(arguments)
    run(arguments, variables)
    packed = variables[0]._packed.packed
    assert packed.nbytes > 0
    size = packed.nbytes
    # What the kernels read is the packed form: writing behind the back of the Variable changes nothing.
    first = run(arguments, variables)
    variables[1]._value[...] = 0
    assert_alike(run(arguments, variables), first)
    assert variables[0]._packed.packed is packed
    assert packed.nbytes == size


@each_cell
@pytest.mark.parametrize("changed", range(3))
@pytest.mark.parametrize("how", ["assign", "optimizer"])
def test_a_change_of_any_weight_is_seen(cell, changed, how):
    arguments = problem_of(cell)
    variables = variables_of(arguments)
    run(arguments, variables)
    old = variables[changed]._packed.packed
    if how == "assign":
        variables[changed].assign_add(np.full(variables[changed].shape, 0.25))
    else:
        optimizer = timeloom.optimizers.SGD(0.5)
        optimizer.apply_gradients([(np.ones(variables[changed].shape, "float32"), variables[changed])])
    assert old.nbytes == 0, "freed with the change, not with the next call"
    expected = run(arguments, [variable.numpy() for variable in variables])
    assert_alike(run(arguments, variables), expected)


def test_training_packs_once_an_update_and_prediction_takes_it_over():
    arguments = problem_of("lstm")
    variables = variables_of(arguments)
    optimizer = timeloom.optimizers.SGD(0.1)
    seen = set()
    for _ in range(3):
        with timeloom.GradientTape() as tape:
            loss = (run(arguments, variables)[0] ** 2).sum()
        packed = variables[0]._packed.packed
        forward = packed.nbytes
        gradients = tape.gradient(loss, variables)
        assert packed.nbytes > forward, "the transposed form is kept beside the other"
        run(arguments, variables)
        assert variables[0]._packed.packed is packed
        seen.add(packed)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    assert len(seen) == 3


def test_the_death_of_a_variable_frees_them():
    arguments = problem_of("lstm")
    variables = variables_of(arguments)
    run(arguments, variables)
    packed = variables[0]._packed.packed
    assert packed.nbytes > 0
    del variables[2]
    assert packed.nbytes == 0


def test_they_keep_no_weight_alive_and_the_pool_gets_its_memory_back():
    arguments = problem_of("lstm", units=64)
    gc.collect()
    before = _core.workspace_bytes()[0]
    variables = variables_of(arguments)
    run(arguments, variables)
    assert _core.workspace_bytes()[0] > before
    del variables
    assert _core.workspace_bytes()[0] == before


def test_weights_shared_by_two_calls_hold_one_packed_form():
    arguments = problem_of("lstm")
    kernel, recurrent_kernel, bias = variables_of(arguments)
    other = timeloom.Variable(bias.numpy() + 1)
    run(arguments, (kernel, recurrent_kernel, bias))
    first = kernel._packed.packed
    shifted = run(arguments, (kernel, recurrent_kernel, other))
    assert first.nbytes == 0
    plain = [kernel.numpy(), recurrent_kernel.numpy()]
    assert_alike(shifted, run(arguments, (*plain, other.numpy())))
    for chosen in (None, bias):
        results = run(arguments, (kernel, recurrent_kernel, chosen))
        wanted = run(arguments, (*plain, None if chosen is None else chosen.numpy()))
        assert_alike(results, wanted)


def test_the_same_weights_in_another_cell():
    arguments = problem_of("gru")
    kernel, recurrent_kernel, _ = variables_of(arguments)
    for cell in ("gru", "gru_reset_before", "gru"):
        changed = {**arguments, "cell": cell}
        results = run(changed, (kernel, recurrent_kernel, None))
        wanted = run(changed, (kernel.numpy(), recurrent_kernel.numpy(), None))
        assert_alike(results, wanted)


def test_plain_arrays_are_packed_at_every_call():
    arguments = problem_of("lstm")
    weights = [array.copy() for array in arrays_of(arguments)]
    assert kept_weights("lstm", *weights) is None
    first = run(arguments, weights)
    weights[1][...] *= 0.5
    assert any((a != b).any() for a, b in zip(run(arguments, weights), first, strict=True))


def test_several_threads_on_one_model():
    arguments = problem_of("lstm", units=64)
    expected = run(arguments, arrays_of(arguments))
    variables = variables_of(arguments)
    wrong = []

    def work():
        for turn in range(50):
            for result, wanted in zip(run(arguments, variables), expected, strict=True):
                if not np.array_equal(result, wanted):
                    wrong.append(turn)
            if turn % 10 == 0:
                variables[0]._changed()  # drops what the others use; the values are the same

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_copied_variables_have_packed_weights_of_their_own():
    arguments = problem_of("lstm")
    variables = variables_of(arguments)
    run(arguments, variables)
    copies = copy.deepcopy(variables)
    assert all(variable._packed is None for variable in copies)
    copies[0].assign_add(np.ones(copies[0].shape))
    assert variables[0]._packed.packed.nbytes > 0


def test_core_refuses_packed_weights_of_other_arrays():
    arguments = problem_of("lstm")
    packed = _core.PackedWeights()

    def forward(**changes):
        given = {**arguments, **changes}
        return _core.rnn_forward(
            given["cell"],
            given["inputs"],
            given["kernel"],
            given["recurrent_kernel"],
            given["bias"],
            None,
            "tanh",
            "sigmoid",
            False,
            False,
            False,
            packed,
        )

    forward()
    with pytest.raises(ValueError, match=r"weights: expected .*, got others"):
        forward(kernel=arguments["kernel"].copy())
    with pytest.raises(TypeError):
        _core.rnn_forward(*[None] * 11, "packed")
