"""Text: characters and words as integer codes, and back."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from timeloom import arguments
from timeloom.data import _ragged

# Keras's filters and split of a text into words.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(
    input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Cuts a text into words.

    Args:
        input_text: the text.
        filters: characters that count as `split`. Default: punctuation but the apostrophe, tab, line feed.
        lower: whether to turn it into lower case. Default: True.
        split: what stands between words, at least one character. Default: a space.

    Returns:
        The words, none of them empty.

    Raises:
        ValueError: `input_text`, `filters` or `split` is no text, or `split` is empty.

    Reference:
        keras.preprocessing.text.text_to_word_sequence of Keras 2.

    Example:
        >>> text_to_word_sequence("Who's there? Nay, answer me!")
        ["who's", 'there', 'nay', 'answer', 'me']
    """
    for name, value in (("input_text", input_text), ("filters", filters), ("split", split)):
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, got {type(value).__name__}")
    if not split:
        raise ValueError("split: expected at least one character, got ''")
    text = input_text.lower() if lower else input_text
    text = text.translate(dict.fromkeys(map(ord, filters), split))
    return [word for word in text.split(split) if word]


class Vocabulary:
    """The symbols of a text, characters or words, and their codes: the positions in a list.

    Args:
        symbols: the symbols in the order of their codes, all different. If each is a single character, a text
            is encoded character by character; otherwise it must come as a list of words.
        unknown: code of what is no symbol: that of one of the symbols, such as 0 with "<unk>" in front.
            Default None: what is no symbol is an error.

    Attributes:
        symbols: tuple of the symbols.
        unknown: as given.

    Raises:
        ValueError: a symbol is no text or empty, or comes twice, or `unknown` is no code.

    Example:
        >>> vocabulary = Vocabulary.of_characters("hello")
        >>> vocabulary.symbols
        ('e', 'h', 'l', 'o')
        >>> vocabulary.encode("hole")
        array([1, 3, 2, 0], dtype=int32)
        >>> vocabulary.decode([1, 3, 2, 0])
        'hole'
        >>> words = Vocabulary.of_words("to be or not to be".split(), size=3, unknown="?")
        >>> words.symbols, words.encode(["to", "see"])
        (('?', 'to', 'be'), array([1, 0], dtype=int32))
    """

    def __init__(self, symbols: Iterable[str], unknown: int | None = None) -> None:
        self.symbols: tuple[str, ...] = tuple(symbols)
        for symbol in self.symbols:
            if not isinstance(symbol, str) or not symbol:
                raise ValueError(f"symbols: expected texts that are not empty, got {symbol!r}")
        self._codes = {symbol: code for code, symbol in enumerate(self.symbols)}
        if len(self._codes) < len(self.symbols):
            twice = next(s for code, s in enumerate(self.symbols) if self._codes[s] != code)
            raise ValueError(f"symbols: expected each once, got {twice!r} twice")
        if unknown is not None:
            words = f"None or a code below {len(self.symbols)}"
            unknown = arguments.integer("unknown", unknown, 0, words)
            if unknown >= len(self.symbols):
                raise ValueError(f"unknown: expected {words}, got {unknown}")
        self.unknown = unknown
        # "<unk>" among single characters is met by no text: they remain characters.
        single = [(s, code) for s, code in self._codes.items() if len(s) == 1 and code != unknown]
        self._by_character = len(single) + (unknown is not None) >= len(self.symbols)
        points = np.array([ord(s) for s, _ in single], np.intp)
        self._table = np.full(points.max(initial=-1) + 1, -1, np.intc)  # code by code point
        self._table[points] = [code for _, code in single]
        self._points = np.zeros(len(self), "<u4")  # code point by code
        self._points[[code for _, code in single]] = points

    @classmethod
    def of_characters(cls, text: str, size: int | None = None, unknown: str | None = None) -> Vocabulary:
        """Builds the vocabulary of the characters of a text.

        Args:
            text: any text.
            size: number of symbols at most, `unknown` counted; the most frequent ones are kept. Default: all.
            unknown: a symbol that stands for every other one; it gets code 0. Default None: there is none.

        Returns:
            The vocabulary, its characters in the order of their code points.

        Raises:
            ValueError: an argument is not as above.
        """
        if not isinstance(text, str):
            raise ValueError(f"text: expected text, got {type(text).__name__}")
        counts = np.bincount(_code_points(text))
        points = np.flatnonzero(counts)
        kept = _kept(len(points), size, unknown)
        if kept < len(points):
            frequent = np.argsort(-counts[points], kind="stable")[:kept]
            points = np.sort(points[frequent])
        return cls._built([chr(point) for point in points.tolist()], unknown)

    @classmethod
    def of_words(
        cls, words: Iterable[str], size: int | None = None, unknown: str | None = None
    ) -> Vocabulary:
        """Builds the vocabulary of words, the most frequent first, equally frequent ones as they came.

        Arguments and errors as `of_characters`.
        """
        if isinstance(words, str):
            raise ValueError("words: expected a list of words, got one text: text_to_word_sequence cuts it")
        counts = collections.Counter(words)
        if unknown is not None:
            counts.pop(unknown, None)
        kept = _kept(len(counts), size, unknown)
        return cls._built([word for word, _ in counts.most_common(kept)], unknown)

    @classmethod
    def _built(cls, symbols: list[str], unknown: str | None) -> Vocabulary:
        if unknown is None:
            return cls(symbols)
        return cls([unknown, *(symbol for symbol in symbols if symbol != unknown)], unknown=0)

    def __len__(self) -> int:
        """Number of symbols: the classes of a one-hot code, the rows of an Embedding."""
        return len(self.symbols)

    def encode(self, text: str | Sequence[str]) -> npt.NDArray[np.int32]:
        """Returns the code of each character of a text, or of each word of a list.

        Args:
            text: a text if the symbols are characters; else, or as well, a list of symbols.

        Returns:
            [length] int32.

        Raises:
            ValueError: there is something that is no symbol, and no `unknown`; or `text` is neither.
        """
        unknown = -1 if self.unknown is None else self.unknown
        if isinstance(text, str):
            if not self._by_character:
                raise ValueError(
                    "text: expected a list of words, got one text: text_to_word_sequence cuts it"
                )
            codes = np.empty(len(text), np.intc)
            # np.str_ and other subclasses become a plain str.
            refused = _ragged.encode_characters(str.__str__(text), self._table, unknown, codes)
            symbol = text[refused] if refused >= 0 else ""
        else:
            words = list(text)
            codes = np.empty(len(words), np.intc)
            try:
                refused = _ragged.encode_words(words, self._codes, unknown, codes)
            except TypeError as error:
                raise ValueError(f"text: expected a list of texts, got {error}") from None
            symbol = words[refused] if 0 <= refused < len(words) else ""
        if refused >= 0:
            raise ValueError(
                f"text: expected symbols of the vocabulary (or a vocabulary with `unknown`), "
                f"got {symbol!r} at position {refused}"
            )
        return codes

    def decode(self, codes: npt.ArrayLike, separator: str | None = None) -> str:
        """Returns the text of codes.

        Args:
            codes: integers of any shape, read row by row.
            separator: what stands between two symbols. Default: nothing for characters, a space for words.

        Raises:
            ValueError: something is no code.
        """
        array = np.asarray(codes).reshape(-1)
        if array.size and array.dtype.kind not in "iu":
            raise ValueError(f"codes: expected integers, got an array of {array.dtype}")
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < len(self):
            wrong = int(array.min()) if int(array.min()) < 0 else int(array.max())
            raise ValueError(f"codes: expected codes from 0 to {len(self) - 1}, got {wrong}")
        if separator is None:
            separator = "" if self._by_character else " "
        if self._by_character and not separator and (self.unknown is None or self.unknown not in array):
            points = self._points.take(array.astype(np.intp, copy=False))
            return points.tobytes().decode("utf-32-le", "surrogatepass")
        return separator.join(map(self.symbols.__getitem__, array.tolist()))


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    # A lone surrogate is a character as well.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def _kept(found: int, size: int | None, unknown: str | None) -> int:
    if unknown is not None and (not isinstance(unknown, str) or not unknown):
        raise ValueError(f"unknown: expected None or a text that is not empty, got {unknown!r}")
    if size is None:
        return found
    return arguments.positive_integer("size", size) - (unknown is not None)
