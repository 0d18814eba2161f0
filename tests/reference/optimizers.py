"""Optimizer steps in Keras's formulas, each on one array: (value, slots, gradient, ...) -> (value, slots).

Belongs here: SGD, RMSprop, Adam, and the three ways to clip.
Does not belong here: tables of segments, schedules, weights that share a step.
"""

import numpy as np


def sgd(value, slots, gradient, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
    """v' = m v - lr g;  w' = w + v', with nesterov w + m v' - lr g; decay first: w - w lr wd."""
    value = value - value * (learning_rate * weight_decay)
    if not momentum:
        return value - learning_rate * gradient, slots
    velocity = momentum * slots[0] - learning_rate * gradient
    step = momentum * velocity - learning_rate * gradient if nesterov else velocity
    return value + step, (velocity,)


def rmsprop(
    value,
    slots,
    gradient,
    learning_rate,
    rho=0.9,
    momentum=0.0,
    epsilon=1e-7,
    centered=False,
    weight_decay=0.0,
):
    """v' = rho v + (1 - rho) g^2;  d = lr g / sqrt(v' - average^2 + epsilon);  w' = w - d.

    With momentum b' = m b + d takes the place of d. slots are (velocity, momentum buffer, average gradient);
    those not in use stay as they are.
    """
    velocity, buffer, average = slots
    value = value - value * (learning_rate * weight_decay)
    velocity = rho * velocity + (1 - rho) * gradient**2
    spread = velocity + epsilon
    if centered:
        average = rho * average + (1 - rho) * gradient
        spread = velocity - average**2 + epsilon
    step = learning_rate * gradient / np.sqrt(spread)
    if momentum:
        buffer = step = momentum * buffer + step
    return value - step, (velocity, buffer, average)


def adam(
    value,
    slots,
    gradient,
    step,
    learning_rate,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    amsgrad=False,
    weight_decay=0.0,
):
    """m' = m + (g - m)(1 - b1);  v' = v + (g^2 - v)(1 - b2);  w' = w - alpha m' / (sqrt(v') + epsilon).

    alpha = lr sqrt(1 - b2^t) / (1 - b1^t) with t = step = 1, 2, ...; epsilon uncorrected (PyTorch differs).
    amsgrad divides by the largest v so far. slots are (m, v, largest v).
    """
    m, v, largest = slots
    value = value - value * (learning_rate * weight_decay)
    alpha = learning_rate * (1 - beta_2**step) ** 0.5 / (1 - beta_1**step)
    m = m + (gradient - m) * (1 - beta_1)
    v = v + (gradient**2 - v) * (1 - beta_2)
    if amsgrad:
        largest = np.maximum(largest, v)
    return value - alpha * m / (np.sqrt(largest if amsgrad else v) + epsilon), (m, v, largest)


def clip_by_value(gradient, limit):
    """Each element held in [-limit, limit]."""
    return np.clip(gradient, -limit, limit)


def clip_by_norm(gradient, limit):
    """g limit / max(|g|, limit)."""
    return gradient * (limit / max(float(np.sqrt(np.sum(gradient**2))), limit))


def clip_by_global_norm(gradients, limit):
    """Every gradient times limit / max(norm of them all, limit)."""
    norm = float(np.sqrt(sum(np.sum(gradient**2) for gradient in gradients)))
    return [gradient * (limit / max(norm, limit)) for gradient in gradients]
