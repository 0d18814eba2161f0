"""Two calls at once, side by side or one after the other: the same bits and the same errors as two calls."""

from itertools import pairwise

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DTYPES,
    HAS_THREADS,
    Case,
    assert_same_bits,
    by_name,
    forward_arguments,
    kernel_forward,
)

import timeloom
from timeloom import _core

WAYS = (True, False, None)
# Each alone is work for one thread, both are for two.
SMALL = (1, 60, 40, 64)

each_cell = pytest.mark.parametrize("cell", CELLS)


def by_itself(problem):
    outputs, states, cache = kernel_forward(problem.arguments)
    return by_name(outputs, states, _core.rnn_backward(cache, problem.d_outputs, problem.d_states))


def at_once(problems, way):
    """The results of two problems, forward and backward."""
    calls = [part for problem in problems for part in forward_arguments(problem.arguments)]
    results = _core.rnn_forward_both(*calls, _side_by_side=way)
    came = [_core.last_thread_count()]
    back = [
        (cache, problem.d_outputs, problem.d_states)
        for (_, _, cache), problem in zip(results, problems, strict=True)
    ]
    gradients = _core.rnn_backward_both(*back, _side_by_side=way)
    came.append(_core.last_thread_count())
    found = [by_name(*result[:2], found) for result, found in zip(results, gradients, strict=True)]
    return found, came


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": True}, {"packed": True}, {"mask": "holes"}, {"recurrent_dropout": True}],
    ids=lambda options: "_".join(options) or "dense",
)
@each_cell
def test_two_calls_at_once_change_no_bit(cell, options, dtype):
    problems = [
        Case(cell, 6, 9, 5, units, go_backwards=backwards, **options).problem.as_type(dtype)
        for units, backwards in ((17, False), (33, True))
    ]
    expected = [by_itself(problem) for problem in problems]
    for way in WAYS:
        for found, wanted in zip(at_once(problems, way)[0], expected, strict=True):
            assert_same_bits(found, wanted)


def test_calls_of_two_types_and_cells():
    problems = [
        Case("lstm", 3, 5, 4, 9).problem.as_type(np.float32),
        Case("gru", 2, 7, 3, 8).problem.as_type(np.float64),
    ]
    for way in WAYS:
        for found, problem in zip(at_once(problems, way)[0], problems, strict=True):
            assert_same_bits(found, by_itself(problem))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((SMALL, SMALL), [2, 2]),
        (((1, 1, 4, 8), (1, 1, 4, 8)), [1, 1]),  # less work than a thread is worth
        (((1, 20, 40, 64), (1, 20, 40, 64)), [1, 2]),  # enough for one each on the way back alone
        (((1, 200, 40, 140), (1, 14, 40, 140)), [1, 2]),  # the longer one is worth two threads by itself
    ],
)
def test_plan_of_two_calls(sizes, expected):
    timeloom.backend.set_num_threads(2)
    try:
        problems = [Case("lstm", *size).problem.as_type(np.float32) for size in sizes]
        _, came = at_once(problems, None)
    finally:
        timeloom.backend.set_num_threads(0)
    assert came == (expected if HAS_THREADS else [1, 1])


def test_one_thread_runs_one_after_the_other():
    timeloom.backend.set_num_threads(1)
    try:
        problems = [Case("gru", *SMALL).problem.as_type(np.float32) for _ in range(2)]
        found, came = at_once(problems, None)
    finally:
        timeloom.backend.set_num_threads(0)
    assert came == [1, 1]
    for one, other in pairwise(found):
        assert_same_bits(one, other)


@pytest.mark.parametrize("bad", [0, 1])
def test_a_call_that_is_refused_refuses_both(bad):
    problem = Case("lstm", 3, 5, 4, 9).problem
    calls = [list(forward_arguments(problem.arguments)) for _ in range(2)]
    calls[bad][0] = (*calls[bad][0][:2], np.zeros((3, 3)), *calls[bad][0][3:])
    with pytest.raises(ValueError, match=r"kernel: expected shape \(4, 36\), got \(3, 3\)"):
        _core.rnn_forward_both(*calls[0], *calls[1])
    with pytest.raises(TypeError, match="cache: expected what rnn_forward kept, got NoneType"):
        _core.rnn_backward_both(*[(None, None, None)] * 2)


def test_arguments_are_told_apart():
    arguments, options = forward_arguments(Case("lstm", 3, 5, 4, 9).problem.arguments)
    with pytest.raises(TypeError, match="cell: expected one value, got two"):
        _core.rnn_forward_both(arguments, {"cell": "lstm"}, arguments, options)
    with pytest.raises(TypeError, match="expected an argument it knows, got 'unknown'"):
        _core.rnn_forward_both(arguments, options, arguments, {"unknown": 1})
    with pytest.raises(TypeError, match="keep: expected a value, got none"):
        _core.rnn_forward_both(arguments[:10], options, arguments, options)
    with pytest.raises(TypeError, match="_side_by_side: expected True or False, got int"):
        _core.rnn_forward_both(arguments, options, arguments, options, _side_by_side=1)
