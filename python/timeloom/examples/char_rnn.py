"""An LSTM learns to write, character by character: `python -m timeloom.examples.char_rnn`.

It reads the plays of Shakespeare, or the files named by `--text`, and learns to say which character comes
next. The text is cut into `STREAMS` streams that are read side by side, `TIMESTEPS` characters a step: the
layer is stateful, so that what it remembers goes from each step to the next, while the gradient ends at the
border of the step (truncated backpropagation through time). Four of the plays, or the last twentieth of the
files, are held out. What is reported is the mean surprise at their characters in nats, that is
-log(probability that was given to the character), beside two rules that only count: how often each character
comes in the training text (unigram), and how often after the one before it (bigram). At the end the network
writes: each character is drawn from its own prediction and read again, where `--temperature` sharpens the
prediction (below 1; 0 takes the likeliest) or flattens it (above 1).

The learning rate falls from `LEARNING_RATE` to 0 along a cosine while `--minutes` or `--passes` are used up,
whichever is nearer to its end. So a run of the same length gives a better network on a faster machine; with
`--minutes 0`, which lets the passes end it, the same seed gives the same network.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timeloom import backend
from timeloom.callbacks import Callback
from timeloom.datasets import shakespeare
from timeloom.examples import pictures
from timeloom.examples.char_text import (
    SHORTEST_TEXT,
    Codes,
    Corpus,
    bigram_nats,
    hold_out,
    make_corpus,
    read_files,
    streams,
    unigram_nats,
)
from timeloom.layers import LSTM, Dense, Embedding, Input
from timeloom.losses import SparseCategoricalCrossentropy
from timeloom.models import Sequential
from timeloom.models.hooks import Logs
from timeloom.optimizers import Adam
from timeloom.utils import set_random_seed

# Many small steps: with 16 streams of 64 characters the loss is lower after 0.7 million characters than with
# 64 streams of 100 after 3.8 million (256 units), and a character takes as long.
STREAMS, TIMESTEPS = 16, 64
LEARNING_RATE = 3e-3
EMBEDDING = 64
# Steps after which the network is tested: the points of the curve, and where a run may end.
CHUNK = 400
# Held-out characters of a point of the curve; the last figure is for all of them.
CURVE_CHARACTERS = 32768


@dataclass(frozen=True)
class Point:
    """A point of the learning curve: minutes and characters trained, nats per character on both parts."""

    minutes: float
    characters: int
    training: float
    held_out: float


def build_network(symbols: int, units: int, rows: int) -> Sequential:
    """The network: it reads `rows` texts side by side and gives the logits of each next character."""
    network = Sequential(
        [
            Input(batch_shape=(rows, None)),
            Embedding(symbols, EMBEDDING),
            LSTM(units, return_sequences=True, stateful=True),
            Dense(symbols),
        ]
    )
    network.compile(Adam(LEARNING_RATE, global_clipnorm=1.0), SparseCategoricalCrossentropy(from_logits=True))
    return network


class Examiner:
    """Measures a network on held-out text, with a twin of it that reads as many streams as the text gives.

    Args:
        corpus: the text.
        units: units of the network.
        characters: how many held-out characters to read at most. Default None: all.
    """

    def __init__(self, corpus: Corpus, units: int, characters: int | None = None) -> None:
        codes = corpus.held_out if characters is None else corpus.held_out[: characters + 1]
        self.rows = min(max((len(codes) - 1) // 2048, 1), STREAMS)
        timesteps = min((len(codes) - 1) // self.rows, TIMESTEPS)
        self.x, self.y = streams(codes, self.rows, timesteps)
        self.twin = build_network(len(corpus.vocabulary), units, self.rows)

    def nats(self, network: Sequential) -> float:
        """Returns the nats per character with the weights that the network has now."""
        self.twin.set_weights(network.get_weights())
        self.twin.reset_states()
        loss: float = self.twin.evaluate(self.x, self.y, batch_size=self.rows, verbose=0)
        return loss


class Progress(Callback):
    """Sets the learning rate, tests and prints after every chunk, and ends training when time is up.

    Args:
        examiner: measures on held-out text.
        chunks: chunks of the whole run.
        characters: characters of a chunk.
        minutes: time for training and testing; infinite for no end.
    """

    def __init__(self, examiner: Examiner, chunks: int, characters: int, minutes: float) -> None:
        super().__init__()
        self.examiner = examiner
        self.chunks = chunks
        self.characters = characters
        self.minutes = minutes
        self.points: list[Point] = []
        self.begin = time.perf_counter()

    def _used(self) -> float:
        return (time.perf_counter() - self.begin) / 60

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Starts a chunk: a lower learning rate, and states that remember nothing.

        The network is tested and writes from such states too, so it has to know them.
        """
        done = max(epoch / self.chunks, self._used() / self.minutes)
        self.model.optimizer.learning_rate = LEARNING_RATE * (1 + math.cos(math.pi * min(done, 1))) / 2
        self.model.reset_states()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds a point to the curve; stops if another chunk would end too late."""
        held_out = self.examiner.nats(self.model)
        used = self._used()
        point = Point(used, (epoch + 1) * self.characters, (logs or {})["loss"], held_out)
        self.points.append(point)
        print(
            f"{used:5.1f} min  {point.characters / 1e6:7.3f} M characters  "
            f"nats per character: training {point.training:.3f}, held out {point.held_out:.3f}",
            flush=True,
        )
        if used * (epoch + 2) / (epoch + 1) > self.minutes:
            self.model.stop_training = True


def train(corpus: Corpus, units: int, minutes: float, passes: int) -> tuple[Sequential, list[Point]]:
    """Trains a network until `minutes` or `passes` through the text are used up."""
    count = min(max(len(corpus.training) // SHORTEST_TEXT, 1), STREAMS)
    x, y = streams(corpus.training, count, TIMESTEPS)
    steps = len(x) // count
    chunks = math.ceil(steps / CHUNK)
    # All chunks of one size: what is left over at the end of the text is not trained on.
    steps //= chunks
    x, y = x[: chunks * steps * count], y[: chunks * steps * count]
    network = build_network(len(corpus.vocabulary), units, count)
    examiner = Examiner(corpus, units, CURVE_CHARACTERS)
    progress = Progress(examiner, passes * chunks, steps * count * TIMESTEPS, minutes)
    network.fit(
        x,
        y,
        batch_size=count,
        epochs=passes * chunks,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[progress],
    )
    return network, progress.points


def choose(logits: npt.NDArray[np.floating], temperature: float, random: np.random.Generator) -> int:
    """Draws a character from softmax(logits / temperature); temperature 0 takes the likeliest.

    Example:
        >>> choose(np.array([0.0, 2.0, 1.0]), 0.0, np.random.default_rng(0))
        1
    """
    if temperature == 0:
        return int(logits.argmax())
    # The largest sum of a logit and a number of Gumbel's distribution is drawn with that probability, and no
    # exponential overflows however low the temperature is.
    return int((logits / temperature + random.gumbel(size=len(logits))).argmax())


def sample(
    network: Sequential, start: Codes, length: int, temperature: float, random: np.random.Generator
) -> Codes:
    """Lets a network of one stream read some characters and write others, one at a time.

    Args:
        network: built for one row.
        start: what it reads first, at least one character.
        length: how many characters it writes.
        temperature: as `choose`.
        random: draws the characters.

    Returns:
        What it wrote, [length].
    """
    network.reset_states()
    logits = network.predict_on_batch(start[np.newaxis])
    written = np.empty(length, np.int32)
    for position in range(length):
        written[position] = choose(logits[0, -1].astype(np.float64), temperature, random)
        logits = network.predict_on_batch(written[np.newaxis, position : position + 1])
    return written


def report(corpus: Corpus, examiner: Examiner, nats: float, last: Point) -> dict[str, float]:
    """Prints nats per held-out character of network and counting rules, and what they mean.

    Returns:
        The nats of the rules by their names.
    """
    symbols = len(corpus.vocabulary)
    rules = {
        "unigram rule": unigram_nats(corpus.training, examiner.y, symbols),
        "bigram rule": bigram_nats(corpus.training, examiner.x, examiner.y, symbols),
    }
    size = examiner.y.size
    print(f"\n{f'{size} held-out characters':28} nats  bits  each is a guess among")
    for name, value in ({"LSTM": nats} | rules).items():
        print(f"{name:27} {value:5.3f}  {value / math.log(2):4.2f}  {math.exp(value):5.1f} characters")
    print()
    for name, value in rules.items():
        verdict = "beats" if nats < value else "does NOT beat"
        print(f"The LSTM {verdict} the {name}: {nats:.3f} against {value:.3f} nats per character.")
    # Held-out text always has names and words of its own: a small gap does not come from memorising.
    if last.training < 0.7 * nats:
        print(
            f"It needs only {last.training:.3f} for the training text, which it begins to know by heart:\n"
            "fewer --passes or --units, or more text, would serve it better."
        )
    print(f"Its predictions could store these {size} characters in {nats * size / math.log(256):.0f} bytes.")
    return rules


def draw(points: Sequence[Point], rules: dict[str, float], path: Path) -> bool:
    """Saves the learning curve as a picture; False without matplotlib."""
    figure = pictures.new_figure(figsize=(8, 5))
    if figure is None:
        return False
    axes = figure.subplots()
    minutes = [point.minutes for point in points]
    for label, color, values in (
        ("LSTM, training text", "0.6", [point.training for point in points]),
        ("LSTM, held-out text", "tab:red", [point.held_out for point in points]),
    ):
        axes.plot(minutes, values, color=color, marker=".", label=label)
    for (name, value), style in zip(rules.items(), (":", "--"), strict=True):
        axes.axhline(value, color="0.3", linestyle=style, label=f"{name}, held-out text")
    axes.set(xlabel="minutes", ylabel="nats per character", title="Learning to write")
    axes.set_ylim(bottom=0)
    axes.legend()
    pictures.save(figure, path)
    return True


def print_curve(points: Sequence[Point]) -> None:
    """Prints the learning curve as a table whose rows are a text chart: about 20 of its points."""
    scale = max(max(point.training, point.held_out) for point in points)
    print("\nminutes  training  held out  o training, # held out")
    for point in points[:: math.ceil(len(points) / 20)]:
        line = pictures.marks({"o": point.training, "#": point.held_out}, scale)
        print(f"{point.minutes:7.1f}  {point.training:8.3f}  {point.held_out:8.3f}  |{line}")


def not_negative(text: str) -> float:
    """Converts a number of at least 0 for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the example; `arguments` are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="python -m timeloom.examples.char_rnn", description=__doc__.split("\n")[0]
    )
    whole, from_zero = pictures.whole_number(1), pictures.whole_number(0)
    parser.add_argument("--text", type=Path, nargs="+", metavar="FILE", help="default: Shakespeare's plays")
    parser.add_argument("--minutes", type=not_negative, default=15.0, help="at most (default: 15); 0: no end")
    parser.add_argument("--passes", type=whole, default=10, help="through the text, at most (default: 10)")
    parser.add_argument("--units", type=whole, default=512, help="of the LSTM (default: 512)")
    parser.add_argument("--seed", type=from_zero, default=0)
    parser.add_argument("--sample", type=from_zero, default=600, help="characters to write (default: 600)")
    parser.add_argument("--temperature", type=not_negative, default=0.7, help="default: 0.7")
    parser.add_argument("--start", help="what the network reads before it writes (default: a new line)")
    parser.add_argument(
        "--output", type=pictures.picture_path, default=Path("char_rnn.png"), help="the picture"
    )
    options = parser.parse_args(arguments)

    try:
        parts = hold_out(read_files(options.text)) if options.text else shakespeare.load_data()
        corpus = make_corpus(*parts)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    start = options.start
    if start is None:
        start = "\n" if "\n" in corpus.vocabulary.symbols else corpus.vocabulary.symbols[0]
    unknown = "".join(sorted(set(start) - set(corpus.vocabulary.symbols)))
    if unknown or not start:
        parser.error(f"argument --start: expected characters of the text, got {unknown!r}")
    print(
        f"{len(corpus.training)} characters to train on, {len(corpus.held_out)} held out, "
        f"{len(corpus.vocabulary)} different ones. LSTM of {options.units} units, "
        f"at most {backend.get_num_threads()} threads.\n"
    )
    set_random_seed(options.seed)
    network, points = train(corpus, options.units, options.minutes or math.inf, options.passes)
    examiner = Examiner(corpus, options.units)
    rules = report(corpus, examiner, examiner.nats(network), points[-1])
    if options.sample:
        writer = build_network(len(corpus.vocabulary), options.units, rows=1)
        writer.set_weights(network.get_weights())
        random = np.random.default_rng(options.seed)
        codes = corpus.vocabulary.encode(start)
        written = sample(writer, codes, options.sample, options.temperature, random)
        print(f"\nAfter {start!r}, at temperature {options.temperature:g}, it writes:\n")
        print(corpus.vocabulary.decode(written))
    if not draw(points, rules, options.output):
        print_curve(points)
        print(f"\n{pictures.NO_PICTURE}")


if __name__ == "__main__":
    main()
