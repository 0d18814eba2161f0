import numpy as np
import pytest
from tests.golden import load

from timeloom import GradientTape, layers, ops

CELLS = {
    "simple_rnn": (layers.SimpleRNN, {}),
    "lstm": (layers.LSTM, {}),
    "gru": (layers.GRU, {"reset_after": True}),
    "gru_reset_before": (layers.GRU, {"reset_after": False}),
}
CASES = [(cell, case) for cell in CELLS for case in load(f"keras_{cell}")]
KINDS = [layers.SimpleRNN, layers.LSTM, layers.GRU]
GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize(("cell", "case"), CASES)
def test_layer_agrees_with_keras(cell, case):
    values = load(f"keras_{cell}")[case]
    options = {name: value for name, value in values["options"].items() if name != "cell"}
    kind, more = CELLS[cell]
    if kind is layers.SimpleRNN:
        options.pop("recurrent_activation", None)
    layer = kind(3, return_state=True, dtype="float64", **options, **more)
    layer.build((None, None, 4))
    layer.set_weights([values["kernel"], values["recurrent_kernel"], values["bias"]])
    states = [values[f"initial_state_{i}"] for i in range(len(layer.state_size))]
    with GradientTape() as tape:
        x = tape.watch(values["inputs"])
        outputs, *finals = layer(x, initial_state=states)
        upstream = [
            values["upstream_outputs"],
            *(values[f"upstream_state_{i}"] for i in range(len(layer.state_size))),
        ]
        total = sum(ops.sum(a * b) for a, b in zip([outputs, *finals], upstream, strict=True))
    np.testing.assert_allclose(outputs.numpy(), values["outputs"], rtol=0, atol=1e-11)
    for i, state in enumerate(finals):
        np.testing.assert_allclose(state.numpy(), values[f"state_{i}"], rtol=0, atol=1e-11)
    gradients = tape.gradient(total, [x, *layer.trainable_weights])
    for name, gradient in zip(("inputs", "kernel", "recurrent_kernel", "bias"), gradients, strict=True):
        expected = values[f"d_{name}"]
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_of_outputs_and_states(kind):
    x = GENERATOR.normal(size=(2, 5, 3))
    states = 2 if kind is layers.LSTM else 1
    assert kind(4)(x).shape == (2, 4)
    assert kind(4, return_sequences=True)(x).shape == (2, 5, 4)
    found = kind(4, return_sequences=True, return_state=True)(x)
    assert [part.shape for part in found] == [(2, 5, 4)] + [(2, 4)] * states
    np.testing.assert_array_equal(found[0][:, -1], found[1])
    layer = kind(4, return_state=True)
    assert layer.compute_output_shape((None, 5, 3)) == ((None, 4),) + ((None, 4),) * states
    assert kind(4, return_sequences=True).compute_output_shape((None, None, 3)) == (None, None, 4)


def test_weights_as_keras_shapes_and_starts_them():
    x = np.zeros((1, 2, 3))
    lstm, gru, before, plain = (
        layers.LSTM(4),
        layers.GRU(4),
        layers.GRU(4, reset_after=False),
        layers.SimpleRNN(4, use_bias=False),
    )
    for layer in (lstm, gru, before, plain):
        layer(x)
    assert [w.shape for w in lstm.weights] == [(3, 16), (4, 16), (16,)]
    assert [w.shape for w in gru.weights] == [(3, 12), (4, 12), (2, 12)]
    assert [w.shape for w in before.weights] == [(3, 12), (4, 12), (12,)]
    assert [w.shape for w in plain.weights] == [(3, 4), (4, 4)]
    bias = lstm.get_weights()[2]
    np.testing.assert_array_equal(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 4))
    other = layers.LSTM(4, unit_forget_bias=False)
    other(x)
    assert not other.get_weights()[2].any()
    recurrent = lstm.get_weights()[1].astype(float)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_in_two_parts_with_carried_state_equals_the_whole(kind):
    layer = kind(4, return_sequences=True, return_state=True)
    x = GENERATOR.normal(size=(2, 6, 3)).astype("float32")
    whole, *final = layer(x)
    first, *states = layer(x[:, :2])
    second, *last = layer(x[:, 2:], initial_state=states)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    for a, b in zip(final, last, strict=True):
        np.testing.assert_array_equal(a, b)
    again, *_ = layer([x[:, 2:], *states])
    np.testing.assert_array_equal(again, second)


@pytest.mark.parametrize("kind", KINDS)
def test_go_backwards_is_the_reversed_input(kind):
    x = GENERATOR.normal(size=(2, 6, 3))
    forward, backward = kind(4, return_sequences=True), kind(4, return_sequences=True, go_backwards=True)
    forward(x)
    backward(x)
    backward.set_weights(forward.get_weights())
    np.testing.assert_array_equal(backward(x), forward(x[:, ::-1]))


@pytest.mark.parametrize("kind", KINDS)
def test_input_dropout_is_the_same_at_every_timestep_and_only_in_training(kind):
    x = np.ones((3, 5, 4), "float32")
    layer = kind(4, dropout=0.5, seed=2)
    plain = kind(4)
    plain(x)
    layer(x)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(x), plain(x))
    mask = np.random.default_rng(2).random((3, 1, 4), dtype=np.float32) >= np.float32(0.5)
    np.testing.assert_array_equal(layer(x, training=True), plain(x * mask * 2))
    assert kind(4, dropout=7.0).dropout == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_unroll_and_implementation_change_no_numbers(kind):
    x = GENERATOR.normal(size=(2, 6, 3))
    first = kind(4, unroll=True)
    expected = first(x)
    second = kind(4) if kind is layers.SimpleRNN else kind(4, implementation=1)
    second(x)
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(second(x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_later_is_refused_by_name(kind):
    assert kind(4, time_major=False).units == 4
    with pytest.raises(NotImplementedError, match="time_major: expected"):
        kind(4, time_major=True)
    with pytest.raises(NotImplementedError, match="constants: expected"):
        kind(4)(np.zeros((2, 5, 3)), constants=[np.zeros(3)])


def test_arguments_of_one_cell_only():
    with pytest.raises(ValueError, match="implementation: expected 0, 1 or 2"):
        layers.LSTM(4, implementation=3)
    for name in ("implementation", "use_cudnn", "reset_after", "unit_forget_bias"):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            layers.SimpleRNN(4, **{name: 1})
    with pytest.raises(NotImplementedError, match="use_cudnn"):
        layers.GRU(4, use_cudnn=True)
    with pytest.raises((ValueError, NotImplementedError), match="recurrent_activation: expected"):
        layers.GRU(4, recurrent_activation="softmax")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 3)), "inputs: expected 3 dimensions"),
        (np.zeros((2, 5, 4)), "inputs: expected 3 features"),
        (np.zeros((2, 0, 3)), "inputs: expected at least one timestep"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(kind, x, words):
    layer = kind(4)
    layer.build((None, None, 3))
    with pytest.raises(ValueError, match=words):
        layer(x)


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_do_not_fit_are_refused(kind):
    layer = kind(4)
    x = np.zeros((2, 5, 3))
    count = len(layer.state_size)
    with pytest.raises(ValueError, match=r"initial_state: expected shape \(2, 4\), got \(2, 3\)"):
        layer(x, initial_state=[np.zeros((2, 3))] * count)
    with pytest.raises(ValueError, match=f"initial_state: expected {count} for"):
        layer(x, initial_state=[np.zeros((2, 4))] * (count + 1))
    with pytest.raises(ValueError, match="mask: expected shape"):
        layer(x, mask=np.ones((2, 4), bool))
    assert not layer.built


@pytest.mark.parametrize("kind", KINDS)
def test_empty_batch_and_nan(kind):
    layer = kind(4, return_sequences=True)
    assert layer(np.zeros((0, 5, 3))).shape == (0, 5, 4)
    x = np.zeros((2, 5, 3))
    x[0, 2, 0] = np.nan
    outputs = layer(x)
    assert np.isnan(outputs[0, 2:]).all()
    assert np.isfinite(outputs[0, :2]).all()
    assert np.isfinite(outputs[1]).all()


def test_first_layer_takes_input_dim_with_and_without_length():
    assert layers.LSTM(4, input_dim=3).batch_input_shape == (None, None, 3)
    assert layers.LSTM(4, input_dim=3, input_length=5).batch_input_shape == (None, 5, 3)
    assert layers.LSTM(4, batch_input_shape=(2, 5, 3)).batch_input_shape == (2, 5, 3)
    assert layers.LSTM(4, input_shape=(5, 3), batch_size=7).batch_input_shape == (7, 5, 3)
