"""Two LSTM layers read digits row by row: `python -m timeloom.examples.mnist_rows`.

Each image of MNIST is a sequence of 28 timesteps, its rows, of 28 features, the pixels of a row. The network
is one that was published with a test accuracy of 0.9765 and a loss of 0.0796 after three epochs. With
`--compare-pytorch` the same network in PyTorch, with the same initializers and the same optimizer, is trained
in the same run: the two take turns epoch by epoch, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from timeloom import backend
from timeloom.datasets import mnist
from timeloom.examples import pictures
from timeloom.layers import LSTM, Dense, Dropout
from timeloom.models import Sequential
from timeloom.optimizers import Adam
from timeloom.utils import set_random_seed

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

PUBLISHED_ACCURACY, PUBLISHED_LOSS = 0.9765, 0.0796
BATCH = 32
LEARNING_RATE, DECAY = 1e-3, 1e-6


@dataclass(frozen=True)
class Digits:
    """Images [samples, 28 rows, 28 pixels] in [0, 1] and their labels [samples], to train on and to test."""

    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels


@dataclass(frozen=True)
class Epoch:
    """What one epoch of one network gave."""

    library: str
    seed: int
    epoch: int
    accuracy: float
    loss: float
    seconds: float


class Network(Protocol):
    """One network in one library: what the two have in common."""

    library: str

    def train_epoch(self, x: Images, y: Labels) -> None:
        """Trains one epoch in batches of `BATCH`, in a new random order."""

    def probabilities(self, x: Images) -> npt.NDArray[np.floating]:
        """Returns the probability of each digit, [samples, 10], for images that it does not train on."""


class TimeloomNetwork:
    """The network in timeloom."""

    library = "timeloom"

    def __init__(self, seed: int) -> None:
        set_random_seed(seed)
        self.model = Sequential(
            [
                LSTM(128, return_sequences=True, input_shape=(28, 28)),
                Dropout(0.2),
                LSTM(128),
                Dense(64, activation="relu"),
                Dropout(0.2),
                Dense(10, activation="softmax"),
            ]
        )
        optimizer = Adam(LEARNING_RATE, decay=DECAY)
        self.model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def train_epoch(self, x: Images, y: Labels) -> None:
        """Trains one epoch."""
        self.model.fit(x, y, batch_size=BATCH, epochs=1, verbose=1)

    def probabilities(self, x: Images) -> npt.NDArray[np.floating]:
        """Returns the probability of each digit."""
        result: npt.NDArray[np.floating] = self.model.predict(x, batch_size=1000, verbose=0)
        return result


def load_digits(samples: int | None) -> Digits:
    """Loads MNIST with pixels from 0 to 1: all of it, or the first `samples` and a sixth as many to test."""
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    test_samples = None if samples is None else max(samples // 6, 1)
    return Digits(
        x_train[:samples].astype(np.float32) / np.float32(255),
        y_train[:samples],
        x_test[:test_samples].astype(np.float32) / np.float32(255),
        y_test[:test_samples],
    )


def score(probabilities: npt.NDArray[np.floating], labels: Labels) -> tuple[float, float]:
    """Accuracy, and mean cross-entropy in nats, of predicted probabilities.

    Example:
        >>> score(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1], np.uint8))
        (1.0, 0.34657359027997264)
    """
    accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return accuracy, float(-np.log(np.maximum(chosen, 1e-7)).mean())


def train(networks: Sequence[Network], seed: int, epochs: int, digits: Digits) -> list[Epoch]:
    """Trains networks side by side, one epoch of each in turn, and tests each after every epoch."""
    results = []
    for epoch in range(1, epochs + 1):
        for network in networks:
            begin = time.perf_counter()
            network.train_epoch(digits.x_train, digits.y_train)
            seconds = time.perf_counter() - begin
            accuracy, loss = score(network.probabilities(digits.x_test), digits.y_test)
            results.append(Epoch(network.library, seed, epoch, accuracy, loss, seconds))
            print(
                f"seed {seed}  epoch {epoch}/{epochs}  {network.library:8}  test accuracy {accuracy:.4f}  "
                f"loss {loss:.4f}  {seconds:.1f} s",
                flush=True,
            )
    return results


def report(results: list[Epoch], full: bool) -> None:
    """Prints the figures after the last epoch, those of each library side by side."""
    last = max(result.epoch for result in results)
    libraries = list(dict.fromkeys(result.library for result in results))
    print(f"\nAfter epoch {last}{'':13}" + "".join(f"{library:>30}" for library in libraries))
    print(f"{'':24}" + f"{'accuracy    loss  s/epoch':>30}" * len(libraries))
    columns = []
    for library in libraries:
        own = [result for result in results if result.library == library]
        seconds = {
            seed: np.mean([r.seconds for r in own if r.seed == seed]) for seed in {r.seed for r in own}
        }
        columns.append([(r.seed, r.accuracy, r.loss, float(seconds[r.seed])) for r in own if r.epoch == last])
    for row in zip(*columns, strict=True):
        print(f"seed {row[0][0]:<19}" + "".join(f"{a:13.4f}{b:8.4f}{c:9.1f}" for _, a, b, c in row))
    means = [np.mean([row[1:] for row in column], axis=0) for column in columns]
    if len(columns[0]) > 1:
        print(f"{'mean':24}" + "".join(f"{a:13.4f}{b:8.4f}{c:9.1f}" for a, b, c in means))
    print(f"{'published run':24}{PUBLISHED_ACCURACY:13.4f}{PUBLISHED_LOSS:8.4f}")
    if len(libraries) == 2:
        ratio = means[1][2] / means[0][2]
        print(f"\nAn epoch of {libraries[1]} takes {ratio:.2f} times as long as one of {libraries[0]}.")
    if not full or last != 3:
        print("\nThe published figures are for all digits and three epochs; this run is another one.")


def confusion(probabilities: npt.NDArray[np.floating], labels: Labels) -> npt.NDArray[np.int64]:
    """Counts [10, 10]: row the true digit, column the predicted one."""
    pairs = labels.astype(np.int64) * 10 + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=100).reshape(10, 10)


def draw(results: list[Epoch], counts: npt.NDArray[np.int64], path: Path) -> bool:
    """Saves accuracy by epoch and the confusion matrix as a picture; False without matplotlib."""
    figure = pictures.new_figure(figsize=(11, 5))
    if figure is None:
        return False
    left, right = figure.subplots(1, 2)
    for library, color in (("timeloom", "tab:red"), ("PyTorch", "tab:blue")):
        for seed in dict.fromkeys(result.seed for result in results):
            own = [r for r in results if (r.library, r.seed) == (library, seed)]
            if own:
                points = [r.epoch for r in own], [r.accuracy for r in own]
                left.plot(*points, color=color, marker="o", label=f"{library}, seed {seed}")
    left.axhline(PUBLISHED_ACCURACY, color="0.5", linestyle="--", label="published run")
    left.set(xlabel="epoch", ylabel="test accuracy", title="Digits read row by row")
    left.set_xticks(range(1, max(result.epoch for result in results) + 1))
    left.legend()
    wrong = counts - np.diag(np.diag(counts))
    right.imshow(wrong, cmap="Reds", vmax=2 * wrong.max() + 1)
    for true, predicted in np.argwhere(wrong > 0):
        right.text(predicted, true, str(wrong[true, predicted]), ha="center", va="center", fontsize=8)
    right.set(xlabel="predicted", ylabel="true", title="Mistakes of the last timeloom network")
    right.set_xticks(range(10))
    right.set_yticks(range(10))
    pictures.save(figure, path)
    return True


def print_confusion(counts: npt.NDArray[np.int64]) -> None:
    """Prints the confusion matrix as a table, blank where nothing was counted."""
    print("\nTrue digit (row) and predicted digit (column), last timeloom network")
    print("    " + "".join(f"{digit:5}" for digit in range(10)))
    for digit, row in enumerate(counts):
        print(f"{digit:4}" + "".join(f"{count or '':5}" for count in row))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the example; `arguments` are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="python -m timeloom.examples.mnist_rows", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--seeds", type=pictures.whole_number(0), nargs="+", default=[0], metavar="SEED")
    parser.add_argument("--epochs", type=pictures.whole_number(1), default=3)
    parser.add_argument(
        "--samples", type=pictures.whole_number(1), help="train on the first ones only, to try it"
    )
    parser.add_argument(
        "--compare-pytorch", action="store_true", help="train the same network in PyTorch too"
    )
    parser.add_argument(
        "--output", type=pictures.picture_path, default=Path("mnist_rows.png"), help="the picture"
    )
    options = parser.parse_args(arguments)
    if options.compare_pytorch:
        try:
            from timeloom.examples.mnist_rows_pytorch import PyTorchNetwork
        except ImportError as error:
            parser.error(
                f'--compare-pytorch needs PyTorch ({error}). This installs it: pip install "timeloom[bench]"'
            )

    try:
        digits = load_digits(options.samples)
    except OSError as error:
        parser.exit(1, f"{error}\n")
    threads = backend.get_num_threads()
    print(
        f"{len(digits.x_train)} digits to train on, {len(digits.x_test)} to test, at most {threads} threads"
    )
    results: list[Epoch] = []
    for seed in options.seeds:
        networks: list[Network] = [TimeloomNetwork(seed)]
        if options.compare_pytorch:
            networks.append(PyTorchNetwork(seed, threads))
        results += train(networks, seed, options.epochs, digits)
    report(results, options.samples is None)
    counts = confusion(networks[0].probabilities(digits.x_test), digits.y_test)
    if not draw(results, counts, options.output):
        print_confusion(counts)
        print(f"\n{pictures.NO_PICTURE}")


if __name__ == "__main__":
    main()
