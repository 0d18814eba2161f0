"""RepeatVector: one vector at every timestep."""

from typing import Any

import numpy as np

from timeloom import ops
from timeloom.arguments import positive_integer
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape

__all__ = ["RepeatVector"]


class RepeatVector(Layer):
    """Repeats a vector along a new axis of timesteps: what a sequence is made from that one vector decides.

    Args:
        n: Number of timesteps, a positive integer.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Shape [batch, features].

    Returns:
        Shape [batch, n, features].

    Raises:
        ValueError: If n is not a positive integer.

    Reference:
        keras.layers.RepeatVector.

    Example:
        >>> RepeatVector(2)([[1.0, 2.0]])
        array([[[1., 2.],
                [1., 2.]]], dtype=float32)
    """

    input_rank = 2

    def __init__(self, n: int, **kwargs: Any) -> None:
        self.n = positive_integer("n", n)
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        return np.repeat(ops.reshape(inputs, (batch, 1, features)), self.n, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
