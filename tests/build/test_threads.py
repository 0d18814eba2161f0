"""The threads that a call asks for come, in a build with OpenMP."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import timeloom
from timeloom import _core

OPENMP = _core.build_info()["openmp"]
# Large enough for any measure of "worth a second thread".
OPERAND = np.ones((512, 512), np.float32)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_asked_for_come(threads: int) -> None:
    _core.matmul(OPERAND, OPERAND, _threads=threads)
    assert _core.last_thread_count() == (threads if OPENMP else 1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_default_follows_omp_num_threads(threads: int) -> None:
    code = "import timeloom; print(timeloom.backend.get_num_threads())"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert int(printed) == (threads if OPENMP else 1)


def test_set_num_threads_limits_the_next_call() -> None:
    before = timeloom.backend.get_num_threads()
    try:
        timeloom.backend.set_num_threads(2)
        assert timeloom.backend.get_num_threads() == (2 if OPENMP else 1)
        _core.matmul(OPERAND, OPERAND)
        assert _core.last_thread_count() == (2 if OPENMP else 1)
        timeloom.backend.set_num_threads(1)
        _core.matmul(OPERAND, OPERAND)
        assert _core.last_thread_count() == 1
    finally:
        timeloom.backend.set_num_threads(0)
    assert timeloom.backend.get_num_threads() == before


def test_round_trip_is_measured_between_two_threads_and_infinite_on_one() -> None:
    try:
        timeloom.backend.set_num_threads(1)
        assert _core.measure_round_trip() == math.inf
        timeloom.backend.set_num_threads(2)
        # As often as it takes for a helper to start and to have a core.
        measured = next(filter(math.isfinite, (_core.measure_round_trip() for _ in range(10_000))), math.inf)
    finally:
        timeloom.backend.set_num_threads(0)
    assert 0 < measured < math.inf if OPENMP else measured == math.inf


def test_set_num_threads_refuses_what_is_no_count() -> None:
    for value in (-1, 1025, 10**9, 10**12):
        with pytest.raises(ValueError, match=rf"^threads: expected 0 .* up to 1024, got {value}$"):
            timeloom.backend.set_num_threads(value)
    for value in (2.0, "2", None, True):
        with pytest.raises(TypeError, match=r"threads: expected a positive integer, got"):
            timeloom.backend.set_num_threads(value)  # type: ignore[arg-type]
