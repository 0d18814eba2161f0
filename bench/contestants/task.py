"""One task for everybody: the numbers of a layer, and the answers that count as right.

Belongs here: what is drawn, the float64 answers of tests.reference, and the check against them.
Does not belong here: anything that is timed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from tests.reference import recurrent
from tests.reference.problems import recurrent_problem

from bench.shapes import CELLS, Shape

Results = dict[str, np.ndarray]

TRAINING = ("forward_backward", "ragged_backward", "recurrent_dropout")
WEIGHTS = ("kernel", "recurrent_kernel", "bias")
KEPT = 0.75  # of the states, with recurrent dropout


@dataclass(frozen=True, eq=False)
class Task:
    """A layer to run: a cell, sizes, a work of bench.shapes, and float32 numbers in Keras's layout.

    With lengths, the gradient of the outputs is zero where there is no timestep.
    """

    cell: str
    shape: Shape
    work: str
    inputs: np.ndarray  # [batch, timesteps, features]
    kernel: np.ndarray  # [features, gates * units]
    recurrent_kernel: np.ndarray  # [units, gates * units]
    bias: np.ndarray  # [gates * units]; gru [2, gates * units]
    states: tuple[np.ndarray, ...]  # [batch, units] each; none for zeros
    d_outputs: np.ndarray  # [batch, timesteps, units]
    lengths: np.ndarray | None  # [batch]
    masks: np.ndarray | None  # [gates, batch, units]: factors of the state

    @property
    def trains(self) -> bool:
        """Whether the work wants gradients."""
        return self.work in TRAINING

    @cached_property
    def valid(self) -> np.ndarray:
        """Bool [batch, timesteps]: which timesteps exist."""
        lengths = [self.shape.timesteps] * self.shape.batch if self.lengths is None else self.lengths
        return recurrent.mask_of_lengths(lengths, self.shape.timesteps)

    @cached_property
    def biases(self) -> tuple[np.ndarray, np.ndarray]:
        """The bias of the inputs and that of the state."""
        if self.bias.ndim == 2:
            return self.bias[0], self.bias[1]
        return self.bias, np.zeros_like(self.bias)

    @cached_property
    def flops(self) -> float:
        """Additions and multiplications of the matrix products, three times as many with gradients."""
        steps = float(self.valid.sum())
        return 2 * steps * (self.kernel.size + self.recurrent_kernel.size) * (3 if self.trains else 1)

    @cached_property
    def answers(self) -> Results:
        """What is right: tests.reference in float64 on the same numbers."""
        wide = {name: getattr(self, name).astype(np.float64) for name in ("inputs", *WEIGHTS)}
        run = recurrent.forward(
            self.cell,
            **wide,
            initial_states=tuple(state.astype(np.float64) for state in self.states) or None,
            lengths=self.lengths,
            recurrent_dropout=None if self.masks is None else self.masks.astype(np.float64),
        )
        if not self.trains:
            found = {"outputs": run.outputs}
            names = [f"state_{place}" for place in range(len(run.states))]
            return found | dict(zip(names, run.states, strict=True)) if self.work == "step" else found
        gradients = recurrent.backward(run, self.d_outputs.astype(np.float64))
        return {"outputs": run.outputs} | {
            f"d_{name}": getattr(gradients, name) for name in ("inputs", *WEIGHTS)
        }

    def check(self, name: str, results: Results) -> None:
        """Hold the results of a contestant against the answers, to some hundred roundings of the largest."""
        answers = self.answers
        assert results.keys() == answers.keys(), f"{name}: {sorted(results)} instead of {sorted(answers)}"
        for key, expected in answers.items():
            value = results[key]
            assert value.dtype == np.float32, f"{name} {key}: {value.dtype}"
            assert value.shape == expected.shape, f"{name} {key}: {value.shape} instead of {expected.shape}"
            if key in ("outputs", "d_inputs"):  # what stands where there is no timestep is up to each
                value, expected = value[self.valid], expected[self.valid]
            error, largest = np.abs(value - expected).max(), np.abs(expected).max()
            allowed = 500 * np.finfo(np.float32).eps * largest
            assert error <= allowed, f"{name} {key}: error {error:.3g}, allowed {allowed:.3g}"


@lru_cache(maxsize=4)
def task_of(cell: str, shape: Shape, work: str) -> Task:
    """Random numbers for a cell, a shape and a work; the same ones for all works but for what they add."""
    step = work == "step"
    drawn = recurrent_problem(0, cell, *shape, initial_states=step, upstream="outputs").as_type(np.float32)
    arguments: dict[str, Any] = drawn.arguments
    random = np.random.default_rng(1)
    lengths = masks = None
    d_outputs = drawn.d_outputs
    assert d_outputs is not None
    if work.startswith("ragged"):
        lengths = random.integers(1, shape.timesteps + 1, shape.batch)
        lengths[0] = shape.timesteps
        d_outputs = d_outputs * recurrent.mask_of_lengths(lengths, shape.timesteps)[..., None]
    if work == "recurrent_dropout":
        kept = random.random((recurrent.CELLS[cell].gates, shape.batch, shape.units)) < KEPT
        masks = kept.astype(np.float32) / np.float32(KEPT)
    weights = [arguments[name] for name in WEIGHTS]
    states = tuple(arguments["initial_states"]) if step else ()
    return Task(
        cell, shape, work, arguments["inputs"], *weights, states, d_outputs.astype(np.float32), lengths, masks
    )


class Contestant:
    """A layer of some library, ready to be called.

    `run` is what is timed; `results` turns what it returns into batch-first arrays with Keras's order of
    gates. The library may lay out inputs and outputs as it likes best.
    """

    name = ""
    library = ""  # the package it needs
    cells: Sequence[str] = CELLS  # none: any
    works: Sequence[str] = ()

    def __init__(self, task: Task, threads: int) -> None:
        self.task = task

    def run(self) -> Any:
        """Do the work once."""
        return self.forward_backward() if self.task.trains else self.forward()

    def forward(self) -> Any:
        """Inference."""
        raise NotImplementedError

    def forward_backward(self) -> Any:
        """Outputs and every gradient."""
        raise NotImplementedError

    def results(self, returned: Any) -> Results:
        """The results of a run."""
        raise NotImplementedError

    def check(self) -> None:
        """Run once and hold the results against the answers."""
        self.task.check(self.name, self.results(self.run()))


def columns_of(order: Sequence[int], units: int) -> np.ndarray:
    """The columns of Keras's weights that stand where another library, with that order of gates, has them."""
    return np.concatenate([np.arange(gate * units, (gate + 1) * units) for gate in order])
