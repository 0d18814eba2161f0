"""JAX: lax.scan under jit, time-major, gradients by vjp under the same jit.

The CPU client takes its threads when it starts, from NPROC or else the CPUs of the process (the option
xla_cpu_multi_thread_eigen of a single function changes nothing), so bench.report has one process for each
number of threads.
"""

from typing import Any

import numpy as np

from bench.contestants.task import WEIGHTS, Contestant, Results, Task
from bench.shapes import LAYER


class Jax(Contestant):
    """The product with the inputs once for all timesteps, before the scan."""

    name = "JAX"
    library = "jax"
    works = (*LAYER, "step", "ragged", "ragged_backward", "recurrent_dropout")
    outside = True

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        import jax

        self.jax = jax
        weights = (task.kernel, task.recurrent_kernel, np.stack(task.biases))
        self.weights = tuple(jax.device_put(array) for array in weights)
        self.inputs, self.d_outputs = (
            jax.device_put(np.ascontiguousarray(array.transpose(1, 0, 2)))
            for array in (task.inputs, task.d_outputs)
        )
        zeros = np.zeros((task.shape.batch, task.shape.units), np.float32)
        states = task.states or (zeros,) * (2 if task.cell == "lstm" else 1)
        self.states = tuple(jax.device_put(state) for state in states)
        self.valid = None if task.lengths is None else jax.device_put(task.valid.T[..., None].copy())
        self.masks = None if task.masks is None else jax.device_put(task.masks)
        self.function = jax.jit(self.with_gradients if task.trains else self.layer)

    def forward(self) -> Any:
        """Inference."""
        return self.jax.block_until_ready(self.function(self.inputs, self.weights, self.states))

    def forward_backward(self) -> Any:
        """Outputs and every gradient."""
        returned = self.function(self.inputs, self.weights, self.states, self.d_outputs)
        return self.jax.block_until_ready(returned)

    # ---- what is compiled ------------------------------------------------------------------------------

    def layer(self, inputs: Any, weights: Any, states: Any) -> Any:
        """Outputs [timesteps, batch, units] and final states."""
        kernel, recurrent, biases = weights
        given = inputs @ kernel + biases[0] if self.outside else inputs

        def step(states: Any, now: Any) -> Any:
            x, valid = now
            if not self.outside:
                x = x @ kernel + biases[0]
            new = self.cell(x, states, recurrent, biases[1])
            if valid is not None:
                new = tuple(self.jax.numpy.where(valid, a, b) for a, b in zip(new, states, strict=True))
            return new, new[0]

        if self.task.work == "step":
            final, output = step(states, (given[0], None))
            return output[None], final
        final, outputs = self.jax.lax.scan(step, states, (given, self.valid))
        return outputs, final

    def cell(self, x: Any, states: Any, recurrent: Any, bias: Any) -> Any:
        """New states of x W + b and the old ones."""
        jnp, sigmoid = self.jax.numpy, self.jax.nn.sigmoid
        units = self.task.shape.units
        gates = recurrent.shape[1] // units
        h = states[0]
        if self.masks is None:
            product = h @ recurrent + bias
        else:
            by_gate = recurrent.reshape(units, gates, units).transpose(1, 0, 2)
            product = jnp.concatenate(list(jnp.matmul(h * self.masks, by_gate)), axis=1) + bias
        if self.task.cell == "simple_rnn":
            return (jnp.tanh(x + product),)
        if self.task.cell == "lstm":
            i, f, g, o = jnp.split(x + product, 4, axis=1)
            c = sigmoid(f) * states[1] + sigmoid(i) * jnp.tanh(g)
            return sigmoid(o) * jnp.tanh(c), c
        z, r, g = jnp.split(x, 3, axis=1)
        of_z, of_r, of_g = jnp.split(product, 3, axis=1)
        z, r = sigmoid(z + of_z), sigmoid(r + of_r)
        return (z * h + (1 - z) * jnp.tanh(g + r * of_g),)

    def with_gradients(self, inputs: Any, weights: Any, states: Any, d_outputs: Any) -> Any:
        """Outputs, and the gradients of inputs and weights."""

        def outputs_of(inputs: Any, weights: Any) -> Any:
            return self.layer(inputs, weights, states)[0]

        outputs, back = self.jax.vjp(outputs_of, inputs, weights)
        return outputs, back(d_outputs)

    # ----------------------------------------------------------------------------------------------------

    def results(self, returned: Any) -> Results:
        """As arrays of NumPy, batch first."""
        outputs, others = self.jax.tree.map(np.asarray, returned)
        found = {"outputs": outputs.transpose(1, 0, 2)}
        if self.task.trains:
            d_inputs, (*d_weights, d_biases) = others
            found["d_inputs"] = d_inputs.transpose(1, 0, 2)
            d_bias = d_biases if self.task.cell == "gru" else d_biases[0]
            return found | {f"d_{name}": d for name, d in zip(WEIGHTS, (*d_weights, d_bias), strict=True)}
        if self.task.work == "step":
            found |= {f"state_{place}": state for place, state in enumerate(others)}
        return found


class JaxInside(Jax):
    """The product with the inputs inside the scan."""

    name = "JAX, all inside the scan"
    works = LAYER
    outside = False
