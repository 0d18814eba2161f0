"""The two strands of a batch: when there are two, what becomes of one without rows, and rows of padding."""

from itertools import product

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DTYPES,
    ISAS,
    PATHS,
    Case,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    replaced,
    without,
)

import timeloom
from timeloom import _core

HAS_THREADS = _core.build_info()["openmp"]

each_cell = pytest.mark.parametrize("cell", CELLS)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def backward_bytes(batch, timesteps, units):
    """Bytes of the parts of memory of a backward call on one thread, by name."""
    _, backward = _core.rnn_memory(
        "lstm", "float32", batch, timesteps, 3, units, "tanh", True, True, alone=True
    )
    return {name: size for name, size, _ in backward}


@pytest.mark.parametrize(
    ("batch", "timesteps", "units", "strands"),
    [(15, 100, 9, 1), (16, 15, 9, 1), (16, 16, 9, 2), (64, 50, 128, 2), (64, 50, 256, 1)],
)
def test_two_strands_where_rows_suffice_and_weights_are_small(batch, timesteps, units, strands):
    gradients = (strands - 1) * 4 * (3 * 4 * units + units * 4 * units + 4 * units)
    assert backward_bytes(batch, timesteps, units).get("gradients of strands", 0) == gradients


@pytest.mark.parametrize(
    ("batch", "timesteps", "units", "rows"),
    [(16, 16, 9, 128), (33, 32, 9, 544), (33, 64, 9, 544), (64, 50, 64, 544), (64, 50, 128, 288)],
)
def test_chunks_of_a_strand_are_as_long_as_those_of_a_batch_or_half(batch, timesteps, units, rows):
    row = backward_bytes(1, 1, units)["accumulators"]
    assert backward_bytes(batch, timesteps, units)["accumulators"] == rows * row


@each_isa
@each_cell
def test_strand_without_rows_in_a_chunk(cell, isa):
    """One long row among short ones: the gradients of the weights are the sum of those of the rows alone."""
    problem = Case(cell, 20, 1500, 2, 5, return_sequences=False).problem
    lengths = np.full(20, 3)
    lengths[7] = 1500
    ragged = replaced(problem, lengths=lengths)
    results = {threads: kernel_results(ragged, isa=isa, threads=threads) for threads in (1, 2, 3)}
    expected = {"d_kernel": 0, "d_recurrent_kernel": 0, "d_bias": 0}
    for row, length in enumerate(lengths):
        rows = slice(row, row + 1)
        alone = without(problem, "lengths")._replace(
            d_outputs=problem.d_outputs[rows], d_states=tuple(state[rows] for state in problem.d_states)
        )
        alone = replaced(
            alone,
            inputs=np.ascontiguousarray(problem.arguments["inputs"][rows, :length]),
            initial_states=tuple(state[rows] for state in problem.arguments["initial_states"]),
        )
        found = kernel_results(alone, isa=isa)
        expected = {name: total + found[name] for name, total in expected.items()}
    for name, total in expected.items():
        # Sums of 1557 terms in another order: an error of eps for each at most.
        np.testing.assert_allclose(
            results[1][name], total, rtol=0, atol=1557 * np.finfo(float).eps * np.abs(total).max()
        )
    assert_same_bits(results[2], results[1])
    assert_same_bits(results[3], results[1])


def joined(states, others):
    """States of more rows."""
    return tuple(np.concatenate(pair) for pair in zip(states, others, strict=True))


@each_dtype
@each_isa
@each_cell
def test_rows_of_padding_change_no_bit(cell, isa, dtype):
    """However many rows without a valid timestep follow."""
    for batch, kind in ((15, "all valid"), (18, "all valid"), (18, "right")):
        problem = Case(cell, batch, 30, 5, 17, mask=kind, return_sequences=False).problem.as_type(dtype)
        expected = kernel_results(problem, isa=isa)
        for more in (1, 20):
            arrays = {name: problem.arguments[name] for name in ("inputs", "mask")}
            longer = {
                name: np.concatenate([array, np.zeros_like(array, shape=(more, *array.shape[1:]))])
                for name, array in arrays.items()
            }
            states = [np.zeros((more, 17), dtype) for _ in problem.d_states]
            padded = replaced(
                problem,
                **longer,
                initial_states=joined(problem.arguments["initial_states"], states),
            )._replace(
                d_outputs=np.concatenate([problem.d_outputs, states[0]]),
                d_states=joined(problem.d_states, states),
            )
            for path in PATHS:
                actual = kernel_results(padded, isa=isa, path=path)
                rows = {name: actual[name] for name in actual if name.endswith(("kernel", "bias"))}
                rows |= {name: actual[name][:batch] for name in actual if name not in rows}
                assert_same_bits(rows, expected)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("batch", [2, 3, 16])
@each_cell
def test_backward_on_other_threads_than_forward(cell, batch, dropout):
    """What forward keeps is laid out for its own threads and path."""
    problem = Case(cell, batch, 20, 5, 17, recurrent_dropout=dropout).problem
    expected = kernel_results(problem, threads=1)
    paths = ("batch-fused", "units-fused")
    for forward, backward, path, other in product((1, 2, 3), (1, 2, 3), paths, paths):
        outputs, states, cache = kernel_forward(problem.arguments, _threads=forward, _path=path)
        gradients = _core.rnn_backward(
            cache, problem.d_outputs, problem.d_states, _threads=backward, _path=other
        )
        assert_same_bits(by_name(outputs, states, gradients), expected)


@pytest.mark.parametrize(("batch", "units", "apart"), [(8, 64, True), (1, 64, False), (8, 300, False)])
def test_halves_lie_apart_where_rows_are_divided_and_weights_are_small(batch, units, apart):
    timeloom.backend.set_num_threads(2)
    try:
        sizes = {}
        for alone in (False, True):
            _, backward = _core.rnn_memory(
                "lstm", "float32", batch, 100, 3, units, "tanh", True, True, alone=alone
            )
            sizes[alone] = {name: size for name, size, _ in backward}
    finally:
        timeloom.backend.set_num_threads(0)
    assert (sizes[False]["d states"] > sizes[True]["d states"]) == (apart and HAS_THREADS)


@pytest.mark.parametrize("threads", [1, 2, 3])
@each_cell
def test_no_row_has_a_timestep(cell, threads):
    results = kernel_results(Case(cell, 17, 20, 3, 9, mask="no row").problem, threads=threads)
    for name in ("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias"):
        assert not results[name].any()
