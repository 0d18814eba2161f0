"""Times that can be compared: everybody interleaved in one process.

A machine drifts by half its speed within minutes, and a neighbour takes a core now and then: so each round
times everybody, one after the other, and what counts is the ratio within a round. A turn is a pause till the
waiting threads of the one before have fallen asleep, a call that is not counted, and the ones that are.

Belongs here: the clock and the order of turns.
Does not belong here: what is timed.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

PAUSE_SECONDS = 0.01  # at a time, till no thread of the process runs
LONGEST_PAUSE_SECONDS = 1.0  # threads of ONNX Runtime spin for 17 to 60 ms after a call
QUIET_SHARE = 0.05  # of a core
TURN_SECONDS = 0.02
LONG_SECONDS = 0.1  # a call as long as this warms itself up


def wait_for_quiet() -> None:
    """Sleep until no thread of this process runs: one that still spins would take a core from the next turn.

    Raises:
        RuntimeError: one goes on for a second.
    """
    end = time.perf_counter() + LONGEST_PAUSE_SECONDS
    while time.perf_counter() < end:
        begin, used = time.perf_counter(), time.process_time()
        time.sleep(PAUSE_SECONDS)
        if time.process_time() - used < QUIET_SHARE * (time.perf_counter() - begin):
            return
    raise RuntimeError("expected the threads of this process to fall asleep, found one awake after a second")


def time_turn(work: Callable[[], object], calls: int, warm_up: bool = True) -> float:
    """Seconds per call of one turn."""
    wait_for_quiet()
    if warm_up:
        work()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def calls_of(seconds: float) -> int:
    """How many calls of that length fill a turn."""
    return max(1, round(TURN_SECONDS / max(seconds, 1e-7)))


def time_rounds(
    works: Sequence[Callable[[], object]], estimates: Sequence[float], rounds: int, until: float | None = None
) -> np.ndarray:
    """Seconds per call of each work in each round, [rounds, works].

    Args:
        works: what is called.
        estimates: seconds that a call of each takes, roughly.
        rounds: how many, each in another order.
        until: time.perf_counter() after which no round begins, but for the first three.
    """
    found = []
    order = list(range(len(works)))
    for place in range(rounds):
        if until is not None and place >= 3 and time.perf_counter() > until:
            break
        seconds = np.empty(len(works))
        for which in order:
            estimate = estimates[which]
            seconds[which] = time_turn(works[which], calls_of(estimate), estimate < LONG_SECONDS)
        found.append(seconds)
        order.reverse()
        if place % 2:
            order = order[1:] + order[:1]
    return np.array(found)
