"""Dropout in one pass: which elements it drops, whatever the threads, the ISA and the dtype."""

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits
from tests.reference.threefry import dropout_numbers, threefry

from timeloom import _core

KEY = 0x0123456789ABCDEF

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_reference_gives_the_published_answers(counter, key, words):
    assert threefry(counter, key, rounds=20) == words


@each_isa
@each_dtype
@pytest.mark.parametrize("size", [1, 31, 33, 64, 65, 127, 300])
def test_elements_below_the_threshold_are_dropped(dtype, isa, size):
    x = np.random.default_rng(size).normal(size=size).astype(dtype)
    for rate in (0.0, 0.2, 0.5, 0.99):
        kept = dropout_numbers(size, KEY) >= np.uint32(rate * 2**32)
        want = x * (kept * dtype(1 / (1 - rate)))
        assert same_bits(_core.dropout(x, rate, KEY, _isa=isa), want)


@each_isa
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_drops_the_same(isa, threads):
    x = np.random.default_rng(0).normal(size=(7, 1000)).astype(np.float32)
    one = _core.dropout(x, 0.3, KEY, _isa=isa, _threads=1)
    several = _core.dropout(x, 0.3, KEY, _isa=isa, _threads=threads)
    assert_last_ran_on(threads)
    assert same_bits(one, several)


def test_numbers_are_spread_evenly_and_keys_and_places_are_independent():
    ones, count, rate = np.ones(1 << 20, np.float32), 1 << 20, 0.3
    masks = [_core.dropout(ones, rate, key) > 0 for key in (0, 1, 1 << 32, KEY)]
    # Six standard deviations of a binomial share.
    slack = 6 * np.sqrt(rate * (1 - rate) / count)
    for mask in masks:
        assert abs(mask.mean() - (1 - rate)) < slack
        for lag in (1, 32, 64):
            both = (mask[lag:] & mask[:-lag]).mean()
            assert abs(both - (1 - rate) ** 2) < slack
    for i, first in enumerate(masks):
        for second in masks[:i]:
            assert abs((first & second).mean() - (1 - rate) ** 2) < slack


def test_nan_and_infinity_are_not_hidden():
    x = np.full(64, np.nan)
    assert np.isnan(_core.dropout(x, 0.5, KEY)).all()
    assert not np.isfinite(_core.dropout(np.full(64, np.inf), 0.5, KEY)).any()


def test_bad_arguments_are_refused():
    for rate in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match=r"rate: expected a number in \[0, 1\)"):
            _core.dropout(np.ones(3), rate, KEY)
    with pytest.raises(TypeError, match="x: expected dtype float32 or float64"):
        _core.dropout(np.ones(3, int), 0.5, KEY)
