"""PyTorch: nn.RNN, nn.LSTM, nn.GRU, time-major, as it likes best."""

import warnings
from typing import Any

import numpy as np

from bench.contestants.task import Contestant, Results, Task, columns_of
from bench.shapes import LAYER

# Keras's gates z, r, h come in PyTorch's order r, z, n. PyTorch has no GRU that resets before the product.
ORDER = {"simple_rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}


class Torch(Contestant):
    """Eager, with oneDNN where PyTorch takes it (LSTM); unequal lengths are a PackedSequence made before."""

    name = "PyTorch"
    library = "torch"
    works = (*LAYER, "step", "ragged", "ragged_backward")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        _, _, features, units = task.shape
        kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[task.cell]
        self.layer = kind(features, units)
        self.order = columns_of(ORDER[task.cell], units)
        with torch.no_grad():
            given = (task.kernel, task.recurrent_kernel, *task.biases)
            for parameter, array in zip(self.layer.parameters(), given, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array[..., self.order].T)))
        self.inputs: Any = self.time_major(task.inputs)
        self.d_outputs: Any = self.time_major(task.d_outputs)
        states = tuple(torch.from_numpy(state)[None] for state in task.states)
        self.states = None if not states else states if len(states) > 1 else states[0]
        self.traced: Any = self.inputs.clone().requires_grad_()
        if task.lengths is not None:
            self.inputs = self.packed(self.inputs)
            self.d_outputs = self.packed(self.d_outputs).data
            self.traced = self.inputs._replace(data=self.inputs.data.clone().requires_grad_())

    def time_major(self, array: np.ndarray) -> Any:
        """A tensor [timesteps, batch, ...]."""
        return self.torch.from_numpy(np.ascontiguousarray(array.transpose(1, 0, 2)))

    def packed(self, tensor: Any) -> Any:
        """Without padding."""
        lengths = self.torch.from_numpy(self.task.lengths)
        return self.torch.nn.utils.rnn.pack_padded_sequence(tensor, lengths, enforce_sorted=False)

    def forward(self) -> Any:
        """Inference."""
        with self.torch.inference_mode():
            return self.layer(self.inputs, self.states)

    def forward_backward(self) -> Any:
        """Every gradient of a random-weighted sum of the outputs."""
        self.layer.zero_grad(set_to_none=True)
        inputs = self.traced if self.task.lengths is None else self.traced.data
        inputs.grad = None
        outputs, _ = self.layer(self.traced)
        (outputs if self.task.lengths is None else outputs.data).backward(self.d_outputs)
        return outputs, inputs.grad

    def padded(self, found: Any) -> np.ndarray:
        """[batch, timesteps, ...] of a tensor of packed or padded rows."""
        if self.task.lengths is not None:
            found = self.torch.nn.utils.rnn.pad_packed_sequence(found)[0]
        return found.detach().numpy().transpose(1, 0, 2)

    def results(self, returned: Any) -> Results:
        """In Keras's layout."""
        outputs, others = returned
        found = {"outputs": self.padded(outputs)}
        if self.task.trains:
            if self.task.lengths is not None:
                others = self.traced._replace(data=others)
            found["d_inputs"] = self.padded(others)
            back = np.argsort(self.order)
            kernel, recurrent, *biases = (
                parameter.grad.numpy().T[..., back] for parameter in self.layer.parameters()
            )
            bias = np.stack(biases) if self.task.cell == "gru" else biases[0]
            return found | {"d_kernel": kernel, "d_recurrent_kernel": recurrent, "d_bias": bias}
        if self.task.work == "step":
            states = others if isinstance(others, tuple) else (others,)
            found |= {f"state_{place}": state.numpy()[0] for place, state in enumerate(states)}
        return found


class TorchNative(Torch):
    """Eager without oneDNN."""

    name = "PyTorch without oneDNN"
    works = LAYER

    def run(self) -> Any:
        """The work with oneDNN off; the switch warns of graphics cards."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self.torch.backends.mkldnn.flags(enabled=False):
                return super().run()


class TorchFrozen(Torch):
    """A trace with its weights frozen, inference only."""

    name = "PyTorch, frozen trace"
    works = ("forward", "step")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        given = (self.inputs,) if self.states is None else (self.inputs, self.states)
        with warnings.catch_warnings(), self.torch.no_grad():
            warnings.simplefilter("ignore")  # that traces are out of fashion
            traced = self.torch.jit.trace(self.layer.eval(), given, check_trace=False)
            self.frozen = self.torch.jit.freeze(traced)
            for _ in range(3):  # it looks at the first calls to specialize
                self.frozen(*given)
        self.given = given

    def forward(self) -> Any:
        """Inference."""
        with self.torch.inference_mode():
            return self.frozen(*self.given)


class TorchCompiled(Torch):
    """torch.compile with its weights frozen, inference of an LSTM; compiling takes some twenty seconds."""

    name = "PyTorch, compiled"
    cells = ("lstm",)
    works = ("forward",)

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        import torch._dynamo
        import torch._inductor.config

        torch._inductor.config.freezing = True
        torch._dynamo.config.allow_rnn = True
        torch._dynamo.reset()
        self.compiled = torch.compile(self.layer.eval())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.forward()

    def forward(self) -> Any:
        """Inference; compiled code takes no_grad, not inference_mode, for frozen."""
        with self.torch.no_grad():
            return self.compiled(self.inputs)


class TorchLoop(Torch):
    """A loop over time written by hand: nn layers have no recurrent dropout."""

    name = "PyTorch, loop"
    works = ("recurrent_dropout",)

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        torch = self.torch
        given = (task.kernel, task.recurrent_kernel, task.bias)
        self.weights = [torch.from_numpy(array).clone().requires_grad_() for array in given]
        self.masks = torch.from_numpy(task.masks)

    def forward_backward(self) -> Any:
        """One batched product a step for all gates."""
        torch, units = self.torch, self.task.shape.units
        for tensor in (self.traced, *self.weights):
            tensor.grad = None
        kernel, recurrent, bias = self.weights
        gates = len(self.masks)
        biases = bias if bias.ndim == 2 else torch.stack([bias, torch.zeros_like(bias)])
        projected = (self.traced @ kernel + biases[0]).unflatten(-1, (gates, units))
        by_gate = recurrent.unflatten(-1, (gates, units)).transpose(0, 1).contiguous()
        of_bias = biases[1].unflatten(-1, (gates, 1, units))
        h = torch.zeros(self.traced.shape[1], units)
        c, outputs = h, []
        for x in projected.unbind(0):
            state = torch.baddbmm(of_bias, h * self.masks, by_gate)
            if self.task.cell == "simple_rnn":
                h = torch.tanh(x[:, 0] + state[0])
            elif self.task.cell == "lstm":
                total = x.transpose(0, 1) + state
                i, f, o = torch.sigmoid(total[0]), torch.sigmoid(total[1]), torch.sigmoid(total[3])
                c = f * c + i * torch.tanh(total[2])
                h = o * torch.tanh(c)
            else:
                z, r = torch.sigmoid(x[:, 0] + state[0]), torch.sigmoid(x[:, 1] + state[1])
                candidate = torch.tanh(x[:, 2] + r * state[2])
                h = z * h + (1 - z) * candidate
            outputs.append(h)
        stacked = torch.stack(outputs)
        stacked.backward(self.d_outputs)
        return stacked, self.traced.grad

    def results(self, returned: Any) -> Results:
        """Already in Keras's order of gates."""
        outputs, d_inputs = (self.padded(one) for one in returned)
        names = ("d_kernel", "d_recurrent_kernel", "d_bias")
        gradients = [weight.grad.numpy() for weight in self.weights]
        return {"outputs": outputs, "d_inputs": d_inputs} | dict(zip(names, gradients, strict=True))
