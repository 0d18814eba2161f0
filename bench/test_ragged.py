"""The functions of `timeloom.data` against the same work written in plain Python or NumPy.

Each test asserts that the two give the same before it times one of them. The names of the peers say what they
are: `numpy_loop` is a loop in Python over NumPy calls, `numpy` a few NumPy calls, `python` neither.
"""

import numpy as np
import pytest

from timeloom.data import (
    Vocabulary,
    bucket_by_length,
    gather,
    one_hot,
    pack,
    pad_sequences,
    starts_of,
    windows,
)

SEQUENCES = 10_000


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


def pad_with_numpy(sequences, maxlen, dtype):
    result = np.zeros((len(sequences), maxlen), dtype=dtype)
    for index, sequence in enumerate(sequences):
        part = np.asarray(sequence[-maxlen:], dtype=dtype)
        if part.size:
            result[index, -part.size :] = part
    return result


@pytest.mark.parametrize("pad", [pad_sequences, pad_with_numpy], ids=["timeloom", "numpy_loop"])
def test_pad_sequences(benchmark, case, pad):
    kind, sequences, dtype = case
    expected = pad_with_numpy(sequences, 100, dtype)
    np.testing.assert_array_equal(pad(sequences, maxlen=100, dtype=dtype), expected, strict=True)
    benchmark.group = f"pad {SEQUENCES} {kind} to 100"
    benchmark(pad, sequences, maxlen=100, dtype=dtype)


def pack_with_numpy(sequences, dtype):
    values = np.concatenate([np.asarray(sequence, dtype) for sequence in sequences])
    return values, np.array([len(sequence) for sequence in sequences], np.int64)


@pytest.mark.parametrize("packer", [pack, pack_with_numpy], ids=["timeloom", "numpy_loop"])
def test_pack(benchmark, case, packer):
    kind, sequences, dtype = case
    for ours, expected in zip(packer(sequences, dtype), pack_with_numpy(sequences, dtype), strict=True):
        np.testing.assert_array_equal(ours, expected, strict=True)
    benchmark.group = f"pack {SEQUENCES} {kind}"
    benchmark(packer, sequences, dtype)


def gather_with_numpy(values, starts, lengths, rows):
    parts = [values[start : start + lengths[row]] for row, start in zip(rows, starts[rows], strict=True)]
    return np.concatenate(parts), lengths[rows]


@pytest.mark.parametrize("batch", [32, 1024])
@pytest.mark.parametrize("features", [1, 12, 128])
@pytest.mark.parametrize("picker", [gather, gather_with_numpy], ids=["timeloom", "numpy_loop"])
def test_gather(benchmark, batch, features, picker):
    random = np.random.default_rng(2)
    lengths = random.integers(1, 100, 2000)
    values = random.standard_normal((lengths.sum(), features), dtype=np.float32)
    rows = random.permutation(2000)[:batch]
    starts = starts_of(lengths)
    expected = gather_with_numpy(values, starts, lengths, rows)
    for ours, theirs in zip(picker(values, starts, lengths, rows), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)
    benchmark.group = f"gather {batch} sequences of {features} features"
    benchmark(picker, values, starts, lengths, rows)


def bucket_with_python(lengths, batch_size):
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [np.array(order[at : at + batch_size]) for at in range(0, len(order), batch_size)]


def bucket_with_numpy(lengths, batch_size):
    order = np.argsort(lengths, kind="stable")
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def bucket(lengths, batch_size):
    return bucket_by_length(lengths, batch_size, shuffle=False)


@pytest.mark.parametrize(
    "bucketer", [bucket, bucket_with_numpy, bucket_with_python], ids=["timeloom", "numpy", "python"]
)
def test_bucket_by_length(benchmark, bucketer):
    lengths = np.random.default_rng(2).integers(1, 300, 100_000)
    lengths = lengths.tolist() if bucketer is bucket_with_python else lengths
    for ours, expected in zip(bucketer(lengths, 64), bucket_with_numpy(lengths, 64), strict=True):
        np.testing.assert_array_equal(ours, expected)
    benchmark.group = "bucket 100000 lengths"
    benchmark(bucketer, lengths, 64)


ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.;:!?'-\n"
TEXT = "".join(ALPHABET[code] for code in np.random.default_rng(2).integers(0, len(ALPHABET), 500_000))
WORDS = [f"word{code}" for code in np.random.default_rng(2).zipf(1.3, 200_000) % 20_000]


def vocabulary_with_python(text):
    return sorted(set(text))


def vocabulary_of(text):
    return list(Vocabulary.of_characters(text).symbols)


@pytest.mark.parametrize("build", [vocabulary_of, vocabulary_with_python], ids=["timeloom", "python"])
def test_vocabulary_of_characters(benchmark, build):
    assert build(TEXT) == vocabulary_with_python(TEXT)
    benchmark.group = f"symbols of {len(TEXT)} characters"
    benchmark(build, TEXT)


def encode_with_python(codes, text):
    return np.array([codes[symbol] for symbol in text], np.int32)


def encode_with_numpy(codes, text):
    table = np.zeros(128, np.int32)
    for symbol, code in codes.items():
        table[ord(symbol)] = code
    return table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]


@pytest.mark.parametrize(
    ("kind", "library"),
    [
        ("characters", "timeloom"),
        ("characters", "numpy"),
        ("characters", "python"),
        ("words", "timeloom"),
        ("words", "python"),
    ],
)
def test_encode(benchmark, kind, library):
    symbols = TEXT if kind == "characters" else WORDS
    vocabulary = Vocabulary.of_characters(TEXT) if kind == "characters" else Vocabulary.of_words(WORDS)
    codes = {symbol: code for code, symbol in enumerate(vocabulary.symbols)}
    run, subject = {
        "timeloom": (Vocabulary.encode, vocabulary),
        "numpy": (encode_with_numpy, codes),
        "python": (encode_with_python, codes),
    }[library]
    np.testing.assert_array_equal(run(subject, symbols), encode_with_python(codes, symbols), strict=True)
    benchmark.group = f"encode {len(symbols)} {kind}"
    benchmark(run, subject, symbols)


def decode_with_python(vocabulary, codes):
    symbols = vocabulary.symbols
    return "".join([symbols[code] for code in codes])


@pytest.mark.parametrize("decode", [Vocabulary.decode, decode_with_python], ids=["timeloom", "python"])
def test_decode(benchmark, decode):
    vocabulary = Vocabulary.of_characters(TEXT)
    codes = vocabulary.encode(TEXT)
    assert decode(vocabulary, codes) == TEXT
    benchmark.group = f"decode {len(TEXT)} characters"
    benchmark(decode, vocabulary, codes)


def one_hot_with_zeros(codes, classes):
    result = np.zeros((codes.size, classes), np.float32)
    result[np.arange(codes.size), codes.reshape(-1)] = 1
    return result.reshape(*codes.shape, classes)


def one_hot_with_identity(codes, classes):
    return np.eye(classes, dtype=np.float32)[codes]


@pytest.mark.parametrize("classes", [10, 79])
@pytest.mark.parametrize(
    "encode",
    [one_hot, one_hot_with_zeros, one_hot_with_identity],
    ids=["timeloom", "numpy_zeros", "numpy_identity"],
)
def test_one_hot(benchmark, classes, encode):
    codes = np.random.default_rng(2).integers(0, classes, (64, 100))
    np.testing.assert_array_equal(encode(codes, classes), one_hot_with_identity(codes, classes), strict=True)
    benchmark.group = f"one-hot of 64 x 100 codes, {classes} classes"
    benchmark(encode, codes, classes)


def windows_with_python(series, length, stride, rate):
    span = (length - 1) * rate + 1
    return np.array([series[at : at + span : rate] for at in range(0, len(series) - span + 1, stride)])


def windows_with_take(series, length, stride, rate):
    starts = np.arange(0, len(series) - (length - 1) * rate, stride)
    return series[starts[:, np.newaxis] + np.arange(length) * rate]


@pytest.mark.parametrize(
    ("shape", "length", "stride", "rate"),
    [((20_000, 1), 50, 1, 1), ((20_000, 8), 50, 1, 1), ((20_000, 8), 24, 1, 6), ((20_000, 64), 100, 50, 1)],
)
@pytest.mark.parametrize(
    "cut", [windows, windows_with_take, windows_with_python], ids=["timeloom", "numpy", "numpy_loop"]
)
def test_windows(benchmark, shape, length, stride, rate, cut):
    series = np.random.default_rng(2).standard_normal(shape, dtype=np.float32)
    expected = windows_with_python(series, length, stride, rate)
    np.testing.assert_array_equal(cut(series, length, stride, rate), expected, strict=True)
    benchmark.group = f"windows of {length} every {stride} at rate {rate} of {shape[0]} x {shape[1]}"
    benchmark(cut, series, length, stride, rate)
