"""Masking: timesteps of one value are padding."""

from typing import Any

import numpy as np

from timeloom.arguments import number
from timeloom.autograd import value
from timeloom.layers.base import Layer
from timeloom.layers.running import Mask
from timeloom.layers.shapes import Shape
from timeloom.packed import Packed

__all__ = ["Masking"]


class Masking(Layer):
    """Says which timesteps are valid: those with any feature that differs from mask_value.

    The layers above leave the others out: a recurrent layer does not compute them, loss and metrics do not
    count them.

    Equations:
        mask = any(inputs != mask_value) over the last axis; outputs = inputs where mask, 0 elsewhere

    Args:
        mask_value: A number. Default 0.0.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Shape [batch, timesteps, features].

    Returns:
        Shape [batch, timesteps, features].

    Raises:
        ValueError: If mask_value is no number.

    Reference:
        keras.layers.Masking.

    Example:
        >>> layer = Masking(-1.0)
        >>> x = np.array([[[2.0, -1.0], [-1.0, -1.0]]])
        >>> layer.compute_mask(x)
        array([[ True, False]])
        >>> layer(x)
        array([[[ 2., -1.],
                [ 0.,  0.]]], dtype=float32)
    """

    min_input_rank = 2
    _takes_sequences = True
    acts_per_timestep = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        self.mask_value = number("mask_value", mask_value)
        super().__init__(**kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Mask | None:  # noqa: ARG002
        """Returns the mask that the inputs themselves say; the one that came with them is not looked at.

        None for a Packed: it has no padding to mask, and a call refuses one with a timestep of mask_value.
        """
        return None if isinstance(inputs, Packed) else self._valid(inputs)

    def _valid(self, inputs: Any) -> Mask:
        found: Mask = np.any(value(inputs) != self.mask_value, axis=-1)
        return found

    def call(self, inputs: Any) -> Any:
        valid = self._valid(inputs)
        if self.mask_value == 0.0 or valid.all():
            return inputs
        return np.where(valid[..., np.newaxis], inputs, inputs.dtype.type(0))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
