import json

import numpy as np
import pytest

import timeloom.preprocessing.text
from timeloom.data.tokenizer import Tokenizer, tokenizer_from_json

TEXTS = ["The cat sat on the mat.", "The dog sat on the log!", "Dogs & cats, living together"]


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_keras_paths_name_the_same_class():
    assert timeloom.preprocessing.text.Tokenizer is Tokenizer


def test_the_most_frequent_word_is_number_1():
    tokenizer = fitted()
    assert list(tokenizer.word_index.items())[:4] == [("the", 1), ("sat", 2), ("on", 3), ("cat", 4)]
    assert tokenizer.word_counts["the"] == 4
    assert tokenizer.word_docs["the"] == 2
    assert tokenizer.index_docs[1] == 2
    assert tokenizer.index_word[1] == "the"
    assert tokenizer.document_count == 3
    assert tokenizer.texts_to_sequences(["the dog sat", "a zebra", ""]) == [[1, 6, 2], [], []]
    assert tokenizer.sequences_to_texts([[1, 6, 99, 0, 2]]) == ["the dog sat"]


def test_num_words_cuts_below_itself():
    tokenizer = fitted(num_words=3)
    assert len(tokenizer.word_index) == 11
    assert tokenizer.texts_to_sequences(["the cat sat"]) == [[1, 2]]
    assert tokenizer.sequences_to_texts([[1, 2, 3]]) == ["the sat"]


def test_oov_token_is_number_1():
    tokenizer = fitted(num_words=4, oov_token="<unk>")
    assert tokenizer.word_index["<unk>"] == 1
    assert tokenizer.texts_to_sequences(["the zebra sat on"]) == [[2, 1, 3, 1]]
    assert tokenizer.sequences_to_texts([[2, 1, 3, 9]]) == ["the <unk> sat <unk>"]


def test_characters_lists_and_analyzers():
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts(["aAb", "b"])
    assert tokenizer.word_index == {"a": 1, "b": 2}
    assert tokenizer.texts_to_sequences(["Ba"]) == [[2, 1]]
    tokenizer = Tokenizer(lower=False)
    tokenizer.fit_on_texts([["A", "b"], ("A",)])
    assert tokenizer.word_index == {"A": 1, "b": 2}
    tokenizer = Tokenizer(analyzer=lambda text: text.split("|"))
    tokenizer.fit_on_texts(["A b|c"])
    assert tokenizer.word_index == {"A b": 1, "c": 2}


def test_a_second_fit_adds_to_the_first():
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["a b"])
    tokenizer.fit_on_texts(text for text in ["b c", "c c c"])
    assert tokenizer.word_index == {"c": 1, "b": 2, "a": 3}
    assert tokenizer.word_docs == {"a": 1, "b": 2, "c": 2}
    assert tokenizer.document_count == 3


# Written by Keras 3.15.1 (keras.src.legacy.preprocessing.text) for "the cat sat on the mat" after the fit
# above.
KERAS = {
    "binary": [0, 1, 1, 1, 1, 1],
    "count": [0, 2, 1, 1, 1, 1],
    "freq": [0, 0.3333333333333333, 0.16666666666666666, 0.16666666666666666, 0.16666666666666666]
    + [0.16666666666666666],
    "tfidf": [
        0,
        1.1736001944781467,
        0.6931471805599453,
        0.6931471805599453,
        0.9162907318741551,
        0.9162907318741551,
    ],
}


@pytest.mark.parametrize("mode", list(KERAS))
def test_texts_to_matrix(mode):
    matrix = fitted(num_words=6).texts_to_matrix(["The cat sat on the mat.", "zebra"], mode)
    np.testing.assert_allclose(matrix, [KERAS[mode], [0] * 6], rtol=1e-9)
    assert matrix.dtype == np.float64
    assert fitted().texts_to_matrix(TEXTS, mode).shape == (3, 12)


def test_fit_on_sequences_counts_documents():
    tokenizer = Tokenizer(num_words=3)
    tokenizer.fit_on_sequences([[1, 1, 2], [1]])
    expected = [[0, (1 + np.log(2)) * np.log(1 + 2 / 3), np.log(1 + 2 / 2)]]
    np.testing.assert_allclose(tokenizer.sequences_to_matrix([[1, 1, 2]], "tfidf"), expected)


def test_json_there_and_back():
    tokenizer = fitted(num_words=5, oov_token="?", filters="!", split="-")
    other = tokenizer_from_json(tokenizer.to_json())
    assert vars(other) == vars(tokenizer)
    assert json.loads(json.loads(tokenizer.to_json(indent=1))["config"]["word_index"])["?"] == 1


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "3", '{"config": {}}', '{"config": {"word_counts": "x"}}', None]
)
def test_tokenizer_from_json_refuses(text):
    with pytest.raises(ValueError, match=r"json_string: expected what Tokenizer\.to_json writes"):
        tokenizer_from_json(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tokenizer(num_words=-1), "num_words: expected None or an integer of at least 0, got -1"),
        (lambda: Tokenizer(num_words="9"), "num_words: expected None or an integer"),
        (lambda: Tokenizer(split=""), "split: expected at least one character, got ''"),
        (lambda: Tokenizer().fit_on_texts("one text"), "texts: expected a list of texts, got one text"),
        (lambda: Tokenizer().fit_on_texts(["a", 3]), r"texts\[1\]: expected text, got int"),
        (lambda: Tokenizer().fit_on_texts([["a", 3]]), r"texts\[0\]: expected a list of words"),
        (lambda: fitted().texts_to_matrix(TEXTS, "bag"), "mode: expected 'binary', 'count', 'freq', 'tfidf'"),
        (
            lambda: Tokenizer().texts_to_matrix(TEXTS),
            "num_words: expected a number, or a call of fit_on_texts",
        ),
        (lambda: Tokenizer(3).texts_to_matrix(TEXTS, "tfidf"), "mode: expected a call of fit_on_texts"),
        (
            lambda: fitted().sequences_to_matrix([[-1]]),
            r"sequences\[0\]: expected numbers of at least 0, got -1",
        ),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_refused_fit_leaves_the_counts_as_they_were():
    tokenizer = fitted()
    before = tokenizer.to_json()
    with pytest.raises(ValueError, match="expected text"):
        tokenizer.fit_on_texts(["more words", None])
    assert tokenizer.to_json() == before
