"""memory_estimate: a training step or a prediction run on outlines, and the report of its peak."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from timeloom import backend, regularizers
from timeloom.arguments import flag, positive_integer
from timeloom.arrays import shape_text
from timeloom.layers.states import flatten
from timeloom.losses import LossFunctionWrapper
from timeloom.losses.functions import FUNCTIONS, sparse_categorical_crossentropy
from timeloom.memory import operations
from timeloom.memory.layers import Run
from timeloom.memory.ledger import Ledger, Outline
from timeloom.memory.tape import OutlineTape, Traced
from timeloom.models.sequential import Sequential
from timeloom.models.summary import memory_text

__all__ = ["MemoryEstimate", "memory_estimate"]

# The blocks of the pool settle in the second step; the third shows that they did.
_STEPS = 3


@dataclasses.dataclass(frozen=True, repr=False)
class MemoryEstimate:
    """What `memory_estimate` found: bytes in use at the moment when most is in use.

    `print` of it, and its name alone in an interactive session, show a table.

    Attributes:
        model: Name of the model.
        batch: Samples of a batch.
        timesteps: Timesteps of each; None for inputs without time.
        training: Whether it is about a training step, or a prediction.
        threads: Threads that the kernels may use.
        weights: Bytes of all weights, states of stateful layers among them.
        gradients: Bytes of the gradients of weights that there are at that moment.
        optimizer_slots: Bytes of the arrays that the optimizer keeps beside the weights.
        data: Bytes of the batch, inputs and targets.
        activations: Bytes of outputs, by layer.
        kept: Bytes of what is kept for backward beside outputs, by layer.
        workspace: Bytes of memory that a layer needs while it runs, by layer.
        idle: Bytes of blocks that the pool of the kernels holds for other calls.
        packed_weights: Bytes of weights in the order of the kernels, by layer.
        moment: The moment: "forward" or "backward", and the layer that runs.
        notes: What is not counted, as sentences.
    """

    model: str
    batch: int
    timesteps: int | None
    training: bool
    threads: int
    weights: int
    gradients: int
    optimizer_slots: int
    data: int
    activations: Mapping[str, int]
    kept: Mapping[str, int]
    workspace: Mapping[str, int]
    idle: int
    packed_weights: Mapping[str, int]
    moment: tuple[str, str]
    notes: tuple[str, ...]

    @property
    def peak(self) -> int:
        """Bytes in total."""
        by_layer = (self.activations, self.kept, self.workspace, self.packed_weights)
        parts = (self.weights, self.gradients, self.optimizer_slots, self.data, self.idle)
        return sum(parts) + sum(sum(one.values()) for one in by_layer)

    def __str__(self) -> str:
        what = "a training step" if self.training else "a prediction"
        time = "" if self.timesteps is None else f" x {self.timesteps} timesteps"
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        rows: list[tuple[str, int]] = [
            ("weights", self.weights),
            ("optimizer slots", self.optimizer_slots),
            ("gradients of weights", self.gradients),
            ("batch", self.data),
        ]
        for name, parts in (
            ("activations", self.activations),
            ("kept for backward", self.kept),
            ("packed weights", self.packed_weights),
            ("workspace", self.workspace),
        ):
            rows.append((name, sum(parts.values())))
            rows += [(f"  {layer}", size) for layer, size in parts.items() if size]
        rows += [("idle in the pool", self.idle), ("peak", self.peak)]
        width = max(len(name) for name, _ in rows)
        lines = [f"Memory of {what} of {self.model!r}: batch {self.batch}{time}, {threads}"]
        lines += [f"  {name:<{width}}  {memory_text(size):>10}" for name, size in rows]
        when = f"{self.moment[0]} of {self.moment[1]!r}" if self.moment[1] else self.moment[0]
        lines.append(f"Most is in use in the {when}.")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__


def memory_estimate(
    model: Any, batch: int, timesteps: int | None = None, *, training: bool = True
) -> MemoryEstimate:
    """Estimates how much memory a training step or a prediction needs at most, without running it.

    The step is followed array by array: its layers, its tape and the pool of the kernels, whose sizes come
    from the functions that the kernels allocate by. It depends on the processor's vectors and on
    `timeloom.backend.set_num_threads`. A test holds it within 10 % of what is measured.

    Equations:
        For a model of recurrent layers, in bytes: s the size of an element (4 for float32), P all weights, M
        those of matrix products (all but biases), S slots of the optimizer (Adam 2, RMSprop 1, SGD 0), B
        batch, T timesteps, F features, U units and G gates of a layer:

        peak = s P (2 + S) + 2 s M + batch + sum over layers of k s B T U + the largest of (d + w) of a layer
        w = r s (A U + F + U)

        k is 6 for LSTM, 5 for GRU, 1 for SimpleRNN: outputs (also where only the last one is returned),
        gates, cell states; that is 24, 20 and 4 bytes in float32. U counts as a multiple of a vector. M are
        packed twice, for forward and for backward, until the optimizer changes them. d are the gradients of
        its outputs, s B T U, if they are returned at every timestep, and of its inputs, s B T F, unless they
        are the batch. w is a chunk of r rows: gradients of the sums, A of them (LSTM and GRU 4, GRU with
        reset_after=False 3, SimpleRNN 1) a unit, and the inputs and states that they are multiplied by. r is
        about 512, in whole timesteps (up to 767 where B T is less than two chunks), at least B and at most B
        T: w does not grow with T. Weights of up to 512 KB have gradients for each half of a batch of 16 rows
        and more, s G U (F + U) more, and chunks of 512 KB / (s A U) rows, between 256 and 512, in each half;
        one thread works on one of them at a time, more on both. The pool of the kernels rounds its blocks up:
        a model of a few megabytes on few timesteps may need a third more than this formula says, which what
        is returned here counts. A prediction keeps nothing: s (P + M) + batch + the largest of (inputs +
        outputs) of a layer, and up to 512 s (A U + F) to work in. Where the directions of a Bidirectional
        layer can run at once, the workspace of both is counted; they need less if no second thread is free.

    Args:
        model: A built Sequential, or one with an Input; compiled or not (then without loss and optimizer).
        batch: Samples in a batch.
        timesteps: Length of the sequences. Default None: what the model's input shape says.
        training: Whether to estimate a training step, or a prediction. Default True.

    Returns:
        A MemoryEstimate; print it.

    Raises:
        TypeError: If model is no Sequential.
        ValueError: If a size is missing or does not fit the model; if the model has a layer, a cell, an
            activation, a loss or a regularizer of the user's own.

    Example:
        >>> from timeloom import Sequential
        >>> from timeloom.layers import LSTM, Dense, Input
        >>> model = Sequential([Input((None, 8)), LSTM(64), Dense(1)])
        >>> model.compile("adam", "mse")
        >>> estimate = memory_estimate(model, batch=32, timesteps=100)
        >>> estimate.weights, estimate.optimizer_slots == 2 * estimate.weights
        (75012, True)
        >>> kept = 24 * 32 * 100 * 64  # k s B T U
        >>> kept < estimate.peak < 2 * kept
        True
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model: expected a Sequential, got {type(model).__name__}")
    batch = positive_integer("batch", batch)
    training = flag("training", training)
    shape, steps = _input_shape(model, batch, timesteps)
    notes = []
    slots = 0
    if training and not model.compiled:
        notes.append("The model is not compiled: neither loss nor optimizer slots are counted.")
    elif training:
        assert model.optimizer is not None
        slots = len(model.optimizer.slot_names())
    notes.append("Not counted: Python, NumPy and the libraries, data beside this batch, metrics.")

    ledger = Ledger()
    step = _Step(ledger, model, shape, training, slots)
    for _ in range(_STEPS):
        step.run()
    found = ledger.moment
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, layer), size in found.places.items():
        by_kind.setdefault(kind, {})[layer] = size

    def whole(kind: str) -> int:
        return sum(by_kind.get(kind, {}).values())

    return MemoryEstimate(
        model=model.name,
        batch=batch,
        timesteps=steps,
        training=training,
        threads=backend.get_num_threads(),
        weights=whole("weights"),
        gradients=whole("gradients"),
        optimizer_slots=whole("optimizer slots"),
        data=whole("batch"),
        activations=by_kind.get("activations", {}),
        kept=by_kind.get("kept", {}),
        workspace=by_kind.get("workspace", {}),
        idle=ledger.held - found.size,
        packed_weights=by_kind.get("packed weights", {}),
        moment=(found.pass_, found.layer),
        notes=tuple(notes),
    )


def _input_shape(model: Sequential, batch: int, timesteps: Any) -> tuple[tuple[int, ...], int | None]:
    """The shape of the inputs, and the number of timesteps."""
    if not model.built:
        raise ValueError(
            f"model: expected a built model, got {model.name!r} before its first data: "
            "give it an Input or call build()"
        )
    given = model.input_shape
    if given[0] not in (None, batch):
        raise ValueError(f"batch: expected {given[0]} for {model.name!r}, got {batch}")
    sizes = list(given[1:])
    # A row of features has no time, a row of indices has.
    has_time = len(sizes) > 1 or not model.dtype_matters
    if not has_time or not sizes:
        if timesteps is not None:
            raise ValueError(
                f"timesteps: expected None for inputs of shape {shape_text(given)}, got {timesteps!r}"
            )
    elif timesteps is None:
        if sizes[0] is None:
            raise ValueError(
                f"timesteps: expected a number for inputs of shape {shape_text(given)}, got None"
            )
    else:
        timesteps = positive_integer("timesteps", timesteps)
        if sizes[0] not in (None, timesteps):
            raise ValueError(f"timesteps: expected {sizes[0]} for {model.name!r}, got {timesteps}")
        sizes[0] = timesteps
    if None in sizes:
        raise ValueError(
            f"model: expected inputs of known size beside batch and timesteps, got {shape_text(given)}"
        )
    shape = (batch, *(size for size in sizes if size is not None))
    return shape, shape[1] if has_time and sizes else None


class _Step:
    """One step of a model on outlines, as Steps.train_step and predict_step take it."""

    def __init__(
        self, ledger: Ledger, model: Sequential, shape: tuple[int, ...], training: bool, slots: int
    ) -> None:
        self.ledger = ledger
        self.model = model
        self.shape = shape
        self.training = training
        variables = model.weights
        states = [
            state for part in model.flat_parts() for state in flatten(getattr(part, "states", None) or [])
        ]
        # A Bidirectional lists the states of its layers again.
        held = {id(variable): variable for variable in (*variables, *states)}
        self.weights = {
            key: ledger.array(variable.shape, variable.dtype.itemsize, "weights")
            for key, variable in held.items()
        }
        self.trainable = {id(variable): variable for variable in model.trainable_weights if training}
        self.slots = [
            self.weights[key].like("optimizer slots") for key in self.trainable for _ in range(slots)
        ]
        self.itemsize = 8 if model.layers[0].dtype == "float64" else 4

    def run(self) -> None:
        """Takes the step."""
        ledger, model = self.ledger, self.model
        ledger.layer, ledger.pass_ = "", "forward"
        indices = not model.layers[0].dtype_matters
        x = ledger.array(self.shape, 8 if indices else self.itemsize, "batch")
        tape = OutlineTape(ledger, self.training)
        weights = {
            key: tape.leaf(outline, followed=key in self.trainable) for key, outline in self.weights.items()
        }
        run = Run(tape, weights, self.training)
        y = self._targets() if self.training else None
        outputs = run.layer(model, Traced(x))
        if not self.training:
            return
        ledger.layer = "loss"
        target = outputs
        if y is not None:
            target = operations.loss(tape, outputs, y)
            for variable in self.trainable.values():
                if variable.regularizer is not None:
                    penalty = _penalty(tape, weights[id(variable)], variable)
                    target = operations.binary(tape, target, penalty, product=False)
        if target.key < 0:
            raise ValueError(
                f"model: expected trainable weights that the outputs of {model.name!r} depend on, got none: "
                "pass training=False"
            )
        seed = target.outline.like("workspace")
        gradients = tape.gradient(target, [weights[key] for key in self.trainable], seed)
        # The optimizer changes the weights while their gradients are there.
        ledger.drop_packed({id(self.weights[key]) for key in self.trainable})
        del gradients

    def _targets(self) -> Outline | None:
        """Targets of the loss in the shape of the outputs; None if there is no loss."""
        loss = self.model._loss
        if loss is None:
            return None
        by_shape = isinstance(loss, str)
        if not by_shape and not (isinstance(loss, LossFunctionWrapper) and loss.fn in FUNCTIONS.values()):
            raise ValueError(
                f"loss: expected a loss of timeloom.losses, got {getattr(loss, 'name', loss)!r}: "
                "memory_estimate does not know what it keeps"
            )
        found = self.model.compute_output_shape(self.shape)
        itemsize = 8 if self.model.output_dtype == "float64" else 4
        if not by_shape and loss.fn is sparse_categorical_crossentropy:
            found, itemsize = found[:-1], 8
        return self.ledger.array(found, itemsize, "batch")


def _penalty(tape: OutlineTape, weight: Traced, variable: Any) -> Traced:
    """As regularizers.L1, L2 and L1L2."""
    given = variable.regularizer
    if type(given) not in (regularizers.L1, regularizers.L2, regularizers.L1L2):
        raise ValueError(
            f"regularizer: expected one of timeloom.regularizers for {variable.path!r}, got {given!r}: "
            "memory_estimate does not know what it keeps"
        )
    squares = operations.binary(tape, weight, weight, product=True)
    shape = squares.shape
    number = tape.ledger.array((), squares.outline.itemsize, "workspace")
    return tape.record(
        [number], [squares], lambda _needs, g: (g.ledger.array(shape, g.itemsize, "workspace"),)
    )[0]
