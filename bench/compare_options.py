"""Prints what ordinary wishes cost: the time of a layer with the wish over that of the plain one.

    python -m bench.compare_options
    python -m bench.compare_options --wishes packed relu --threads 1 --rounds 40 --work forward_backward

Unequal lengths (packed, and padded with a mask) beside a dense batch of as many real timesteps; recurrent
dropout beside none; a relu LSTM beside tanh; a Bidirectional layer beside two layers. Each contestant is
measured against itself, all interleaved in one process (bench/timing.py): a round times plain and wish of
everybody, and the answer is the median of the rounds' ratios.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from bench.shapes import Shape
from bench.timing import time_turn
from bench.wishes import SHAPE, TARGETS, checked_pairs, set_threads

TURN_SECONDS = 0.05


def costs(
    works: dict[str, tuple[Callable[[], object], Callable[[], object]]], rounds: int
) -> dict[str, np.ndarray]:
    """Time with the wish over time without, of each contestant in each round; who is first alternates."""
    calls = {
        name: max(1, round(TURN_SECONDS / max(time_turn(plain, 1), time_turn(wish, 1))))
        for name, (plain, wish) in works.items()
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for place in range(rounds):
        for name, (plain, wish) in works.items():
            turns = [plain, wish] if place % 2 else [wish, plain]
            seconds = {work: time_turn(work, calls[name]) for work in turns}
            found[name].append(seconds[wish] / seconds[plain])
    return {name: np.array(ratios) for name, ratios in found.items()}


def compare(wish: str, shape: Shape, threads: int, work: str, rounds: int) -> dict[str, np.ndarray]:
    """Assert that all are right, then measure."""
    set_threads(threads)
    contestants = checked_pairs(wish, shape)
    return costs(
        {name: tuple(getattr(run, work) for run in pair) for name, pair in contestants.items()}, rounds
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wishes", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument(
        "--shape", nargs=4, type=int, default=SHAPE, metavar=("BATCH", "TIME", "FEATURES", "UNITS")
    )
    parser.add_argument(
        "--work",
        nargs="+",
        default=["forward", "forward_backward"],
        choices=["forward", "forward_backward"],
    )
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(arguments)
    shape = Shape(*options.shape)
    print(f"{shape}: time with the wish / without: median of rounds (lower and upper quartile)")
    for wish in options.wishes:
        for work in options.work:
            for threads in options.threads:
                columns = []
                for name, found in compare(wish, shape, threads, work, options.rounds).items():
                    low, middle, high = np.percentile(found, [25, 50, 75])
                    columns.append(f"{name} {middle:.2f} ({low:.2f} to {high:.2f})")
                plural = "s" if threads > 1 else ""
                line = f"{wish:17} {work:16} {threads} thread{plural:1}  at most {TARGETS[wish]:.2f}: "
                print(line + ", ".join(columns), flush=True)


if __name__ == "__main__":
    main()
