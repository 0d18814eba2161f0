"""Losses: Keras 3's functions, one value per sample (the mean or sum over the last axis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from timeloom import _core, backend
from timeloom.arguments import integer, number
from timeloom.autograd import append, is_recorded, keep, keys_of, record, value
from timeloom.autograd.recording import Array, numeric
from timeloom.ops.checks import contiguous, last_axis, plain, real


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any, Array, Array]:
    """Operands of one shape and their arrays. (N,) against (N, 1) gets the axis it lacks."""
    p = real("y_pred", y_pred)
    t = numeric("y_true", value(y_true))
    if p.ndim == 0:
        raise ValueError("y_pred: expected at least one axis, got a scalar")
    if t.ndim + 1 == p.ndim and p.shape[-1] == 1:
        y_true = np.reshape(y_true, (*t.shape, 1))
    elif p.ndim + 1 == t.ndim and t.shape[-1] == 1:
        y_pred = np.reshape(y_pred, (*p.shape, 1))
    p = contiguous(keep(y_pred) if is_recorded(y_true, y_pred) else value(y_pred))
    t = np.asarray(keep(y_true) if is_recorded(y_true, y_pred) else value(y_true))
    if t.shape != p.shape:
        raise ValueError(f"y_true: expected shape {p.shape} as y_pred has, got {t.shape}")
    return y_true, y_pred, contiguous(t.astype(p.dtype, copy=False)), p


def _smoothing(label_smoothing: float) -> float:
    return number("label_smoothing", label_smoothing, 0.0, 1.0)


def _fit(gradient: Array, operand: Any) -> Array:
    """The gradient in the dtype of an operand, which the loss had cast."""
    return gradient.astype(value(operand).dtype, copy=False)


def _values(
    name: str,
    operands: tuple[Any, Any],
    targets: Array,
    p: Array,
    d_targets: Callable[[Array], Any],
    smoothing: float = 0.0,
) -> Any:
    """The loss of each row, recorded; values and gradients of the outputs in one pass of the kernels each."""
    epsilon = backend.epsilon()

    def backward(needs: Sequence[bool], g: Array) -> tuple[Any, Any]:
        d = contiguous(np.asarray(g))
        return (
            _fit(d_targets(d), operands[0]) if needs[0] else None,
            _core.loss_gradient(name, p, targets, d, smoothing, epsilon) if needs[1] else None,
        )

    return record(_core.loss_values(name, p, targets, smoothing, epsilon), operands, backward)


def batch_loss(
    name: str, y_true: Any, y_pred: Any, sample_weight: Any, divisor: float, smoothing: float = 0.0
) -> Any:
    """The loss of a whole batch as one operation: what models train on.

    Equations:
        loss = sum(sample_weight * values) / divisor

    Args:
        name: of a loss of the kernels: "squared", "absolute", "binary", "binary_logits", "categorical" or
            "categorical_logits".
        y_true: an array of the shape and dtype of y_pred; or class numbers, signed integers [...].
        y_pred: [..., n].
        sample_weight: None, or an array [...] of the dtype of y_pred.
        divisor: a number.
        smoothing: label_smoothing.

    Returns:
        A number, without axes.
    """
    keys = keys_of(y_pred)
    p = contiguous(value(y_pred))
    t = contiguous(y_true if keys is None else keep(y_true))
    if t.dtype.kind == "i":
        t = t.astype(np.int64, copy=False)
    epsilon = backend.epsilon()
    output = _core.loss_sum(name, p, t, sample_weight, divisor, smoothing, epsilon)
    if keys is None:
        return output

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Any]:
        d = np.asarray(g / p.dtype.type(divisor))
        if sample_weight is not None:
            d = d * sample_weight
        return (_core.loss_gradient(name, p, t, d, smoothing, epsilon),)

    return append(output, keys, backward)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of the squared differences.

    Equations:
        loss = mean((y_true - y_pred)^2)

    Args:
        y_true: targets, [..., outputs] or [...] where outputs is 1; cast to the dtype of y_pred.
        y_pred: predictions [..., outputs], float32 or float64.

    Returns:
        One value per sample, [...].

    Raises:
        ValueError: shapes that do not match.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.mean_squared_error(np.array([1.0, 2.0]), np.array([[1.0], [4.0]]))
        array([0., 4.])
    """
    y_true, y_pred, t, p = _pair(y_true, y_pred)

    def d_targets(g: Array) -> Any:
        return (g * (2 / p.shape[-1]))[..., None] * (t - p)

    return _values("squared", (y_true, y_pred), t, p, d_targets)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean over the last axis of the absolute differences; the derivative at 0 is 0.

    Equations:
        loss = mean(|y_true - y_pred|)

    Args:
        y_true: as ``mean_squared_error``.
        y_pred: as ``mean_squared_error``.

    Returns:
        One value per sample, [...].

    Raises:
        ValueError: shapes that do not match.
    """
    y_true, y_pred, t, p = _pair(y_true, y_pred)

    def d_targets(g: Array) -> Any:
        return (g / p.shape[-1])[..., None] * np.sign(t - p)

    return _values("absolute", (y_true, y_pred), t, p, d_targets)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Any:
    """Cross-entropy of independent yes-or-no targets, mean over the last axis.

    Equations:
        t = y_true (1 - label_smoothing) + label_smoothing / 2
        loss = mean(-t log p - (1 - t) log(1 - p)),  p = clip(y_pred, epsilon, 1 - epsilon) or sigmoid(y_pred)

    Args:
        y_true: targets in [0, 1], as ``mean_squared_error``.
        y_pred: probabilities, or logits with from_logits. The gradient is 0 where a probability is clipped.
        from_logits: whether y_pred is before the sigmoid.
        label_smoothing: share of the target given to one half, in [0, 1].

    Returns:
        One value per sample, [...].

    Raises:
        ValueError: shapes that do not match; label_smoothing out of range.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.binary_crossentropy(np.array([[1.0]]), np.array([[0.5]])).round(4)
        array([0.6931])
    """
    smoothing = _smoothing(label_smoothing)
    y_true, y_pred, t, p = _pair(y_true, y_pred)

    def d_targets(g: Array) -> Any:
        scale = (g / p.shape[-1])[..., None] * p.dtype.type(1 - smoothing)
        if from_logits:
            return scale * -p
        q = np.clip(p, p.dtype.type(backend.epsilon()), p.dtype.type(1 - backend.epsilon()))
        return scale * (_core.log(1 - q) - _core.log(q))

    name = "binary_logits" if from_logits else "binary"
    return _values(name, (y_true, y_pred), t, p, d_targets, smoothing)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of one class among several, targets one-hot or probabilities.

    Equations:
        t = y_true (1 - label_smoothing) + label_smoothing / classes
        loss = -sum(t log p),  p = clip(y_pred / sum(y_pred), epsilon, 1 - epsilon) or softmax(y_pred)

    Args:
        y_true: [..., classes], cast to the dtype of y_pred.
        y_pred: probabilities [..., classes], or logits with from_logits; float32 or float64.
        from_logits: whether y_pred is before the softmax.
        label_smoothing: share of the target spread over all classes, in [0, 1].
        axis: the axis of the classes. Only the last.

    Returns:
        One value per sample, [...].

    Raises:
        ValueError: shapes that do not match; label_smoothing out of range.
        NotImplementedError: another axis.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.categorical_crossentropy(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])).round(4)
        array([0.6931])
    """
    smoothing = _smoothing(label_smoothing)
    p = real("y_pred", y_pred)
    t = numeric("y_true", value(y_true))
    last_axis(axis, p.ndim)
    if p.ndim == 0 or t.shape != p.shape:
        raise ValueError(f"y_true: expected shape {p.shape} as y_pred has (one-hot targets), got {t.shape}")
    y_true, y_pred, t, p = _pair(y_true, y_pred)

    def d_targets(g: Array) -> Any:
        scale = -g[..., None] * p.dtype.type(1 - smoothing)
        if from_logits:
            return scale * _core.log_softmax(p)
        share = p / _core.sum_last(p)[..., None]
        low, high = p.dtype.type(backend.epsilon()), p.dtype.type(1 - backend.epsilon())
        return scale * _core.log(np.clip(share, low, high))

    name = "categorical_logits" if from_logits else "categorical"
    return _values(name, (y_true, y_pred), t, p, d_targets, smoothing)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy of one class among several, targets as class numbers.

    Equations:
        loss = -log p[y_true],  p as in ``categorical_crossentropy``

    Args:
        y_true: whole numbers in [0, classes) of any real dtype, [...] or [..., 1].
        y_pred: probabilities [..., classes], or logits with from_logits; float32 or float64.
        from_logits: whether y_pred is before the softmax.
        ignore_class: a number whose samples cost nothing, or None.
        axis: the axis of the classes. Only the last.

    Returns:
        One value per sample, [...].

    Raises:
        ValueError: shapes that do not match; a label that is no class.
        TypeError: traced labels, which have no gradient.
        NotImplementedError: another axis.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> ops.sparse_categorical_crossentropy(np.array([1]), np.array([[0.5, 0.5]])).round(4)
        array([0.6931])
    """
    p = contiguous(real("y_pred", y_pred))
    last_axis(axis, p.ndim)
    if p.ndim == 0:
        raise ValueError("y_pred: expected at least one axis, got a scalar")
    if ignore_class is not None:
        ignore_class = integer("ignore_class", ignore_class, -(2**63), "an integer or None")
    labels = _labels(plain("y_true", y_true), p, ignore_class)
    name, epsilon = "categorical_logits" if from_logits else "categorical", backend.epsilon()

    def backward(_needs: Sequence[bool], g: Array) -> tuple[Any]:
        return (_core.loss_gradient(name, p, labels, contiguous(np.asarray(g)), 0.0, epsilon, ignore_class),)

    return record(_core.loss_values(name, p, labels, 0.0, epsilon, ignore_class), (y_pred,), backward)


def _labels(y_true: Array, p: Array, ignore_class: int | None) -> Array:
    """Class numbers as integers, of the shape of the samples."""
    if y_true.dtype.kind not in "fiub":
        raise TypeError(f"y_true: expected whole numbers, got dtype {y_true.dtype}")
    if y_true.ndim == p.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != p.shape[:-1]:
        raise ValueError(
            f"y_true: expected class numbers of shape {p.shape[:-1]} for y_pred of shape {p.shape}, "
            f"got {y_true.shape}"
        )
    classes = p.shape[-1]
    legal = (y_true >= 0) & (y_true < classes)
    if y_true.dtype.kind == "f":
        legal &= y_true == np.floor(y_true)
    if ignore_class is not None:
        legal |= y_true == ignore_class
    if not legal.all():
        wrong = y_true[~legal].flat[0]
        raise ValueError(f"y_true: expected labels in [0, {classes}) for {classes} classes, got {wrong}")
    return y_true.astype(np.int64)
