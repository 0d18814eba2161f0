"""Optimizer steps over a table of segments, clipping and scaling, against the float64 reference."""

from functools import partial

import numpy as np
import pytest
from tests.kernels.cases import DTYPES, ISAS, assert_last_ran_on, same_bits
from tests.reference import optimizers as reference

from timeloom import _core

# Every tail of a vector, and a share boundary of several threads inside a segment.
SHAPES = ((0,), (1,), (3,), (7,), (8,), (9,), (3, 5), (16,), (17,), (3, 11), (1000,), ())
STEPS = 3

each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)

# id: (name of the update, its arguments, slots in use)
RULES = {
    "sgd": ("sgd", {}, 0),
    "sgd-decay": ("sgd", {"weight_decay": 0.1}, 0),
    "sgd-momentum": ("sgd", {"momentum": 0.9}, 1),
    "sgd-nesterov": ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 1),
    "rmsprop": ("rmsprop", {"rho": 0.8}, 1),
    "rmsprop-momentum": ("rmsprop", {"momentum": 0.7, "epsilon": 1e-3}, 2),
    "rmsprop-centered": ("rmsprop", {"centered": True, "epsilon": 1e-2}, 2),
    "rmsprop-all": ("rmsprop", {"momentum": 0.7, "centered": True, "epsilon": 1e-2, "weight_decay": 0.1}, 3),
    "adam": ("adam", {}, 2),
    "adam-betas": ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}, 2),
    "adam-amsgrad": ("adam", {"amsgrad": True}, 3),
}
each_rule = pytest.mark.parametrize("rule", RULES)


def numbers(shape, dtype, seed):
    return np.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def problem(dtype, slots):
    """Parameters, slots (zeros) and gradients of each step."""
    parameters = [numbers(shape, dtype, place) for place, shape in enumerate(SHAPES)]
    kept = [[np.zeros_like(parameter) for _ in range(slots)] for parameter in parameters]
    gradients = [
        [numbers(shape, dtype, 100 * step + place) for place, shape in enumerate(SHAPES)]
        for step in range(1, STEPS + 1)
    ]
    return parameters, kept, gradients


def take_steps(rule, dtype, learning_rate=0.05, **private):
    """STEPS updates by the kernels; returns parameters and slots."""
    name, arguments, slots = RULES[rule]
    parameters, kept, gradients = problem(dtype, slots)
    segments = _core.Segments(parameters, kept)
    for step, gradient in enumerate(gradients, 1):
        numbered = {"step": step} if name == "adam" else {}
        update = getattr(_core, f"{name}_update")
        update(segments, gradient, learning_rate=learning_rate, **arguments, **numbered, **private)
    return parameters, kept


def reference_slots(name, arguments, value):
    """All slots of the reference, and which of them a rule uses, in the kernels' order."""
    zeros = np.zeros_like(value)
    if name == "sgd":
        return (zeros,), [0]
    if name == "rmsprop":
        used = [0] + [1] * bool(arguments.get("momentum")) + [2] * bool(arguments.get("centered"))
        return (zeros,) * 3, used
    return (zeros,) * 3, [0, 1] + [2] * bool(arguments.get("amsgrad"))


def reference_steps(rule, place, dtype, learning_rate=0.05, change=lambda gradient: gradient):
    """The same for one parameter by the reference in float64."""
    name, arguments, count = RULES[rule]
    parameters, _, gradients = problem(dtype, 0)
    value = parameters[place].astype(np.float64)
    slots, used = reference_slots(name, arguments, value)
    for step, gradient in enumerate(gradients, 1):
        numbered = {"step": step} if name == "adam" else {}
        function = partial(getattr(reference, name), **arguments, **numbered)
        value, slots = function(
            value, slots, change(gradient[place].astype(np.float64)), learning_rate=learning_rate
        )
    return value, [slots[slot] for slot in used[:count]]


@each_isa
@each_dtype
@each_rule
def test_steps_match_the_reference(rule, dtype, isa):
    parameters, kept = take_steps(rule, dtype, _isa=isa)
    eps = np.finfo(dtype).eps
    for place in range(len(SHAPES)):
        value, slots = reference_steps(rule, place, dtype)
        np.testing.assert_allclose(parameters[place], value, rtol=16 * eps, atol=16 * eps)
        assert len(slots) == len(kept[place])
        for got, want in zip(kept[place], slots, strict=True):
            np.testing.assert_allclose(got, want, rtol=16 * eps, atol=16 * eps)


@each_isa
@each_dtype
@each_rule
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(rule, dtype, isa, threads):
    one = take_steps(rule, dtype, _isa=isa, _threads=1)
    many = take_steps(rule, dtype, _isa=isa, _threads=threads)
    assert_last_ran_on(threads)
    for parameter, other in zip(one[0], many[0], strict=True):
        assert same_bits(parameter, other)
    for slots, others in zip(one[1], many[1], strict=True):
        assert all(same_bits(slot, other) for slot, other in zip(slots, others, strict=True))


@each_isa
@each_dtype
@each_rule
def test_scaled_and_clipped_gradients_enter_the_step(rule, dtype, isa):
    scales = [1.0 + place / 8 for place in range(len(SHAPES))]
    parameters, _ = take_steps(rule, dtype, gradient_scales=scales, clip_value=0.75, _isa=isa)
    for place, scale in enumerate(scales):
        value, _ = reference_steps(
            rule, place, dtype, change=lambda g, scale=scale: reference.clip_by_value(g * scale, 0.75)
        )
        np.testing.assert_allclose(parameters[place], value, rtol=1e-5, atol=1e-5)


@each_isa
@each_dtype
@each_rule
def test_nan_in_a_gradient_reaches_its_parameter_alone(rule, dtype, isa):
    name, arguments, slots = RULES[rule]
    parameter, gradient = np.ones(20, dtype), np.ones(20, dtype)
    gradient[17] = np.nan
    segments = _core.Segments([parameter], [[np.zeros(20, dtype) for _ in range(slots)]])
    getattr(_core, f"{name}_update")(segments, [gradient], 0.1, **arguments, clip_value=2.0, _isa=isa)
    assert np.isnan(parameter[17])
    assert np.isfinite(np.delete(parameter, 17)).all()


def test_centered_rmsprop_survives_a_constant_gradient():
    """The variance is zero; rounding makes v - a^2 negative, where a root would be NaN."""
    parameter = np.zeros(8, np.float32)
    segments = _core.Segments([parameter], [[np.zeros(8, np.float32), np.zeros(8, np.float32)]])
    gradient = np.linspace(50, 5000, 8).astype(np.float32)
    for _ in range(200):
        _core.rmsprop_update(segments, [gradient], 1e-3, rho=0.5, centered=True)
    assert np.isfinite(parameter).all()


def test_gradients_stay_as_they_are():
    gradient = numbers(33, np.float32, 1)
    before = gradient.copy()
    gradient.flags.writeable = False
    segments = _core.Segments([np.zeros(33, np.float32)], [[]])
    _core.sgd_update(segments, [gradient], 0.1, clip_value=0.01, gradient_scales=[3.0])
    assert same_bits(gradient, before)


def test_segments_keep_their_arrays_alive():
    segments = _core.Segments([np.zeros(100_000)], [[np.zeros(100_000)]])
    assert (len(segments), segments.size, segments.slot_kinds, segments.dtype) == (1, 100_000, 1, "float64")
    for _ in range(3):
        np.ones(100_000)
        _core.sgd_update(segments, [np.ones(100_000)], 0.1, momentum=0.9)


def test_no_parameters_is_a_step_of_nothing():
    segments = _core.Segments([], [])
    _core.sgd_update(segments, [], 0.1)
    _core.adam_update(segments, [], 0.1)
    assert len(segments) == 0


@each_isa
@each_dtype
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_clip_and_scale_work_in_place(dtype, isa, threads):
    arrays = [numbers(shape, dtype, place) for place, shape in enumerate(SHAPES)]
    before = [array.copy() for array in arrays]
    factors = [0.5 + place for place in range(len(arrays))]
    _core.scale(arrays, factors, _isa=isa, _threads=threads)
    for array, old, factor in zip(arrays, before, factors, strict=True):
        assert same_bits(array, np.asarray(old * dtype(factor)))
    arrays[-2][:3] = [np.nan, np.inf, -np.inf]
    before = [array.copy() for array in arrays]
    _core.clip_by_value(arrays, 1.5, _isa=isa, _threads=threads)
    for array, old in zip(arrays, before, strict=True):
        assert same_bits(array, np.asarray(np.clip(old, dtype(-1.5), dtype(1.5))))


W = np.zeros((2, 3), np.float32)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def read_only():
    array = zeros(2, 3)
    array.flags.writeable = False
    return array


SHARED = np.zeros(10, np.float32)


@pytest.mark.parametrize(
    ("parameters", "slots", "error", "message"),
    [
        ([[1.0]], [[]], TypeError, r"parameters\[0\]: expected a NumPy array, got list"),
        ([zeros(2, 3).T], [[]], ValueError, r"parameters\[0\]: expected a C-contiguous array, got strides"),
        ([read_only()], [[]], ValueError, r"parameters\[0\]: expected a writable array, got a read-only one"),
        (
            [zeros(2), zeros(2, dtype=np.float64)],
            [[], []],
            TypeError,
            r"parameters\[1\]: expected dtype float32, got float64",
        ),
        ([W], [], ValueError, "slots: expected 1 lists, one for each parameter, got 0"),
        ([W], [zeros(2)], TypeError, r"slots\[0\]: expected a list of arrays, got numpy.ndarray"),
        ([W], [[zeros(3, 2)]], ValueError, r"slots\[0\]\[0\]: expected shape \(2, 3\), got \(3, 2\)"),
        (
            [W],
            [[zeros(2, 3, dtype=np.float64)]],
            TypeError,
            r"slots\[0\]\[0\]: expected dtype float32, got float64",
        ),
        ([W], [[read_only()]], ValueError, r"slots\[0\]\[0\]: expected a writable array"),
        ([W, zeros(1)], [[zeros(2, 3)], []], ValueError, r"slots\[1\]: expected 1 arrays, got 0"),
        ([W], [[zeros(2, 3)] * 4], ValueError, r"slots\[0\]: expected at most 3 arrays, got 4"),
        ([W, W], [[], []], ValueError, "expected memory of its own, got memory shared with parameters"),
        (
            [SHARED[:6], SHARED[5:]],
            [[], []],
            ValueError,
            r"parameters\[1\]: expected memory of its own, got memory shared with parameters\[0\]",
        ),
        ([W], [[W]], ValueError, "expected memory of its own, got memory shared with"),
    ],
)
def test_a_bad_table_is_refused(parameters, slots, error, message):
    with pytest.raises(error, match=message):
        _core.Segments(parameters, slots)


@pytest.mark.parametrize(
    ("update", "arguments", "error", "message"),
    [
        ("sgd", {"gradients": []}, ValueError, "gradients: expected 1 items, one for each array, got 0"),
        ("sgd", {"gradients": [None]}, TypeError, r"gradients\[0\]: expected a NumPy array, got NoneType"),
        (
            "sgd",
            {"gradients": [zeros(3, 2)]},
            ValueError,
            r"gradients\[0\]: expected shape \(2, 3\), got \(3, 2\)",
        ),
        (
            "sgd",
            {"gradients": [zeros(2, 3, dtype=np.float64)]},
            TypeError,
            r"gradients\[0\]: expected dtype float32, got float64",
        ),
        ("sgd", {"gradient_scales": []}, ValueError, "gradient_scales: expected 1 items"),
        ("sgd", {"clip_value": -1.0}, ValueError, "clip_value: expected a number of at least 0, got -1"),
        ("rmsprop", {"rho": 1.0}, ValueError, r"rho: expected a number in \[0, 1\), got 1"),
        (
            "rmsprop",
            {"momentum": 0.5, "centered": True},
            ValueError,
            r"segments: expected 3 slots a parameter \(velocity, then .*\), got 2",
        ),
        (
            "adam",
            {"amsgrad": True},
            ValueError,
            r"segments: expected 3 slots a parameter \(first .*\), got 2",
        ),
        ("adam", {"step": 0}, ValueError, "step: expected a positive integer, got 0"),
        ("adam", {"beta_1": 1.0}, ValueError, r"beta_1: expected a number in \[0, 1\)"),
        ("adam", {"beta_2": -0.1}, ValueError, r"beta_2: expected a number in \[0, 1\)"),
        ("adam", {"_isa": "sse9"}, ValueError, "_isa: expected"),
        ("adam", {"_threads": -2}, ValueError, "_threads: expected"),
    ],
)
def test_a_refused_step_leaves_everything_as_it_was(update, arguments, error, message):
    parameter, slots = np.ones((2, 3), np.float32), [np.ones((2, 3), np.float32) for _ in range(2)]
    segments = _core.Segments([parameter], [slots])
    arguments = {"gradients": [np.ones((2, 3), np.float32)], "learning_rate": 0.1} | arguments
    with pytest.raises(error, match=message):
        getattr(_core, f"{update}_update")(segments, **arguments)
    for array in (parameter, *slots):
        assert np.array_equal(array, np.ones((2, 3)))


def test_a_sequence_that_shrinks_while_it_is_read_is_refused():
    class Shrinking:
        length = 3

        def __len__(self):
            self.length = max(self.length - 1, 1)
            return self.length

        def __getitem__(self, position):
            return [np.ones(3, np.float32)][position]

    parameters = [np.ones(3, np.float32), np.ones(3, np.float32)]
    segments = _core.Segments(parameters, [[], []])
    with pytest.raises(ValueError, match="gradients: expected 2 items"):
        _core.sgd_update(segments, Shrinking(), 0.1)
    assert all((parameter == 1).all() for parameter in parameters)


def test_scale_refuses_before_it_writes():
    a, b = np.ones(3, np.float32), np.ones(3, np.float32)
    b.flags.writeable = False
    with pytest.raises(ValueError, match=r"gradients\[1\]: expected a writable array"):
        _core.scale([a, b], [2.0, 2.0])
    with pytest.raises(ValueError, match="factors: expected 2 items"):
        _core.scale([a, a], [2.0])
    with pytest.raises(ValueError, match="expected memory of its own"):
        _core.scale([a, a], [2.0, 2.0])
    with pytest.raises(ValueError, match="clip_value: expected a number of at least 0, got nan"):
        _core.clip_by_value([a], float("nan"))
    assert np.array_equal(a, np.ones(3))
