"""The text of char_rnn: files to codes, streams to train on, and the two rules that only count.

What belongs here knows nothing of a network; the example itself is `timeloom.examples.char_rnn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timeloom.data import Vocabulary

Codes = npt.NDArray[np.int32]

SHORTEST_TEXT = 1000


@dataclass(frozen=True)
class Corpus:
    """A text as codes of its characters."""

    vocabulary: Vocabulary
    training: Codes
    held_out: Codes


def read_files(paths: Sequence[Path]) -> str:
    """Returns the texts of files in UTF-8, one after the other.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is not text in UTF-8.
    """
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            wrong = error.object[error.start]
            raise ValueError(f"{path}: expected text in UTF-8, got byte {wrong:#04x}") from error
    return "".join(texts)


def hold_out(text: str) -> tuple[str, str]:
    """Splits a text in two: one to train on, and its last twentieth.

    Raises:
        ValueError: The text is too short.
    """
    if len(text) < SHORTEST_TEXT:
        raise ValueError(f"text: expected at least {SHORTEST_TEXT} characters, got {len(text)}")
    cut = len(text) - len(text) // 20
    return text[:cut], text[cut:]


def make_corpus(training: str, held_out: str) -> Corpus:
    """Encodes two texts.

    Raises:
        ValueError: All characters are the same.

    Example:
        >>> corpus = make_corpus("to be", "or")
        >>> corpus.training.tolist(), corpus.held_out.tolist(), corpus.vocabulary.symbols
        ([5, 3, 0, 1, 2], [3, 4], (' ', 'b', 'e', 'o', 'r', 't'))
    """
    vocabulary = Vocabulary.of_characters(training + held_out)
    if len(vocabulary) < 2:
        raise ValueError(f"text: expected at least two different characters, got only {vocabulary.symbols}")
    return Corpus(vocabulary, vocabulary.encode(training), vocabulary.encode(held_out))


def streams(codes: Codes, count: int, timesteps: int) -> tuple[Codes, Codes]:
    """Cuts a text into streams for a stateful layer that reads them side by side, `timesteps` at a time.

    Args:
        codes: [characters].
        count: number of streams, the rows of a batch.
        timesteps: characters of a step.

    Returns:
        x and y, each [steps * count, timesteps]: row `r` of step `s` continues row `r` of step `s - 1`, and
        y holds the character after each of x. What does not fill a step is left out.

    Raises:
        ValueError: The text does not fill one step.

    Example:
        >>> x, y = streams(np.arange(13), 2, 3)
        >>> x.tolist()
        [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
        >>> y[0].tolist()
        [1, 2, 3]
    """
    steps = (len(codes) - 1) // (count * timesteps)
    if steps == 0:
        raise ValueError(f"codes: expected more than {count * timesteps} characters, got {len(codes)}")

    def cut(part: Codes) -> Codes:
        return part.reshape(count, steps, timesteps).swapaxes(0, 1).reshape(steps * count, timesteps)

    used = count * steps * timesteps
    return cut(codes[:used]), cut(codes[1 : used + 1])


def unigram_nats(training: Codes, y: Codes, symbols: int) -> float:
    """Nats per character of y for a rule that knows how often each character comes in the training text.

    Equations:
        p(b) = (n_b + 1) / (n + symbols)

    Args:
        training: [characters].
        y: characters to predict, any shape.
        symbols: number of different characters. The one that is added to each count keeps what never
            occurred possible.

    Example:
        >>> import math
        >>> unigram_nats(np.array([0, 0, 1]), np.array([0]), 2) == -math.log(3 / 5)
        True
    """
    counts = np.bincount(training, minlength=symbols) + 1.0
    return float(-np.log(counts / counts.sum())[y].mean())


def bigram_nats(training: Codes, x: Codes, y: Codes, symbols: int) -> float:
    """Nats per character of y, each after its x, for a rule that knows how often each pair comes.

    Equations:
        p(b | a) = (n_ab + 1) / (sum over c of n_ac + symbols)

    Args:
        training: [characters].
        x: the characters before those of y, of the same shape.
        y: characters to predict.
        symbols: as `unigram_nats`.

    Example:
        >>> import math
        >>> bigram_nats(np.array([0, 0, 1]), np.array([0]), np.array([1]), 2) == -math.log(2 / 4)
        True
    """
    # Counted without a table of all pairs: a Chinese text has thousands of characters.
    pairs, counts = np.unique(training[:-1].astype(np.int64) * symbols + training[1:], return_counts=True)
    wanted = x.astype(np.int64) * symbols + y
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    together = np.where(pairs[places] == wanted, counts[places], 0)
    before = np.bincount(training[:-1], minlength=symbols)[x]
    return float(-np.log((together + 1) / (before + symbols)).mean())
