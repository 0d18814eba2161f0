"""timeloom's layers, losses and optimizers give the numbers that Keras computed, in float64."""

import numpy as np
import pytest

import timeloom
from tests.golden import load
from tests.golden.test_golden import DENSE, LOSSES, OPTIMIZERS, assert_close, numbered
from timeloom import layers, losses, optimizers

KINDS = {
    "simple_rnn": layers.SimpleRNN,
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "gru_reset_before": layers.GRU,
}
RECURRENT = [(cell, case) for cell in KINDS for case in load(f"keras_{cell}")]


def weighted_sum(arrays, weights):
    """A loss whose gradients at the arrays are the weights."""
    return sum(np.sum(array * weight) for array, weight in zip(arrays, weights, strict=True))


@pytest.mark.parametrize(("cell", "case"), RECURRENT)
def test_recurrent_layer(cell, case):
    values = load(f"keras_{cell}")[case]
    options = dict(values["options"])
    del options["cell"]
    if cell == "simple_rnn":
        del options["recurrent_activation"]
    elif cell.startswith("gru"):
        options["reset_after"] = cell == "gru"
    layer = KINDS[cell](3, return_state=True, dtype="float64", **options)
    layer.build(values["inputs"].shape)
    layer.set_weights([values[name] for name in ("kernel", "recurrent_kernel", "bias")])
    with timeloom.GradientTape() as tape:
        inputs = tape.watch(values["inputs"])
        initial = [tape.watch(state) for state in numbered(values, "initial_state")]
        results = layer(inputs, initial_state=initial)
        upstream = (values["upstream_outputs"], *numbered(values, "upstream_state"))
        loss = weighted_sum(results, upstream)
    gradients = tape.gradient(loss, [inputs, *layer.trainable_weights, *initial])
    answers = (values["outputs"], *numbered(values, "state"))
    for actual, expected in zip(results, answers, strict=True):
        assert_close(actual.numpy(), expected)
    answers = [values[name] for name in ("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias")]
    for actual, expected in zip(gradients, [*answers, *numbered(values, "d_initial_state")], strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("case", DENSE)
def test_dense_layer(case):
    values = DENSE[case]
    layer = layers.Dense(5, activation=values["options"]["activation"], dtype="float64")
    layer.build(values["inputs"].shape)
    layer.set_weights([values["kernel"], values["bias"]])
    with timeloom.GradientTape() as tape:
        inputs = tape.watch(values["inputs"])
        outputs = layer(inputs)
        loss = np.sum(outputs * values["upstream_outputs"])
    gradients = tape.gradient(loss, [inputs, *layer.trainable_weights])
    assert_close(outputs.numpy(), values["outputs"])
    for actual, name in zip(gradients, ("d_inputs", "d_kernel", "d_bias"), strict=True):
        assert_close(actual, values[name])


@pytest.mark.parametrize("case", LOSSES)
def test_loss(case):
    values = LOSSES[case]
    options = dict(values["options"])
    function = getattr(losses, options.pop("name"))
    with timeloom.GradientTape() as tape:
        prediction = tape.watch(values["prediction"])
        per_sample = function(values["target"], prediction, **options)
        total = np.sum(per_sample * values["upstream"])
    assert_close(per_sample.numpy(), values["loss"])
    assert_close(tape.gradient(total, prediction), values["d_prediction"])


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizer(case):
    values = OPTIMIZERS[case]
    options = dict(values["options"])
    optimizer = getattr(optimizers, options.pop("name"))(**options)
    variables = [timeloom.Variable(value) for value in numbered(values, "start")]
    gradients, answers = numbered(values, "gradients"), numbered(values, "values")
    for step in range(len(gradients[0])):
        optimizer.apply_gradients(zip([gradient[step] for gradient in gradients], variables, strict=True))
        for variable, expected in zip(variables, answers, strict=True):
            assert_close(variable.numpy(), expected[step])
