"""What a learner writes by hand: the time loop in NumPy, and a step of a character model."""

import numpy as np
import pytest
from tests.autograd.differences import slopes

from timeloom import GradientTape, Variable, ops
from timeloom.autograd import TracedArray

RANDOM = np.random.default_rng(11)
BATCH, TIMESTEPS, FEATURES, UNITS, OUTPUTS = 3, 5, 2, 4, 2
INPUTS = RANDOM.normal(size=(BATCH, TIMESTEPS, FEATURES))
TARGETS = RANDOM.normal(size=(BATCH, OUTPUTS))
WEIGHTS = [
    RANDOM.normal(size=(FEATURES, UNITS)),
    RANDOM.normal(size=(UNITS, UNITS)) / 2,
    RANDOM.normal(size=UNITS),
    RANDOM.normal(size=(UNITS, OUTPUTS)),
    RANDOM.normal(size=OUTPUTS),
]


def step_by_step(w_xh, w_hh, b_h, w_hy, b_y):
    h = np.zeros((BATCH, UNITS))
    for t in range(TIMESTEPS):
        h = np.tanh(INPUTS[:, t] @ w_xh + h @ w_hh + b_h)
    y = h @ w_hy + b_y
    return np.mean((y - TARGETS) ** 2)


def fused(w_xh, w_hh, b_h, w_hy, b_y):
    h, _ = ops.simple_rnn(INPUTS, w_xh, w_hh, b_h)
    return ops.mean(ops.mean_squared_error(TARGETS, ops.dense(h, w_hy, b_y)))


def gradients_of(loss_of, sources_of):
    with GradientTape() as tape:
        sources = sources_of(tape)
        loss = loss_of(*sources)
    return float(loss), tape.gradient(loss, sources)


@pytest.mark.parametrize("loss_of", [step_by_step, fused])
@pytest.mark.parametrize("kind", ["variables", "watched"])
def test_recurrent_network_by_hand(loss_of, kind):
    def sources_of(tape):
        return [Variable(w) for w in WEIGHTS] if kind == "variables" else tape.watch(WEIGHTS)

    loss, gradients = gradients_of(loss_of, sources_of)
    assert loss == pytest.approx(float(step_by_step(*WEIGHTS)), rel=1e-12)
    expected = slopes(step_by_step, [w.copy() for w in WEIGHTS])
    for gradient, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=1e-8 * np.abs(reference).max())


def test_a_few_steps_of_descent():
    variables = [Variable(w.astype(np.float32)) for w in WEIGHTS]
    losses = []
    for _ in range(30):
        with GradientTape() as tape:
            loss = step_by_step(*variables)
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.05 * gradient)
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0]


def test_character_model_step():
    """Inputs, targets and the previous state in; loss, gradients of every parameter and the last state."""
    size, units = 5, 4
    random = np.random.default_rng(2)
    parameters = [
        random.normal(size=(units, size)) * 0.5,  # W_xh, column vectors as in the well-known gist
        random.normal(size=(units, units)) * 0.5,
        random.normal(size=(size, units)) * 0.5,
        random.normal(size=(units, 1)),
        random.normal(size=(size, 1)),
    ]

    def loss_of(inputs, targets, h, w_xh, w_hh, w_hy, b_h, b_y):
        loss = 0.0
        for i, j in zip(inputs, targets, strict=True):
            x = np.zeros((size, 1))
            x[i] = 1
            h = np.tanh(w_xh @ x + w_hh @ h + b_h)
            y = w_hy @ h + b_y
            p = np.exp(y) / np.sum(np.exp(y))
            loss = loss + -np.log(p[j, 0])
        return loss, h

    def step(inputs, targets, h_previous, parameters):
        with GradientTape() as tape:
            handles = tape.watch(parameters)
            loss, h = loss_of(inputs, targets, h_previous, *handles)
        return float(loss), tape.gradient(loss, handles), h.numpy()

    h = np.zeros((units, 1))
    loss, gradients, h = step([0, 1, 2, 3], [1, 2, 3, 4], h, parameters)
    assert type(h) is np.ndarray
    carried = h.copy()
    loss, gradients, h = step([4, 0, 1], [0, 1, 2], h, parameters)
    expected = slopes(
        lambda *values: loss_of([4, 0, 1], [0, 1, 2], carried, *values)[0], [p.copy() for p in parameters]
    )
    for gradient, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=1e-8 * np.abs(reference).max())
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= 0.1 * np.clip(gradient, -5, 5)
    assert step([4, 0, 1], [0, 1, 2], carried, parameters)[0] < loss


def test_character_model_step_with_ops():
    size, units = 5, 4
    random = np.random.default_rng(2)
    kernel, recurrent, bias = (
        Variable(random.normal(size=shape)) for shape in ((size, units), (units, units), (units,))
    )
    w_hy, b_y = Variable(random.normal(size=(units, size))), Variable(np.zeros(size))
    inputs, targets = np.array([[4, 0, 1]]), np.array([[0, 1, 2]])
    h = np.zeros((1, units))
    variables = [kernel, recurrent, bias, w_hy, b_y]
    with GradientTape() as tape:
        x = np.eye(size)[inputs]
        outputs, (last,) = ops.simple_rnn(x, kernel, recurrent, bias, h, return_sequences=True)
        logits = ops.dense(outputs, w_hy, b_y)
        loss = ops.sum(ops.sparse_categorical_crossentropy(targets, logits, from_logits=True))
    gradients = tape.gradient(loss, variables)
    assert type(last) is TracedArray
    np.testing.assert_array_equal(last.numpy(), outputs.numpy()[:, -1])
    with GradientTape() as tape:
        h = np.zeros((1, units))
        loss = 0.0
        for t in range(3):
            h = np.tanh(np.eye(size)[inputs[:, t]] @ kernel + h @ recurrent + bias)
            y = h @ w_hy + b_y
            loss = loss + np.log(np.sum(np.exp(y))) - y[0, targets[0, t]]
    for gradient, reference in zip(gradients, tape.gradient(loss, variables), strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=1e-8 * np.abs(reference).max())
