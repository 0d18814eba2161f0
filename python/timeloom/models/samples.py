"""What users hand in as data: one array, or a list of sequences of unequal lengths, with weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom.arguments import integer, number
from timeloom.arrays import shape_text
from timeloom.packed import Packed

__all__ = [
    "check_counts",
    "class_weights",
    "is_list_of_rows",
    "sequence_targets",
    "single_input",
    "step_weights",
]


def single_input(name: str, value: Any) -> Any:
    """Returns the one array or Packed that value means, out of a list or dict of one if need be.

    A list of arrays of unequal lengths is a list of sequences, and becomes a Packed.

    Raises:
        ValueError: If there is none, or several.
        NotImplementedError: If value is a generator or another iterator of batches.
    """
    if value is None:
        raise ValueError(f"{name}: expected an array, got None")
    if isinstance(value, Packed):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        value = list(value)
    # A list of arrays is several inputs or sequences, a list of numbers or of lists is data.
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, np.ndarray) for item in value):
        if len(value) == 1:
            return value[0]
        if isinstance(value, list) and _unequal(value):
            return Packed.from_sequences(value, name)
        if value[0].ndim > 1 or isinstance(value, tuple):
            raise ValueError(
                f"{name}: expected one array, got {len(value)}"
                + ("" if isinstance(value, tuple) else " (np.stack joins sequences of one length)")
            )
    is_data = hasattr(value, "__array__") or isinstance(value, (list, tuple, int, float, str, bytes))
    if not is_data and hasattr(value, "__iter__"):
        raise NotImplementedError(
            f"{name}: expected an array, got {type(value).__name__}: iterators are not implemented yet"
        )
    return value


def _unequal(arrays: list[NDArray[Any]]) -> bool:
    return all(array.ndim for array in arrays) and len({len(array) for array in arrays}) > 1


def is_list_of_rows(value: Any, axes: int) -> bool:
    """Returns whether value is a list (or an array of dtype object) of arrays of so many axes, or of none."""
    if isinstance(value, np.ndarray):
        if value.dtype != object or value.ndim != 1:
            return False
    elif not isinstance(value, list):
        return False
    return all(isinstance(row, np.ndarray) and row.ndim == axes for row in value)


def sequence_targets(name: str, value: Any, inputs: Packed) -> Packed:
    """Returns targets for every timestep of the inputs.

    Args:
        name: For messages.
        value: List of arrays [timesteps, ...], one for each sequence of the inputs, or a Packed; for inputs
            of one length also an array [batch, timesteps, ...].
        inputs: The inputs.

    Raises:
        ValueError: If there is another number of sequences or of timesteps.
    """
    if isinstance(value, (list, tuple)):
        value = Packed.from_sequences(value, name)
    if _fits_one_length(value, inputs):
        value = inputs.with_values(value.reshape(len(inputs.values), *value.shape[2:]))
    if not isinstance(value, Packed):
        shape = shape_text(np.shape(value))
        raise ValueError(
            f"{name}: expected a list of arrays, one for each sequence of the inputs, got shape {shape}"
        )
    if len(value) == len(inputs):
        differing = np.flatnonzero(value.lengths != inputs.lengths)
        if differing.size:
            place = int(differing[0])
            raise ValueError(
                f"{name}[{place}]: expected {inputs.lengths[place]} timesteps as in the inputs, "
                f"got {value.lengths[place]}"
            )
    return value


def _fits_one_length(value: Any, inputs: Packed) -> bool:
    """Whether value is an array [batch, timesteps, ...], and the inputs all have that many timesteps."""
    if not isinstance(value, np.ndarray) or value.ndim < 2 or len(value) != len(inputs):
        return False
    return value.dtype != object and bool((inputs.lengths == value.shape[1]).all())


def step_weights(name: str, weights: Any, inputs: Packed) -> Any:
    """Returns weights for the packed timesteps: given for each, or one for each sequence.

    Weights for each come as a Packed, or as an array [batch, timesteps] if the sequences have one length.

    Raises:
        ValueError: As sequence_targets.
    """
    if isinstance(weights, Packed):
        return sequence_targets(name, weights, inputs).values
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim == 2 and _fits_one_length(weights, inputs):
        return weights.reshape(-1)
    if weights.ndim != 1:
        raise ValueError(
            f"{name}: expected one for each sequence, or a list of arrays, got shape "
            f"{shape_text(weights.shape)}"
        )
    return np.repeat(weights, inputs.lengths)


def check_counts(**data: Any) -> int:
    """Returns the common number of samples.

    Raises:
        ValueError: If the numbers differ or are 0.
    """
    sizes = {}
    for name, array in data.items():
        if array is not None:
            if array.ndim == 0:
                raise ValueError(f"{name}: expected at least one dimension, got a single number")
            sizes[name] = len(array)
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(
            f"{', '.join(sizes)}: expected the same number of samples, got {found}. "
            "Data cardinality is ambiguous"
        )
    name, size = next(iter(sizes.items()))
    if size == 0:
        raise ValueError(f"{name}: expected at least one sample, got 0")
    return size


def class_weights(class_weight: Any, y: NDArray[Any], axes: int = 1) -> NDArray[np.float64]:
    """Returns one weight per label: that of its class, 1 for a class that is not listed.

    Args:
        class_weight: Dict from class number to weight.
        y: Labels of so many axes, or with one more: one-hot rows, or one label in each row.
        axes: 1 for one label per sample, 2 for one per timestep. Default 1.

    Raises:
        ValueError: If class_weight is no such dict.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight: expected a dict, got {type(class_weight).__name__}")
    labels = y
    if y.ndim > axes:
        labels = y[..., 0] if y.shape[-1] == 1 else y.argmax(-1)
    if labels.ndim != axes:
        raise ValueError(f"class_weight: expected labels of {axes} axes, got targets of shape {y.shape}")
    numbers = np.round(labels)
    weights = np.ones(labels.shape)
    for label, weight in class_weight.items():
        weights[numbers == integer("class_weight", label)] = number("class_weight", weight)
    return weights
