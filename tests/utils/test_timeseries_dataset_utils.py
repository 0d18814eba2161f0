import numpy as np
import pytest

from timeloom.utils import set_random_seed, timeseries_dataset_from_array

DATA = np.arange(40.0).reshape(20, 2)


def naive(data, targets, length, stride=1, rate=1, start=0, end=None):
    """Every window that lies in data[start:end] and has a target, one at a time."""
    end = len(data) if end is None else end
    pairs = []
    for first in range(start, end, stride):
        fits = first + (length - 1) * rate < end
        if fits and (targets is None or first < len(targets)):
            pairs.append((data[first : first + (length - 1) * rate + 1 : rate], first))
    return pairs


@pytest.mark.parametrize("arguments", [(3,), (3, 2), (3, 2, 2), (1, 5, 7), (20,)])
@pytest.mark.parametrize("area", [(0, None), (2, None), (2, 15), (5, 20)])
@pytest.mark.parametrize("batch_size", [1, 4, 128])
def test_batches_hold_every_window(arguments, area, batch_size):
    targets = np.arange(17) * 10
    expected = naive(DATA, targets, *arguments, *([1] * (3 - len(arguments))), *area)
    names = dict(zip(("sequence_length", "sequence_stride", "sampling_rate"), arguments, strict=False))
    options = {**names, "start_index": area[0], "end_index": area[1], "batch_size": batch_size}
    batches = list(timeseries_dataset_from_array(DATA, targets, **options))
    assert len(batches) == len(timeseries_dataset_from_array(DATA, targets, **options))
    assert [len(x) for x, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    windows = [window for x, _ in batches for window in x]
    assert [y for _, batch in batches for y in batch] == [targets[first] for _, first in expected]
    np.testing.assert_array_equal(windows, [window for window, _ in expected])


def test_without_targets_and_without_batches():
    windows = list(timeseries_dataset_from_array(DATA, None, 19, batch_size=None))
    np.testing.assert_array_equal(windows, [DATA[:19], DATA[1:]])
    assert len(timeseries_dataset_from_array(DATA, None, 19, batch_size=None)) == 2
    assert list(timeseries_dataset_from_array(DATA, None, 21)) == []


def test_shuffle_gives_a_new_order_each_epoch_and_the_same_ones_again():
    def epochs(seed):
        dataset = timeseries_dataset_from_array(DATA, np.arange(20), 2, batch_size=5, shuffle=True, seed=seed)
        return [np.concatenate([y for _, y in dataset]).tolist() for _ in range(2)]

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(19))
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first
    set_random_seed(5)
    drawn = epochs(None)
    set_random_seed(5)
    assert epochs(None) == drawn


def test_shuffled_windows_keep_their_targets():
    for x, y in timeseries_dataset_from_array(DATA, DATA[:, 0], 2, shuffle=True, seed=0):
        np.testing.assert_array_equal(x[:, 0, 0], y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length: expected a positive integer, got 0"),
        ({"sequence_stride": 0}, "sequence_stride: expected a positive integer, got 0"),
        ({"sampling_rate": 0}, "sampling_rate: expected a positive integer, got 0"),
        ({"batch_size": 0}, "batch_size: expected a positive integer, got 0"),
        ({"start_index": -1}, "start_index: expected an integer of at least 0, got -1"),
        ({"start_index": 20}, "expected 0 <= start_index < end_index <= 20, got 20 and 20"),
        ({"end_index": 21}, "expected 0 <= start_index < end_index <= 20, got 0 and 21"),
        ({"start_index": 5, "end_index": 5}, "got 5 and 5"),
        ({"seed": "a", "shuffle": True}, "seed: expected None or an integer"),
        ({"shuffle": 3}, "shuffle: expected True or False"),
        ({"data": 3}, r"data: expected \[timesteps, ...\], got a single int64"),
        ({"targets": 3}, r"targets: expected \[timesteps, ...\], got a single int64"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        timeseries_dataset_from_array(**{"data": DATA, "targets": None, "sequence_length": 2, **options})


def test_steps_that_are_never_taken_may_be_huge():
    (batch,) = timeseries_dataset_from_array(DATA, None, 1, sequence_stride=10**30, sampling_rate=10**30)
    np.testing.assert_array_equal(batch, DATA[:1, np.newaxis])
    assert list(timeseries_dataset_from_array(DATA, None, 10**30)) == []
