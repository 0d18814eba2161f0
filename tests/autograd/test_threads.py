import threading

import numpy as np

from timeloom import GradientTape, Variable, ops


def test_threads_record_at_once():
    w = Variable(np.arange(1.0, 5.0))
    barrier = threading.Barrier(4)
    results = {}

    def work(number):
        barrier.wait()
        for _ in range(50):
            with GradientTape() as tape:
                loss = np.sum(w * w * number)
                for _ in range(10):
                    loss = loss + np.sum(np.tanh(w) * number)
            results[number] = tape.gradient(loss, w)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        expected = number * (2 * w.numpy() + 10 * (1 - np.tanh(w.numpy()) ** 2))
        np.testing.assert_allclose(results[number], expected)


def test_a_traced_array_stays_in_its_thread():
    errors = []

    def work(x):
        for use in (lambda: x * 2, lambda: np.tanh(x), lambda: ops.tanh(x), lambda: np.asarray(x)):
            try:
                use()
            except (RuntimeError, TypeError) as error:
                errors.append(str(error))

    with GradientTape() as tape:
        x = tape.watch(np.ones(2))
        thread = threading.Thread(target=work, args=(x,))
        thread.start()
        thread.join()
    assert len(errors) == 4
    assert all(".numpy()" in error for error in errors)


def test_other_threads_are_not_recorded():
    w = Variable(np.ones(2))
    kinds = []
    with GradientTape():
        thread = threading.Thread(target=lambda: kinds.append(type(w * 2)))
        thread.start()
        thread.join()
    assert kinds == [np.ndarray]
