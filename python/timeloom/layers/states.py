"""States of recurrent cells, which may be nested: one array, several, or several for each of several cells.

Here belongs what layers ask of such nested lists; what the states mean stands with the cells.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom.arguments import positive_integer
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray, value
from timeloom.variables import Variable

__all__ = [
    "call_inputs",
    "check_count",
    "check_states",
    "flatten",
    "mapped",
    "pack_like",
    "state_sizes",
    "states_kept",
    "states_or_as_before",
    "step_mask",
    "zero_states",
]


def flatten(nested: Any) -> list[Any]:
    """Returns the leaves of nested lists and tuples in order.

    Example:
        >>> flatten([1, [2, (3,)]])
        [1, 2, 3]
    """
    if isinstance(nested, (list, tuple)):
        return [leaf for part in nested for leaf in flatten(part)]
    return [nested]


def mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """Returns nested lists of the same form, the function applied to every leaf."""
    if isinstance(nested, (list, tuple)):
        return [mapped(function, part) for part in nested]
    return function(nested)


def pack_like(nested: Any, leaves: list[Any]) -> Any:
    """Returns nested lists of the form of `nested` with other leaves.

    Example:
        >>> pack_like([4, [4, 3]], ["a", "b", "c"])
        ['a', ['b', 'c']]
    """
    left: Iterator[Any] = iter(leaves)
    return mapped(lambda _leaf: next(left), nested)


def state_sizes(cell: Any) -> list[Any]:
    """Returns the sizes of a cell's states as a list, nested as the states are.

    Args:
        cell: An object with state_size, or with a list of cells, each of which has states of its own.

    Raises:
        ValueError: If a size is no positive integer.
    """
    inner = getattr(cell, "cells", None)
    if inner is not None:
        return [state_sizes(one) for one in inner]
    size = cell.state_size
    sizes = mapped(lambda leaf: positive_integer("state_size", leaf), size)
    return sizes if isinstance(sizes, list) else [sizes]


def zero_states(cell: Any, batch: int, dtype: str) -> list[Any]:
    """Returns the states a cell starts from: what its get_initial_state says, else zeros.

    Raises:
        ValueError: If what get_initial_state says has another number of states or other shapes.
    """
    sizes = state_sizes(cell)
    own = getattr(cell, "get_initial_state", None)
    if own is None:
        states: list[Any] = mapped(lambda size: np.zeros((batch, size), dtype), sizes)
        return states
    name = getattr(cell, "name", type(cell).__name__)
    leaves, expected = flatten(own(batch_size=batch)), flatten(sizes)
    if len(leaves) != len(expected):
        raise ValueError(
            f"cell: expected {len(expected)} states of get_initial_state of {name!r}, got {len(leaves)}"
        )
    leaves = [_cast(leaf, dtype) for leaf in leaves]
    for leaf, size in zip(leaves, expected, strict=True):
        if leaf.shape != (batch, size):
            raise ValueError(
                f"cell: expected states of shape {shape_text((batch, size))} of get_initial_state of "
                f"{name!r}, got {shape_text(leaf.shape)}"
            )
    packed: list[Any] = pack_like(sizes, leaves)
    return packed


def _cast(state: Any, dtype: str) -> Any:
    """What a tape may follow as it is, anything else as an array of that dtype."""
    followed = isinstance(state, (TracedArray, Variable))
    return state if followed else real_array("initial_state", state, dtype)


def check_count(owner: Any, sizes: list[Any], states: Any) -> list[Any]:
    """Returns states in the nested form of their sizes; they may come flat, or a single one alone.

    Raises:
        ValueError: If their number differs.
    """
    leaves, expected = flatten(states), len(flatten(sizes))
    if len(leaves) != expected:
        name = getattr(owner, "name", type(owner).__name__)
        raise ValueError(f"initial_state: expected {expected} for {name!r}, got {len(leaves)}")
    packed: list[Any] = pack_like(sizes, leaves)
    return packed


def check_states(owner: Any, sizes: list[Any], states: Any, batch: int, dtype: str) -> list[Any]:
    """Returns the states a user gave, checked, cast and nested as their sizes are.

    Args:
        owner: The layer or cell, for the message.
        sizes: What `state_sizes` says.
        states: Arrays [batch, size], nested or flat; a single one may stand alone.
        batch: Number of rows.
        dtype: Data type to cast plain arrays to.

    Raises:
        ValueError: If the number or a shape differs.
    """

    def checked(size: int, state: Any) -> Any:
        array = _cast(state, dtype)
        if array.shape != (batch, size):
            expected = shape_text((batch, size))
            raise ValueError(f"initial_state: expected shape {expected}, got {shape_text(array.shape)}")
        return array

    counted = flatten(check_count(owner, sizes, states))
    leaves = [checked(size, state) for size, state in zip(flatten(sizes), counted, strict=True)]
    packed: list[Any] = pack_like(sizes, leaves)
    return packed


def call_inputs(owner: Any, inputs: Any, initial_state: Any, count: int) -> tuple[Any, Any]:
    """Returns inputs and initial_state apart, where Keras 2 wrote them as one list: layer([x, h, c]).

    A batch as a list of sequences has arrays of one rank, here the inputs have an axis more than the states.

    Args:
        owner: The layer, for the message.
        inputs: What the call got.
        initial_state: As inputs.
        count: How many states the layer has.

    Raises:
        ValueError: If the list has another number of states, or initial_state comes beside it.
    """
    if isinstance(inputs, (list, tuple)):
        leaves = flatten(inputs)
        ranks = [getattr(leaf, "ndim", 0) for leaf in leaves]
        if len(leaves) > 1 and ranks[0] > max(ranks[1:]) and min(ranks) > 0:
            if initial_state is not None:
                raise ValueError(
                    f"initial_state: expected states once for {owner.name!r}, in the list of inputs or as "
                    "initial_state, got both"
                )
            if len(leaves) != count + 1:
                raise ValueError(
                    f"initial_state: expected {count} for {owner.name!r}, got {len(leaves) - 1} in the list "
                    "of inputs"
                )
            return leaves[0], leaves[1:]
    return inputs, initial_state


@contextlib.contextmanager
def states_or_as_before(owner: Any) -> Iterator[None]:
    """Puts the states of stateful layers back if an error ends the with block.

    Args:
        owner: A layer or model, with flat_parts().
    """
    held = _held_states(owner)
    try:
        yield
    except BaseException:
        _put_back(held)
        raise


@contextlib.contextmanager
def states_kept(owner: Any) -> Iterator[None]:
    """Puts the states of stateful layers back however the with block ends; new ones begin anew.

    Args:
        owner: A layer or model, with flat_parts().
    """
    held = _held_states(owner)
    try:
        yield
    finally:
        before = {id(state) for state, _ in held}
        for part in _stateful_parts(owner):
            states = [
                state for state in flatten(getattr(part, "states", None)) if isinstance(state, Variable)
            ]
            if hasattr(part, "get_initial_state") and not before.issuperset(map(id, states)):
                first = flatten(part.get_initial_state(states[0].shape[0]))
                _put_back(list(zip(states, map(value, first), strict=True)))
        _put_back(held)


def _stateful_parts(owner: Any) -> list[Any]:
    return [part for part in owner.flat_parts() if getattr(part, "stateful", False)]


def _held_states(owner: Any) -> list[tuple[Variable, NDArray[Any]]]:
    """The states of stateful layers, each with a copy of what it holds."""
    parts = _stateful_parts(owner)
    found = {id(state): state for part in parts for state in flatten(getattr(part, "states", None))}
    return [(state, state.numpy()) for state in found.values() if isinstance(state, Variable)]


def _put_back(held: list[tuple[Variable, NDArray[Any]]]) -> None:
    for state, before in held:
        state.assign(before)


def step_mask(mask: Any, batch: int, timesteps: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Returns a mask as booleans [batch, timesteps].

    Args:
        mask: True or nonzero where a timestep counts: [batch, timesteps] or [batch, timesteps, 1] of any
            dtype; a list of masks, one for each input, of which the first counts.
        batch: Number of rows.
        timesteps: Number of timesteps.

    Raises:
        ValueError: If the shape differs.
    """
    if isinstance(mask, (list, tuple)) and mask and getattr(mask[0], "ndim", 0) >= 2:
        mask = mask[0]
    array = np.asarray(value(mask))
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.shape != (batch, timesteps):
        expected = shape_text((batch, timesteps))
        raise ValueError(f"mask: expected shape {expected}, got {shape_text(array.shape)}")
    return np.ascontiguousarray(array, np.bool_)
