"""The same recurrent layer in timeloom, in the NumPy reference and in PyTorch, on the same numbers.

Belongs here: for each contestant one class with forward() and forward_backward(), and the check that
they agree.
Does not belong here: timing.
"""

import importlib.util
from functools import cache
from typing import Any

import numpy as np
from tests.reference import recurrent
from tests.reference.problems import recurrent_problem

import timeloom
from bench.shapes import Shape
from timeloom import ops

HAS_TORCH = importlib.util.find_spec("torch") is not None
Results = dict[str, np.ndarray]

# Keras's gates z, r, h come in PyTorch's order r, z, n. PyTorch has no GRU that resets before the product.
TORCH_GATES = {"simple_rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}


class Timeloom:
    """timeloom.ops; forward_backward goes through the tape."""

    name = "timeloom"

    def __init__(self, cell: str, problem: Any) -> None:
        arguments = problem.arguments
        self.cell = cell
        self.inputs = arguments["inputs"]
        self.weights = [timeloom.Variable(arguments[name]) for name in ("kernel", "recurrent_kernel", "bias")]
        self.arrays = [arguments[name] for name in ("kernel", "recurrent_kernel", "bias")]
        self.d_outputs = problem.d_outputs

    def set_threads(self, threads: int) -> None:
        """Use so many threads from now on."""
        timeloom.backend.set_num_threads(threads)

    def forward(self) -> Results:
        """Inference."""
        outputs, _ = ops.recurrent(self.cell, self.inputs, *self.arrays, return_sequences=True)
        return {"outputs": outputs}

    def forward_backward(self) -> Results:
        """Every gradient of a random-weighted sum of the outputs."""
        with timeloom.GradientTape() as tape:
            inputs = tape.watch(self.inputs)
            outputs, _ = ops.recurrent(self.cell, inputs, *self.weights, return_sequences=True)
        gradients = tape.gradient(outputs, [inputs, *self.weights], output_gradients=self.d_outputs)
        names = ("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias")
        return {"outputs": outputs.numpy(), **dict(zip(names, gradients, strict=True))}


class Reference:
    """The NumPy loops of tests.reference."""

    name = "numpy"

    def __init__(self, cell: str, problem: Any) -> None:
        self.problem = problem

    def set_threads(self, threads: int) -> None:
        """NumPy's own threads stay as they are."""

    def forward(self) -> Results:
        """Forward; the loop keeps what backward needs in either case."""
        return {"outputs": recurrent.forward(**self.problem.arguments).outputs}

    def forward_backward(self) -> Results:
        """Every gradient of a random-weighted sum of the outputs."""
        run = recurrent.forward(**self.problem.arguments)
        found = recurrent.backward(run, self.problem.d_outputs)
        names = ("inputs", "kernel", "recurrent_kernel", "bias")
        return {"outputs": run.outputs} | {f"d_{name}": getattr(found, name) for name in names}


class Torch:
    """nn.RNN, nn.LSTM, nn.GRU."""

    name = "torch"

    def __init__(self, cell: str, problem: Any) -> None:
        import torch

        arguments = problem.arguments
        kernel, recurrent_kernel = arguments["kernel"], arguments["recurrent_kernel"]
        features, units = kernel.shape[0], recurrent_kernel.shape[0]
        kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
        self.torch = torch
        self.cell = cell
        self.layer = kind(features, units, batch_first=True, dtype=torch.from_numpy(kernel).dtype)
        order = np.concatenate([np.arange(gate * units, (gate + 1) * units) for gate in TORCH_GATES[cell]])
        self.inverse = np.argsort(order)
        bias = np.atleast_2d(arguments["bias"])
        rows = [bias[0], bias[1] if len(bias) == 2 else np.zeros_like(bias[0])]
        with torch.no_grad():
            self.layer.weight_ih_l0[...] = torch.from_numpy(kernel[:, order].T.copy())
            self.layer.weight_hh_l0[...] = torch.from_numpy(recurrent_kernel[:, order].T.copy())
            self.layer.bias_ih_l0[...] = torch.from_numpy(rows[0][order])
            self.layer.bias_hh_l0[...] = torch.from_numpy(rows[1][order])
        self.inputs = torch.from_numpy(arguments["inputs"])
        self.traced = self.inputs.clone().requires_grad_()
        self.d_outputs = torch.from_numpy(problem.d_outputs)

    def set_threads(self, threads: int) -> None:
        """Use so many threads from now on."""
        self.torch.set_num_threads(threads)

    def forward(self) -> Results:
        """Inference."""
        with self.torch.inference_mode():
            return {"outputs": self.layer(self.inputs)[0].numpy()}

    def forward_backward(self) -> Results:
        """Every gradient of a random-weighted sum of the outputs, in PyTorch's own layout but for views."""
        self.layer.zero_grad(set_to_none=True)
        self.traced.grad = None
        outputs, _ = self.layer(self.traced)
        outputs.backward(self.d_outputs)
        layer = self.layer
        return {
            "outputs": outputs.detach().numpy(),
            "d_inputs": self.traced.grad.numpy(),
            "d_kernel": layer.weight_ih_l0.grad.numpy().T,
            "d_recurrent_kernel": layer.weight_hh_l0.grad.numpy().T,
            "d_bias": layer.bias_ih_l0.grad.numpy(),
            "d_recurrent_bias": layer.bias_hh_l0.grad.numpy(),
        }

    def in_keras_order(self, results: Results) -> Results:
        """The same results with Keras's order of gates and biases."""
        converted = {name: results[name] for name in ("outputs", "d_inputs") if name in results}
        for name in ("d_kernel", "d_recurrent_kernel"):
            if name in results:
                converted[name] = results[name][:, self.inverse]
        if "d_bias" in results:
            rows = [results[name][self.inverse] for name in ("d_bias", "d_recurrent_bias")]
            converted["d_bias"] = np.stack(rows) if self.cell == "gru" else rows[0]
        return converted


@cache
def problem_of(cell: str, shape: Shape) -> Any:
    """Random float32 numbers for a cell and a shape, no initial states, a gradient for every output."""
    return recurrent_problem(0, cell, *shape, initial_states=False, upstream="outputs").as_type(np.float32)


@cache
def answers(cell: str, shape: Shape) -> Results:
    """What forward_backward has to give, by the reference."""
    return Reference(cell, problem_of(cell, shape)).forward_backward()


def contestants(cell: str) -> list[type]:
    """Who can run this cell here: timeloom, NumPy and, where installed, PyTorch."""
    return [Timeloom, Reference] + ([Torch] if HAS_TORCH and cell in TORCH_GATES else [])


def assert_agree(actual: Results, contestant: Any, expected: Results) -> None:
    """Hold answers against the reference, to a few hundred roundings of the largest element."""
    if isinstance(contestant, Torch):
        actual = contestant.in_keras_order(actual)
    assert actual.keys() <= expected.keys()
    for name, value in actual.items():
        assert value.dtype == expected[name].dtype
        error, largest = np.abs(value - expected[name]).max(), np.abs(expected[name]).max()
        allowed = 500 * np.finfo(value.dtype).eps * largest
        assert error <= allowed, f"{contestant.name} {name}: error {error:.3g}, allowed {allowed:.3g}"
