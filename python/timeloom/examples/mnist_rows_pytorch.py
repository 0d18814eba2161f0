"""The network of mnist_rows in PyTorch, with Keras's initializers and Keras's Adam, to compare with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from timeloom.examples.mnist_rows import BATCH, DECAY, LEARNING_RATE, Images, Labels

_EPSILON = 1e-7


def _initialize(layer: Any) -> None:
    """Keras's start: glorot uniform kernels, orthogonal recurrent kernels, forget bias 1, the rest 0."""
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            torch.nn.init.zeros_(parameter)
        elif name.startswith("weight_hh"):
            torch.nn.init.orthogonal_(parameter)
        else:
            torch.nn.init.xavier_uniform_(parameter)
    if isinstance(layer, torch.nn.LSTM):
        with torch.no_grad():
            layer.bias_ih_l0[layer.hidden_size : 2 * layer.hidden_size] = 1
        # PyTorch adds a second bias, which Keras does not have: it stays zero.
        layer.bias_hh_l0.requires_grad_(False)


class _Rows(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.LSTM(28, 128, batch_first=True)
        self.second = torch.nn.LSTM(128, 128, batch_first=True)
        self.hidden = torch.nn.Linear(128, 64)
        self.output = torch.nn.Linear(64, 10)
        self.dropout = torch.nn.Dropout(0.2)
        for layer in self.children():
            _initialize(layer)

    def forward(self, x: Any) -> Any:
        """Returns the logits, [samples, 10]."""
        sequences = self.dropout(self.first(x)[0])
        last = self.second(sequences)[0][:, -1]
        return self.output(self.dropout(torch.relu(self.hidden(last))))


class PyTorchNetwork:
    """The network in PyTorch.

    Args:
        seed: of PyTorch's generator.
        threads: number of threads PyTorch may use.
    """

    library = "PyTorch"

    def __init__(self, seed: int, threads: int) -> None:
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        self.module = _Rows()
        parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
        self.steps = 0

    def train_epoch(self, x: Images, y: Labels) -> None:
        """Trains one epoch."""
        images, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        self.module.train()
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(self.module(images[batch]), labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self._step()

    def _step(self) -> None:
        # Keras decays the rate with the steps taken, and does not correct epsilon for the bias of the moment.
        group = self.optimizer.param_groups[0]
        group["lr"] = LEARNING_RATE / (1 + DECAY * self.steps)
        self.steps += 1
        group["eps"] = _EPSILON / math.sqrt(1 - 0.999**self.steps)
        self.optimizer.step()

    def probabilities(self, x: Images) -> npt.NDArray[np.floating]:
        """Returns the probability of each digit."""
        self.module.eval()
        with torch.no_grad():
            parts = [torch.softmax(self.module(part), dim=1) for part in torch.from_numpy(x).split(1000)]
        result: npt.NDArray[np.floating] = torch.cat(parts).numpy()
        return result
