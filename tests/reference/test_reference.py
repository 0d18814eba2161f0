"""The referee is refereed: its gradients against derivatives that know nothing of backpropagation.

Complex steps, Im f(x + 1e-30 i) / 1e-30, are exact to rounding and hold wherever a function is piecewise
analytic; the activations with corners are also differenced in real arithmetic, by Richardson's extrapolation.
The error of every gradient is at most 1e-9 of its largest element.
"""

import numpy as np
import pytest

from tests.reference import dense, losses, optimizers, recurrent, softmax
from tests.reference.activations import ACTIVATIONS
from tests.reference.problems import MASKS, recurrent_problem, recurrent_weights

TOLERANCE = 1e-9
STEP = 1e-30


def complex_step_gradient(loss, value):
    """Gradient of a real-valued loss by one complex step per element of value."""
    gradient = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        moved = value.astype(np.complex128)
        moved[index] += 1j * STEP
        gradient[index] = loss(moved).imag / STEP
    return gradient


def richardson_slope(loss, step=2e-4):
    """Slope of loss(t) at 0 from central differences at step, step/2 and step/4; its error is O(step^6)."""
    table = [(loss(step / 2**level) - loss(-step / 2**level)) / (2 * step / 2**level) for level in range(3)]
    once = [(4 * table[level + 1] - table[level]) / 3 for level in range(2)]
    return (16 * once[1] - once[0]) / 15


def assert_close(actual, expected):
    """Compare arrays within TOLERANCE of the largest expected element."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert np.abs(actual - expected).max(initial=0) <= TOLERANCE * np.abs(expected).max(initial=0)


def recurrent_loss(problem, **replaced):
    """Random-weighted sum of outputs and final states."""
    run = recurrent.forward(**{**problem.arguments, **replaced})
    total = 0.0
    if problem.d_outputs is not None:
        total = total + np.sum(problem.d_outputs * run.outputs)
    for weight, state in zip(problem.d_states or (), run.states, strict=False):
        total = total + np.sum(weight * state)
    return total


def flat_arguments(problem):
    """Every array that a recurrent loss depends on: name -> (value, how to put another in its place)."""
    arguments = problem.arguments
    names = ["inputs", "kernel", "recurrent_kernel"] + ["bias"] * (arguments["bias"] is not None)
    flat = {name: (arguments[name], lambda value, name=name: {name: value}) for name in names}
    states = arguments["initial_states"] or ()
    for place, state in enumerate(states):

        def replace(value, place=place):
            return {"initial_states": states[:place] + (value,) + states[place + 1 :]}

        flat[f"initial_states[{place}]"] = (state, replace)
    return flat


def reference_gradients(problem):
    """Gradients by the reference, under the names of flat_arguments."""
    found = recurrent.backward(recurrent.forward(**problem.arguments), problem.d_outputs, problem.d_states)
    flat = {name: getattr(found, name) for name in ("inputs", "kernel", "recurrent_kernel", "bias")}
    flat |= {f"initial_states[{place}]": state for place, state in enumerate(found.states)}
    return flat


def check_by_complex_steps(problem):
    """Compare every gradient of a problem with complex steps."""
    found = reference_gradients(problem)
    for name, (value, replace) in flat_arguments(problem).items():
        assert_close(
            found[name], complex_step_gradient(lambda v, r=replace: recurrent_loss(problem, **r(v)), value)
        )


@pytest.mark.parametrize("upstream", ["outputs", "states", "both"])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_of_every_form(cell, go_backwards, return_sequences, upstream):
    check_by_complex_steps(
        recurrent_problem(
            (1, len(cell)),
            cell,
            batch=2,
            timesteps=4,
            features=2,
            units=3,
            go_backwards=go_backwards,
            return_sequences=return_sequences,
            upstream=upstream,
        )
    )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_without_optional_arguments(cell, bias):
    problem = recurrent_problem((2, len(cell)), cell, 2, 3, 2, 3, bias=bias, initial_states=False)
    assert (reference_gradients(problem)["bias"] is None) == (not bias)
    check_by_complex_steps(problem)


@pytest.mark.parametrize("role", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_of_every_activation(cell, name, role):
    check_by_complex_steps(
        recurrent_problem(
            (3, len(cell)),
            cell,
            batch=2,
            timesteps=1 if name == "exponential" else 3,  # e^(e^x) soon overflows
            features=1,
            units=2,
            **{role: name},
        )
    )


@pytest.mark.parametrize(
    "pair", [("relu", "hard_sigmoid"), ("hard_sigmoid", "relu"), ("tanh", "sigmoid")], ids=str
)
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_by_richardson_differences(cell, pair):
    problem = recurrent_problem(
        (4, len(cell)), cell, 2, 4, 2, 3, activation=pair[0], recurrent_activation=pair[1], go_backwards=True
    )
    found = reference_gradients(problem)
    random = np.random.default_rng(5)
    for name, (value, replace) in flat_arguments(problem).items():
        direction = random.choice([-1.0, 1.0], value.shape)
        slope = richardson_slope(
            lambda t, v=value, d=direction, r=replace: recurrent_loss(problem, **r(v + t * d))
        )
        assert (
            abs(slope - np.sum(found[name] * direction))
            <= TOLERANCE * np.abs(found[name]).max(initial=0) * value.size
        )


ARRANGEMENTS = [
    *({"mask": kind} for kind in MASKS),
    *({"mask": kind, "zero_output_for_mask": True} for kind in ("left", "holes", "some rows")),
    *({"mask": kind, "go_backwards": True} for kind in ("left", "right", "holes")),
    {"mask": "holes", "go_backwards": True, "keep_time_order": True, "zero_output_for_mask": True},
    {"lengths": True},
    {"packed": True},
    {"packed": True, "go_backwards": True},
    {"packed": True, "go_backwards": True, "keep_time_order": True},
]
MULTIPLIERS = [
    {"input_dropout": True},
    {"recurrent_dropout": True},
    {"zoneout": "rate"},
    {"zoneout": "multipliers", "go_backwards": True},
    {"zoneout": "mixed", "go_backwards": True, "keep_time_order": True},
    {"input_dropout": True, "recurrent_dropout": True, "zoneout": "multipliers", "mask": "holes"},
    {"input_dropout": True, "recurrent_dropout": True, "zoneout": "mixed", "packed": True},
    {"zoneout": "multipliers", "packed": True, "go_backwards": True, "mask": None},
]


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("options", [*ARRANGEMENTS, *MULTIPLIERS], ids=str)
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_with_masks_and_multipliers(cell, options, return_sequences):
    for seed in range(2):
        check_by_complex_steps(
            recurrent_problem(
                (10, len(cell), seed), cell, 3, 4, 2, 2, return_sequences=return_sequences, **options
            )
        )


@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_gradients_with_masks_and_multipliers_by_richardson_differences(cell):
    options = {"mask": "holes", "input_dropout": True, "recurrent_dropout": True, "zoneout": "multipliers"}
    problem = recurrent_problem((11, len(cell)), cell, 3, 5, 2, 3, activation="relu", **options)
    found = reference_gradients(problem)
    random = np.random.default_rng(12)
    for name, (value, replace) in flat_arguments(problem).items():
        direction = random.choice([-1.0, 1.0], value.shape)
        slope = richardson_slope(
            lambda t, v=value, d=direction, r=replace: recurrent_loss(problem, **r(v + t * d))
        )
        allowed = TOLERANCE * np.abs(found[name]).max(initial=0) * value.size
        assert abs(slope - np.sum(found[name] * direction)) <= allowed


def valid_steps_alone(problem, row):
    """Run one row of a masked problem on its valid timesteps alone."""
    arguments = dict(problem.arguments)
    mask = arguments.pop("mask")[row]
    arguments["inputs"] = arguments["inputs"][row : row + 1, mask]
    arguments["initial_states"] = tuple(state[row : row + 1] for state in arguments["initial_states"])
    return recurrent.forward(**arguments)


@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_masked_row_is_the_row_of_its_valid_steps(cell, kind, go_backwards, zero_output_for_mask):
    problem = recurrent_problem(13, cell, 4, 6, 2, 3, mask=kind, go_backwards=go_backwards)
    arguments = {**problem.arguments, "zero_output_for_mask": zero_output_for_mask}
    whole = recurrent.forward(**arguments)
    last = recurrent.forward(**{**arguments, "return_sequences": False})
    ordered = recurrent.forward(**arguments, keep_time_order=True)
    for row, mask in enumerate(problem.arguments["mask"]):
        alone = valid_steps_alone(problem, row)
        expected, place = np.zeros((6, 3)), 0
        for step, is_valid in enumerate(mask[::-1] if go_backwards else mask):
            if is_valid:
                expected[step] = alone.outputs[0, place]
                place += 1
            elif step > 0 and not zero_output_for_mask:
                expected[step] = expected[step - 1]
        assert_close(whole.outputs[row], expected)
        assert_close(last.outputs[row], expected[-1])
        assert_close(ordered.outputs[row], expected[::-1] if go_backwards else expected)
        for state, of_row in zip(whole.states, alone.states, strict=True):
            assert_close(state[row], of_row[0])


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_packed_row_is_the_sequence_alone(cell, go_backwards):
    problem = recurrent_problem(14, cell, 4, 6, 2, 3, packed=True, go_backwards=go_backwards)
    arguments = problem.arguments
    lengths = arguments["lengths"]
    assert sorted(lengths)[0] == 0
    packed = recurrent.forward(**arguments)
    last = recurrent.forward(**{**arguments, "return_sequences": False})
    ordered = recurrent.forward(**arguments, keep_time_order=True)
    ends = np.cumsum(lengths)
    for row, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        states = tuple(state[row : row + 1] for state in arguments["initial_states"])
        one = {**arguments, "inputs": arguments["inputs"][None, start:end], "initial_states": states}
        alone = recurrent.forward(**{**one, "lengths": None})
        assert_close(packed.outputs[start:end], alone.outputs[0])
        assert_close(ordered.outputs[start:end], alone.outputs[0, ::-1] if go_backwards else alone.outputs[0])
        assert_close(last.outputs[row], alone.outputs[0, -1] if end > start else np.zeros(3))
        for state, of_row in zip(packed.states, alone.states, strict=True):
            assert_close(state[row], of_row[0])


def test_what_stands_at_masked_steps_is_never_read():
    problem = recurrent_problem(15, "lstm", 4, 6, 2, 3, mask="holes", zoneout="multipliers")
    spoilt = {**problem.arguments, "inputs": problem.arguments["inputs"].copy()}
    masked = ~spoilt["mask"]
    spoilt["inputs"][masked] = np.nan
    spoilt["zoneout"] = tuple(np.where(masked[..., None], np.inf, z) for z in spoilt["zoneout"])
    clean, dirty = (recurrent.forward(**arguments) for arguments in (problem.arguments, spoilt))
    assert_close(dirty.outputs, clean.outputs)
    gradients = [recurrent.backward(run, problem.d_outputs, problem.d_states) for run in (clean, dirty)]
    assert_close(gradients[1].inputs, gradients[0].inputs)
    assert_close(gradients[1].kernel, gradients[0].kernel)


def test_multipliers_by_hand():
    """One linear unit of each kind, every weight 1: what each multiplier multiplies."""
    ones = {"inputs": np.ones((1, 2, 1)), "activation": "linear", "recurrent_activation": "linear"}

    def outputs(cell, gates, **multipliers):
        weights = {"kernel": np.ones((1, gates)), "recurrent_kernel": np.ones((1, gates))}
        return recurrent.forward(cell, **ones, **weights, **multipliers).outputs.ravel().tolist()

    def column(*values):
        return np.array(values, float).reshape(-1, 1, 1)

    assert outputs("simple_rnn", 1) == [1, 2]
    assert outputs("simple_rnn", 1, input_dropout=column(3)) == [3, 6]
    assert outputs("simple_rnn", 1, recurrent_dropout=column(3)) == [1, 4]
    assert outputs("simple_rnn", 1, zoneout=(0.5,)) == [0.5, 1.0]
    # i = 2, f = 3, g = 5, o = 7 in the first step, then each plus its multiple of h = 7 * 10.
    lstm = outputs("lstm", 4, input_dropout=column(2, 3, 5, 7), recurrent_dropout=column(0, 1, 0, 0))
    assert lstm == [70, 7 * (2 * 5 + (3 + 70) * 10)]
    # z = 2, r = 3, g = 5: h = -5; then g = 5 + r * (2 * -5), blended with the -5 as it is.
    for cell in ("gru", "gru_reset_before"):
        gru = outputs(cell, 3, input_dropout=column(2, 3, 5), recurrent_dropout=column(0, 0, 2))
        assert gru == [-5, 2 * -5 - (5 + 3 * 2 * -5)]
    # The hidden state is of the new cell state before that is blended with the old one.
    assert outputs("lstm", 4, zoneout=(None, 1.0)) == [1, 8]
    assert outputs("lstm", 4, zoneout=(1.0, None)) == [0, 0]


@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_recurrent_dtype_is_that_of_the_arguments(cell):
    problem = recurrent_problem((6, len(cell)), cell, 2, 3, 2, 3).as_type(np.float32)
    for pair in (("tanh", "sigmoid"), ("relu", "hard_sigmoid"), ("linear", "linear")):
        arguments = {**problem.arguments, "activation": pair[0], "recurrent_activation": pair[1]}
        run = recurrent.forward(**arguments)
        found = recurrent.backward(run, problem.d_outputs, problem.d_states)
        arrays = [run.outputs, *run.states, found.inputs, found.kernel, found.recurrent_kernel, found.bias]
        assert {array.dtype for array in [*arrays, *found.states]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("units", [1, 2, 9, 33])
@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_drawn_weights_differ_per_gate_and_neither_explode_nor_vanish(cell, units):
    kernel, recurrent_kernel, bias = recurrent_weights(np.random.default_rng(units), cell, 3, units)
    blocks = [
        recurrent_kernel[:, start : start + units] for start in range(0, recurrent_kernel.shape[1], units)
    ]
    assert len(blocks) in (recurrent.CELLS[cell].gates, recurrent.CELLS[cell].state_gates)
    radii = [np.abs(np.linalg.eigvals(block)).max() for block in blocks]
    assert all(0.4 <= radius <= 1 + 1e-12 for radius in radii)
    assert len(np.unique(kernel)) == kernel.size
    assert bias.shape == recurrent.bias_shape(cell, units)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivatives(name):
    function, derivative = ACTIVATIONS[name]
    x = np.linspace(-5, 5, 100)
    assert_close(derivative(x), function(x + 1j * STEP).imag / STEP)


def test_sigmoid_far_from_zero_neither_overflows_nor_warns():
    sigmoid = ACTIVATIONS["sigmoid"][0]
    assert sigmoid(np.array([-1e4, -700.0, 700.0, 1e4])).tolist() == [0.0, np.exp(-700.0), 1.0, 1.0]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_gradients(activation, bias):
    random = np.random.default_rng(7)
    x, kernel, b = (random.standard_normal(shape) for shape in [(2, 3, 4), (4, 5), (5,)])
    b = b if bias else None
    outputs, kept = dense.forward(x, kernel, b, activation)
    d_outputs = random.standard_normal(outputs.shape)

    def loss(*arguments):
        return np.sum(d_outputs * dense.forward(*arguments, activation)[0])

    d_x, d_kernel, d_bias = dense.backward(kept, d_outputs)
    assert_close(d_x, complex_step_gradient(lambda v: loss(v, kernel, b), x))
    assert_close(d_kernel, complex_step_gradient(lambda v: loss(x, v, b), kernel))
    if bias:
        assert_close(d_bias, complex_step_gradient(lambda v: loss(x, kernel, v), b))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_gradients(name):
    random = np.random.default_rng(8)
    x, d_output = random.standard_normal((2, 3, 7))
    function, gradient = getattr(softmax, name), getattr(softmax, f"{name}_gradient")
    assert_close(gradient(x, d_output), complex_step_gradient(lambda v: np.sum(d_output * function(v)), x))


@pytest.mark.parametrize(
    "name",
    [
        "mean_squared_error",
        "mean_absolute_error",
        "binary_crossentropy",
        "binary_crossentropy_from_logits",
        "categorical_crossentropy",
        "categorical_crossentropy_from_logits",
    ],
)
def test_loss_gradients(name):
    random = np.random.default_rng(9)
    target, prediction = random.uniform(0.05, 0.95, (2, 4, 5))
    if name.endswith("logits"):
        prediction = 4 * random.standard_normal(prediction.shape)
    elif "crossentropy" in name:
        prediction[0, :2] = [0.0, 1.0]  # both ends of the clip
    d_loss = random.standard_normal(target.shape[0])
    function, gradient = getattr(losses, name), getattr(losses, f"{name}_gradient")
    expected = complex_step_gradient(lambda v: np.sum(d_loss * function(target, v)), prediction)
    assert_close(gradient(target, prediction, d_loss), expected)


def test_one_hot_makes_rows_of_the_identity():
    assert losses.one_hot(np.array([2, 0]), 3, np.float64).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_optimizers_first_steps_by_hand():
    w, g, zero = np.array([2.0]), np.array([-0.5]), np.zeros(1)
    assert optimizers.sgd(w, (), g, 0.1)[0] == pytest.approx(2.05)
    assert optimizers.sgd(w, (zero,), g, 0.1, momentum=0.9, nesterov=True)[0] == pytest.approx(2.095)
    assert optimizers.adam(w, (zero, zero, zero), g, 1, 0.1)[0] == pytest.approx(2.1, abs=1e-6)
    assert optimizers.rmsprop(w, (zero, zero, zero), g, 0.1)[0] == pytest.approx(
        2 + 0.1 / np.sqrt(0.1), abs=1e-5
    )
    assert optimizers.clip_by_value(g, 0.2) == pytest.approx(-0.2)
    assert optimizers.clip_by_norm(np.array([3.0, 4.0]), 1.0) == pytest.approx([0.6, 0.8])
    assert optimizers.clip_by_global_norm([np.array([3.0]), np.array([4.0])], 10.0)[1] == pytest.approx(4.0)
