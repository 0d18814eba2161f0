import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeloom.data import Vocabulary, text_to_word_sequence

TEXTS = st.text(st.characters(), max_size=40)  # every plane, control characters


@settings(deadline=None)
@given(text=TEXTS)
def test_characters_there_and_back(text):
    vocabulary = Vocabulary.of_characters(text)
    assert list(vocabulary.symbols) == sorted(set(text))
    codes = vocabulary.encode(text)
    assert codes.dtype == np.int32
    assert codes.tolist() == [vocabulary.symbols.index(character) for character in text]
    assert vocabulary.encode(list(text)).tolist() == codes.tolist()
    assert vocabulary.decode(codes) == text
    assert vocabulary.decode(codes, "") == text
    assert vocabulary.decode(codes, "-") == "-".join(text)


@settings(deadline=None)
@given(known=TEXTS, text=TEXTS)
def test_characters_with_an_unknown_symbol(known, text):
    vocabulary = Vocabulary.of_characters(known, unknown="<unk>")
    codes = vocabulary.encode(text)
    assert codes.tolist() == [1 + sorted(set(known)).index(c) if c in known else 0 for c in text]
    assert vocabulary.decode(codes) == "".join(c if c in known else "<unk>" for c in text)


@settings(deadline=None)
@given(known=st.lists(TEXTS.filter(bool)), words=st.lists(TEXTS.filter(bool)))
def test_words_with_an_unknown_symbol(known, words):
    vocabulary = Vocabulary.of_words(known, unknown="\n\n")
    expected = [vocabulary.symbols.index(w) if w in vocabulary.symbols else 0 for w in words]
    assert vocabulary.encode(words).tolist() == expected
    assert set(vocabulary.symbols) == {*known, "\n\n"}


@pytest.mark.parametrize("other", ["b", "é", "中", "😀", "\udc80", "\U0010ffff"])
def test_texts_of_every_width(other):
    vocabulary = Vocabulary.of_characters("a" + other)
    text = (other + "a") * 3
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert Vocabulary(["a"], unknown=0).encode(text).tolist() == [0] * 6


def test_the_most_frequent_symbols_are_kept():
    assert Vocabulary.of_characters("abcbcc", size=2).symbols == ("b", "c")
    assert Vocabulary.of_characters("abcbcc", size=2, unknown="?").symbols == ("?", "c")
    words = Vocabulary.of_words(["x", "y", "z", "y", "z"], size=2)
    assert words.symbols == ("y", "z")
    assert len(words) == 2
    assert Vocabulary.of_words(["?", "x", "?"], unknown="?").symbols == ("?", "x")
    assert Vocabulary.of_characters("a?", unknown="?").encode("?ab").tolist() == [0, 1, 0]
    assert Vocabulary.of_words(["x"], size=1, unknown="?").symbols == ("?",)


def test_nothing():
    vocabulary = Vocabulary([])
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.encode([]).shape == (0,)
    assert vocabulary.decode([]) == ""
    assert Vocabulary.of_characters("").symbols == ()
    with pytest.raises(ValueError, match="got 'a' at position 0"):
        vocabulary.encode("a")


def test_decode_words_and_arrays():
    vocabulary = Vocabulary(["to", "be"])
    assert vocabulary.decode([[0, 1], [1, 0]]) == "to be be to"
    assert vocabulary.decode(np.array([1], np.uint8), separator="-") == "be"
    assert Vocabulary("ab").decode(np.int64(1)) == "b"


def test_encode_takes_subclasses_of_str():
    assert Vocabulary("ab").encode(np.str_("ba")).tolist() == [1, 0]
    assert Vocabulary("ab").encode(np.array(["b", "a"])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("symbols", "unknown", "message"),
    [
        ("aba", None, "symbols: expected each once, got 'a' twice"),
        (["a", ""], None, "symbols: expected texts that are not empty, got ''"),
        (["a", 3], None, "symbols: expected texts that are not empty, got 3"),
        ("ab", 2, "unknown: expected None or a code below 2, got 2"),
        ("ab", -1, "unknown: expected None or a code below 2, got -1"),
        ("ab", "a", "unknown: expected None or a code below 2, got 'a'"),
    ],
)
def test_vocabulary_refuses(symbols, unknown, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(symbols, unknown)


class Fickle(str):
    """A word whose hash empties the list it is in."""

    __slots__ = ("words",)

    def __hash__(self):
        self.words.clear()
        return 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abx", "text: expected symbols of the vocabulary .* got 'x' at position 2"),
        (["a", "x"], "got 'x' at position 1"),
        (["a", None], "got None at position 1"),
        (["a", ["b"]], "text: expected a list of texts, got unhashable type"),
        ("a\U0010ffff", "position 1"),
    ],
)
def test_encode_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary("ab").encode(text)


def test_encode_survives_a_list_that_changes_under_it(monkeypatch):
    word = Fickle("a")
    words = [word, *"bababa"]
    word.words = words
    assert Vocabulary("ab").encode(["a"]).tolist() == [0]
    from timeloom.data import _ragged

    codes = np.empty(7, np.intc)
    assert _ragged.encode_words(words, {"a": 0, "b": 1}, 5, codes) == 1


def test_encode_refuses_one_text_for_words():
    with pytest.raises(ValueError, match="text: expected a list of words, got one text"):
        Vocabulary(["to", "be"]).encode("to be")
    with pytest.raises(ValueError, match="words: expected a list of words, got one text"):
        Vocabulary.of_words("to be")
    with pytest.raises(ValueError, match="text: expected text, got list"):
        Vocabulary.of_characters(["a"])
    with pytest.raises(ValueError, match="size: expected a positive integer, got 0"):
        Vocabulary.of_characters("ab", size=0)
    with pytest.raises(ValueError, match="unknown: expected None or a text that is not empty, got 0"):
        Vocabulary.of_words(["ab"], unknown=0)


@pytest.mark.parametrize("codes", [[0, 2], [-1], [2**40], np.array([2**63], np.uint64)])
def test_decode_refuses_what_is_no_code(codes):
    with pytest.raises(ValueError, match="codes: expected codes from 0 to 1, got"):
        Vocabulary("ab").decode(codes)


def test_decode_refuses_fractions():
    with pytest.raises(ValueError, match="codes: expected integers, got an array of float64"):
        Vocabulary("ab").decode([0.0])


def test_text_to_word_sequence():
    assert text_to_word_sequence("Who's there?\tNay, answer-me!") == ["who's", "there", "nay", "answer", "me"]
    assert text_to_word_sequence("A b,c", filters="", lower=False) == ["A", "b,c"]
    assert text_to_word_sequence("a--b-c", filters="", split="-") == ["a", "b", "c"]
    assert text_to_word_sequence("a.b", split="<>") == ["a", "b"]
    assert text_to_word_sequence("") == []
    for arguments in ((3,), ("a", 3), ("a", "", True, 3), ("a", "", True, "")):
        with pytest.raises(ValueError, match="expected"):
            text_to_word_sequence(*arguments)
