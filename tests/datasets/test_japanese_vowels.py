import hashlib
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from timeloom.datasets import japanese_vowels

HEADER = "# a comment\n@problemName Toy\n@missing false\n@classLabel true b a\n@data\n"
TRAIN = HEADER + "1,2,3:4,5,6:a\n-1.5:2e1:b\n\n"
TEST = HEADER + "0,0:1,1:b\n"


@pytest.fixture
def package(monkeypatch, tmp_path):
    texts = dict(zip(japanese_vowels.FILES, (TRAIN, TEST), strict=True))

    def run(command, **options):
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "aeon.whl", "w") as wheel:
            for name, text in texts.items():
                wheel.writestr(japanese_vowels.MEMBER.format(name), text)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    pins = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(japanese_vowels, "FILES", pins)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_load_data_from_the_package_then_from_the_cache(package, monkeypatch):
    for _ in range(2):
        (x_train, y_train), (x_test, y_test) = japanese_vowels.load_data()
        np.testing.assert_array_equal(x_train[0], np.array([[1, 4], [2, 5], [3, 6]], np.float32), strict=True)
        np.testing.assert_array_equal(x_train[1], np.array([[-1.5, 20]], np.float32), strict=True)
        np.testing.assert_array_equal(y_train, np.array([1, 0], np.int64), strict=True)
        assert x_train[0].flags.c_contiguous
        assert len(x_test) == 1
        assert y_test.tolist() == [0]
        monkeypatch.setattr(
            subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 1)
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text: expected @data and at least one sequence"),
        (HEADER, "text: expected @data and at least one sequence"),
        ("\0\0\0", "line 1: expected a header line"),
        ("<html>", "line 1: expected a header line"),
        ("@classLabel true a\n1:2:a", "line 2: expected a header line or @data"),
        ("@data\n1:2:a", "line 2: expected a label of @classLabel, got 'a'"),
        ("@classLabel false\n@data\n1:2:a", "line 3: expected a label of @classLabel"),
        (HEADER + "1:2:c", "line 6: expected a label of @classLabel, got 'c'"),
        (HEADER + "1:2", "line 6: expected a label of @classLabel, got '2'"),
        (HEADER + "a", r"line 6: expected as many numbers for each feature, got \[\]"),
        (HEADER + "1,x:2,3:a", "line 6: expected numbers, got '1,x:2,3'"),
        (HEADER + "1,:2,3:a", "line 6: expected numbers"),
        (HEADER + "1,?:2,3:a", "line 6: expected numbers"),
        (HEADER + "1,2:3:a", r"line 6: expected as many numbers for each feature, got \[1, 2\]"),
        (HEADER + "1:2:a\n1:2:3:a", "line 7: expected 2 features as before, got 3"),
        (HEADER + "nan:2:a", "line 6: expected finite numbers"),
        (HEADER + "1e39:2:a", "line 6: expected finite numbers"),
        (HEADER + "1e999:2:a", "line 6: expected finite numbers"),
        (HEADER + "1:" * 100_000 + "x", "line 6: expected a label"),
    ],
)
def test_parse_ts_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        japanese_vowels.parse_ts(text)


def test_the_real_utterances():
    try:
        (x_train, y_train), (x_test, y_test) = japanese_vowels.load_data()
    except OSError as error:
        pytest.skip(f"JapaneseVowels is not to be had here: {error}")
    assert (len(x_train), len(x_test)) == (270, 370)
    assert np.bincount(y_train).tolist() == [30] * 9
    assert np.bincount(y_test).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(x) for x in x_train + x_test]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert {x.shape[1] for x in x_train + x_test} == {12}
    assert x_train[0][0, 0] == np.float32(1.860936)
    assert x_train[0][:2, 1].tolist() == np.array([-0.207383, -0.193249], np.float32).tolist()
