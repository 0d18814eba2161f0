"""Keras's Tokenizer: texts as lists of word numbers, the most frequent word first."""

from __future__ import annotations

import collections
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from timeloom import arguments
from timeloom.data.text import FILTERS, text_to_word_sequence

_MODES = ("binary", "count", "freq", "tfidf")
# What get_config writes as JSON within JSON.
_TABLES = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


class Tokenizer:
    """Numbers the words of texts by how often they come, as Keras 2 did; `Vocabulary` is the plainer way.

    Number 0 is no word: it is left for padding. Number 1 is the `oov_token` if there is one, else the most
    frequent word; words of equal frequency follow in the order in which they came.

    Args:
        num_words: only words with a number BELOW it are used, so `num_words - 1` of them. Default None: all.
        filters: characters that count as `split`. Default: punctuation but the apostrophe, tab, line feed.
        lower: whether to turn texts into lower case. Default: True.
        split: what stands between words. Default: a space.
        char_level: whether every character is a word. Default: False.
        oov_token: a word that stands for words without a number; without it they are left out. Default: None.
        analyzer: a function from a text to its words, instead of `filters`, `lower` and `split`. Default:
            None.
        document_count: number of texts seen before. Default: 0.

    Attributes:
        word_counts: how often each word came, in the order in which they came first.
        word_docs: in how many texts each word came.
        word_index: number of each word, whatever `num_words`.
        index_word: word of each number.
        index_docs: in how many texts the word of each number came.
        document_count: number of texts seen.

    Raises:
        ValueError: `num_words` or `document_count` is no integer, or `split` is empty.

    Reference:
        keras.preprocessing.text.Tokenizer of Keras 2.

    Example:
        >>> tokenizer = Tokenizer(num_words=4, oov_token="<unk>")
        >>> tokenizer.fit_on_texts(["To be, or not to be.", "To sleep"])
        >>> tokenizer.word_index
        {'<unk>': 1, 'to': 2, 'be': 3, 'or': 4, 'not': 5, 'sleep': 6}
        >>> tokenizer.texts_to_sequences(["To dream or to be"])
        [[2, 1, 1, 2, 3]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Iterable[str]] | None = None,
        document_count: int = 0,
    ) -> None:
        if num_words is not None:
            num_words = arguments.integer("num_words", num_words, 0, "None or an integer of at least 0")
        if not isinstance(split, str) or not split:
            raise ValueError(f"split: expected at least one character, got {split!r}")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.document_count = arguments.integer("document_count", document_count)
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.index_docs: dict[int, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[str | Sequence[str]]) -> None:
        """Counts the words of texts and numbers them; a second call adds to the first.

        Args:
            texts: an iterable of texts, or of lists of words.

        Raises:
            ValueError: there is something that is no text.
        """
        counts, documents = collections.Counter(self.word_counts), collections.Counter(self.word_docs)
        seen = 0
        for words in self._words_of(texts):
            seen += 1
            counts.update(words)
            documents.update(set(words))
        self.document_count += seen
        self.word_counts, self.word_docs = dict(counts), dict(documents)
        ordered = [word for word, _ in counts.most_common()]
        if self.oov_token is not None:
            ordered = [self.oov_token, *ordered]
        # A text that holds the oov_token itself names it twice; as in Keras the later number stands.
        self.word_index = {word: number for number, word in enumerate(ordered, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        self.index_docs.update({self.word_index[word]: count for word, count in documents.items()})

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Counts in how many sequences each number comes, for "tfidf" without texts."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] = self.index_docs.get(number, 0) + 1

    def texts_to_sequences(self, texts: Iterable[str | Sequence[str]]) -> list[list[int]]:
        """Returns the numbers of the words of each text, those without one left out or the oov_token's."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | Sequence[str]]) -> Iterator[list[int]]:
        """Yields what texts_to_sequences returns, text by text."""
        limit = self.num_words or math.inf
        other = None if self.oov_token is None else self.word_index.get(self.oov_token)
        codes: dict[str, int | None] = {
            word: number if number < limit else other for word, number in self.word_index.items()
        }
        for words in self._words_of(texts):
            yield [code for word in words if (code := codes.get(word, other)) is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Returns the words of each sequence of numbers, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yields what sequences_to_texts returns, sequence by sequence."""
        limit = self.num_words or math.inf
        other = self.oov_token if self.oov_token in self.word_index else None
        words = {number: word if number < limit else other for number, word in self.index_word.items()}
        for sequence in sequences:
            yield " ".join(word for number in sequence if (word := words.get(number, other)) is not None)

    def texts_to_matrix(
        self, texts: Iterable[str | Sequence[str]], mode: str = "binary"
    ) -> npt.NDArray[np.float64]:
        """Returns one row a text: texts_to_sequences, then sequences_to_matrix."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> npt.NDArray[np.float64]:
        """Returns one row a sequence: a bag of words.

        Equations:
            binary 1, count c, freq c / length, tfidf (1 + ln c) ln(1 + documents / (1 + documents with it))
            for a number that comes c times, 0 for one that does not

        Args:
            sequences: lists of numbers of at least 0; those from num_words on are left out.
            mode: "binary", "count", "freq" or "tfidf". Default: "binary".

        Returns:
            [sequences, num_words] float64; without num_words as many columns as there are numbers, and one.

        Raises:
            ValueError: `mode` is no such word, nothing was fitted, or a number is negative.
        """
        if mode not in _MODES:
            raise ValueError(f"mode: expected {', '.join(map(repr, _MODES))}, got {mode!r}")
        columns = self.num_words or (len(self.word_index) + 1 if self.word_index else 0)
        if not columns:
            raise ValueError("num_words: expected a number, or a call of fit_on_texts before, got neither")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("mode: expected a call of fit_on_texts before 'tfidf', got none")
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in enumerate(sequences):
            for number, count in collections.Counter(sequence).items():
                if number < 0:
                    raise ValueError(f"sequences[{row}]: expected numbers of at least 0, got {number}")
                if number < columns:
                    matrix[row, number] = self._weight(mode, number, count, len(sequence))
        return matrix

    def _weight(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "tfidf":
            documents = 1 + self.index_docs.get(number, 0)
            return (1 + math.log(count)) * math.log(1 + self.document_count / documents)
        return {"binary": 1.0, "count": float(count), "freq": count / length}[mode]

    def get_config(self) -> dict[str, Any]:
        """Returns settings and counts, the latter as JSON; `analyzer` is not among them."""
        names = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        config = {name: getattr(self, name) for name in names}
        return {**config, **{name: json.dumps(getattr(self, name)) for name in _TABLES}}

    def to_json(self, **kwargs: Any) -> str:
        """Returns class name and config as JSON; keyword arguments go to `json.dumps`."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)

    def _words_of(self, texts: Iterable[str | Sequence[str]]) -> Iterator[Sequence[str]]:
        if isinstance(texts, str):
            raise ValueError("texts: expected a list of texts, got one text")
        for index, text in enumerate(texts):
            if isinstance(text, (list, tuple)):
                if not all(isinstance(word, str) for word in text):
                    raise ValueError(f"texts[{index}]: expected a list of words, got other things in it")
                yield [word.lower() for word in text] if self.lower else text
            elif not isinstance(text, str):
                raise ValueError(f"texts[{index}]: expected text, got {type(text).__name__}")
            elif self.char_level:
                yield text.lower() if self.lower else text
            elif self.analyzer is not None:
                yield list(self.analyzer(text))
            else:
                yield text_to_word_sequence(text, self.filters, self.lower, self.split)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Returns the Tokenizer that `to_json` wrote, Keras's or this one's.

    Args:
        json_string: JSON.

    Raises:
        ValueError: `json_string` is no JSON of a Tokenizer.

    Example:
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["a b a"])
        >>> tokenizer_from_json(tokenizer.to_json()).word_index
        {'a': 1, 'b': 2}
    """
    try:
        config = dict(json.loads(json_string)["config"])
        tables = {name: dict(json.loads(config.pop(name))) for name in _TABLES}
        tokenizer = Tokenizer(**config)
        for name, table in tables.items():
            # JSON turns numbers that are keys into text.
            setattr(tokenizer, name, {int(k): v for k, v in table.items()} if name[:5] == "index" else table)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"json_string: expected what Tokenizer.to_json writes, got {error!r}") from None
    return tokenizer
