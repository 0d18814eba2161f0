"""The operations on outlines: each allocates, holds and drops what its namesake in timeloom.ops does.

What changes there changes here; tests/memory compares the two.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from timeloom import _core
from timeloom.memory.ledger import Blocks, Outline
from timeloom.memory.tape import OutlineTape, Traced

__all__ = [
    "Recurrence",
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


@dataclasses.dataclass
class Recurrence:
    """One call of ops.recurrent on a batch without a mask.

    Args:
        layer: Whose it is.
        cell: Its name in the kernels.
        x: Shape [batch, timesteps, features].
        weights: Kernel, recurrent kernel, bias or None.
        states: Initial states; none: zeros.
        activation: Its name in the kernels.
        return_sequences: Whether the outputs of every timestep are returned.
        input_dropout: Factors of the inputs of each gate. Default None.
        recurrent_dropout: Factors of the state. Default None.
        zoneout: For each state factors or a rate. Default None: no zoneout.
    """

    layer: str
    cell: str
    x: Traced
    weights: Sequence[Traced | None]
    states: Sequence[Traced]
    activation: str
    return_sequences: bool
    input_dropout: Outline | None = None
    recurrent_dropout: Outline | None = None
    zoneout: Sequence[Any] | None = None

    @property
    def inputs(self) -> list[Traced | None]:
        """The operands."""
        return [self.x, *self.weights, *self.states]

    @property
    def packed(self) -> int:
        """Whose packed form it reads: weights of layers stay packed until they change."""
        assert self.weights[1] is not None
        return id(self.weights[1].outline)

    def results(self) -> list[Outline]:
        """The outputs and the final states."""
        ledger, itemsize = self.x.outline.ledger, self.x.outline.itemsize
        ledger.layer = self.layer
        batch, timesteps, _ = self.x.shape
        state = (batch, self._units)
        shape = (batch, timesteps, self._units) if self.return_sequences else state
        return [ledger.array(shape, itemsize), *self._of_states()]

    def gradients(self, need_inputs: bool) -> list[Outline | None]:
        """Those of the operands."""
        ledger = self.x.outline.ledger
        ledger.layer = self.layer
        d_weights = [None if one is None else one.outline.like("gradients") for one in self.weights]
        d_inputs = self.x.outline.like() if need_inputs else None
        return [d_inputs, *d_weights, *self._of_states()[: len(self.states)]]

    def parts(self, keep: bool, backward: bool, alone: bool) -> list[tuple[str, int, bool]]:
        """What the kernels take from the pool; `alone`: on a thread beside another call."""
        parts: Any = _core.rnn_memory(
            *self.sizes,
            self.activation,
            self.return_sequences,
            keep,
            initial=bool(self.states),
            zoned=self.zoneout is not None,
            input_dropout=self.input_dropout is not None,
            recurrent_dropout=self.recurrent_dropout is not None,
            alone=alone,
        )[backward]
        return list(parts)

    @property
    def _units(self) -> int:
        assert self.weights[1] is not None
        return self.weights[1].shape[0]

    @property
    def sizes(self) -> tuple[str, str, int, int, int, int]:
        """Cell, dtype, batch, timesteps, features and units."""
        return (self.cell, _DTYPES[self.x.outline.itemsize], *self.x.shape, self._units)  # type: ignore[return-value]

    def _of_states(self) -> list[Outline]:
        given = self.x.outline
        count = _core.rnn_cells()[self.cell]["states"]
        return [given.ledger.array((self.x.shape[0], self._units), given.itemsize) for _ in range(count)]


def recurrent(tape: OutlineTape, *calls: Recurrence) -> list[Traced]:
    """The outputs of one call, as ops.recurrent, or of two, as ops.recurrent_pair."""
    ledger, layer = tape.ledger, tape.ledger.layer
    results = [call.results() for call in calls]
    keep = tape.is_recorded(*(one for call in calls for one in call.inputs))
    caches = _run_recurrent(calls, keep, backward=False)
    ledger.layer = layer
    inputs = [one for call in calls for one in call.inputs]
    sizes = [len(call.inputs) for call in calls]
    ends = list(itertools.accumulate(sizes))
    outputs = [one for result in results for one in result]
    places = [0, len(results[0])][: len(calls)]
    holds = caches, calls, [result[0] for result in results]

    def backward(needs: Needs, *gradients: Any) -> list[Any]:
        found: list[Any] = []
        run, held = [], []
        for call, size, end, place in zip(calls, sizes, ends, places, strict=True):
            wanted = needs[end - size : end]
            if not any(wanted):
                found += [None] * size
                continue
            run.append(call)
            held.append(contiguous(gradients[place]))
            found += call.gradients(wanted[0])
        _run_recurrent(run, keep, backward=True)
        return found

    recorded = tape.record(outputs, inputs, backward, holds)
    return [recorded[place] for place in places]


def _run_recurrent(calls: Sequence[Recurrence], keep: bool, backward: bool) -> list[Blocks]:
    """What the kernels take for these calls; what forward keeps for backward."""
    beside = len(calls) > 1 and _core.rnn_side_by_side(calls[0].sizes, calls[1].sizes, backward)
    kept, held = [], []
    for call in calls:
        ledger = call.x.outline.ledger
        ledger.layer = call.layer
        blocks = ledger.blocks(call.parts(keep, backward, beside), call.packed)
        kept.append(blocks[0])
        if beside:
            held.append(blocks)
        del blocks
    return kept
