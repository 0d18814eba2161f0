"""The promise of bits: threads, batches, paths and splits of a sequence change no result.

Also what a kernel does to the thread and the process that call it: denormal mode, forks, Python threads.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, product

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DTYPES,
    ISAS,
    PATHS,
    Case,
    assert_last_ran_on,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    of_rows,
    per_row,
    replaced,
    run_alone,
)

from timeloom import _core

THREADS = (1, 2, 3, 8)
# (batch, timesteps, features, units): tails; batch 1; two chunks of about 512 rows; units over a K block; two
# strands of unequal size, of a chunk and of several.
SIZES = [(8, 7, 5, 17), (1, 12, 3, 33), (13, 80, 2, 9), (3, 4, 28, 150), (17, 20, 3, 9), (19, 120, 2, 5)]
# Few features, whose gradients are dot products; beside (1, 12, 3, 33) and others above that are so too.
SIZES += [(11, 6, 1, 20), (6, 5, 4, 70), (5, 4, 2, 150)]

each_cell = pytest.mark.parametrize("cell", CELLS)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_size = pytest.mark.parametrize("size", SIZES, ids=["x".join(map(str, size)) for size in SIZES])


@each_size
@each_dtype
@each_isa
@each_cell
def test_threads_change_no_bit(cell, isa, dtype, size):
    problem = Case(cell, *size).problem.as_type(dtype)
    for path in PATHS:
        expected = kernel_results(problem, threads=1, isa=isa, path=path)
        assert_last_ran_on(1)
        for threads in THREADS[1:]:
            actual = kernel_results(problem, threads=threads, isa=isa, path=path)
            assert_last_ran_on(threads)
            assert_same_bits(actual, expected)


@pytest.mark.parametrize("threads", THREADS)
def test_forward_runs_the_threads_it_was_asked_for(threads):
    kernel_forward(Case("lstm", 8, 7, 5, 17).problem.arguments, _threads=threads)
    assert_last_ran_on(threads)


@each_size
@each_dtype
@each_isa
@each_cell
def test_paths_change_no_bit(cell, isa, dtype, size):
    problem = Case(cell, *size).problem.as_type(dtype)
    ways = [(path, k_block) for path in ["", *PATHS] for k_block in (0, 8, 64)]
    results = {way: kernel_results(problem, isa=isa, path=way[0], k_block=way[1]) for way in ways}
    for one, other in combinations(ways, 2):
        assert_same_bits(results[one], results[other])


@each_size
@each_dtype
@each_isa
@each_cell
def test_row_alone_has_the_bits_of_the_row_in_a_batch(cell, isa, dtype, size):
    problem = Case(cell, *size).problem.as_type(dtype)
    for path in PATHS:
        whole = kernel_results(problem, isa=isa, path=path)
        for row in {0, size[0] // 2, size[0] - 1}:
            alone = kernel_results(of_rows(problem, slice(row, row + 1)), isa=isa)
            assert_same_bits(per_row(alone), per_row(whole, slice(row, row + 1)))


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("units", [17, 21, 25, 27])
@each_dtype
@each_isa
@each_cell
def test_what_memory_held_before_changes_no_bit(cell, isa, dtype, units, features):
    """Padding that nobody writes may hold anything: of a last panel of one, two or three vectors."""
    for batch, path, k_block in product((1, 5), PATHS, (0, 8)):
        problem = Case(cell, batch, 9, features, units).problem.as_type(dtype)
        expected = kernel_results(problem, isa=isa, path=path, k_block=k_block)
        wide = Case(cell, batch, 9, features, 2 * units).problem.as_type(dtype)
        wide = replaced(wide, inputs=np.full_like(wide.arguments["inputs"], np.nan))
        kernel_results(wide, isa=isa, path=path, k_block=k_block)
        assert_same_bits(kernel_results(problem, isa=isa, path=path, k_block=k_block), expected)


@each_dtype
@each_isa
@each_cell
def test_order_of_the_batch_is_irrelevant(cell, isa, dtype):
    problem = Case(cell, 13, 7, 5, 17).problem.as_type(dtype)
    order = np.random.default_rng(1).permutation(13)
    shuffled = kernel_results(of_rows(problem, order), isa=isa)
    assert_same_bits(per_row(shuffled), per_row(kernel_results(problem, isa=isa), order))


@each_dtype
@each_isa
@each_cell
def test_split_sequence_is_the_whole(cell, isa, dtype):
    problem = Case(cell, 7, 20, 5, 17).problem.as_type(dtype)
    arguments = problem.arguments
    outputs, states, cache = kernel_forward(arguments, _isa=isa)
    # Nothing upstream in the first part: where a gradient starts from an upstream value, so does its chain.
    d_outputs = problem.d_outputs.copy()
    d_outputs[:, :8] = 0
    d_whole = _core.rnn_backward(cache, d_outputs, problem.d_states)
    parts = [np.ascontiguousarray(part) for part in np.split(arguments["inputs"], [8], axis=1)]
    first, carried, first_cache = kernel_forward({**arguments, "inputs": parts[0]}, _isa=isa)
    second, last, second_cache = kernel_forward(
        {**arguments, "inputs": parts[1], "initial_states": carried}, _isa=isa
    )
    d_second = _core.rnn_backward(second_cache, np.ascontiguousarray(d_outputs[:, 8:]), problem.d_states)
    d_first = _core.rnn_backward(first_cache, None, d_second[4])
    assert_same_bits(by_name(np.concatenate([first, second], axis=1), last), by_name(outputs, states))
    assert np.array_equal(np.concatenate([d_first[0], d_second[0]], axis=1), d_whole[0])
    assert all(np.array_equal(a, b) for a, b in zip(d_first[4], d_whole[4], strict=True))


@each_dtype
@each_isa
@each_cell
def test_going_backwards_is_going_forwards_on_reversed_input(cell, isa, dtype):
    problem = Case(cell, 13, 60, 5, 17).problem.as_type(dtype)
    reversed_inputs = np.ascontiguousarray(problem.arguments["inputs"][:, ::-1])
    backwards = problem._replace(
        arguments={**problem.arguments, "inputs": reversed_inputs, "go_backwards": True}
    )
    for path in PATHS:
        actual = kernel_results(backwards, isa=isa, path=path)
        actual["d_inputs"] = actual["d_inputs"][:, ::-1]
        assert_same_bits(actual, kernel_results(problem, isa=isa, path=path))


@each_dtype
@each_isa
@each_cell
def test_nan_stays_in_its_row(cell, isa, dtype):
    problem = Case(cell, 16, 16, 5, 17).problem.as_type(dtype)
    spoilt = problem._replace(arguments={**problem.arguments, "inputs": problem.arguments["inputs"].copy()})
    spoilt.arguments["inputs"][4, 3, 2] = np.nan
    others = np.delete(np.arange(16), 4)
    for path in PATHS:
        actual = kernel_results(spoilt, isa=isa, path=path)
        expected = kernel_results(problem, isa=isa, path=path)
        assert_same_bits(per_row(actual, others), per_row(expected, others))
        assert np.array_equal(actual["outputs"][4, :3], expected["outputs"][4, :3])
        assert np.isnan(actual["outputs"][4, 3:]).all()
        assert np.isnan(actual["states[0]"][4]).all()
        assert np.isnan(actual["d_kernel"]).any(axis=0).all()


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
@each_isa
@each_cell
def test_infinity_in_a_row_gives_no_other_row_a_wrong_number(cell, isa, activation):
    problem = Case(cell, 5, 3, 2, 9, activation=activation).problem.as_type(np.float32)
    spoilt = problem._replace(arguments={**problem.arguments, "inputs": problem.arguments["inputs"].copy()})
    spoilt.arguments["inputs"][2, 1, 0] = np.inf
    actual, expected = kernel_results(spoilt, isa=isa), kernel_results(problem, isa=isa)
    others = np.array([0, 1, 3, 4])
    assert_same_bits(per_row(actual, others), per_row(expected, others))
    if activation == "tanh":
        assert np.isfinite(actual["outputs"][2, 1]).all()  # tanh and sigmoid of an infinity are 1, -1 or 0
    else:
        assert not np.isfinite(actual["outputs"][2, 1]).all()


@pytest.mark.parametrize("threads", [1, 2])
@each_dtype
@each_isa
@each_cell
def test_denormals_are_zero_inside_and_not_outside(cell, isa, dtype, threads):
    problem = Case(cell, 3, 4, 5, 9, bias=False, initial_states=False).problem.as_type(dtype)
    smallest = np.finfo(dtype).smallest_subnormal
    denormal = np.full_like(problem.arguments["inputs"], np.finfo(dtype).smallest_normal / 2)
    # Large weights would make a visible number of a denormal input that counted as itself.
    huge = problem.arguments["kernel"] * dtype(np.finfo(dtype).max / 1e3)
    results = [
        kernel_results(
            problem._replace(arguments={**problem.arguments, "inputs": inputs, "kernel": huge}),
            isa=isa,
            threads=threads,
        )
        for inputs in (denormal, np.zeros_like(denormal))
    ]
    assert_same_bits(*results)
    assert (np.array([smallest]) * dtype(1))[0] == smallest


@each_cell
def test_several_python_threads_on_one_set_of_weights(cell):
    problem = Case(cell, 8, 60, 5, 33).problem.as_type(np.float32)
    expected = kernel_results(problem)

    def work(place):
        return [kernel_results(problem, threads=1 + place % 3) for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        for results in pool.map(work, range(6)):
            for actual in results:
                assert_same_bits(actual, expected)


FORK = """
    import os, time
    import numpy as np
    from tests.kernels.cases import Case, assert_last_ran_on, assert_same_bits, kernel_results
    from timeloom import _core

    problem = Case("lstm", 20, 40, 5, 33).problem.as_type(np.float32)
    expected = kernel_results(problem, threads=2)
    assert_last_ran_on(2)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for threads in (3, 2):
                assert_same_bits(kernel_results(problem, threads=threads), expected)
            code = 0 if _core.last_thread_count() == 1 else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        raise SystemExit("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert_same_bits(kernel_results(problem, threads=2), expected)
    assert_last_ran_on(2)
"""


def test_forked_child_runs_alone_and_does_not_hang():
    run_alone(FORK)


# Threads that compute without the GIL take and give back memory all the time, in calls of this shape often
# enough for one fork in 150 to find one of them at it.
FORK_BESIDE_THREADS = """
    import os, threading, time
    import numpy as np
    from tests.kernels.cases import Case, kernel_forward

    arguments = Case("gru_reset_before", 512, 1, 36, 8).problem.as_type(np.float32).arguments

    def work():
        while not stop.is_set():
            kernel_forward(arguments, keep=False, _threads=1)

    def hangs(child):
        for _ in range(10000):
            if os.waitpid(child, os.WNOHANG)[0]:
                return False
            time.sleep(0.0005)
        os.kill(child, 9)
        os.waitpid(child, 0)
        return True

    stop = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    hanging = False
    deadline = time.monotonic() + 4
    while not hanging and time.monotonic() < deadline:
        child = os.fork()
        if child == 0:
            kernel_forward(arguments, keep=False, _threads=1)
            os._exit(0)
        hanging = hangs(child)
    stop.set()
    for thread in threads:
        thread.join()
    raise SystemExit("a child hangs" if hanging else 0)
"""


def test_child_forked_beside_working_threads_does_not_hang():
    run_alone(FORK_BESIDE_THREADS)
