from functools import partial

import numpy as np
import pytest
from tests.autograd.differences import check_gradients
from tests.reference.activations import ACTIVATIONS

from timeloom import GradientTape, Variable, _core, ops
from timeloom.autograd import TracedArray

X = np.random.default_rng(0).normal(size=(3, 5)) * 2 + 0.05
FORMULAS = {
    ops.linear: lambda x: x,
    ops.relu: lambda x: np.maximum(x, 0),
    ops.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    ops.tanh: np.tanh,
    ops.hard_sigmoid: lambda x: np.clip(x + 3, 0, 6) / 6,
    ops.exp: np.exp,
    ops.softmax: lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    ops.log_softmax: lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("op", FORMULAS, ids=lambda op: op.__name__)
def test_values_and_derivatives(op):
    np.testing.assert_allclose(op(X), FORMULAS[op](X), rtol=1e-12)
    np.testing.assert_allclose(op(X.astype(np.float32)), FORMULAS[op](X), rtol=1e-5, atol=1e-6)
    check_gradients(op, X)
    check_gradients(lambda x: op(x.T[::2]), X)


def test_every_activation_of_the_kernels_is_known_to_the_reference():
    assert _core.activations().keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_by_name(name):
    op = partial(ops.activation, name)
    np.testing.assert_allclose(op(X), ACTIVATIONS[name][0](X), rtol=1e-13, atol=1e-15)
    assert op(X.astype(np.float32)).dtype == np.float32
    check_gradients(op, X)
    check_gradients(lambda x: op(x.T[::2]), X)


@pytest.mark.parametrize("name", ["softmax", "celu", "", "Tanh"])
def test_activation_of_another_name_is_refused(name):
    with pytest.raises(ValueError, match=f"name: expected one of linear, tanh, .*, got '{name}'"):
        ops.activation(name, X)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradient_is_that_at_the_recorded_input(name):
    x = X.copy()
    with GradientTape() as tape:
        traced = tape.watch(x)
        loss = ops.activation(name, traced).sum()
    x[...] = -x
    np.testing.assert_allclose(tape.gradient(loss, traced), ACTIVATIONS[name][1](X), rtol=1e-11, atol=1e-14)


def test_log():
    positive = np.abs(X) + 0.1
    np.testing.assert_allclose(ops.log(positive), np.log(positive), rtol=1e-13)
    check_gradients(ops.log, positive)


@pytest.mark.parametrize("op", [ops.softmax, ops.log_softmax])
@pytest.mark.parametrize("axis", [0, 1, -1, -3, 2])
def test_softmax_over_any_axis(op, axis):
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    y = op(x, axis=axis)
    np.testing.assert_allclose(np.sum(y if op is ops.softmax else np.exp(y), axis=axis), 1)
    check_gradients(lambda x: op(x, axis=axis), x)
    for bad in (3, "1", None, 1.0, True):
        with pytest.raises(ValueError, match="axis: expected"):
            op(x, axis=bad)


@pytest.mark.parametrize("op", [*FORMULAS, ops.log], ids=lambda op: op.__name__)
def test_kinds_of_arguments(op):
    x = np.abs(X) + 0.1
    assert type(op(x)) is np.ndarray
    assert type(op(Variable(x)) if op is not ops.linear else np.asarray(op(Variable(x)))) is np.ndarray
    with GradientTape() as tape:
        assert type(op(x)) is np.ndarray
        assert type(op(tape.watch(x))) is TracedArray
    for bad in (
        [[1.0]],
        np.arange(3),
        x.astype(np.float16),
        x * 1j,
        "x",
        None,
        np.array(["a"]),
        x.astype(">f8"),
    ):
        with pytest.raises(TypeError, match="x: expected"):
            op(bad)


def test_empty_arrays():
    for op in (*FORMULAS, ops.log):
        assert op(np.zeros((0, 3))).shape == (0, 3)


def test_scalars():
    for op in (ops.relu, ops.sigmoid, ops.tanh, ops.hard_sigmoid, ops.exp):
        assert op(np.array(0.5)).shape == ()
        check_gradients(op, 0.5)
