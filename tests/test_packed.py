import numpy as np
import pytest

from timeloom import GradientTape, Packed, ops

GENERATOR = np.random.default_rng(0)
LENGTHS = [3, 0, 1, 5]


def sequences(dtype="float32"):
    return [GENERATOR.normal(size=(length, 2)).astype(dtype) for length in LENGTHS]


def test_sequences_come_back_as_they_went_in():
    given = sequences()
    packed = Packed.from_sequences(given)
    assert (packed.shape, packed.ndim, packed.dtype, len(packed)) == ((4, None, 2), 3, np.float32, 4)
    assert packed.lengths.dtype == np.int64
    assert packed.offsets.tolist() == [0, 3, 3, 4, 9]
    for part, sequence in zip(packed.split(), given, strict=True):
        np.testing.assert_array_equal(part, sequence)
    for part, sequence in zip(packed, given, strict=True):
        np.testing.assert_array_equal(part, sequence)
    assert np.shares_memory(packed.split()[0], packed.values)


def test_pad_fills_behind_and_says_what_is_real():
    packed = Packed(np.arange(3), [1, 0, 2])
    padded, mask = packed.pad(7)
    assert padded.tolist() == [[0, 7], [7, 7], [1, 2]]
    assert mask.tolist() == [[True, False], [False, False], [True, True]]
    assert padded.dtype == packed.dtype
    assert mask.dtype == bool
    np.testing.assert_array_equal(padded[mask], packed.values)


def test_parts_are_chosen_as_rows_of_an_array_are():
    given = sequences()
    packed = Packed.from_sequences(given)
    np.testing.assert_array_equal(packed[-1], given[3])
    for index in (slice(1, 3), slice(None), slice(3, 1), slice(None, None, -1), slice(0, 4, 2)):
        expected = given[index]
        found = packed[index]
        assert found.lengths.tolist() == [len(row) for row in expected]
        for part, sequence in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, sequence)
    rows = np.array([3, 0, 3])
    np.testing.assert_array_equal(packed[rows].values, np.concatenate([given[i] for i in rows]))
    assert packed.take(np.empty(0, int)).shape == (0, None, 2)
    with pytest.raises(IndexError):
        packed[4]


@pytest.mark.parametrize(
    "rows",
    [
        [-2],
        [-1, 0, -4],
        (3, 1),
        [],
        (),
        [True, False, False, True],
        np.array([False, True, False, False]),
        np.zeros(4, bool),
        np.array([3, 0], np.uint64),
        np.array([-3], np.int8),
    ],
)
def test_rows_mean_what_they_mean_for_an_array(rows):
    given = sequences()
    packed = Packed.from_sequences(given)
    expected = [given[place] for place in np.arange(4)[list(rows) if len(rows) else []]]
    with GradientTape() as tape:
        handle = tape.watch(packed.values)
        traced = packed.with_values(handle).take(rows).values
    found = packed.take(rows)
    assert found.lengths.tolist() == [len(row) for row in expected]
    joined = np.concatenate([*expected, np.empty((0, 2), np.float32)])
    np.testing.assert_array_equal(found.values, joined)
    np.testing.assert_array_equal(traced, joined)
    if not isinstance(rows, tuple):
        np.testing.assert_array_equal(packed[rows].values, joined)


def test_rows_that_are_none_are_refused():
    packed = Packed.from_sequences(sequences())
    for outside in ([4], [0, -5], np.array([2**63], np.uint64)):
        with pytest.raises(IndexError, match="rows: expected places among 4 sequences, got"):
            packed.take(outside)
    with pytest.raises(IndexError, match="rows: expected 4 bools, one for each sequence, got 3"):
        packed.take([True, False, True])
    for wrong in ([1.0], np.empty(0), 1, None, "a", [[0, 1]], [0, None]):
        with pytest.raises(TypeError, match="rows: expected a row of integers or bools, got shape"):
            packed.take(wrong)
    for index in (4, -5, np.int64(4), np.array(4)):
        with pytest.raises(IndexError, match="index: expected a place among 4 sequences, got"):
            packed[index]
    for index in ((0, 1), True, None, 1.0):
        with pytest.raises(TypeError, match=r"(index|rows): expected"):
            packed[index]
    np.testing.assert_array_equal(packed[np.array(2)], packed[2])


def test_gradients_pass_through_padding_and_choosing():
    values = GENERATOR.normal(size=(3, 2))
    weights = GENERATOR.normal(size=(2, 2, 2))
    with GradientTape() as tape:
        handle = tape.watch(values)
        packed = Packed(handle, [1, 2])
        padded, _ = packed[np.array([1, 0])].pad()
        loss = ops.sum(padded * weights)
    np.testing.assert_array_equal(tape.gradient(loss, handle), [weights[1, 0], weights[0, 0], weights[0, 1]])


def test_lengths_and_shapes_that_do_not_fit_are_refused():
    for lengths in ([1, 1], [4], [-1, 4], 3, [[3]]):
        with pytest.raises(ValueError, match=r"(lengths|values): expected"):
            Packed(np.zeros((3, 2)), lengths)
    with pytest.raises(TypeError, match="lengths: expected integers, got dtype float64"):
        Packed(np.zeros(3), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"values: expected 0 timesteps, .* got a single number"):
        Packed(np.float64(1.0), [])
    with pytest.raises(ValueError, match="sequences: expected at least one, got none"):
        Packed.from_sequences([])
    with pytest.raises(ValueError, match=r"sequences\[1\]: expected shape \[timesteps, 2\], got \(1, 3\)"):
        Packed.from_sequences([np.zeros((3, 2)), np.zeros((1, 3))])
    with pytest.raises(TypeError, match=r"sequences\[0\]: expected real numbers, got dtype <U1"):
        Packed.from_sequences([np.array(["a"])])
    packed = Packed(np.zeros((3, 2)), [1, 2])
    assert packed.with_values(np.ones((3, 4))).shape == (2, None, 4)
    with pytest.raises(ValueError, match="values: expected 3 timesteps, got shape"):
        packed.with_values(np.ones((4, 2)))


def test_lengths_whose_sum_wraps_around_are_refused():
    # In 64 bits these add up to 0, 0 and 2.
    for lengths in ([2**62] * 4, np.array([2**63, 2**63], np.uint64), np.array([2**64 - 1, 3], np.uint64)):
        total = sum(int(length) for length in lengths)
        with pytest.raises(ValueError, match=f"values: expected {total} timesteps, the sum of lengths, got"):
            Packed(np.zeros((total % 2**64, 2)), lengths)


def test_lengths_are_a_copy():
    lengths = np.array([1, 2])
    packed = Packed(np.arange(3.0), lengths)
    lengths[:] = [2, 1]
    assert packed.lengths.tolist() == [1, 2]
    assert [len(row) for row in packed.split()] == [1, 2]


def test_padding_is_a_number_of_the_dtype():
    for values, wrong in (
        (np.arange(3), np.nan),
        (np.arange(3), 0.5),
        (np.arange(3, dtype="uint8"), 300),
        (np.arange(3, dtype="uint8"), -1),
        (np.arange(3, dtype="int32"), np.inf),
        (np.arange(3) > 0, 2),
    ):
        with pytest.raises(ValueError, match=f"value: expected a number that {values.dtype} holds"):
            Packed(values, [1, 2]).pad(wrong)
    for wrong in ("a", None, [1.0, 2.0], 1j):
        with pytest.raises(ValueError, match="value: expected a number, got"):
            Packed(np.zeros(3), [1, 2]).pad(wrong)
    assert np.isnan(Packed(np.arange(3.0), [1, 2]).pad(np.nan)[0][0, 1])
    padded, _ = Packed(np.arange(3, dtype="uint8"), [1, 2]).pad(255.0)
    assert (padded.dtype, padded.tolist()) == (np.uint8, [[0, 255], [1, 2]])


def test_numbers_are_taken_out_only_by_name():
    with pytest.raises(TypeError, match=r"Packed: expected pad\(\), split\(\) or values"):
        np.asarray(Packed(np.zeros(2), [1, 1]))
