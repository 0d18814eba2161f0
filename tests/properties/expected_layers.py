"""What recurrent layers give, computed by the reference from their weights and options.

Belongs here: the arithmetic that a layer adds to a cell over time: multipliers that gates share, stacks of
cells, two directions.
Does not belong here: tests; how timeloom draws multipliers (the tests watch it doing so).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tests.reference import recurrent


class Multipliers(NamedTuple):
    """What one cell drew in one call; shared goes with the inputs [batch or total, ...] of all gates."""

    shared: np.ndarray | float = 1.0
    input_dropout: np.ndarray | None = None
    recurrent_dropout: np.ndarray | None = None
    zoneout: tuple[Any, ...] | None = None


class Direction:
    """A stack of cells over time in one direction.

    Args:
        cell: name of every cell in the reference.
        weights: kernel, recurrent kernel and bias (or no bias) of each cell, one list after the other.
        multipliers: of each cell.
        states: initial states of each cell, one after the other, or None.
        options: the other arguments of the reference; the outputs of the last cell obey them all.
    """

    def __init__(
        self,
        cell: str,
        weights: Sequence[np.ndarray],
        multipliers: Sequence[Multipliers],
        states: Sequence[np.ndarray] | None,
        **options: Any,
    ) -> None:
        self.cell = cell
        self.multipliers = multipliers
        each = len(weights) // len(multipliers)
        self.weights = [list(weights[start : start + each]) for start in range(0, len(weights), each)]
        count = recurrent.CELLS[cell].states
        flat = list(states) if states is not None else None
        self.states = [
            tuple(flat[place * count : (place + 1) * count]) if flat else None
            for place in range(len(multipliers))
        ]
        self.options = options
        self.runs: list[recurrent.Run] = []

    def forward(self, inputs: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the outputs and the final states."""
        self.runs = []
        for place, (weights, drawn) in enumerate(zip(self.weights, self.multipliers, strict=True)):
            options = dict(self.options)
            if place < len(self.multipliers) - 1:  # the next cell reads a whole sequence in the order of time
                options |= {"return_sequences": True, "keep_time_order": True}
            run = recurrent.forward(
                self.cell,
                inputs * drawn.shared,
                weights[0],
                weights[1],
                weights[2] if len(weights) == 3 else None,
                self.states[place],
                input_dropout=drawn.input_dropout,
                recurrent_dropout=drawn.recurrent_dropout,
                zoneout=drawn.zoneout,
                **options,
            )
            self.runs.append(run)
            inputs = run.outputs
        return inputs, [state for run in self.runs for state in run.states]

    def backward(
        self, d_outputs: np.ndarray, d_states: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Return the gradients of the inputs, of the weights and of the initial states."""
        count = recurrent.CELLS[self.cell].states
        weights: list[np.ndarray] = []
        states: list[np.ndarray] = []
        for place in reversed(range(len(self.runs))):
            run = self.runs[place]
            found = recurrent.backward(run, d_outputs, tuple(d_states[place * count : (place + 1) * count]))
            own = [found.kernel, found.recurrent_kernel] + ([] if found.bias is None else [found.bias])
            weights, states = own + weights, [*found.states, *states]
            d_outputs = found.inputs * self.multipliers[place].shared
        return d_outputs, weights, states


def merge(mode: str, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Join the outputs of two directions."""
    if mode == "concat":
        return np.concatenate([forward, backward], axis=-1)
    return {"sum": forward + backward, "ave": (forward + backward) / 2, "mul": forward * backward}[mode]


def merge_backward(
    mode: str, forward: np.ndarray, backward: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of the two outputs."""
    if mode == "concat":
        first, second = np.split(d, 2, axis=-1)
        return first, second
    return {"sum": (d, d), "ave": (d / 2, d / 2), "mul": (d * backward, d * forward)}[mode]
