import sys

import numpy as np
import pytest

from timeloom.examples import japanese_vowels as example


def utterances(samples, seed):
    """Sequences whose mean tells the speaker, of 3 to 9 timesteps."""
    random = np.random.default_rng(seed)
    speakers = np.arange(samples) % 9
    directions = 3 * np.random.default_rng(0).standard_normal((9, 12))
    sequences = [
        (directions[speaker] + random.standard_normal((random.integers(3, 10), 12))).astype(np.float32)
        for speaker in speakers
    ]
    return sequences, speakers.astype(np.int64)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    data = utterances(54, 1), utterances(27, 2)
    monkeypatch.setattr(example.japanese_vowels, "load_data", lambda: data)
    monkeypatch.setattr(example, "UNITS", 12)
    monkeypatch.setattr(example, "DROPOUT", 0.1)
    monkeypatch.setattr(example, "LEARNING_RATE", 0.02)
    return data


def test_load_utterances_standardises_by_the_training_utterances(small):
    loaded = example.load_utterances(validation=False)
    steps = np.concatenate(loaded.x_train)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-5)
    raw = np.concatenate(small[0][0])
    expected = (small[1][0][0] - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(loaded.x_test[0], expected, rtol=1e-4, atol=1e-5)
    assert loaded.x_test[0].dtype == np.float32


def test_load_utterances_for_validation_never_touches_the_test(small):
    (x_train, y_train), (x_test, _) = small
    x_test[:] = [None] * len(x_test)
    loaded = example.load_utterances(validation=True)
    assert (len(loaded.x_train), len(loaded.x_test)) == (36, 18)
    assert loaded.y_test.tolist() == y_train[::3].tolist()
    steps = np.concatenate([x for index, x in enumerate(x_train) if index % 3])
    expected = (x_train[3] - steps.mean(axis=0)) / steps.std(axis=0)
    np.testing.assert_allclose(loaded.x_test[1], expected, rtol=1e-4, atol=1e-5)


def test_as_form_pads_behind():
    sequences = [np.ones((2, 12), np.float32), np.ones((4, 12), np.float32)]
    padded = example.as_form("padded", sequences)
    assert padded.shape == (2, 4, 12)
    assert padded[:, :, 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert example.as_form("list", sequences) is sequences
    assert [example.timesteps_of(form, sequences) for form in example.FORMS] == [6, 8]


def test_list_and_padded_utterances_train_the_same_network():
    data = example.load_utterances(validation=False)
    pair = [example.new_network(form, 4, data) for form in example.FORMS]
    for one, other in zip(*(network.model.get_weights() for network in pair), strict=True):
        np.testing.assert_array_equal(one, other)
    example.train(pair, 6, data)
    one, other = pair
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-4)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.accuracy == other.accuracy > 0.9
    assert one.losses[-1] < one.losses[0] / 2
    assert len(one.seconds) == 6
    counts = example.confusion(one, data)
    assert counts.sum() == 27
    assert np.trace(counts) == round(27 * one.accuracy)


def test_example_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    example.main(["--seeds", "0", "1", "--epochs", "2"])
    said = capsys.readouterr().out
    assert said.count("test accuracy, seed") == 2
    for word in (
        "mean",
        "milliseconds an epoch",
        "timesteps stored",
        "memory in training",
        "The two learn the same",
    ):
        assert word in said
    assert "speaker is right in 11 % of the cases" in said
    assert "True speaker (row)" in said
    assert 'pip install "timeloom[plot]"' in said
    assert list(tmp_path.iterdir()) == []


def test_example_of_one_form_draws_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "vowels.png"
    example.main(
        ["--seeds", "0", "--epochs", "1", "--forms", "list", "--validation", "--output", str(picture)]
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "validation accuracy, seed 0" in said
    assert "padded" not in said.split("validation accuracy, seed 0")[1]


def test_example_without_the_utterances(monkeypatch, capsys):
    def load_data():
        raise OSError("JapaneseVowels: expected it in one of these")

    monkeypatch.setattr(example.japanese_vowels, "load_data", load_data)
    with pytest.raises(SystemExit) as caught:
        example.main([])
    assert caught.value.code == 1
    assert "JapaneseVowels: expected it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--seeds"], ["--seeds", "-1"], ["--epochs", "0"], ["--forms", "ragged"], ["--output", "a.txt"]],
)
def test_example_refuses_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        example.main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
