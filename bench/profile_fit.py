"""Prints what share of a training step of `fit` each part takes.

    python -m bench.profile_fit
    python -m bench.profile_fit --networks tiny --threads 1 --rounds 5

Three networks: ``tiny`` (LSTM 16 on 32 x 20 x 8, Dense 1: an overhead contest), ``mnist_rows`` (that of
timeloom.examples.mnist_rows) and ``characters`` (Embedding, LSTM 256 on 32 x 100, softmax over 65). Numbers
are random, so nothing is downloaded.

A clock runs on a stack: a function that is watched is charged for its own time, less that of the watched ones
inside it. What an operation does on the way back is charged to the part that recorded it. Kernels are the
functions of `timeloom._core`; everything beside them is Python and NumPy. Watching itself costs some tenths
of a microsecond a call: the step is also timed without it, and the parts are scaled to that.

Page faults are counted beside the parts, not among them (they happen inside of them): memory that was given
back to the system has to be mapped again. Their cost is that of a page touched for the first time in the same
run. Some sandboxes count none.
"""

import argparse
import functools
import mmap
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import timeloom
from timeloom import _core
from timeloom.autograd import GradientTape, tape
from timeloom.autograd.recording import Session
from timeloom.layers import LSTM, RNN, Dense, Dropout, Embedding, Layer
from timeloom.losses import Loss, LossFunctionWrapper
from timeloom.models import Sequential, batches, callback_list, steps, trainer
from timeloom.optimizers import Adam, Optimizer

KERNELS, PRODUCTS, UPDATE = "recurrent kernels", "products of Dense", "optimizer kernel"
LOSS, DROPOUT, EMBEDDING, DENSE = "loss", "dropout", "embedding", "Dense beside its products"
RECURRENT, LAYERS, TAPE = "recurrent layers, Python", "other layers, Python", "tape"
OPTIMIZER, METRICS = "optimizer, Python", "metrics"
CALLBACKS, BATCHES, TRAINER = "callbacks and progress", "batches", "trainer"


def tiny() -> tuple[Sequential, Any, Any]:
    """LSTM 16 on 32 x 20 x 8 and one output, MSE."""
    random = np.random.default_rng(0)
    model = Sequential([LSTM(16, input_shape=(20, 8)), Dense(1)])
    model.compile(Adam(), "mse")
    return model, random.normal(size=(6400, 20, 8)), random.normal(size=(6400, 1))


def mnist_rows() -> tuple[Sequential, Any, Any]:
    """Two LSTM 128 on the 28 rows of a picture, with dropout and accuracy."""
    random = np.random.default_rng(0)
    stack = [LSTM(128, return_sequences=True, input_shape=(28, 28)), Dropout(0.2), LSTM(128)]
    model = Sequential([*stack, Dense(64, activation="relu"), Dropout(0.2), Dense(10, activation="softmax")])
    model.compile(Adam(1e-3, decay=1e-6), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, random.random(size=(960, 28, 28)), random.integers(0, 10, 960)


def characters() -> tuple[Sequential, Any, Any]:
    """A character model: Embedding 65 to 32, LSTM 256 with all its outputs, softmax over 65."""
    random = np.random.default_rng(0)
    model = Sequential([Embedding(65, 32), LSTM(256, return_sequences=True), Dense(65, activation="softmax")])
    model.compile(Adam(), "sparse_categorical_crossentropy")
    return model, random.integers(0, 65, (256, 100)), random.integers(0, 65, (256, 100))


NETWORKS = {network.__name__: network for network in (tiny, mnist_rows, characters)}


class StackClock:
    """Charges time to the part on top of a stack."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stack = [TRAINER]
        self._since = time.perf_counter()
        self._undo: list[tuple[Any, str, Any]] = []

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def watched(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """The function, charged to a part."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._stack.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn()
                self._stack.pop()

        return timed

    def replace(self, owner: Any, name: str, function: Any) -> None:
        """Puts a function in place of another one until `stop`."""
        self._undo.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, function)

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Charges a function of a module, or a method of a class, to a part."""
        self.replace(owner, name, self.watched(getattr(owner, name), part))

    def start(self) -> None:
        """Watches everything that `fit` calls."""
        for name in dir(_core):
            if callable(getattr(_core, name)) and name[0].islower():
                part = _part_of_kernel(name)
                if part is not None:
                    self.watch(_core, name, part)
        for owner, names, part in (
            (RNN, ("call",), RECURRENT),
            (Dense, ("call",), DENSE),
            (Dropout, ("call",), DROPOUT),
            (Embedding, ("call",), EMBEDDING),
            (Layer, ("run_with_mask",), LAYERS),
            (Sequential, ("run_with_mask",), LAYERS),
            (LossFunctionWrapper, ("batch_loss",), LOSS),
            (Loss, ("batch_loss",), LOSS),
            (GradientTape, ("__init__", "__enter__", "__exit__", "gradient"), TAPE),
            (Optimizer, ("step",), OPTIMIZER),
            (steps.Steps, ("_measure", "metric_results"), METRICS),
            (callback_list.CallbackList, ("on_train_batch_begin", "on_train_batch_end"), CALLBACKS),
        ):
            for name in names:
                self.watch(owner, name, part)
        self.replace(tape, "Session", self._session())
        self.replace(trainer, "Batches", self._batches())
        self._since = time.perf_counter()

    def _session(self) -> Any:
        clock = self

        class TimedSession(Session):
            """Times the way back of what it records with the part that recorded it."""

            def append(self, output: Any, keys: Any, backward: Any) -> Any:
                return super().append(output, keys, clock.watched(backward, clock._stack[-1]))

            def append_many(self, outputs: Any, keys: Any, backward: Any) -> Any:
                return super().append_many(outputs, keys, clock.watched(backward, clock._stack[-1]))

        return TimedSession

    def _batches(self) -> Any:
        clock = self

        class Watched(batches.Batches):
            def __iter__(self) -> Iterator[Any]:
                step = clock.watched(super().__iter__().__next__, BATCHES)
                while True:
                    try:
                        batch = step()
                    except StopIteration:
                        return
                    yield batch

        return Watched

    def stop(self) -> None:
        """Puts everything back."""
        self._turn()
        for owner, name, function in reversed(self._undo):
            if function is None:
                delattr(owner, name)
            else:
                setattr(owner, name, function)


def _part_of_kernel(name: str) -> str | None:
    """None: charged to whoever calls it."""
    if name in ("rnn_forward", "rnn_backward"):
        return KERNELS
    if name == "matmul":
        return PRODUCTS
    return UPDATE if name.endswith(("_update", "squared_norms")) else None


def page_seconds(pages: int = 4096) -> float:
    """Seconds that the first write to a page of fresh memory costs."""
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        start = time.perf_counter()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        first = time.perf_counter() - start
        start = time.perf_counter()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        return max(0.0, first - (time.perf_counter() - start)) / pages


def profile(network: str, rounds: int, batch: int = 32) -> None:
    """Trains a network and prints the table."""
    model, x, y = NETWORKS[network]()
    count = len(x) // batch
    model.fit(x, y, batch_size=batch, verbose=0)
    plain, faults = [], []
    shares: list[dict[str, float]] = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        model.fit(x, y, batch_size=batch, verbose=0)
        plain.append((time.perf_counter() - start) / count)
        faults.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / count)
        clock = StackClock()
        clock.start()
        try:
            model.fit(x, y, batch_size=batch, verbose=0)
        finally:
            clock.stop()
        total = sum(clock.seconds.values())
        shares.append({part: seconds / total for part, seconds in clock.seconds.items()})
    step = float(np.median(plain))
    print(f"\n{network}: {step * 1e6:.0f} us a step, {timeloom.backend.get_num_threads()} threads")
    medians = {part: float(np.median([share.get(part, 0.0) for share in shares])) for part in shares[0]}
    for part, share in sorted(medians.items(), key=lambda item: -item[1]):
        print(f"  {part:28}{share:7.1%}{share * step * 1e6:10.1f} us")
    cost = float(np.median(faults)) * page_seconds()
    print(f"  (page faults: {np.median(faults):.0f} a step, about {cost / step:.1%})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Profiles what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile_fit", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--threads", type=int, help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    if options.threads:
        timeloom.backend.set_num_threads(options.threads)
    for network in options.networks:
        profile(network, options.rounds)


if __name__ == "__main__":
    main()
