import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, backend, ops

ONES = np.ones((200, 50))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_share_and_scale(rate, dtype):
    y = ops.dropout(ONES.astype(dtype), rate, seed=3)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)
    assert abs(np.mean(y == 0) - rate) < 0.02


def test_borders():
    assert ops.dropout(ONES, 0.0) is ONES
    np.testing.assert_array_equal(ops.dropout(ONES, 1.0), np.zeros_like(ONES))
    assert not np.isnan(ops.dropout(ONES, 1)).any()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), "0.5", None, True])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match=r"rate: expected a number in \[0, 1\]"):
        ops.dropout(ONES, rate)


def test_seeds():
    np.testing.assert_array_equal(ops.dropout(ONES, 0.5, seed=1), ops.dropout(ONES, 0.5, seed=1))
    generator = np.random.default_rng(1)
    first = ops.dropout(ONES, 0.5, seed=generator)
    np.testing.assert_array_equal(first, ops.dropout(ONES, 0.5, seed=1))
    assert (first != ops.dropout(ONES, 0.5, seed=generator)).any()
    backend.seed_random_generator(5)
    a = ops.dropout(ONES, 0.5)
    b = ops.dropout(ONES, 0.5)
    backend.seed_random_generator(5)
    np.testing.assert_array_equal(ops.dropout(ONES, 0.5), a)
    assert (a != b).any()


def test_generator_of_32_bits_gives_keys_of_64(monkeypatch):
    keys = []
    draw = ops.dropout.__globals__["_core"].dropout
    recorder = type(
        "Recorder", (), {"dropout": lambda *arguments: keys.append(arguments[-1]) or draw(*arguments)}
    )
    monkeypatch.setitem(ops.dropout.__globals__, "_core", recorder)
    generator = np.random.Generator(np.random.MT19937(0))
    for _ in range(8):
        ops.dropout(ONES, 0.5, seed=generator)
    assert max(keys) >= 2**32
    assert len(set(keys)) == 8


@pytest.mark.parametrize("seed", ["a", -1, 1.5])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="seed: expected an integer of at least 0"):
        ops.dropout(ONES, 0.5, seed=seed)


def test_noise_shape():
    y = ops.dropout(np.ones((4, 5, 6)), 0.5, seed=0, noise_shape=(None, 1, 6))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    for shape in ((4, 5), (4, 2, 6), (4, 5, 7), 4, "abc", (4, 1.0, 6)):
        with pytest.raises(ValueError, match="noise_shape: expected a shape that broadcasts"):
            ops.dropout(np.ones((4, 5, 6)), 0.5, noise_shape=shape)


def test_derivative():
    x = np.random.default_rng(0).normal(size=(3, 4))
    check_gradients(lambda x: ops.dropout(x, 0.4, seed=2), x)
    check_gradients(lambda x: ops.dropout(x, 0.4, seed=2, noise_shape=(3, 1)), x)
    with GradientTape() as tape:
        h = tape.watch(x)
        y = ops.dropout(h, 1.0)
    np.testing.assert_array_equal(tape.gradient(y, h), np.zeros((3, 4)))
