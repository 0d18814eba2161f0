"""Input and InputLayer: the shape of the data, said before there is any."""

from typing import Any

from timeloom.arguments import no_more, not_implemented, positive_integer
from timeloom.layers.base import KerasTensor, Layer
from timeloom.layers.shapes import Shape, full_shape

__all__ = ["Input", "InputLayer"]

_DTYPES = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")


class InputLayer(Layer):
    """Holds the shape and dtype of a model's input; returns what it gets.

    Args:
        shape: Sizes without the batch, None where any may come.
        batch_size: Size of the batch. Default None: any.
        dtype: Name of the dtype of the data. Default None: `timeloom.backend.floatx()`.
        sparse: None or False; not implemented yet.
        ragged: None or False; not implemented yet.
        batch_shape: Sizes with the batch, instead of shape and batch_size.
        input_tensor: None; not implemented yet.
        optional: False; not implemented yet.
        name: Default None: ``"input_layer"``, numbered.
        **kwargs: ``input_shape`` and ``batch_input_shape`` of Keras 2.

    Raises:
        ValueError: If there is no shape or two.
    """

    dtype_matters = False

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        not_implemented("sparse", sparse, (None, False))
        not_implemented("ragged", ragged, (None, False))
        not_implemented("input_tensor", input_tensor, (None,))
        not_implemented("optional", optional, (False,))
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        no_more("InputLayer", kwargs)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"shape: expected either shape or batch_shape, got {shape!r} and {batch_shape!r}"
            )
        if dtype is not None and str(dtype) not in _DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, got {dtype!r}")
        super().__init__(name=name)
        self.dtype = self.dtype if dtype is None else str(dtype)
        if batch_shape is not None:
            self.batch_shape: Shape = full_shape("batch_shape", batch_shape)
        else:
            size = None if batch_size is None else positive_integer("batch_size", batch_size)
            self.batch_shape = (size, *full_shape("shape", shape))
        self.batch_input_shape = self.batch_shape
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: ARG002
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """Says which data a model takes: the first entry of a Sequential.

    Args:
        shape: Sizes without the batch, None where any may come.
        batch_size: Size of the batch. Default None: any.
        dtype: Name of the dtype of the data. Default None: `timeloom.backend.floatx()`.
        sparse: None or False; not implemented yet.
        ragged: None or False; not implemented yet.
        batch_shape: Sizes with the batch, instead of shape and batch_size.
        name: Name of the InputLayer. Default None.
        tensor: None; not implemented yet.
        optional: False; not implemented yet.

    Returns:
        A placeholder for Sequential.

    Example:
        >>> Input(shape=(28, 3), name="rows")
        <KerasTensor shape=(None, 28, 3), dtype=float32, name=rows>
    """
    not_implemented("tensor", tensor, (None,))
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        optional=optional,
        name=name,
    )
    return KerasTensor(layer.batch_shape, layer.dtype, layer)
