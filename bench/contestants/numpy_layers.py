"""NumPy twice: the plain loops of tests.reference, and the best that a good user would write.

The latter is time-major, makes the product with the inputs once for all timesteps, writes into buffers that
are kept between calls, has one product a step for all gates, and makes each weight gradient one product.
"""

from typing import Any

import numpy as np
from tests.reference import recurrent

from bench.contestants.task import WEIGHTS, Contestant, Results, Task
from bench.shapes import LAYER

try:
    from threadpoolctl import threadpool_limits
except ImportError:  # NumPy's BLAS keeps its own number of threads
    threadpool_limits = None


def limit_blas(threads: int) -> None:
    """Let NumPy's BLAS use so many threads."""
    if threadpool_limits is not None:
        threadpool_limits(threads, user_api="blas")


class Reference(Contestant):
    """The loops of tests.reference in float32."""

    name = "NumPy reference"
    library = "numpy"
    cells = ()
    works = LAYER

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        limit_blas(threads)
        self.arrays = {name: getattr(task, name) for name in ("inputs", *WEIGHTS)}

    def forward(self) -> Any:
        """Forward; the loop keeps what backward needs in either case."""
        return recurrent.forward(self.task.cell, **self.arrays), None

    def forward_backward(self) -> Any:
        """Forward, then backward through time."""
        run = recurrent.forward(self.task.cell, **self.arrays)
        return run, recurrent.backward(run, self.task.d_outputs)

    def results(self, returned: Any) -> Results:
        """As they are."""
        run, gradients = returned
        found = {"outputs": run.outputs}
        if gradients is not None:
            found |= {f"d_{name}": getattr(gradients, name) for name in ("inputs", *WEIGHTS)}
        return found


def sigmoid(x: np.ndarray) -> None:
    """1 / (1 + exp(-x)) in place."""
    np.negative(x, x)
    np.exp(x, x)
    x += 1
    np.reciprocal(x, x)


class BestNumpy(Contestant):
    """Time-batched products, buffers made once."""

    name = "NumPy"
    library = "numpy"
    works = (*LAYER, "step")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        limit_blas(threads)
        batch, timesteps, features, units = task.shape
        self.inputs = np.ascontiguousarray(task.inputs.transpose(1, 0, 2)).reshape(-1, features)
        self.d_outputs = np.ascontiguousarray(task.d_outputs.transpose(1, 0, 2))
        columns = task.kernel.shape[1]
        self.gates = np.empty((timesteps, batch, columns), np.float32)
        self.recurrent = np.empty((timesteps if task.trains else 1, batch, columns), np.float32)
        self.h = np.zeros((timesteps + 1, batch, units), np.float32)
        self.c = np.zeros_like(self.h) if task.cell == "lstm" else None
        self.tanh_c = np.empty((timesteps, batch, units), np.float32)
        self.one, self.two, self.three = (np.empty((batch, units), np.float32) for _ in range(3))
        self.step = getattr(self, task.cell)
        self.step_back = getattr(self, f"{task.cell}_backward")
        if task.states:
            self.h[0] = task.states[0]
            if self.c is not None:
                self.c[0] = task.states[1]

    def forward(self) -> Any:
        """All timesteps; outputs are a copy, as buffers are used again."""
        task = self.task
        np.matmul(self.inputs, task.kernel, out=self.gates.reshape(len(self.inputs), -1))
        self.gates += task.biases[0]
        for time in range(task.shape.timesteps):
            self.step(time, self.recurrent[time if task.trains else 0])
        states = () if self.c is None else (self.c[-1].copy(),)
        return self.h[1:].copy(), (self.h[-1].copy(), *states)

    def forward_backward(self) -> Any:
        """Backward turns the gates into their gradients; then each weight gradient is one product."""
        outputs, _ = self.forward()
        task = self.task
        d_h = np.zeros_like(self.one)
        d_c = np.zeros_like(self.one)
        upward = task.recurrent_kernel.T
        for time in reversed(range(task.shape.timesteps)):
            d_h += self.d_outputs[time]
            d_state = self.step_back(time, d_h, d_c)
            np.matmul(d_state, upward, out=d_h)
            if task.cell == "gru":
                d_h += self.one
        d_gates = self.gates.reshape(len(self.inputs), -1)
        d_inputs = d_gates @ task.kernel.T
        d_kernel = self.inputs.T @ d_gates
        d_bias = d_gates.sum(axis=0)
        h = self.h[:-1].reshape(len(d_gates), -1)
        if task.cell == "gru":
            d_recurrent = self.recurrent.reshape(d_gates.shape)
            d_bias = np.stack([d_bias, d_recurrent.sum(axis=0)])
            return outputs, (d_inputs, d_kernel, h.T @ d_recurrent, d_bias)
        return outputs, (d_inputs, d_kernel, h.T @ d_gates, d_bias)

    def results(self, returned: Any) -> Results:
        """Batch first."""
        outputs, others = returned
        found = {"outputs": outputs.transpose(1, 0, 2)}
        if self.task.trains:
            d_inputs, *d_weights = others
            batch, timesteps, features, _ = self.task.shape
            found["d_inputs"] = d_inputs.reshape(timesteps, batch, features).transpose(1, 0, 2)
            return found | {f"d_{name}": d for name, d in zip(WEIGHTS, d_weights, strict=True)}
        if self.task.work == "step":
            found |= {f"state_{place}": state for place, state in enumerate(others)}
        return found

    def parts(self, time: int) -> list[np.ndarray]:
        """The gates of a timestep, each [batch, units]."""
        return np.split(self.gates[time], self.task.kernel.shape[1] // self.task.shape.units, axis=1)

    # ---- one timestep forward and backward -------------------------------------------------------------

    def simple_rnn(self, time: int, product: np.ndarray) -> None:
        """h = tanh(x W + h U + b)."""
        np.matmul(self.h[time], self.task.recurrent_kernel, out=product)
        self.gates[time] += product
        np.tanh(self.gates[time], out=self.h[time + 1])

    def simple_rnn_backward(self, time: int, d_h: np.ndarray, d_c: np.ndarray) -> np.ndarray:
        """Slope 1 - h^2."""
        gate, h = self.gates[time], self.h[time + 1]
        np.multiply(h, h, out=gate)
        np.subtract(1, gate, out=gate)
        gate *= d_h
        return gate

    def lstm(self, time: int, product: np.ndarray) -> None:
        """Gates i, f, c, o."""
        assert self.c is not None
        units = self.task.shape.units
        gates = self.gates[time]
        np.matmul(self.h[time], self.task.recurrent_kernel, out=product)
        gates += product
        sigmoid(gates[:, : 2 * units])
        sigmoid(gates[:, 3 * units :])
        i, f, g, o = self.parts(time)
        np.tanh(g, out=g)
        np.multiply(f, self.c[time], out=self.c[time + 1])
        np.multiply(i, g, out=self.one)
        self.c[time + 1] += self.one
        np.tanh(self.c[time + 1], out=self.tanh_c[time])
        np.multiply(o, self.tanh_c[time], out=self.h[time + 1])

    def lstm_backward(self, time: int, d_h: np.ndarray, d_c: np.ndarray) -> np.ndarray:
        """d_c goes on in place."""
        assert self.c is not None
        (i, f, g, o), tanh_c, one, two = self.parts(time), self.tanh_c[time], self.one, self.two
        np.multiply(tanh_c, tanh_c, out=one)
        np.subtract(1, one, out=one)
        one *= o
        one *= d_h
        d_c += one
        np.multiply(d_h, tanh_c, out=one)  # d_o
        one *= o
        np.subtract(1, o, out=o)
        o *= one
        np.multiply(d_c, i, out=one)  # d_g
        np.multiply(d_c, g, out=two)  # d_i
        np.multiply(g, g, out=g)
        np.subtract(1, g, out=g)
        g *= one
        two *= i
        np.subtract(1, i, out=i)
        i *= two
        np.multiply(d_c, self.c[time], out=one)  # d_f
        d_c *= f
        one *= f
        np.subtract(1, f, out=f)
        f *= one
        return self.gates[time]

    def gru(self, time: int, product: np.ndarray) -> None:
        """Gates z, r, h; training keeps the part of h from the state in `recurrent`."""
        units = self.task.shape.units
        gates, old, new = self.gates[time], self.h[time], self.h[time + 1]
        np.matmul(old, self.task.recurrent_kernel, out=product)
        product += self.task.biases[1]
        gates[:, : 2 * units] += product[:, : 2 * units]
        sigmoid(gates[:, : 2 * units])
        z, r, h = self.parts(time)
        np.multiply(r, product[:, 2 * units :], out=self.one)
        h += self.one
        np.tanh(h, out=h)
        np.subtract(old, h, out=new)
        new *= z
        new += h

    def gru_backward(self, time: int, d_h: np.ndarray, d_c: np.ndarray) -> np.ndarray:
        """Gradients of the sums from the state, in `recurrent`; what h takes directly, in `one`."""
        units = self.task.shape.units
        (z, r, h), one, two, three = self.parts(time), self.one, self.two, self.three
        product = self.recurrent[time]
        of_state = product[:, 2 * units :]
        np.subtract(self.h[time], h, out=two)
        two *= d_h  # d_z
        np.multiply(d_h, z, out=one)
        np.subtract(d_h, one, out=three)
        np.multiply(h, h, out=h)
        np.subtract(1, h, out=h)
        h *= three
        two *= z
        np.subtract(1, z, out=z)
        z *= two
        np.multiply(h, of_state, out=two)  # d_r
        np.multiply(h, r, out=of_state)
        two *= r
        np.subtract(1, r, out=r)
        r *= two
        product[:, : 2 * units] = self.gates[time][:, : 2 * units]
        return product
