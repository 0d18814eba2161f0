import numpy as np
import pytest

from timeloom import GradientTape, layers, ops
from timeloom.layers import RepeatVector

GENERATOR = np.random.default_rng(0)


def test_vector_stands_at_every_step():
    layer = RepeatVector(4)
    x = GENERATOR.normal(size=(3, 2)).astype("float32")
    assert layer(x).shape == (3, 4, 2)
    np.testing.assert_array_equal(layer(x), np.broadcast_to(x[:, None], (3, 4, 2)))
    assert layer.compute_output_shape((None, 2)) == (None, 4, 2)
    weights = GENERATOR.normal(size=(3, 4, 2)).astype("float32")
    with GradientTape() as tape:
        handle = tape.watch(x)
        loss = ops.sum(layer(handle) * weights)
    np.testing.assert_allclose(tape.gradient(loss, handle), weights.sum(1), rtol=1e-5)


def test_arguments_are_checked_and_written_down():
    for n in (0, -1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="n: expected a positive integer"):
            RepeatVector(n)
    with pytest.raises(ValueError, match="inputs: expected 2 dimensions"):
        RepeatVector(2)(np.ones((2, 3, 4)))
    assert layers.deserialize(layers.serialize(RepeatVector(3))).n == 3
