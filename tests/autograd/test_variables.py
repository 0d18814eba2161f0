import copy
import pickle

import numpy as np
import pytest

from timeloom import GradientTape, Variable, backend


def test_a_variable_owns_its_memory():
    array = np.arange(6.0).reshape(2, 3).T
    w = Variable(array, name="kernel")
    array[:] = 0
    assert w._value.flags.c_contiguous
    assert w._value.flags.owndata
    np.testing.assert_array_equal(w.numpy(), np.arange(6.0).reshape(2, 3).T)
    copied = w.numpy()
    copied[:] = 7
    assert w.numpy()[0, 0] == 0
    assert (w.shape, w.dtype, w.ndim, w.size, w.name, w.path) == (
        (3, 2),
        np.float64,
        2,
        6,
        "kernel",
        "kernel",
    )
    assert (w.trainable, w.version, w.constraint, w.regularizer) == (True, 0, None, None)


def test_dtypes():
    assert Variable([1, 2]).dtype == np.float32
    assert Variable(1.5).dtype == np.float32
    assert Variable(np.ones(2)).dtype == np.float64
    assert Variable(np.ones(2, dtype=">f4")).dtype == np.dtype("=f4")
    assert Variable(np.arange(2)).dtype == np.int64
    assert Variable(np.arange(2), dtype="float64").dtype == np.float64
    assert not Variable(np.arange(2)).trainable
    backend.set_floatx("float64")
    try:
        assert Variable([1, 2]).dtype == np.float64
    finally:
        backend.set_floatx("float32")
    with pytest.raises(ValueError, match="trainable: expected False"):
        Variable(np.arange(2)).trainable = True


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("text", TypeError),
        ([["a"]], TypeError),
        (np.ones(2) * 1j, TypeError),
        (None, TypeError),
        ([[1], [1, 2]], ValueError),
    ],
)
def test_bad_values(value, error):
    with pytest.raises(error, match="value: expected"):
        Variable(value)
    w = Variable(np.ones(2))
    with pytest.raises(error, match="value: expected"):
        w.assign(value)
    assert w.version == 0


def test_bad_dtype():
    with pytest.raises(TypeError, match="dtype: expected"):
        Variable([1.0], dtype="complex64")


def test_assignments_raise_the_version():
    w = Variable(np.ones(2, dtype=np.float32))
    memory = w._value
    assert w.assign([1, 2]) is w
    assert w.assign_add(np.array([1.0, 1.0])).numpy().tolist() == [2.0, 3.0]
    assert w.assign_sub(w).numpy().tolist() == [0.0, 0.0]
    assert w.version == 3
    assert w._value is memory
    assert w.dtype == np.float32


@pytest.mark.parametrize("value", [1.0, [1.0], np.ones((2, 1)), np.ones((1, 2)), []])
def test_a_value_of_another_shape_is_refused(value):
    w = Variable(np.ones(2), name="w")
    for change in (w.assign, w.assign_add, w.assign_sub):
        with pytest.raises(ValueError, match=r"expected shape \(2,\) of Variable 'w'"):
            change(value)
    assert w.version == 0
    assert w.numpy().tolist() == [1.0, 1.0]


def test_assigning_a_traced_array_would_cut_a_gradient():
    w = Variable(np.ones(2))
    with GradientTape() as tape:
        y = w * 2
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            w.assign(y)
        w.assign(y.numpy())
    assert w.numpy().tolist() == [2.0, 2.0]
    del tape
    w.assign(y)


def test_in_place_operators_and_items_are_refused():
    w = Variable(np.ones(2), name="w")
    with pytest.raises(TypeError, match=r"assign_sub\(\)"):
        w -= 1
    with pytest.raises(TypeError, match="assign"):
        w[0] = 3.0
    with pytest.raises(TypeError, match="plain array"):
        np.add(1.0, 1.0, out=w)
    assert w.numpy().tolist() == [1.0, 1.0]


def test_outside_a_tape_it_converts_freely():
    w = Variable(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(w), [1.0, 2.0])
    assert float(w[1]) == 2.0
    total = np.zeros(2)
    total += w
    assert total.tolist() == [1.0, 2.0]
    assert w.tolist() == [1.0, 2.0]
    np.asarray(w)[:] = 9
    assert w.tolist() == [1.0, 2.0]


def test_identity_and_comparison():
    a, b = Variable(np.ones(2)), Variable(np.ones(2))
    assert len({a, b, a}) == 2
    assert (a == b).tolist() == [True, True]


def test_a_frozen_variable_under_a_tape_is_a_constant():
    w = Variable(np.ones(2), trainable=False)
    with GradientTape() as tape:
        assert np.asarray(w).tolist() == [1.0, 1.0]
        tape.watch(w)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            np.asarray(w)


def test_copies_and_pickles():
    w = Variable(np.arange(3.0), name="w", regularizer=abs)
    w.path = "layer/w"
    w.assign_add(np.ones(3))
    for other in (copy.copy(w), copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert type(other) is Variable
        assert (other.name, other.path, other.version, other.regularizer) == ("w", "layer/w", 1, abs)
        other.assign(np.zeros(3))
        assert w.numpy().tolist() == [1.0, 2.0, 3.0]
    assert repr(w) == "<Variable name=w shape=(3,) dtype=float64>"


@pytest.mark.parametrize("change", ["assign", "assign_add", "assign_sub"])
def test_a_variable_changed_before_its_gradient(change):
    w, other = Variable(np.ones(2), name="kernel"), Variable(np.ones(2))
    with GradientTape(persistent=True) as tape:
        loss = np.sum(w * w)
        unrelated = np.sum(other * other)
    getattr(w, change)(np.zeros(2))
    with pytest.raises(RuntimeError, match=r"'kernel' as it was recorded \(version 0\), got version 1"):
        tape.gradient(loss, w)
    np.testing.assert_array_equal(tape.gradient(unrelated, other), [2.0, 2.0])
    with pytest.raises(RuntimeError, match="'kernel' as it was recorded"):  # a source, if a useless one
        tape.gradient(unrelated, [other, w], unconnected_gradients="none")


def test_a_frozen_variable_changed_before_the_gradient():
    w, scale = Variable(np.ones(2)), Variable(np.ones(2), trainable=False, name="scale")
    with GradientTape() as tape:
        loss = np.sum(w * scale)
    scale.assign([5.0, 5.0])
    with pytest.raises(RuntimeError, match="'scale'"):
        tape.gradient(loss, w)


def test_a_variable_changed_inside_the_block():
    w = Variable(np.ones(2))
    with GradientTape() as tape:
        first = w * w
        w.assign([3.0, 3.0])
        loss = np.sum(first * w)
    with pytest.raises(RuntimeError, match="version"):
        tape.gradient(loss, w)
