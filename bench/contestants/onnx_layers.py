"""ONNX Runtime, and OpenVINO from the same model: inference with the operators RNN, GRU and LSTM of ONNX."""

import warnings
from functools import cached_property
from typing import Any

import numpy as np

from bench.contestants.task import Contestant, Results, Task, columns_of

# ONNX has LSTM's gates as i, o, f, c, and GRU's as z, r, h.
ORDER = {"simple_rnn": [0], "lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}
OPERATOR = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


class Onnx(Contestant):
    """What both engines share: a model of one operator whose weights are constants."""

    works = ("forward", "step", "ragged")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        self.feeds = {"inputs": np.ascontiguousarray(task.inputs.transpose(1, 0, 2))}
        if task.lengths is not None:
            self.feeds["lengths"] = task.lengths.astype(np.int32)
        if task.states:
            self.feeds |= {name: state[None] for name, state in zip("hc", task.states, strict=False)}

    @cached_property
    def model(self) -> bytes:
        """The model, serialized."""
        from onnx import TensorProto, checker, helper, numpy_helper

        task = self.task
        order = columns_of(ORDER[task.cell], task.shape.units)
        biases = np.concatenate([bias[order] for bias in task.biases])
        weights = {
            "W": task.kernel[:, order].T,
            "R": task.recurrent_kernel[:, order].T,
            "B": biases,
        }
        constants = [
            numpy_helper.from_array(np.ascontiguousarray(array)[None], name)
            for name, array in weights.items()
        ]
        types = {"lengths": TensorProto.INT32}
        inputs = [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), array.shape)
            for name, array in self.feeds.items()
        ]
        batch, timesteps, _, units = task.shape
        outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (timesteps, 1, batch, units))]
        names = ["Y"]
        if task.work == "step":
            names += ["Y_h", "Y_c"][: len(task.states)]
            outputs += [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, batch, units))
                for name in names[1:]
            ]
        given = ["inputs", "W", "R", "B", "lengths", "h", "c"]
        given = [name if name in self.feeds or name in weights else "" for name in given]
        while given[-1] == "":
            given.pop()
        options = {"linear_before_reset": 1} if task.cell == "gru" else {}
        node = helper.make_node(OPERATOR[task.cell], given, names, hidden_size=units, **options)
        graph = helper.make_graph([node], "layer", inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        return model.SerializeToString()

    def results(self, returned: Any) -> Results:
        """Batch first."""
        outputs, *states = (np.asarray(one) for one in returned)
        found = {"outputs": outputs[:, 0].transpose(1, 0, 2)}
        return found | {f"state_{place}": state[0] for place, state in enumerate(states)}


class OnnxRuntime(Onnx):
    """A session on the CPU provider, every optimization on."""

    name = "ONNX Runtime"
    library = "onnxruntime"

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    def forward(self) -> Any:
        """Inference."""
        return self.session.run(None, self.feeds)


class OpenVino(Onnx):
    """The model compiled for latency in float32."""

    name = "OpenVINO"
    library = "openvino"
    works = ("forward", "step")

    def __init__(self, task: Task, threads: int) -> None:
        super().__init__(task, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for the machine in a fork, of which JAX warns
            import openvino

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        core = openvino.Core()
        self.compiled = core.compile_model(core.read_model(self.model), "CPU", settings)
        self.request = self.compiled.create_infer_request()

    def forward(self) -> Any:
        """Inference; inputs and outputs are shared, not copied."""
        found = self.request.infer(self.feeds, share_inputs=True, share_outputs=True)
        return [found[place] for place in range(len(self.compiled.outputs))]
