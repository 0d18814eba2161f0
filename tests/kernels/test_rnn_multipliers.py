"""Dropout and zoneout inside the recurrent kernels: against the reference, and to the bit where promised."""

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DROPOUTS,
    DTYPES,
    ISAS,
    PATHS,
    Case,
    assert_matches_reference,
    assert_same_bits,
    by_name,
    kernel_forward,
    kernel_results,
    of_rows,
    per_row,
    replaced,
    same_bits,
    without,
)
from tests.reference import recurrent

from timeloom import _core

each_cell = pytest.mark.parametrize("cell", CELLS)
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)

MULTIPLIERS = [
    {"input_dropout": True},
    {"recurrent_dropout": True},
    {"input_dropout": True, "recurrent_dropout": True},
    {"zoneout": "rate"},
    {"zoneout": "multipliers"},
    {"zoneout": "mixed"},
    {"input_dropout": True, "recurrent_dropout": True, "zoneout": "multipliers"},
]
each_kind = pytest.mark.parametrize("multipliers", MULTIPLIERS, ids=lambda kind: "+".join(map(str, kind)))
# The last one has several chunks of weight gradients, the one before units over a K block.
SIZES = [(1, 1, 1, 1), (3, 7, 5, 9), (8, 2, 28, 17), (3, 4, 28, 70), (37, 30, 2, 8)]
SETTINGS = [
    {},
    {"mask": "holes"},
    {"mask": "left", "go_backwards": True, "zero_output_for_mask": True},
    {"lengths": True, "go_backwards": True, "keep_time_order": True},
    {"packed": True, "return_sequences": False},
    {"packed": True, "go_backwards": True},
    {"return_sequences": False, "bias": False, "initial_states": False, "upstream": "outputs"},
    {"mask": "no row"},
    {"mask": "some rows", "upstream": "states", "activation": "relu", "recurrent_activation": "hard_sigmoid"},
]


def check(case, isa, dtype):
    actual = kernel_results(case.problem.as_type(dtype), isa=isa)
    assert {value.dtype for value in actual.values()} == {np.dtype(dtype)}
    assert_matches_reference(actual, case)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@each_kind
@each_dtype
@each_isa
@each_cell
def test_every_kind_and_size(cell, isa, dtype, multipliers, size):
    check(Case(cell, *size, **multipliers), isa, dtype)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@each_kind
@each_dtype
@each_isa
@each_cell
def test_every_kind_and_setting(cell, isa, dtype, multipliers, setting):
    check(Case(cell, 5, 6, 3, 9, **setting, **multipliers), isa, dtype)


@pytest.mark.parametrize("setting", [{}, {"mask": "holes", "go_backwards": True}], ids=str)
@pytest.mark.parametrize("multipliers", [MULTIPLIERS[1], MULTIPLIERS[-1]], ids=lambda kind: "+".join(kind))
@each_dtype
@each_isa
@each_cell
def test_threads_paths_and_blocks_change_no_bit(cell, isa, dtype, multipliers, setting):
    problem = Case(cell, 17, 60, 3, 17, **setting, **multipliers).problem.as_type(dtype)
    expected = kernel_results(problem, threads=1, isa=isa)
    for place, path in enumerate(PATHS):
        for threads, k_block in (((1, 0), (8, 64)), ((2, 8), (3, 0)))[place % 2]:
            actual = kernel_results(problem, threads=threads, isa=isa, path=path, k_block=k_block)
            assert_same_bits(actual, expected)


@each_kind
@each_isa
@each_cell
def test_inference_gives_the_bits_of_training(cell, isa, multipliers):
    for batch in (7, 18):
        arguments = Case(cell, batch, 20, 5, 17, **multipliers).problem.as_type(np.float32).arguments
        *kept, _ = kernel_forward(arguments, _isa=isa)
        *plain, _ = kernel_forward(arguments, keep=False, _isa=isa)
        assert_same_bits(by_name(*plain), by_name(*kept))


@each_kind
@each_cell
def test_cache_serves_more_than_one_backward(cell, multipliers):
    problem = Case(cell, 5, 6, 3, 9, mask="holes", **multipliers).problem
    *_, cache = kernel_forward(problem.arguments)
    first = _core.rnn_backward(cache, problem.d_outputs, problem.d_states)
    _core.rnn_backward(cache, None, problem.d_states)
    d_inputs, *others = _core.rnn_backward(cache, problem.d_outputs, problem.d_states, need_inputs=False)
    assert d_inputs is None
    assert_same_bits(by_name(first[0], (), (first[0], *others)), by_name(first[0], (), first))


@pytest.mark.parametrize("mask", [None, "holes"])
@each_kind
@each_dtype
@each_isa
@each_cell
def test_other_rows_and_their_order_are_irrelevant(cell, isa, dtype, multipliers, mask):
    problem = Case(cell, 11, 7, 5, 17, mask=mask, **multipliers).problem.as_type(dtype)
    expected = kernel_results(problem, isa=isa)
    order = np.random.default_rng(1).permutation(11)
    assert_same_bits(per_row(kernel_results(of_rows(problem, order), isa=isa)), per_row(expected, order))
    for row in (0, 5):
        alone = kernel_results(of_rows(problem, slice(row, row + 1)), isa=isa)
        assert_same_bits(per_row(alone), per_row(expected, slice(row, row + 1)))


@each_kind
@each_dtype
@each_isa
@each_cell
def test_split_sequence_is_the_whole(cell, isa, dtype, multipliers):
    problem = Case(cell, 7, 20, 5, 17, upstream="states", **multipliers).problem.as_type(dtype)
    arguments = problem.arguments
    outputs, states, cache = kernel_forward(arguments, _isa=isa)
    d_whole = _core.rnn_backward(cache, None, problem.d_states)

    def part(steps, initial):
        cut = {"inputs": np.ascontiguousarray(arguments["inputs"][:, steps]), "initial_states": initial}
        if "zoneout" in arguments:
            cut["zoneout"] = tuple(
                np.ascontiguousarray(z[:, steps]) if np.ndim(z) else z for z in arguments["zoneout"]
            )
        return kernel_forward({**arguments, **cut}, _isa=isa)

    first, carried, first_cache = part(slice(0, 8), arguments["initial_states"])
    second, last, second_cache = part(slice(8, 20), carried)
    assert_same_bits(by_name(np.concatenate([first, second], axis=1), last), by_name(outputs, states))
    d_second = _core.rnn_backward(second_cache, None, problem.d_states)
    d_first = _core.rnn_backward(first_cache, None, d_second[4])
    assert same_bits(np.concatenate([d_first[0], d_second[0]], axis=1), d_whole[0])
    assert all(same_bits(a, b) for a, b in zip(d_first[4], d_whole[4], strict=True))


@each_dtype
@each_isa
@each_cell
def test_multipliers_of_one_are_no_dropout(cell, isa, dtype):
    problem = Case(cell, 7, 20, 5, 17, mask="right").problem.as_type(dtype)
    gates = (_core.rnn_cells()[cell]["input_gates"], _core.rnn_cells()[cell]["state_gates"])
    ones = {
        "input_dropout": np.ones((gates[0], 7, 5), dtype),
        "recurrent_dropout": np.ones((gates[1], 7, 17), dtype),
    }
    expected = kernel_results(problem, isa=isa)
    actual = kernel_results(replaced(problem, **ones), isa=isa)
    names = [name for name in expected if name.startswith(("outputs", "states"))]
    assert_same_bits({n: actual[n] for n in names}, {n: expected[n] for n in names})
    for name, value in expected.items():
        if name not in names:  # a product of each gate is rounded apart, so the gradients differ by roundings
            np.testing.assert_allclose(
                actual[name], value, rtol=0, atol=200 * np.finfo(dtype).eps * np.abs(value).max(initial=0)
            )


@each_dtype
@each_isa
@each_cell
def test_zoneout_of_a_rate_is_that_of_an_array_of_it(cell, isa, dtype):
    problem = Case(cell, 7, 20, 5, 17, mask="holes", zoneout="rate").problem.as_type(dtype)
    arrays = tuple(np.full((7, 20, 17), rate, dtype) for rate in problem.arguments["zoneout"])
    assert_same_bits(
        kernel_results(replaced(problem, zoneout=arrays), isa=isa), kernel_results(problem, isa=isa)
    )


@each_dtype
@each_isa
@each_cell
def test_zoneout_of_zero_is_none_and_of_one_keeps_the_state(cell, isa, dtype):
    problem = Case(cell, 5, 6, 3, 9, zoneout="rate").problem.as_type(dtype)
    states = recurrent.CELLS[cell].states
    plain = kernel_results(without(problem, "zoneout"), isa=isa)
    for nothing in (0.0, np.zeros((5, 6, 9), dtype), None):
        actual = kernel_results(replaced(problem, zoneout=(nothing,) * states), isa=isa)
        assert all(np.array_equal(actual[name], value) for name, value in plain.items())
    for whole in (1.0, np.ones((5, 6, 9), dtype)):
        actual = kernel_results(replaced(problem, zoneout=(whole,) * states), isa=isa)
        for place, state in enumerate(problem.arguments["initial_states"]):
            assert np.array_equal(actual[f"states[{place}]"], state)
        assert not actual["d_kernel"].any()
        assert not actual["d_inputs"].any()


@each_isa
@each_cell
def test_what_stands_at_masked_steps_is_never_read(cell, isa):
    problem = Case(cell, 9, 12, 5, 17, mask="holes", zoneout="multipliers").problem.as_type(np.float32)
    expected = kernel_results(problem, isa=isa)
    masked = ~problem.arguments["mask"][..., None]
    for filling in (np.nan, np.inf, 7.0):
        zoneout = tuple(np.where(masked, np.float32(filling), z) for z in problem.arguments["zoneout"])
        inputs = np.where(masked, np.float32(filling), problem.arguments["inputs"])
        for path in PATHS:
            actual = kernel_results(replaced(problem, zoneout=zoneout, inputs=inputs), isa=isa, path=path)
            assert_same_bits(actual, expected)


@pytest.mark.parametrize(("cell", "name"), [*DROPOUTS, *((cell, "zoneout") for cell in CELLS)])
@each_isa
def test_nan_among_multipliers_stays_in_its_row(cell, isa, name):
    options = {name: "multipliers" if name == "zoneout" else True}
    problem = Case(cell, 9, 6, 5, 17, **options).problem.as_type(np.float32)
    if name == "zoneout":
        first = problem.arguments["zoneout"][0].copy()
        first[4, 2] = np.nan
        spoilt = replaced(problem, zoneout=(first, *problem.arguments["zoneout"][1:]))
    else:
        array = problem.arguments[name].copy()
        array[:, 4, 1] = np.nan
        spoilt = replaced(problem, **{name: array})
    others = np.delete(np.arange(9), 4)
    for path in PATHS:
        actual = kernel_results(spoilt, isa=isa, path=path)
        expected = kernel_results(problem, isa=isa, path=path)
        assert_same_bits(per_row(actual, others), per_row(expected, others))
        assert np.isnan(actual["outputs"][4, -1]).all()


@pytest.mark.parametrize("threads", [1, 2])
@each_isa
@each_cell
def test_denormal_multipliers_are_zero(cell, isa, threads):
    problem = Case(cell, 3, 4, 5, 9, input_dropout=True, recurrent_dropout=True).problem.as_type(np.float32)
    tiny = np.finfo(np.float32).smallest_normal / 2
    huge = {name: problem.arguments[name] * np.float32(1e34) for name in ("kernel", "recurrent_kernel")}
    results = []
    for value in (tiny, 0):
        names = ("input_dropout", "recurrent_dropout")
        filled = {name: np.full_like(problem.arguments[name], value) for name in names}
        arguments = {**problem.arguments, **huge, **filled}
        outputs, states, _ = kernel_forward(arguments, _isa=isa, _threads=threads)
        results.append(by_name(outputs, states))
    assert_same_bits(*results)
