"""Prints PyTorch's time over timeloom's for recurrent layers, measured interleaved in one process.

    python -m bench.compare_rnn
    python -m bench.compare_rnn --cells lstm gru --threads 1 2 --shape 32 28 28 128 --rounds 60

A machine drifts by half its speed within minutes, and a neighbour takes a core now and then: so each round
times both, one after the other, and the answer is the median of the rounds' ratios (above 1: timeloom is
faster). A turn is a pause in which the other's waiting threads fall asleep, a call that is not counted, and a
few that are.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from bench import shapes
from bench.contestants import Timeloom, Torch, answers, assert_agree, problem_of

PAUSE_SECONDS = 0.01
TURN_SECONDS = 0.05


def time_turn(work: Callable[[], object], calls: int) -> float:
    """Seconds per call of one turn."""
    time.sleep(PAUSE_SECONDS)
    work()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def ratios(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> np.ndarray:
    """theirs / ours of each round; who is first alternates."""
    slower = max(time_turn(ours, 2), time_turn(theirs, 2))
    calls = max(1, round(TURN_SECONDS / slower))
    found = []
    for place in range(rounds):
        turns = [ours, theirs] if place % 2 else [theirs, ours]
        seconds = {work: time_turn(work, calls) for work in turns}
        found.append(seconds[theirs] / seconds[ours])
    return np.array(found)


def compare(cell: str, shape: shapes.Shape, threads: int, work: str, rounds: int) -> np.ndarray:
    """Assert that both are right, then measure."""
    problem = problem_of(cell, shape)
    ours, theirs = Timeloom(cell, problem), Torch(cell, problem)
    for contestant in (ours, theirs):
        contestant.set_threads(threads)
        assert_agree(getattr(contestant, work)(), contestant, answers(cell, shape))
    return ratios(getattr(ours, work), getattr(theirs, work), rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=["lstm", "gru", "simple_rnn"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument(
        "--shape", nargs=4, type=int, action="append", metavar=("BATCH", "TIME", "FEATURES", "UNITS")
    )
    parser.add_argument("--all-shapes", action="store_true", help="every shape of bench/shapes.py")
    parser.add_argument(
        "--work", nargs="+", default=["forward_backward"], choices=["forward", "forward_backward"]
    )
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args(arguments)
    chosen = [shapes.Shape(*shape) for shape in options.shape or [shapes.MNIST_ROWS]]
    print("PyTorch's time / timeloom's: median of rounds (lower and upper quartile)")
    for shape in [case.shape for case in shapes.GRID] if options.all_shapes else chosen:
        for cell in options.cells:
            for work in options.work:
                for threads in options.threads:
                    found = compare(cell, shape, threads, work, options.rounds)
                    low, middle, high = np.percentile(found, [25, 50, 75])
                    plural = "s" if threads > 1 else ""
                    print(
                        f"{cell:10} {shape!s:>16} {work:16} {threads} thread{plural:1}"
                        f"  {middle:.2f} ({low:.2f} to {high:.2f})",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
