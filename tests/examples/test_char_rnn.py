import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from timeloom.data import Vocabulary
from timeloom.datasets import shakespeare
from timeloom.examples import char_rnn, char_text
from timeloom.utils import set_random_seed

LINE = "the cat sat on the mat.\n"


@pytest.fixture
def text_file(tmp_path, monkeypatch):
    """A file of the user's, in an empty folder that the run happens in."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "cats.txt"
    file.write_text(LINE * 100, encoding="utf-8")
    return file


def test_unigram_and_bigram_by_hand():
    # "abab" + "ac": a 3, b 2, c 1; after a: b 2, c 1; after b: a 2; after c: nothing.
    training = np.array([0, 1, 0, 1, 0, 2], np.int32)
    x, y = np.array([0, 0, 1, 2], np.int32), np.array([1, 2, 0, 0], np.int32)
    expected = -np.log([3 / 9, 2 / 9, 4 / 9, 4 / 9]).mean()
    assert math.isclose(char_text.unigram_nats(training, y, 3), expected)
    expected = -np.log([3 / 6, 2 / 6, 3 / 5, 1 / 3]).mean()
    assert math.isclose(char_text.bigram_nats(training, x, y, 3), expected)


def test_bigram_of_many_symbols():
    """Numbers of pairs exceed the 32 bits of the codes, and a table of all pairs would exceed the memory."""
    training = np.array([70000, 70001, 5], np.int32)
    x, y = np.array([70000, 70001], np.int32), np.array([70001, 6], np.int32)
    expected = -np.log([2 / 70003, 1 / 70003]).mean()
    assert math.isclose(char_text.bigram_nats(training, x, y, 70002), expected)


def test_streams_continue_from_step_to_step():
    codes = np.arange(100, dtype=np.int32)
    x, y = char_text.streams(codes, 3, 8)
    assert x.shape == y.shape == (12, 8)
    np.testing.assert_array_equal(y, x + 1)
    by_stream = x.reshape(4, 3, 8).swapaxes(0, 1).reshape(3, 32)
    np.testing.assert_array_equal(by_stream, np.arange(96).reshape(3, 32))


def test_streams_of_too_few_characters():
    with pytest.raises(ValueError, match="codes: expected more than 24 characters, got 24"):
        char_text.streams(np.zeros(24, np.int32), 3, 8)
    assert len(char_text.streams(np.zeros(25, np.int32), 3, 8)[0]) == 3


def test_hold_out_takes_the_last_twentieth():
    text = "".join(map(chr, range(5000, 6010)))
    training, held_out = char_text.hold_out(text)
    assert training + held_out == text
    assert len(held_out) == 50


def test_read_files_joins_and_drops_the_byte_order_mark(tmp_path):
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(b"\xef\xbb\xbfeins\r\n")
    second.write_bytes("zwölf".encode())
    assert char_text.read_files([first, second]) == "eins\nzwölf"


@pytest.mark.parametrize("temperature", [0.0, 1e-3])
def test_choose_at_low_temperature_is_the_likeliest(temperature):
    random = np.random.default_rng(0)
    for _ in range(50):
        logits = random.permutation(30) * 0.1
        assert char_rnn.choose(logits, temperature, random) == logits.argmax()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_choose_follows_the_softmax(temperature):
    logits = np.array([0.0, 1.0, -1.0])
    random = np.random.default_rng(0)
    draws = 20000
    counts = np.bincount([char_rnn.choose(logits, temperature, random) for _ in range(draws)], minlength=3)
    expected = np.exp(logits / temperature)
    expected /= expected.sum()
    # Five standard deviations of a binomial count.
    assert (np.abs(counts / draws - expected) < 5 * np.sqrt(expected * (1 - expected) / draws)).all()


def test_sample_at_temperature_0_is_the_argmax_of_the_whole_text():
    """Single stateful steps agree with one pass over all that was read and written."""
    set_random_seed(1)
    network = char_rnn.build_network(7, 16, rows=1)
    start = np.array([3, 1], np.int32)
    written = char_rnn.sample(network, start, 12, 0.0, np.random.default_rng(0))
    network.reset_states()
    logits = network.predict_on_batch(np.concatenate([start, written])[np.newaxis])
    np.testing.assert_array_equal(written, logits[0, 1:-1].argmax(axis=-1))
    again = char_rnn.sample(network, start, 12, 0.0, np.random.default_rng(9))
    np.testing.assert_array_equal(again, written)


def test_tester_measures_all_streams_from_empty_states():
    set_random_seed(1)
    random = np.random.default_rng(0)
    codes = random.integers(0, 5, 5000).astype(np.int32)
    corpus = char_text.Corpus(Vocabulary("abcde"), codes, codes)
    network = char_rnn.build_network(5, 8, rows=3)
    examiner = char_rnn.Examiner(corpus, units=8)
    assert examiner.rows == 2
    nats = examiner.nats(network)
    assert examiner.nats(network) == nats  # the states of the first time are gone
    network_of_two = char_rnn.build_network(5, 8, rows=2)
    network_of_two.set_weights(network.get_weights())
    used = examiner.y.size // 2
    rows = np.stack([codes[:used], codes[used : 2 * used]])
    logits = network_of_two.predict_on_batch(rows).astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    targets = np.stack([codes[1 : used + 1], codes[used + 1 : 2 * used + 1]])
    expected = -np.take_along_axis(logits, targets[..., np.newaxis], axis=-1).mean()
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


def test_progress_lowers_the_rate_and_stops_in_time(monkeypatch):
    set_random_seed(0)
    clock = iter(np.arange(0, 6000, 24.0))
    monkeypatch.setattr(char_rnn, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    monkeypatch.setattr(char_rnn, "CHUNK", 2)
    corpus = char_text.make_corpus(*char_text.hold_out(LINE * 400))
    network, points = char_rnn.train(corpus, units=8, minutes=4.0, passes=100)
    # The clock is read twice a chunk, so a chunk takes 0.8 minutes: a sixth would end too late.
    np.testing.assert_allclose([point.minutes for point in points], [0.8, 1.6, 2.4, 3.2, 4.0])
    assert 0 < float(network.optimizer.learning_rate.numpy()) < 0.1 * char_rnn.LEARNING_RATE


def test_example_on_a_file(text_file, capsys):
    arguments = ["--text", str(text_file), "--units", "24", "--minutes", "0", "--passes", "60"]
    char_rnn.main([*arguments, "--sample", "48", "--temperature", "0", "--start", "the cat"])
    said = capsys.readouterr().out
    assert "2280 characters to train on, 120 held out" in said
    assert "The LSTM beats the unigram rule" in said
    assert "The LSTM beats the bigram rule" in said
    assert "After 'the cat', at temperature 0, it writes:\n\n sat on the mat.\nthe cat sat on" in said


def test_the_same_seed_gives_the_same_text(text_file, capsys):
    arguments = ["--text", str(text_file), "--units", "8", "--minutes", "0", "--passes", "1", "--seed", "4"]
    texts = []
    for _ in range(2):
        char_rnn.main(arguments)
        texts.append(capsys.readouterr().out.split("it writes:")[1])
    assert texts[0] == texts[1]


def test_example_without_matplotlib_prints_the_curve(text_file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    char_rnn.main(["--text", str(text_file), "--units", "8", "--passes", "2", "--sample", "0"])
    said = capsys.readouterr().out
    assert "o training, # held out" in said
    assert 'pip install "timeloom[plot]"' in said
    assert "it writes" not in said
    assert [path.name for path in text_file.parent.iterdir()] == ["cats.txt"]


def test_draw_saves_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    points = [char_rnn.Point(minutes, 1000 * minutes, 3.0 / minutes, 3.1 / minutes) for minutes in (1, 2, 3)]
    picture = tmp_path / "curve.png"
    assert char_rnn.draw(points, {"unigram rule": 3.2, "bigram rule": 2.4}, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_report_says_when_a_rule_is_not_beaten(capsys):
    corpus = char_text.make_corpus(*char_text.hold_out(LINE * 100))
    examiner = char_rnn.Examiner(corpus, units=4)
    char_rnn.report(corpus, examiner, 9.0, char_rnn.Point(1.0, 1, 9.0, 9.0))
    said = capsys.readouterr().out
    assert said.count("does NOT beat") == 2
    assert "by heart" not in said
    char_rnn.report(corpus, examiner, 2.0, char_rnn.Point(1.0, 1, 0.1, 2.0))
    assert "by heart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "text: expected at least 1000 characters, got 0"),
        (b"short", "text: expected at least 1000 characters, got 5"),
        (b"a" * 5000, "text: expected at least two different characters, got only"),
        (b"\xff\xfe" * 5000, "expected text in UTF-8, got byte 0xff"),
    ],
)
def test_example_refuses_texts(content, message, tmp_path, capsys):
    file = tmp_path / "hostile.txt"
    file.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        char_rnn.main(["--text", str(file)])
    assert caught.value.code == 1
    assert message in capsys.readouterr().err


def test_example_without_the_file(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        char_rnn.main(["--text", str(tmp_path / "none.txt")])
    assert caught.value.code == 1
    assert "none.txt" in capsys.readouterr().err


def test_example_reads_the_plays_without_a_file(monkeypatch, capsys):
    def load_data():
        raise OSError("Shakespeare: expected the plays from one of these")

    monkeypatch.setattr(shakespeare, "load_data", load_data)
    with pytest.raises(SystemExit) as caught:
        char_rnn.main([])
    assert caught.value.code == 1
    assert "Shakespeare: expected the plays" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--minutes", "-1"],
        ["--minutes", "nan"],
        ["--temperature", "hot"],
        ["--units", "0"],
        ["--start", "ß"],
        ["--start", ""],
    ],
)
def test_example_refuses_arguments(arguments, text_file, capsys):
    with pytest.raises(SystemExit) as caught:
        char_rnn.main(["--text", str(text_file), *arguments])
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
