"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeloom import _core, backend
from timeloom.arguments import integer
from timeloom.autograd import record
from timeloom.autograd.recording import Array
from timeloom.ops.checks import contiguous, real


def dropout(
    inputs: Any,
    rate: float,
    seed: int | np.random.Generator | None = None,
    noise_shape: Sequence[int | None] | None = None,
) -> Any:
    """Set a random share of the elements to zero and scale the others up.

    Equations:
        outputs = inputs * mask / (1 - rate),   mask is 0 with probability rate, else 1

    One number is drawn from the generator; it and the place of an element make the mask (Threefry), in the
    same pass as the product. So the gradient makes the mask again, and nothing is kept for it.

    Args:
        inputs: any shape, float32 or float64.
        rate: probability of zero, in [0, 1]. At 1 everything is zero.
        seed: an integer gives the same mask at every call; a Generator is drawn from; None draws from the
            generator of the process, which ``timeloom.utils.set_random_seed`` seeds.
        noise_shape: shape of the mask, which broadcasts to the inputs; None in it stands for the length of
            inputs.

    Returns:
        Same shape and dtype.

    Raises:
        ValueError: ``rate`` outside [0, 1]; a ``noise_shape`` that does not broadcast to the inputs; a seed
            that is no integer of at least 0.

    Reference:
        Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014;
        scaled in training ("inverted") as in Keras. Salmon et al., Parallel random numbers: as easy as
        1, 2, 3, SC 2011.

    Example:
        >>> import numpy as np
        >>> from timeloom import ops
        >>> set(ops.dropout(np.ones(100), 0.5, seed=1).tolist()) == {0.0, 2.0}
        True
    """
    x = real("inputs", inputs)
    if (
        isinstance(rate, bool)
        or not isinstance(rate, (int, float, np.integer, np.floating))
        or not 0 <= rate <= 1
    ):
        raise ValueError(f"rate: expected a number in [0, 1], got {rate!r}")
    shape = x.shape
    if noise_shape is not None:
        fits = isinstance(noise_shape, Sequence) and len(noise_shape) == x.ndim
        if not fits or any(
            n is not None and (not isinstance(n, (int, np.integer)) or n not in (1, m))
            for n, m in zip(noise_shape, shape, strict=True)
        ):
            raise ValueError(
                f"noise_shape: expected a shape that broadcasts to {x.shape}, got {noise_shape!r}"
            )
        shape = tuple(m if n is None else n for n, m in zip(noise_shape, shape, strict=True))
    if rate == 0:
        return inputs
    if rate == 1:
        mask = np.zeros(shape, dtype=x.dtype)
    else:
        if seed is None:
            generator = backend.random_generator()
        elif isinstance(seed, np.random.Generator):
            generator = seed
        else:
            generator = np.random.default_rng(integer("seed", seed))
        bits = generator.bit_generator
        key = bits.random_raw()
        if isinstance(bits, np.random.MT19937):  # gives 32 bits, all others of NumPy 64
            key |= bits.random_raw() << 32
        if shape == x.shape:
            probability = float(rate)

            def backward(_needs: Sequence[bool], g: Array) -> tuple[Array]:
                return (_core.dropout(contiguous(g), probability, key),)

            return record(_core.dropout(contiguous(x), probability, key), (inputs,), backward)
        mask = _core.dropout(np.ones(shape, dtype=x.dtype), float(rate), key)
    return record(np.asarray(x * mask), (inputs,), lambda _needs, g: (g * mask,))
