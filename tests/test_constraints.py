import numpy as np
import pytest

from timeloom import constraints, layers, models, regularizers

W = np.array([[3.0, 0.3], [-4.0, 0.4]])


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (constraints.MaxNorm(1.0), [[0.6, 0.3], [-0.8, 0.4]]),
        (constraints.NonNeg(), [[3.0, 0.3], [0.0, 0.4]]),
        (constraints.UnitNorm(), [[0.6, 0.6], [-0.8, 0.8]]),
        (constraints.MinMaxNorm(1.0, 2.0), [[1.2, 0.6], [-1.6, 0.8]]),
        (constraints.MinMaxNorm(1.0, 2.0, rate=0.5), [[2.1, 0.45], [-2.8, 0.6]]),
    ],
)
def test_constraint_gives_the_nearest_legal_weights(constraint, expected):
    before = W.copy()
    np.testing.assert_allclose(constraint(W), expected, rtol=1e-6)
    np.testing.assert_array_equal(W, before)
    assert constraint(W.astype("float32")).dtype == np.float32
    copy = constraints.get(constraints.serialize(constraint))
    assert copy.get_config() == constraint.get_config()


def test_zero_columns_stay_zero():
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm()):
        np.testing.assert_array_equal(constraint(np.zeros((2, 2))), np.zeros((2, 2)))


def test_constraint_holds_after_every_update():
    model = models.Sequential(
        [layers.Dense(3, kernel_constraint="max_norm", bias_constraint="nonneg", input_dim=4)]
    )
    model.compile(optimizer="sgd", loss="mse")
    model.optimizer.learning_rate = 5.0
    x = np.random.default_rng(0).normal(size=(16, 4))
    for _ in range(3):
        model.train_on_batch(x, 10 * x[:, :3] - 5)
        assert np.linalg.norm(model.layers[0].kernel.numpy(), axis=0).max() <= 2.0001
        assert model.layers[0].bias.numpy().min() >= 0


def test_penalties_add_to_the_loss_and_not_to_the_metrics():
    x = np.ones((4, 2), "float32")
    plain = models.Sequential([layers.Dense(1, kernel_initializer="ones", input_dim=2)])
    penalized = models.Sequential(
        [
            layers.Dense(
                1,
                kernel_initializer="ones",
                kernel_regularizer="l2",
                bias_regularizer=regularizers.L1(0.5),
                activity_regularizer=regularizers.L2(0.25),
                input_dim=2,
            )
        ]
    )
    for model in (plain, penalized):
        model.compile(loss="mse", metrics=["mse"])
    loss, metric = plain.evaluate(x, np.zeros(4), verbose=0)
    more, same = penalized.evaluate(x, np.zeros(4), verbose=0)
    assert metric == same == loss == 4.0
    # 0.01 (1 + 1) of the kernel, 0 of the bias, 0.25 * 4 * 2**2 / 4 of the outputs.
    assert more == pytest.approx(4.0 + 0.02 + 1.0)


def test_regularizer_gradient_reaches_the_weights():
    model = models.Sequential([layers.Dense(1, kernel_initializer="ones", use_bias=False, input_dim=2)])
    model.layers[0].kernel.regularizer = regularizers.L1L2(l1=0.5, l2=0.25)
    model.compile(optimizer="sgd", loss="mse")
    model.optimizer.learning_rate = 1.0
    model.train_on_batch(np.zeros((4, 2)), np.zeros(4))
    np.testing.assert_allclose(model.get_weights()[0], np.full((2, 1), 1 - 0.5 - 0.5))


def test_regularizer_names_and_configurations():
    assert regularizers.get("l2").get_config() == {"l2": 0.01}
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    copy = regularizers.get(regularizers.serialize(regularizers.L1L2(0.1, 0.2)))
    assert copy.get_config() == {"l1": 0.1, "l2": 0.2}
    assert regularizers.get(None) is None
    with pytest.raises(ValueError, match="l2: expected a number"):
        regularizers.L2(-1.0)
    with pytest.raises(NotImplementedError, match="OrthogonalRegularizer"):
        regularizers.get("OrthogonalRegularizer")
    with pytest.raises(ValueError, match="constraint: expected one of"):
        constraints.get("maximum")
