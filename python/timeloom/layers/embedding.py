"""Embedding: a trained vector for each of a number of words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import constraints, initializers, ops, regularizers
from timeloom.arguments import flag, not_implemented, positive_integer
from timeloom.arrays import real_array
from timeloom.autograd import value
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape
from timeloom.packed import Packed

__all__ = ["Embedding"]


class Embedding(Layer):
    """Looks up a vector for every index.

    Args:
        input_dim: Number of vectors; indices are 0 to input_dim - 1.
        output_dim: Length of a vector.
        embeddings_initializer: Default ``"uniform"``.
        embeddings_regularizer: Penalty on the vectors. Default None.
        embeddings_constraint: Applied to the vectors after every update. Default None.
        mask_zero: Whether index 0 stands for padding, whose timesteps the layers above leave out; a word has
            an index from 1 on then, and input_dim counts the 0 too. Default False.
        weights: Initial vectors, an array or a list of one. Default None.
        lora_rank: None; not implemented yet.
        lora_alpha: None; not implemented yet.
        quantization_config: None; not implemented yet.
        **kwargs: Arguments of every layer, and input_length: the number of indices in a row.

    Call arguments:
        inputs: Whole numbers of any real dtype (fractions are cut off), shape [batch, ...], or a Packed.

    Returns:
        Shape [batch, ..., output_dim], or a Packed. Weight: embeddings [input_dim, output_dim].

    Raises:
        ValueError: If a size is no positive integer; on call, if an index lies outside.

    Reference:
        keras.layers.Embedding.

    Example:
        >>> Embedding(3, 2, embeddings_initializer="ones")([[0, 2]]).shape
        (1, 2, 2)
        >>> Embedding(3, 2, mask_zero=True).compute_mask(np.array([[1, 2, 0]]))
        array([[ True,  True, False]])
    """

    dtype_matters = False
    acts_per_timestep = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        self.mask_zero = flag("mask_zero", mask_zero)
        not_implemented("lora_rank", lora_rank, (None,))
        not_implemented("lora_alpha", lora_alpha, (None,))
        not_implemented("quantization_config", quantization_config, (None,))
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs["input_shape"] = (positive_integer("input_length", length),)
        self.input_dim = positive_integer("input_dim", input_dim)
        self.output_dim = positive_integer("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        super().__init__(**kwargs)
        self.supports_masking = self.mask_zero
        if weights is not None:
            is_list = isinstance(weights, (list, tuple)) and len(weights) == 1
            self._initial_weights = list(weights) if is_list else [weights]
            self.build_for((None, None))

    def build(self, input_shape: Shape) -> None:  # noqa: ARG002
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    def cast_inputs(self, name: str, inputs: Any) -> NDArray[Any]:
        indices = real_array(name, inputs)
        if indices.dtype.kind == "f" and not np.isfinite(indices).all():
            raise ValueError(f"{name}: expected whole numbers, got NaN or infinity")
        if indices.size and (indices.min() <= -1 or indices.max() >= self.input_dim):
            worst = indices.min() if indices.min() <= -1 else indices.max()
            raise ValueError(
                f"{name}: expected indices in [0, {self.input_dim - 1}] for {self.name!r}, got {worst}"
            )
        return real_array(name, indices, np.int64)

    def call(self, inputs: Any) -> Any:
        if inputs.dtype.kind == "f":
            inputs = self.cast_inputs("inputs", inputs.numpy() if hasattr(inputs, "numpy") else inputs)
        return ops.embedding(inputs, self.embeddings)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Returns where the index is not 0, with mask_zero; None otherwise, and for a Packed.

        A Packed has no padding to mask, and a call refuses one that holds an index 0.
        """
        if not self.mask_zero or isinstance(inputs, Packed):
            return None
        indices = np.asarray(value(inputs))
        # A fraction below 1 is cut off to index 0.
        return (indices >= 1) if indices.dtype.kind == "f" else (indices != 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
