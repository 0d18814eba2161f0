import numpy as np
import pytest
from tests.golden import load, training

import timeloom

GOLDEN = load(training.STEM)


def first_weights(values):
    return [values[f"first_{i}"] for i in range(sum(key.startswith("first_") for key in values))]


@pytest.mark.parametrize("name", GOLDEN)
def test_training_agrees_with_keras(name):
    expected = GOLDEN[name]
    found = training.train(timeloom, name, first_weights(expected))
    assert found["history_keys"].tolist() == expected["history_keys"].tolist()
    for key in ("history", "evaluate", "batch", "predict"):
        # Both compute in float32; three epochs of nine steps leave a few units of the sixth digit.
        np.testing.assert_allclose(found[key], expected[key], rtol=2e-5, atol=2e-6)


def test_every_case_is_in_the_file():
    assert set(GOLDEN) == set(training.cases(timeloom))
