import numpy as np

from timeloom.datasets import sunspots


def test_load_data_years_and_numbers():
    years, numbers = sunspots.load_data()
    assert years.dtype == np.int64
    assert numbers.dtype == np.float64
    assert years.tolist() == list(range(1700, 2009))
    assert numbers.shape == (309,)
    # Sum, extremes and a few years of statsmodels' table.
    assert round(float(numbers.sum()), 1) == 15373.4
    assert numbers.max() == numbers[years == 1957] == 190.2
    assert numbers.min() == 0
    assert numbers[[0, 1, 50, 100, 308]].tolist() == [5, 11, 83.4, 14.5, 2.9]


def test_load_data_gives_a_fresh_array():
    sunspots.load_data()[1][:] = 0
    assert sunspots.load_data()[1].max() == 190.2
