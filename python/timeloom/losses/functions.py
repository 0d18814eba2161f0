"""Losses as functions of targets and outputs, one value per sample, and the shapes that targets may have."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from timeloom import backend, ops
from timeloom.arguments import not_implemented
from timeloom.arrays import class_labels, real_array, shape_text
from timeloom.autograd import TracedArray, is_recorded

__all__ = [
    "FUNCTIONS",
    "KERNELS",
    "PRIMITIVES",
    "binary_crossentropy",
    "categorical_crossentropy",
    "dense_targets",
    "float_outputs",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
    "sparse_targets",
    "weights_for",
]


def dense_targets(y_true: Any, shape: Sequence[int], dtype: DTypeLike, name: str = "y_true") -> Any:
    """Returns targets in the shape and dtype of the outputs.

    A missing or a superfluous last axis of size 1 is added or removed, so that (N,) against (N, 1)
    never broadcasts to (N, N).

    Raises:
        ValueError: If the shapes do not fit otherwise.

    Example:
        >>> dense_targets([1, 2], (2, 1), "float32").shape
        (2, 1)
    """
    shape = tuple(shape)
    if isinstance(y_true, TracedArray) or is_recorded(y_true):
        if y_true.shape != shape:
            raise ValueError(f"{name}: expected shape {shape_text(shape)}, got {shape_text(y_true.shape)}")
        return y_true
    target = real_array(name, y_true, dtype)
    if target.shape != shape:
        if target.shape + (1,) != shape and target.shape != shape + (1,):
            raise ValueError(f"{name}: expected shape {shape_text(shape)}, got {shape_text(target.shape)}")
        target = target.reshape(shape)
    return target


def sparse_targets(y_true: Any, shape: Sequence[int], name: str = "y_true") -> NDArray[np.int64]:
    """Returns integer labels in the shape of the outputs without their last axis.

    Raises:
        ValueError: If the shapes do not fit or a label names no class.
    """
    target = real_array(name, y_true)
    rows, classes = tuple(shape[:-1]), int(shape[-1])
    if target.shape != rows and target.shape != rows + (1,):
        raise ValueError(f"{name}: expected shape {shape_text(rows)}, got {shape_text(target.shape)}")
    return class_labels(name, target.reshape(rows), classes)


def float_outputs(y_pred: Any) -> Any:
    if isinstance(y_pred, TracedArray) or is_recorded(y_pred):
        return y_pred
    array = real_array("y_pred", y_pred)
    return array if array.dtype in (np.float32, np.float64) else array.astype(backend.floatx())


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_true - y_pred)**2) over the last axis.

    Args:
        y_true: Targets, shape [batch, ..., d].
        y_pred: Outputs of the same shape.

    Returns:
        One value per sample (and timestep), shape [batch, ...].

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mean_squared_error([[0.0, 1.0]], [[2.0, 1.0]])
        array([2.])
    """
    outputs = float_outputs(y_pred)
    return ops.mean_squared_error(dense_targets(y_true, outputs.shape, outputs.dtype), outputs)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(abs(y_true - y_pred)) over the last axis; arguments as mean_squared_error."""
    outputs = float_outputs(y_pred)
    return ops.mean_absolute_error(dense_targets(y_true, outputs.shape, outputs.dtype), outputs)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """mean(-y log p - (1 - y) log(1 - p)) over the last axis.

    Args:
        y_true: Probabilities or 0 and 1, shape [batch, ..., d].
        y_pred: Probabilities p, clipped to [1e-7, 1 - 1e-7], or logits.
        from_logits: Whether y_pred holds logits. Default False.
        label_smoothing: s in [0, 1]: y becomes y (1 - s) + s / 2. Default 0.0.
        axis: -1; others are not implemented yet.

    Returns:
        One value per sample (and timestep), shape [batch, ...].
    """
    not_implemented("axis", axis, (-1,))
    outputs = float_outputs(y_pred)
    targets = dense_targets(y_true, outputs.shape, outputs.dtype)
    return ops.binary_crossentropy(targets, outputs, from_logits=from_logits, label_smoothing=label_smoothing)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(y log p) over the last axis.

    Args:
        y_true: One-hot rows or probabilities, shape [batch, ..., classes].
        y_pred: Probabilities p, divided by their sum and clipped to [1e-7, 1 - 1e-7], or logits.
        from_logits: Whether y_pred holds logits. Default False.
        label_smoothing: s in [0, 1]: y becomes y (1 - s) + s / classes. Default 0.0.
        axis: -1; others are not implemented yet.

    Returns:
        One value per sample (and timestep), shape [batch, ...].
    """
    not_implemented("axis", axis, (-1,))
    outputs = float_outputs(y_pred)
    targets = dense_targets(y_true, outputs.shape, outputs.dtype)
    return ops.categorical_crossentropy(
        targets, outputs, from_logits=from_logits, label_smoothing=label_smoothing
    )


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log p[label].

    Args:
        y_true: Whole numbers in [0, classes), shape [batch, ...] or [batch, ..., 1].
        y_pred: Probabilities or logits as in categorical_crossentropy, shape [batch, ..., classes].
        from_logits: Whether y_pred holds logits. Default False.
        ignore_class: None; labels to leave out are not implemented yet.
        axis: -1; others are not implemented yet.

    Returns:
        One value per sample (and timestep), shape [batch, ...].

    Raises:
        ValueError: If a label names no class or the shapes do not fit.
    """
    not_implemented("axis", axis, (-1,))
    not_implemented("ignore_class", ignore_class, (None,))
    outputs = float_outputs(y_pred)
    return ops.sparse_categorical_crossentropy(
        sparse_targets(y_true, outputs.shape), outputs, from_logits=from_logits
    )


def weights_for(
    sample_weight: Any, shape: Sequence[int], dtype: DTypeLike, name: str = "sample_weight"
) -> NDArray[Any]:
    """Returns sample weights in a shape that multiplies values of that shape.

    Raises:
        ValueError: If they are neither one per sample nor one per value.

    Example:
        >>> weights_for([1.0, 2.0], (2, 3), "float32").shape
        (2, 1)
    """
    weights = real_array(name, sample_weight, dtype)
    shape = tuple(shape)
    while weights.ndim > 1 and weights.shape[-1] == 1 and weights.shape != shape[: weights.ndim]:
        weights = weights[..., 0]
    if weights.shape != shape[: weights.ndim] or weights.ndim == 0:
        raise ValueError(
            f"{name}: expected shape {shape_text(shape[:1])} or {shape_text(shape)}, got {weights.shape}"
        )
    return weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))


# The functions whose targets are checked against the outputs.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}

# What these functions call once they have brought the targets into shape.
PRIMITIVES: dict[Callable[..., Any], Callable[..., Any]] = {
    mean_squared_error: ops.mean_squared_error,
    mean_absolute_error: ops.mean_absolute_error,
    binary_crossentropy: ops.binary_crossentropy,
    categorical_crossentropy: ops.categorical_crossentropy,
    sparse_categorical_crossentropy: ops.sparse_categorical_crossentropy,
}

# Their names in the kernels; those of outputs before the softmax or sigmoid end in "_logits".
KERNELS: dict[Callable[..., Any], str] = {
    mean_squared_error: "squared",
    mean_absolute_error: "absolute",
    binary_crossentropy: "binary",
    categorical_crossentropy: "categorical",
    sparse_categorical_crossentropy: "categorical",
}
