"""Measures rows of the report in one process, for one number of threads, and appends them to a file.

`bench.report` starts it: JAX takes its threads from the environment when it starts, so each number of threads
has a process of its own.

Belongs here: one row, from the check of all answers to the seconds of each round.
Does not belong here: which rows, ratios, tables.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.rows import Row
from bench.shapes import Shape
from bench.timing import LONG_SECONDS, calls_of, time_rounds, time_turn, wait_for_quiet

# Whoever is slower than this many times the best peer in its trial cannot be the best one: it is left alone.
HOPELESS = 1.4
REQUIRED = ("torch", "jax", "onnxruntime")
FMA_CHAINS = 12  # of _core.fma_chains
PEAK_ROUNDS = 500_000  # about a millisecond


class Measured(NamedTuple):
    """Seconds a call, and who took part."""

    seconds: dict[str, list[float]]  # of each round; the first is timeloom, the last "peak" are GFLOP/s
    trials: dict[str, float]
    left_out: dict[str, str]
    libraries: dict[str, str]  # of each contestant whose answer is right
    flops: float


def peak_rate(threads: int) -> float:
    """Floating-point operations a second of multiply-adds that touch registers alone: the best of four calls.

    The first of them wakes the threads.
    """
    from timeloom import _core

    rates = []
    for _ in range(4):
        start = time.perf_counter()
        sums = _core.fma_chains(PEAK_ROUNDS, _threads=threads)
        rates.append(2 * FMA_CHAINS * np.count_nonzero(sums) * PEAK_ROUNDS / (time.perf_counter() - start))
    return max(rates)


def trial(contestant: Any, checked: float, best: float) -> float:
    """Seconds of a call, the shorter of two unless one is long.

    Args:
        contestant: who has just been checked.
        checked: seconds that the check took.
        best: seconds of the best peer so far. Whoever took ten times as long in its check, and compiles
            nothing, is not run again.
    """
    if checked > max(10 * best, 0.5) and contestant.library != "jax":
        return checked
    first = time_turn(contestant.run, 1, checked < LONG_SECONDS)
    return first if first > LONG_SECONDS else min(first, time_turn(contestant.run, calls_of(first)))


def measure(row: Row, rounds: int, until: float | None = None, compiled: bool = False) -> Measured:
    """Assert that all are right, then time ours and whoever may be the best peer."""
    from bench.contestants import contestants, task_of

    task = task_of(row.cell, row.shape, row.work)
    kinds = contestants(row.cell, row.work)
    ready, trials, left_out, libraries = [], {}, {}, {}
    for kind in kinds:
        if kind.name == "NumPy reference" or (kind.name == "PyTorch, compiled" and not compiled):
            continue
        try:
            contestant = kind(task, row.threads)
            start = time.perf_counter()
            returned = contestant.run()
            seconds = time.perf_counter() - start
            task.check(kind.name, contestant.results(returned))
            del returned
            others = [taken for name, taken in trials.items() if name != kinds[0].name]
            tried = trial(contestant, seconds, min(others, default=np.inf))
            wait_for_quiet()
        except Exception as error:
            if kind is kinds[0]:
                raise
            left_out[kind.name] = f"{type(error).__name__}: {error}"
            continue
        libraries[kind.name] = kind.library
        trials[kind.name] = tried
        ready.append(contestant)
    ours, *peers = ready
    best = min((trials[peer.name] for peer in peers), default=0)
    named = ("ONNX Runtime",) if row.work == "step" else ()  # has a target of its own
    runners = [ours, *(peer for peer in peers if trials[peer.name] <= HOPELESS * best or peer.name in named)]
    estimates = [trials[one.name] for one in runners]
    peaks: list[float] = []
    works = [lambda: peaks.append(peak_rate(row.threads)), *(one.run for one in runners)]
    found = time_rounds(works, [1.0, *estimates], rounds, until)
    seconds_of = {one.name: found[:, place].tolist() for place, one in enumerate(runners, 1)}
    return Measured(seconds_of | {"peak": peaks}, trials, left_out, libraries, task.flops)


def counts(row: Row, libraries: dict[str, str]) -> bool:
    """Whether the peers that a row needs took part: ONNX Runtime has no training."""
    needed = REQUIRED[:2] if row.trains else REQUIRED
    return set(needed) <= set(libraries.values())


def record(row: Row, measured: Measured, build: str) -> dict[str, Any]:
    """What is kept of a row."""
    ours, *peers = (name for name in measured.seconds if name != "peak")
    seconds = {name: np.array(values) for name, values in measured.seconds.items()}
    best = min(peers, key=lambda name: float(np.median(seconds[name])), default=None)
    # Now and then the second core is somebody else's while the peak is measured: the upper quartile is not.
    peak = float(np.percentile(seconds["peak"], 75))
    found = {
        "row": [row.cell, row.work, list(row.shape), row.threads],
        "build": build,
        "counts": counts(row, measured.libraries),
        "ours": float(np.median(seconds[ours])),
        "best_peer": best,
        "peer": float(np.median(seconds[best])) if best else None,
        "share": measured.flops / float(np.median(seconds[ours])) / peak,
        "peak": peak,
        "round_trip": round_trip() if row.threads > 1 else None,
        "left_out": measured.left_out,
        "trials": measured.trials,
        "seconds": measured.seconds,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    if best:
        ratios = seconds[best] / seconds[ours]
        found["ratio"] = [float(value) for value in np.percentile(ratios, [25, 50, 75])]
    return found


def round_trip() -> float | None:
    """Nanoseconds of a message between two cores and its answer: on virtual processors it changes."""
    from timeloom import _core

    seconds = min(_core.measure_round_trip() for _ in range(3))  # the first may wake a thread
    return 1e9 * seconds if np.isfinite(seconds) else None


def line_of(row: Row, found: dict[str, Any]) -> str:
    """One line for a row while rows are measured."""
    text = f"{row.cell:10} {row.work:17} {row.shape!s:>17} {row.threads}t  {1e3 * found['ours']:9.3f} ms"
    if "ratio" in found:
        low, middle, high = found["ratio"]
        text += f"  {middle:5.2f} ({low:.2f} to {high:.2f}) {found['best_peer']}"
    return f"{text}  {found['share']:.0%} of peak" + ("" if found["counts"] else "  (peers missing)")


def main() -> None:
    """Read what to do from standard input: rows, file, rounds, seconds, build."""
    request = json.load(sys.stdin)
    start = time.perf_counter()
    budget = request["seconds"]
    rows = [Row(cell, work, Shape(*shape), threads) for cell, work, shape, threads in request["rows"]]
    for place, row in enumerate(rows, 1):
        begin = time.perf_counter()
        if budget is not None and begin - start > budget:
            print(f"{len(rows) - place + 1} rows are left for another call", flush=True)
            break
        until = begin + request["row_seconds"]
        if row.work == "fit":
            from bench.fit import measure_fit

            measured = measure_fit(row, request["rounds"], until)
        else:
            measured = measure(row, request["rounds"], until, request["compiled"])
        found = record(row, measured, request["build"])
        with Path(request["file"]).open("a") as lines:
            print(json.dumps(found), file=lines)
        took = time.perf_counter() - begin
        print(f"[{place}/{len(rows)} {took:3.0f} s] {line_of(row, found)}", flush=True)
        for name, reason in found["left_out"].items():
            print(f"    without {name}: {reason.splitlines()[0][:150]}", flush=True)


if __name__ == "__main__":
    main()
