import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeloom.data import windows


@settings(deadline=None)
@given(
    timesteps=st.integers(1, 40),
    step=st.sampled_from([(), (1,), (3,), (2, 2)]),
    length=st.integers(1, 8),
    stride=st.integers(1, 6),
    rate=st.integers(1, 4),
    offset=st.integers(0, 5),
    backwards=st.booleans(),
    copy=st.booleans(),
)
def test_windows_equal_slices(timesteps, step, length, stride, rate, offset, backwards, copy):
    series = np.random.default_rng(0).standard_normal((timesteps, *step))
    if backwards:
        series = series[::-1]
    targets = np.arange(timesteps) * 10
    span = (length - 1) * rate + 1
    starts = [s for s in range(0, timesteps, stride) if s + span <= timesteps]
    if not starts:
        with pytest.raises(ValueError, match=f"series: expected at least {span} timesteps"):
            windows(series, length, stride, rate)
        return
    result = windows(series, length, stride, rate, copy=copy)
    expected = np.array([series[s : s + span : rate] for s in starts])
    np.testing.assert_array_equal(result, expected, strict=True)
    assert np.shares_memory(result, series) != copy
    assert result.flags.writeable == copy
    if copy:
        assert result.flags.c_contiguous
    starts = [s for s in starts if s + span - 1 + offset < timesteps]
    if starts:
        inputs, outputs = windows(series, length, stride, rate, targets, offset, copy)
        np.testing.assert_array_equal(inputs, expected[: len(starts)], strict=True)
        assert outputs.tolist() == [targets[s + span - 1 + offset] for s in starts]
        assert not np.shares_memory(outputs, targets)


def test_steps_that_are_never_taken_may_be_huge():
    assert windows(np.arange(5), 2, stride=10**30).tolist() == [[0, 1]]
    assert windows(np.arange(5), 1, sampling_rate=10**30, stride=4).tolist() == [[0], [4]]
    assert windows(np.ones((5, 2)), 1, sampling_rate=10**30).shape == (5, 1, 2)


HUGE = np.broadcast_to(np.float32(0), (10**9,))


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        (np.arange(3), {"length": 4}, ValueError, "series: expected at least 4 timesteps .* got 3"),
        (np.arange(3), {"length": 10**30}, ValueError, "series: expected at least 10+ timesteps"),
        (np.arange(3), {"length": 2, "sampling_rate": 10**30}, ValueError, "series: expected at least"),
        (np.arange(0), {}, ValueError, "series: expected at least 2 timesteps .* got 0"),
        (np.arange(3), {"length": 0}, ValueError, "length: expected a positive integer, got 0"),
        (np.arange(3), {"stride": 0}, ValueError, "stride: expected a positive integer, got 0"),
        (np.arange(3), {"sampling_rate": -1}, ValueError, "sampling_rate: expected a positive integer"),
        (np.arange(3), {"copy": "no"}, ValueError, "copy: expected True or False, got 'no'"),
        (5, {}, ValueError, r"series: expected \[timesteps, ...\], got a single int64"),
        ([[1], [2, 3]], {}, ValueError, "series: expected an array, got lists of unequal lengths"),
        (np.arange(3), {"targets": np.arange(2)}, ValueError, "targets: expected 3 timesteps .* got 2"),
        (np.arange(3), {"targets": np.arange(3), "target_offset": 2}, ValueError, "at least 4 timesteps"),
        (np.arange(3), {"targets": np.arange(3), "target_offset": -1}, ValueError, "target_offset: expected"),
        (HUGE, {"length": 10**8}, MemoryError, "series: expected windows that fit into memory"),
    ],
)
def test_windows_refuses(series, options, error, message):
    with pytest.raises(error, match=message):
        windows(series, **{"length": 2, **options})
