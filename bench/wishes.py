"""Ordinary wishes beside the plain layer: unequal lengths, recurrent dropout, relu, both directions.

Belongs here: for each wish and each contestant a pair of runs, plain and with the wish, and the check of
their answers; what the wish costs is the ratio of their times.
Does not belong here: timing.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from tests.properties.watched import watched_calls
from tests.reference import recurrent
from tests.reference.problems import recurrent_problem

import timeloom
from bench.contestants import HAS_TORCH, Results
from bench.shapes import Shape
from timeloom import layers
from timeloom.packed import Packed

SHAPE = Shape(64, 100, 128, 128)
HAS_KERAS = HAS_TORCH and importlib.util.find_spec("keras") is not None
RATE = 0.25  # of recurrent dropout
WEIGHTS = ("kernel", "recurrent_kernel", "bias")

# The most that a wish may cost: its time over that of the plain layer. Packed and masked batches are compared
# with a dense one of as many real timesteps.
TARGETS = {"packed": 1.15, "mask": 1.15, "recurrent_dropout": 1.15, "relu": 1.05, "bidirectional": 1.1}


class Problem(NamedTuple):
    """Arguments of the reference, and the gradient of the loss with respect to the outputs."""

    arguments: dict[str, Any]
    d_outputs: np.ndarray

    def replaced(self, **arguments: Any) -> "Problem":
        """The same problem with other arguments."""
        return self._replace(arguments={**self.arguments, **arguments})

    @property
    def inputs(self) -> np.ndarray:
        """[batch, timesteps, features] or packed."""
        return self.arguments["inputs"]

    @property
    def weights(self) -> list[np.ndarray]:
        """Kernel, recurrent kernel and bias."""
        return [self.arguments[name] for name in WEIGHTS]

    def answers(self) -> Results:
        """Outputs and the gradient of the inputs, by the reference."""
        run = recurrent.forward(**self.arguments)
        return {"outputs": run.outputs, "d_inputs": recurrent.backward(run, self.d_outputs).inputs}


@cache
def dense_problem(shape: Shape, cell: str = "lstm", seed: int = 0) -> Problem:
    """A float32 problem without any wish; halved weights let no state explode, with relu either."""
    drawn = recurrent_problem(seed, cell, *shape, initial_states=False, upstream="outputs").as_type(
        np.float32
    )
    assert drawn.d_outputs is not None
    halved = {name: drawn.arguments[name] / 2 for name in WEIGHTS}
    return Problem({**drawn.arguments, **halved}, drawn.d_outputs)


@cache
def ragged_lengths(shape: Shape) -> np.ndarray:
    """Lengths uniform in [1, timesteps]; their sum is one that a dense batch has too."""
    lengths = np.random.default_rng(1).integers(1, shape.timesteps + 1, shape.batch)
    while lengths.sum() % shape.batch:
        lengths[lengths.argmin()] += 1
    return lengths


def dense_of_ragged(shape: Shape) -> Problem:
    """A dense batch of as many timesteps as the ragged one has."""
    return dense_problem(shape._replace(timesteps=int(ragged_lengths(shape).sum()) // shape.batch))


def padded_problem(shape: Shape) -> Problem:
    """The ragged batch with padding and a mask."""
    mask = recurrent.mask_of_lengths(ragged_lengths(shape), shape.timesteps)
    return dense_problem(shape).replaced(mask=mask)


def packed_problem(shape: Shape) -> Problem:
    """The ragged batch without padding."""
    dense, lengths = dense_problem(shape), ragged_lengths(shape)
    mask = recurrent.mask_of_lengths(lengths, shape.timesteps)
    return dense.replaced(inputs=dense.inputs[mask], lengths=lengths)._replace(
        d_outputs=dense.d_outputs[mask]
    )


def both_answers(problem: Problem) -> Results:
    """Outputs of one layer forward and one backward side by side, in the order of time."""
    ways = [problem, problem.replaced(go_backwards=True, keep_time_order=True)]
    found = [way.answers() for way in ways]
    return {
        "outputs": np.concatenate([one["outputs"] for one in found], axis=-1),
        "d_inputs": found[0]["d_inputs"] + found[1]["d_inputs"],
    }


class Run(NamedTuple):
    """Something to time, and what it has to give."""

    forward: Callable[[], Any]
    forward_backward: Callable[[], Any]
    results: Callable[[], Results]  # after the last forward_backward
    answers: Callable[[], Results]

    def check(self) -> None:
        """Hold the answers against the reference, to some hundred roundings of the largest element."""
        self.forward_backward()
        actual, expected = self.results(), self.answers()
        for name, value in actual.items():
            assert value.shape == expected[name].shape, name
            error, largest = np.abs(value - expected[name]).max(), np.abs(expected[name]).max()
            allowed = 500 * np.finfo(value.dtype).eps * largest
            assert error <= allowed, f"{name}: error {error:.3g}, allowed {allowed:.3g}"


class Pair(NamedTuple):
    """A layer without and with a wish."""

    plain: Run
    wish: Run


# ---- timeloom ------------------------------------------------------------------------------------------


def timeloom_run(
    problem: Problem, built: Sequence[Any], answers: Callable[[], Results] | None = None, **call: Any
) -> Run:
    """Layers of timeloom, one after the other on the same inputs, each with the weights of the problem.

    Two layers run in both directions, and their outputs stand side by side in results.
    """
    features = problem.inputs.shape[-1]
    for layer in built:
        layer.build((None, None, features))
        layer.set_weights(problem.weights * (len(layer.get_weights()) // len(WEIGHTS)))
    sources = [weight for layer in built for weight in layer.trainable_weights]
    lengths, mask = problem.arguments.get("lengths"), problem.arguments.get("mask")
    call = call if mask is None else {**call, "mask": mask}
    upstream = [problem.d_outputs]
    if len(built) == 2:  # the outputs of the second one start with the last timestep
        upstream.append(np.ascontiguousarray(problem.d_outputs[:, ::-1]))
    elif isinstance(built[0], layers.Bidirectional):
        upstream = [np.concatenate([problem.d_outputs, problem.d_outputs], axis=-1)]
    last: Results = {}

    def outputs_of(inputs: Any) -> list[Any]:
        given = inputs if lengths is None else Packed(inputs, lengths)
        found = [layer(given, **call) for layer in built]
        return [one.values if isinstance(one, Packed) else one for one in found]

    def forward() -> list[Any]:
        return outputs_of(problem.inputs)

    def forward_backward() -> None:
        with timeloom.GradientTape() as tape:
            inputs = tape.watch(problem.inputs)
            outputs = outputs_of(inputs)
        d_inputs, *_ = tape.gradient(outputs, [inputs, *sources], output_gradients=upstream)
        last["outputs"], last["d_inputs"] = outputs, d_inputs

    def results() -> Results:
        first, *second = (one.numpy() for one in last["outputs"])
        outputs = np.concatenate([first, *(one[:, ::-1] for one in second)], axis=-1)
        return {"outputs": outputs, "d_inputs": last["d_inputs"]}

    return Run(forward, forward_backward, results, answers or problem.answers)


def timeloom_pair(wish: str, shape: Shape) -> Pair:
    """The pair of timeloom's layers."""

    def lstm(**options: Any) -> Any:
        return layers.LSTM(shape.units, return_sequences=True, **options)

    dense = dense_problem(shape)
    if wish in ("packed", "mask"):
        problem = packed_problem(shape) if wish == "packed" else padded_problem(shape)
        return Pair(timeloom_run(dense_of_ragged(shape), [lstm()]), timeloom_run(problem, [lstm()]))
    plain = timeloom_run(dense, [lstm()])
    if wish == "recurrent_dropout":
        layer = lstm(recurrent_dropout=RATE, seed=1)
        run = timeloom_run(dense, [layer], training=True)
        with watched_calls() as calls:
            run.forward_backward()
        drawn = calls[-1][1]["recurrent_dropout"]
        expected, results = dense.replaced(recurrent_dropout=drawn).answers(), run.results()
        return Pair(plain, run._replace(results=lambda: results, answers=lambda: expected))
    if wish == "relu":
        return Pair(plain, timeloom_run(dense.replaced(activation="relu"), [lstm(activation="relu")]))
    answers = lambda: both_answers(dense)  # noqa: E731
    return Pair(
        timeloom_run(dense, [lstm(), lstm(go_backwards=True)], answers),
        timeloom_run(dense, [layers.Bidirectional(lstm())], answers),
    )


# ---- PyTorch -------------------------------------------------------------------------------------------


def torch_run(
    problem: Problem, kind: str, answers: Callable[[], Results], directions: int = 1, **options: Any
) -> Run:
    """A layer of PyTorch, or two of them of which the second reads time backwards."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    features, units = (problem.arguments[name].shape[0] for name in ("kernel", "recurrent_kernel"))
    count = 1 if options.get("bidirectional") else directions
    built = [getattr(torch.nn, kind)(features, units, batch_first=True, **options) for _ in range(count)]
    kernel, recurrent_kernel, bias = (torch.from_numpy(array) for array in problem.weights)
    with torch.no_grad():
        for layer in built:
            for name, parameter in layer.named_parameters():
                value = {
                    "weight_ih": kernel.T,
                    "weight_hh": recurrent_kernel.T,
                    "bias_ih": bias,
                    "bias_hh": None,
                }
                given = value[name.split("_l0")[0]]
                parameter.zero_() if given is None else parameter.copy_(given)
    inputs = torch.from_numpy(problem.inputs)
    traced = inputs.clone().requires_grad_()
    mask = problem.arguments.get("mask")
    lengths = None if mask is None else torch.from_numpy(mask.sum(axis=1))
    d_outputs = torch.from_numpy(
        problem.d_outputs * (1 if mask is None else mask[..., None].astype(np.float32))
    )
    upstream = [d_outputs, d_outputs.flip(1)][:count]
    if options.get("bidirectional"):
        upstream = [torch.cat([d_outputs, d_outputs], dim=-1)]
    if lengths is not None:
        upstream = [pack_padded_sequence(d_outputs, lengths, batch_first=True, enforce_sorted=False).data]
    last: dict[str, Any] = {}

    def outputs_of(given: Any) -> list[Any]:
        if lengths is not None:
            packed = pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
            return [built[0](packed)[0]]
        return [layer(given.flip(1) if place else given)[0] for place, layer in enumerate(built)]

    def forward() -> list[Any]:
        with torch.inference_mode():
            return outputs_of(inputs)

    def forward_backward() -> None:
        for layer in built:
            layer.zero_grad(set_to_none=True)
        traced.grad = None
        outputs = outputs_of(traced)
        torch.autograd.backward([one if mask is None else one.data for one in outputs], upstream)
        last["outputs"] = outputs

    def results() -> Results:
        outputs = last["outputs"]
        if lengths is not None:
            padded, _ = pad_packed_sequence(
                outputs[0], batch_first=True, total_length=problem.inputs.shape[1]
            )
            return {"outputs": padded.detach().numpy(), "d_inputs": traced.grad.numpy()}
        turned = [one.flip(1) if place else one for place, one in enumerate(outputs)]
        return {"outputs": torch.cat(turned, dim=-1).detach().numpy(), "d_inputs": traced.grad.numpy()}

    return Run(forward, forward_backward, results, answers)


def torch_pair(wish: str, shape: Shape) -> Pair | None:
    """The pair of PyTorch's layers; None for a wish that it has not."""
    if wish == "packed":
        dense, padded = dense_of_ragged(shape), padded_problem(shape).replaced(zero_output_for_mask=True)
        return Pair(torch_run(dense, "LSTM", dense.answers), torch_run(padded, "LSTM", padded.answers))
    if wish == "relu":
        plain = dense_problem(shape, "simple_rnn")
        relu = plain.replaced(activation="relu")
        return Pair(
            torch_run(plain, "RNN", plain.answers), torch_run(relu, "RNN", relu.answers, nonlinearity="relu")
        )
    if wish == "bidirectional":
        dense = dense_problem(shape)
        answers = lambda: both_answers(dense)  # noqa: E731
        return Pair(
            torch_run(dense, "LSTM", answers, directions=2),
            torch_run(dense, "LSTM", answers, directions=2, bidirectional=True),
        )
    return None


# ---- Keras ---------------------------------------------------------------------------------------------


def keras_run(problem: Problem, layer: Any, answers: Callable[[], Results] | None = None, **call: Any) -> Run:
    """A layer of Keras on torch."""
    import torch

    layer.build((None, None, problem.inputs.shape[-1]))
    layer.set_weights(problem.weights)
    inputs, d_outputs = torch.from_numpy(problem.inputs), torch.from_numpy(problem.d_outputs)
    traced = inputs.clone().requires_grad_()
    mask = problem.arguments.get("mask")
    call = call if mask is None else {**call, "mask": torch.from_numpy(mask)}
    last: dict[str, Any] = {}

    def forward() -> Any:
        with torch.inference_mode():
            return layer(inputs, **call)

    def forward_backward() -> None:
        traced.grad = None
        for weight in layer.trainable_weights:
            weight.value.grad = None
        last["outputs"] = layer(traced, **call)
        last["outputs"].backward(d_outputs)

    def results() -> Results:
        return {"outputs": last["outputs"].detach().numpy(), "d_inputs": traced.grad.numpy()}

    return Run(forward, forward_backward, results, answers or problem.answers)


def keras_pair(wish: str, shape: Shape) -> Pair | None:
    """The pair of Keras's layers on torch, where PyTorch itself has no such wish; None for the others."""
    if wish not in ("mask", "recurrent_dropout"):
        return None
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    def lstm(**options: Any) -> Any:
        return keras.layers.LSTM(shape.units, return_sequences=True, **options)

    if wish == "mask":
        return Pair(keras_run(dense_of_ragged(shape), lstm()), keras_run(padded_problem(shape), lstm()))
    dense = dense_problem(shape)
    run = keras_run(dense, lstm(recurrent_dropout=RATE), training=True)
    # It draws other units at every call: nothing to hold its results against.
    return Pair(keras_run(dense, lstm()), run._replace(results=dict))


@cache
def checked_pairs(wish: str, shape: Shape, peers: bool = True) -> dict[str, Pair]:
    """The pair of each contestant that is installed and has the wish, by name; their answers are right."""
    found: dict[str, Pair | None] = {"timeloom": timeloom_pair(wish, shape)}
    if peers and HAS_TORCH:
        found["torch"] = torch_pair(wish, shape)
    if peers and HAS_KERAS:
        found["keras on torch"] = keras_pair(wish, shape)
    pairs = {name: pair for name, pair in found.items() if pair is not None}
    for pair in pairs.values():
        for run in pair:
            run.check()
    return pairs


def set_threads(threads: int) -> None:
    """Everybody uses so many threads from now on."""
    timeloom.backend.set_num_threads(threads)
    if HAS_TORCH:
        import torch

        torch.set_num_threads(threads)
