"""The operations on outlines: each allocates, holds and drops what its namesake in timeloom.ops does.

What changes there changes here; tests/memory compares the two.
"""

import math
from collections.abc import Sequence
from typing import Any

from timeloom import _core
from timeloom.memory.ledger import Outline
from timeloom.memory.tape import OutlineTape, Traced

__all__ = [
    "activation",
    "binary",
    "concatenate",
    "dense",
    "dropout",
    "embedding",
    "loss",
    "recurrent",
    "repeat",
    "scaled",
    "view",
]

Needs = Sequence[bool]
_DTYPES = {4: "float32", 8: "float64"}


class Strided(Outline):
    """A view that is not contiguous: the kernels take a copy of it."""

    __slots__ = ()


def contiguous(given: Any) -> Any:
    """As timeloom.ops.checks.contiguous."""
    return given.like() if isinstance(given, Strided) else given


def _matmul(a: Outline, rows: int, depth: int, columns: int) -> Outline:
    """A product [rows, columns] of sums over `depth`."""
    output = a.ledger.array((rows, columns), a.itemsize)
    a.ledger.blocks(_core.matmul_memory(rows, depth, columns, _DTYPES[a.itemsize]))
    return output


def _matmul_outer(a: Outline, rows: int, depth: int, columns: int) -> Outline:
    """The gradient of a kernel [rows, columns], summed over `depth` rows."""
    output = a.ledger.array((rows, columns), a.itemsize, "gradients")
    a.ledger.blocks(_core.matmul_memory(rows, depth, columns, _DTYPES[a.itemsize], transpose_a=True))
    return output


def view(tape: OutlineTape, x: Traced, shape: Sequence[int]) -> Traced:
    """The same elements in another shape."""
    old = x.shape
    return tape.record([x.outline.view(shape)], [x], lambda _needs, g: (g.view(old),))[0]


def repeat(tape: OutlineTape, x: Traced, count: int) -> Traced:
    """Rows [batch, features], each `count` times: [batch, count, features]."""
    old = x.shape
    output = x.outline.ledger.array((old[0], count, old[1]), x.outline.itemsize)
    return tape.record([output], [x], lambda _needs, g: (g.ledger.array(old, g.itemsize),))[0]


def dense(tape: OutlineTape, x: Traced, kernel: Traced, bias: Traced | None, activated: bool) -> Traced:
    """As ops.dense; activated: whether the kernels apply an activation to the product."""
    features, units = kernel.shape
    rows = math.prod(x.shape[:-1])
    inputs = x.outline
    output = _matmul(inputs, rows, features, units)
    if activated:
        output = output.like()

    def backward(needs: Needs, g: Outline) -> tuple[Any, ...]:
        d = g.like() if activated else g
        return (
            _matmul(d, rows, units, features).view(inputs.shape) if needs[0] else None,
            _matmul_outer(d, features, rows, units) if needs[1] else None,
            d.ledger.array((units,), d.itemsize, "gradients") if needs[2] else None,
        )

    outputs = output.view((*x.shape[:-1], units))
    return tape.record([outputs], [x, kernel, bias], backward, (inputs, output if activated else None))[0]


def activation(tape: OutlineTape, x: Traced, keeps_input: bool) -> Traced:
    """As ops.activation and ops.softmax; keeps_input: whether the derivative is computed from the input."""
    output = x.outline.like()
    kept = x.outline if keeps_input else output
    return tape.record([output], [x], lambda _needs, g: (g.like(),), kept)[0]


def binary(tape: OutlineTape, a: Traced, b: Traced, product: bool) -> Traced:
    """A sum or a product of two arrays of one shape."""

    def backward(needs: Needs, g: Outline) -> tuple[Any, ...]:
        return tuple((g.like() if product else g) if need else None for need in needs)

    return tape.record([a.outline.like()], [a, b], backward, (a.outline, b.outline) if product else ())[0]


def scaled(tape: OutlineTape, x: Traced, factors: Any = None) -> Traced:
    """A product with something that no gradient flows to."""
    return tape.record([x.outline.like()], [x], lambda _needs, g: (g.like(),), factors)[0]


def concatenate(tape: OutlineTape, parts: Sequence[Traced]) -> Traced:
    """As ops.concatenate along the last axis; the gradients are views."""
    widths = [part.shape[-1] for part in parts]
    rows = parts[0].shape[:-1]
    first = parts[0].outline
    output = first.ledger.array((*rows, sum(widths)), first.itemsize)

    def backward(_needs: Needs, g: Outline) -> list[Outline]:
        return [Strided((*rows, width), g.itemsize, g.ledger, None, g) for width in widths]

    return tape.record([output], parts, backward)[0]


def dropout(tape: OutlineTape, x: Traced, noise_shape: Sequence[int] | None = None) -> Traced:
    """As ops.dropout with a rate between 0 and 1: without a noise_shape backward makes the mask again."""
    mask = None if noise_shape is None else x.outline.ledger.array(noise_shape, x.outline.itemsize, "kept")
    return tape.record([x.outline.like()], [x], lambda _needs, g: (g.like(),), mask)[0]


def drawn(like: Outline, shape: Sequence[int]) -> Outline:
    """The random factors of dropout: numbers, which of them count, factors."""
    random = like.ledger.array(shape, 4, "workspace")
    counts = random.like("workspace", itemsize=1)
    del random
    return counts.like("kept", itemsize=like.itemsize)


def embedding(tape: OutlineTape, indices: Traced, table: Traced) -> Traced:
    """As ops.embedding."""
    ledger = indices.outline.ledger
    rows, features = table.shape
    itemsize = table.outline.itemsize
    output = ledger.array((*indices.shape, features), itemsize)

    def backward(_needs: Needs, g: Outline) -> tuple[Outline]:
        return (ledger.array((rows, features), g.itemsize, "gradients"),)

    return tape.record([output], [table], backward, indices.outline)[0]


def loss(tape: OutlineTape, outputs: Traced, targets: Outline | None) -> Traced:
    """As ops.losses.batch_loss: a number, and a gradient of the outputs."""
    number = outputs.outline.ledger.array((), outputs.outline.itemsize)
    return tape.record([number], [outputs], lambda _needs, _g: (outputs.outline.like(),), targets)[0]


def recurrent(
    tape: OutlineTape,
    cell: str,
    x: Traced,
    weights: Sequence[Traced | None],
    states: Sequence[Traced],
    activation_name: str,
    return_sequences: bool,
    *,
    input_dropout: Outline | None = None,
    recurrent_dropout: Outline | None = None,
    zoneout: Sequence[Any] | None = None,
) -> tuple[Traced, list[Traced]]:
    """As ops.recurrent on a batch without a mask.

    Args:
        tape: Records it.
        cell: Its name in the kernels.
        x: Shape [batch, timesteps, features].
        weights: Kernel, recurrent kernel, bias or None.
        states: Initial states; none: zeros.
        activation_name: Of the cell.
        return_sequences: Whether the outputs of every timestep are returned.
        input_dropout: Factors of the inputs of each gate. Default None.
        recurrent_dropout: Factors of the state. Default None.
        zoneout: For each state factors or a rate. Default None: no zoneout.
    """
    given = x.outline
    ledger, itemsize = given.ledger, given.itemsize
    batch, timesteps, features = x.shape
    assert weights[1] is not None
    units = weights[1].shape[0]
    inputs = [x, *weights, *states]
    count = _core.rnn_cells()[cell]["states"]
    outputs = ledger.array((batch, timesteps, units) if return_sequences else (batch, units), itemsize)
    finals = [ledger.array((batch, units), itemsize) for _ in range(count)]
    forward_parts, backward_parts = _core.rnn_memory(
        cell,
        _DTYPES[itemsize],
        batch,
        timesteps,
        features,
        units,
        activation_name,
        return_sequences,
        tape.is_recorded(*inputs),
        initial=bool(states),
        zoned=zoneout is not None,
        input_dropout=input_dropout is not None,
        recurrent_dropout=recurrent_dropout is not None,
    )
    packed = id(weights[1].outline)  # weights of layers stay packed until they change
    cache = ledger.blocks(forward_parts, packed)

    def backward(needs: Needs, d_outputs: Outline | None, *_d_finals: Any) -> list[Any]:
        d_outputs = contiguous(d_outputs)
        d_weights = [None if one is None else one.outline.like("gradients") for one in weights]
        d_inputs = given.like() if needs[0] else None
        d_states = [ledger.array((batch, units), itemsize) for _ in range(count)]
        ledger.blocks(backward_parts, packed)
        return [d_inputs, *d_weights, *d_states[: len(states)]]

    holds = (
        cache,
        given,
        outputs,
        [one.outline for one in states],
        input_dropout,
        recurrent_dropout,
        zoneout,
    )
    results = tape.record([outputs, *finals], inputs, backward, holds)
    return results[0], results[1:]
