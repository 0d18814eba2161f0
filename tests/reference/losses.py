"""Losses in Keras's definitions: one value per sample, and the gradient with respect to the prediction.

Belongs here: loss(target, prediction) -> [...] and loss_gradient(target, prediction, d_loss) for each.
Does not belong here: reductions over the batch, weights of samples, label smoothing.
"""

import numpy as np

from tests.reference.activations import sigmoid
from tests.reference.softmax import log_softmax, softmax

EPSILON = 1e-7
"""Keras's backend.epsilon(): probabilities are clipped to [EPSILON, 1 - EPSILON]."""


def _clipped(p):
    """p held in [EPSILON, 1 - EPSILON] by its real part, and 1 where it was inside, else 0."""
    inside = (p.real > EPSILON) & (p.real < 1 - EPSILON)
    bound = np.clip(p.real, EPSILON, 1 - EPSILON).astype(p.real.dtype)
    return np.where(inside, p, bound), inside.astype(p.real.dtype)


def mean_squared_error(t, p):
    """Mean of (p - t)^2 over the last axis."""
    return np.mean((p - t) ** 2, axis=-1)


def mean_squared_error_gradient(t, p, d_loss):
    """dp = 2 (p - t) / n."""
    return d_loss[..., None] * 2 * (p - t) / p.shape[-1]


def mean_absolute_error(t, p):
    """Mean of |p - t| over the last axis, |q| taken as q sign(real q)."""
    return np.mean((p - t) * np.sign((p - t).real), axis=-1)


def mean_absolute_error_gradient(t, p, d_loss):
    """dp = sign(p - t) / n."""
    return d_loss[..., None] * np.sign(p - t) / p.shape[-1]


def binary_crossentropy(t, p):
    """Mean over the last axis of -t log(p) - (1 - t) log(1 - p)."""
    p, _ = _clipped(p)
    return np.mean(-t * np.log(p) - (1 - t) * np.log(1 - p), axis=-1)


def binary_crossentropy_gradient(t, p, d_loss):
    """dp = (p - t) / (p (1 - p)) / n, and 0 where p was clipped."""
    q, inside = _clipped(p)
    return d_loss[..., None] * inside * (q - t) / (q * (1 - q)) / p.shape[-1]


def binary_crossentropy_from_logits(t, x):
    """Mean over the last axis of max(x, 0) - t x + log(1 + exp(-|x|)), the loss of sigmoid(x)."""
    magnitude = x * np.where(x.real >= 0, 1, -1).astype(x.real.dtype)
    return np.mean(np.where(x.real > 0, x, 0) - t * x + np.log1p(np.exp(-magnitude)), axis=-1)


def binary_crossentropy_from_logits_gradient(t, x, d_loss):
    """dx = (sigmoid(x) - t) / n."""
    return d_loss[..., None] * (sigmoid(x) - t) / x.shape[-1]


def categorical_crossentropy(t, p):
    """-sum_i t_i log(q_i), q = p / sum p clipped."""
    q, _ = _clipped(p / np.sum(p, axis=-1, keepdims=True))
    return -np.sum(t * np.log(q), axis=-1)


def categorical_crossentropy_gradient(t, p, d_loss):
    """dq = -t / q where not clipped;  dp = (dq - sum_j dq_j q_j) / sum p with q before the clip."""
    total = np.sum(p, axis=-1, keepdims=True)
    q, inside = _clipped(p / total)
    dq = -d_loss[..., None] * inside * t / q
    return (dq - np.sum(dq * p / total, axis=-1, keepdims=True)) / total


def categorical_crossentropy_from_logits(t, x):
    """-sum_i t_i log_softmax(x)_i."""
    return -np.sum(t * log_softmax(x), axis=-1)


def categorical_crossentropy_from_logits_gradient(t, x, d_loss):
    """dx = softmax(x) sum t - t."""
    return d_loss[..., None] * (softmax(x) * np.sum(t, axis=-1, keepdims=True) - t)


def one_hot(labels, classes, dtype):
    """Labels [...] as rows of the identity, which turns a sparse loss into its dense form."""
    return np.eye(classes, dtype=dtype)[labels]
