"""Masks on their way: who makes one, who hands it on, who ends it; and sequences without padding."""

import numpy as np
import pytest

from timeloom import GradientTape, Packed, Sequential, layers, ops
from timeloom.layers import Activation, Dense, Dropout, Embedding, Flatten, Layer, Masking, TimeDistributed

GENERATOR = np.random.default_rng(0)
MASK = np.array([[True, True, False], [True, False, False]])


class Steps(Layer):
    """Adds up the valid timesteps, and keeps the masks that it got."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, inputs, mask=None):
        self.seen.append(mask)
        return inputs.sum(axis=1) if mask is None else (inputs * mask[..., None]).sum(axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


def test_masking_marks_steps_without_another_value():
    x = GENERATOR.normal(size=(2, 3, 4)).astype("float32")
    x[0, 1] = 0.5
    x[1, 2, :3] = 0.5
    layer = Masking(0.5)
    mask = layer.compute_mask(x)
    assert mask.tolist() == [[True, False, True], [True, True, True]]
    np.testing.assert_array_equal(layer(x), x * mask[..., None])
    assert layer.compute_output_shape((None, None, 4)) == (None, None, 4)
    with GradientTape() as tape:
        handle = tape.watch(x)
        total = ops.sum(layer(handle))
    np.testing.assert_array_equal(tape.gradient(total, handle), np.broadcast_to(mask[..., None], x.shape))
    for wrong in ("a", None, np.nan):
        with pytest.raises(ValueError, match="mask_value: expected a number"):
            Masking(wrong)


def test_masking_ignores_the_mask_that_came():
    x = np.ones((2, 3, 1))
    x[0, 0] = 0
    assert Masking().compute_mask(x, MASK).tolist() == [[False, True, True], [True, True, True]]


def test_sequences_without_padding_have_no_mask():
    words = Packed(np.array([3, 1, 2]), [2, 1])
    assert Embedding(4, 2, mask_zero=True).compute_mask(words) is None
    vectors = words.with_values(np.ones((3, 2)))
    assert Masking().compute_mask(vectors) is None
    assert TimeDistributed(Masking()).compute_mask(vectors) is None


def test_embedding_masks_index_zero_only_if_told():
    indices = np.array([[3, 0, 1], [0, 0, 2]])
    layer = Embedding(4, 2, mask_zero=True)
    for given in (indices, indices.astype("float32") + 0.25):
        np.testing.assert_array_equal(layer.compute_mask(given), indices != 0)
    assert Embedding(4, 2).compute_mask(indices) is None
    assert layer.get_config()["mask_zero"] is True
    assert layers.deserialize(layers.serialize(layer)).mask_zero is True
    with pytest.raises(ValueError, match="mask_zero: expected True or False"):
        Embedding(4, 2, mask_zero="yes")


@pytest.mark.parametrize("between", [Dense(2), Dropout(0.5), Activation("tanh")])
def test_mask_passes_from_layer_to_layer(between):
    steps = Steps()
    model = Sequential([Masking(), between, steps])
    x = GENERATOR.normal(size=(2, 3, 2)) * MASK[..., None]
    model(x)
    np.testing.assert_array_equal(steps.seen[-1], MASK)
    Sequential([between, steps])(x, mask=MASK)
    np.testing.assert_array_equal(steps.seen[-1], MASK)
    Sequential([Sequential([Masking(), between]), Sequential([steps])])(x)
    np.testing.assert_array_equal(steps.seen[-1], MASK)
    model = Sequential([between, steps])
    model(x)
    assert steps.seen[-1] is None


def test_explicit_mask_of_any_real_dtype_must_fit():
    steps = Steps()
    x = np.ones((2, 3, 1))
    for given in (MASK, MASK.astype("float32"), MASK.astype(int).tolist(), MASK[..., None]):
        np.testing.assert_array_equal(steps(x, mask=given)[:, 0], [2, 1])
    np.testing.assert_array_equal(steps(x, mask=[MASK, None])[:, 0], [2, 1])
    np.testing.assert_array_equal(steps(x, mask=[None, MASK])[:, 0], [3, 3])
    for wrong in (MASK.T, MASK[0], True):
        with pytest.raises(ValueError, match=r"mask: expected shape \(2, 3\) as the inputs have"):
            steps(x, mask=wrong)
    with pytest.raises(TypeError, match="mask: expected real numbers"):
        steps(x, mask=[["a"] * 3] * 2)
    np.testing.assert_array_equal(Dense(1, kernel_initializer="ones")(x, mask=MASK), x)


def test_layer_without_support_ends_the_mask_with_a_warning():
    class Silent(Layer):
        def call(self, inputs):
            return inputs

    class Willing(Silent):
        supports_masking = True

    class Turned(Silent):
        def compute_mask(self, inputs, mask=None):
            return None if mask is None else ~mask

    steps = Steps()
    x = GENERATOR.normal(size=(2, 3, 2)) * MASK[..., None]
    for layer in (Flatten(), Silent()):
        with pytest.warns(UserWarning, match="mask: expected a layer that supports masking, got"):
            Sequential([Masking(), layer])(x)
    Sequential([Masking(), Willing(), Turned(), steps])(x)
    np.testing.assert_array_equal(steps.seen[-1], ~MASK)
    by_instance = Silent()
    by_instance.supports_masking = True
    Sequential([Masking(), by_instance, steps])(x)
    np.testing.assert_array_equal(steps.seen[-1], MASK)


def test_activity_penalty_leaves_masked_steps_out():
    layer = Dense(3, activity_regularizer="l2", dtype="float64")
    sequences = [GENERATOR.normal(size=(length, 2)) for length in (2, 1)]
    packed = Packed.from_sequences(sequences)
    padded, mask = packed.pad(7.0)
    outputs = layer(padded, mask=mask)
    masked = layer.losses
    assert float(masked[0]) == pytest.approx(0.01 * (outputs[mask] ** 2).sum() / 2, rel=1e-14)
    layer(packed)
    assert layer.losses == masked
    layer(padded)
    assert float(layer.losses[0]) > float(masked[0])


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, activation="softmax"),
        Activation("tanh"),
        Dropout(0.5),
        Masking(),
        Sequential([Dense(3), Activation("relu")]),
    ],
)
def test_steps_of_packed_sequences_are_those_of_padded_ones(layer):
    packed = Packed.from_sequences([GENERATOR.normal(size=(length, 2)) for length in (3, 0, 1)])
    padded, mask = packed.pad(9.0)
    found = layer(packed)
    assert found.lengths.tolist() == [3, 0, 1]
    np.testing.assert_array_equal(found.values, layer(padded)[mask])
    assert found.dtype == np.float32


def test_indices_of_packed_sequences_are_looked_up():
    layer = Embedding(5, 3, mask_zero=True)
    packed = Packed([4, 1, 2], [1, 2])
    np.testing.assert_array_equal(layer(packed).values, layer(packed.values))
    with pytest.raises(ValueError, match=r"'embedding.*' \(Embedding\) masks no timestep, got 1 masked ones"):
        layer(Packed([4, 0, 2], [1, 2]))
    with pytest.raises(ValueError, match=r"inputs: expected indices in \[0, 4\]"):
        layer(Packed([4, 5], [1, 1]))


def test_layers_that_need_whole_sequences_refuse_packed_ones():
    packed = Packed(np.ones((3, 2)), [1, 2])
    with pytest.raises(ValueError, match=r"\(Masking\) masks no timestep, got 3 masked ones"):
        Masking(1.0)(packed)
    for layer in (Flatten(), Dropout(0.5, noise_shape=(None, 1, 2)), Steps()):
        with pytest.raises(ValueError, match=r"inputs: expected an array for .*pad_sequences pads them"):
            layer(packed)
    with pytest.raises(ValueError, match="mask: expected None"):
        Dense(2)(packed, mask=np.ones((2, 2)))
    layer = Dense(2)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="inputs: expected 3 features"):
        layer(packed)


def test_gradients_pass_through_packed_sequences():
    layer = Dense(3, dtype="float64")
    values = GENERATOR.normal(size=(4, 2))
    layer(values)
    with GradientTape() as tape:
        handle = tape.watch(values)
        outputs = layer(Packed(handle, [1, 3]))
        loss = ops.sum(outputs.values * outputs.values)
    d_values, d_kernel, _ = tape.gradient(loss, [handle, *layer.trainable_weights])
    expected = 2 * layer(values)
    np.testing.assert_allclose(d_values, expected @ layer.kernel.numpy().T, rtol=1e-12)
    np.testing.assert_allclose(d_kernel, values.T @ expected, rtol=1e-12)
