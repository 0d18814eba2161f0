"""The referee of derivatives: five-point differences in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from timeloom import GradientTape

STEP = 1e-3


def slopes(loss: Callable[..., float], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """d loss / d element for each element of each array; the error falls with STEP^4."""
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            start = array[index]
            values = []
            for steps in (1, -1, 2, -2):
                array[index] = start + steps * STEP
                values.append(loss(*arrays))
            array[index] = start
            gradient[index] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * STEP)
        gradients.append(gradient)
    return gradients


def check_gradients(function: Callable[..., Any], *arrays: Any, tolerance: float = 1e-8) -> None:
    """The tape's gradients of a random weighting of ``function(*arrays)`` against differences.

    The function is called with traced arrays and with plain ones and must give the same values.
    """
    inputs = [np.array(array, dtype=np.float64) for array in arrays]
    plain = np.asarray(function(*inputs))
    weights = np.asarray(np.random.default_rng(7).normal(size=plain.shape))
    with GradientTape() as tape:
        handles = tape.watch(inputs)
        traced = function(*handles)
    # Products of traced arrays are the kernels', of plain ones BLAS's.
    np.testing.assert_allclose(np.asarray(traced), plain, rtol=1e-13, atol=1e-13)
    assert traced.dtype == plain.dtype
    gradients = tape.gradient(traced, handles, output_gradients=weights, unconnected_gradients="zero")
    expected = slopes(lambda *values: float(np.sum(function(*values) * weights)), inputs)
    for gradient, reference, array in zip(gradients, expected, inputs, strict=True):
        assert type(gradient) is np.ndarray
        assert gradient.shape == array.shape
        assert gradient.dtype == array.dtype
        assert gradient.flags.c_contiguous
        assert gradient.flags.writeable
        largest = max(np.abs(reference).max(initial=0), 1e-3)
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=tolerance * largest)
