"""A network of 2-3-1 sigmoid units learns exclusive or: `python -m timeloom.examples.xor`.

The oldest test of a hidden layer, by two ways of updating the weights: after every pattern (case updating, in
a new random order each iteration), and once an iteration with the mean gradient of the four patterns (batch
updating). An iteration shows the network each pattern once. Training stops when the error is small, when no
weight changes much any more, or after a number of iterations; the table says which it was.

The error has local minima, where nothing changes although two of the four answers are one half. First weights
between -1 and 1 rarely lead there; those between -4 and 4, the default, do so in about every fifth run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom.callbacks import Callback
from timeloom.examples import pictures
from timeloom.initializers import RandomUniform
from timeloom.layers import Dense
from timeloom.models import Sequential
from timeloom.optimizers import SGD
from timeloom.utils import set_random_seed

PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([[0], [1], [1], [0]], np.float32)

HIDDEN = 3
# Patterns before each change of the weights.
UPDATING = {"case": 1, "batch": 4}
COLORS = {"case": "tab:red", "batch": "tab:blue"}


@dataclass(frozen=True)
class Limits:
    """When to stop: below which error, below which change of every weight, after how many iterations."""

    error: float
    change: float
    iterations: int


@dataclass(frozen=True)
class Run:
    """One trained network: mean squared error after each iteration, what stopped it, its four answers."""

    updating: str
    seed: int
    errors: list[float]
    stopped_by: str
    answers: npt.NDArray[np.floating]

    @property
    def solved(self) -> bool:
        """Whether every answer is on the right side of one half."""
        return bool(((self.answers > 0.5) == (TARGETS[:, 0] > 0.5)).all())


class Stop(Callback):
    """Stops training by the first of three rules that holds, and keeps the error after each iteration."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.errors: list[float] = []
        self.stopped_by = "iterations"
        self._weights: list[npt.NDArray[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Remembers the first weights."""
        self._weights = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Measures the error and the largest change of a weight since the iteration before."""
        self.errors.append(error_of(self.model.predict_on_batch(PATTERNS)))
        weights = self.model.get_weights()
        change = max(float(np.abs(new - old).max()) for new, old in zip(weights, self._weights, strict=True))
        self._weights = weights
        if self.errors[-1] < self.limits.error:
            self.stopped_by = "error"
        elif change < self.limits.change:
            self.stopped_by = "change"
        else:
            return
        self.model.stop_training = True


def error_of(outputs: npt.NDArray[np.floating]) -> float:
    """Mean squared error over the four patterns.

    Example:
        >>> error_of(np.array([[0.0], [1.0], [1.0], [1.0]]))
        0.25
    """
    return float(np.mean((outputs - TARGETS) ** 2))


def new_network(spread: float) -> Sequential:
    """A 2-3-1 network of sigmoid units; weights and biases are drawn anew between -spread and spread."""

    def drawn() -> RandomUniform:
        return RandomUniform(-spread, spread)

    return Sequential(
        [
            Dense(
                HIDDEN,
                activation="sigmoid",
                kernel_initializer=drawn(),
                bias_initializer=drawn(),
                input_shape=(2,),
            ),
            Dense(1, activation="sigmoid", kernel_initializer=drawn(), bias_initializer=drawn()),
        ]
    )


def train(updating: str, seed: int, spread: float, learning_rate: float, limits: Limits) -> Run:
    """Trains a network; the same seed gives both ways of updating the same first weights."""
    set_random_seed(seed)
    model = new_network(spread)
    model.compile(SGD(learning_rate), "mse")
    stop = Stop(limits)
    model.fit(
        PATTERNS,
        TARGETS,
        batch_size=UPDATING[updating],
        epochs=limits.iterations,
        verbose=0,
        callbacks=[stop],
    )
    return Run(updating, seed, stop.errors, stop.stopped_by, model.predict_on_batch(PATTERNS)[:, 0])


def print_run(run: Run) -> None:
    """Prints one line of the table."""
    answers = " ".join(f"{answer:5.2f}" for answer in run.answers)
    print(
        f"{run.updating:8}  {run.seed:4}  {len(run.errors):10}  {run.stopped_by:10}  {run.errors[-1]:7.4f}  "
        f"{answers}  {'' if run.solved else 'not solved'}".rstrip(),
        flush=True,
    )


def report(runs: Sequence[Run], limits: Limits) -> None:
    """Says in words how each way of updating did, and what became of those that did not learn it."""
    print()
    for updating in UPDATING:
        own = [run for run in runs if run.updating == updating]
        iterations = [len(run.errors) for run in own if run.solved]
        line = f"{updating.capitalize()} updating solved {len(iterations)} of {len(own)}"
        if iterations:
            line += f", in {np.median(iterations):.0f} iterations (median)"
        print(line + ".")
    failed = [run for run in runs if not run.solved]
    if not failed:
        print("None of these first weights led into a local minimum; others may.")
        return
    print("\nNot solved:")
    for run in failed:
        undecided = int(((run.answers > 0.25) & (run.answers < 0.75)).sum())
        print(
            f"- {run.updating} updating from seed {run.seed}: {explanation(run, limits)}; "
            f"{undecided} of the 4 answers are between 0.25 and 0.75."
        )
    print(
        "A smaller --change tells a plateau, where the error falls again later, from a minimum. Out of a\n"
        "minimum lead other first weights (another seed, a smaller --range) or the jitter of case updating."
    )


def explanation(run: Run, limits: Limits) -> str:
    """What the stopping rule tells about a run that did not learn the four answers."""
    if run.stopped_by == "change":
        return (
            f"the weights stood still (changes below {limits.change:g}) at an error of {run.errors[-1]:.3f}, "
            "in a local minimum or on a plateau that looks like one"
        )
    return f"still at an error of {run.errors[-1]:.3f} after {len(run.errors)} iterations"


def draw(runs: Sequence[Run], path: Path) -> bool:
    """Saves the error by iteration of every run as a picture; False where matplotlib is not installed."""
    figure = pictures.new_figure(figsize=(9, 5))
    if figure is None:
        return False
    axes = figure.subplots()
    for updating, color in COLORS.items():
        own = [run for run in runs if run.updating == updating]
        for index, run in enumerate(own):
            label = f"{updating} updating" if index == 0 else None
            iterations = range(1, len(run.errors) + 1)
            axes.plot(iterations, run.errors, color=color, alpha=0.7, linewidth=1, label=label)
            axes.plot(iterations[-1], run.errors[-1], color=color, marker="o" if run.solved else "x")
    axes.set(
        xlabel="iteration (each pattern once)",
        ylabel="mean squared error",
        title="Exclusive or by 2-3-1 sigmoid units: o solved, x not solved",
        xscale="log",
        yscale="log",
    )
    axes.legend()
    pictures.save(figure, path)
    return True


def positive_number(text: str) -> float:
    """Converts a number above 0 for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < np.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the example; `arguments` are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="python -m timeloom.examples.xor", description=__doc__.split("\n")[0]
    )
    number: Callable[[str], float] = positive_number
    parser.add_argument(
        "--range", type=number, default=4.0, help="first weights lie between -RANGE and RANGE (default: 4)"
    )
    parser.add_argument(
        "--seeds", type=pictures.whole_number(0), nargs="+", default=list(range(10)), metavar="SEED"
    )
    parser.add_argument("--learning-rate", type=number, default=2.0, help="default: 2")
    parser.add_argument("--error", type=number, default=0.01, help="stop below this error (default: 0.01)")
    parser.add_argument(
        "--change", type=number, default=1e-3, help="stop below this change of every weight (default: 1e-3)"
    )
    parser.add_argument(
        "--iterations", type=pictures.whole_number(1), default=3000, help="at most (default: 3000)"
    )
    parser.add_argument("--output", type=pictures.picture_path, default=Path("xor.png"), help="the picture")
    options = parser.parse_args(arguments)
    limits = Limits(options.error, options.change, options.iterations)

    print(
        f"Exclusive or by 2-{HIDDEN}-1 sigmoid units; first weights between -{options.range:g} and "
        f"{options.range:g}, learning rate {options.learning_rate:g}.\n"
        f"Stops: error below {limits.error:g}, every change of a weight in an iteration below "
        f"{limits.change:g}, or {limits.iterations} iterations.\n"
    )
    print("updating  seed  iterations  stopped by    error   0,0   0,1   1,0   1,1")
    runs = []
    for updating in UPDATING:
        for seed in options.seeds:
            runs.append(train(updating, seed, options.range, options.learning_rate, limits))
            print_run(runs[-1])
    report(runs, limits)
    if not draw(runs, options.output):
        print(f"\n{pictures.NO_PICTURE}")


if __name__ == "__main__":
    main()
