"""Random problems: weights, data and upstream gradients that no wrong kernel passes by luck.

Belongs here: `recurrent_problem`, used by the tests of the reference, the kernels and the operations.
Does not belong here: expectations.
"""

from typing import Any, NamedTuple

import numpy as np

from tests.reference import recurrent


class Problem(NamedTuple):
    """Arguments of one forward and backward pass."""

    arguments: dict[str, Any]
    d_outputs: np.ndarray | None
    d_states: tuple[np.ndarray, ...] | None

    def as_type(self, dtype) -> "Problem":
        """Return the same numbers in another dtype."""

        def convert(value):
            if isinstance(value, tuple):
                return tuple(convert(item) for item in value)
            is_real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return value.astype(dtype) if is_real else value

        arguments = {name: convert(value) for name, value in self.arguments.items()}
        return Problem(arguments, convert(self.d_outputs), convert(self.d_states))


def spectral_radius(matrix):
    """Return a close upper bound of the spectral radius, |A^64|^(1/64), which needs products only."""
    norm = np.linalg.norm(matrix)
    return norm * np.linalg.norm(np.linalg.matrix_power(matrix / norm, 64)) ** (1 / 64)


def recurrent_weights(random, cell, features, units, bias=True):
    """Draw (kernel, recurrent_kernel, bias or None) with another scale for each gate.

    Each gate's square block of the recurrent kernel is scaled to a spectral radius of at most 1, so that
    fifty steps neither explode nor forget; a gate mistaken for another changes every number. The weights
    of a single unit are positive: negative ones can take its gradient below the denormals in fifty steps.
    """
    gates = recurrent.CELLS[cell].gates
    scales = random.permutation(np.linspace(0.5, 1.5, gates)) if gates > 1 else [1.0]
    kernel = [scale * random.uniform(-1, 1, (features, units)) / np.sqrt(features) for scale in scales]
    state_gates = recurrent.CELLS[cell].state_gates
    state_gates = gates if state_gates is None else state_gates
    blocks = [random.standard_normal((units, units)) for _ in range(state_gates)]
    blocks = np.abs(blocks) if units == 1 else blocks
    radii = [spectral_radius(block) for block in blocks]
    wanted = (
        random.permutation(np.linspace(0.6, 1.0, state_gates)) if state_gates > 1 else [0.95] * state_gates
    )
    blocks = [block * (target / radius) for block, target, radius in zip(blocks, wanted, radii, strict=True)]
    shape = recurrent.bias_shape(cell, units)
    drawn = 0.5 * random.standard_normal(shape) if bias else None
    recurrent_kernel = np.concatenate([np.empty((units, 0)), *blocks], axis=1)
    return np.concatenate(kernel, axis=1), recurrent_kernel, drawn


MASKS = ("left", "right", "holes", "some rows", "no row", "all valid")


def drawn_mask(random, kind, batch, timesteps):
    """Draw a mask [batch, timesteps] of a kind of MASKS."""
    lengths = random.integers(1, timesteps + 1, batch)
    if kind in ("left", "right"):
        mask = recurrent.mask_of_lengths(lengths, timesteps)
        return mask if kind == "right" else np.ascontiguousarray(mask[:, ::-1])
    mask = np.ones((batch, timesteps), bool)
    if kind in ("holes", "some rows"):
        mask = random.random((batch, timesteps)) < 0.6
    if kind == "some rows":
        mask[random.permutation(batch)[: (batch + 1) // 2]] = False
    return mask & (kind != "no row")


def drawn_lengths(random, batch, timesteps):
    """Draw lengths [batch] from 0 to timesteps: one row is full, one of several rows is empty."""
    lengths = random.integers(0, timesteps + 1, batch)
    places = random.permutation(batch)
    lengths[places[:1]] = timesteps
    lengths[places[1:2]] = 0
    return lengths


def drawn_multipliers(random, shape, largest):
    """Draw multipliers from 0 to largest, each end itself a quarter of the time."""
    return largest * np.clip(random.uniform(-0.5, 1.5, shape), 0, 1)


def recurrent_problem(
    seed,
    cell,
    batch,
    timesteps,
    features,
    units,
    bias=True,
    initial_states=True,
    go_backwards=False,
    return_sequences=True,
    upstream="both",
    activation="tanh",
    recurrent_activation="sigmoid",
    mask=None,
    lengths=False,
    packed=False,
    zero_output_for_mask=False,
    keep_time_order=False,
    input_dropout=False,
    recurrent_dropout=False,
    zoneout=None,
) -> Problem:
    """Draw a problem in float64 whose numbers are all exact in float32.

    Args:
        seed: integer or tuple of integers.
        cell, batch, timesteps, features, units: what and how large.
        bias, initial_states: whether there are any.
        go_backwards, return_sequences, activation, recurrent_activation, zero_output_for_mask,
            keep_time_order: as recurrent.forward.
        upstream: "outputs", "states" or "both": where the loss reads the result.
        mask: a kind of MASKS, or None for none.
        lengths: whether there are lengths.
        packed: whether the inputs are packed; implies lengths.
        input_dropout, recurrent_dropout: whether there are multipliers.
        zoneout: "rate", "multipliers" or "mixed" (multipliers of the first state alone), or None.
    """
    random = np.random.default_rng(seed)
    states = recurrent.CELLS[cell].states
    kernel, recurrent_kernel, bias_values = recurrent_weights(random, cell, features, units, bias)
    initial = tuple(0.8 * random.standard_normal((batch, units)) for _ in range(states))
    arguments = {
        "cell": cell,
        "inputs": random.standard_normal((batch, timesteps, features)),
        "kernel": kernel,
        "recurrent_kernel": recurrent_kernel,
        "bias": bias_values,
        "initial_states": initial if initial_states else None,
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "go_backwards": go_backwards,
        "return_sequences": return_sequences,
    }
    # Options draw their own numbers: with and without them a problem has the same weights.
    options = np.random.default_rng((*np.atleast_1d(seed), 1))
    steps = (batch, timesteps)
    if mask is not None:
        arguments["mask"] = drawn_mask(options, mask, batch, timesteps)
    if lengths or packed:
        arguments["lengths"] = drawn_lengths(options, batch, timesteps)
    if packed:
        is_valid = recurrent.mask_of_lengths(arguments["lengths"], timesteps)
        arguments["inputs"] = arguments["inputs"][is_valid]
        steps = arguments["inputs"].shape[:1]
    if zero_output_for_mask or keep_time_order:
        arguments |= {"zero_output_for_mask": zero_output_for_mask, "keep_time_order": keep_time_order}
    rule = recurrent.CELLS[cell]
    if input_dropout:
        arguments["input_dropout"] = drawn_multipliers(options, (rule.gates, batch, features), 2)
    if recurrent_dropout:
        state_gates = rule.gates if rule.state_gates is None else rule.state_gates
        arguments["recurrent_dropout"] = drawn_multipliers(options, (state_gates, batch, units), 2)
    if zoneout is not None:
        multipliers = tuple(drawn_multipliers(options, (*steps, units), 1) for _ in range(states))
        arguments["zoneout"] = {
            "rate": (0.25, 0.625)[:states],
            "multipliers": multipliers,
            "mixed": (*multipliers[:1], None)[:states],
        }[zoneout]
    shape = (*steps, units) if return_sequences else (batch, units)
    d_outputs = random.standard_normal(shape) if upstream in ("outputs", "both") else None
    d_states = tuple(random.standard_normal((batch, units)) for _ in range(states))
    problem = Problem(arguments, d_outputs, d_states if upstream in ("states", "both") else None)
    return problem.as_type(np.float32).as_type(np.float64)
