import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeloom.data import bucket_by_length
from timeloom.utils import set_random_seed

LENGTHS = st.lists(st.integers(0, 30) | st.just(10**15), max_size=40)


def as_lists(batches):
    return [batch.tolist() for batch in batches]


@settings(deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9))
def test_without_shuffling_it_is_a_stable_sort_cut_up(lengths, batch_size):
    batches = bucket_by_length(lengths, batch_size, shuffle=False)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    assert as_lists(batches) == [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    assert all(batch.dtype == np.int64 for batch in batches)


@settings(deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), seed=st.integers(0, 2**70))
def test_shuffled_batches_hold_the_lengths_of_the_sorted_ones(lengths, batch_size, seed):
    batches = bucket_by_length(lengths, batch_size, seed=seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    ordered = sorted(lengths)
    expected = [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    assert sorted([lengths[index] for index in batch] for batch in batches) == sorted(expected)
    assert as_lists(bucket_by_length(lengths, batch_size, seed=seed)) == as_lists(batches)


def test_seeds_give_other_orders_of_batches_and_of_equal_lengths():
    lengths = [3] * 20 + [5] * 20
    orders = {str(as_lists(bucket_by_length(lengths, 10, seed=seed))) for seed in range(5)}
    assert len(orders) == 5
    starts = {lengths[bucket_by_length(lengths, 10, seed=seed)[0][0]] for seed in range(20)}
    assert starts == {3, 5}


def test_without_a_seed_set_random_seed_decides():
    set_random_seed(3)
    first = as_lists(bucket_by_length(range(50), 4))
    assert as_lists(bucket_by_length(range(50), 4)) != first
    set_random_seed(3)
    assert as_lists(bucket_by_length(range(50), 4)) == first


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        ([1, -1], {}, "lengths: expected integers of at least 0, got -1"),
        ([1.5], {}, "lengths: expected integers along one axis, got float64"),
        ([[1]], {}, "lengths: expected integers along one axis"),
        ([1], {"batch_size": 0}, "batch_size: expected a positive integer, got 0"),
        ([1], {"seed": -1}, "seed: expected None or an integer of at least 0, got -1"),
        ([1], {"seed": 1.5}, "seed: expected None or an integer of at least 0, got 1.5"),
        ([1], {"shuffle": "yes"}, "shuffle: expected True or False, got 'yes'"),
    ],
)
def test_bucket_by_length_refuses(lengths, options, message):
    with pytest.raises(ValueError, match=message):
        bucket_by_length(lengths, **{"batch_size": 2, **options})
