"""Names of activations: what layers may be given, what the kernels compute, what configurations hold."""

from functools import partial

import numpy as np
import pytest

from tests.autograd.differences import check_gradients
from timeloom import GradientTape, _core, activations, layers

CELLS = (layers.SimpleRNN, layers.GRU, layers.LSTM)
FUSED = sorted({*_core.activations(), "celu", "swish", "hard_swish"})
NEIGHBOURS = ("softmax", "log_softmax", "sparsemax", "glu")


@pytest.mark.parametrize("name", FUSED)
def test_every_elementwise_activation_is_fused(name):
    function = activations.get(name)
    assert activations.is_fused(function)
    kernel = activations.fused_name("activation", function)
    x = np.linspace(-4, 4, 33)
    assert np.array_equal(function(x), _core.activation(kernel, x))


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers_take_it_and_write_it_down(cell, name):
    gate = {} if cell is layers.SimpleRNN else {"recurrent_activation": name}
    layer = cell(3, activation=name, **gate)
    outputs = layer(np.random.default_rng(0).standard_normal((2, 4, 5)).astype("float32"))
    assert outputs.shape == (2, 3)
    again = cell.from_config(layer.get_config())
    assert again.activation is layer.activation is activations.get(name)
    assert activations.get(layer.get_config()["activation"]) is layer.activation


@pytest.mark.parametrize("name", [*FUSED, *NEIGHBOURS])
def test_dense_gives_the_activation_of_its_product(name):
    x = np.random.default_rng(1).standard_normal((3, 4))
    layer = layers.Dense(6, activation=name, dtype="float64")
    plain = layers.Dense(6, dtype="float64")
    layer.build(x.shape), plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    function = activations.get(name)
    results = []
    for forward in (layer, lambda value: function(plain(value))):
        with GradientTape() as tape:
            traced = tape.watch(x)
            y = forward(traced)
            loss = (y * np.arange(1.0, y.size + 1).reshape(y.shape)).sum()
        results.append((y.numpy(), tape.gradient(loss, traced)))
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NEIGHBOURS)
@pytest.mark.parametrize("argument", ["activation", "recurrent_activation"])
def test_what_needs_neighbours_is_refused_by_a_cell(argument, name):
    with pytest.raises(ValueError, match=f"^{argument}: expected .*, got {name}, which needs the neighbours"):
        layers.LSTM(3, **{argument: name})


def test_what_needs_arguments_is_refused_by_a_cell():
    with pytest.raises(ValueError, match=r"activation: expected .*, got threshold"):
        layers.GRU(3, activation="threshold")


def test_function_of_the_user_is_refused_by_a_cell():
    with pytest.raises(NotImplementedError, match=r"activation: expected one of .*, got <lambda>"):
        layers.LSTM(3, activation=lambda x: x)


def test_names_of_keras_2():
    assert activations.swish is activations.silu is activations.get("swish")
    assert activations.hard_swish is activations.get("hard_swish") is activations.get("hard_silu")
    x = np.array([-2.0, 3.0])
    assert activations.relu(x, alpha=0.5).tolist() == [-1.0, 3.0]


@pytest.mark.parametrize(("approximate", "name"), [(True, "gelu_tanh"), (False, "gelu")])
def test_either_form_of_gelu_has_a_name(approximate, name):
    layer = layers.LSTM(3, activation=partial(activations.gelu, approximate=approximate))
    assert layer.get_config()["activation"] == name
    x = np.linspace(-3, 3, 7)
    assert np.array_equal(layer.activation(x), activations.gelu(x, approximate=approximate))


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparsemax_is_the_nearest_point_of_the_simplex(axis):
    random = np.random.default_rng(2)
    x = random.standard_normal((3, 4, 5))
    y = activations.sparsemax(x, axis=axis)
    assert np.all(y >= 0)
    assert np.any(y == 0)
    np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-12)
    others = random.dirichlet(np.ones(x.shape[axis]), 200)
    lines, near = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    distance = np.sum((lines - near) ** 2, axis=-1)
    assert np.all(distance <= np.sum((lines - others[:, None, None]) ** 2, axis=-1))
    check_gradients(lambda value: activations.sparsemax(value, axis=axis), x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: activations.celu(x, alpha=0), "alpha: expected a number other than 0"),
        (lambda x: activations.elu(x, alpha="1"), "alpha: expected a number, got '1'"),
        (lambda x: activations.relu(x, max_value=-1.0), "max_value: expected a number of at least 0"),
        (lambda x: activations.soft_shrink(x, -1.0), "threshold: expected a number of at least 0"),
        (activations.glu, r"x: expected an even length along axis -1, got shape \(3,\)"),
        (lambda x: activations.get("rellu"), "activation: expected one of .*, got 'rellu'"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros(3))
