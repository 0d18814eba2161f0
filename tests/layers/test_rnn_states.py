import numpy as np
import pytest
from tests.layers.own_cells import BATCH, FEATURES, TIMESTEPS, UNITS, Leaky

from timeloom import GradientTape, Sequential, ops
from timeloom.layers import GRU, LSTM, RNN, Bidirectional, Dense, GRUCell, Input, LSTMCell, SimpleRNN

SHAPE = (BATCH, TIMESTEPS, FEATURES)
MAKERS = {
    "simple_rnn": lambda **more: SimpleRNN(UNITS, **more),
    "lstm": lambda **more: LSTM(UNITS, **more),
    "gru": lambda **more: GRU(UNITS, **more),
    "stack": lambda **more: RNN([LSTMCell(3), GRUCell(UNITS)], **more),
    "own": lambda **more: RNN(Leaky(UNITS), **more),
}
NAMES = sorted(MAKERS)


def inputs(seed=0, steps=TIMESTEPS):
    return np.random.default_rng(seed).normal(size=(BATCH, steps, FEATURES)).astype("float32")


def flat(states):
    return [one for state in states for one in (flat(state) if isinstance(state, list) else [state])]


def pair(name):
    """A stateful layer and a plain one of the same weights that returns its states."""
    stateful, plain = MAKERS[name](stateful=True), MAKERS[name](return_state=True)
    stateful.build(SHAPE)
    plain.build((None, None, FEATURES))
    plain.set_weights(stateful.get_weights())
    return stateful, plain


@pytest.mark.parametrize("name", NAMES)
def test_next_batch_goes_on_where_the_last_one_ended(name):
    stateful, plain = pair(name)
    x = inputs(steps=9)
    whole, *finals = plain(x)
    stateful(x[:, :4])
    np.testing.assert_array_equal(stateful(x[:, 4:]), whole)
    for state, final in zip(flat(stateful.states), flat(finals), strict=True):
        np.testing.assert_array_equal(state.numpy(), final)
    assert stateful.weights == stateful.trainable_weights
    stateful.reset_state()
    assert not any(state.numpy().any() for state in flat(stateful.states))
    np.testing.assert_array_equal(stateful(x), whole)


@pytest.mark.parametrize("name", NAMES)
def test_states_of_some_rows_may_be_reset_or_set(name):
    stateful, plain = pair(name)
    x = inputs()
    stateful(x)
    _, *after = plain(x)
    stateful.reset_states(rows=[0, 2])
    for state, final in zip(flat(stateful.states), flat(after), strict=True):
        assert not state.numpy()[[0, 2]].any()
        np.testing.assert_array_equal(state.numpy()[[1, 3]], final[[1, 3]])
    ones = [np.ones((2, final.shape[1])) for final in flat(after)]
    stateful.reset_states(ones, rows=np.array([False, True, False, True]))
    for state in flat(stateful.states):
        np.testing.assert_array_equal(state.numpy()[:, 0], [0, 1, 0, 1])
    full = [np.full(final.shape, 0.5) for final in flat(after)]
    stateful.reset_states(full)
    found = stateful(x)
    np.testing.assert_array_equal(found, plain(x, initial_state=[f.astype("float32") for f in full])[0])
    stateful.reset_states()
    assert not flat(stateful.states)[0].numpy().any()


def test_given_initial_state_comes_before_the_kept_one():
    stateful, plain = pair("gru")
    start = np.ones((BATCH, UNITS), "float32")
    stateful(inputs())
    found = stateful(inputs(1), initial_state=start)
    expected, final = plain(inputs(1), initial_state=start)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(stateful.states[0].numpy(), final)


def test_gradients_stop_between_batches():
    stateful, plain = pair("lstm")
    first, second = inputs(0), inputs(1)
    with GradientTape() as tape:
        x = tape.watch(first)
        stateful(x)
        loss = ops.sum(stateful(second) ** 2) + 0.0 * ops.sum(x)
    assert not tape.gradient(loss, x).any()
    _, *states = plain(first)
    with GradientTape() as tape:
        expected = ops.sum(plain(second, initial_state=states)[0] ** 2)
    stateful.reset_states(states)
    with GradientTape() as other:
        found = ops.sum(stateful(second) ** 2)
    for a, b in zip(
        other.gradient(found, stateful.trainable_weights),
        tape.gradient(expected, plain.trainable_weights),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_state_is_carried_through_fit_evaluate_and_predict(name):
    model = Sequential([Input(batch_shape=SHAPE), MAKERS[name](stateful=True), Dense(1)])
    layer = model.layers[0]
    model.compile("sgd", "mse")
    x, y = np.concatenate([inputs(0), inputs(1)]), np.zeros((2 * BATCH, 1))
    plain = MAKERS[name](return_state=True)
    plain.build((None, None, FEATURES))
    layer.cell.trainable = False  # so that what training does to the states can be followed
    plain.set_weights(layer.get_weights())
    states = None

    def follow(training=False):
        nonlocal states
        for part in (x[:BATCH], x[BATCH:]):
            _, *states = plain(part, initial_state=states, training=training)

    model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    follow(training=True)
    follow(training=True)
    model.evaluate(x, y, batch_size=BATCH, verbose=0)
    follow()
    model.predict(x, batch_size=BATCH, verbose=0)
    follow()
    for found, expected in zip(flat(layer.states), flat(states), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected)


def test_bidirectional_keeps_the_states_of_both_directions():
    layer = Bidirectional(GRU(UNITS, stateful=True, return_state=True))
    x = inputs()
    _, *first = layer(x)
    for state, final in zip(layer.states, first, strict=True):
        np.testing.assert_array_equal(state.numpy(), final)
    second = layer(x)
    layer.reset_states(first)
    np.testing.assert_array_equal(layer(x)[0], second[0])
    layer.reset_states(rows=[1])
    assert not any(state.numpy()[1].any() for state in layer.states)
    assert all(state.numpy()[0].any() for state in layer.states)
    layer.reset_state()
    np.testing.assert_array_equal(layer(x)[1], first[0])
    with pytest.raises(ValueError, match="expected 4 rows"):
        layer(x[:2])
    with pytest.raises(AttributeError, match="stateful: expected True"):
        Bidirectional(GRU(UNITS)).reset_state()


@pytest.mark.parametrize("name", NAMES)
def test_size_of_the_batch_must_be_known_and_stay(name):
    with pytest.raises(ValueError, match="batch_shape: expected the size of the batch"):
        Sequential([Input(SHAPE[1:]), MAKERS[name](stateful=True)])
    with pytest.raises(ValueError, match="batch_shape: expected the size of the batch"):
        Sequential([MAKERS[name](stateful=True)]).predict(inputs(), verbose=0)
    model = Sequential([MAKERS[name](stateful=True, batch_input_shape=SHAPE)])
    with pytest.raises(ValueError, match=f"inputs: expected {BATCH} rows"):
        model.predict_on_batch(inputs()[:3])
    states = [state.numpy() for state in flat(model.layers[0].states)]
    assert not any(state.any() for state in states)


def test_states_that_do_not_fit_are_refused():
    layer = LSTM(UNITS, stateful=True)
    with pytest.raises(ValueError, match="states: expected a built layer with stateful=True"):
        layer.reset_states([np.zeros((BATCH, UNITS))] * 2)
    layer(inputs())
    held = [state.numpy() for state in layer.states]
    with pytest.raises(ValueError, match="initial_state: expected 2"):
        layer.reset_states([np.zeros((BATCH, UNITS))])
    with pytest.raises(ValueError, match=r"initial_state: expected shape \(1, 2\), got \(4, 2\)"):
        layer.reset_states([np.zeros((BATCH, UNITS))] * 2, rows=[0])
    with pytest.raises(ValueError, match="rows: expected rows of a batch of 4"):
        layer.reset_states(rows=[4])
    for state, before in zip(layer.states, held, strict=True):
        np.testing.assert_array_equal(state.numpy(), before)
    plain = LSTM(UNITS)
    plain(inputs())
    plain.reset_state()  # as in Keras: nothing to do
    with pytest.raises(ValueError, match="stateful=False"):
        plain.reset_states(rows=[0])


def test_failed_training_step_leaves_the_states_as_they_were():
    model = Sequential([Input(batch_shape=SHAPE), Bidirectional(GRU(UNITS, stateful=True)), Dense(1)])
    x, y = inputs(), np.zeros((BATCH, 1))

    def loss(y_true, y_pred):
        if model.fails:
            raise KeyboardInterrupt
        return ops.mean((y_true - y_pred) ** 2, axis=-1)

    model.fails = False
    model.compile("sgd", loss)
    model.train_on_batch(x, y)
    states = model.layers[0].states
    held = [state.numpy() for state in states]
    model.fails = True
    with pytest.raises(KeyboardInterrupt):
        model.train_on_batch(x, y)
    for state, before in zip(states, held, strict=True):
        np.testing.assert_array_equal(state.numpy(), before)
    model.fails = False
    model.train_on_batch(x, y)
    assert (states[0].numpy() != held[0]).any()


def test_failed_call_leaves_the_states_as_they_were():
    layer = GRU(UNITS, stateful=True)
    layer(inputs())
    held = layer.states[0].numpy()
    with pytest.raises(ValueError, match="mask: expected shape"):
        layer(inputs(), mask=np.ones((BATCH, 2)))
    np.testing.assert_array_equal(layer.states[0].numpy(), held)


def test_refused_states_of_bidirectional_leave_both_layers_as_they_were():
    layer = Bidirectional(LSTM(UNITS, stateful=True))
    layer(inputs())
    held = [state.numpy() for state in layer.states]
    good, bad = np.full((BATCH, UNITS), 0.5), np.zeros((BATCH, UNITS + 1))
    calls = [lambda states: layer.reset_states(states), lambda states: layer(inputs(), initial_state=states)]
    for call in calls:
        with pytest.raises(ValueError, match=r"initial_state: expected shape \(4, 2\), got \(4, 3\)"):
            call([good, good, good, bad])
        for count in (2, 3, 6):
            with pytest.raises(
                ValueError, match=f"initial_state: expected 4, .* for 'bidirectional.*, got {count}"
            ):
                call([good] * count)
    with pytest.raises(ValueError, match="initial_state: expected shape"):
        layer.reset_states([good[:1], good[:1], good[:1], good], rows=[0])
    for state, before in zip(layer.states, held, strict=True):
        np.testing.assert_array_equal(state.numpy(), before)


def test_failed_backward_layer_leaves_the_states_of_the_forward_layer_as_they_were():
    class Failing(GRU):
        def call(self, sequences, **more):
            if self.fails:
                raise KeyboardInterrupt
            return super().call(sequences, **more)

    backward = Failing(UNITS, stateful=True, go_backwards=True)
    backward.fails = False
    layer = Bidirectional(GRU(UNITS, stateful=True), backward_layer=backward)
    layer(inputs())
    held = [state.numpy() for state in layer.states]
    backward.fails = True
    with pytest.raises(KeyboardInterrupt):
        layer(inputs())
    for state, before in zip(layer.states, held, strict=True):
        np.testing.assert_array_equal(state.numpy(), before)


def test_layers_of_different_numbers_of_states_share_out_the_initial_states():
    layer = Bidirectional(LSTM(UNITS), backward_layer=GRU(UNITS, go_backwards=True))
    h, c, other = (np.full((BATCH, UNITS), fill, "float32") for fill in (0.1, 0.2, 0.3))
    found = layer(inputs(), initial_state=[h, c, other])
    expected = [
        layer.forward_layer(inputs(), initial_state=[h, c]),
        layer.backward_layer(inputs(), initial_state=other),
    ]
    np.testing.assert_array_equal(found, np.concatenate(expected, axis=-1))


def test_states_in_the_list_of_inputs_that_do_not_fit_are_refused():
    x, state = inputs(), np.zeros((BATCH, UNITS))
    for make, count in ((LSTM, 2), (GRU, 1), (lambda units: Bidirectional(LSTM(units)), 4)):
        layer = make(UNITS)
        for given in {1, 2, 3, 4} - {count}:
            words = f"initial_state: expected {count} for '{layer.name}', got {given}"
            with pytest.raises(ValueError, match=words):
                layer([x, *[state] * given])
        with pytest.raises(ValueError, match=r"initial_state: expected states once.*, got both"):
            layer([x, *[state] * count], initial_state=[state] * count)
