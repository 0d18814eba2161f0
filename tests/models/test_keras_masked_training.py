import numpy as np
import pytest
from tests.golden import load, masked_training

import timeloom

GOLDEN = load(masked_training.STEM)


def weights(values, stem):
    return [values[f"{stem}_{i}"] for i in range(sum(key.startswith(stem) for key in values))]


@pytest.mark.parametrize("name", GOLDEN)
def test_masked_training_agrees_with_keras(name):
    expected = GOLDEN[name]
    found = masked_training.train(timeloom, name, weights(expected, "first"))
    assert found["history_keys"].tolist() == expected["history_keys"].tolist()
    # Both compute in float32; the first step leaves its rounding, three epochs of it a few units of the
    # sixth digit.
    np.testing.assert_allclose(found["predict"], expected["predict"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["step"], expected["step"], rtol=1e-5)
    for one, other in zip(weights(found, "second"), weights(expected, "second"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)
    for key in ("history", "evaluate"):
        np.testing.assert_allclose(found[key], expected[key], rtol=2e-5, atol=2e-6)


def test_every_case_is_in_the_file():
    assert set(GOLDEN) == set(masked_training.cases(timeloom))
