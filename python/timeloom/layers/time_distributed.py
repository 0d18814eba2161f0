"""TimeDistributed: the same layer at every timestep."""

from collections.abc import Mapping
from typing import Any, Self

from numpy.typing import NDArray

from timeloom import layers, ops
from timeloom.arrays import shape_text
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape
from timeloom.packed import Packed

__all__ = ["TimeDistributed"]


class TimeDistributed(Layer):
    """Applies a layer to every timestep, with the same weights at each.

    All timesteps go through the layer in one call, as so many samples. Dense, Activation and Embedding act so
    by themselves and need no wrapper; a layer over the inner axes of [batch, timesteps, ...] does.

    Args:
        layer: The layer.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Shape [batch, timesteps, ...], at least 3 axes, or a Packed.
        mask: Bool, shape [batch, timesteps]; it passes on. One of more axes goes to the layer, and a timestep
            is valid above it if any of its parts is.
        training: For the layer. Default False.

    Returns:
        Shape [batch, timesteps, ...]: of the layer's outputs with timesteps behind the batch.

    Raises:
        ValueError: If layer is no layer or has several outputs, or mask does not fit the inputs.

    Reference:
        keras.layers.TimeDistributed, which calls the layer once for each timestep.

    Example:
        >>> import numpy as np
        >>> from timeloom.layers import LSTM
        >>> TimeDistributed(LSTM(4))(np.zeros((2, 7, 5, 3))).shape
        (2, 7, 4)
    """

    min_input_rank = 3
    supports_masking = True
    acts_per_timestep = True
    _takes_sequences = True

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"layer: expected a Layer, got {layer!r}")
        kwargs.setdefault("dtype", layer.dtype)
        super().__init__(**kwargs)
        self.layer = layer
        if not self.trainable:
            layer.trainable = False

    @property
    def dtype_matters(self) -> bool:  # type: ignore[override]
        """Whether traced inputs must have the layer's dtype."""
        return self.layer.dtype_matters

    def cast_inputs(self, name: str, inputs: Any) -> NDArray[Any]:
        return self.layer.cast_inputs(name, inputs)

    def check_input_shape(self, shape: Shape) -> None:
        super().check_input_shape(shape)
        self.layer.check_input_shape((shape[0], *shape[2:]))

    def build(self, input_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build_for((None, *input_shape[2:]))

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        return self._run_timesteps(inputs, training, mask)[0]

    def run_with_mask(self, inputs: Any, *args: Any, mask: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        own = type(self)
        as_here = own.call is TimeDistributed.call and own.compute_mask is TimeDistributed.compute_mask
        if isinstance(inputs, Packed) or args or not as_here:
            return super().run_with_mask(inputs, *args, mask=mask, **kwargs)
        # One run gives both: a model inside would run again to say its mask.
        outputs, found = self._run_timesteps(inputs, mask=mask, **kwargs)
        outgoing = _outer_mask(found, inputs.shape, mask)
        if self.activity_regularizer is not None:
            self._activity_loss = self.activity_penalty(outputs, outgoing)
        return outputs, outgoing

    def _run_timesteps(self, inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Any]:
        """Returns the outputs, and the mask of the layer inside."""
        batch, timesteps = inputs.shape[:2]
        if mask is not None and mask.shape[:2] != (batch, timesteps):
            raise ValueError(
                f"mask: expected shape {shape_text((batch, timesteps))} for {self.name!r}, "
                f"got {shape_text(mask.shape)}"
            )
        outputs, found = self.layer.run_with_mask(_joined(inputs), mask=_inner_mask(mask), training=training)
        if mask is not None and mask.ndim == 2:
            found = mask.reshape(-1)
        self._penalise(outputs, found, batch)
        return ops.reshape(self._single(outputs), (batch, timesteps, *outputs.shape[1:])), found

    def _call_on_values(self, inputs: Packed, **kwargs: Any) -> tuple[Any, Any]:
        # The timesteps of a Packed lie on one axis already.
        outputs, found = self.layer.run_with_mask(inputs.values, **kwargs)
        self._penalise(outputs, found, len(inputs))
        return self._single(outputs), found

    def _single(self, outputs: Any) -> Any:
        if isinstance(outputs, (tuple, list)):
            raise ValueError(f"layer: expected a layer of one output in {self.name!r}, got {len(outputs)}")
        return outputs

    def _penalise(self, outputs: Any, mask: Any, batch: int) -> None:
        if self.layer.activity_regularizer is not None:
            # For the layer every timestep is a sample; the penalty is per sample of the batch.
            self.layer._activity_loss = self.layer.activity_penalty(outputs, mask, batch)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask [batch, timesteps]; one of more axes as the layer leaves it; None for a Packed."""
        if isinstance(inputs, Packed):
            return None
        if mask is not None and mask.ndim == 2:
            return mask
        if mask is None and not self.layer.supports_masking:
            return None
        return _outer_mask(self.layer.outgoing_mask(_joined(inputs), _inner_mask(mask)), inputs.shape, mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        if inner and isinstance(inner[0], tuple):
            raise ValueError(f"layer: expected a layer of one output in {self.name!r}, got {len(inner)}")
        return (inner[0], input_shape[1], *inner[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": layers.serialize(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Builds the layer that get_config wrote; custom_objects: classes of your own by name."""
        return cls(**{**config, "layer": layers.deserialize(config["layer"], custom_objects)})


def _joined(inputs: Any) -> Any:
    """Every timestep as a sample of its own."""
    shape = inputs.shape
    return ops.reshape(inputs, (shape[0] * shape[1], *shape[2:]))


def _inner_mask(mask: Any) -> Any:
    """What a mask says inside a timestep: None if it has no axes for that."""
    return None if mask is None or mask.ndim == 2 else mask.reshape(-1, *mask.shape[2:])


def _outer_mask(found: Any, shape: Any, mask: Any) -> Any:
    """The mask of the outputs, from that of the layer inside and that of the inputs."""
    if mask is not None and mask.ndim == 2:
        return mask
    if found is None:
        return None if mask is None else mask.reshape(*mask.shape[:2], -1).any(-1)
    return found.reshape(*shape[:2], *found.shape[1:])
