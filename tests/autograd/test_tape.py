import gc
import weakref

import numpy as np
import pytest

from timeloom import GradientTape, Variable
from timeloom.autograd import TracedArray


def test_watch_returns_the_handle_to_compute_with():
    array = np.array([1.0, 2.0])
    with GradientTape() as tape:
        w = tape.watch(array)
        assert type(w) is TracedArray
        assert tape.watch(w) is w
        loss = np.sum(w * w)
    np.testing.assert_array_equal(tape.gradient(loss, w), [2.0, 4.0])


def test_watch_takes_structures_and_variables():
    v = Variable(np.ones(2), trainable=False)
    with GradientTape() as tape:
        handles = tape.watch([np.ones(2), (np.ones(3), v)])
        assert type(handles) is list
        assert type(handles[1]) is tuple
        assert handles[1][1] is v
        loss = np.sum(handles[0] * v) + np.sum(handles[1][0])
    gradients = tape.gradient(loss, handles)
    assert type(gradients[1]) is tuple
    np.testing.assert_array_equal(gradients[1][1], [1.0, 1.0])


@pytest.mark.parametrize(
    "thing",
    [np.arange(3), np.array([True]), "text", np.array(["a"]), np.ones(2) * 1j, None, 3, np.array([None])],
)
def test_watch_refuses_what_has_no_gradient(thing):
    with GradientTape() as tape, pytest.raises(TypeError, match="tensor: expected an array of real numbers"):
        tape.watch(thing)


def test_watch_refuses_variables_of_integers():
    with GradientTape() as tape, pytest.raises(TypeError, match="int64"):
        tape.watch(Variable(np.arange(3)))


def test_watch_is_for_the_block():
    tape = GradientTape()
    with pytest.raises(RuntimeError, match="inside the with block"):
        tape.watch(np.ones(2))
    with tape:
        pass
    with pytest.raises(RuntimeError, match="inside the with block"):
        tape.watch(np.ones(2))


def test_watch_takes_floats_and_numpy_scalars():
    with GradientTape() as tape:
        x, y = tape.watch(2.0), tape.watch(np.float32(3))
        z = x * y
    assert tape.gradient(z, [x, y]) == [3.0, 2.0]


def test_trainable_variables_are_followed_by_themselves():
    w, frozen = Variable(np.ones(2)), Variable(np.ones(2), trainable=False)
    with GradientTape() as tape:
        assert type(w * 2) is TracedArray
        assert type(frozen * 2) is np.ndarray
        loss = np.sum(w * frozen)
    with pytest.raises(ValueError, match="source 1"):
        tape.gradient(loss, [w, frozen])


def test_a_plain_array_is_no_source():
    array = np.ones(2)
    with GradientTape(persistent=True) as tape:
        w = tape.watch(array)
        loss = np.sum(w)
    for plain in (array, 3.0, None, "w", [array], {"w": array}):
        with pytest.raises(TypeError, match=r"tape\.watch"):
            tape.gradient(loss, plain)


def test_a_plain_array_is_no_target():
    with GradientTape() as tape:
        w = tape.watch(np.ones(2))
        loss = np.sum(w.numpy() * 2)
    with pytest.raises(TypeError, match="target: expected a traced array"):
        tape.gradient(loss, w)
    assert tape.gradient(w, w).tolist() == [1.0, 1.0]


def test_unconnected_sources():
    w, lonely = Variable(np.ones(2, dtype=np.float32), name="w"), Variable(np.ones(3), name="lonely")
    with GradientTape(persistent=True) as tape:
        handle = tape.watch(np.ones((2, 2)))
        loss = np.sum(w)
    with pytest.raises(ValueError, match="Variable 'lonely'"):
        tape.gradient(loss, [w, lonely])
    with pytest.raises(ValueError, match="source 0"):
        tape.gradient(loss, [handle])
    assert tape.gradient(loss, [lonely, handle], unconnected_gradients="none") == [None, None]
    zeros = tape.gradient(loss, [lonely, handle, w], unconnected_gradients="zero")
    assert [z.tolist() for z in zeros] == [[0, 0, 0], [[0, 0], [0, 0]], [1, 1]]
    assert [z.dtype for z in zeros] == [np.float64, np.float64, np.float32]
    assert tape.gradient(loss, lonely, unconnected_gradients=None) is None
    assert tape.gradient(loss, lonely, unconnected_gradients=np.str_("none")) is None
    with pytest.raises(ValueError, match='expected "error", "none" or "zero"'):
        tape.gradient(loss, w, unconnected_gradients="nothing")


def test_sources_keep_their_structure():
    a, b = Variable(1.0), Variable(2.0)
    with GradientTape(persistent=True) as tape:
        loss = a * b
    assert tape.gradient(loss, a) == 2.0
    assert tape.gradient(loss, [a, b]) == [2.0, 1.0]
    assert tape.gradient(loss, (a, [b])) == (2.0, [1.0])
    assert tape.gradient(loss, {"a": a, "b": b}) == {"a": 2.0, "b": 1.0}
    assert tape.gradient(loss, []) == []
    twice = tape.gradient(loss, [a, a])
    assert twice[0] is not twice[1]


def test_targets_add_up_and_need_not_be_scalars():
    with GradientTape(persistent=True) as tape:
        x = tape.watch(np.array([1.0, 2.0]))
        y, z = x * x, 3 * x
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 4.0])
    np.testing.assert_array_equal(tape.gradient([y, z, z], x), [8.0, 10.0])
    np.testing.assert_array_equal(tape.gradient(y, x, output_gradients=np.array([1, 10])), [2.0, 40.0])
    np.testing.assert_array_equal(tape.gradient([y, z], x, output_gradients=[None, [1.0, 2.0]]), [5.0, 10.0])
    np.testing.assert_array_equal(tape.gradient(y, y), [1.0, 1.0])
    np.testing.assert_array_equal(tape.gradient([y, x], [x, y], output_gradients=None)[0], [3.0, 5.0])
    for given in (np.array([1, 10], ">f8"), np.array([1, 10], "f4"), np.array([1, 10.0]).view(np.recarray)):
        gradient = tape.gradient(y, x, output_gradients=given)
        np.testing.assert_array_equal(gradient, [2.0, 40.0])
        assert type(gradient) is np.ndarray
        assert gradient.dtype == np.dtype("=f8")
        assert gradient is not given
    with pytest.raises(ValueError, match="shape of the target"):
        tape.gradient(y, x, output_gradients=np.ones(3))
    with pytest.raises(ValueError, match="one for each of 2 targets"):
        tape.gradient([y, z], x, output_gradients=[np.ones(2)])
    for wrong in ("a", np.ones(2, complex), [None, None]):
        with pytest.raises(TypeError, match="output_gradients: expected real numbers, got dtype"):
            tape.gradient(y, x, output_gradients=wrong)


def test_intermediate_sources():
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0, 2.0]))
        h = x * x
        loss = np.sum(h * 3)
    d_x, d_h = tape.gradient(loss, [x, h])
    np.testing.assert_array_equal(d_x, [6.0, 12.0])
    np.testing.assert_array_equal(d_h, [3.0, 3.0])


def test_gradients_are_independent_arrays():
    a, b = Variable(np.ones((2, 3))), Variable(np.ones((2, 3)))
    seed = np.ones((2, 3))
    with GradientTape() as tape:
        y = a + b
    gradients = tape.gradient(y, [a, b, a], output_gradients=seed)
    for i, gradient in enumerate(gradients):
        gradient[:] = 10 * i
    assert [g[0, 0] for g in gradients] == [0, 10, 20]
    assert seed[0, 0] == 1
    with GradientTape() as tape:
        loss = np.mean(a)
    gradient = tape.gradient(loss, a)
    gradient += 1  # a broadcast view would be read-only


def test_a_second_gradient_needs_a_persistent_tape():
    w = Variable(np.ones(2))
    with GradientTape() as tape:
        loss = np.sum(w * w)
    tape.gradient(loss, w)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(loss, w)
    with GradientTape(persistent=True) as tape:
        loss = np.sum(w * w)
    for _ in range(3):
        np.testing.assert_array_equal(tape.gradient(loss, w), [2.0, 2.0])


def test_a_refused_gradient_leaves_the_tape_usable():
    w = Variable(np.ones(2))
    with GradientTape() as tape:
        loss = np.sum(w * w)
    with pytest.raises(TypeError):
        tape.gradient(loss, np.ones(2))
    with pytest.raises(ValueError, match="unconnected"):
        tape.gradient(loss, w, unconnected_gradients="x")
    with pytest.raises(ValueError, match="source 0"):
        tape.gradient(loss, Variable(1.0))
    np.testing.assert_array_equal(tape.gradient(loss, w), [2.0, 2.0])


def test_gradient_inside_the_own_block():
    w = Variable(np.ones(2))
    with GradientTape() as tape:
        loss = np.sum(w * w)
        gradient = tape.gradient(loss, w)
        assert type(w * 2) is np.ndarray  # a tape that is used up records no more
    np.testing.assert_array_equal(gradient, [2.0, 2.0])
    with GradientTape(persistent=True) as tape:
        loss = np.sum(w * w)
        np.testing.assert_array_equal(tape.gradient(loss, w), [2.0, 2.0])
        other = np.sum(loss * w)
    np.testing.assert_array_equal(tape.gradient(other, w), [6.0, 6.0])


def test_gradient_inside_another_tape_is_not_implemented():
    w = Variable(np.ones(2))
    with GradientTape() as outer:
        with GradientTape() as inner:
            loss = np.sum(w * w)
        with pytest.raises(NotImplementedError, match="another GradientTape is recording"):
            inner.gradient(loss, w)
    with GradientTape(), pytest.raises(NotImplementedError, match="another GradientTape is recording"):
        inner.gradient(loss, w)
    np.testing.assert_array_equal(inner.gradient(loss, w), [2.0, 2.0])
    np.testing.assert_array_equal(outer.gradient(loss, w), [2.0, 2.0])


def test_nested_tapes_each_see_their_block():
    w = Variable(np.array([2.0]))
    with GradientTape(persistent=True) as outer:
        before = w * w
        with GradientTape(persistent=True) as inner:
            within = before * w
        after = within * w
    np.testing.assert_array_equal(outer.gradient(after, w), [32.0])
    np.testing.assert_array_equal(inner.gradient(within, w), [4.0])  # before is a constant to it
    np.testing.assert_array_equal(inner.gradient(within, before), [2.0])
    with pytest.raises(ValueError, match="source 0"):
        inner.gradient(after, w)


def test_two_tapes_at_once():
    g, d = Variable(np.array([2.0])), Variable(np.array([3.0]))
    with GradientTape() as g_tape, GradientTape() as d_tape:
        first, second = g * g * d, d * d * g
    np.testing.assert_array_equal(g_tape.gradient(first, g), [12.0])
    np.testing.assert_array_equal(d_tape.gradient(second, d), [12.0])


def test_a_traced_array_of_another_tape():
    with GradientTape() as first:
        x = first.watch(np.ones(2))
        y = x * 2
    with GradientTape() as second:
        z = second.watch(y) * 3
        assert type(y * 2) is np.ndarray
    with pytest.raises(ValueError, match="another tape"):
        second.gradient(z, x)
    np.testing.assert_array_equal(first.gradient(y, x), [2.0, 2.0])


def test_a_tape_is_entered_once():
    tape = GradientTape()
    with pytest.raises(RuntimeError, match="new one"):
        tape.gradient(1.0, 1.0)
    with tape, pytest.raises(RuntimeError, match="entered before"):
        tape.__enter__()
    with pytest.raises(RuntimeError, match="entered before"):
        tape.__enter__()
    with pytest.raises(NotImplementedError, match="watch_accessed_variables"):
        GradientTape(watch_accessed_variables=False)


def test_an_exception_ends_the_recording():
    w = Variable(np.ones(2))
    with pytest.raises(ZeroDivisionError), GradientTape():
        1 / 0  # noqa: B018
    assert type(w * 2) is np.ndarray


def test_memory_is_released():
    class Marked(np.ndarray):
        pass

    w = Variable(np.ones(3))
    for persistent in (False, True):
        with GradientTape(persistent=persistent) as tape:
            h = np.tanh(w) * 2
            loss = np.sum(h * h)
        kept = np.zeros(1).view(Marked)
        watcher = weakref.ref(kept)
        tape._records.append((99, 1, (0,), lambda needs, g, kept=kept: (kept,)))
        del kept
        tape.gradient(loss, w)
        assert (watcher() is None) is not persistent
        del tape
        gc.collect()
        assert watcher() is None  # though h and loss are still alive
    assert h.shape == (3,)


def test_only_what_is_asked_for_is_computed():
    calls = []
    w, u = Variable(np.ones(2)), Variable(np.ones(2))
    from timeloom.autograd import record

    def spy(x, name):
        return record(x.numpy() * 2, (x,), lambda needs, g: (calls.append(name), (g * 2,))[1])

    with GradientTape(persistent=True) as tape:
        loss = np.sum(spy(w, "w") * spy(u, "u"))
    tape.gradient(loss, w)
    assert calls == ["w"]
    tape.gradient(loss, [u])
    assert calls == ["w", "u"]


def test_record_flags_which_inputs_need_a_gradient():
    from timeloom.autograd import record

    seen = []
    w, u = Variable(np.ones(2)), Variable(np.ones(2))

    def backward(needs, g):
        seen.append(list(needs))
        return g, g, None

    with GradientTape() as tape:
        y = record(np.ones(2), (w, u, np.ones(2)), backward)
    tape.gradient(y, u)
    assert seen == [[False, True, False]]


def test_order_of_summation_is_fixed():
    random = np.random.default_rng(0)
    values = random.normal(size=64).astype(np.float32)
    steps = random.normal(size=(40, 64)).astype(np.float32)
    results = []
    for _ in range(3):
        with GradientTape() as tape:
            x = tape.watch(values)
            loss = sum(np.sum(np.tanh(x * step)) for step in steps)
        results.append(tape.gradient(loss, x))
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_long_recordings_need_no_recursion():
    with GradientTape() as tape:
        x = tape.watch(np.array([1.0]))
        y = x
        for _ in range(20_000):
            y = y + 0.0
    np.testing.assert_array_equal(tape.gradient(y, x), [1.0])
