"""StackedRNNCells: cells on top of each other, used as one."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from timeloom.arguments import integer
from timeloom.layers.base import Layer
from timeloom.layers.cells import Walk
from timeloom.layers.loop import check_cell, check_step, nest_paths, output_size, step_function, walk
from timeloom.layers.saved import restored, saved
from timeloom.layers.shapes import Shape
from timeloom.layers.states import check_count, flatten, state_sizes, zero_states

__all__ = ["StackedRNNCells"]


class StackedRNNCells(Layer):
    """Cells on top of each other: each takes the outputs of the one before.

    Over a sequence each cell runs over all timesteps before the next begins, which gives the same numbers.

    Args:
        cells: List of cells: SimpleRNNCell, GRUCell, LSTMCell, a stack, or objects of your own with call and
            state_size. At least one.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Shape [batch, features], one timestep.
        states: A list of the states of each cell.
        training: Handed to the cells. Default False.

    Returns:
        A tuple: the outputs of the last cell, and a list of the new states of each.

    Raises:
        ValueError: If an entry is no cell.

    Reference:
        keras.layers.StackedRNNCells.

    Example:
        >>> from timeloom.layers import GRUCell, LSTMCell
        >>> StackedRNNCells([LSTMCell(4), GRUCell(3)]).state_size
        [[4, 4], 3]
    """

    min_input_rank = 2
    # RNN runs the stack cell by cell, not timestep by timestep.
    walks = True

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(f"cells: expected a list of at least one cell, got {cells!r}")
        for cell in cells:
            check_cell(cell)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(cells[0], "dtype", None)
        super().__init__(**kwargs)
        self.cells = list(cells)
        if not self.trainable:
            self.trainable = False  # reaches the cells

    @property
    def state_size(self) -> list[Any]:
        """The state_size of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The size of the last cell's outputs."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Returns what each cell starts from, a list of lists."""
        batch = integer("batch_size", batch_size)
        return [zero_states(cell, batch, self.dtype) for cell in self.cells]

    def build(self, input_shape: Shape) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer):
                if not cell.built:
                    cell.build_for(input_shape)
                nest_paths(self, cell)
            input_shape = (input_shape[0], output_size(cell))
        self.input_features = getattr(self.cells[0], "input_features", None)

    def walk(self, sequences: Any, states: Any = None, how: Walk | None = None) -> tuple[Any, list[Any]]:
        """Runs the cells over whole sequences; arguments and results as RecurrentCell.walk."""
        how = Walk() if how is None else how
        back = how.go_backwards
        below = Walk(how.mask, how.lengths, how.training, True, go_backwards=back, keep_time_order=back)
        hows = [*[below] * (len(self.cells) - 1), how]
        states = [None] * len(self.cells) if states is None else states
        finals = []
        for cell, own, one in zip(self.cells, states, hows, strict=True):
            sequences, final = walk(cell, sequences, own, one)
            finals.append(final)
        return sequences, finals

    def __call__(self, inputs: Any, states: Any, *args: Any, **kwargs: Any) -> Any:
        states = check_count(self, state_sizes(self), states)
        return super().__call__(inputs, states, *args, **kwargs)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        found = []
        for cell, own in zip(self.cells, states, strict=True):
            result = step_function(cell, training)(inputs, own)
            check_step(cell, state_sizes(cell), result, len(inputs))
            inputs, new = result
            found.append(flatten(new) if not isinstance(cell, StackedRNNCells) else new)
        return inputs, found

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch = input_shape[0]
        return (batch, self.output_size), [
            [(batch, size) for size in flatten(sizes)] for sizes in state_sizes(self)
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [saved(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Builds the unbuilt stack that get_config wrote; custom_objects: cells of your own by class name."""
        settings = dict(config)
        cells = [restored(cell, custom_objects) for cell in settings.pop("cells")]
        return cls(cells, **settings)
