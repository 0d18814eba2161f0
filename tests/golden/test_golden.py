"""The conventions of Keras and PyTorch, from numbers they computed: gate order, biases, formulas of steps.

The reference must agree with the golden files to rounding in float64, and the kernels with both.
"""

import numpy as np
import pytest

from tests.golden import load
from tests.kernels.cases import ISAS, by_name, kernel_results
from tests.reference import dense, losses, optimizers, recurrent, softmax
from tests.reference.problems import Problem

TOLERANCE = 1e-11
LAYERS = [
    f"{source}_{cell}"
    for source, cells in {"torch": ["simple_rnn", "lstm", "gru"], "keras": recurrent.CELLS}.items()
    for cell in cells
]
RECURRENT = [(stem, case) for stem in LAYERS for case in load(stem)]
DENSE, LOSSES, OPTIMIZERS = load("keras_dense"), load("keras_losses"), load("keras_optimizers")


def assert_close(actual, expected):
    """Compare within TOLERANCE of the largest expected element."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE * np.abs(expected).max()


def numbered(values, stem):
    """The arrays stem_0, stem_1, ... of a case."""
    return tuple(values[f"{stem}_{place}"] for place in range(4) if f"{stem}_{place}" in values)


def recurrent_case(stem, case):
    """A recurrent golden case as a problem and its answers."""
    values = load(stem)[case]
    arrays = {name: values[name] for name in ("inputs", "kernel", "recurrent_kernel", "bias")}
    arguments = {**values["options"], **arrays, "initial_states": numbered(values, "initial_state")}
    gradients = [values[name] for name in ("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias")]
    answers = by_name(
        values["outputs"], numbered(values, "state"), (*gradients, numbered(values, "d_initial_state"))
    )
    return Problem(arguments, values["upstream_outputs"], numbered(values, "upstream_state")), answers


@pytest.mark.parametrize(("stem", "case"), RECURRENT)
def test_reference_recurrent_layers(stem, case):
    problem, answers = recurrent_case(stem, case)
    run = recurrent.forward(**problem.arguments)
    actual = by_name(run.outputs, run.states, recurrent.backward(run, problem.d_outputs, problem.d_states))
    assert actual.keys() == answers.keys()
    for name in answers:
        assert_close(actual[name], answers[name])


@pytest.mark.parametrize(("stem", "case"), RECURRENT)
@pytest.mark.parametrize("isa", ISAS)
def test_kernel_recurrent_layers(isa, stem, case):
    problem, answers = recurrent_case(stem, case)
    actual = kernel_results(problem, isa=isa)
    assert actual.keys() == answers.keys()
    for name in answers:
        assert_close(actual[name], answers[name])


@pytest.mark.parametrize("case", DENSE)
def test_reference_dense(case):
    values = DENSE[case]
    activation = values["options"]["activation"]
    d_outputs = values["upstream_outputs"]
    outputs, kept = dense.forward(
        values["inputs"],
        values["kernel"],
        values["bias"],
        "linear" if activation == "softmax" else activation,
    )
    if activation == "softmax":
        d_outputs, outputs = softmax.softmax_gradient(outputs, d_outputs), softmax.softmax(outputs)
    assert_close(outputs, values["outputs"])
    for name, gradient in zip(
        ("d_inputs", "d_kernel", "d_bias"), dense.backward(kept, d_outputs), strict=True
    ):
        assert_close(gradient, values[name])


@pytest.mark.parametrize("case", LOSSES)
def test_reference_losses(case):
    values = LOSSES[case]
    options, target, prediction = values["options"], values["target"], values["prediction"]
    smoothing = options.get("label_smoothing", 0.0)
    name = options["name"].removeprefix("sparse_") + ("_from_logits" if options.get("from_logits") else "")
    if options["name"].startswith("sparse_"):
        target = losses.one_hot(target, prediction.shape[-1], prediction.dtype)
    elif smoothing:
        classes = 2 if name.startswith("binary") else prediction.shape[-1]
        target = target * (1 - smoothing) + smoothing / classes
    assert_close(getattr(losses, name)(target, prediction), values["loss"])
    gradient = getattr(losses, f"{name}_gradient")(target, prediction, values["upstream"])
    assert_close(gradient, values["d_prediction"])


def reference_trajectory(values):
    """The values after each step of a golden optimizer case, by the reference."""
    options = dict(values["options"])
    name = options.pop("name")
    clip_value, clip_norm = options.pop("clipvalue", None), options.pop("clipnorm", None)
    clip_global = options.pop("global_clipnorm", None)
    current, gradients = list(numbered(values, "start")), numbered(values, "gradients")
    slots = [tuple(np.zeros((3, *value.shape))) for value in current]
    trajectory = []
    for step in range(len(gradients[0])):
        handed = [gradient[step] for gradient in gradients]
        if clip_value:
            handed = [optimizers.clip_by_value(gradient, clip_value) for gradient in handed]
        if clip_norm:
            handed = [optimizers.clip_by_norm(gradient, clip_norm) for gradient in handed]
        if clip_global:
            handed = optimizers.clip_by_global_norm(handed, clip_global)
        for place, gradient in enumerate(handed):
            if name == "Adam":
                options["step"] = step + 1
            result = getattr(optimizers, name.lower())(current[place], slots[place], gradient, **options)
            current[place], slots[place] = result
        trajectory.append(list(current))
    return [np.stack(values) for values in zip(*trajectory, strict=True)]


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_reference_optimizers(case):
    values = OPTIMIZERS[case]
    for actual, expected in zip(reference_trajectory(values), numbered(values, "values"), strict=True):
        assert_close(actual, expected)
