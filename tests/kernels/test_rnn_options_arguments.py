"""What the recurrent kernels refuse of masks, lengths, packed inputs and multipliers, and what they say."""

import numpy as np
import pytest
from tests.kernels.cases import (
    CELLS,
    DROPOUTS,
    Case,
    assert_same_bits,
    kernel_forward,
    kernel_results,
    replaced,
)
from tests.kernels.spoilt import SPOILT, says

each_cell = pytest.mark.parametrize("cell", CELLS)
BATCH, TIMESTEPS, FEATURES, UNITS = 3, 4, 5, 6


def problem_of(cell="lstm", **options):
    return Case(cell, BATCH, TIMESTEPS, FEATURES, UNITS, **options).problem.as_type(np.float32)


def refused(problem, kind, words, **arguments):
    """The call raises, and the next one on the same arrays is as it would have been."""
    with pytest.raises(kind, match=words):
        kernel_forward({**problem.arguments, **arguments})


VALID = np.ones((BATCH, TIMESTEPS), bool)


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        (VALID.astype(np.float32), TypeError),
        (VALID.astype(np.int64), TypeError),
        (VALID.astype(object), TypeError),
        (VALID.astype(str), TypeError),
        (VALID.tolist(), TypeError),
        (True, TypeError),
        (VALID[:, :3], ValueError),
        (VALID[:2], ValueError),
        (np.ones((BATCH, TIMESTEPS + 1), bool), ValueError),
        (np.ones((BATCH + 1, TIMESTEPS), bool), ValueError),
        (VALID[..., None], ValueError),
        (VALID[0], ValueError),
        (np.array(True), ValueError),
        (VALID.T, ValueError),
    ],
    ids=lambda value: f"{getattr(value, 'dtype', '')}{getattr(value, 'shape', value)}",
)
def test_mask_of_another_kind_or_shape_is_refused(mask, kind):
    refused(problem_of(), kind, says("mask"), mask=mask)


@each_cell
def test_mask_in_another_layout_gives_the_same_or_is_refused(cell):
    problem = problem_of(cell, mask="holes")
    mask = problem.arguments["mask"]
    spread = np.repeat(mask, 2, axis=1)[:, ::2]
    for other in (np.asfortranarray(mask), spread, mask[:, ::-1][:, ::-1]):
        assert np.array_equal(other, mask)
        try:
            actual = kernel_results(replaced(problem, mask=other))
        except ValueError as error:
            assert str(error).startswith("mask: expected ")  # noqa: PT017
        else:
            assert_same_bits(actual, kernel_results(problem))


@each_cell
def test_mask_of_bytes_counts_whatever_is_not_zero(cell):
    problem = problem_of(cell, mask="holes")
    mask = problem.arguments["mask"]
    expected = kernel_results(problem)
    for one in (1, 2, 255):
        assert_same_bits(
            kernel_results(replaced(problem, mask=mask.astype(np.uint8) * np.uint8(one))), expected
        )
    strange = np.frombuffer((mask * 7).astype(np.uint8).tobytes(), bool).reshape(mask.shape)
    assert_same_bits(kernel_results(replaced(problem, mask=strange)), expected)


@pytest.mark.parametrize(
    ("lengths", "kind"),
    [
        (np.array([1.0, 2.0, 3.0]), TypeError),
        (np.array([True, True, False]), TypeError),
        (np.array([1, 2, 3], object), TypeError),
        ([1, 2, 3], TypeError),
        (3, TypeError),
        (np.array([1, 2]), ValueError),
        (np.array([1, 2, 3, 4]), ValueError),
        (np.array([[1], [2], [3]]), ValueError),
        (np.array(3), ValueError),
        (np.array([1, -1, 3]), ValueError),
        (np.array([1, 5, 3]), ValueError),
        (np.array([1, 2**62, 3]), ValueError),
        (np.array([1, -(2**63), 3]), ValueError),
    ],
    ids=str,
)
def test_lengths_of_another_kind_or_out_of_range_are_refused(lengths, kind):
    refused(problem_of(), kind, says("lengths.*"), lengths=lengths)


def test_mask_and_lengths_together_are_refused():
    refused(problem_of(), ValueError, says("(mask|lengths)"), mask=VALID, lengths=np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("arguments", "kind", "blamed"),
    [
        ({"lengths": None}, ValueError, "(inputs|lengths)"),
        ({"lengths": np.array([1, 2, 3])}, ValueError, "(inputs|lengths)"),
        ({"lengths": np.array([4, 4, 4])}, ValueError, "(inputs|lengths)"),
        ({"lengths": np.array([8, -2, 1])}, ValueError, "lengths.*"),
        (
            {"lengths": np.array([2**62, 2**62, 2**62, 2**62]) * 1},
            ValueError,
            "(inputs|lengths|initial_states).*",
        ),
        ({"lengths": np.array([2**63 - 1, 2**63 - 1, 9])}, ValueError, "(inputs|lengths)"),
        ({"mask": VALID}, ValueError, "(mask|lengths)"),
        ({"mask": VALID, "lengths": None}, ValueError, "(inputs|mask|lengths)"),
        ({"inputs": np.ones((7, FEATURES + 1), np.float32)}, ValueError, "(inputs|kernel)"),
        ({"inputs": np.ones((6, FEATURES), np.float32)}, ValueError, "(inputs|lengths)"),
        ({"inputs": np.ones((7, 0), np.float32)}, ValueError, "(inputs|kernel)"),
        ({"inputs": np.ones(7, np.float32)}, ValueError, "inputs"),
        ({"inputs": np.ones((7, FEATURES), np.float64)}, TypeError, ".*"),
        ({"inputs": np.ones((FEATURES, 7), np.float32).T}, ValueError, "inputs"),
    ],
    ids=str,
)
@each_cell
def test_packed_inputs_that_do_not_fit_are_refused(cell, arguments, kind, blamed):
    problem = problem_of(cell, packed=True)
    packed = {"inputs": np.ones((7, FEATURES), np.float32), "lengths": np.array([4, 0, 3])}
    kernel_forward({**problem.arguments, **packed})
    given = {**packed, **arguments}
    given = {name: value for name, value in given.items() if value is not None}
    rest = {name: value for name, value in problem.arguments.items() if name not in ("inputs", "lengths")}
    with pytest.raises(kind, match=says(blamed)):
        kernel_forward({**rest, **given})


@each_cell
def test_gradients_of_a_packed_batch_are_packed(cell):
    problem = problem_of(cell, packed=True)
    total = len(problem.arguments["inputs"])
    for shape in ((BATCH, TIMESTEPS, UNITS), (total + 1, UNITS), (total, UNITS + 1), (BATCH, UNITS)):
        if shape != (total, UNITS):
            with pytest.raises(ValueError, match=says("d_outputs")):
                kernel_results(problem._replace(d_outputs=np.ones(shape, np.float32)))


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize(("cell", "name"), DROPOUTS)
def test_multipliers_of_dropout_that_do_not_fit_are_refused(cell, name, fault):
    problem = problem_of(cell, **{name: True})
    kind, spoil = SPOILT[fault]
    refused(problem, kind, says(name), **{name: spoil(problem.arguments[name])})


@pytest.mark.parametrize("name", ["input_dropout", "recurrent_dropout"])
@pytest.mark.parametrize("value", [0.5, [[[1.0]]], "half"])
def test_dropout_that_is_no_array_is_refused(name, value):
    refused(problem_of(), TypeError, says(name), **{name: value})


@pytest.mark.parametrize("options", [{}, {"packed": True}], ids=["dense", "packed"])
@pytest.mark.parametrize("fault", SPOILT)
@each_cell
def test_multipliers_of_zoneout_that_do_not_fit_are_refused(cell, fault, options):
    problem = problem_of(cell, zoneout="multipliers", **options)
    kind, spoil = SPOILT[fault]
    *others, last = problem.arguments["zoneout"]
    refused(problem, kind, says("zoneout.*"), zoneout=(*others, spoil(last)))


@pytest.mark.parametrize(
    ("zoneout", "kind"),
    [
        ((), ValueError),
        ((0.1,), ValueError),
        ((0.1, 0.1, 0.1), ValueError),
        ((0.1, -0.1), ValueError),
        ((0.1, 1.5), ValueError),
        ((0.1, np.inf), ValueError),
        ((0.1, np.nan), ValueError),
        ((0.1, "half"), TypeError),
        (0.1, TypeError),
        ({0.1, 0.2}, TypeError),
    ],
    ids=str,
)
def test_rates_of_zoneout_that_do_not_fit_are_refused(zoneout, kind):
    refused(problem_of("lstm"), kind, says("zoneout.*"), zoneout=zoneout)


@each_cell
def test_empty_batch_with_every_option(cell):
    problem = problem_of(
        cell, input_dropout=True, recurrent_dropout=True, zoneout="multipliers", lengths=True
    )
    arguments = dict(problem.arguments)
    for name in ("input_dropout", "recurrent_dropout"):
        arguments[name] = np.ascontiguousarray(arguments[name][:, :0])
    for name in ("initial_states", "zoneout"):
        arguments[name] = tuple(array[:0] for array in arguments[name])
    for name in ("inputs", "lengths"):
        arguments[name] = arguments[name][:0]
    d_states = tuple(state[:0] for state in problem.d_states)
    empty = problem._replace(arguments=arguments, d_outputs=problem.d_outputs[:0], d_states=d_states)
    results = kernel_results(empty)
    assert results["outputs"].shape == (0, TIMESTEPS, UNITS)
    assert results["d_inputs"].shape == (0, TIMESTEPS, FEATURES)
    assert not results["d_kernel"].any()


@pytest.mark.parametrize("name", ["zero_output_for_mask", "keep_time_order"])
@pytest.mark.parametrize("value", ["yes", 2.5, None])
def test_flag_that_is_no_bool_is_refused(name, value):
    with pytest.raises(TypeError):
        kernel_forward({**problem_of().arguments, name: value})
