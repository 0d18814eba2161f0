"""Keras 3 on torch or on TensorFlow: KERAS_BACKEND says which; else torch if it is installed."""

import importlib.util
import os
from typing import Any

import numpy as np

from bench.contestants.task import WEIGHTS, Contestant, Results, Task
from bench.shapes import LAYER

INSTALLED = [name for name in ("torch", "tensorflow") if importlib.util.find_spec(name) is not None]
BACKEND = os.environ.get("KERAS_BACKEND", "".join(INSTALLED[:1]))


class Keras(Contestant):
    """keras.layers, called as they stand on torch, inside tf.function on TensorFlow."""

    name = f"Keras on {BACKEND}"
    library = "keras"
    works = LAYER if BACKEND in INSTALLED else ()

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        os.environ.setdefault("KERAS_BACKEND", BACKEND)
        if BACKEND == "tensorflow":
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)  # before Keras starts it
        import keras

        self.backend = keras.backend.backend()
        kind = {
            "simple_rnn": keras.layers.SimpleRNN,
            "lstm": keras.layers.LSTM,
            "gru": keras.layers.GRU,
        }[task.cell]
        self.layer = kind(task.shape.units, return_sequences=True, dtype="float32")
        self.layer.build((None, None, task.shape.features))
        self.layer.set_weights([getattr(task, name) for name in WEIGHTS])
        if self.backend == "torch":
            import torch

            torch.set_num_threads(threads)
            self.torch = torch
            self.inputs, self.d_outputs = torch.from_numpy(task.inputs), torch.from_numpy(task.d_outputs)
            self.traced = self.inputs.clone().requires_grad_()
        else:
            import tensorflow

            self.inputs, self.d_outputs = (
                tensorflow.constant(array) for array in (task.inputs, task.d_outputs)
            )
            self.tensorflow = tensorflow
            self.inference = tensorflow.function(self.layer)
            self.training = tensorflow.function(self.gradients)

    def gradients(self, inputs: Any, d_outputs: Any) -> Any:
        """What TensorFlow compiles."""
        with self.tensorflow.GradientTape() as tape:
            tape.watch(inputs)
            outputs = self.layer(inputs)
        sources = [inputs, *(weight.value for weight in self.layer.trainable_weights)]
        return outputs, tape.gradient(outputs, sources, output_gradients=d_outputs)

    def forward(self) -> Any:
        """Inference."""
        if self.backend != "torch":
            return self.inference(self.inputs), ()
        with self.torch.inference_mode():
            return self.layer(self.inputs), ()

    def forward_backward(self) -> Any:
        """Every gradient of a random-weighted sum of the outputs."""
        if self.backend != "torch":
            return self.training(self.inputs, self.d_outputs)
        weights = [weight.value for weight in self.layer.trainable_weights]
        for tensor in (self.traced, *weights):
            tensor.grad = None
        outputs = self.layer(self.traced)
        outputs.backward(self.d_outputs)
        return outputs, [tensor.grad for tensor in (self.traced, *weights)]

    def results(self, returned: Any) -> Results:
        """Already in Keras's layout."""
        outputs, gradients = returned
        arrays = [
            one.detach().numpy() if self.backend == "torch" else np.asarray(one)
            for one in (outputs, *gradients)
        ]
        names = ("outputs", "d_inputs", *(f"d_{name}" for name in WEIGHTS))
        return dict(zip(names, arrays, strict=False))
