"""What happens at every call of a layer: arguments, masks, sequences without padding, penalties."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom.arrays import real_array, shape_text
from timeloom.layers.weights import WeightOwner
from timeloom.packed import Packed

__all__ = ["Mask", "RunningLayer", "checked_mask"]

# Which timesteps are valid: bool, shape [batch, timesteps]; None: all are.
Mask = NDArray[np.bool_]


def checked_mask(mask: Any, shape: Sequence[int | None]) -> Mask:
    """Returns an explicit mask as an array of bool.

    Args:
        mask: One value per timestep, shape [batch, timesteps] or [batch, timesteps, 1], of any real dtype.
        shape: That of the inputs.

    Raises:
        ValueError: If the mask does not fit the inputs.
        TypeError: If it does not hold real numbers.

    Example:
        >>> checked_mask([[1, 0]], (1, 2, 3))
        array([[ True, False]])
    """
    found = real_array("mask", mask).astype(bool, copy=False)
    if found.ndim == len(shape) and found.ndim > 2 and found.shape[-1] == 1:
        found = found[..., 0]
    if found.ndim == 0 or found.shape != tuple(shape[: found.ndim]):
        raise ValueError(
            f"mask: expected shape {shape_text(shape[:2])} as the inputs have, got {shape_text(found.shape)}"
        )
    return found


class RunningLayer(WeightOwner):
    """Something with weights that computes outputs from inputs, and the mask of the outputs beside them.

    An array cannot carry a mask, and a layer may be called from several threads at once, so masks are handed
    from layer to layer as arguments.
    """

    # Whether compute_mask says which outputs are valid. A class that has its own says so by that.
    supports_masking = False
    # Whether each timestep is computed from the same timestep of the inputs alone: then `call` may get the
    # timesteps of many sequences at once, without padding.
    acts_per_timestep = False
    # Whether call takes a Packed itself.
    _takes_packed = False
    _call_takes_training = False
    _call_takes_mask = False

    activity_regularizer: Any = None
    _activity_loss: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__
        if "call" in own:
            parameters = inspect.signature(own["call"]).parameters
            cls._call_takes_training = "training" in parameters
            cls._call_takes_mask = "mask" in parameters
        if "compute_mask" in own and "supports_masking" not in own:
            cls.supports_masking = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs from arrays of the layer's dtype; may take training, mask and more by name."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method call(inputs), got none")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Returns the mask of the outputs for these inputs and their mask.

        A subclass that writes it, or sets supports_masking to True, lets masks pass to the layers above.

        Args:
            inputs: As for call.
            mask: Bool, shape [batch, timesteps]. Default None: every timestep is valid.

        Returns:
            A mask or None. The base class returns mask.
        """
        return mask

    def outgoing_mask(self, inputs: Any, mask: Any) -> Any:
        """Returns the mask of the outputs, None with a warning if the layer does not support masks."""
        if self.supports_masking:
            return self.compute_mask(inputs, mask)
        if mask is not None:
            warnings.warn(
                f"mask: expected a layer that supports masking, got {self.name!r} "
                f"({type(self).__name__}): the layers above it get no mask",
                stacklevel=2,
            )
        return None

    def run(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes without any check: what models call with inputs they have checked once."""
        return self.run_with_mask(inputs, *args, **kwargs)[0]

    def run_with_mask(self, inputs: Any, *args: Any, mask: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        """As run, but returns outputs and their mask.

        Args:
            inputs: As for call, or a Packed.
            *args: More arguments of `call`.
            mask: Bool, shape [batch, timesteps]. Default None.
            **kwargs: More arguments of `call`; training is left out if call does not take it.

        Raises:
            ValueError: If inputs is a Packed and the layer needs an array.
        """
        if not self._call_takes_training:
            kwargs.pop("training", None)
        if isinstance(inputs, Packed):
            outputs = self._run_packed(inputs, mask, *args, **kwargs)
        else:
            if mask is not None and self._call_takes_mask:
                kwargs["mask"] = mask
            outputs = self.call(inputs, *args, **kwargs)
        return outputs, self._finish(inputs, mask, outputs)

    def _finish(self, inputs: Any, mask: Any, outputs: Any) -> Any:
        """Returns the mask of the outputs of a call, and holds their penalty until the next one."""
        outgoing = None if isinstance(inputs, Packed) else self.outgoing_mask(inputs, mask)
        if self.activity_regularizer is not None:
            self._activity_loss = self.activity_penalty(outputs, outgoing)
        return outgoing

    def _run_packed(self, inputs: Packed, mask: Any, *args: Any, **kwargs: Any) -> Any:
        if mask is not None:
            raise ValueError("mask: expected None, as sequences without padding need none, got a mask")
        if self._takes_packed:
            return self.call(inputs, *args, **kwargs)
        if not self.acts_per_timestep:
            raise ValueError(
                f"inputs: expected an array for {self.name!r} ({type(self).__name__}), got sequences of "
                "unequal lengths: timeloom.utils.pad_sequences pads them, a Masking layer marks the padding"
            )
        outputs, found = self._call_on_values(inputs, *args, **kwargs)
        if found is not None and not found.all():
            masked = int(found.size - np.count_nonzero(found))
            raise ValueError(
                f"inputs: expected sequences of unequal lengths in which {self.name!r} "
                f"({type(self).__name__}) masks no timestep, got {masked} masked ones: "
                "timeloom.utils.pad_sequences makes an array of them, which may have such timesteps"
            )
        return inputs.with_values(outputs)

    def _call_on_values(self, inputs: Packed, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Computes the values of the outputs and their mask, all timesteps on the first axis."""
        return self.call(inputs.values, *args, **kwargs), self.outgoing_mask(inputs.values, None)

    # ---- penalties ----------------------------------------------------------------------------------------

    def activity_penalty(self, outputs: Any, mask: Any = None, batch: int | None = None) -> Any:
        """Returns the activity regularizer's penalty over the batch size.

        Masked timesteps are left out, so that it does not depend on the padding. (Keras counts what a layer
        gives there.)

        Args:
            outputs: What call returned; of several the first.
            mask: Of the outputs. Default None.
            batch: Default None: the first axis of the outputs.
        """
        first = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
        mask = mask[0] if isinstance(mask, (tuple, list)) and mask else mask
        size = first.shape[0] if batch is None else batch
        if isinstance(first, Packed):
            first = first.values
        elif mask is not None and mask.shape == first.shape[: mask.ndim]:
            first = first[mask]
        return self.activity_regularizer(first) / max(1, size)

    @property
    def losses(self) -> list[Any]:
        """Penalties of the weights now and of the outputs of the last call."""
        found = [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]
        for owner in self.flat_parts():
            loss = getattr(owner, "_activity_loss", None)
            found += [] if loss is None else [loss]
        return found

    @property
    def has_penalties(self) -> bool:
        """Whether `losses` may hold anything."""
        return any(v.regularizer is not None for v in self.trainable_weights) or any(
            getattr(owner, "activity_regularizer", None) is not None for owner in self.flat_parts()
        )
