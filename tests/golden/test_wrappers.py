import numpy as np
import pytest

from tests.golden import load
from timeloom import GradientTape, layers, ops

CASES = load("keras_wrappers")


def flat(nested):
    if isinstance(nested, (list, tuple)):
        return [leaf for part in nested for leaf in flat(part)]
    return [nested]


def group(values, name):
    return [values[f"{name}_{i}"] for i in range(len(values)) if f"{name}_{i}" in values]


@pytest.mark.parametrize("case", CASES)
def test_layer_that_keras_wrote_down_computes_the_same(case):
    values = CASES[case]
    layer = layers.deserialize(values["options"]["layer"])
    layer.build_for(values["inputs"].shape)
    layer.set_weights(group(values, "weight"))
    starts = group(values, "start")
    with GradientTape() as tape:
        x = tape.watch(values["inputs"])
        results = flat(layer(x, initial_state=starts or None, mask=values["mask"]))
        upstream = group(values, "upstream")
        total = sum(ops.sum(a * b) for a, b in zip(results, upstream, strict=True))
    # Both compute in float64 and differ by the order of their sums of a few terms.
    for found, expected in zip(results, group(values, "result"), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)
    d_inputs, *d_weights = tape.gradient(total, [x, *layer.trainable_weights])
    wanted = [values["d_inputs"], *group(values, "d_weight")]
    for found, expected in zip([d_inputs, *d_weights], wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
