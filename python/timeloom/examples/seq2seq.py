"""An encoder and a decoder learn to reverse words or to add: `python -m timeloom.examples.seq2seq`.

The encoder, an LSTM, reads a question symbol by symbol; of all it computes only its final states are kept.
They are the initial states of the decoder, another LSTM, which writes the answer symbol by symbol. In
training the decoder is given the right symbol before each one that it has to write (teacher forcing); the
gradient goes back through the states into the encoder. Afterwards it is given what it wrote itself, so one
wrong symbol may spoil the rest. That is how the questions held out are answered, and an answer counts only
if every symbol is right.

`--task reverse` turns words of random letters round ("kite" -> "etik"), which only asks for memory;
`--task add` adds ("95+7" -> "102"), where digits carry over. Every question is made once, so none of those
held out was trained on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import GradientTape
from timeloom.callbacks import Callback, LearningRateScheduler
from timeloom.data import Vocabulary, pad_sequences
from timeloom.examples import pictures
from timeloom.layers import LSTM, Dense, Embedding
from timeloom.losses import SparseCategoricalCrossentropy
from timeloom.metrics import Mean
from timeloom.models import Model
from timeloom.models.batches import Batch
from timeloom.models.hooks import Logs
from timeloom.optimizers import Adam
from timeloom.utils import set_random_seed

Codes = npt.NDArray[np.int32]
Pair = tuple[str, str]

# Code 0: begins every answer, ends it, and fills up what is left of a row.
BLANK = "_"
BATCH = 64
LEARNING_RATE = 4e-3


@dataclass(frozen=True)
class Task:
    """A task: its symbols, how to draw a question of a size at random, and the answer to a question."""

    symbols: str
    question: Callable[[np.random.Generator, int], str]
    answer: Callable[[str], str]
    size: int
    samples: int
    epochs: int


def _word(random: np.random.Generator, size: int) -> str:
    letters = random.integers(0, 26, random.integers(1, size + 1))
    return "".join(chr(ord("a") + letter) for letter in letters)


def _sum(random: np.random.Generator, size: int) -> str:
    first, second = (random.integers(0, 10 ** random.integers(1, size + 1)) for _ in range(2))
    return f"{first}+{second}"


TASKS = {
    "reverse": Task(
        "abcdefghijklmnopqrstuvwxyz", _word, lambda question: question[::-1], size=8, samples=20000, epochs=8
    ),
    "add": Task(
        "0123456789+",
        _sum,
        lambda question: str(sum(int(number) for number in question.split("+"))),
        size=3,
        samples=50000,
        epochs=8,
    ),
}


def make_pairs(task: Task, size: int, samples: int, random: np.random.Generator) -> list[Pair]:
    """Draws different questions, with their answers, until there are enough or no new one comes.

    Example:
        >>> make_pairs(TASKS["add"], 1, 3, np.random.default_rng(0))
        [('3+0', '3'), ('8+6', '14'), ('5+2', '7')]
    """
    questions: dict[str, None] = {}
    in_vain = 0
    while len(questions) < samples and in_vain < 1000:
        question = task.question(random, size)
        in_vain = in_vain + 1 if question in questions else 0
        questions[question] = None
    # Short questions are soon used up, so most of them come early.
    order = random.permutation(len(questions))
    shuffled = np.array(list(questions))[order]
    return [(str(question), task.answer(str(question))) for question in shuffled]


def encode(vocabulary: Vocabulary, texts: Sequence[str], length: int) -> Codes:
    """Returns the codes of texts, [texts, length], filled up with blanks.

    Example:
        >>> encode(Vocabulary("_abc"), ["ab", "c"], 3)
        array([[1, 2, 0],
               [3, 0, 0]], dtype=int32)
    """
    return pad_sequences([vocabulary.encode(text) for text in texts], length, padding="post")


def decode(vocabulary: Vocabulary, codes: npt.NDArray[np.integer]) -> list[str]:
    """Returns the texts of codes [texts, length]; each ends before its first blank.

    Example:
        >>> decode(Vocabulary("_abc"), np.array([[1, 2, 0], [3, 0, 1]]))
        ['ab', 'c']
    """
    return [vocabulary.decode(row).split(BLANK)[0] for row in codes]


class Translator(Model):
    """Encoder and decoder.

    Args:
        symbols: number of symbols, the blank among them.
        answer_length: number of symbols that the decoder writes.
        units: units of both LSTMs.

    Call arguments:
        questions: codes [batch, length], filled up with blanks.

    Returns:
        Logits [batch, answer_length, symbols] of an answer that the decoder makes up by itself.
    """

    def __init__(self, symbols: int, answer_length: int, units: int) -> None:
        super().__init__()
        self.answer_length = answer_length
        self.embedding = Embedding(symbols, units // 4)
        # From the end, where adding begins: two epochs give 78 % right answers, and 13 % from the beginning.
        self.encoder = LSTM(units, return_state=True, go_backwards=True)
        self.decoder = LSTM(units, return_sequences=True, return_state=True)
        self.output_logits = Dense(symbols)
        self.mean_loss = Mean(name="loss")

    def read(self, questions: Any) -> list[Any]:
        """Returns the encoder's final states, h and c, each [batch, units]; blanks are not read."""
        _, hidden, cell = self.encoder(self.embedding(questions), mask=questions != 0)
        return [hidden, cell]

    def write(self, symbols: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """Returns the logits of the symbols that follow `symbols` [batch, timesteps], and the new states."""
        outputs, *states = self.decoder(self.embedding(symbols), initial_state=states)
        return self.output_logits(outputs), states

    def call(self, questions: Any) -> Any:
        """Writes the likeliest symbol at each step, and goes on from there."""
        states = self.read(questions)
        symbols = np.zeros((len(questions), 1), np.int64)
        steps = []
        for _ in range(self.answer_length):
            logits, states = self.write(symbols, states)
            symbols = logits.argmax(axis=-1)
            steps.append(logits)
        return np.concatenate(steps, axis=1)

    def teach(self, questions: Any, answers: Any) -> Any:
        """Returns the logits [batch, length, symbols] with the right symbol before each given."""
        before = np.zeros_like(answers)
        before[:, 1:] = answers[:, :-1]
        return self.write(before, self.read(questions))[0]

    @property
    def metrics(self) -> list[Any]:
        """The running loss of the epoch: fit starts it anew."""
        return [self.mean_loss]

    def train_step(self, data: Batch) -> dict[str, float]:
        """One step with teacher forcing."""
        questions, answers, _ = data
        weights = self.trainable_weights
        assert self.optimizer is not None
        with GradientTape() as tape:
            loss = self.compute_loss(questions, answers, self.teach(questions, answers))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.mean_loss.update_state(loss)
        return {"loss": float(self.mean_loss.result())}


def exact_match(said: Sequence[str], pairs: Sequence[Pair]) -> float:
    """Share of the pairs whose answer was said symbol by symbol.

    Example:
        >>> exact_match(["14", "8"], [("8+6", "14"), ("5+2", "7")])
        0.5
    """
    return float(np.mean([text == answer for text, (_, answer) in zip(said, pairs, strict=True)]))


class HeldOut(Callback):
    """Answers the held-out questions after every epoch and prints a line about it.

    Args:
        answer: function of the questions that returns the answers.
        pairs: the held-out questions and their answers.
    """

    def __init__(self, answer: Callable[[Sequence[str]], list[str]], pairs: Sequence[Pair]) -> None:
        super().__init__()
        self.answer = answer
        self.pairs = pairs
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Prints loss and share of right answers."""
        share = exact_match(self.answer([question for question, _ in self.pairs]), self.pairs)
        seconds = time.perf_counter() - self.begin
        loss = (logs or {})["loss"]
        print(
            f"epoch {epoch + 1:3}  loss {loss:.4f}  held-out answers right {share:6.1%}  {seconds:5.0f} s",
            flush=True,
        )


def report(pairs: Sequence[Pair], said: Sequence[str]) -> None:
    """Prints some answers, right and wrong, the share that is right, and that share by length."""
    both = [(question, answer, text) for (question, answer), text in zip(pairs, said, strict=True)]
    for name, chosen in (
        ("right", [row for row in both if row[1] == row[2]]),
        ("wrong", [row for row in both if row[1] != row[2]]),
    ):
        print(f"\n{len(chosen)} of {len(both)} held-out answers are {name}{', such as' if chosen else '.'}")
        for question, answer, text in chosen[:5]:
            print(f"  {question} -> {text}" + (f"   expected {answer}" if text != answer else ""))
    print("\nlength of the question  questions  right")
    for length in sorted({len(question) for question, _ in pairs}):
        rows = [row for row in both if len(row[0]) == length]
        right = np.mean([answer == text for _, answer, text in rows])
        print(f"{length:22}  {len(rows):9}  {right:6.1%}")
    share = exact_match(said, pairs)
    print(
        f"\nExact match {share:.1%}: that share of questions never seen is answered without a wrong symbol,\n"
        "given nothing but the states that the encoder left behind and the symbols written so far."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the example; `arguments` are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="python -m timeloom.examples.seq2seq", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--task", choices=sorted(TASKS), default="reverse", help="default: reverse")
    whole = pictures.whole_number(1)
    parser.add_argument("--size", type=whole, help="most letters of a word, or digits of a number")
    parser.add_argument("--samples", type=whole, help="questions to make, a tenth of them to hold out")
    parser.add_argument("--epochs", type=whole)
    parser.add_argument("--units", type=whole, default=128, help="of encoder and decoder (default: 128)")
    parser.add_argument("--seed", type=pictures.whole_number(0), default=0)
    options = parser.parse_args(arguments)
    task = TASKS[options.task]
    size, epochs = options.size or task.size, options.epochs or task.epochs
    if size > 17:
        parser.error(f"argument --size: expected at most 17, got {size}")

    random = np.random.default_rng(options.seed)
    pairs = make_pairs(task, size, options.samples or task.samples, random)
    count = len(pairs) // 10
    if count == 0:
        parser.error(f"argument --samples: expected questions enough to hold some out, got {len(pairs)}")
    held_out, training = pairs[:count], pairs[count:]
    question_length = max(len(question) for question, _ in pairs)
    # A blank after the longest answer, so that every answer has its end.
    answer_length = max(len(answer) for _, answer in pairs) + 1
    print(f"{len(training)} questions to train on, {count} held out, such as {' -> '.join(held_out[0])}\n")

    vocabulary = Vocabulary(BLANK + task.symbols)
    set_random_seed(options.seed)
    model = Translator(len(vocabulary), answer_length, options.units)
    model.compile(Adam(LEARNING_RATE, global_clipnorm=1.0), SparseCategoricalCrossentropy(from_logits=True))

    def read(questions: Sequence[str]) -> Codes:
        return encode(vocabulary, questions, question_length)

    def answer(questions: Sequence[str]) -> list[str]:
        logits = model.predict(read(questions), batch_size=1000, verbose=0)
        return decode(vocabulary, logits.argmax(axis=-1))

    model.fit(
        read([question for question, _ in training]),
        encode(vocabulary, [text for _, text in training], answer_length),
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[
            LearningRateScheduler(lambda epoch: LEARNING_RATE * (1 - epoch / epochs)),
            HeldOut(answer, held_out),
        ],
    )
    report(held_out, answer([question for question, _ in held_out]))


if __name__ == "__main__":
    main()
