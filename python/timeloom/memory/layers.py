"""What each layer does, in operations on outlines. A layer that is not here cannot be estimated."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from timeloom import activations, layers, ops
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.states import flatten, state_sizes
from timeloom.memory import operations
from timeloom.memory.ledger import Outline
from timeloom.memory.tape import OutlineTape, Traced
from timeloom.models.sequential import Sequential
from timeloom.variables import Variable

__all__ = ["Run"]


@dataclasses.dataclass
class Run:
    """One forward pass over layers.

    Args:
        tape: Records it.
        weights: Every weight of the model, by id of its Variable.
        training: Whether dropout and zoneout draw.
    """

    tape: OutlineTape
    weights: dict[int, Traced]
    training: bool

    def layer(self, layer: Any, x: Traced, prefix: str = "") -> Traced:
        """Runs a layer.

        Raises:
            ValueError: If it is a layer whose memory is not known.
        """
        handler = self.handler(layer)
        if handler is _sequential:
            return handler(self, layer, x, prefix)
        name = f"{prefix}{layer.name}"
        self.tape.ledger.layer = name
        return handler(self, layer, x, f"{name}/")

    def handler(self, layer: Any) -> "Handler":
        """Finds what runs a layer.

        Raises:
            ValueError: If it is a layer whose memory is not known.
        """
        definer = next((kind for kind in type(layer).__mro__ if "call" in vars(kind)), None)
        handler = _HANDLERS.get(definer)  # type: ignore[arg-type]
        if handler is None:
            known = ", ".join(kind.__name__ for kind in _HANDLERS)
            raise ValueError(
                f"model: expected layers that memory_estimate knows ({known} and what is made of them), "
                f"got {layer.name!r} ({type(layer).__name__})"
            )
        if layer.activity_regularizer is not None:
            raise ValueError(
                f"model: expected layers without activity_regularizer, got {layer.name!r} with one: "
                "memory_estimate does not know what it keeps"
            )
        return handler

    def weight(self, variable: Variable | None) -> Traced | None:
        """A weight of the model; None for None."""
        return None if variable is None else self.weights[id(variable)]

    def activate(self, function: Callable[..., Any], x: Traced) -> Traced:
        """Applies an activation by what `layers` hold of it.

        Raises:
            ValueError: If it is a function of the user's.
        """
        if function is activations.linear:
            return x
        if function in (activations.softmax, activations.log_softmax):
            return operations.activation(self.tape, x, keeps_input=False)
        if activations.is_fused(function):
            name = activations.fused_name("activation", function)
            return operations.activation(self.tape, x, ops.activations.KERNEL_ACTIVATIONS[name])
        raise ValueError(
            "model: expected activations of timeloom.activations, got "
            f"{getattr(function, '__name__', repr(function))}: memory_estimate does not know what it keeps"
        )


def _sequential(run: Run, model: Any, x: Traced, prefix: str) -> Traced:
    for layer in model.layers:
        x = run.layer(layer, x, prefix)
    return x


def _dense(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    name = layer._fused
    kernel = run.weight(layer.kernel)
    assert kernel is not None
    # Those whose derivative needs the input are an operation of their own.
    own = name is not None and name != "linear" and ops.activations.KERNEL_ACTIVATIONS[name]
    activated = name not in (None, "linear") and not own
    outputs = operations.dense(run.tape, x, kernel, run.weight(layer.bias), activated)
    if own:
        return operations.activation(run.tape, outputs, keeps_input=True)
    return outputs if layer._after is None else run.activate(layer._after, outputs)


def _activation(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    return run.activate(layer.activation, x)


def _dropout(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    if not run.training or layer.rate == 0.0:
        return x
    shape = layer.noise_shape
    if shape is not None:
        shape = [size if given is None else given for given, size in zip(shape, x.shape, strict=True)]
        shape = None if tuple(shape) == x.shape else shape
    return operations.dropout(run.tape, x, shape)


def _flatten(run: Run, _layer: Any, x: Traced, _prefix: str) -> Traced:
    return operations.view(run.tape, x, (x.shape[0], math.prod(x.shape[1:])))


def _repeat_vector(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    return operations.repeat(run.tape, x, layer.n)


def _embedding(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    table = run.weight(layer.embeddings)
    assert table is not None
    return operations.embedding(run.tape, x, table)


def _masking(_run: Run, _layer: Any, x: Traced, _prefix: str) -> Traced:
    # Which element is the mask value, before the mask itself.
    found = x.outline.like("workspace", itemsize=1)
    del found
    return x


def _time_distributed(run: Run, layer: Any, x: Traced, prefix: str) -> Traced:
    batch, timesteps = x.shape[:2]
    outputs = run.layer(layer.layer, operations.view(run.tape, x, (batch * timesteps, *x.shape[2:])), prefix)
    return operations.view(run.tape, outputs, (batch, timesteps, *outputs.shape[1:]))


def _bidirectional(run: Run, layer: Any, x: Traced, prefix: str) -> Traced:
    if layer.merge_mode is None:
        raise ValueError(f"merge_mode: expected one output of {layer.name!r}, got merge_mode=None")
    both = layer.forward_layer, layer.backward_layer
    if all(run.handler(one) is _rnn and isinstance(one.cell, RecurrentCell) for one in both):
        calls = []
        for one in both:
            run.tape.ledger.layer = f"{prefix}{one.name}"
            (walk,) = _walks(run, one, x.shape[0], x.outline.itemsize)
            calls.append(_operation(run, x, *walk))
        first, second = operations.recurrent(run.tape, *calls)
    else:
        first, second = (run.layer(one, x, prefix) for one in both)
    run.tape.ledger.layer = prefix.removesuffix("/")
    if layer.merge_mode == "concat":
        return operations.concatenate(run.tape, [first, second])
    joined = operations.binary(run.tape, first, second, product=layer.merge_mode == "mul")
    if layer.merge_mode == "ave":
        # Half of the sum: a product that keeps the number alone.
        return operations.scaled(run.tape, joined)
    return joined


def _rnn(run: Run, layer: Any, x: Traced, _prefix: str) -> Traced:
    for walk in _walks(run, layer, x.shape[0], x.outline.itemsize):
        (x,) = operations.recurrent(run.tape, _operation(run, x, *walk))
    return x


def _walks(run: Run, layer: Any, batch: int, itemsize: int) -> list[tuple[RecurrentCell, list[Traced], bool]]:
    """What a layer does one after the other: each cell, its states, whether all its outputs are wanted."""
    if layer.return_state:
        raise ValueError(f"return_state: expected one output of {layer.name!r}, got return_state=True")
    cells = _cells(layer.cell)
    states: list[Any] = [[]] * len(cells)
    if layer.stateful:
        states = [
            [Traced(run.tape.ledger.array((batch, size), itemsize, "kept")) for size in flatten(sizes)]
            for sizes in (state_sizes(layer.cell) if len(cells) > 1 else [layer.state_size])
        ]
    sequences = [*[True] * (len(cells) - 1), layer.return_sequences]
    return list(zip(cells, states, sequences, strict=True))


def _cells(cell: Any) -> list[RecurrentCell]:
    """The cells of the kernels that a cell is made of, from the first to the last.

    Raises:
        ValueError: If one is of the user's.
    """
    found: list[RecurrentCell] = []
    for one in getattr(cell, "cells", [cell]):
        if hasattr(one, "cells"):
            found += _cells(one)
        elif isinstance(one, RecurrentCell) and one.walks:
            found.append(one)
        else:
            raise ValueError(
                "model: expected cells of timeloom's kernels, got "
                f"{getattr(one, 'name', one)!r} ({type(one).__name__}), which runs step by step"
            )
    return found


def _operation(
    run: Run, x: Traced, cell: RecurrentCell, states: list[Traced], sequences: bool
) -> operations.Recurrence:
    """As RecurrentCell.operation: what it draws, and the call of the kernels."""
    tape, batch = run.tape, x.shape[0]
    like = x.outline
    gates, state_gates = cell._facts["input_gates"], cell._facts["state_gates"]
    inputs = recurrent = zoneout = None
    if run.training and cell.dropout:
        per_gate = cell.implementation == 1 and gates > 1
        factors = operations.drawn(like, (*([gates] if per_gate else []), batch, x.shape[2]))
        if per_gate:
            inputs = factors
        else:
            x = operations.scaled(tape, x, factors)
    if run.training and cell.recurrent_dropout and state_gates:
        recurrent = operations.drawn(like, (state_gates, batch, cell.units))
    if any(cell._zoneout_rates):
        shape = (*x.shape[:2], cell.units)
        zoneout = [
            operations.drawn(like, shape) if rate and run.training else rate for rate in cell._zoneout_rates
        ]
    kernel = cell.recurrent_kernel
    weights = [
        run.weight(cell.kernel),
        run.weight(kernel) if isinstance(kernel, Variable) else _nothing(run, cell),
        run.weight(cell.bias),
    ]
    return operations.Recurrence(
        tape.ledger.layer,
        cell.kernels,
        x,
        weights,
        states,
        cell._fused["activation"],
        sequences,
        input_dropout=inputs,
        recurrent_dropout=recurrent,
        zoneout=zoneout,
    )


def _nothing(run: Run, cell: RecurrentCell) -> Traced:
    """The recurrent kernel of a cell whose gates see the input alone."""
    return Traced(Outline((cell.units, 0), 4, run.tape.ledger, None))


Handler: TypeAlias = Callable[[Run, Any, Traced, str], Traced]

# By the class whose call runs.
_HANDLERS: dict[type, Handler] = {
    layers.Activation: _activation,
    layers.Bidirectional: _bidirectional,
    layers.Dense: _dense,
    layers.Dropout: _dropout,
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.Masking: _masking,
    layers.RNN: _rnn,
    layers.RepeatVector: _repeat_vector,
    layers.TimeDistributed: _time_distributed,
    Sequential: _sequential,
}
