"""Recurrent layers in combinations of their options that chance draws, against the reference.

Outputs, final states and every gradient; the multipliers of dropout and zoneout are those the layer was seen
to hand to the kernels.
"""

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from tests.properties.expected_layers import Direction, merge, merge_backward
from tests.properties.layer_options import drawn_options, layer_of
from tests.properties.watched import seen_multipliers, watched_calls
from tests.reference import recurrent
from tests.reference.problems import drawn_lengths, drawn_mask

from timeloom import GradientTape, layers, ops
from timeloom.autograd import value
from timeloom.packed import Packed

TOLERANCE = 1e-10  # of the largest element; up to three cells follow each other


def directions(options, weights, multipliers, states, mask, lengths):
    """The one or two directions of the layer."""
    ways = [options.go_backwards] if options.merge_mode is None else [False, True]
    halves = len(ways)

    def part(values, place):
        size = len(values) // halves
        return values[place * size : (place + 1) * size]

    return [
        Direction(
            options.cell,
            part(weights, place),
            part(multipliers, place),
            None if states is None else part(states, place),
            activation=options.activation,
            recurrent_activation=options.recurrent_activation,
            go_backwards=go_backwards,
            return_sequences=options.return_sequences,
            keep_time_order=options.merge_mode is not None,
            # Keras sets it in both directions, whatever the layer said.
            zero_output_for_mask=(
                options.return_sequences if options.merge_mode else options.zero_output_for_mask
            ),
            mask=mask,
            lengths=lengths,
        )
        for place, go_backwards in enumerate(ways)
    ]


def assert_close(actual, expected, what):
    assert actual.shape == expected.shape, what
    error, largest = np.abs(actual - expected).max(initial=0), np.abs(expected).max(initial=0)
    assert error <= TOLERANCE * max(largest, 1e-3), f"{what}: error {error:.3g}, largest {largest:.3g}"


def check_call(options, layer, random, carried):
    """One call of the layer under a tape against the reference; returns the final states."""
    mask = lengths = None
    inputs = random.standard_normal((options.batch, options.timesteps, options.features))
    if options.is_packed:
        lengths = drawn_lengths(random, options.batch, options.timesteps)
        inputs = inputs[recurrent.mask_of_lengths(lengths, options.timesteps)]
    elif options.arrangement != "dense":
        mask = drawn_mask(random, options.arrangement, options.batch, options.timesteps)
    halves = 1 if options.merge_mode is None else 2
    count = halves * options.stacked * recurrent.CELLS[options.cell].states
    given = [random.standard_normal((options.batch, options.units)) for _ in range(count)]
    states = given if options.initial_state else carried
    with watched_calls() as calls, GradientTape() as tape:
        x = tape.watch(inputs)
        watched = [tape.watch(state) for state in given]
        outputs, *finals = layer(
            x if lengths is None else Packed(x, lengths),
            training=options.training,
            **({"initial_state": watched} if options.initial_state else {}),
            **({} if mask is None else {"mask": mask}),
        )
        outputs = outputs.values if isinstance(outputs, Packed) else outputs
        finals = [leaf for final in finals for leaf in (final if isinstance(final, list) else [final])]
        upstream = [random.standard_normal(part.shape) for part in (outputs, *finals)]
        total = sum(ops.sum(part * d) for part, d in zip((outputs, *finals), upstream, strict=True))
    sources = [x, *layer.trainable_weights, *(watched if options.initial_state else ())]
    gradients = tape.gradient(total, sources)

    seen = [seen_multipliers(options, call, lengths) for call in calls]
    ways = directions(options, layer.get_weights(), seen, states, mask, lengths)
    results = [way.forward(inputs) for way in ways]
    d_outputs = [upstream[0]]
    expected = results[0][0]
    if options.merge_mode:
        both = [result[0] for result in results]
        expected, d_outputs = (
            merge(options.merge_mode, *both),
            merge_backward(options.merge_mode, *both, upstream[0]),
        )
    expected_finals = [state for result in results for state in result[1]]
    each = len(upstream[1:]) // halves
    found = [
        way.backward(d, upstream[1 + place * each : 1 + (place + 1) * each])
        for place, (way, d) in enumerate(zip(ways, d_outputs, strict=True))
    ]
    d_expected = [sum(part[0] for part in found)]
    d_expected += [d for part in found for d in part[1]]
    d_expected += [d for part in found for d in part[2]] if options.initial_state else []
    assume(all(np.abs(array).max(initial=0) < 1e4 for array in (expected, *expected_finals, *d_expected)))

    assert_close(value(outputs), expected, "outputs")
    for place, (final, state) in enumerate(zip(finals, expected_finals, strict=True)):
        assert_close(value(final), state, f"state {place}")
    for place, (gradient, d) in enumerate(zip(gradients, d_expected, strict=True)):
        assert_close(gradient, d, f"gradient {place}")
    return expected_finals


@given(options=drawn_options())
@settings(max_examples=400, derandomize=True, deadline=None, database=None)
def test_any_combination_of_options(options):
    random = np.random.default_rng((options.seed, 3))
    layer = layer_of(options, layers)
    layer.build((options.batch, None, options.features))
    scale = 0.7 / np.sqrt(options.units)
    layer.set_weights([scale * random.standard_normal(w.shape) for w in layer.get_weights()])
    carried: Any = None
    for _ in range(options.calls):
        finals = check_call(options, layer, random, carried)
        carried = finals if options.stateful else None
    if options.stateful:
        layer.reset_states()
        check_call(options, layer, random, None)
