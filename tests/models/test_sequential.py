import json

import numpy as np
import pytest

from timeloom import Input, Model, Sequential, backend, layers, losses
from timeloom.layers import (
    GRU,
    LSTM,
    RNN,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GRUCell,
    InputLayer,
    Layer,
    Masking,
    TimeDistributed,
)
from timeloom.optimizers import Adam

GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _names_and_seeds_from_the_start():
    backend.clear_session()
    backend.seed_random_generator(0)


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [LSTM(4, input_shape=(5, 3)), Dense(2)],
        lambda: [LSTM(4, input_shape=(None, 3)), Dense(2)],
        lambda: [LSTM(4, batch_input_shape=(None, 5, 3)), Dense(2)],
        lambda: [LSTM(4, input_dim=3, input_length=5), Dense(2)],
        lambda: [LSTM(4, input_dim=3), Dense(2)],
        lambda: [Input(shape=(5, 3)), LSTM(4), Dense(2)],
        lambda: [InputLayer(shape=(5, 3)), LSTM(4), Dense(2)],
        lambda: [InputLayer(input_shape=(5, 3)), LSTM(4), Dense(2)],
    ],
)
def test_first_layer_or_input_builds_at_once(stack):
    model = Sequential(stack())
    assert model.built
    assert [layer.name for layer in model.layers] == ["lstm", "dense"]
    assert model.output_shape == (None, 2)
    assert model.input_shape[-1] == 3
    assert [w.shape for w in model.get_weights()] == [(3, 16), (4, 16), (16,), (4, 2), (2,)]
    assert model.predict(GENERATOR.normal(size=(2, 5, 3)), verbose=0).shape == (2, 2)


def test_first_data_builds():
    for use in (
        lambda model, x: model(x),
        lambda model, x: model.predict(x, verbose=0),
        lambda model, x: model.fit(x, np.zeros(4), verbose=0),
        lambda model, x: model.train_on_batch(x, np.zeros(4)),
        lambda model, x: model.build(x.shape),
    ):
        model = Sequential([GRU(4), Dense(1)])
        model.compile(loss="mse")
        assert not model.built
        assert model.get_weights() == []
        use(model, GENERATOR.normal(size=(4, 5, 3)))
        assert model.built
        assert len(model.get_weights()) == 5
        assert model.input_shape[2] == 3


def test_add_and_pop():
    model = Sequential(name="mine")
    model.add(Input((6,)))
    model.add(Dense(3))
    model.add(Dense(2, activation="softmax"))
    assert (model.name, model.output_shape, len(model.weights)) == ("mine", (None, 2), 4)
    x = GENERATOR.normal(size=(2, 6))
    hidden = model.layers[0](x)
    assert model.pop() is not None
    np.testing.assert_array_equal(model.predict(x, verbose=0), hidden)
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    model.pop()
    model.pop()
    with pytest.raises(ValueError, match="pop: expected a layer"):
        model.pop()
    with pytest.raises(ValueError, match="expected a layer in 'mine', got none"):
        model.predict(x)


def test_refused_add_leaves_the_model_as_it_was():
    model = Sequential([Dense(3, input_dim=4, name="first")])
    before = model.get_weights()
    refused = [
        (Dense(2, name="first"), ValueError, "expected a name of its own, got 'first'"),
        ("Dense", ValueError, "layer: expected a Layer, got 'Dense'"),
        (LSTM(4), ValueError, r"inputs: expected 3 dimensions for 'lstm', got shape \(None, 3\)"),
        (InputLayer((3,)), ValueError, "expected an InputLayer only as the first"),
        (Dense(10**12), MemoryError, "expected a weight that fits"),
        (Dense(2, dtype="float64"), ValueError, "dtype: expected float32 for"),
    ]
    for layer, error, words in refused:
        with pytest.raises(error, match=words):
            model.add(layer)
        assert len(model.layers) == 1
        assert model.output_shape == (None, 3)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    for wrong in ("ab", 3, {"a": 1}):
        with pytest.raises(ValueError, match="layers: expected a list"):
            Sequential(wrong)


def test_model_that_cannot_be_built_stays_unbuilt():
    model = Sequential([Dense(3), Dense(10**12)])
    with pytest.raises(MemoryError):
        model.predict(np.zeros((2, 4)), verbose=0)
    assert not model.built
    assert not any(layer.built for layer in model.layers)
    assert model.weights == []
    with pytest.raises(ValueError, match="input_shape: expected a shape, got None"):
        model.build()


def test_states_only_on_top():
    model = Sequential([LSTM(4, return_state=True, input_shape=(5, 3))])
    found = model.predict(GENERATOR.normal(size=(3, 5, 3)), batch_size=2, verbose=0)
    assert [part.shape for part in found] == [(3, 4)] * 3
    for few in (0, 2):
        x = np.zeros((few, 5, 3))
        for found in (model.predict(x, verbose=0), model.predict_on_batch(x)):
            assert type(found) is list
            assert [part.shape for part in found] == [(few, 4)] * 3
    with pytest.raises(ValueError, match="return_state: expected False"):
        model.add(Dense(2))
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="return_state: expected a model of one output"):
        model.fit(np.zeros((3, 5, 3)), np.zeros((3, 4)), verbose=0)


def test_data_of_another_shape_is_refused():
    model = Sequential([Input((5, 3)), LSTM(4)])
    for shape in ((2, 5), (2, 5, 4), (2, 6, 3)):
        with pytest.raises(ValueError, match="inputs: expected"):
            model.predict(np.zeros(shape), verbose=0)
    free = Sequential([LSTM(4, return_sequences=True), Dense(1)])
    assert free.predict(np.zeros((2, 5, 3)), verbose=0).shape == (2, 5, 1)
    assert free.predict(np.zeros((2, 9, 3)), verbose=0).shape == (2, 9, 1)


def test_predictions_have_the_dtype_of_the_model():
    x = GENERATOR.integers(0, 255, (4, 5, 3), dtype="uint8")
    assert Sequential([LSTM(4), Dense(1)]).predict(x, verbose=0).dtype == np.float32
    backend.set_floatx("float64")
    try:
        double = Sequential([LSTM(4), Dense(1)])
    finally:
        backend.set_floatx("float32")
    assert double.predict(x, verbose=0).dtype == np.float64


def test_no_samples_give_no_outputs():
    model = Sequential([LSTM(4, input_shape=(5, 3)), Dense(2)])
    assert model.predict(np.zeros((0, 5, 3)), verbose=0).shape == (0, 2)


def test_predictions_are_arrays_of_their_own():
    model = Sequential([Dropout(0.5)])
    x = np.ones((3, 2), dtype="float32")
    for found in (model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert not np.shares_memory(found, x)
        np.testing.assert_array_equal(found, x)


def test_batches_do_not_change_a_prediction():
    model = Sequential([LSTM(9, return_sequences=True), GRU(7), Dense(3, activation="softmax")])
    x = GENERATOR.normal(size=(10, 6, 3)).astype("float32")
    whole = model.predict(x, batch_size=10, verbose=0)
    for size in (1, 3, 32):
        np.testing.assert_array_equal(model.predict(x, batch_size=size, verbose=0), whole)
    np.testing.assert_array_equal(model.predict_on_batch(x), whole)
    np.testing.assert_array_equal(model(x), whole)
    for view in (np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, axis=2)[:, :, ::2], x.tolist()):
        np.testing.assert_array_equal(model.predict(view, verbose=0), whole)


def test_get_layer_and_weights():
    model = Sequential([Dense(3, input_dim=4, name="a"), Dense(2, name="b")])
    assert model.get_layer("b") is model.get_layer(index=1) is model.layers[1]
    for arguments in ({}, {"name": "a", "index": 0}, {"name": "c"}, {"index": 5}, {"index": "a"}):
        with pytest.raises(ValueError, match=r"name|index"):
            model.get_layer(**arguments)
    twin = Sequential([Dense(3, input_dim=4), Dense(2)])
    twin.set_weights(model.get_weights())
    x = GENERATOR.normal(size=(3, 4))
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match="weights: expected 4 arrays"):
        twin.set_weights(model.get_weights()[:3])
    assert model.count_params() == 15 + 8
    with pytest.raises(ValueError, match="count_params: expected 'sequential_2' to be built"):
        Sequential([Dense(2)]).count_params()


def test_models_inside_models():
    inner = Sequential([Dense(4, activation="relu"), Dropout(0.5)], name="inner")
    model = Sequential([Embedding(10, 3, input_length=5), Flatten(), inner, Dense(2)])
    assert model.output_shape == (None, 2)
    assert len(model.trainable_weights) == 5
    x = GENERATOR.integers(0, 10, (6, 5))
    model.compile(optimizer="sgd", loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    before = inner.get_weights()[0]
    model.train_on_batch(x, GENERATOR.integers(0, 2, 6))
    assert not np.array_equal(before, inner.get_weights()[0])
    inner.trainable = False
    assert len(model.trainable_weights) == 3


def test_stack_with_a_call_of_its_own():
    class Doubled(Sequential):
        def call(self, inputs, training=False, mask=None):
            return super().call(inputs, training=training, mask=mask) * 2.0

    model = Doubled([Masking(), Dense(2)])
    x = GENERATOR.normal(size=(3, 5, 4)).astype("float32")
    x[0, 2:] = 0
    expected = 2 * model.layers[-1](x)
    np.testing.assert_array_equal(model(x), 2 * model.layers[-1](x))
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.compile("sgd", "mse")
    loss = model.evaluate(x, np.zeros((3, 5, 2)), verbose=0)
    assert loss == pytest.approx((expected[x.any(-1)] ** 2).mean(), rel=1e-5)


def test_models_written_as_a_class():
    class Classifier(Model):
        def __init__(self):
            super().__init__()
            self.hidden = Dense(8, activation="tanh")
            self.drop = Dropout(0.1)
            self.top = Dense(1)

        def call(self, inputs, training=False):
            return self.top(self.drop(self.hidden(inputs), training=training))

    model = Classifier()
    model.compile(optimizer=Adam(0.01), loss="mse")
    x = GENERATOR.normal(size=(32, 3))
    history = model.fit(x, x.sum(1), epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert [layer.name for layer in model.layers] == ["dense", "dropout", "dense_1"]
    with pytest.raises(NotImplementedError, match="inputs"):
        Model(inputs=Input((3,)), outputs=None)


def test_configuration_makes_an_equal_model():
    model = Sequential([Input((5, 3)), LSTM(4, return_sequences=True), GRU(3), Dense(2, "softmax")])
    copy = Sequential.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]
    late = Sequential([Dense(2)])
    late.build((None, 3))
    assert Sequential.from_config(late.get_config()).built
    config = layers.serialize(Dense(2))
    config["class_name"] = "ConvLSTM1D"
    with pytest.raises(NotImplementedError, match="ConvLSTM1D"):
        layers.deserialize(config)


class Doubled(Layer):
    acts_per_timestep = True

    def call(self, inputs):
        return inputs + inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Input((5, 4)), Sequential([LSTM(2)])]),
        lambda: Sequential([Input((5, 4)), Sequential([Sequential([Dense(2)]), GRU(3)]), Dense(1)]),
        lambda: Sequential([Input((5, 4)), TimeDistributed(Sequential([Dense(3), Dense(2)]))]),
        lambda: Sequential([Input((5, 4)), Doubled(), TimeDistributed(Doubled()), GRU(2)]),
        lambda: Sequential([Input((5, 4)), TimeDistributed(Sequential([Doubled(), Dense(2)]))]),
        lambda: Sequential([Input((5, 4)), Sequential([Doubled(), RNN(GRUCell(2))])]),
    ],
)
def test_configuration_of_models_inside_models_and_of_own_layers(make):
    model = make()
    config = json.loads(json.dumps(model.get_config()))
    copy = Sequential.from_config(config, custom_objects={"Doubled": Doubled})
    assert json.loads(json.dumps(copy.get_config())) == config
    copy.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 5, 4))
    np.testing.assert_array_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))
    written = layers.serialize(model)
    assert type(layers.deserialize(written, {"Doubled": Doubled})) is Sequential
    if "Doubled" not in json.dumps(config):
        assert Sequential.from_config(config).get_config() == copy.get_config()
        assert type(layers.deserialize(written)) is Sequential
    else:
        with pytest.raises(ValueError, match=r"layer: expected one of .*, got 'Doubled'"):
            Sequential.from_config(config)


SUMMARY = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)             ┃ Output Shape        ┃   Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ lstm (LSTM)              │ (None, 5, 16)       │     1,280 │
├──────────────────────────┼─────────────────────┼───────────┤
│ a_layer_with_a_long_name │ (None, 5, 2)        │        34 │
│ (Dense)                  │                     │           │
└──────────────────────────┴─────────────────────┴───────────┘
 Total params: 1,314 (5.13 KB)
 Trainable params: 34 (136.00 B)
 Non-trainable params: 1,280 (5.00 KB)
"""


def test_summary_as_keras_writes_it(capsys):
    stack = [LSTM(16, return_sequences=True, input_shape=(5, 3)), Dense(2, name="a_layer_with_a_long_name")]
    model = Sequential(stack)
    model.layers[0].trainable = False
    assert model.summary(line_length=62) is None
    printed = capsys.readouterr().out
    assert printed == SUMMARY
    lines = []
    model.summary(line_length=62, print_fn=lines.append)
    assert "\n".join(lines) + "\n" == printed


def test_summary_options(capsys):
    inner = Sequential([Dense(2)], name="inner")
    model = Sequential([Dense(3, name="a"), inner, Dense(4, name="c")])
    model.summary()
    assert "0 (unbuilt)" in capsys.readouterr().out
    model.build((None, 3))
    model.summary(expand_nested=True, show_trainable=True)
    printed = capsys.readouterr().out
    assert "└ dense (Dense)" in printed
    assert "Trainable" in printed
    model.summary(layer_range=["inner", "c"])
    assert "a (Dense)" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="layer_range: expected"):
        model.summary(layer_range=["x", "y"])
    with pytest.raises(ValueError, match="line_length: expected"):
        model.summary(line_length=5)
