"""An LSTM forecasts the yearly number of sunspots one year ahead: `python -m timeloom.examples.sunspots`.

The years are split in time. The network trains on the years before 1920; the years 1920 to 1949 decide after
which epoch it stops; the years from 1950 on, which include the highest maximum of the series, are held out
and looked at once, at the end. Each forecast sees the true numbers of the years before it, and nothing else.
It is compared with two rules that need no training: the number of the year before (persistence), and the
number eleven years before, the length of a mean cycle.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timeloom.datasets import sunspots
from timeloom.examples import pictures
from timeloom.layers import LSTM, Dense
from timeloom.models import Sequential
from timeloom.optimizers import Adam
from timeloom.utils import set_random_seed

Floats = npt.NDArray[np.floating]

# Chosen on the years 1920-1949: RMSE 10.3, against 11.4 with 22 years and 11.8 with 33 (mean of five seeds).
WINDOW = 11
UNITS = 32
CYCLE = 11
VALIDATION_FROM = 1920
HELD_OUT_FROM = 1950


@dataclass(frozen=True)
class Series:
    """The numbers cut into windows.

    `inputs` [years, WINDOW, 1] and `targets` [years, 1] are scaled for the network; `years` and `numbers` are
    those of the targets. The numbers are counts whose scatter grows with their size, so the network sees
    their square roots, shifted and scaled by `mean` and `deviation` of the training years alone.
    """

    years: npt.NDArray[np.int64]
    numbers: Floats
    inputs: Floats
    targets: Floats
    mean: float
    deviation: float

    def to_numbers(self, scaled: Floats) -> Floats:
        """Sunspot numbers from scaled outputs of the network."""
        numbers: Floats = np.maximum(scaled * self.deviation + self.mean, 0) ** 2
        return numbers


@dataclass(frozen=True)
class Run:
    """One trained network: its seed, the epochs it was trained, and its forecast for every target year."""

    seed: int
    epochs: int
    forecast: Floats


def load_series() -> Series:
    """Cuts the embedded series into windows of `WINDOW` years and the year after each."""
    years, numbers = sunspots.load_data()
    roots = np.sqrt(numbers)
    training = roots[years < VALIDATION_FROM]
    mean, deviation = float(training.mean()), float(training.std())
    scaled = ((roots - mean) / deviation).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW)[:-1]
    return Series(
        years[WINDOW:],
        numbers[WINDOW:],
        windows[:, :, np.newaxis].copy(),
        scaled[WINDOW:, np.newaxis],
        mean,
        deviation,
    )


def train(series: Series, seed: int, epochs: int) -> Run:
    """Trains a network, keeps the weights that did best on the validation years, and forecasts every year."""
    training = series.years < VALIDATION_FROM
    validation = ~training & (series.years < HELD_OUT_FROM)
    set_random_seed(seed)
    model = Sequential([LSTM(UNITS, input_shape=(WINDOW, 1)), Dense(1)])
    model.compile(Adam(5e-3, global_clipnorm=1.0), "mse")
    best_loss, best_epoch, best_weights = np.inf, 0, model.get_weights()
    for epoch in range(epochs):
        model.fit(series.inputs[training], series.targets[training], batch_size=16, verbose=0)
        loss = model.evaluate(series.inputs[validation], series.targets[validation], verbose=0)
        if loss < best_loss:
            best_loss, best_epoch, best_weights = loss, epoch + 1, model.get_weights()
    model.set_weights(best_weights)
    forecast = series.to_numbers(model.predict(series.inputs, verbose=0)[:, 0])
    return Run(seed, best_epoch, forecast)


def errors(forecast: Floats, truth: Floats) -> tuple[float, float]:
    """Root mean squared error and mean absolute error.

    Example:
        >>> errors(np.array([1.0, 5.0]), np.array([1.0, 1.0]))
        (2.8284271247461903, 2.0)
    """
    difference = forecast - truth
    return float(np.sqrt(np.mean(difference**2))), float(np.mean(np.abs(difference)))


def baselines(series: Series) -> dict[str, Floats]:
    """The two rules without training, for every target year."""
    numbers = np.concatenate([np.full(WINDOW, np.nan), series.numbers])
    year_before, cycle_before = numbers[WINDOW - 1 : -1].copy(), numbers[WINDOW - CYCLE : -CYCLE]
    return {"the year before": year_before, "eleven years before": cycle_before}


def draw(series: Series, forecast: Floats, path: Path) -> bool:
    """Saves forecast against truth as a picture; False where matplotlib is not installed."""
    figure = pictures.new_figure(figsize=(10, 5))
    if figure is None:
        return False
    shown = series.years >= VALIDATION_FROM
    held_out = series.years >= HELD_OUT_FROM
    axes = figure.subplots()
    axes.axvspan(HELD_OUT_FROM - 0.5, series.years[-1] + 0.5, color="0.94", label="held out")
    axes.plot(series.years[shown], series.numbers[shown], color="0.3", marker=".", label="observed")
    axes.plot(
        series.years[held_out], forecast[held_out], color="tab:red", marker=".", label="LSTM, one year ahead"
    )
    axes.set(xlabel="year", ylabel="yearly mean sunspot number", title="Sunspots: forecast against truth")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    pictures.save(figure, path)
    return True


def print_chart(years: npt.NDArray[np.int64], truth: Floats, forecast: Floats) -> None:
    """Prints forecast against truth as a table whose rows are a text chart."""
    scale = float(max(truth.max(), forecast.max()))
    print("\nyear  truth  LSTM   # truth, o forecast, @ both")
    for year, number, guess in zip(years, truth, forecast, strict=True):
        line = pictures.marks({"#": number, "o": guess}, scale)
        if "#" not in line:
            line = line.replace("o", "@")
        print(f"{year}  {number:5.1f} {guess:5.1f}  |{line}")


def report(series: Series, runs: list[Run]) -> Floats:
    """Prints the errors of every run, of their mean forecast and of the baselines; returns that forecast."""
    held_out = series.years >= HELD_OUT_FROM
    validation = (series.years >= VALIDATION_FROM) & ~held_out
    print("seed  epochs  RMSE 1920-1949  RMSE 1950-2008  MAE 1950-2008")
    for run in runs:
        chosen, _ = errors(run.forecast[validation], series.numbers[validation])
        rmse, mae = errors(run.forecast[held_out], series.numbers[held_out])
        print(f"{run.seed:4}  {run.epochs:6}  {chosen:14.1f}  {rmse:14.1f}  {mae:13.1f}")
    forecast: Floats = np.mean([run.forecast for run in runs], axis=0)
    name = "LSTM" if len(runs) == 1 else f"LSTM, mean of {len(runs)} forecasts"
    rmse, mae = errors(forecast[held_out], series.numbers[held_out])
    print(f"\n{'held-out years 1950-2008':28}  RMSE   MAE\n{name:28} {rmse:5.1f} {mae:5.1f}")
    beaten = []
    for rule, guess in baselines(series).items():
        rule_rmse, rule_mae = errors(guess[held_out], series.numbers[held_out])
        print(f"{rule:28} {rule_rmse:5.1f} {rule_mae:5.1f}")
        single = sum(errors(run.forecast[held_out], series.numbers[held_out])[0] < rule_rmse for run in runs)
        beaten.append((rule, rmse / rule_rmse, mae < rule_mae, single))
    print()
    for rule, ratio, lower_mae, single in beaten:
        if ratio < 1 and lower_mae:
            verdict = f"The LSTM beats {rule}: its RMSE is {100 * (1 - ratio):.0f} % lower"
        else:
            verdict = f"The LSTM does NOT beat {rule}: its RMSE is {ratio:.2f} times as large"
        print(f"{verdict}; {single} of {len(runs)} networks have a lower one by themselves.")
    return forecast


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the example; `arguments` are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="python -m timeloom.examples.sunspots", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--seeds", type=pictures.whole_number(0), nargs="+", default=[0, 1, 2], metavar="SEED"
    )
    parser.add_argument("--epochs", type=pictures.whole_number(1), default=40, help="at most (default: 40)")
    parser.add_argument(
        "--output", type=pictures.picture_path, default=Path("sunspots.png"), help="the picture"
    )
    options = parser.parse_args(arguments)

    series = load_series()
    print(
        f"Yearly sunspot numbers, forecast from the {WINDOW} years before by an LSTM of {UNITS} units.\n"
        f"Training {series.years[0]}-{VALIDATION_FROM - 1}, choice of the epoch {VALIDATION_FROM}-"
        f"{HELD_OUT_FROM - 1}, held out {HELD_OUT_FROM}-{series.years[-1]}.\n"
    )
    begin = time.perf_counter()
    runs = [train(series, seed, options.epochs) for seed in options.seeds]
    seconds = time.perf_counter() - begin
    forecast = report(series, runs)
    print(f"Training took {seconds:.1f} s for {len(runs)} networks of {options.epochs} epochs.")
    if not draw(series, forecast, options.output):
        held_out = series.years >= HELD_OUT_FROM
        print_chart(series.years[held_out], series.numbers[held_out], forecast[held_out])
        print(f"\n{pictures.NO_PICTURE}")


if __name__ == "__main__":
    main()
