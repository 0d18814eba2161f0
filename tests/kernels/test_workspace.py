"""The workspace pool: a steady state takes nothing new, idle memory is bounded and freed on request."""

import numpy as np
import pytest
from tests.kernels.cases import CELLS, Case, kernel_forward

from timeloom import _core, backend

MOST_IDLE = 256 << 20


def problem_of(cell, batch=3, timesteps=4, units=6):
    return Case(cell, batch, timesteps, 5, units).problem.as_type(np.float32)


def train(problem):
    *_, cache = kernel_forward(problem.arguments)
    _core.rnn_backward(cache, problem.d_outputs, problem.d_states)


@pytest.mark.parametrize("cell", CELLS)
def test_a_small_call_takes_nothing_from_the_pool(cell):
    backend.clear_session()
    before = _core.workspace_bytes()
    kernel_forward(problem_of(cell).arguments, keep=False, _threads=1, _isa="scalar")
    assert _core.workspace_bytes() == before


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_calls_again_take_nothing_new(cell):
    problem = problem_of(cell, batch=8, timesteps=30, units=40)
    train(problem)
    kernel_forward(problem.arguments, keep=False)
    before = _core.workspace_bytes()
    for _ in range(5):
        train(problem)
        kernel_forward(problem.arguments, keep=False)
    assert _core.workspace_bytes() == before


def test_clear_session_returns_idle_memory():
    train(problem_of("lstm", batch=8, timesteps=30, units=40))
    assert _core.workspace_bytes()[1] > 0
    backend.clear_session()
    assert _core.workspace_bytes()[1] == 0


def test_idle_memory_is_bounded():
    for timesteps in (2, 30, 300):
        for units in (8, 40, 200):
            train(problem_of("lstm", timesteps=timesteps, units=units))
    assert 0 < _core.workspace_bytes()[1] <= MOST_IDLE
    backend.clear_session()
