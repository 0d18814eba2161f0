import numpy as np
import pytest
from tests.layers.own_cells import BATCH, FEATURES, MASKS, TIMESTEPS, UNITS, Leaky, mask_of

from timeloom import GradientTape, Packed, Sequential, layers, ops
from timeloom.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Embedding,
    GRUCell,
    Input,
    Layer,
    LSTMCell,
    SimpleRNN,
)

KINDS = [SimpleRNN, LSTM, GRU]
MERGES = {
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
}


def inputs():
    return np.random.default_rng(0).normal(size=(BATCH, TIMESTEPS, FEATURES))


def twins(kind, **options):
    """A bidirectional layer, and the two layers it stands for."""
    both = Bidirectional(kind(UNITS, dtype="float64", **options))
    both.build((None, None, FEATURES))
    generator = np.random.default_rng(1)
    both.set_weights([generator.normal(size=w.shape) for w in both.weights])
    options = {**options, "zero_output_for_mask": options.get("return_sequences", False)}
    forward = kind(UNITS, dtype="float64", **options)
    backward = kind(UNITS, dtype="float64", go_backwards=True, **options)
    for layer in (forward, backward):
        layer.build((None, None, FEATURES))
    forward.set_weights(both.get_weights()[:3])
    backward.set_weights(both.get_weights()[3:])
    return both, forward, backward


def merged(both, forward, backward, x, **call):
    """What the two layers give, the outputs of the backward one turned into the order of time."""
    first, *states = forward(x, **call)
    second, *more = backward(x, **call)
    if both.return_sequences:
        second = np.flip(second, axis=1)
    return first, second, [*states, *more]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional_is_two_layers_to_the_bit(kind, mask, return_sequences):
    both, forward, backward = twins(kind, return_sequences=return_sequences, return_state=True)
    x, call = inputs(), {"mask": mask_of(mask)}
    first, second, states = merged(both, forward, backward, x, **call)
    found, *finals = both(x, **call)
    np.testing.assert_array_equal(found, np.concatenate([first, second], axis=-1))
    for final, state in zip(finals, states, strict=True):
        np.testing.assert_array_equal(final, state)
    for mode, merge in MERGES.items():
        both.merge_mode = mode
        np.testing.assert_array_equal(both(x, **call)[0], merge(first, second))
    both.merge_mode = None
    apart = both(x, **call)
    np.testing.assert_array_equal(apart[0], first)
    np.testing.assert_array_equal(apart[1], second)
    assert len(apart) == 2 + len(states)
    if return_sequences and mask != "none":
        assert not found[~mask_of(mask)].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [*MERGES, None])
def test_gradients_are_those_of_two_layers(kind, mode):
    both, forward, backward = twins(kind, return_sequences=True)
    both.merge_mode = mode
    x, mask = inputs(), mask_of("holes")
    with GradientTape() as tape:
        found = both(x, mask=mask)
        loss = sum(ops.sum(part**2) for part in (found if mode is None else [found]))
    with GradientTape() as other:
        parts = forward(x, mask=mask), np.flip(backward(x, mask=mask), axis=1)
        expected = sum(ops.sum(p**2) for p in (parts if mode is None else [MERGES[mode](*parts)]))
    wanted = other.gradient(expected, [*forward.weights, *backward.weights])
    for gradient, exact in zip(tape.gradient(loss, both.weights), wanted, strict=True):
        np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-12 * np.abs(exact).max())


@pytest.mark.parametrize("kind", KINDS)
def test_initial_states_are_shared_out_forward_first(kind):
    both, forward, backward = twins(kind)
    x = inputs()
    count = len(forward.state_size)
    states = [np.full((BATCH, UNITS), 0.1 * (i + 1)) for i in range(2 * count)]
    expected = [forward(x, initial_state=states[:count]), backward(x, initial_state=states[count:])]
    np.testing.assert_array_equal(both(x, initial_state=states), np.concatenate(expected, axis=-1))
    np.testing.assert_array_equal(both([x, *states]), np.concatenate(expected, axis=-1))
    with pytest.raises(ValueError, match="initial_state: expected"):
        both(x, initial_state=states[:-1])


@pytest.mark.parametrize("return_sequences", [False, True])
def test_packed_sequences(return_sequences):
    both, *_ = twins(LSTM, return_sequences=return_sequences)
    x, lengths = inputs(), [5, 2, 1, 3]
    packed = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    found = both(packed)
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(found[i], both(x[i : i + 1, :length])[0])


def test_own_backward_layer_is_taken_as_it_is():
    backward = GRU(5, go_backwards=True, return_sequences=True, name="mine")
    both = Bidirectional(LSTM(3, return_sequences=True), backward_layer=backward)
    x = inputs()
    outputs = both(x)
    assert both.backward_layer is backward
    assert outputs.shape == (BATCH, TIMESTEPS, 8)
    assert both.compute_output_shape((None, TIMESTEPS, FEATURES)) == (None, TIMESTEPS, 8)
    plain = GRU(5, go_backwards=True, return_sequences=True)
    plain(x)
    plain.set_weights(backward.get_weights())
    np.testing.assert_array_equal(outputs[..., 3:], plain(x)[:, ::-1])
    np.testing.assert_array_equal(backward(x), plain(x))  # alone it is what it was


def test_forward_layer_may_be_the_one_that_goes_backwards():
    # As in Keras: the outputs of the forward layer as they come, those of the other one turned.
    other = GRU(UNITS, return_sequences=True)
    both = Bidirectional(GRU(UNITS, return_sequences=True, go_backwards=True), "concat", None, other)
    x = inputs()
    outputs = both(x)
    first, second = both.forward_layer(x), both.backward_layer(x)
    np.testing.assert_array_equal(outputs, np.concatenate([first, second[:, ::-1]], axis=-1))
    lengths = [5, 2, 1, 3]
    packed = Packed.from_sequences([row[:length] for row, length in zip(x, lengths, strict=True)])
    found = both(packed)
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(found[i], both(x[i : i + 1, :length])[0])


@pytest.mark.parametrize("cells", [lambda: GRUCell(2), lambda: [LSTMCell(3), GRUCell(2)], lambda: Leaky(1)])
def test_bidirectional_around_rnn(cells):
    both = Bidirectional(RNN(cells(), return_sequences=True, return_state=True))
    x, mask = inputs(), mask_of("right")
    outputs, *states = both(x, mask=mask)
    first, *one = both.forward_layer(x, mask=mask)
    second, *two = both.backward_layer(x, mask=mask)
    np.testing.assert_array_equal(outputs, np.concatenate([first, second[:, ::-1]], axis=-1))
    assert len(states) == len(one) + len(two)
    assert not outputs[~mask].any()
    assert outputs.shape == (BATCH, TIMESTEPS, 4)
    assert [w.shape for w in both.weights[: len(both.weights) // 2]] == [
        w.shape for w in both.forward_layer.weights
    ]


def test_stacked_bidirectional_layers_learn_from_masked_numbers():
    model = Sequential(
        [
            Embedding(6, 4, mask_zero=True),
            Bidirectional(LSTM(3, return_sequences=True)),
            Bidirectional(GRU(2), merge_mode="sum"),
            Dense(1),
        ]
    )
    model.compile("adam", "mse")
    numbers = np.random.default_rng(0).integers(0, 6, size=(BATCH, TIMESTEPS))
    numbers[:, 0] = 1
    before = model.evaluate(numbers, np.ones((BATCH, 1)), verbose=0)
    model.fit(numbers, np.ones((BATCH, 1)), epochs=20, verbose=0)
    assert model.evaluate(numbers, np.ones((BATCH, 1)), verbose=0) < before
    padded = np.concatenate([numbers, np.zeros((BATCH, 3), int)], axis=1)
    np.testing.assert_array_equal(model.predict(padded, verbose=0), model.predict(numbers, verbose=0))


def test_names_weights_paths_and_shapes():
    both = Bidirectional(LSTM(4, name="deep"), name="both")
    both.build((None, None, FEATURES))
    assert [both.forward_layer.name, both.backward_layer.name] == ["forward_deep", "backward_deep"]
    assert [w.path for w in both.weights] == [
        f"both/{direction}_deep/lstm_cell/{name}"
        for direction in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert both.weights == [*both.forward_layer.weights, *both.backward_layer.weights]
    assert (both.get_weights()[0] != both.get_weights()[3]).any()
    shapes = {mode: Bidirectional(LSTM(4), mode).compute_output_shape((7, 5, 3)) for mode in (*MERGES, None)}
    assert shapes == {"sum": (7, 4), "mul": (7, 4), "ave": (7, 4), "concat": (7, 8), None: ((7, 4), (7, 4))}
    first = Bidirectional(LSTM(4), input_shape=(5, 3))
    second = Bidirectional(LSTM(4, input_shape=(5, 3)))
    assert first.batch_input_shape == second.batch_input_shape == (None, 5, 3)
    assert Sequential([first, Dense(1)]).output_shape == (None, 1)
    weights = both.get_weights()
    again = Bidirectional(LSTM(4), weights=weights)
    again.build_for((None, None, FEATURES))
    for a, b in zip(again.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_masks_of_the_outputs():
    mask = mask_of("holes")
    lstm = {"units": 2, "return_sequences": True}
    assert Bidirectional(LSTM(2)).compute_mask(None, mask) is None
    assert Bidirectional(LSTM(**lstm)).compute_mask(None, mask) is mask
    assert Bidirectional(LSTM(**lstm), None).compute_mask(None, mask) == [mask, mask]
    found = Bidirectional(LSTM(return_state=True, **lstm)).compute_mask(None, mask)
    assert found[0] is mask
    assert found[1:] == [None] * 4


def test_layer_of_the_users_own_with_the_same_attributes():
    class Sums(Layer):
        return_sequences, return_state = True, False

        def __init__(self, go_backwards=False, **kwargs):
            super().__init__(**kwargs)
            self.go_backwards = go_backwards

        def call(self, inputs):
            return np.cumsum(inputs[:, ::-1] if self.go_backwards else inputs, axis=1)

        def get_config(self):
            return {**super().get_config(), "go_backwards": self.go_backwards}

    x = inputs().astype("float32")
    found = Bidirectional(Sums(), "sum")(x)
    np.testing.assert_allclose(found, x.sum(1, keepdims=True) + x, rtol=0, atol=1e-5)


def test_configuration_makes_the_same_layer():
    both = Bidirectional(GRU(3, dropout=0.5, return_sequences=True), "ave", name="both")
    config = both.get_config()
    again = Bidirectional.from_config(config)
    assert again.get_config() == config
    assert again.backward_layer.go_backwards
    assert again.forward_layer.zero_output_for_mask
    model = Sequential([Input((TIMESTEPS, FEATURES)), both])
    assert Sequential.from_config(model.get_config()).count_params() == model.count_params()
    own = Bidirectional(RNN(Leaky(2))).get_config()
    restored = Bidirectional.from_config(own, custom_objects={"Leaky": Leaky})
    assert restored.get_config() == own


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Bidirectional(LSTM(2), "max"), "merge_mode: expected one of 'sum'"),
        (lambda: Bidirectional(Dense(2)), "layer: expected a recurrent layer"),
        (lambda: Bidirectional(LSTMCell(2)), "layer: expected a recurrent layer"),
        (lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2)), "go_backwards: expected different"),
        (lambda: Bidirectional(LSTM(2, go_backwards=True)), "go_backwards: expected different"),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, return_sequences=True)),
            "return_sequences: expected the same",
        ),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, stateful=True)),
            "stateful: expected the same",
        ),
        (lambda: Bidirectional(LSTM(2), unknown=1), "unknown: expected an argument"),
    ],
)
def test_layers_that_do_not_fit_together_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("mode", ["sum", "mul", "ave"])
def test_outputs_of_different_sizes_are_refused_when_the_layer_is_built(mode):
    layer = Bidirectional(GRU(2), merge_mode=mode, backward_layer=GRU(3, go_backwards=True))
    with pytest.raises(
        ValueError, match=r"merge_mode: expected 'concat' or None .* outputs of 2 and 3 units"
    ):
        layer.build((None, None, FEATURES))
    assert not layer.built
    layer = Bidirectional(GRU(2), backward_layer=GRU(3, go_backwards=True))
    assert layer(inputs()).shape == (BATCH, 5)


def test_bidirectional_is_listed():
    assert "Bidirectional" in layers.__all__
