"""An epoch of training the network of timeloom.examples.mnist_rows, in every library that has it.

    python -m bench.fit --threads 2

Each library is a process of its own, as Keras has one backend a process; they train in turns, and the ones
whose turn it is not wait for a line. Each must have learnt the digits, which are drawn, before it is timed.

Belongs here: the networks, and their turns.
Does not belong here: tables; `bench.report` prints this row among the others.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.machine import ROOT
from bench.measure import HOPELESS, Measured, peak_rate
from bench.rows import Row
from bench.timing import wait_for_quiet

SAMPLES = 1600  # fifty batches of 32
TESTED = 500
LEAST_ACCURACY = 0.9
LIBRARIES = {
    "timeloom": "timeloom",
    "PyTorch": "torch",
    "Keras on torch": "torch",
    "Keras on JAX": "jax",
    "Keras on TensorFlow": "tensorflow",
}


def drawn_digits(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten pictures under noise, [samples, 28, 28] in [0, 1], and which of them it is, uint8 [samples]."""
    random = np.random.default_rng(0)
    pictures = random.random((10, 28, 28), np.float32)
    labels = random.integers(0, 10, samples).astype(np.uint8)
    noise = random.random((samples, 28, 28), np.float32)
    return (pictures[labels] + noise) / 2, labels


class Timeloom:
    """model.fit of the example's network."""

    def __init__(self, threads: int) -> None:
        import timeloom
        from timeloom.examples.mnist_rows import BATCH, TimeloomNetwork

        timeloom.backend.set_num_threads(threads)
        self.batch = BATCH
        self.network = TimeloomNetwork(0)

    def train_epoch(self, x: np.ndarray, y: np.ndarray) -> None:
        """Without the progress bar."""
        self.network.model.fit(x, y, batch_size=self.batch, epochs=1, verbose=0)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """[samples, 10]."""
        return self.network.probabilities(x)


class Keras:
    """model.fit of the same network in Keras."""

    def __init__(self, backend: str, threads: int) -> None:
        os.environ["KERAS_BACKEND"] = backend
        if backend == "tensorflow":
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        import keras
        from keras import layers

        from timeloom.examples.mnist_rows import BATCH, LEARNING_RATE

        if backend == "torch":
            import torch

            torch.set_num_threads(threads)
        self.batch = BATCH
        self.model = keras.Sequential(
            [
                keras.Input((28, 28)),
                layers.LSTM(128, return_sequences=True),
                layers.Dropout(0.2),
                layers.LSTM(128),
                layers.Dense(64, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(10, activation="softmax"),
            ]
        )
        optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self.model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def train_epoch(self, x: np.ndarray, y: np.ndarray) -> None:
        """One epoch."""
        self.model.fit(x, y, batch_size=self.batch, epochs=1, verbose=0)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """[samples, 10]."""
        return np.asarray(self.model.predict(x, batch_size=TESTED, verbose=0))


def network_of(name: str, threads: int) -> Any:
    """A network by the name of its library."""
    if name == "timeloom":
        return Timeloom(threads)
    if name == "PyTorch":
        from timeloom.examples.mnist_rows_pytorch import PyTorchNetwork

        return PyTorchNetwork(0, threads)
    return Keras({"Keras on JAX": "jax", "Keras on torch": "torch"}.get(name, "tensorflow"), threads)


def serve(name: str, threads: int) -> None:
    """Learn until the test digits are read, say so, then train an epoch for each line of input."""
    answers, sys.stdout = sys.stdout, sys.stderr
    x, y = drawn_digits(SAMPLES + TESTED)
    network = network_of(name, threads)
    for _ in range(4):
        network.train_epoch(x[:SAMPLES], y[:SAMPLES])
        accuracy = float(np.mean(network.probabilities(x[SAMPLES:]).argmax(axis=1) == y[SAMPLES:]))
        if accuracy >= LEAST_ACCURACY:
            break
    print(json.dumps(accuracy), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        network.train_epoch(x[:SAMPLES], y[:SAMPLES])
        seconds = time.perf_counter() - start
        wait_for_quiet()  # threads that still spin would take a core from whoever is next
        print(json.dumps(seconds), file=answers, flush=True)


class Served:
    """A library in its process."""

    def __init__(self, name: str, threads: int) -> None:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bench.fit",
            "--serve",
            name,
            "--threads",
            str(threads),
        ]
        settings = {"NPROC": str(threads), "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def answer(self) -> float:
        """The next number it says."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: {self.process.stderr.read()[-500:]}")
        return float(json.loads(line))

    def epoch(self) -> float:
        """Seconds of one."""
        assert self.process.stdin is not None
        print("epoch", file=self.process.stdin, flush=True)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def measure_fit(row: Row, rounds: int, until: float | None = None) -> Measured:
    """Epochs in turns, of timeloom, PyTorch and Keras's best backend."""
    started: list[Served] = []
    left_out, trials = {}, {}
    try:
        for name, package in LIBRARIES.items():
            needed = [package] + (["keras"] if name.startswith("Keras") else [])
            if any(importlib.util.find_spec(one) is None for one in needed):
                continue
            one = Served(name, row.threads)
            started.append(one)
            try:
                accuracy = one.answer()
                assert accuracy >= LEAST_ACCURACY, f"{name}: accuracy {accuracy} on drawn digits"
                trials[name] = min(one.epoch(), one.epoch()) if name == "timeloom" else one.epoch()
            except (RuntimeError, AssertionError) as error:
                if name == "timeloom":
                    raise
                left_out[name] = str(error)
        keras = [name for name in trials if name.startswith("Keras")]
        fastest = min(keras, key=lambda name: trials[name], default=None)
        best = min((seconds for name, seconds in trials.items() if name != "timeloom"), default=0)
        runners = [
            one
            for one in started
            if one.name in ("timeloom", fastest) or trials.get(one.name, np.inf) <= HOPELESS * best
        ]
        seconds: dict[str, list[float]] = {one.name: [] for one in runners}
        peaks = []
        for place in range(rounds):
            if until is not None and place >= 3 and time.perf_counter() > until:
                break
            peaks.append(peak_rate(row.threads))
            wait_for_quiet()
            for one in runners if place % 2 else runners[::-1]:
                seconds[one.name].append(one.epoch())
    finally:
        for one in started:
            one.close()
    # Two layers of 128 units, 28 and 128 features, forward and backward; the rest is a hundredth.
    flops = 3.0 * 2 * SAMPLES * 28 * 512 * ((28 + 128) + (128 + 128))
    libraries = {name: LIBRARIES[name] for name in trials}
    return Measured(seconds | {"peak": peaks}, trials, left_out, libraries, flops)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or be one of those who are measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", choices=list(LIBRARIES), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve(options.serve, options.threads)
        return
    from bench.shapes import MNIST_ROWS

    measured = measure_fit(Row("lstm", "fit", MNIST_ROWS, options.threads), options.rounds)
    ours = np.array(measured.seconds["timeloom"])
    print(
        f"{SAMPLES} digits, {options.threads} threads: seconds an epoch, and the time of each over timeloom's"
    )
    for name, seconds in measured.seconds.items():
        if name != "peak":
            low, middle, high = np.percentile(np.array(seconds) / ours, [25, 50, 75])
            print(f"{name:20} {np.median(seconds):8.3f} s  {middle:6.2f} ({low:.2f} to {high:.2f})")
    for name, seconds in measured.trials.items():
        if name not in measured.seconds:
            print(f"{name:20} {seconds:8.3f} s in a trial")
    for name, reason in measured.left_out.items():
        print(f"without {name}: {reason}")


if __name__ == "__main__":
    main()
