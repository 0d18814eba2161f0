"""Layers without weights: Activation, Dropout, Flatten."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import activations, backend, ops
from timeloom.arguments import integer, not_implemented, number
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape, full_shape

__all__ = ["Activation", "Dropout", "Flatten"]


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Name or function.
        **kwargs: Arguments of every layer.

    Example:
        >>> Activation("relu")([[-1.0, 2.0]])
        array([[0., 2.]], dtype=float32)
    """

    supports_masking = True
    acts_per_timestep = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        self.activation = activations.get(activation)
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Dropout(Layer):
    """Sets elements to zero at random while training, and scales the others by 1 / (1 - rate).

    Args:
        rate: Fraction to drop, in [0, 1].
        noise_shape: Shape of the random mask, broadcast to the inputs; None entries take the size of the
            inputs. Default None: one random number for each element. With a shape it takes no Packed.
        seed: Non-negative integer. Default None: drawn when the layer is created.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Array of any shape, or a Packed: numbers are drawn for the timesteps that there are, so other
            ones than for the same sequences with padding.
        training: Whether to drop. Default False.

    Returns:
        An array of the same shape.

    Raises:
        ValueError: If rate lies outside [0, 1].

    Example:
        >>> Dropout(0.5, seed=1)([[1.0, 2.0]])
        array([[1., 2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.rate = number("rate", rate, 0.0, 1.0)
        self.seed = None if seed is None else integer("seed", seed)
        self.noise_shape = None if noise_shape is None else full_shape("noise_shape", noise_shape)
        super().__init__(**kwargs)
        # A noise_shape may share numbers between the timesteps of a sequence.
        self.acts_per_timestep = noise_shape is None
        self._generator = np.random.default_rng(backend.next_seed() if self.seed is None else self.seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        shape = self.noise_shape
        if shape is not None:
            if len(shape) != inputs.ndim:
                raise ValueError(f"noise_shape: expected {inputs.ndim} sizes, got {shape}")
            shape = tuple(
                size if given is None else given for given, size in zip(shape, inputs.shape, strict=True)
            )
        return ops.dropout(inputs, self.rate, seed=self._generator, noise_shape=shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }


class Flatten(Layer):
    """Joins all axes but the batch. A mask ends here, with a warning.

    Args:
        data_format: None or ``"channels_last"``; ``"channels_first"`` is not implemented yet.
        **kwargs: Arguments of every layer.

    Example:
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    min_input_rank = 1

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        not_implemented("data_format", data_format, (None, "channels_last"))
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        known = [size for size in input_shape[1:] if size is not None]
        return (input_shape[0], math.prod(known) if len(known) == len(input_shape) - 1 else None)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last"}
