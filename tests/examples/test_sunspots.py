import sys

import numpy as np
import pytest

from timeloom.examples import sunspots


def test_load_series_windows_precede_their_targets():
    series = sunspots.load_series()
    assert series.inputs.shape == (298, 11, 1)
    assert series.targets.shape == (298, 1)
    assert series.years[[0, -1]].tolist() == [1711, 2008]
    np.testing.assert_allclose(series.to_numbers(series.targets[:, 0]), series.numbers, atol=1e-3)
    np.testing.assert_array_equal(
        series.inputs[11:, :, 0], [series.targets[i - 11 : i, 0] for i in range(11, 298)]
    )


def test_load_series_scales_by_the_training_years_alone(monkeypatch):
    before = sunspots.load_series()
    years, numbers = sunspots.sunspots.load_data()
    numbers[years >= sunspots.VALIDATION_FROM] *= 3
    monkeypatch.setattr(sunspots.sunspots, "load_data", lambda: (years, numbers))
    after = sunspots.load_series()
    training = before.years < sunspots.VALIDATION_FROM
    np.testing.assert_array_equal(after.inputs[training], before.inputs[training])
    np.testing.assert_array_equal(after.targets[training], before.targets[training])


def test_baselines_are_the_numbers_before():
    series = sunspots.load_series()
    rules = sunspots.baselines(series)
    lookup = dict(zip(series.years.tolist(), series.numbers.tolist(), strict=True))
    for index, year in enumerate(series.years.tolist()):
        for name, lag in (("the year before", 1), ("eleven years before", 11)):
            if year - lag in lookup:
                assert rules[name][index] == lookup[year - lag]
    held_out = series.years >= sunspots.HELD_OUT_FROM
    rmse = [sunspots.errors(guess[held_out], series.numbers[held_out])[0] for guess in rules.values()]
    assert np.round(rmse, 1).tolist() == [33.2, 37.4]


def test_report_says_when_a_rule_is_not_beaten(capsys):
    series = sunspots.load_series()
    hopeless = sunspots.Run(0, 1, np.zeros_like(series.numbers))
    sunspots.report(series, [hopeless])
    said = capsys.readouterr().out
    assert said.count("The LSTM does NOT beat") == 2
    assert "0 of 1 networks" in said
    perfect = sunspots.Run(0, 1, series.numbers.copy())
    sunspots.report(series, [perfect])
    said = capsys.readouterr().out
    assert said.count("its RMSE is 100 % lower") == 2


@pytest.fixture(scope="module")
def trained():
    series = sunspots.load_series()
    return series, sunspots.train(series, seed=0, epochs=30)


def test_train_beats_both_rules(trained, capsys):
    series, run = trained
    sunspots.report(series, [run])
    assert capsys.readouterr().out.count("The LSTM beats") == 2


def test_draw_saves_a_picture(trained, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    series, run = trained
    picture = tmp_path / "forecast.png"
    assert sunspots.draw(series, run.forecast, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"Picture: {picture}" in capsys.readouterr().out


def test_example_without_matplotlib_prints_a_chart(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    sunspots.main(["--seeds", "3", "--epochs", "1"])
    said = capsys.readouterr().out
    assert said.count("\n19") + said.count("\n20") == 59
    assert 'pip install "timeloom[plot]"' in said
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_forecast():
    series = sunspots.load_series()
    first, second = (sunspots.train(series, 5, 2) for _ in range(2))
    np.testing.assert_array_equal(first.forecast, second.forecast)


@pytest.mark.parametrize(
    "arguments", [["--seeds"], ["--seeds", "-1"], ["--epochs", "0"], ["--output", "a.txt"], ["--years", "3"]]
)
def test_example_refuses_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        sunspots.main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
