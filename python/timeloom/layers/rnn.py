"""RNN: any cell over time; masks, states from outside and from batch to batch, packed sequences.

Here belongs what all recurrent layers share; the walk itself is the cell's.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from timeloom.arguments import flag, no_more, not_implemented
from timeloom.arrays import shape_text
from timeloom.autograd import value
from timeloom.layers.base import Layer
from timeloom.layers.cells import RecurrentCell, Walk
from timeloom.layers.loop import check_cell, nest_paths, output_size, walk
from timeloom.layers.saved import restored, saved
from timeloom.layers.shapes import Shape
from timeloom.layers.stacked import StackedRNNCells
from timeloom.layers.states import (
    call_inputs,
    check_count,
    check_states,
    flatten,
    mapped,
    pack_like,
    state_sizes,
    step_mask,
    zero_states,
)
from timeloom.packed import Packed
from timeloom.variables import Variable

__all__ = ["RNN"]


class RNN(Layer):
    """A layer that runs a cell over time.

    A built-in cell runs all timesteps in one call of the kernels, whatever the options. A cell of your own
    needs ``call(inputs, states)``, which computes one timestep with ops or NumPy operators and returns
    ``(outputs, new_states)``, arrays [batch, size], and ``state_size``; it runs in a Python loop, slower but
    with the same masks and with gradients. Make it a Layer if it has weights.

    Args:
        cell: SimpleRNNCell, GRUCell, LSTMCell, StackedRNNCells, a cell of your own, or a list of cells to
            stack. state_size is an integer, or a list of integers (nested, if you like), one for each state;
            ``output_size`` (default: the first size) and ``get_initial_state(batch_size)`` may say more.
        return_sequences: Whether to return the outputs of all timesteps. Default False: of the last.
        return_state: Whether to return the final states too. Default False.
        go_backwards: Whether to run from the last timestep to the first. Default False.
        stateful: Whether row i of a batch goes on from the final state of row i of the batch before, in
            training, evaluation and prediction, until reset_state(). The size of the batch must be known
            (Input(batch_shape=...)); gradients stop between batches. Default False.
        unroll: Taken for Keras's sake; changes no numbers. Default False.
        zero_output_for_mask: Whether the output at a masked timestep is 0. Default False: that of the
            timestep before, 0 before the first valid one.
        **kwargs: Arguments of every layer; ``input_length`` beside ``input_dim``; ``time_major`` False.

    Call arguments:
        sequences: Shape [batch, timesteps, features], at least one timestep; or Packed.
        initial_state: An array [batch, size] for each state, in a list (a single one also alone). Default
            None: zeros, or what the cell's get_initial_state says. Keras 2's layer([sequences, *states])
            works too.
        mask: Where a timestep counts: [batch, timesteps] or [batch, timesteps, 1], any dtype. States stay as
            they are at the others. It holds together with initial_state (Keras 3 drops a mask that comes
            from the layer below then).
        training: Whether dropout and zoneout act. Default False.
        keep_time_order: Whether outputs stand at the timestep of their input even if go_backwards. Default
            False: in the order of processing, as in Keras.

    Returns:
        Outputs [batch, size], or [batch, timesteps, size] with return_sequences (Packed for Packed). With
        return_state a tuple: outputs, then every final state, those after the last valid timestep; of a stack
        one list for each cell.

    Raises:
        ValueError: If an argument or a shape is not legal, those of what the cell returns too.
        NotImplementedError: If time_major or constants are given.

    Reference:
        keras.layers.RNN.

    Example:
        >>> class Smoother:
        ...     state_size = 3
        ...     def call(self, inputs, states):
        ...         new = 0.9 * states[0] + 0.1 * inputs
        ...         return new, [new]
        >>> RNN(Smoother())(np.ones((1, 2, 3)))
        array([[0.19, 0.19, 0.19]], dtype=float32)
    """

    min_input_rank = 2
    supports_masking = True
    _takes_sequences = True
    _takes_packed = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        not_implemented("time_major", kwargs.pop("time_major", False), (False,))
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        self.return_sequences = flag("return_sequences", return_sequences)
        self.return_state = flag("return_state", return_state)
        self.go_backwards = flag("go_backwards", go_backwards)
        self.stateful = flag("stateful", stateful)
        # The kernels walk over time either way: unrolling changes neither numbers nor speed.
        self.unroll = flag("unroll", unroll)
        self.zero_output_for_mask = flag("zero_output_for_mask", zero_output_for_mask)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(cell, "dtype", None)
        super().__init__(**kwargs)
        self.cell = cell
        size = cell.state_size
        self.state_size = list(size) if isinstance(size, (list, tuple)) else [size]
        self._sizes = state_sizes(cell)
        self._state_count = len(flatten(self._sizes))
        # Of a stateful layer: Variables, nested as the cell's states.
        self.states: list[Any] | None = None
        if isinstance(flatten([getattr(cell, "cells", cell)])[0], RecurrentCell):
            self.input_rank = 3
        if not self.trainable and isinstance(cell, Layer):
            cell.trainable = False

    # ---- shapes and weights -------------------------------------------------------------------------------

    def check_input_shape(self, shape: Shape) -> None:
        super().check_input_shape(shape)
        if shape[1] == 0:
            raise ValueError(
                f"inputs: expected at least one timestep for {self.name!r}, got shape {shape_text(shape)}"
            )

    @property
    def _builds_with_batch(self) -> bool:  # type: ignore[override]
        return self.stateful

    def build(self, input_shape: Shape) -> None:
        batch = input_shape[0]
        if self.stateful and batch is None:
            raise ValueError(
                f"batch_shape: expected the size of the batch for {self.name!r}, which is stateful, "
                f"got shape {shape_text(input_shape)}: say Input(batch_shape=...)"
            )
        if isinstance(self.cell, Layer):
            if not self.cell.built:
                self.cell.build_for((None, *input_shape[2:]))
            nest_paths(self, self.cell)
            self.input_features = self.cell.input_features
        if self.stateful:
            assert batch is not None
            states = self.get_initial_state(batch)
            self.states = mapped(
                lambda state: Variable(state, dtype=self.dtype, trainable=False, name="rnn_state"), states
            )

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, timesteps = input_shape[:2]
        size = output_size(self.cell)
        outputs = (batch, timesteps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return outputs
        return (outputs, *pack_like(self._sizes, [(batch, size) for size in flatten(self._sizes)]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002
        """Returns the mask of the outputs: that of the inputs with return_sequences, else None.

        With return_state a list, None for each state.
        """
        found = mask if self.return_sequences else None
        return [found, *[None] * len(self._sizes)] if self.return_state else found

    # ---- states -------------------------------------------------------------------------------------------

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Returns the states that a batch starts from, nested as the cell's."""
        return zero_states(self.cell, batch_size, self.dtype)

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        for state in flatten(self.states or []):
            state.assign(np.zeros(state.shape, self.dtype))

    def reset_states(self, states: Any = None, *, rows: Any = None) -> None:
        """Sets the states of a stateful layer, of all rows of the batch or of some.

        Args:
            states: Arrays [batch, size], as initial_state; [number of rows, size] with rows. Default None:
                zeros.
            rows: Which rows: a list of places, a slice or a mask. Default None: all.

        Raises:
            ValueError: If states or rows are given to a layer that has no states (not stateful, or not
                built), or do not fit.
        """
        if states is None and rows is None:
            self.reset_state()
            return
        if self.states is None:
            kind = "not built" if self.stateful else "stateful=False"
            raise ValueError(f"states: expected a built layer with stateful=True, got {self.name!r}, {kind}")
        held = flatten(self.states)
        chosen: Any = slice(None) if rows is None else rows
        try:
            places = np.arange(held[0].shape[0])[chosen if isinstance(chosen, slice) else np.asarray(chosen)]
        except IndexError as error:
            raise ValueError(f"rows: expected rows of a batch of {held[0].shape[0]}, got {rows!r}") from error
        places = np.atleast_1d(places)
        given = [0.0] * len(held)
        if states is not None:
            given = flatten(check_states(self, self._sizes, states, len(places), self.dtype))
        for variable, new in zip(held, given, strict=True):
            array = variable.numpy()
            array[places] = value(new)
            variable.assign(array)

    # ---- calling ------------------------------------------------------------------------------------------

    def __call__(
        self,
        inputs: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = False,
        *,
        keep_time_order: bool = False,
        **kwargs: Any,
    ) -> Any:
        not_implemented("constants", kwargs.pop("constants", None), (None,))
        no_more(type(self).__name__, kwargs)
        inputs, initial_state = call_inputs(self, inputs, initial_state, self._state_count)
        more: dict[str, Any] = {} if mask is None else {"mask": mask}
        if keep_time_order:
            more["keep_time_order"] = True
        if initial_state is not None:
            batch = len(inputs) if hasattr(inputs, "__len__") else inputs.shape[0]
            more["initial_state"] = check_states(self, self._sizes, initial_state, batch, self.dtype)
        return super().__call__(inputs, training=training, **more)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        *,
        keep_time_order: bool = False,
    ) -> Any:
        steps, states, how = self._prepared(sequences, initial_state, mask, training, keep_time_order)
        return self._finished(sequences, *walk(self.cell, steps, states, how))

    def _prepared(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool, keep_time_order: bool
    ) -> tuple[Any, Any, Walk]:
        """What the cell is to walk over: the array of the timesteps, the states to begin with, and how."""
        packed = sequences if isinstance(sequences, Packed) else None
        steps = sequences if packed is None else packed.values
        batch = len(sequences)
        if mask is not None:
            if packed is not None:
                raise ValueError("mask: expected None for packed sequences, got a mask")
            mask = step_mask(mask, batch, steps.shape[1])
        how = Walk(
            mask=mask,
            lengths=None if packed is None else packed.lengths,
            training=bool(training),
            return_sequences=self.return_sequences,
            go_backwards=self.go_backwards,
            keep_time_order=keep_time_order,
            zero_output_for_mask=self.zero_output_for_mask,
        )
        if self.stateful:
            self._check_batch(batch)
            if initial_state is None:
                # Copies: a tape asks that Variables stay as they are until the gradient.
                initial_state = mapped(Variable.numpy, self.states)
        elif initial_state is not None and not _has_form(initial_state, self._sizes):
            initial_state = check_count(self, self._sizes, initial_state)
        return steps, initial_state, how

    def _finished(self, sequences: Any, outputs: Any, finals: list[Any]) -> Any:
        """What `call` returns, and the states of a stateful layer, from what the cell returned."""
        if self.stateful:
            for variable, final in zip(flatten(self.states), flatten(finals), strict=True):
                variable.assign(value(final))
        if isinstance(sequences, Packed) and self.return_sequences:
            outputs = sequences.with_values(outputs)
        return (outputs, *finals) if self.return_state else outputs

    def _check_batch(self, batch: int) -> None:
        expected = flatten(self.states)[0].shape[0]
        if batch != expected:
            raise ValueError(
                f"inputs: expected {expected} rows for {self.name!r}, which is stateful, got {batch}"
            )

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._flags(), "cell": saved(self.cell)}

    def _flags(self) -> dict[str, Any]:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        return {name: getattr(self, name) for name in (*names, "zero_output_for_mask")}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Builds the unbuilt layer that get_config wrote; custom_objects: cells of your own by class name."""
        settings = dict(config)
        return cls(restored(settings.pop("cell"), custom_objects), **settings)


def _has_form(states: Any, sizes: list[Any]) -> bool:
    """Whether states come as __call__ leaves them; a subclass may hand them to `call` as a user would."""
    return isinstance(states, list) and len(states) == len(sizes)
