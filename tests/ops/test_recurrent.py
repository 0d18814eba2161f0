import numpy as np
import pytest
from tests.autograd.differences import check_gradients

from timeloom import GradientTape, Variable, ops
from timeloom.autograd import TracedArray
from timeloom.ops.recurrent_call import cells

RANDOM = np.random.default_rng(0)
BATCH, TIMESTEPS, FEATURES, UNITS = 2, 3, 2, 3
CELLS = sorted(cells())


def problem(cell, batch=BATCH, timesteps=TIMESTEPS):
    facts = cells()[cell]
    gates = facts["input_gates"]
    bias = (gates * UNITS,) if facts["bias_rows"] == 1 else (facts["bias_rows"], gates * UNITS)
    return {
        "inputs": RANDOM.normal(size=(batch, timesteps, FEATURES)),
        "kernel": RANDOM.normal(size=(FEATURES, gates * UNITS)),
        "recurrent_kernel": RANDOM.normal(size=(UNITS, facts["state_gates"] * UNITS)) / 2,
        "bias": RANDOM.normal(size=bias),
        "initial_state": [RANDOM.normal(size=(batch, UNITS)) for _ in range(facts["states"])],
    }


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_derivatives(cell, return_sequences, go_backwards):
    p = problem(cell)
    arrays = [p["inputs"], p["kernel"], p["recurrent_kernel"], p["bias"], *p["initial_state"]]

    def run(x, w, u, b, *states):
        outputs, finals = ops.recurrent(
            cell, x, w, u, b, states, return_sequences=return_sequences, go_backwards=go_backwards
        )
        return np.concatenate([np.reshape(outputs, (BATCH, -1)), *finals], axis=1)

    check_gradients(run, *arrays)


@pytest.mark.parametrize("cell", CELLS)
def test_derivatives_without_optional_arguments(cell):
    p = problem(cell)
    check_gradients(
        lambda x, w, u: ops.recurrent(cell, x, w, u)[0], p["inputs"], p["kernel"], p["recurrent_kernel"]
    )
    check_gradients(
        lambda u: ops.recurrent(cell, p["inputs"], p["kernel"], u, p["bias"])[1][-1], p["recurrent_kernel"]
    )


@pytest.mark.parametrize("cell", CELLS)
def test_activations(cell):
    p = problem(cell)

    def run(x, w, u, b):
        gates = {} if cell == "simple_rnn" else {"recurrent_activation": "hard_sigmoid"}
        return ops.recurrent(cell, x, w, u, b, activation="sigmoid", return_sequences=True, **gates)[0]

    check_gradients(run, p["inputs"], p["kernel"], p["recurrent_kernel"], p["bias"])


@pytest.mark.parametrize("cell", CELLS)
def test_a_split_sequence_carries_its_state(cell):
    p = problem(cell, timesteps=6)
    x = p.pop("inputs")
    state = p.pop("initial_state")
    whole, finals = ops.recurrent(cell, x, **p, initial_state=state, return_sequences=True)
    first, state = ops.recurrent(cell, x[:, :2], **p, initial_state=state, return_sequences=True)
    second, state = ops.recurrent(cell, x[:, 2:], **p, initial_state=state, return_sequences=True)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    for a, b in zip(state, finals, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_the_tape_changes_no_value(cell):
    p = problem(cell)
    plain, finals = ops.recurrent(cell, **p)
    assert type(plain) is np.ndarray
    with GradientTape():
        traced, traced_finals = ops.recurrent(cell, **{**p, "kernel": Variable(p["kernel"])})
    assert type(traced) is TracedArray
    assert traced.numpy().tobytes() == plain.tobytes()
    for a, b in zip(traced_finals, finals, strict=True):
        assert a.numpy().tobytes() == b.tobytes()


def test_names_of_the_cells():
    for cell, op in {"simple_rnn": ops.simple_rnn, "lstm": ops.lstm, "gru": ops.gru}.items():
        p = problem(cell)
        np.testing.assert_array_equal(op(**p)[0], ops.recurrent(cell, **p)[0])
    p = problem("gru_reset_before")
    np.testing.assert_array_equal(
        ops.gru(**p, reset_after=False)[0], ops.recurrent("gru_reset_before", **p)[0]
    )


@pytest.mark.parametrize("cell", CELLS)
def test_float32_and_layouts(cell):
    p = problem(cell)
    narrow = {
        k: [s.astype(np.float32) for s in v] if k == "initial_state" else v.astype(np.float32)
        for k, v in p.items()
    }
    outputs, _ = ops.recurrent(cell, **narrow)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, ops.recurrent(cell, **p)[0], rtol=1e-4, atol=1e-5)
    strided = {**p, "inputs": np.asfortranarray(p["inputs"]), "kernel": p["kernel"][::-1][::-1]}
    np.testing.assert_array_equal(ops.recurrent(cell, **strided)[0], ops.recurrent(cell, **p)[0])
    reversed_time = {**p, "inputs": p["inputs"][:, ::-1]}
    np.testing.assert_array_equal(
        ops.recurrent(cell, **reversed_time)[0], ops.recurrent(cell, **p, go_backwards=True)[0]
    )


def test_a_single_state_needs_no_list():
    p = problem("gru")
    state = p.pop("initial_state")[0]
    np.testing.assert_array_equal(
        ops.gru(**p, initial_state=state)[0], ops.gru(**p, initial_state=[state])[0]
    )
    check_gradients(lambda h: ops.gru(**p, initial_state=h)[0], state)


def test_plain_operands_changed_later():
    p = problem("lstm")
    w = Variable(p["kernel"])
    gradients = []
    for change in (False, True):
        with GradientTape() as tape:
            outputs, _ = ops.lstm(p["inputs"], w, p["recurrent_kernel"], p["bias"], p["initial_state"])
        if change:
            for array in (p["inputs"], p["recurrent_kernel"], p["bias"], *p["initial_state"]):
                array[:] = 7.0
        gradients.append(tape.gradient(outputs, w))
    np.testing.assert_array_equal(gradients[0], gradients[1])


def test_a_persistent_tape_differentiates_twice():
    p = problem("lstm")
    with GradientTape(persistent=True) as tape:
        w = tape.watch(p["kernel"])
        outputs, (_, c) = ops.lstm(**{**p, "kernel": w}, return_sequences=True)
    first, again = tape.gradient(outputs, w), tape.gradient(outputs, w)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(tape.gradient([outputs, c], w), first + tape.gradient(c, w), rtol=1e-12)


def test_several_states_and_one_target():
    p = problem("lstm")
    with GradientTape(persistent=True) as tape:
        w = tape.watch(p["kernel"])
        outputs, (h, c) = ops.lstm(**{**p, "kernel": w})
    np.testing.assert_allclose(tape.gradient(outputs, w), tape.gradient(h, w), rtol=1e-12)
    np.testing.assert_array_equal(tape.gradient(c, c), np.ones((BATCH, UNITS)))


def test_an_empty_batch():
    p = problem("lstm", batch=0)
    outputs, states = ops.lstm(**p, return_sequences=True)
    assert outputs.shape == (0, TIMESTEPS, UNITS)
    assert states[1].shape == (0, UNITS)


@pytest.mark.parametrize("cell", CELLS)
def test_not_a_number_propagates(cell):
    p = problem(cell)
    p["inputs"][0, 0, 0] = np.nan
    outputs, _ = ops.recurrent(cell, **p)
    assert np.isnan(outputs[0]).all()
    assert not np.isnan(outputs[1]).any()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"inputs": np.ones((2, 3))}, ValueError, "inputs: expected 3 axes"),
        ({"inputs": np.ones((2, 0, 2))}, ValueError, "inputs: expected at least one timestep"),
        ({"inputs": np.ones((2, 3, 5))}, ValueError, r"kernel: expected shape \(5, 12\), got \(2, 12\)"),
        (
            {"inputs": np.ones((2, 3, 2), dtype=int)},
            TypeError,
            "inputs: expected dtype float32 or float64, got int64",
        ),
        ({"inputs": np.ones((2, 3, 2)).tolist()}, TypeError, "inputs: expected a NumPy array, got list"),
        ({"inputs": np.ones((2, 3, 2), dtype=np.float32)}, TypeError, "kernel: expected dtype float32"),
        ({"kernel": np.ones((2, 9))}, ValueError, r"kernel: expected shape \(2, 12\)"),
        ({"recurrent_kernel": np.ones((3, 9))}, ValueError, r"recurrent_kernel: expected shape \(3, 12\)"),
        ({"recurrent_kernel": np.ones(3)}, ValueError, "recurrent_kernel: expected an array with 2 axes"),
        ({"bias": np.ones(3)}, ValueError, r"bias: expected shape \(12,\), got \(3,\)"),
        ({"bias": np.ones((2, 12))}, ValueError, "bias: expected shape"),
        ({"initial_state": np.ones((2, 3))}, ValueError, "initial_state: expected 2 arrays, got 1"),
        (
            {"initial_state": [np.ones((2, 3)), np.ones((2, 4))]},
            ValueError,
            r"initial_states\[1\]: expected shape \(2, 3\)",
        ),
        ({"activation": "nonsense"}, ValueError, "activation"),
        ({"recurrent_activation": "nonsense"}, ValueError, "recurrent_activation"),
        ({"activation": np.tanh}, ValueError, "activation: expected the name of an activation, got <ufunc"),
        ({"recurrent_activation": 3}, ValueError, "recurrent_activation: expected the name of an activation"),
        ({"return_sequences": "yes"}, ValueError, "return_sequences: expected True or False, got 'yes'"),
        ({"go_backwards": np.ones(2)}, ValueError, "go_backwards: expected True or False"),
    ],
)
def test_bad_arguments(change, error, words):
    with pytest.raises(error, match=words):
        ops.lstm(**{**problem("lstm"), **change})


def test_a_cell_without_gates_has_no_activation_of_them():
    with pytest.raises(ValueError, match="recurrent_activation: expected None for simple_rnn"):
        ops.recurrent("simple_rnn", **problem("simple_rnn"), recurrent_activation="sigmoid")


def test_an_unknown_cell():
    p = problem("lstm")
    for cell in ("nonsense", None, ["lstm"]):
        with pytest.raises(ValueError, match="cell: expected one of"):
            ops.recurrent(cell, **p)
