import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable, ops

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(4, 3)) * 2
PROBABILITIES = RANDOM.uniform(0.05, 0.95, size=(4, 3))
TARGETS = RANDOM.uniform(0.05, 0.95, size=(4, 3))
LABELS = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]
PAIRED = [
    ops.mean_squared_error,
    ops.mean_absolute_error,
    ops.binary_crossentropy,
    ops.categorical_crossentropy,
]


def test_values():
    t, p, x = TARGETS, PROBABILITIES, LOGITS
    share = p / p.sum(-1, keepdims=True)
    logs = x - np.log(np.exp(x).sum(-1, keepdims=True))
    sigmoid = 1 / (1 + np.exp(-x))
    cases = [
        (ops.mean_squared_error(t, p), np.mean((t - p) ** 2, -1)),
        (ops.mean_absolute_error(t, p), np.mean(np.abs(t - p), -1)),
        (ops.binary_crossentropy(t, p), -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p), -1)),
        (
            ops.binary_crossentropy(t, x, from_logits=True),
            -np.mean(t * np.log(sigmoid) + (1 - t) * np.log(1 - sigmoid), -1),
        ),
        (ops.categorical_crossentropy(ONE_HOT, p), -np.log(share[np.arange(4), LABELS])),
        (ops.categorical_crossentropy(t, x, from_logits=True), -np.sum(t * logs, -1)),
        (ops.sparse_categorical_crossentropy(LABELS, p), -np.log(share[np.arange(4), LABELS])),
        (ops.sparse_categorical_crossentropy(LABELS, x, from_logits=True), -logs[np.arange(4), LABELS]),
    ]
    for result, expected in cases:
        assert result.shape == (4,)
        np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("loss", PAIRED, ids=lambda loss: loss.__name__)
def test_derivatives(loss):
    check_gradients(loss, TARGETS, PROBABILITIES)
    check_gradients(lambda p: loss(ONE_HOT, p), PROBABILITIES)
    check_gradients(lambda t: loss(t, PROBABILITIES), TARGETS)


@pytest.mark.parametrize("loss", [ops.binary_crossentropy, ops.categorical_crossentropy])
@pytest.mark.parametrize("from_logits", [False, True])
def test_label_smoothing(loss, from_logits):
    predictions = LOGITS if from_logits else PROBABILITIES
    smooth = ONE_HOT * 0.8 + (0.1 if loss is ops.binary_crossentropy else 0.2 / 3)
    np.testing.assert_allclose(
        loss(ONE_HOT, predictions, from_logits=from_logits, label_smoothing=0.2),
        loss(smooth, predictions, from_logits=from_logits),
        rtol=1e-12,
    )
    check_gradients(lambda t, p: loss(t, p, from_logits, 0.2), TARGETS, predictions)
    for bad in (-0.1, 1.5, float("nan"), "0.1", None):
        with pytest.raises(ValueError, match="label_smoothing: expected"):
            loss(ONE_HOT, predictions, label_smoothing=bad)


@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_derivatives(from_logits):
    predictions = LOGITS if from_logits else PROBABILITIES
    loss = ops.sparse_categorical_crossentropy
    check_gradients(lambda p: loss(LABELS, p, from_logits=from_logits), predictions)
    check_gradients(lambda p: loss(LABELS, p, from_logits=from_logits, ignore_class=2), predictions)
    check_gradients(lambda p: loss(LABELS[:2], p[0], from_logits), RANDOM.uniform(0.1, 0.9, size=(1, 2, 3)))
    np.testing.assert_allclose(
        loss(LABELS, predictions, from_logits),
        ops.categorical_crossentropy(ONE_HOT, predictions, from_logits),
    )


def test_ignored_class():
    loss = ops.sparse_categorical_crossentropy
    kept = loss(LABELS, PROBABILITIES)
    assert loss(LABELS, PROBABILITIES, ignore_class=2).tolist() == [0, kept[1], kept[2], 0]
    assert loss(np.array([-1, 0, 1, -1]), PROBABILITIES, ignore_class=-1).tolist() == [0, kept[1], kept[2], 0]


def test_clipping():
    edge = np.array([[0.0, 1.0, 0.5]])
    for dtype, rtol in ((np.float64, 1e-9), (np.float32, 1e-6)):
        p = edge.astype(dtype)
        low, high = dtype(1e-7), dtype(1 - 1e-7)
        clipped = np.clip(p, low, high)
        t = np.array([[1.0, 0.0, 1.0]], dtype=dtype)
        expected = -np.mean(t * np.log(clipped) + (1 - t) * np.log(1 - clipped), -1)
        np.testing.assert_allclose(ops.binary_crossentropy(t, p), expected, rtol=rtol)
        with GradientTape() as tape:
            handle = tape.watch(p)
            loss = ops.binary_crossentropy(t, handle)
        np.testing.assert_allclose(tape.gradient(loss, handle), [[0.0, 0.0, -2 / 3]], rtol=1e-6)
    certain = np.array([[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(ops.categorical_crossentropy(certain[:, ::-1], certain), -np.log(1e-7))


def test_large_logits():
    x = np.array([[1000.0, -1000.0]])
    assert np.isfinite(ops.binary_crossentropy(np.array([[0.0, 1.0]]), x, from_logits=True)).all()
    np.testing.assert_allclose(
        ops.categorical_crossentropy(np.array([[0.0, 1.0]]), x, from_logits=True), 2000.0
    )


@pytest.mark.parametrize("loss", PAIRED[:3], ids=lambda loss: loss.__name__)
def test_targets_without_the_last_axis_are_expanded(loss):
    t, p = TARGETS[:, 0], PROBABILITIES[:, :1]
    expected = loss(t[:, None], p)
    assert expected.shape == (4,)
    np.testing.assert_array_equal(loss(t, p), expected)
    np.testing.assert_array_equal(loss(t[:, None], p[:, 0]), expected)
    np.testing.assert_array_equal(loss(t.tolist(), p), expected)
    assert loss(TARGETS, PROBABILITIES[:, :, None]).shape == (4, 3)
    check_gradients(loss, t, p)
    check_gradients(loss, t[:, None], p[:, 0])


def test_sparse_targets_may_have_a_last_axis():
    loss = ops.sparse_categorical_crossentropy
    expected = loss(LABELS, PROBABILITIES)
    for labels in (LABELS[:, None], LABELS.astype(np.float32), LABELS.tolist(), LABELS.astype(np.uint8)):
        np.testing.assert_array_equal(loss(labels, PROBABILITIES), expected)


@pytest.mark.parametrize("loss", PAIRED, ids=lambda loss: loss.__name__)
def test_shapes_that_do_not_match(loss):
    for shape in ((4, 2), (3, 3), (4,), (4, 1), (1, 3), (4, 3, 1, 1), ()):
        with pytest.raises(ValueError, match=r"y_true: expected shape \(4, 3\)"):
            loss(np.ones(shape), PROBABILITIES)
    with pytest.raises(ValueError, match="unequal lengths"):
        loss([[1.0], [1.0, 2.0]], PROBABILITIES)
    with pytest.raises(ValueError, match=r"y_pred: expected at least one axis|y_true: expected shape"):
        loss(np.array(1.0), np.array(0.5))


def test_sparse_shapes_that_do_not_match():
    for shape in ((3,), (4, 3), (4, 2), ()):
        with pytest.raises(ValueError, match=r"y_true: expected class numbers of shape \(4,\)"):
            ops.sparse_categorical_crossentropy(np.zeros(shape, dtype=int), PROBABILITIES)
    with pytest.raises(ValueError, match="y_true: expected an array, got lists of unequal lengths"):
        ops.sparse_categorical_crossentropy([[1], [1, 2]], PROBABILITIES)


@pytest.mark.parametrize("label", [3, -1, 10**9])
def test_a_label_out_of_range(label):
    with pytest.raises(ValueError, match=rf"y_true: expected labels in \[0, 3\) for 3 classes, got {label}"):
        ops.sparse_categorical_crossentropy(np.array([0, 1, label, 2]), PROBABILITIES)


@pytest.mark.parametrize("label", [0.5, float("nan"), float("inf")])
def test_a_label_that_is_no_whole_number(label):
    with pytest.raises(ValueError, match="y_true: expected labels"):
        ops.sparse_categorical_crossentropy(np.array([0, 1, label, 2]), PROBABILITIES)


def test_bad_dtypes():
    for loss in PAIRED:
        with pytest.raises(TypeError, match="y_true: expected real numbers"):
            loss(np.array([["a"] * 3] * 4), PROBABILITIES)
        with pytest.raises(TypeError, match="y_pred: expected"):
            loss(ONE_HOT, PROBABILITIES.astype(int))
        with pytest.raises(TypeError, match="y_pred: expected"):
            loss(ONE_HOT, PROBABILITIES.tolist())
    with pytest.raises(TypeError, match="y_true: expected whole numbers"):
        ops.sparse_categorical_crossentropy(np.array(["a"] * 4), PROBABILITIES)
    for loss in (ops.categorical_crossentropy, ops.sparse_categorical_crossentropy):
        with pytest.raises(NotImplementedError, match="axis: expected -1"):
            loss(LABELS, PROBABILITIES, axis=0)
    for bad in ("0", 1.5, [1]):
        with pytest.raises(ValueError, match="ignore_class: expected an integer or None"):
            ops.sparse_categorical_crossentropy(LABELS, PROBABILITIES, ignore_class=bad)


def test_traced_labels_are_refused():
    with GradientTape() as tape:
        labels = tape.watch(np.array([0.0, 1.0, 2.0, 0.0]))
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            ops.sparse_categorical_crossentropy(labels, PROBABILITIES)


@pytest.mark.parametrize("loss", PAIRED, ids=lambda loss: loss.__name__)
def test_targets_changed_later(loss):
    t = ONE_HOT.copy()
    gradients = []
    for change in (False, True):
        w = Variable(PROBABILITIES)
        with GradientTape() as tape:
            value = loss(t, w)
        if change:
            t[:] = 0.3
        gradients.append(tape.gradient(value, w))
    np.testing.assert_array_equal(gradients[0], gradients[1])


def test_float32_stays_float32():
    p = PROBABILITIES.astype(np.float32)
    for loss in PAIRED:
        w = Variable(p)
        with GradientTape() as tape:
            value = loss(ONE_HOT, w)
        assert value.dtype == np.float32
        assert tape.gradient(value, w).dtype == np.float32
