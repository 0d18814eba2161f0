"""Maps where one way of dividing a recurrent call becomes better than another.

    python -m bench.map_threads                       # all three maps, LSTM
    python -m bench.map_threads --maps threads --cell gru --work backward
    python -m bench.map_threads --maps paths --units 256 512 1024 --batches 1 4 16 64

All paths give the same bits, so only time decides. The maps, from which the thresholds of
csrc/runtime/thread_plan.cpp are read:

    threads   one thread beside several, over the work of a call: where waking threads begins to pay
    paths     slices of the batch beside slices of the units, the input product inside the step or before it
    blocks    the depth of a block of the recurrent product

Each line ends with what the plan itself takes: its time over that of the best way, 1.00 where it chose well.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tests.reference.problems import recurrent_weights

from bench.shapes import Shape
from bench.timing import time_rounds
from timeloom import _core

PATHS = {
    "batch-fused": "rows, inside",
    "batch-separate": "rows, before",
    "units-fused": "units, inside",
    "units-separate": "units, before",
}
BLOCKS = (128, 256, 512, 1024)


class Way(NamedTuple):
    """How a call is divided; the defaults leave it to the plan."""

    threads: int = 0
    path: str = ""
    k_block: int = 0


class Layer:
    """A recurrent layer whose calls can be divided in any way."""

    def __init__(self, cell: str, shape: Shape, backward: bool) -> None:
        batch, timesteps, features, units = shape
        random = np.random.default_rng(0)
        weights = recurrent_weights(random, cell, features, units)
        inputs = random.standard_normal((batch, timesteps, features))
        self.arrays = [np.ascontiguousarray(array, np.float32) for array in (inputs, *weights)]
        self.d_outputs = random.standard_normal((batch, timesteps, units)).astype(np.float32)
        facts = _core.rnn_cells()[cell]
        self.activations = (facts["activation"], facts["recurrent_activation"])
        self.states = facts["states"]
        self.cell = cell
        self.packed = _core.PackedWeights()  # as those of Variables: a call packs nothing
        self.cache = self.forward(Way(), keep=True)[2] if backward else None

    def forward(self, way: Way, keep: bool = False) -> Any:
        """Outputs, states and, if kept, what backward needs."""
        options = {"_threads": way.threads, "_path": way.path, "_k_block": way.k_block}
        return _core.rnn_forward(
            self.cell, *self.arrays, None, *self.activations, False, True, keep, self.packed, **options
        )

    def call(self, way: Way) -> Callable[[], object]:
        """The call to time."""
        if self.cache is None:
            return lambda: self.forward(way)
        options = {"_threads": way.threads, "_path": way.path, "_k_block": way.k_block}
        no_states = (None,) * self.states
        return lambda: _core.rnn_backward(self.cache, self.d_outputs, no_states, **options)


def seconds_of(layer: Layer, ways: Sequence[Way], rounds: int) -> np.ndarray:
    """Median seconds of each way, interleaved."""
    calls = [layer.call(way) for way in ways]
    estimates = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        estimates.append(time.perf_counter() - start)
    return np.median(time_rounds(calls, estimates, rounds), axis=0)


def heading(names: Sequence[str]) -> str:
    """The line above a map."""
    return f"{'batch x time x features x units':>31} {'weights KB':>10} {'us a step':>9} " + " ".join(
        f"{name:>14}" for name in (*names, "plan / best")
    )


def line(shape: Shape, layer: Layer, seconds: np.ndarray) -> str:
    """Milliseconds of each way, a star at the best; the last one is the plan's own."""
    weights = sum(array.nbytes for array in layer.arrays[1:3]) / 1024
    best = int(np.argmin(seconds[:-1]))
    times = [f"{1e3 * one:13.3f}{'*' if place == best else ' '}" for place, one in enumerate(seconds[:-1])]
    step = 1e6 * seconds[0] / shape.timesteps
    return f"{shape!s:>31} {weights:10.0f} {step:9.1f} {' '.join(times)} {seconds[-1] / seconds[best]:14.2f}"


def map_threads(options: argparse.Namespace) -> None:
    """One thread and several, over sizes whose work grows."""
    counts = [1, *options.threads]
    names = [f"{count} t, {way}" for count in counts for way in ("rows", "units")[: 1 + (count > 1)]]
    print(heading(names))
    for units in (16, 32, 64, 128, 256):
        for batch in (1, 4, 16, 64):
            for timesteps in (1, 10, 50):
                shape = Shape(batch, timesteps, min(units, 64), units)
                layer = Layer(options.cell, shape, options.work == "backward")
                kind = "separate" if batch < 8 and timesteps > 1 else "fused"
                ways = [
                    Way(count, f"{slices}-{kind}")
                    for count in counts
                    for slices in ("batch", "units")[: 1 + (count > 1)]
                ]
                seconds = seconds_of(layer, [*ways, Way()], options.rounds)
                print(line(shape, layer, seconds), flush=True)


def map_paths(options: argparse.Namespace) -> None:
    """Every path, on one thread and on several."""
    for count in (1, *options.threads):
        print(f"{count} thread{'s' * (count > 1)}")
        paths = [path for path in PATHS if count > 1 or path.startswith("batch")]
        print(heading([PATHS[path] for path in paths]))
        for units in options.units:
            for features in options.features or sorted({1, 64, units}):
                for batch in options.batches:
                    shape = Shape(
                        batch, max(2, min(50, 20_000 // (batch * units // 64 + 1))), features, units
                    )
                    layer = Layer(options.cell, shape, options.work == "backward")
                    ways = [*(Way(count, path) for path in paths), Way(count)]
                    print(line(shape, layer, seconds_of(layer, ways, options.rounds)), flush=True)


def map_blocks(options: argparse.Namespace) -> None:
    """Depths of a block, on one thread and on several."""
    for count in (1, *options.threads):
        print(f"{count} thread{'s' * (count > 1)}")
        print(heading([f"block {block}" for block in BLOCKS]))
        for units in (units for units in options.units if units > BLOCKS[1]):
            for batch in options.batches:
                shape = Shape(batch, max(2, min(20, 5_000 // (batch * units // 64 + 1))), 64, units)
                layer = Layer(options.cell, shape, options.work == "backward")
                ways = [*(Way(count, k_block=block) for block in BLOCKS), Way(count)]
                print(line(shape, layer, seconds_of(layer, ways, options.rounds)), flush=True)


MAPS = {"threads": map_threads, "paths": map_paths, "blocks": map_blocks}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the maps that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", nargs="+", default=list(MAPS), choices=list(MAPS))
    parser.add_argument("--cell", default="lstm", choices=list(_core.rnn_cells()))
    parser.add_argument("--work", default="forward", choices=["forward", "backward"])
    parser.add_argument("--threads", nargs="+", type=int, default=[2], help="beside one")
    parser.add_argument("--units", nargs="+", type=int, default=[64, 128, 256, 512, 1024])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--features", nargs="+", type=int, help="default: 1, 64 and as many as units")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    for name in options.maps:
        print(f"\n{name}: {options.cell}, {options.work}, milliseconds a call, the best with a star")
        MAPS[name](options)


if __name__ == "__main__":
    main()
