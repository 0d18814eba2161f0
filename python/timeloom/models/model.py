"""Model: what every model offers beside training."""

from collections.abc import Callable
from typing import Any

from timeloom.arguments import not_implemented
from timeloom.layers import Layer
from timeloom.layers.shapes import Shape
from timeloom.layers.states import flatten, states_kept
from timeloom.models.summary import summary_lines
from timeloom.models.trainer import Trainer

__all__ = ["Model"]


class Model(Trainer):
    """Base of Sequential, and of models written as a class.

    A subclass creates its layers in ``__init__``, after ``super().__init__()``, and writes ``call(inputs)``,
    with ``training`` and ``mask`` if it wants them. fit and its kin hand one array over, or a Packed if
    sequences have unequal lengths; a model of several inputs overrides `train_step`, or is called with more
    arguments in a loop of one's own. Masks do not travel with arrays: ``call`` hands them on by
    ``layer(x, mask=...)`` and ``layer.compute_mask(x)``, and `compute_mask` says which outputs count in loss
    and metrics.

    Args:
        inputs: Not implemented yet: models of Input() graphs are a later release.
        outputs: Not implemented yet.
        trainable: Whether training changes the weights. Default True.
        dtype: As Layer.
        name: Default None: the class name in snake case, numbered.

    Raises:
        NotImplementedError: If inputs or outputs are given.

    Example:
        >>> import numpy as np
        >>> from timeloom.layers import GRU, Dense, Embedding
        >>> class Tagger(Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.words = Embedding(9, 4, mask_zero=True)
        ...         self.context = GRU(8, return_sequences=True)
        ...         self.tags = Dense(3, activation="softmax")
        ...     def call(self, inputs, training=False):
        ...         mask = self.compute_mask(inputs)
        ...         return self.tags(self.context(self.words(inputs), mask=mask, training=training))
        ...     def compute_mask(self, inputs, mask=None):
        ...         return self.words.compute_mask(inputs)
        >>> Tagger().predict(np.array([[3, 1, 4], [2, 0, 0]]), verbose=0).shape
        (2, 3, 3)
    """

    # Whether its layers take a Packed, they say.
    _takes_packed = True

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        not_implemented("inputs", inputs, (None,))
        not_implemented("outputs", outputs, (None,))
        super().__init__(trainable=trainable, dtype=dtype, name=name)

    @property
    def layers(self) -> list[Layer]:
        """The layers of the model, in order."""
        return [part for part in self.parts() if isinstance(part, Layer)]

    @property
    def stateful(self) -> bool:
        """Whether any layer goes on from the states that the batch before left."""
        return any(getattr(part, "stateful", False) for part in self.flat_parts() if part is not self)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Returns the shape of the outputs for inputs of that shape, found by a call on zeros.

        The states of its layers stay as they are.

        Raises:
            ValueError: If a layer is stateful and has not seen a batch, whose size it keeps.
        """
        if not self.stateful:
            return super().compute_output_shape(input_shape)
        with states_kept(self):
            if input_shape[0] is not None:
                return super().compute_output_shape(input_shape)
            states = [
                state
                for part in self.flat_parts()
                if part is not self and getattr(part, "stateful", False)
                for state in flatten(getattr(part, "states", None) or [])
            ]
            if not states:
                raise ValueError(
                    f"stateful: expected {self.name!r} to be called on a batch first, whose size its layers "
                    "keep"
                )
            found = super().compute_output_shape((states[0].shape[0], *input_shape[1:]))
            return (None, *found[1:])

    @property
    def _builds_with_batch(self) -> bool:  # type: ignore[override]
        return self.stateful

    @property
    def input_shape(self) -> Shape:
        """The shape of the inputs, batch first, None where any size may come.

        Raises:
            AttributeError: If the model has not been built.
        """
        if self.built_shape is None:
            raise AttributeError(
                f"input_shape: expected a built model, got {self.name!r} before its first data"
            )
        return self.built_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs; as input_shape."""
        return self.compute_output_shape(self.input_shape)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Returns a layer by its name or its place.

        Args:
            name: Its name.
            index: Its place, from 0.

        Raises:
            ValueError: If there is no such layer, or both or neither are given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"name, index: expected one of them, got name={name!r}, index={index!r}")
        layers = self.layers
        if index is not None:
            if not isinstance(index, int) or not -len(layers) <= index < len(layers):
                raise ValueError(f"index: expected a place among {len(layers)} layers, got {index!r}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name: expected one of {[layer.name for layer in layers]}, got {name!r}")

    def reset_states(self, rows: Any = None) -> None:
        """Empties the states of all stateful layers, those of models inside the model too.

        Args:
            rows: Which rows of the batch: a list of places, a slice or a mask. Default None: all.

        Raises:
            ValueError: If there are no such rows.

        Reference:
            Model.reset_states of Keras 2, for all rows; Keras 3 has it for layers alone.
        """
        for part in self.flat_parts():
            if (
                not isinstance(part, Model)
                and getattr(part, "stateful", False)
                and hasattr(part, "reset_state")
            ):
                if rows is None:
                    part.reset_state()
                elif hasattr(part, "reset_states"):
                    part.reset_states(rows=rows)

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints a table of the layers with their output shapes and numbers of weights.

        Args:
            line_length: Width in characters. Default None: 88, or less in a narrower terminal.
            positions: Where each column ends, as fractions of the width. Default None.
            print_fn: Called with each line. Default None: print.
            expand_nested: Whether to list the layers of models inside the model. Default False.
            show_trainable: Whether to add a column that says so. Default False.
            layer_range: Names (or patterns) of the first and the last layer to list. Default None: all.

        Raises:
            ValueError: If the width is too small or layer_range names no layers.
        """
        lines = summary_lines(self, line_length, positions, expand_nested, show_trainable, layer_range)
        for line in lines:
            (print_fn or print)(line)
