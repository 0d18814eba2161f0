import sys

import numpy as np
import pytest

from timeloom.datasets import mnist
from timeloom.examples import mnist_rows


@pytest.fixture
def bars(monkeypatch):
    """Images instead of MNIST that a network learns at once: the digit is the row that is inked."""
    random = np.random.default_rng(0)

    def make(count):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), 2 * labels + 5] = 255
        return images, labels

    data = make(320), make(60)
    monkeypatch.setattr(mnist, "load_data", lambda: data)


def test_load_digits_scales_pixels_and_takes_the_first(bars):
    digits = mnist_rows.load_digits(60)
    assert digits.x_train.shape == (60, 28, 28)
    assert digits.x_test.shape == (10, 28, 28)
    assert digits.x_train.dtype == np.float32
    assert (digits.x_train.min(), digits.x_train.max()) == (0, 1)
    assert len(mnist_rows.load_digits(None).y_test) == 60


def test_network_is_that_of_the_publication():
    model = mnist_rows.TimeloomNetwork(0).model
    assert [type(layer).__name__ for layer in model.layers] == [
        "LSTM",
        "Dropout",
        "LSTM",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert model.count_params() == 4 * 128 * (28 + 128 + 1) + 4 * 128 * (128 + 128 + 1) + 129 * 64 + 65 * 10


def test_score_of_certain_predictions():
    labels = np.array([2, 0], np.uint8)
    assert mnist_rows.score(np.eye(10)[labels], labels) == (1.0, 0.0)
    accuracy, loss = mnist_rows.score(np.eye(10)[[1, 1]], labels)
    assert accuracy == 0
    np.testing.assert_allclose(loss, -np.log(1e-7))


def test_confusion_counts_pairs():
    counts = mnist_rows.confusion(np.eye(10)[[3, 3, 5]], np.array([3, 5, 5], np.uint8))
    assert counts.sum() == 3
    assert (counts[3, 3], counts[5, 3], counts[5, 5]) == (1, 1, 1)


def test_example_prints_its_figures(bars, tmp_path, capsys):
    mnist_rows.main(["--seeds", "0", "1", "--epochs", "2", "--output", str(tmp_path / "digits.png")])
    said = capsys.readouterr().out
    assert "320 digits to train on, 60 to test" in said
    assert "seed 1  epoch 2/2  timeloom" in said
    assert "\nmean" in said
    assert "0.9765  0.0796" in said
    assert "this run is another one" in said


def test_draw_saves_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    results = [
        mnist_rows.Epoch(library, 0, epoch, 0.9, 0.3, 1.0)
        for epoch in (1, 2)
        for library in ("timeloom", "PyTorch")
    ]
    picture = tmp_path / "digits.png"
    assert mnist_rows.draw(results, np.eye(10, dtype=np.int64), picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_example_without_matplotlib_prints_the_confusion(bars, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    mnist_rows.main(["--epochs", "1", "--samples", "64"])
    said = capsys.readouterr().out
    assert "True digit (row) and predicted digit (column)" in said
    assert 'pip install "timeloom[plot]"' in said
    assert list(tmp_path.iterdir()) == []


def test_example_beside_pytorch(bars, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    mnist_rows.main(["--epochs", "1", "--samples", "64", "--compare-pytorch"])
    said = capsys.readouterr().out
    assert "seed 0  epoch 1/1  PyTorch" in said
    assert "An epoch of PyTorch takes" in said


def test_pytorch_network_starts_like_keras():
    torch = pytest.importorskip("torch")
    from timeloom.examples.mnist_rows_pytorch import PyTorchNetwork

    network = PyTorchNetwork(0, 1)
    own = mnist_rows.TimeloomNetwork(0).model
    trained = [p for p in network.module.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == own.count_params()
    recurrent = network.module.first.weight_hh_l0.detach()
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(128), atol=1e-5, rtol=0)
    limit = (6 / (28 + 512)) ** 0.5
    assert 0.99 * limit < network.module.first.weight_ih_l0.abs().max() <= limit
    bias = network.module.first.bias_ih_l0.detach().reshape(4, 128)
    assert bias.mean(dim=1).tolist() == [0, 1, 0, 0]


def test_example_without_pytorch_says_how_to_get_it(bars, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "timeloom.examples.mnist_rows_pytorch", raising=False)
    with pytest.raises(SystemExit) as caught:
        mnist_rows.main(["--compare-pytorch"])
    assert caught.value.code == 2
    assert 'pip install "timeloom[bench]"' in capsys.readouterr().err


def test_example_without_data_lists_what_was_tried(monkeypatch, capsys):
    def load_data():
        raise OSError("MNIST: expected the digits from one of these, none had them:\n  1. cache")

    monkeypatch.setattr(mnist, "load_data", load_data)
    with pytest.raises(SystemExit) as caught:
        mnist_rows.main([])
    assert caught.value.code == 1
    assert "1. cache" in capsys.readouterr().err
