"""timeloom: `ops.recurrent`, with gradients through the tape."""

from functools import partial
from typing import Any

import numpy as np

import timeloom
from bench.contestants.task import WEIGHTS, Contestant, Results, Task
from bench.shapes import LAYER
from timeloom import ops


class Timeloom(Contestant):
    """timeloom.ops, the allocation of results included; batches of unequal lengths are packed.

    Weights are Variables, as those of the layers: plain arrays would be packed for the kernels at every call.
    """

    name = "timeloom"
    library = "timeloom"
    cells = ()
    works = (*LAYER, "step", "ragged", "ragged_backward", "recurrent_dropout")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        timeloom.backend.set_num_threads(threads)
        self.weights = [timeloom.Variable(getattr(task, name)) for name in WEIGHTS]
        self.options: dict[str, Any] = {"return_sequences": True}
        self.inputs, self.d_outputs = task.inputs, task.d_outputs
        self.call = getattr(ops, task.cell, None) or partial(ops.recurrent, task.cell)
        self.states = list(task.states) or None
        if task.lengths is not None:
            self.inputs, self.d_outputs = task.inputs[task.valid], task.d_outputs[task.valid]
            self.options["lengths"] = task.lengths
        if task.masks is not None:
            self.options["recurrent_dropout"] = task.masks

    def forward(self) -> Any:
        """Inference."""
        return self.call(self.inputs, *self.weights, self.states, **self.options)

    def forward_backward(self) -> Any:
        """Every gradient of a random-weighted sum of the outputs."""
        with timeloom.GradientTape() as tape:
            inputs = tape.watch(self.inputs)
            outputs, _ = self.call(inputs, *self.weights, **self.options)
        gradients = tape.gradient(outputs, [inputs, *self.weights], output_gradients=self.d_outputs)
        return outputs, gradients

    def results(self, returned: Any) -> Results:
        """Packed rows go back to their places."""
        outputs, others = returned
        found = {"outputs": self.spread(outputs.numpy() if self.task.trains else outputs)}
        if self.task.trains:
            d_inputs, *d_weights = others
            names = [f"d_{name}" for name in WEIGHTS]
            return found | {"d_inputs": self.spread(d_inputs)} | dict(zip(names, d_weights, strict=True))
        if self.task.work == "step":
            found |= {f"state_{place}": state for place, state in enumerate(others)}
        return found

    def spread(self, rows: Any) -> Any:
        """[batch, timesteps, ...] of packed rows, zero where there is no timestep."""
        if self.task.lengths is None:
            return rows
        spread = np.zeros(self.task.valid.shape + rows.shape[1:], rows.dtype)
        spread[self.task.valid] = rows
        return spread
