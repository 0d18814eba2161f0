"""`pad_sequences` against the same padding written as a NumPy loop over the sequences."""

import numpy as np
import pytest

from timeloom.data import pad_sequences

SEQUENCES = 10_000


def pad_with_numpy(sequences, maxlen, dtype):
    result = np.zeros((len(sequences), maxlen), dtype=dtype)
    for index, sequence in enumerate(sequences):
        part = np.asarray(sequence[-maxlen:], dtype=dtype)
        if part.size:
            result[index, -part.size :] = part
    return result


def make(kind):
    random = np.random.default_rng(2)
    lengths = random.integers(1, 21 if kind.startswith("short") else 200, SEQUENCES)
    if "float" in kind:
        rows = [random.standard_normal(length) for length in lengths]
    else:
        rows = [random.integers(0, 20_000, length) for length in lengths]
    return [row.tolist() for row in rows] if kind.endswith("lists") else rows


CASES = [
    ("int lists", "int32"),
    ("short int lists", "int32"),
    ("float lists", "float32"),
    ("short int arrays", "int32"),
]


@pytest.fixture(scope="module", params=CASES, ids=[kind for kind, _ in CASES])
def case(request):
    kind, dtype = request.param
    return kind, make(kind), dtype


@pytest.mark.parametrize("pad", [pad_sequences, pad_with_numpy], ids=["timeloom", "numpy_loop"])
def test_pad_sequences(benchmark, case, pad):
    kind, sequences, dtype = case
    expected = pad_with_numpy(sequences, 100, dtype)
    np.testing.assert_array_equal(pad(sequences, maxlen=100, dtype=dtype), expected, strict=True)
    benchmark.group = f"pad {SEQUENCES} {kind} to 100"
    benchmark(pad, sequences, maxlen=100, dtype=dtype)
