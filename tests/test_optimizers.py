import numpy as np
import pytest

from tests.golden import load
from timeloom import GradientTape, Variable, ops, optimizers

GOLDEN = load("keras_optimizers")


@pytest.mark.parametrize("case", GOLDEN)
def test_steps_agree_with_keras(case):
    values = GOLDEN[case]
    options = dict(values["options"])
    optimizer = getattr(optimizers, options.pop("name"))(**options)
    variables = [Variable(values[f"start_{i}"], dtype="float64") for i in range(2)]
    for step in range(len(values["gradients_0"])):
        gradients = [values[f"gradients_{i}"][step] for i in range(2)]
        before = [gradient.copy() for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for i, variable in enumerate(variables):
            np.testing.assert_allclose(variable.numpy(), values[f"values_{i}"][step], rtol=1e-11)
            np.testing.assert_array_equal(gradients[i], before[i])
    assert int(optimizer.iterations.numpy()) == len(values["gradients_0"])
    assert variables[0].version == len(values["gradients_0"])


def test_old_names_lr_and_decay():
    optimizer = optimizers.SGD(lr=0.5, decay=1.0)
    assert float(optimizer.lr) == float(optimizer.learning_rate) == 0.5
    w = Variable([0.0])
    for expected in (-0.5, -0.75, -0.75 - 0.5 / 3):
        optimizer.apply_gradients([([1.0], w)])
        np.testing.assert_allclose(w.numpy(), [expected], rtol=1e-6)
    optimizer.lr = 0.25
    assert float(optimizer.learning_rate.numpy()) == 0.25
    optimizer.learning_rate.assign(1)
    assert float(optimizer.lr) == 1.0
    copy = optimizers.get(optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config()
    assert copy.decay == 1.0


def test_slots_belong_to_variables_and_outlive_a_change_of_the_list():
    a, b = Variable([1.0]), Variable([[1.0, 2.0]])
    alone, both = optimizers.Adam(0.1), optimizers.Adam(0.1)
    x, y = Variable([1.0]), Variable([[1.0, 2.0]])
    for step in range(4):
        g, h = [1.0 + step], [[1.0, -step]]
        alone.apply_gradients([(g, a), (h, b)])
        both.apply_gradients([(h, y), (g, x)] if step % 2 else [(g, x), (h, y)])
    np.testing.assert_array_equal(a.numpy(), x.numpy())
    np.testing.assert_array_equal(b.numpy(), y.numpy())
    assert len(alone.variables) == 2 + 4


def test_gradients_of_a_tape_and_none():
    w, unused = Variable([2.0]), Variable([3.0], name="unused")
    with GradientTape() as tape:
        loss = ops.sum(w * w)
    gradients = tape.gradient(loss, [w, unused], unconnected_gradients="none")
    with pytest.warns(UserWarning, match="grads: got None for unused"):
        optimizers.SGD(0.25).apply_gradients(zip(gradients, [w, unused], strict=True))
    assert w.numpy().tolist() == [1.0]
    assert unused.numpy().tolist() == [3.0]


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda g: g[::-1, ::-1], lambda g: g.astype(">f8")])
def test_gradients_of_any_layout(layout):
    gradient = np.arange(6.0).reshape(2, 3)
    w = Variable(np.zeros((2, 3)), dtype="float32")
    optimizers.SGD(1.0).apply_gradients([(layout(gradient), w)])
    np.testing.assert_array_equal(w.numpy(), -layout(gradient).astype("float32"))


def test_refused_step_changes_nothing():
    optimizer = optimizers.Adam()
    w, v = Variable([1.0, 2.0]), Variable([1.0])
    refused = [
        ([([1.0], w)], ValueError, r"gradient of 'variable': expected shape \(2,\), got \(1,\)"),
        ([([1.0, 1.0], w), ([1.0, 1.0], w)], ValueError, "expected every Variable once"),
        ([([1.0, 1.0], w), (["a"], v)], TypeError, "expected real numbers"),
        ([(None, w)], ValueError, "expected a gradient"),
        ([([1.0], np.zeros(1))], TypeError, "expected Variables, got ndarray"),
        (None, TypeError, "grads_and_vars: expected pairs of a gradient and its Variable, .* got NoneType"),
        ([[1.0, 1.0], w], TypeError, "grads_and_vars: expected pairs"),
        ([([1.0, 1.0], w, 3)], TypeError, "grads_and_vars: expected pairs"),
        ([([1.0, 1.0], w), ([1.0], Variable([1.0], dtype="float64"))], TypeError, "expected one dtype"),
    ]
    for pairs, error, words in refused:
        with pytest.raises(error, match=words):
            optimizer.apply_gradients(pairs)
    with pytest.raises(TypeError, match="grads: expected a list of gradients, got float"):
        optimizer.apply(1.0, [w])
    with pytest.raises(TypeError, match="variables: expected a list of Variables, got int"):
        optimizer.build(3)
    assert w.numpy().tolist() == [1.0, 2.0]
    assert (w.version, int(optimizer.iterations.numpy()), optimizer.built) == (0, 0, False)


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_norm_without_a_limit_clips_nothing(clip):
    w = Variable([1.0, 2.0])
    optimizers.SGD(1.0, **{clip: np.inf}).apply_gradients([([3.0, -4.0], w)])
    assert w.numpy().tolist() == [-2.0, 6.0]


def test_nan_gradient_propagates():
    for kind in (optimizers.SGD, optimizers.RMSprop, optimizers.Adam):
        w = Variable([1.0, 2.0])
        kind().apply_gradients([([np.nan, 0.0], w)])
        assert np.isnan(w.numpy()).tolist() == [True, False]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0),
            ValueError,
            "clipnorm, clipvalue: expected at most",
        ),
        (lambda: optimizers.SGD(learning_rate="fast"), ValueError, "learning_rate: expected"),
        (lambda: optimizers.SGD(learning_rate=-1.0), ValueError, "learning_rate: expected"),
        (
            lambda: optimizers.SGD(float("inf")),
            ValueError,
            "learning_rate: expected a finite number, got inf",
        ),
        (lambda: optimizers.SGD(momentum=2.0), ValueError, "momentum: expected"),
        (lambda: optimizers.Adam(beta_1=1.0), ValueError, "beta_1: expected"),
        (lambda: optimizers.Adam(learning_rat=1.0), ValueError, "learning_rat: expected"),
        (lambda: optimizers.Adam(use_ema=True), NotImplementedError, "use_ema"),
        (
            lambda: optimizers.Adam(gradient_accumulation_steps=2),
            NotImplementedError,
            "gradient_accumulation",
        ),
        (lambda: optimizers.Adam(lambda: 0.1), NotImplementedError, "learning_rate"),
        (lambda: optimizers.get("adagrad"), NotImplementedError, "adagrad"),
        (lambda: optimizers.get("adamm"), ValueError, "optimizer: expected one of"),
        (lambda: optimizers.get(None), ValueError, "optimizer: expected"),
    ],
)
def test_wrong_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_integer_settings_of_keras_2_are_taken():
    optimizer = optimizers.SGD(learning_rate=1, momentum=0)
    assert float(optimizer.learning_rate) == 1.0
    assert isinstance(optimizers.get("sgd"), optimizers.SGD)
    assert isinstance(optimizers.get("RMSPROP"), optimizers.RMSprop)
