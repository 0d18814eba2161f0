"""The threads that help calls: any number of them, called from anywhere, late or not, changes no result."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import pytest
from tests.kernels.cases import (
    HAS_THREADS,
    PATHS,
    Case,
    assert_last_ran_on,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    run_alone,
)

import timeloom
from timeloom import _core

# Rows of unequal lengths are walked chunk by chunk forward; the long case has several chunks.
ARRANGEMENTS = [{}, {"lengths": (9, 0, 4, 9, 1)}]
MANY_CHUNKS = Case("gru", 96, 24, 3, 20)
# Enough work for the plan to take two threads and more.
LARGE = Case("lstm", 48, 20, 8, 72)
# For two if the second is awake, forward and backward.
BRIEF = Case("gru", 32, 12, 2, 20)
# The same in several shares a thread, and in panels that go to whoever is free.
MANY_ROWS = Case("gru", 200, 6, 8, 72)
MANY_UNEQUAL_ROWS = Case("lstm", 200, 3, 8, 40, lengths=tuple(row % 4 for row in range(200)))
MANY_PANELS = Case("lstm", 12, 5, 9, 300)
# Work for several threads in rows alone, whose panels have workers that are left alone with them for a while.
ONE_ROW = Case("lstm", 1, 60, 8, 136)
ONE_ROW_IN_TWO_PHASES = Case("gru_reset_before", 1, 60, 8, 200)
ONE_ROW_BY_GATE = Case("gru", 1, 60, 8, 136, recurrent_dropout=True)


@pytest.fixture
def any_thread_count():
    before = timeloom.backend.get_num_threads()
    yield
    timeloom.backend.set_num_threads(0)
    assert timeloom.backend.get_num_threads() == before


def default_results(problem):
    """Forward and backward on as many threads as the plan takes."""
    outputs, states, cache = kernel_forward(problem.arguments)
    return by_name(outputs, states, _core.rnn_backward(cache, problem.d_outputs, problem.d_states))


@pytest.mark.parametrize(
    "arrangement", ARRANGEMENTS, ids=lambda arrangement: "_".join(arrangement) or "dense"
)
def test_1_to_64_threads_change_no_bit(arrangement):
    problem = Case("lstm", 5, 9, 3, 17, **arrangement).problem.as_type(np.float32)
    expected = kernel_results(problem, threads=1)
    for threads, path in zip(range(1, 65), cycle(PATHS)):
        actual = kernel_results(problem, threads=threads, path=path)
        assert_last_ran_on(threads)
        assert_same_bits(actual, expected)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "case",
    [MANY_CHUNKS, MANY_ROWS, MANY_UNEQUAL_ROWS, MANY_PANELS],
    ids=["many_chunks", "many_rows", "many_unequal_rows", "many_panels"],
)
def test_threads_of_many_chunks_change_no_bit(case, path):
    problem = case.problem.as_type(np.float32)
    expected = kernel_results(problem, threads=1, path=path)
    for threads in (2, 5, 16, 64):
        assert_same_bits(kernel_results(problem, threads=threads, path=path), expected)


def test_products_of_1_to_64_threads_change_no_bit():
    a = np.random.default_rng(0).standard_normal((70, 33)).astype(np.float32)
    product, outer = _core.matmul(a, a.T.copy(), _threads=1), _core.matmul(a, a, transpose_a=True, _threads=1)
    for threads in range(2, 65):
        np.testing.assert_array_equal(_core.matmul(a, a.T.copy(), _threads=threads), product)
        assert_last_ran_on(threads)
        np.testing.assert_array_equal(_core.matmul(a, a, transpose_a=True, _threads=threads), outer)
        assert_last_ran_on(threads)


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize(
    "case",
    [LARGE, BRIEF, MANY_ROWS, MANY_PANELS, ONE_ROW, ONE_ROW_IN_TWO_PHASES, ONE_ROW_BY_GATE],
    ids=["large", "brief", "many_rows", "many_panels", "one_row", "one_row_in_two_phases", "one_row_by_gate"],
)
def test_helpers_that_come_late_change_no_bit(case):
    # Nobody is waited for and the counts change: a helper may find the next call where it sought the last.
    problem = case.problem.as_type(np.float32)
    timeloom.backend.set_num_threads(1)
    expected = default_results(problem)
    for _, threads in zip(range(60), cycle((2, 8, 3, 32, 2, 2, 64, 5))):
        timeloom.backend.set_num_threads(threads)
        assert_same_bits(default_results(problem), expected)


@pytest.mark.usefixtures("any_thread_count")
def test_several_callers_share_the_helpers():
    problem = LARGE.problem.as_type(np.float32)
    timeloom.backend.set_num_threads(1)
    expected = default_results(problem)
    timeloom.backend.set_num_threads(4)
    with ThreadPoolExecutor(4) as callers:
        for actual in callers.map(lambda _: default_results(problem), range(40)):
            assert_same_bits(actual, expected)


def test_several_callers_who_want_all_threads_get_them():
    problem = Case("gru", 5, 9, 3, 17).problem.as_type(np.float32)
    expected = kernel_results(problem, threads=1)

    def call(threads):
        actual = kernel_results(problem, threads=threads)
        assert_last_ran_on(threads)
        return actual

    with ThreadPoolExecutor(4) as callers:
        for actual in callers.map(call, [2, 3, 8, 5] * 10):
            assert_same_bits(actual, expected)


@pytest.mark.usefixtures("any_thread_count")
def test_limit_that_changes_during_calls_changes_no_bit():
    # A call without the GIL must keep to the number of threads that its workspace was taken for.
    a = np.random.default_rng(0).standard_normal((600, 300)).astype(np.float32)
    expected = _core.matmul(a, a, transpose_a=True).tobytes()
    finished = False

    def toggle():
        for threads in cycle((1, 8)):
            timeloom.backend.set_num_threads(threads)
            if finished:
                return

    with ThreadPoolExecutor(1) as other:
        toggling = other.submit(toggle)
        try:
            for _ in range(1000):
                assert _core.matmul(a, a, transpose_a=True).tobytes() == expected
        finally:
            finished = True
        toggling.result()


PLACES_OF_A_HELPER = """
    import os, time
    import numpy as np
    from tests.kernels.cases import Case, kernel_forward

    arguments = Case("gru", 8, 3, 4, 8).problem.as_type(np.float32).arguments

    def threads():
        return set(map(int, os.listdir("/proc/self/task")))

    def place_after_a_nap():
        time.sleep(0.03)
        kernel_forward(arguments, _threads=2)
        with open(f"/proc/self/task/{helper}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[36])

    before = threads()
    kernel_forward(arguments, _threads=2)
    (helper,) = threads() - before
    everywhere = os.sched_getaffinity(helper)
    for here in sorted(everywhere)[:2]:
        os.sched_setaffinity(0, {here})  # the caller alone
        places = [place_after_a_nap() for _ in range(20)]
        assert os.sched_getaffinity(helper) == everywhere
        if len(everywhere) > 1:
            assert places.count(here) < 10, (here, places)
"""


def test_a_helper_wakes_off_the_processor_of_its_caller_and_may_go_anywhere():
    if not HAS_THREADS or sys.platform != "linux":
        return  # there is no helper, or no way to place it
    run_alone(PLACES_OF_A_HELPER)


SLEEP_OF_A_HELPER = """
    import os, time
    import numpy as np
    import timeloom
    from tests.kernels.cases import Case, kernel_forward
    from timeloom import _core

    timeloom.backend.set_num_threads(2)
    arguments = Case("lstm", 32, 10, 2, 16).problem.as_type(np.float32).arguments

    def threads():
        return set(map(int, os.listdir("/proc/self/task")))

    def times_awake():
        with open(f"/proc/self/task/{helper}/status") as file:
            return int(file.read().split("voluntary_ctxt_switches:")[1].split()[0])

    before = threads()
    kernel_forward(arguments, _threads=2)
    (helper,) = threads() - before
    asleep = -1
    while asleep != times_awake():
        asleep = times_awake()
        time.sleep(0.2)
    for _ in range(40):
        time.sleep(0.003)
        kernel_forward(arguments)  # no work for a second thread that sleeps
        assert _core.last_thread_count() == 1
    assert times_awake() == asleep
    for _ in range(20_000):
        kernel_forward(arguments)  # but in close succession
        if _core.last_thread_count() == 2:
            break
    else:
        raise AssertionError("nobody was called")
    for _ in range(1000):
        if times_awake() > asleep:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("nobody woke")
"""


def test_brief_calls_wake_a_helper_in_close_succession_alone():
    if not HAS_THREADS or sys.platform != "linux":
        return  # there is no helper, or no way to see it asleep
    run_alone(SLEEP_OF_A_HELPER)
