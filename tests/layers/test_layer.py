import numpy as np
import pytest

from timeloom import GradientTape, Input, Sequential, Variable, backend, layers, ops
from timeloom.layers import Activation, Dense, Dropout, Embedding, Flatten, InputLayer, Layer

GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _names_from_the_start():
    backend.clear_session()


def test_automatic_names_count_per_class():
    assert [Dense(1).name, Dense(1).name, layers.LSTM(1).name, layers.SimpleRNN(1).name] == [
        "dense",
        "dense_1",
        "lstm",
        "simple_rnn",
    ]
    assert Dense(1, name="mine").name == "mine"


def test_dense_computes_what_it_says():
    layer = Dense(3, activation="relu", dtype="float64", bias_initializer="ones")
    x = GENERATOR.normal(size=(4, 5, 2))
    outputs = layer(x)
    kernel, bias = layer.get_weights()
    expected = np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)
    assert layer.compute_output_shape((None, 5, 2)) == (None, 5, 3)
    assert [weight.name for weight in layer.weights] == ["kernel", "bias"]
    assert layer.kernel.path == "dense/kernel"
    assert layer.count_params() == 9


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "exponential", "sigmoid", np.tanh])
def test_dense_takes_any_activation(activation):
    layer = Dense(3, activation=activation, dtype="float64")
    plain = Dense(3, dtype="float64")
    x = GENERATOR.normal(size=(4, 2))
    plain(x)
    layer(x)
    plain.set_weights(layer.get_weights())
    after = layer.activation(plain(x))
    np.testing.assert_allclose(layer(x), after, rtol=1e-12)
    with GradientTape() as tape:
        total = ops.sum(layer(x) * x.sum(1, keepdims=True))
    assert all(np.isfinite(g).all() for g in tape.gradient(total, layer.trainable_weights))


@pytest.mark.parametrize("dtype", ["float64", "uint8", "bool", ">f4", "float16", "int64"])
def test_inputs_of_every_real_dtype_and_layout_are_cast(dtype):
    layer = Dense(3)
    x = (GENERATOR.random((6, 8)) * 3).astype(dtype)
    expected = layer(x.astype("float32"))
    assert expected.dtype == np.float32
    for view in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1][::-1], x.tolist()):
        np.testing.assert_array_equal(layer(view), expected)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros(4), ValueError, "inputs: expected at least 2 dimensions"),
        (np.zeros((4, 3)), ValueError, "inputs: expected 2 features .* got shape"),
        (np.array([["a", "b"]]), TypeError, "inputs: expected real numbers, got dtype <U1"),
        (np.array([[None, 1]]), TypeError, "inputs: expected real numbers, got dtype object"),
        (np.zeros((4, 2), complex), TypeError, "inputs: expected real numbers, got dtype complex128"),
        ([[1.0, 2.0], [1.0]], ValueError, "inputs: expected an array, got lists of unequal lengths"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, error, words):
    layer = Dense(3, input_dim=2)
    layer.build((None, 2))
    with pytest.raises(error, match=words):
        layer(x)


@pytest.mark.parametrize("units", [0, -3, 2.5, True, "3", None])
@pytest.mark.parametrize("kind", [Dense, layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_units_that_are_no_positive_integer_are_refused(kind, units):
    with pytest.raises(ValueError, match="units: expected a positive integer, got"):
        kind(units)


@pytest.mark.parametrize("kind", [Dense, layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_unknown_arguments_and_names_are_refused(kind):
    with pytest.raises(ValueError, match=r"unitss: expected an argument that .* knows"):
        kind(3, unitss=4)
    with pytest.raises(ValueError, match="activation: expected one of"):
        kind(3, activation="rellu")
    with pytest.raises(NotImplementedError, match="dtype: expected 'float32' or 'float64'"):
        kind(3, dtype="float16")
    with pytest.raises(ValueError, match="dtype: expected 'float32' or 'float64', got 3"):
        kind(3, dtype=3)
    with pytest.raises(ValueError, match="name: expected"):
        kind(3, name="a/b")


def test_enormous_units_are_a_memory_error_and_leave_the_layer_unbuilt():
    for kind, shape in ((Dense, (None, 10)), (layers.LSTM, (None, 3, 10))):
        layer = kind(10**12)
        with pytest.raises(MemoryError, match="kernel: expected a weight that fits into"):
            layer.build_for(shape)
        assert not layer.built
        assert layer.weights == []


def test_layer_whose_first_call_fails_stays_unbuilt():
    class Failing(Dense):
        def call(self, inputs):
            raise MemoryError("outputs: expected less")

    layer = Failing(3)
    with pytest.raises(MemoryError, match="outputs"):
        layer(np.zeros((2, 4)))
    assert (layer.built, layer.weights, layer.input_features) == (False, [], None)


def test_weights_of_wrong_number_or_shape_change_nothing():
    layer = Dense(3)
    layer.build((None, 2))
    before = layer.get_weights()
    wrong = [
        ([np.ones((2, 3))], ValueError, "weights: expected 2 arrays for 'dense', got 1"),
        (
            [np.ones((2, 3)), np.ones(4)],
            ValueError,
            r"weights\[1\]: expected shape \(3,\) of 'dense/bias', got",
        ),
        ([np.ones((2, 3)), ["a", "b", "c"]], TypeError, r"weights\[1\]: expected real numbers"),
        ("ab", ValueError, "weights: expected a list of arrays"),
    ]
    for weights, error, words in wrong:
        with pytest.raises(error, match=words):
            layer.set_weights(weights)
        for weight, old in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)
    layer.get_weights()[0][:] = 7.0
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_initial_weights_as_in_keras_2():
    kernel, bias = np.ones((2, 3)), np.arange(3.0)
    layer = Dense(3, weights=[kernel, bias])
    layer(np.zeros((1, 2)))
    np.testing.assert_array_equal(layer.get_weights()[1], bias)
    wrong = Dense(3, weights=[kernel])
    with pytest.raises(ValueError, match="weights: expected 2 arrays"):
        wrong(np.zeros((1, 2)))
    assert not wrong.built


def test_dropout_only_in_training_and_by_its_seed():
    x = np.ones((200, 50))
    layer = Dropout(0.4, seed=3)
    np.testing.assert_array_equal(layer(x), x.astype("float32"))
    dropped = layer(x, training=True)
    np.testing.assert_array_equal(dropped, Dropout(0.4, seed=3)(x, training=True))
    assert not np.array_equal(dropped, layer(x, training=True))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.6)}
    assert abs((dropped == 0).mean() - 0.4) < 0.02
    assert not Dropout(1.0)(x, training=True).any()
    rows = Dropout(0.5, noise_shape=(None, 1), seed=1)(x, training=True)
    assert (rows == rows[:, :1]).all()
    for rate in (-0.1, 1.5, "x", None):
        with pytest.raises(ValueError, match="rate: expected"):
            Dropout(rate)
    for shape in (3, "ab", (1.5, 1)):
        with pytest.raises(ValueError, match="noise_shape: expected"):
            Dropout(0.5, noise_shape=shape)


def test_activation_and_flatten():
    x = GENERATOR.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(Activation("relu")(x), np.maximum(x, 0).astype("float32"))
    assert Flatten()(x).shape == (2, 12)
    assert Flatten().compute_output_shape((None, 3, 4)) == (None, 12)
    assert Flatten().compute_output_shape((None, None, 4)) == (None, None)
    with pytest.raises(NotImplementedError, match="data_format"):
        Flatten("channels_first")
    with pytest.raises(ValueError, match="inputs: expected at least 1 dimensions for 'flatten"):
        Flatten()(3.0)


def test_embedding_looks_vectors_up():
    table = GENERATOR.normal(size=(5, 3)).astype("float32")
    layer = Embedding(5, 3, weights=[table])
    assert layer.built
    indices = np.array([[0, 4], [2, 2]])
    for given in (indices, indices.astype("float64") + 0.5, indices.astype("uint8"), indices.tolist()):
        np.testing.assert_array_equal(layer(given), table[indices])
    for wrong in ([[5]], [[-1]]):
        with pytest.raises(ValueError, match=r"inputs: expected indices in \[0, 4\]"):
            layer(wrong)
    with pytest.raises(ValueError, match="expected whole numbers, got NaN"):
        layer([[np.nan]])
    assert Embedding(5, 3, input_length=7).batch_input_shape == (None, 7)


def test_trainable_reaches_weights_and_tapes():
    layer = Dense(2, input_dim=2)
    layer.build((None, 2))
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 2
    assert not layer.kernel.trainable
    layer.trainable = True
    assert len(layer.trainable_weights) == 2
    frozen = Dense(2, trainable=False)
    frozen.build((None, 2))
    assert frozen.trainable_weights == []


@pytest.mark.parametrize(
    "make",
    [lambda: Dense(3), lambda: Activation("tanh"), lambda: Dropout(0.5), lambda: Sequential([Dense(3)])],
)
def test_gradient_of_a_variable_passes_through_a_layer(make):
    layer = make()
    inputs = Variable(GENERATOR.normal(size=(4, 2)).astype("float32"))
    assert type(layer(inputs)) is np.ndarray
    with GradientTape() as tape:
        by_variable = layer(inputs)
    with GradientTape() as other:
        handle = other.watch(inputs.numpy())
        by_handle = layer(handle)
    np.testing.assert_array_equal(tape.gradient(by_variable, inputs), other.gradient(by_handle, handle))
    with (
        GradientTape(),
        pytest.raises(TypeError, match=r"inputs: expected dtype float32 for .*, got float64"),
    ):
        Dense(3)(Variable(np.ones((4, 2))))
    with GradientTape(), pytest.raises(TypeError, match=r"would cut the gradient .*\.numpy\(\)"):
        layer([inputs[0], inputs[1]])


def test_layers_written_by_users():
    class Twice(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Dense(2)

        def build(self, input_shape):
            self.scale = self.add_weight((2,), "ones", name="scale")
            self.count = self.add_weight((), "zeros", trainable=False, name="count")

        def call(self, inputs):
            return self.inner(inputs) * self.scale

    layer = Twice()
    x = GENERATOR.normal(size=(3, 4))
    assert layer(x).shape == (3, 2)
    assert [weight.name for weight in layer.trainable_weights] == ["scale", "kernel", "bias"]
    assert [weight.name for weight in layer.weights] == ["scale", "count", "kernel", "bias"]
    assert layer.compute_output_shape((None, 4)) == (None, 2)
    with GradientTape() as tape:
        loss = ops.sum(layer(x))
    assert [g.shape for g in tape.gradient(loss, layer.trainable_weights)] == [(2,), (4, 2), (2,)]


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg", use_bias=False),
        Dropout(0.3, seed=4),
        Activation("tanh"),
        Flatten(),
        Embedding(4, 3),
        layers.SimpleRNN(3, go_backwards=True),
        layers.LSTM(3, unit_forget_bias=False, return_state=True, dropout=0.2),
        layers.GRU(3, reset_after=False, return_sequences=True, kernel_initializer="he_normal"),
        InputLayer((3, 2), name="in"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configuration_makes_an_equal_layer(layer):
    config = layer.get_config()
    copy = layers.deserialize(layers.serialize(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == config
    assert not copy.weights


@pytest.mark.parametrize("configuration", ["Dense", 3, None, {}])
def test_what_is_no_configuration_makes_no_layer(configuration):
    with pytest.raises(ValueError, match="layer: expected a dict with 'class_name', got"):
        layers.deserialize(configuration)


def test_input_says_shape_and_dtype():
    tensor = Input(shape=(None, 3), batch_size=2, dtype="int32", name="words")
    assert (tensor.shape, tensor.dtype, tensor.name) == ((2, None, 3), "int32", "words")
    with pytest.raises(ValueError, match="shape: expected either shape or batch_shape"):
        Input()
    with pytest.raises(ValueError, match="shape: expected"):
        Input(shape=(0, 3))
    with pytest.raises(NotImplementedError, match="sparse"):
        Input(shape=(3,), sparse=True)
    with pytest.raises(NotImplementedError, match="functional models"):
        Dense(2)(tensor)
