"""The base of SimpleRNN, GRU, LSTM: an RNN that makes its built-in cell itself. A cell adds its own file."""

from collections.abc import Mapping
from typing import Any, Self

from timeloom import backend
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.rnn import RNN

__all__ = ["RecurrentLayer"]


def _of_cell(name: str) -> Any:
    """A read-only attribute that the cell holds."""
    return property(lambda layer: getattr(layer.cell, name), doc=f"As the cell's {name}.")


class RecurrentLayer(RNN):
    """A layer over one cell of the kernels, which it makes from its own arguments.

    A subclass names the class of its cell; a constructor of its own is only there to list the arguments.

    Args:
        units: Number of hidden units, a positive integer.
        **kwargs: Arguments of the cell, of RNN and of every layer.

    Raises:
        ValueError: If an argument is not legal or unknown.
    """

    cell_class: type[RecurrentCell]

    def __init__(self, units: int, **kwargs: Any) -> None:
        options = {name: kwargs.pop(name) for name in self.cell_class.options() if name in kwargs}
        cell = self.cell_class(
            units,
            **options,
            name=backend.snake_case(self.cell_class.__name__),
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(cell, **kwargs)

    units = _of_cell("units")
    activation = _of_cell("activation")
    recurrent_activation = _of_cell("recurrent_activation")
    use_bias = _of_cell("use_bias")
    kernel_initializer = _of_cell("kernel_initializer")
    recurrent_initializer = _of_cell("recurrent_initializer")
    bias_initializer = _of_cell("bias_initializer")
    kernel_regularizer = _of_cell("kernel_regularizer")
    recurrent_regularizer = _of_cell("recurrent_regularizer")
    bias_regularizer = _of_cell("bias_regularizer")
    kernel_constraint = _of_cell("kernel_constraint")
    recurrent_constraint = _of_cell("recurrent_constraint")
    bias_constraint = _of_cell("bias_constraint")
    dropout = _of_cell("dropout")
    recurrent_dropout = _of_cell("recurrent_dropout")
    zoneout = _of_cell("zoneout")
    seed = _of_cell("seed")
    implementation = _of_cell("implementation")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        return {**config, **self.cell.own_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:  # noqa: ARG003
        """Builds the unbuilt layer that get_config wrote."""
        return cls(**config)
