"""What the kernels take from the workspace pool, what they keep, and how it is counted."""

import tracemalloc

import numpy as np
import pytest

from timeloom import _core

CELLS = _core.rnn_cells()
# Bytes of float32 that are kept for backward per row, step and unit: outputs, states, gates.
KEPT = {"lstm": 24, "gru": 20, "gru_reset_before": 20, "simple_rnn": 4}


def forward(cell, batch, timesteps, features, units, dtype="float32", keep=True, sequences=False, **options):
    """A call whose blocks are new: an idle one may be up to twice too large."""
    _core.free_workspaces()
    facts = CELLS[cell]
    x = np.zeros((batch, timesteps, features), dtype)
    w = np.zeros((features, facts["input_gates"] * units), dtype)
    u = np.zeros((units, facts["state_gates"] * units), dtype)
    names = (facts["activation"], facts["recurrent_activation"])
    return _core.rnn_forward(cell, x, w, u, None, None, *names, False, sequences, keep, **options)


@pytest.mark.parametrize("units", [16, 64, 100, 256])
@pytest.mark.parametrize("cell", CELLS)
def test_no_more_is_kept_for_backward_than_the_gates_and_states(cell, units):
    if cell not in KEPT:
        pytest.skip("no number is promised for this cell")
    batch, timesteps = 32, 100
    _core.free_workspaces()  # or larger blocks that lie idle may serve
    _, _, cache = forward(cell, batch, timesteps, 8, units)
    # The gates are whole vectors of units, the first states are a step more, blocks of the pool whole pages.
    widest = 16
    padded = -(-units // widest) * widest
    most = 4 * batch * ((timesteps + 1) * padded * KEPT[cell] // 4) + 4 * 4096
    if cell == "gru_reset_before":
        # The operand of its second product lies in rows an odd number of cache lines apart.
        most += batch * timesteps * 128
    assert cache.nbytes <= most


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_sizes_told_before_a_call_are_those_it_takes(cell, dtype, keep, sequences):
    sizes = (64, 20, 96, 96)  # no piece of a call is so small that it needs no block
    facts = CELLS[cell]
    before, after = _core.rnn_memory(cell, dtype, *sizes, facts["activation"], sequences, keep)
    model = _core.PoolModel()
    blocks = [(model.take(size), kept) for _, size, kept in before]
    held = sum(block for block, kept in blocks if kept)
    _core.free_workspaces()
    in_use, idle = _core.workspace_bytes()
    assert idle == 0
    result = forward(cell, *sizes, dtype, keep, sequences)
    assert _core.workspace_bytes() == (in_use + held, model.used - held)
    cache = result[2]
    if keep:
        tables = 2 * 8 * sizes[1]
        assert held <= cache.nbytes <= held + tables
        for block, kept in blocks:
            if not kept:
                model.give(block)
        gradient = np.zeros((*sizes[:2], sizes[3]) if sequences else (sizes[0], sizes[3]), dtype)
        _core.rnn_backward(cache, gradient, None)
        blocks = [model.take(size) for _, size, _ in after]
        # Pieces of few kilobytes may need no block.
        assert sum(_core.workspace_bytes()) == pytest.approx(in_use + model.used + model.idle, abs=4 * 4096)
    del result, cache
    assert _core.workspace_bytes()[0] == in_use


@pytest.mark.parametrize("transpose_a", [False, True])
def test_sizes_told_before_a_product_are_those_it_takes(transpose_a):
    a, b = np.zeros((300, 200), "float32"), np.zeros((300 if transpose_a else 200, 70), "float32")
    model = _core.PoolModel()
    rows, depth = (200, 300) if transpose_a else (300, 200)
    for _, size, _ in _core.matmul_memory(rows, depth, 70, "float32", transpose_a):
        model.take(size)
    _core.free_workspaces()
    _core.matmul(a, b, transpose_a=transpose_a)
    assert _core.workspace_bytes()[1] == model.used


def test_tables_of_unequal_lengths_are_counted():
    batch, timesteps = 16, 100
    lengths = np.arange(batch, dtype=np.int64) + timesteps - batch
    _, _, cache = forward("gru", batch, timesteps, 4, 32, lengths=lengths)
    _, _, dense = forward("gru", batch, timesteps, 4, 32)
    # One place of the inputs for each real timestep.
    assert cache.nbytes > 8 * lengths.sum()
    masked = np.arange(timesteps) < lengths[:, None]
    _, _, by_mask = forward("gru", batch, timesteps, 4, 32, mask=masked)
    assert by_mask.nbytes == cache.nbytes - 8 * batch + masked.size
    assert dense.nbytes < cache.nbytes * timesteps / (timesteps - batch)


def test_blocks_of_the_pool_show_in_tracemalloc():
    _core.free_workspaces()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _, _, cache = forward("lstm", 32, 100, 4, 64)
        assert tracemalloc.get_traced_memory()[0] - before > cache.nbytes > 32 * 100 * 64 * 20
        del _, cache
        _core.free_workspaces()
        assert tracemalloc.get_traced_memory()[0] - before < 1e5
    finally:
        tracemalloc.stop()


def test_pool_model_follows_the_rules_of_the_pool():
    model = _core.PoolModel()
    first = model.take(10_000)
    assert first == 3 * 4096 == model.used
    model.give(first)
    assert (model.used, model.idle) == (0, first)
    assert model.take(9_000) == first  # the same block
    model.give(first)
    assert model.take(1_000) == 4096  # far too large for it
    assert model.idle == first
    assert model.take(0) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gru", "float16", 1, 1, 1, 1), "dtype: expected"),
        (("tree", "float32", 1, 1, 1, 1), "cell: expected"),
        (("gru", "float32", 1, 0, 1, 1), "batch, timesteps, features, units: expected"),
    ],
)
def test_sizes_of_no_call_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        _core.rnn_memory(*arguments, "tanh", False, True)
