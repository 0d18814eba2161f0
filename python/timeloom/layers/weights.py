"""Weights of a layer: creating, listing, counting, reading and writing them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeloom import constraints, initializers, regularizers
from timeloom.arguments import flag, integer, not_implemented
from timeloom.arrays import real_array, shape_text
from timeloom.layers.shapes import check_memory, float_dtype
from timeloom.variables import Variable

__all__ = ["WeightOwner"]


class WeightOwner:
    """Something that has weights of its own or parts that do: what layers and models share."""

    name: str
    dtype: str
    built: bool

    def __init__(self, trainable: bool) -> None:
        self._trainable = flag("trainable", trainable)
        self._trainable_variables: tuple[Variable, ...] = ()
        self._other_variables: tuple[Variable, ...] = ()

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Creates a weight of this layer.

        Args:
            shape: Its sizes. Default None: a scalar.
            initializer: Name, instance or callable. Default None: glorot_uniform.
            dtype: Default None: the layer's.
            trainable: Whether training may change it. Default True.
            autocast: True; False is not implemented yet.
            regularizer: Penalty added to the loss. Default None.
            constraint: Applied after every update. Default None.
            aggregation: ``"none"``; others are not implemented yet.
            overwrite_with_gradient: False; True is not implemented yet.
            name: Default None: ``"variable"``.

        Returns:
            The Variable.

        Raises:
            ValueError: If the initializer is unknown or gives another shape.
            MemoryError: If this machine cannot hold the weight.
        """
        not_implemented("autocast", autocast, (True,))
        not_implemented("aggregation", aggregation, ("none", None))
        not_implemented("overwrite_with_gradient", overwrite_with_gradient, (False,))
        sizes = tuple(integer("shape", size) for size in (() if shape is None else shape))
        name = "variable" if name is None else name
        dtype = self.dtype if dtype is None else float_dtype(dtype)
        check_memory(f"{self.name}/{name}", sizes, np.dtype(dtype).itemsize)
        initialize = initializers.get("glorot_uniform" if initializer is None else initializer)
        assert initialize is not None
        values = real_array("initializer", initialize(sizes, dtype=dtype), dtype)
        if values.shape != sizes:
            raise ValueError(f"initializer: expected values of shape {sizes}, got {values.shape}")
        trainable = flag("trainable", trainable)
        variable = Variable(values, dtype=dtype, trainable=trainable and self._trainable, name=name)
        variable.path = f"{self.name}/{name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        # Rebound, not appended to: whoever took the layer's state can put it back.
        if trainable:
            self._trainable_variables = (*self._trainable_variables, variable)
        else:
            self._other_variables = (*self._other_variables, variable)
        return variable

    def parts(self) -> Iterator["WeightOwner"]:
        """Yields the layers held as attributes, alone or in lists, in the order of assignment."""
        for attribute in vars(self).values():
            for item in attribute if isinstance(attribute, (list, tuple)) else (attribute,):
                if isinstance(item, WeightOwner):
                    yield item

    def flat_parts(self) -> Iterator["WeightOwner"]:
        """Yields this object and every part of a part, each once."""
        seen: set[int] = set()
        waiting: list[WeightOwner] = [self]
        while waiting:
            owner = waiting.pop(0)
            if id(owner) not in seen:
                seen.add(id(owner))
                yield owner
                waiting[:0] = owner.parts()

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it reaches all parts."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = flag("trainable", value)
        for owner in self.flat_parts():
            owner._trainable = value
            for variable in owner._trainable_variables:
                variable.trainable = value

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes, in the order of creation."""
        owners = self.flat_parts() if self._trainable else ()
        return [v for owner in owners if owner._trainable for v in owner._trainable_variables]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves as they are."""
        trainable = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.weights if id(variable) not in trainable]

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer, in each the trainable ones first."""
        return [
            variable
            for owner in self.flat_parts()
            for variable in (*owner._trainable_variables, *owner._other_variables)
        ]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[NDArray[Any]]:
        """Returns copies of all weights, in the order of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Writes all weights; nothing is written unless every one fits.

        Args:
            weights: As many arrays of the same shapes as `get_weights` returns.

        Raises:
            ValueError: If the number or a shape differs.
            TypeError: If one does not hold real numbers.
        """
        variables = self.weights
        if not isinstance(weights, (Sequence, np.ndarray)) or isinstance(weights, (str, bytes)):
            raise ValueError(f"weights: expected a list of arrays, got {type(weights).__name__}")
        if len(weights) != len(variables):
            raise ValueError(
                f"weights: expected {len(variables)} arrays for {self.name!r}, got {len(weights)}"
                + ("" if self.built else f" ({self.name!r} is not built yet)")
            )
        values = []
        for i, (variable, weight) in enumerate(zip(variables, weights, strict=True)):
            array = real_array(f"weights[{i}]", weight, variable.dtype)
            if array.shape != variable.shape:
                expected, got = shape_text(variable.shape), shape_text(array.shape)
                raise ValueError(f"weights[{i}]: expected shape {expected} of {variable.path!r}, got {got}")
            values.append(array)
        for variable, array in zip(variables, values, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """Returns the number of all weight elements.

        Raises:
            ValueError: If the weights do not exist yet.
        """
        if not self.built:
            raise ValueError(f"count_params: expected {self.name!r} to be built, got a layer without weights")
        return sum(int(variable.size) for variable in self.weights)
