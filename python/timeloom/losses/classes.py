"""Losses as objects: a function, its settings and the reduction over a batch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from timeloom import backend, ops
from timeloom.arguments import not_implemented, number
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray, is_recorded
from timeloom.losses.functions import (
    FUNCTIONS,
    KERNELS,
    PRIMITIVES,
    binary_crossentropy,
    categorical_crossentropy,
    dense_targets,
    float_outputs,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
    sparse_targets,
    weights_for,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
]

# Of these the sum of the values is divided by a number that does not depend on the weights.
_ONE_DIVISOR = ("sum_over_batch_size", "mean", "sum")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    """Base of all losses: ``loss(y_true, y_pred, sample_weight=None)`` gives a number.

    A subclass writes ``call(y_true, y_pred)``, one value per sample.

    Args:
        name: Default None.
        reduction: ``"sum_over_batch_size"`` (the same as ``"mean"``: sum of value times weight over the
            number of values), ``"sum"``, ``"mean_with_sample_weight"`` (over the sum of the weights),
            ``"none"`` or None. Default ``"sum_over_batch_size"``.
        dtype: None; the dtype of the outputs decides.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction: expected one of {REDUCTIONS}, got {reduction!r}")
        not_implemented("dtype", dtype, (None,))
        self.name = backend.auto_name(type(self).__name__) if name is None else name
        self.reduction = reduction

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        """Returns the reduced loss of a batch.

        Args:
            y_true: Targets.
            y_pred: Outputs.
            sample_weight: One per sample, or per value. Default None.
            mask: Bool, which timesteps count, shape [batch, timesteps]. Default None: all.
        """
        outputs = float_outputs(y_pred)
        values = self.call(self.targets(y_true, outputs.shape, outputs.dtype), outputs)
        if sample_weight is not None:
            sample_weight = weights_for(sample_weight, values.shape, outputs.dtype)
        if mask is not None:
            valid = np.asarray(mask).astype(bool, copy=False)
            sample_weight = self.masked_weights(valid, values.shape, outputs.dtype, sample_weight)
        return self.reduce(values, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one value per sample; what a subclass writes."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method call(y_true, y_pred), got none")

    def targets(self, y_true: Any, shape: Sequence[int], dtype: DTypeLike, name: str = "y_true") -> Any:  # noqa: ARG002
        """Checks and casts the targets for outputs of that shape, once for all batches.

        Raises:
            ValueError: If they do not fit the outputs.
        """
        followed = isinstance(y_true, TracedArray) or is_recorded(y_true)
        return y_true if followed else real_array(name, y_true, dtype)

    def call_checked(self, y_true: Any, y_pred: Any) -> Any:
        """As call, for targets that `targets` returned: training steps need no second check."""
        return self.call(y_true, y_pred)

    def masked_weights(
        self, mask: NDArray[np.bool_], shape: Sequence[int], dtype: DTypeLike, sample_weight: Any = None
    ) -> NDArray[Any]:
        """Returns weights that make `reduce` leave masked values out.

        Equations:
            weight = sample_weight * (size of mask / valid values) where mask, 0 elsewhere: the mean of values
            times weight is the mean over the valid ones. Without the factor for other reductions.

        Args:
            mask: Which values count, of the first axes of shape.
            shape: That of the values.
            dtype: That of the values.
            sample_weight: Weights that fit the values. Default None.

        Raises:
            ValueError: If mask does not fit the values.
        """
        if mask.shape != tuple(shape[: mask.ndim]):
            raise ValueError(
                f"mask: expected shape {shape_text(shape)}, one for each value of the loss, "
                f"got {shape_text(mask.shape)}"
            )
        weights = mask.astype(dtype)
        if self.reduction in ("sum_over_batch_size", "mean"):
            weights *= mask.size / max(1, int(np.count_nonzero(mask)))
        weights = weights.reshape(mask.shape + (1,) * (len(shape) - mask.ndim))
        return weights if sample_weight is None else weights * sample_weight

    def batch_loss(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """`reduce` of `call_checked`, in one operation where that is possible: what training steps call.

        Args:
            y_true: Targets that `targets` returned.
            y_pred: Outputs.
            sample_weight: As for reduce.
        """
        return self.reduce(self.call_checked(y_true, y_pred), sample_weight)

    def reduce(self, values: Any, sample_weight: Any = None) -> Any:
        """Returns the number that training makes small from values and weights that fit them.

        Raises:
            TypeError: If a function of the user's own gave something else than numbers.
            ValueError: If it gave values that the weights do not fit.
        """
        if not hasattr(values, "ndim"):
            values = real_array("loss", values)
        if sample_weight is not None:
            sample_weight = _aligned(sample_weight, values.shape)
            values = values * sample_weight
        if self.reduction in ("none", None) or values.ndim == 0:
            return values
        # Sequences without a timestep have no values: their loss is 0.
        if self.reduction == "sum" or values.size == 0:
            return ops.sum(values)
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            total = float(np.sum(np.broadcast_to(sample_weight, values.shape)))
            return ops.sum(values) * (1.0 / total if total else 0.0)
        return ops.mean(values)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the loss from `get_config()`."""
        return cls(**config)


def _aligned(weights: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Weights with the axes of values of that shape: they may lack the last ones, or have more of size 1."""
    if not shape:
        return weights
    while weights.ndim > len(shape) and weights.shape[-1] == 1:
        weights = weights[..., 0]
    fits = all(size in (1, other) for size, other in zip(weights.shape, shape, strict=False))
    if weights.ndim > len(shape) or not fits:
        raise ValueError(
            f"loss: expected values that fit weights (or a mask) of shape {shape_text(weights.shape)}, "
            f"got shape {shape_text(shape)}"
        )
    return weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))


class LossFunctionWrapper(Loss):
    """A loss from a function of targets and outputs.

    Args:
        fn: Function of y_true and y_pred that returns one value per sample.
        reduction: As Loss.
        name: Default None.
        dtype: As Loss.
        **kwargs: Handed to fn.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.fn = fn
        self._arguments = kwargs
        # Every axis that the functions take is the last one.
        self._primitive_arguments = {name: value for name, value in kwargs.items() if name != "axis"}
        self._kernel = self._kernel_name()

    def _kernel_name(self) -> str | None:
        """The loss of the kernels that `batch_loss` may call, None where a subclass computes otherwise."""
        own = type(self)
        known = (
            own.call is LossFunctionWrapper.call
            and own.call_checked is LossFunctionWrapper.call_checked
            and own.reduce is Loss.reduce
        )
        name = KERNELS.get(self.fn) if known else None
        return f"{name}_logits" if name is not None and self._arguments.get("from_logits") else name

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._arguments)

    def call_checked(self, y_true: Any, y_pred: Any) -> Any:
        primitive = PRIMITIVES.get(self.fn)
        if primitive is None:
            return self.call(y_true, y_pred)
        return primitive(y_true, y_pred, **self._primitive_arguments)

    def batch_loss(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        rows = y_pred.shape[:-1]
        # Outputs of one axis have a loss without axes; sequences without a timestep have none.
        fits = rows and y_pred.size and type(y_true) is np.ndarray and self.reduction in _ONE_DIVISOR
        if self._kernel is None or not fits:
            return super().batch_loss(y_true, y_pred, sample_weight)
        if self.fn is sparse_categorical_crossentropy:
            legal = y_true.dtype.kind == "i" and y_true.shape == rows
        else:
            legal = y_true.dtype == y_pred.dtype and y_true.shape == y_pred.shape
        if not legal:
            return super().batch_loss(y_true, y_pred, sample_weight)
        if sample_weight is not None:
            sample_weight = _aligned(sample_weight, rows)
            if sample_weight.dtype != y_pred.dtype:
                return super().batch_loss(y_true, y_pred, sample_weight)
            if sample_weight.shape != rows:
                sample_weight = np.broadcast_to(sample_weight, rows).copy()
        divisor = 1.0 if self.reduction == "sum" else math.prod(rows)
        smoothing = self._arguments.get("label_smoothing", 0.0)
        return ops.losses.batch_loss(self._kernel, y_true, y_pred, sample_weight, divisor, smoothing)

    def targets(self, y_true: Any, shape: Sequence[int], dtype: DTypeLike, name: str = "y_true") -> Any:
        if self.fn is sparse_categorical_crossentropy:
            return sparse_targets(y_true, shape, name)
        if self.fn in FUNCTIONS.values():
            return dense_targets(y_true, shape, dtype, name)
        return super().targets(y_true, shape, dtype, name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._arguments}


class MeanSquaredError(LossFunctionWrapper):
    """The loss of mean_squared_error.

    Example:
        >>> float(MeanSquaredError()([[1.0], [2.0]], [[1.0], [4.0]]))
        2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """The loss of mean_absolute_error."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class BinaryCrossentropy(LossFunctionWrapper):
    """The loss of binary_crossentropy, which explains from_logits, label_smoothing and axis."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        not_implemented("axis", axis, (-1,))
        smoothing = number("label_smoothing", label_smoothing, 0.0, 1.0)
        arguments = {"from_logits": from_logits, "label_smoothing": smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **arguments)


class CategoricalCrossentropy(LossFunctionWrapper):
    """The loss of categorical_crossentropy, which explains from_logits, label_smoothing and axis."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        not_implemented("axis", axis, (-1,))
        smoothing = number("label_smoothing", label_smoothing, 0.0, 1.0)
        arguments = {"from_logits": from_logits, "label_smoothing": smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **arguments)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """The loss of sparse_categorical_crossentropy, which explains from_logits, ignore_class and axis."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        not_implemented("axis", axis, (-1,))
        not_implemented("ignore_class", ignore_class, (None,))
        arguments = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **arguments)
