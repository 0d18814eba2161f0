"""The promise of bits for masked batches: what stands in a masked timestep, how many there are
and where, and the other rows of the batch change no bit of a result.
"""

from itertools import product

import numpy as np
import pytest
from tests.kernels.cases import (
    ARRANGEMENTS,
    CELLS,
    DTYPES,
    ISAS,
    ORDERS,
    PATHS,
    Case,
    assert_last_ran_on,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    replaced,
    same_bits,
    without,
)
from tests.reference import recurrent
from tests.reference.problems import MASKS

from timeloom import _core

each_cell = pytest.mark.parametrize("cell", CELLS)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
each_arrangement = pytest.mark.parametrize(
    "arrangement", ARRANGEMENTS, ids=[arrangement.get("mask", *arrangement) for arrangement in ARRANGEMENTS]
)


def belongs_to_rows(name):
    """Whether a result has a row for each sequence: outputs of the last step, states and their gradients."""
    return name == "outputs" or "states" in name


@each_arrangement
@each_isa
@each_cell
def test_inference_gives_the_bits_of_training(cell, isa, arrangement):
    for batch, return_sequences in product((7, 18), (True, False)):
        case = Case(cell, batch, 20, 5, 17, return_sequences=return_sequences, **arrangement)
        arguments = case.problem.as_type(np.float32).arguments
        *kept, _ = kernel_forward(arguments, _isa=isa)
        *plain, cache = kernel_forward(arguments, keep=False, _isa=isa)
        assert cache is None
        assert_same_bits(by_name(*plain), by_name(*kept))


@each_arrangement
@each_dtype
@each_isa
@each_cell
def test_threads_paths_and_blocks_change_no_bit(cell, isa, dtype, arrangement):
    for size in ((8, 7, 5, 17), (13, 60, 2, 40), (19, 150, 2, 9)):
        problem = Case(cell, *size, **arrangement, go_backwards=size[0] == 8).problem.as_type(dtype)
        expected = kernel_results(problem, threads=1, isa=isa)
        for place, path in enumerate(PATHS):
            for threads, k_block in (((1, 0), (8, 64)), ((2, 0), (3, 8)))[(place + size[0]) % 2]:
                actual = kernel_results(problem, threads=threads, isa=isa, path=path, k_block=k_block)
                assert_same_bits(actual, expected)


@pytest.mark.parametrize("dropout", [False, True])
@each_isa
@each_cell
def test_threads_of_several_chunks_stay_out_of_each_others_rows(cell, isa, dropout):
    # At least 768 real timesteps are two chunks: one reuses the memory of the other.
    problem = Case(
        cell, 40, 60, 33, 9, lengths=True, input_dropout=dropout, recurrent_dropout=dropout
    ).problem.as_type(np.float32)
    expected = kernel_results(problem, threads=1, isa=isa)
    for path in PATHS:
        for threads in (2, 3):
            assert_same_bits(kernel_results(problem, threads=threads, isa=isa, path=path), expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
@each_cell
def test_ragged_batch_runs_the_threads_it_was_asked_for(cell, threads):
    for arrangement in ({"lengths": True}, {"mask": "holes"}):
        kernel_forward(Case(cell, 8, 7, 5, 17, **arrangement).problem.arguments, _threads=threads)
        assert_last_ran_on(threads)


@each_dtype
@each_isa
@each_cell
def test_dense_batch_has_the_bits_of_a_mask_of_all_true(cell, isa, dtype):
    for size in ((7, 20, 5, 17), (13, 90, 2, 9), (18, 20, 2, 9)):
        for order in ORDERS.values():
            problem = Case(cell, *size, mask="all valid", **order).problem.as_type(dtype)
            batch, timesteps = size[:2]
            dense = kernel_results(without(problem, "mask"), isa=isa)
            assert_same_bits(kernel_results(problem, isa=isa), dense)
            full = np.full(batch, timesteps)
            assert_same_bits(kernel_results(replaced(without(problem, "mask"), lengths=full), isa=isa), dense)


@each_dtype
@each_isa
@each_cell
def test_lengths_have_the_bits_of_their_mask(cell, isa, dtype):
    for zero_output_for_mask in (False, True):
        for order in ORDERS.values():
            case = Case(cell, 40, 70, 5, 17, lengths=True, zero_output_for_mask=zero_output_for_mask, **order)
            problem = case.problem.as_type(dtype)
            mask = recurrent.mask_of_lengths(problem.arguments["lengths"], 70)
            masked = replaced(without(problem, "lengths"), mask=mask)
            assert_same_bits(kernel_results(masked, isa=isa), kernel_results(problem, isa=isa))


@pytest.mark.parametrize("return_sequences", [True, False], ids=["sequences", "last"])
@each_order
@each_dtype
@each_isa
@each_cell
def test_packed_batch_has_the_bits_of_the_padded_one(cell, isa, dtype, order, return_sequences):
    batch, timesteps = (
        40,
        70,
    )  # so many real timesteps that there are chunks, cut as those of the padded batch
    case = Case(cell, batch, timesteps, 5, 17, packed=True, return_sequences=return_sequences, **order)
    problem = case.problem.as_type(dtype)
    lengths = problem.arguments["lengths"]
    valid = recurrent.mask_of_lengths(lengths, timesteps)
    inputs = np.full((batch, timesteps, 5), 9, dtype)
    inputs[valid] = problem.arguments["inputs"]
    places = valid
    if order["go_backwards"] and not order["keep_time_order"]:
        places = np.ascontiguousarray(valid[:, ::-1])
    d_outputs = problem.d_outputs
    if return_sequences:
        d_outputs = np.zeros((batch, timesteps, 17), dtype)
        d_outputs[places] = problem.d_outputs
    padded = kernel_results(replaced(problem, inputs=inputs)._replace(d_outputs=d_outputs), isa=isa)
    assert not padded["d_inputs"][~valid].any()
    padded["d_inputs"] = padded["d_inputs"][valid]
    if return_sequences:
        padded["outputs"] = padded["outputs"][places]
    assert_same_bits(kernel_results(problem, isa=isa), padded)


@pytest.mark.parametrize("filling", [0.0, np.nan, np.inf, -np.inf], ids=str)
@each_dtype
@each_isa
@each_cell
def test_padding_changes_no_bit(cell, isa, dtype, filling):
    """Whatever stands in masked timesteps, and however many of them follow."""
    for batch, kind in ((9, "right"), (9, "holes"), (18, "all valid"), (18, "right")):
        problem = Case(cell, batch, 30, 5, 17, mask=kind, return_sequences=False).problem.as_type(dtype)
        expected = kernel_results(problem, isa=isa)
        mask = problem.arguments["mask"]
        inputs = np.where(mask[..., None], problem.arguments["inputs"], dtype(filling))
        assert_same_bits(kernel_results(replaced(problem, inputs=inputs), isa=isa), expected)
        for more in (1, 40, 200):
            longer = np.full((batch, 30 + more, 5), filling, dtype)
            longer[:, :30] = inputs
            longer_mask = np.zeros((batch, 30 + more), bool)
            longer_mask[:, :30] = mask
            for path in PATHS:
                actual = kernel_results(
                    replaced(problem, inputs=longer, mask=longer_mask), isa=isa, path=path
                )
                assert not actual["d_inputs"][:, 30:].any()
                actual["d_inputs"] = actual["d_inputs"][:, :30]
                assert_same_bits(actual, {**expected, "d_inputs": expected["d_inputs"]})


@each_dtype
@each_isa
@each_cell
def test_masked_row_has_the_bits_of_its_valid_steps_alone(cell, isa, dtype):
    """Outputs, states and the gradients of a row know nothing of its masked steps or of the other rows."""
    for kind in MASKS:
        problem = Case(cell, 7, 12, 5, 17, mask=kind, return_sequences=False).problem.as_type(dtype)
        whole = kernel_results(problem, isa=isa)
        arguments = problem.arguments
        for row, mask in enumerate(arguments["mask"]):
            if not mask.any():
                continue
            rows = slice(row, row + 1)
            alone = kernel_results(
                without(problem, "mask")._replace(
                    arguments={
                        **without(problem, "mask").arguments,
                        "inputs": arguments["inputs"][rows][:, mask],
                        "initial_states": tuple(state[rows] for state in arguments["initial_states"]),
                    },
                    d_outputs=problem.d_outputs[rows],
                    d_states=tuple(state[rows] for state in problem.d_states),
                ),
                isa=isa,
            )
            assert same_bits(alone["d_inputs"][0], whole["d_inputs"][row][mask])
            names = [name for name in alone if belongs_to_rows(name)]
            assert_same_bits({n: alone[n] for n in names}, {n: whole[n][rows] for n in names})


@each_arrangement
@each_dtype
@each_isa
@each_cell
def test_order_of_the_batch_is_irrelevant(cell, isa, dtype, arrangement):
    problem = Case(cell, 13, 7, 5, 17, return_sequences=False, **arrangement).problem.as_type(dtype)
    order = np.random.default_rng(1).permutation(13)
    arguments = dict(problem.arguments)
    d_inputs_order = order
    if "packed" in arrangement:
        ends = np.cumsum(arguments["lengths"])
        pieces = [np.arange(end - n, end) for end, n in zip(ends, arguments["lengths"], strict=True)]
        d_inputs_order = np.concatenate([pieces[row] for row in order])
    arguments["inputs"] = arguments["inputs"][d_inputs_order]
    arguments["initial_states"] = tuple(state[order] for state in arguments["initial_states"])
    for name in ("mask", "lengths"):
        if name in arguments:
            arguments[name] = arguments[name][order]
    shuffled = kernel_results(
        problem._replace(
            arguments=arguments,
            d_outputs=problem.d_outputs[order],
            d_states=tuple(state[order] for state in problem.d_states),
        ),
        isa=isa,
    )
    expected = kernel_results(problem, isa=isa)
    for name, value in expected.items():
        if name == "d_inputs":
            assert same_bits(shuffled[name], value[d_inputs_order])
        elif belongs_to_rows(name):
            assert same_bits(shuffled[name], value[order])


@each_dtype
@each_isa
@each_cell
def test_sequences_split_each_anywhere_are_the_whole(cell, isa, dtype):
    problem = Case(cell, 9, 20, 5, 17, lengths=True, upstream="states").problem.as_type(dtype)
    arguments = problem.arguments
    lengths = arguments["lengths"]
    first = np.random.default_rng(3).integers(0, lengths + 1)
    rows, steps = np.nonzero(recurrent.mask_of_lengths(lengths - first, 20))
    rest = np.zeros_like(arguments["inputs"])
    rest[rows, steps] = arguments["inputs"][rows, steps + first[rows]]
    outputs, states, cache = kernel_forward(arguments, _isa=isa)
    head, carried, head_cache = kernel_forward({**arguments, "lengths": first}, _isa=isa)
    tail, last, tail_cache = kernel_forward(
        {**arguments, "inputs": rest, "lengths": lengths - first, "initial_states": carried}, _isa=isa
    )
    is_head = recurrent.mask_of_lengths(first, 20)
    assert same_bits(head[is_head], outputs[is_head])
    assert same_bits(tail[rows, steps], outputs[rows, steps + first[rows]])
    assert_same_bits(by_name(outputs, last), by_name(outputs, states))
    d_whole = _core.rnn_backward(cache, None, problem.d_states)
    d_tail = _core.rnn_backward(tail_cache, None, problem.d_states)
    d_head = _core.rnn_backward(head_cache, None, d_tail[4])
    assert same_bits(d_head[0][is_head], d_whole[0][is_head])
    assert same_bits(d_tail[0][rows, steps], d_whole[0][rows, steps + first[rows]])
    assert all(same_bits(a, b) for a, b in zip(d_head[4], d_whole[4], strict=True))


@pytest.mark.parametrize("kind", MASKS)
@each_dtype
@each_isa
@each_cell
def test_going_backwards_is_going_forwards_on_reversed_input(cell, isa, dtype, kind):
    problem = Case(cell, 9, 45, 5, 17, mask=kind).problem.as_type(dtype)
    turned = {name: np.ascontiguousarray(problem.arguments[name][:, ::-1]) for name in ("inputs", "mask")}
    for path in PATHS:
        expected = kernel_results(problem, isa=isa, path=path)
        actual = kernel_results(replaced(problem, **turned, go_backwards=True), isa=isa, path=path)
        actual["d_inputs"] = actual["d_inputs"][:, ::-1]
        assert_same_bits(actual, expected)


@each_dtype
@each_isa
@each_cell
def test_going_backwards_through_a_packed_batch_is_going_forwards_through_each_reversed(cell, isa, dtype):
    problem = Case(cell, 9, 45, 5, 17, packed=True).problem.as_type(dtype)
    lengths = problem.arguments["lengths"]
    turned = np.concatenate(
        [np.arange(end - 1, end - n - 1, -1) for end, n in zip(np.cumsum(lengths), lengths, strict=True)]
    )
    expected = kernel_results(problem, isa=isa)
    backwards = replaced(problem, inputs=problem.arguments["inputs"][turned], go_backwards=True)
    actual = kernel_results(backwards, isa=isa)
    actual["d_inputs"] = actual["d_inputs"][turned]
    assert_same_bits(actual, expected)


@each_arrangement
@each_dtype
@each_isa
@each_cell
def test_keeping_the_order_of_time_only_turns_the_outputs(cell, isa, dtype, arrangement):
    if "packed" in arrangement:
        arrangement = {"mask": "all valid"}  # test_packed_batch_has_the_bits_of_the_padded_one has the other
    problem = Case(cell, 5, 12, 5, 17, go_backwards=True, **arrangement).problem.as_type(dtype)
    expected = kernel_results(problem, isa=isa)
    ordered = replaced(problem, keep_time_order=True)
    actual = kernel_results(
        ordered._replace(d_outputs=np.ascontiguousarray(problem.d_outputs[:, ::-1])), isa=isa
    )
    actual["outputs"] = actual["outputs"][:, ::-1]
    assert_same_bits(actual, expected)


@each_dtype
@each_isa
@each_cell
def test_nan_in_a_valid_step_stays_in_its_row(cell, isa, dtype):
    for kind in ("left", "right", "holes"):
        problem = Case(cell, 13, 7, 5, 17, mask=kind).problem.as_type(dtype)
        mask = problem.arguments["mask"]
        row = int(mask.sum(axis=1).argmax())
        step = int(mask[row].argmax())
        inputs = problem.arguments["inputs"].copy()
        inputs[row, step, 2] = np.nan
        others = np.delete(np.arange(13), row)
        for path in PATHS:
            actual = kernel_results(replaced(problem, inputs=inputs), isa=isa, path=path)
            expected = kernel_results(problem, isa=isa, path=path)
            for name in expected:
                if name == "d_inputs" or belongs_to_rows(name):
                    assert same_bits(actual[name][others], expected[name][others])
            assert same_bits(actual["outputs"][row, :step], expected["outputs"][row, :step])
            assert np.isnan(actual["outputs"][row, step:]).all()
            assert np.isnan(actual["states[0]"][row]).all()


@each_cell
def test_rows_without_a_valid_step_keep_their_state_and_give_no_gradient(cell):
    problem = Case(cell, 5, 6, 3, 9, mask="no row").problem
    results = kernel_results(problem)
    assert not results["outputs"].any()
    for place, state in enumerate(problem.arguments["initial_states"]):
        assert same_bits(results[f"states[{place}]"], state)
        assert same_bits(results[f"d_states[{place}]"], problem.d_states[place])
    for name in ("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias"):
        assert not results[name].any()


@each_cell
def test_packed_batch_without_any_step(cell):
    problem = Case(cell, 3, 1, 4, 9, lengths=True).problem
    nothing = {"inputs": np.empty((0, 4)), "lengths": np.zeros(3, np.int64)}
    for return_sequences in (True, False):
        # What this one leaves in the memory that the next one takes is no zero.
        kernel_results(problem._replace(d_outputs=np.full_like(problem.d_outputs, np.nan)))
        d_outputs = np.ones((0, 9) if return_sequences else (3, 9))
        results = kernel_results(
            replaced(problem, **nothing, return_sequences=return_sequences)._replace(d_outputs=d_outputs)
        )
        assert results["outputs"].shape == d_outputs.shape
        assert not results["outputs"].any()
        assert results["d_inputs"].shape == (0, 4)
        assert not results["d_kernel"].any()
        assert not results["d_recurrent_kernel"].any()
        assert same_bits(results["states[0]"], problem.arguments["initial_states"][0])
        assert same_bits(results["d_states[0]"], problem.d_states[0])
