"""Ways out of a traced array: while a tape records they raise and name ``.numpy()``, later they are free."""

import copy
import io
import math
import pickle
import sys

import numpy as np
import pytest

from timeloom import GradientTape, Variable
from timeloom.autograd import TracedArray

VALUES = np.array([1.0, 2.0, 3.0])


def assign_items(x):
    target = np.zeros(3)
    target[:] = x


def add_in_place(x):
    total = np.zeros(3)
    total += x


def multiply_in_place(x):
    total = np.ones((3, 3))
    total @= x + np.zeros((3, 3))


LEAKS = {
    "asarray": np.asarray,
    "array": np.array,
    "asarray with dtype": lambda x: np.asarray(x, dtype=np.float32),
    "array of a list": lambda x: np.array([x, x]),
    "array of elements": lambda x: np.array([x[0], 1.0]) if x.ndim else np.array([x, 1.0]),
    "ascontiguousarray": np.ascontiguousarray,
    "asanyarray": np.asanyarray,
    "float32": lambda x: np.float32(x),
    "item assignment of a plain array": assign_items,
    "in-place sum of a plain array": add_in_place,
    "in-place product of a plain array": multiply_in_place,
    "out": lambda x: np.add(x, 1.0, out=np.zeros(3)),
    "out of a function": lambda x: np.sum(x, out=np.array(0.0)),
    "copyto": lambda x: np.copyto(np.zeros(3), x),
    "put": lambda x: np.put(np.zeros(3), [0], x),
    "add.at": lambda x: np.add.at(np.zeros(3), [0, 1, 2], x),
    "fill_diagonal": lambda x: np.fill_diagonal(np.zeros((3, 3)), x),
    "save": lambda x: np.save(io.BytesIO(), x),
    "savez": lambda x: np.savez(io.BytesIO(), x=x),
    "savetxt": lambda x: np.savetxt(io.StringIO(), x),
    "from_dlpack": np.from_dlpack,
    "dlpack": lambda x: x.__dlpack__(),
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "copy method": lambda x: x.copy(),
    "np.copy": np.copy,
    "tolist": lambda x: x.tolist(),
    "item": lambda x: x.item(),
    "__array__": lambda x: x.__array__(),
    "bool": bool,
    "condition": lambda x: 1 if x else 0,
    "and": lambda x: x and 1,
    "interp": lambda x: np.interp([0.5], [0.0, 1.0, 2.0], x),
    "assert_allclose": lambda x: np.testing.assert_allclose(x, VALUES) or np.asarray(x),
}
SCALAR_LEAKS = {
    "float": float,
    "int": int,
    "complex": complex,
    "round": round,
    "math.exp": math.exp,
    "math.floor": math.floor,
    "range": range,
    "list index": lambda x: [1, 2, 3][x],
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_leak_of_a_traced_array(leak):
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            leak(x)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            leak(np.tanh(x) * 2)


@pytest.mark.parametrize("leak", SCALAR_LEAKS.values(), ids=SCALAR_LEAKS)
def test_leak_of_a_traced_scalar(leak):
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            leak(np.sum(x))


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_leak_of_a_trainable_variable(leak):
    with GradientTape(), pytest.raises(TypeError, match=r"\.numpy\(\)"):
        leak(Variable(VALUES))


def test_an_element_of_a_plain_array_cannot_be_set():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        target = np.zeros(3)
        for leak in (lambda: target.__setitem__(0, x[0]), lambda: np.fromiter(x, dtype=float)):
            # NumPy makes a ValueError of it, caused by ours.
            with pytest.raises(ValueError, match="element") as caught:
                leak()
            assert ".numpy()" in str(caught.value.__cause__)


def test_buffers_are_refused():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        with pytest.raises(TypeError):
            memoryview(x)
        with pytest.raises(TypeError):
            bytes(x)
        with pytest.raises(TypeError):
            np.frombuffer(x)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            x.__buffer__(0)
    if sys.version_info >= (3, 12):
        assert bytes(memoryview(x)) == VALUES.tobytes()


def test_a_traced_array_is_no_ndarray():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
    assert not isinstance(x, np.ndarray)
    for name in ("__array_interface__", "__array_struct__", "__array_priority__"):
        assert not hasattr(x, name)
    with pytest.raises(TypeError):
        hash(x)


def test_elements_cannot_be_assigned():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            x[0] = 5.0
        with pytest.raises(TypeError, match="plain array"):
            np.add(1.0, 2.0, out=x)
        with pytest.raises(TypeError, match="plain array"):
            np.sum(VALUES, out=np.sum(x))
    with pytest.raises(TypeError, match="item assignment"):
        x[0] = 5.0
    with pytest.raises(TypeError, match="plain array"):
        np.add(1.0, 2.0, out=x)


def test_in_place_operators_of_a_traced_array_rebind():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        y = x
        y += 1
        y *= x
        y -= x
        y /= 2.0
        y **= 2
    assert y is not x
    np.testing.assert_array_equal(x.numpy(), VALUES)
    np.testing.assert_allclose(tape.gradient(y, x), VALUES**3)


def test_methods_of_ndarray_without_a_derivative_name_the_exit():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        for name in ("argmax", "round", "sort", "fill", "tofile", "view", "data", "ctypes", "flat", "real"):
            with pytest.raises(AttributeError, match=r"\.numpy\(\)"):
                getattr(x, name)
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            x.nonsense  # noqa: B018
    assert x.argmax() == 2
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        x.nonsense  # noqa: B018


def test_after_the_block_it_converts_freely():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        y = x * 2
        loss = np.sum(y)
    np.testing.assert_array_equal(np.asarray(y), 2 * VALUES)
    assert np.asarray(y, dtype=np.float32).dtype == np.float32
    assert float(loss) == 12.0
    assert int(loss) == 12
    assert bool(loss)
    assert round(loss) == 12
    assert loss.item() == 12.0
    assert y.tolist() == [2.0, 4.0, 6.0]
    assert type(pickle.loads(pickle.dumps(y))) is np.ndarray
    assert type(copy.copy(y)) is np.ndarray
    assert type(copy.deepcopy(y)) is np.ndarray
    np.testing.assert_array_equal(np.from_dlpack(y), 2 * VALUES)
    target = np.zeros(3)
    target[:] = y
    target += y
    np.testing.assert_array_equal(target, 4 * VALUES)
    np.testing.assert_array_equal(np.add(y, 1, out=np.zeros(3)), 2 * VALUES + 1)
    for result in (y + 1, np.tanh(y), y[0], y @ y, np.concatenate([y, y]), np.where(y > 2, y, 0)):
        assert not isinstance(result, TracedArray)


def test_what_comes_out_shares_no_memory():
    with GradientTape() as tape:
        x = tape.watch(VALUES)
        y = x * x
        inside = y.numpy()
        inside[:] = 0
    outside = np.asarray(y)
    outside[:] = 0
    y.argmax()
    view = np.asarray(y, copy=False)
    assert not view.flags.writeable
    np.testing.assert_array_equal(y.numpy(), VALUES**2)
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * VALUES)


def test_plain_operands_are_copied_when_recorded():
    a, b, mask = np.array([2.0, 3.0]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([True, False])
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0, 1.0]))
        y = np.sum(x * a + b @ x + np.where(mask, x, 0.0) + np.maximum(x, a) + np.clip(x, 0.0, a) + a**x)
    expected = a + b.sum(0) + mask + 1 + a * np.log(a)
    a[:], b[:], mask[:] = -1.0, -1.0, True
    np.testing.assert_allclose(tape.gradient(y, x), expected)


def test_a_watched_array_is_copied():
    array = np.array([1.0, 2.0])
    with GradientTape() as tape:
        x = tape.watch(array)
        y = x**2
    array[:] = 100.0
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 4.0])


def test_read_only_and_adopted_operands_are_not_copied():
    frozen = np.ones(4)
    frozen.flags.writeable = False
    batch = np.ones((4, 4))
    with GradientTape(persistent=True) as tape:
        x = tape.watch(frozen)
        assert x._value is frozen
        tape._adopt(batch)
        y = x * batch[1:3]
        z = x * frozen
    assert tape.gradient(y, x).tolist() == [2.0] * 4
    batch[:] = 3.0  # what was adopted was not copied
    assert tape.gradient(y, x).tolist() == [6.0] * 4
    assert tape.gradient(z, x).tolist() == [1.0] * 4


def test_a_read_only_view_of_writable_memory_is_copied():
    base = np.ones(3)
    view = base.view()
    view.flags.writeable = False
    with GradientTape() as tape:
        x = tape.watch(np.ones(3))
        y = x * view
    base[:] = 5.0
    assert tape.gradient(y, x).tolist() == [1.0, 1.0, 1.0]
