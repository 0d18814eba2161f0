"""Activations of timeloom, and of the reference, against the numbers of Keras: values, derivatives, kinks."""

import numpy as np
import pytest

from tests.golden import load
from tests.reference.activations import ACTIVATIONS
from timeloom import GradientTape, activations

CASES = load("keras_activations")
# Relative above 1 and absolute below. PyTorch's hardswish takes its 1/3 and 1/6 from float32.
TOLERANCE = {"hard_silu": 1e-7}
DEFAULT_TOLERANCE = 1e-11

each_case = pytest.mark.parametrize("case", sorted(CASES))


def assert_close(actual, expected, name):
    assert actual.shape == expected.shape
    scale = np.maximum(1, np.abs(expected))
    assert np.max(np.abs(actual - expected) / scale) <= TOLERANCE.get(name, DEFAULT_TOLERANCE)


def test_every_activation_of_keras_has_a_case():
    named = {values["options"]["name"] for values in CASES.values()}
    assert named | {"swish", "hard_swish", "gelu_tanh", "sparsemax"} == set(activations.functions.__all__)


@each_case
def test_values_and_derivatives(case):
    values = CASES[case]
    name, arguments = values["options"]["name"], values["options"]["arguments"]
    function = getattr(activations, name)
    assert_close(function(values["x"], **arguments), values["y"], name)
    with GradientTape() as tape:
        x = tape.watch(values["x"])
        loss = (function(x, **arguments) * values["upstream"]).sum()
    assert_close(tape.gradient(loss, x), values["d_x"], name)


@each_case
def test_float32_stays_float32(case):
    values = CASES[case]
    name, arguments = values["options"]["name"], values["options"]["arguments"]
    x = values["x"][np.abs(values["x"]) < 50] if values["x"].ndim == 1 else values["x"]
    with GradientTape() as tape:
        traced = tape.watch(x.astype(np.float32))
        y = getattr(activations, name)(traced, **arguments)
        loss = y.sum()
    assert y.dtype == np.float32
    assert tape.gradient(loss, traced).dtype == np.float32


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_reference(name):
    values = CASES["gelu_1" if name == "gelu_tanh" else name]
    function, derivative = ACTIVATIONS[name]
    assert_close(function(values["x"]), values["y"], name)
    assert_close(derivative(values["x"]) * values["upstream"], values["d_x"], name)
