"""Regularizers and constraints of recurrent layers and of wrappers, in training."""

import numpy as np
import pytest

from timeloom import Packed, Sequential, constraints, losses
from timeloom.layers import GRU, LSTM, Bidirectional, Dense, SimpleRNN, TimeDistributed
from timeloom.optimizers import SGD

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(12, 5, 3)).astype("float32")
Y = GENERATOR.normal(size=(12, 2)).astype("float32")
CELLS = [SimpleRNN, LSTM, GRU]
PENALTIES = {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}


def recurrent_penalty(layer):
    """What PENALTIES come to for kernel, recurrent kernel and bias, one direction after the other."""
    kernels = [weight.astype("float64") for weight in layer.get_weights()]
    return sum(
        0.01 * ((kernel**2).sum() + np.abs(recurrent).sum() + (bias**2).sum())
        for kernel, recurrent, bias in zip(kernels[::3], kernels[1::3], kernels[2::3], strict=True)
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("wrap", [lambda layer: layer, Bidirectional], ids=["alone", "bidirectional"])
def test_penalties_of_weights_are_in_loss_and_validation_loss(cell, wrap):
    layer = wrap(cell(4, **PENALTIES, bias_initializer="ones"))
    model = Sequential([layer, Dense(2)])
    model.compile(SGD(0.0), "mse", metrics=["mse"])
    history = model.fit(X, Y, validation_data=(X[:4], Y[:4]), verbose=0).history
    penalty = recurrent_penalty(layer)
    assert penalty > 0.1
    assert history["loss"][0] == pytest.approx(history["mse"][0] + penalty, rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(history["val_mse"][0] + penalty, rel=1e-5)
    loss, error = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(error + penalty, rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_penalties_move_the_weights(cell):
    def zero(y_true, y_pred):
        return (y_pred * 0.0).sum(axis=-1)

    layer = cell(4, **PENALTIES, dtype="float64")
    model = Sequential([layer])
    model.compile(SGD(0.5), zero)
    model.build((None, 5, 3))
    kernel, recurrent, bias = layer.get_weights()
    model.train_on_batch(X, np.zeros((12, 4)))
    expected = (kernel * 0.99, recurrent - 0.005 * np.sign(recurrent), bias * 0.99)
    for found, value in zip(layer.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("wrap", [lambda layer: layer, Bidirectional], ids=["alone", "bidirectional"])
def test_constraints_hold_after_every_step(cell, wrap):
    layer = wrap(
        cell(
            4,
            kernel_constraint=constraints.MaxNorm(0.5),
            recurrent_constraint="unit_norm",
            bias_constraint="non_neg",
        )
    )
    model = Sequential([layer, Dense(2)])
    model.compile(SGD(0.5), "mse")
    for _ in range(3):
        model.train_on_batch(X, Y)
        weights = layer.get_weights()
        for kernel, recurrent, bias in zip(weights[::3], weights[1::3], weights[2::3], strict=True):
            assert np.linalg.norm(kernel, axis=0).max() <= 0.5 * (1 + 1e-6)
            np.testing.assert_allclose(np.linalg.norm(recurrent, axis=0), 1, rtol=1e-5)
            assert bias.min() >= 0
    assert any(weight.any() for weight in weights[2::3])


@pytest.mark.parametrize("cell", CELLS)
def test_penalty_of_activities_is_per_sample(cell):
    layer = cell(2, activity_regularizer="l2", return_sequences=True)
    model = Sequential([layer])
    model.compile(SGD(0.0), losses.MeanSquaredError(), metrics=["mse"])
    y = np.zeros((12, 5, 2))
    found = model.fit(X, y, validation_data=(X, y), batch_size=5, verbose=0, shuffle=False).history
    p = model.predict(X, verbose=0).astype("float64")
    # Batches of 5, 5 and 2 samples; the loss of an epoch weighs them by their samples.
    penalty = sum(0.01 * (p[rows] ** 2).sum() for rows in (slice(0, 5), slice(5, 10), slice(10, 12))) / 12
    assert found["loss"][0] == pytest.approx(found["mse"][0] + penalty, rel=1e-5)
    assert found["val_loss"][0] == pytest.approx(found["val_mse"][0] + penalty, rel=1e-5)


def test_penalty_of_activities_counts_no_padding():
    inner = Dense(2, activity_regularizer="l1")
    packed = Packed(X.reshape(60, 3)[:30], [5, 1, 4, 2, 6, 3, 5, 4])
    padded, mask = packed.pad(3.0)
    outputs = np.concatenate([inner(row) for row in packed.split()])
    expected = 0.01 * np.abs(outputs.astype("float64")).sum() / 8
    for layer in (inner, TimeDistributed(inner)):
        for arguments in ({"inputs": packed}, {"inputs": padded, "mask": mask}):
            layer(**arguments)
            assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
