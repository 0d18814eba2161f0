import numpy as np
import pytest

from timeloom import GradientTape, Packed, Sequential, layers, ops
from timeloom.layers import LSTM, Activation, Dense, Embedding, Flatten, Layer, Masking, TimeDistributed

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Dense(4), (2, 3, 5)),
        (lambda: Dense(4), (2, 3, 5, 2)),
        (lambda: Flatten(), (2, 3, 5, 2)),
        (lambda: LSTM(4), (2, 3, 5, 2)),
        (lambda: LSTM(4, return_sequences=True), (2, 3, 5, 2)),
        (lambda: Sequential([Flatten(), Dense(4)]), (2, 3, 5, 2)),
    ],
)
def test_every_step_goes_through_the_same_layer(make, shape):
    layer = TimeDistributed(make())
    x = GENERATOR.normal(size=shape).astype("float32")
    outputs = layer(x)
    for step in range(shape[1]):
        np.testing.assert_array_equal(outputs[:, step], layer.layer(x[:, step]))
    assert layer.compute_output_shape((None, None, *shape[2:])) == (None, None, *outputs.shape[2:])
    assert layer.weights == layer.layer.weights
    with GradientTape() as tape:
        handle = tape.watch(x)
        loss = ops.sum(layer(handle) ** 2)
    found = tape.gradient(loss, [handle, *layer.weights])
    with GradientTape() as tape:
        handle = tape.watch(x)
        loss = sum(ops.sum(layer.layer(handle[:, step]) ** 2) for step in range(shape[1]))
    expected = tape.gradient(loss, [handle, *layer.weights])
    for one, other in zip(found, expected, strict=True):
        # The same terms in another order.
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_mask_passes_on_and_must_fit():
    layer = TimeDistributed(Dense(2))
    x = np.ones((2, 3, 4))
    mask = np.array([[True, False, True], [False, True, True]])
    assert layer.compute_mask(x, mask) is mask
    assert layer.compute_mask(x) is None
    layer(x, mask=mask)
    with pytest.raises(ValueError, match=r"mask: expected shape \(2, 3\)"):
        layer(x, mask=mask[:, :2])
    with pytest.raises(
        ValueError, match=r"mask: expected shape \(2, 3\) for 'time_distributed.*', got \(2, 2\)"
    ):
        layer.run(layer.cast_inputs("inputs", x), mask=mask[:, :2])


def test_mask_inside_the_steps_reaches_the_layer():
    class Seen(Layer):
        def call(self, inputs, mask=None):
            self.mask = mask
            return inputs.sum(axis=1)

        def compute_mask(self, inputs, mask=None):
            return None

    class Kept(Layer):
        def call(self, inputs, mask=None):
            self.mask = mask
            return inputs

        def compute_mask(self, inputs, mask=None):
            return None

    words = np.array([[[1, 2], [3, 0], [0, 0]]])
    seen, kept = Seen(), Kept()
    Sequential([TimeDistributed(Embedding(4, 2, mask_zero=True)), TimeDistributed(seen), kept])(words)
    assert seen.mask.tolist() == [[True, True], [True, False], [False, False]]
    assert kept.mask.tolist() == [[True, True, False]]
    x = np.ones((1, 2, 3, 1))
    x[0, 1, 2] = 0
    Sequential([TimeDistributed(Masking()), kept])(x)
    assert kept.mask.tolist() == [[[True, True, True], [True, True, False]]]


def test_packed_sequences_need_no_wrapper_and_take_it():
    layer = TimeDistributed(Dense(2))
    packed = Packed(GENERATOR.normal(size=(4, 3)), [3, 1])
    np.testing.assert_array_equal(layer(packed).values, layer.layer(packed.values))
    images = TimeDistributed(LSTM(2))
    packed = Packed(GENERATOR.normal(size=(4, 5, 3)), [3, 1])
    np.testing.assert_array_equal(images(packed).values, images.layer(packed.values))
    words = TimeDistributed(Embedding(4, 2, mask_zero=True))
    with pytest.raises(ValueError, match="masks no timestep, got 1 masked ones"):
        words(Packed(np.array([[1, 2], [3, 0]]), [1, 1]))


def test_activity_penalty_is_per_sample_of_the_batch():
    inner = Dense(2, activity_regularizer="l1", dtype="float64")
    layer = TimeDistributed(inner)
    x = GENERATOR.normal(size=(3, 5, 4))
    outputs = layer(x)
    assert float(layer.losses[0]) == pytest.approx(0.01 * np.abs(outputs).sum() / 3)
    mask = np.arange(5) < np.array([[5], [2], [1]])
    layer(x, mask=mask)
    masked = float(layer.losses[0])
    assert masked == pytest.approx(0.01 * np.abs(outputs[mask]).sum() / 3)
    layer(Packed(x[mask], mask.sum(1)))
    assert float(layer.losses[0]) == masked


def test_what_it_wraps_is_checked_and_written_down():
    with pytest.raises(ValueError, match="layer: expected a Layer, got 'dense'"):
        TimeDistributed("dense")
    with pytest.raises(ValueError, match="inputs: expected at least 3 dimensions"):
        TimeDistributed(Dense(2))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="layer: expected a layer of one output"):
        TimeDistributed(LSTM(2, return_state=True))(np.ones((2, 3, 4, 1)))
    layer = TimeDistributed(Dense(2, activation="relu"), name="each", input_shape=(5, 3))
    assert layer.batch_input_shape == (None, 5, 3)
    copy = layers.deserialize(layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    frozen = TimeDistributed(Dense(2), trainable=False)
    frozen(np.ones((1, 2, 3)))
    assert frozen.trainable_weights == []
    assert TimeDistributed(Activation("relu")).dtype == "float32"


def test_model_inside_runs_once():
    runs = []

    class Counted(Layer):
        supports_masking = True

        def call(self, inputs):
            runs.append(inputs.shape)
            return inputs

    model = Sequential([layers.Input((4, 3, 2)), TimeDistributed(Sequential([Counted(), Flatten()]))])
    runs.clear()
    assert model.predict(np.ones((2, 4, 3, 2)), verbose=0).shape == (2, 4, 6)
    assert runs.count((8, 3, 2)) == 1
