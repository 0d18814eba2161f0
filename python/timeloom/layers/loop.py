"""A walk over time for any cell: one call of the kernels for a cell of theirs, else a Python loop.

Here belongs the loop that a user's own cell runs in: slow, but with the masks and gradients of the kernels.
"""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import ops
from timeloom.arrays import shape_text
from timeloom.layers.base import Layer
from timeloom.layers.cells import RecurrentCell, Walk
from timeloom.layers.states import check_count, flatten, pack_like, state_sizes, zero_states
from timeloom.layers.weights import WeightOwner
from timeloom.packed import Packed

__all__ = ["check_cell", "check_step", "nest_paths", "output_size", "step_function", "walk", "walk_both"]


def check_cell(cell: Any) -> None:
    """Refuses what cannot be a cell.

    Raises:
        ValueError: If it has no call, or no state_size of positive integers.
    """
    for name in ("call", "state_size"):
        if not hasattr(cell, name):
            raise ValueError(f"cell: expected an object with {name}, got {cell!r}")
    state_sizes(cell)


def output_size(cell: Any) -> int:
    """The size of a cell's outputs: its output_size, else the size of its first state."""
    size = getattr(cell, "output_size", None)
    return int(flatten(cell.state_size)[0] if size is None else size)


def nest_paths(owner: WeightOwner, part: WeightOwner) -> None:
    """Puts the owner's name before the paths of a part's weights: ``lstm/lstm_cell/kernel``."""
    for variable in part.weights:
        variable.path = f"{owner.name}/{variable.path}"


def walk(cell: Any, sequences: Any, states: Any, how: Walk) -> tuple[Any, list[Any]]:
    """Runs a cell over whole sequences.

    Args:
        cell: One of the kernels', StackedRNNCells, or any object with call and state_size.
        sequences: Shape [batch, timesteps, ...], or packed [sum of lengths, ...].
        states: Nested lists of arrays [batch, size]. None: what the cell starts from.
        how: Masks, direction and what is returned.

    Returns:
        The outputs, and the final states nested as the cell's are.
    """
    states = _first_states(cell, sequences, states, how)
    if getattr(cell, "walks", False):
        outputs, finals = cell.walk(sequences, states, how)
        return outputs, finals
    if how.lengths is None:
        return _loop(cell, sequences, states, how)
    return _packed_loop(cell, sequences, states, how)


def walk_both(
    one: tuple[Any, Any, Any, Walk], other: tuple[Any, Any, Any, Walk]
) -> tuple[tuple[Any, list[Any]], tuple[Any, list[Any]]]:
    """Runs two walks that do not need each other, side by side if both cells are of the kernels.

    Args:
        one: The arguments for `walk`.
        other: Likewise.

    Returns:
        What `walk` returns for each.
    """
    for cell in (one[0], other[0]):
        if not isinstance(cell, RecurrentCell) or not cell._is_one_call:
            return walk(*one), walk(*other)
    first, second = ops.recurrent_pair(_operation(*one), _operation(*other))
    return (first[0], list(first[1])), (second[0], list(second[1]))


def _operation(cell: RecurrentCell, sequences: Any, states: Any, how: Walk) -> dict[str, Any]:
    return cell._operation(sequences, _first_states(cell, sequences, states, how), how)


def _first_states(cell: Any, sequences: Any, states: Any, how: Walk) -> Any:
    """The states to begin with; None where the kernels begin with zeros by themselves."""
    own = getattr(type(cell), "get_initial_state", None)
    if states is not None or (getattr(cell, "walks", False) and own is RecurrentCell.get_initial_state):
        return states
    return zero_states(cell, how.batch(sequences), getattr(cell, "dtype", str(sequences.dtype)))


def _loop(cell: Any, sequences: Any, states: list[Any], how: Walk) -> tuple[Any, list[Any]]:
    step = step_function(cell, how.training)
    parts = [part for part in getattr(cell, "flat_parts", list)() if isinstance(part, RecurrentCell)]
    mask = how.mask
    if mask is not None:
        # A masked step is computed and thrown away; what stands there (NaN, say) must not reach a gradient.
        valid = mask.reshape(*mask.shape, *[1] * (sequences.ndim - 2))
        sequences = np.where(valid, sequences, sequences.dtype.type(0))
    order = range(sequences.shape[1])
    outputs = []
    last: Any = None
    form = state_sizes(cell)
    _reset_masks(parts)
    for t in reversed(order) if how.go_backwards else order:
        found = step(sequences[:, t], states)
        if last is None:
            check_step(cell, form, found, len(sequences))
        output, changed = found
        changed = check_count(cell, form, changed)
        if mask is not None:
            output, changed = _masked(mask[:, t], output, last, changed, states, how.zero_output_for_mask)
        last, states = output, changed
        outputs.append(output)
    _reset_masks(parts)
    if last is None:  # only empty sequences
        last = np.zeros((len(sequences), output_size(cell)), sequences.dtype)
        outputs.append(last)
    if not how.return_sequences:
        return last, states
    if how.go_backwards and how.keep_time_order:
        outputs.reverse()
    return np.stack(outputs, axis=1), states


def check_step(cell: Any, sizes: list[Any], found: Any, batch: int) -> None:
    """Refuses what a cell returned for one timestep if it is not what the cell says of itself.

    Args:
        cell: The cell.
        sizes: What `state_sizes` says of it.
        found: What its call returned.
        batch: Number of rows.

    Raises:
        ValueError: If it is no pair of outputs and states, or a number of states or a shape differs.
    """
    name = getattr(cell, "name", type(cell).__name__)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        kind = f"{len(found)} values" if isinstance(found, (tuple, list)) else type(found).__name__
        raise ValueError(f"cell: expected {name!r} to return a pair, outputs and new states, got {kind}")
    output, changed = found
    leaves, expected = flatten(changed), flatten(sizes)
    if len(leaves) != len(expected):
        raise ValueError(f"cell: expected {len(expected)} new states of {name!r}, got {len(leaves)}")
    results = [("outputs", output, output_size(cell))]
    results += [("a new state", leaf, size) for leaf, size in zip(leaves, expected, strict=True)]
    for words, array, size in results:
        shape = getattr(array, "shape", None)
        if shape is None:
            raise ValueError(f"cell: expected {words} of {name!r} to be an array, got {type(array).__name__}")
        if tuple(shape) != (batch, size):
            raise ValueError(
                f"cell: expected {words} of {name!r} of shape {shape_text((batch, size))}, "
                f"got {shape_text(shape)}"
            )


def step_function(cell: Any, training: bool) -> Any:
    """One timestep of a cell, with training if it asks for it."""
    if isinstance(cell, Layer):
        return lambda x, states: cell(x, states, training=training)
    takes_training = "training" in inspect.signature(cell.call).parameters
    more = {"training": training} if takes_training else {}
    return lambda x, states: cell.call(x, states, **more)


def _reset_masks(parts: list[RecurrentCell]) -> None:
    for part in parts:
        part.reset_dropout_mask()
        part.reset_recurrent_dropout_mask()


def _masked(
    valid: NDArray[np.bool_], output: Any, last: Any, changed: list[Any], states: list[Any], zero: bool
) -> tuple[Any, list[Any]]:
    """Rows that count as computed, the others' states as before and their output the one before or 0."""

    def chosen(computed: Any, otherwise: Any) -> Any:
        rows = valid.reshape(len(valid), *[1] * (computed.ndim - 1))
        return np.where(rows, computed, otherwise)

    nothing = output.dtype.type(0)
    output = chosen(output, nothing if zero or last is None else last)
    kept = [chosen(a, b) for a, b in zip(flatten(changed), flatten(states), strict=True)]
    packed: list[Any] = pack_like(changed, kept)
    return output, packed


def _packed_loop(cell: Any, sequences: Any, states: list[Any], how: Walk) -> tuple[Any, list[Any]]:
    """As _loop on the padded sequences, the outputs packed again; so none of them is at a masked timestep."""
    assert how.lengths is not None
    padded, mask = Packed(sequences, how.lengths).pad()
    plain = Walk(
        mask=mask,
        training=how.training,
        return_sequences=how.return_sequences,
        go_backwards=how.go_backwards,
        keep_time_order=True,
    )
    outputs, finals = _loop(cell, padded, states, plain)
    if not how.return_sequences:
        return outputs, finals
    places = np.flatnonzero(mask)
    if how.go_backwards and not how.keep_time_order:
        ends = np.cumsum(how.lengths)
        reversed_rows = [np.arange(end - n, end)[::-1] for n, end in zip(how.lengths, ends, strict=True)]
        places = places[np.concatenate(reversed_rows)]
    flat = np.reshape(outputs, (-1, *outputs.shape[2:]))
    return flat[places], finals
