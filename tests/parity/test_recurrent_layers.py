"""Recurrent layers beside Keras 3 in combinations of their options: outputs, states and every gradient."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from tests.parity.keras_peer import (
    cells_of,
    drop_the_same,
    flat,
    keras_layer,
    needs_keras,
    numbers,
    tensor,
    torch,
)
from tests.properties.layer_options import drawn_options, layer_of
from tests.properties.watched import seen_multipliers, watched_calls
from tests.reference.problems import drawn_mask

from timeloom import GradientTape, layers, ops
from timeloom.autograd import value

pytestmark = needs_keras
TOLERANCE = 1e-10  # of the largest element: both compute in float64
HARD_TOLERANCE = 1e-7  # torch's derivative of hard_sigmoid is the sixth of a float32


def assert_close(actual, expected, tolerance, what):
    assert actual.shape == expected.shape, what
    error, largest = np.abs(actual - expected).max(initial=0), np.abs(expected).max(initial=0)
    assert error <= tolerance * max(largest, 1e-3), f"{what}: error {error:.3g}, largest {largest:.3g}"


def comparable(options):
    """The nearest options that Keras has and that do not end in one of its faults."""
    options = replace(options, zoneout=0.0)
    if options.is_packed:
        options = replace(options, arrangement="right")
    if options.merge_mode and options.stateful:  # Keras 3.15 raises in Bidirectional.compute_mask
        options = replace(options, stateful=False, calls=1)
    # Keras 3.15 on torch raises for one mask a gate without recurrent_dropout in training.
    return options if options.recurrent_dropout else replace(options, implementation=2)


def ours(layer, inputs, states, mask, options, upstream):
    """Outputs and states, gradients of inputs, weights and states, and the multipliers drawn."""
    with watched_calls() as calls, GradientTape() as tape:
        x, watched = tape.watch(inputs), [tape.watch(state) for state in states or ()]
        results = flat(layer(x, initial_state=watched or None, mask=mask, training=options.training))
        total = sum(ops.sum(part * d) for part, d in zip(results, upstream, strict=True))
    gradients = tape.gradient(total, [x, *layer.trainable_weights, *watched])
    seen = [seen_multipliers(options, call, None) for call in calls]
    return [value(part) for part in results], gradients, seen


def theirs(layer, inputs, states, mask, options, upstream):
    """The same by Keras, without gradients of a stateful layer.

    Keras 3.15 writes its new states over those that torch still needs for a gradient, which torch refuses.
    """
    x, given = tensor(inputs, True), [tensor(state, True) for state in states or ()]
    for weight in layer.trainable_weights:
        weight.value.grad = None
    nested = given or None
    if given and options.stacked > 1 and options.merge_mode is None:
        each = len(given) // options.stacked
        nested = [given[start : start + each] for start in range(0, len(given), each)]
    elif given and options.stacked > 1:
        each = len(given) // options.stacked // 2
        nested = [given[start : start + each] for start in range(0, len(given), each)]
    keywords = {} if mask is None else {"mask": tensor(mask)}
    if options.stateful:
        with torch.no_grad():
            results = flat(layer(x, initial_state=nested, training=options.training, **keywords))
        return list(map(numbers, results)), None
    results = flat(layer(x, initial_state=nested, training=options.training, **keywords))
    total = sum((part * tensor(d)).sum() for part, d in zip(results, upstream, strict=True))
    total.backward()
    sources = [x, *(weight.value for weight in layer.trainable_weights), *given]
    gradients = [
        np.zeros(source.shape) if source.grad is None else source.grad.numpy().copy() for source in sources
    ]
    return list(map(numbers, results)), gradients


@given(options=drawn_options())
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_any_combination_of_options(options):
    options = comparable(options)
    random = np.random.default_rng((options.seed, 5))
    shape = (options.batch, options.timesteps, options.features)
    layer = layer_of(options, layers)
    layer.build(shape)
    scale = 0.7 / np.sqrt(options.units)
    layer.set_weights([scale * random.standard_normal(w.shape) for w in layer.get_weights()])
    peer = keras_layer(options, shape, layer.get_weights())
    names = (options.activation, options.recurrent_activation)
    tolerance = HARD_TOLERANCE if "hard_sigmoid" in names else TOLERANCE
    states_of_one = 2 if options.cell == "lstm" else 1
    count = states_of_one * len(cells_of(peer))
    for _ in range(options.calls):
        inputs = random.standard_normal(shape)
        mask = None
        if options.arrangement != "dense":
            mask = drawn_mask(random, options.arrangement, *shape[:2])
        states = None
        if options.initial_state:
            states = [random.standard_normal((options.batch, options.units)) for _ in range(count)]
        shapes = flat_shapes(layer, shape)
        upstream = [random.standard_normal(one) for one in shapes]
        results, gradients, seen = ours(layer, inputs, states, mask, options, upstream)
        drop_the_same(peer, seen)
        expected, d_expected = theirs(peer, inputs, states, mask, options, upstream)
        d_expected = gradients if d_expected is None else d_expected
        assume(all(np.abs(array).max(initial=0) < 1e4 for array in (*expected, *d_expected)))
        for place, (actual, wanted) in enumerate(zip(results, expected, strict=True)):
            assert_close(actual, wanted, tolerance, f"result {place}")
        for place, (actual, wanted) in enumerate(zip(gradients, d_expected, strict=True)):
            assert_close(actual, wanted, tolerance, f"gradient {place}")


def flat_shapes(layer, shape):
    """The shapes of the outputs and of the final states."""

    def leaves(nested):
        if isinstance(nested, (list, tuple)) and not all(isinstance(size, int) for size in nested):
            return [leaf for part in nested for leaf in leaves(part)]
        return [tuple(nested)]

    return leaves(layer.compute_output_shape(shape))
