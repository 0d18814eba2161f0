import numpy as np
import pytest
from tests.ops.test_recurrent import CELLS, problem

from timeloom import GradientTape, Variable, ops


def both_directions(cell, **options):
    first = {"cell": cell, **problem(cell), "return_sequences": True, **options}
    second = {"cell": cell, **problem(cell), "go_backwards": True, **options}
    return first, {**second, "inputs": first["inputs"]}


def as_variables(call):
    """The same call with Variables for weights."""
    names = ("kernel", "recurrent_kernel", "bias")
    return {**call, **{name: Variable(call[name], dtype="float64") for name in names}}


def weights_of(*calls):
    return [call[name] for call in calls for name in ("kernel", "recurrent_kernel", "bias")]


@pytest.mark.parametrize("cell", CELLS)
def test_a_pair_is_two_calls_to_the_bit(cell):
    calls = [as_variables(call) for call in both_directions(cell)]
    x, *weights = Variable(calls[0]["inputs"], dtype="float64"), *weights_of(*calls)
    calls = [{**call, "inputs": x} for call in calls]
    found = []
    for run in (lambda: [ops.recurrent(**call) for call in calls], lambda: ops.recurrent_pair(*calls)):
        with GradientTape() as tape:
            results = run()
            total = sum(ops.sum(outputs * outputs) + ops.sum(finals[0]) for outputs, finals in results)
        gradients = tape.gradient(total, [x, *weights])
        values = [part.numpy() for outputs, finals in results for part in (outputs, *finals)]
        found.append([*values, *gradients])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_recorded_without_a_tape():
    for outputs, finals in ops.recurrent_pair(*both_directions("lstm", mask=np.ones((2, 3), bool))):
        assert all(type(part) is np.ndarray for part in (outputs, *finals))


@pytest.mark.parametrize("used", [0, 1])
def test_a_half_that_is_not_used_has_no_gradient(used):
    calls = [as_variables(call) for call in both_directions("gru")]
    with GradientTape() as tape:
        total = ops.sum(ops.recurrent_pair(*calls)[used][0])
    gradients = tape.gradient(total, weights_of(calls[used], calls[1 - used]), unconnected_gradients="none")
    assert all(np.abs(gradient).max() > 0 for gradient in gradients[:3])
    assert gradients[3:] == [None] * 3


@pytest.mark.parametrize("plain", [0, 1])
def test_only_what_a_tape_follows_is_recorded(plain):
    calls = list(both_directions("simple_rnn"))
    calls[1 - plain] = as_variables(calls[1 - plain])
    with GradientTape() as tape:
        results = ops.recurrent_pair(*calls)
        total = ops.sum(results[1 - plain][0])
    assert type(results[plain][0]) is np.ndarray
    gradients = tape.gradient(total, weights_of(calls[1 - plain]))
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_gradients_of_one_half_alone():
    calls = [as_variables(call) for call in both_directions("lstm")]
    with GradientTape(persistent=True) as tape:
        total = sum(ops.sum(outputs) for outputs, _ in ops.recurrent_pair(*calls))
    everything = tape.gradient(total, weights_of(*calls))
    for place, call in enumerate(calls):
        for one, other in zip(
            tape.gradient(total, weights_of(call)), everything[3 * place : 3 * place + 3], strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_bad_arguments():
    first, second = both_directions("lstm")
    with pytest.raises(TypeError, match="units: expected a name of an argument of recurrent, got 'units'"):
        ops.recurrent_pair(first, {**second, "units": 3})
    with pytest.raises(TypeError, match="kernel: expected a value, got none"):
        ops.recurrent_pair({"cell": "lstm", "inputs": first["inputs"]}, second)
    with pytest.raises(ValueError, match="cell: expected one of"):
        ops.recurrent_pair({**first, "cell": "mystery"}, second)
    with pytest.raises(ValueError, match="kernel: expected shape"):
        ops.recurrent_pair(first, {**second, "kernel": np.zeros((2, 2))})
