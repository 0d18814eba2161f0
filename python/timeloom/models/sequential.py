"""Sequential: layers, each on the outputs of the one before."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timeloom import layers as layers_module
from timeloom.arrays import shape_text
from timeloom.layers import Embedding, InputLayer, KerasTensor, Layer, Masking
from timeloom.layers.shapes import Shape, full_shape
from timeloom.layers.states import states_kept
from timeloom.models.batches import Batch, Samples
from timeloom.models.model import Model
from timeloom.models.samples import is_list_of_rows
from timeloom.packed import Packed

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers with one input and one output.

    It builds at once if the first layer says its input shape (Input, input_shape, input_dim,
    batch_input_shape), and otherwise from the first data.

    A mask (of Embedding(mask_zero=True) or Masking, or given as ``model(x, mask=...)``) goes from layer to
    layer, and with the outputs to loss and metrics.

    Args:
        layers: List of layers. Default None: none yet, `add` brings them.
        trainable: Whether training changes the weights. Default True.
        name: Default None: ``"sequential"``, numbered.

    Raises:
        ValueError: If an entry is no layer, a name comes twice, or shapes do not fit.

    Reference:
        keras.Sequential.

    Example:
        >>> from timeloom.layers import LSTM, Dense
        >>> model = Sequential([LSTM(8, input_shape=(5, 1)), Dense(1)])
        >>> model.output_shape, model.count_params()
        ((None, 1), 329)

        One to one: a vector in, a vector out, no time.

        >>> import numpy as np
        >>> from timeloom.layers import GRU, Input, RepeatVector, TimeDistributed
        >>> one, many = np.ones((4, 3)), np.ones((4, 5, 3))  # 4 samples of 3 features; of 5 timesteps of them
        >>> Sequential([Dense(8, activation="tanh"), Dense(2)]).predict(one, verbose=0).shape
        (4, 2)

        One to many: the vector at every timestep, for a layer that returns all of its outputs.

        >>> stack = [RepeatVector(5), GRU(8, return_sequences=True), Dense(2)]
        >>> Sequential(stack).predict(one, verbose=0).shape
        (4, 5, 2)

        Many to one: only the last output of a sequence.

        >>> Sequential([GRU(8), Dense(2)]).predict(many, verbose=0).shape
        (4, 2)

        Many to many: an output for each timestep, or a sequence of another length made from the last one.

        >>> stack = [GRU(8, return_sequences=True), TimeDistributed(Dense(2))]
        >>> Sequential(stack).predict(many, verbose=0).shape
        (4, 5, 2)
        >>> stack = [GRU(8), RepeatVector(7), GRU(8, return_sequences=True), Dense(2)]
        >>> Sequential(stack).predict(many, verbose=0).shape
        (4, 7, 2)
    """

    _finds_input_shape = True

    def __init__(
        self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self._input_layer: InputLayer | None = None
        # Rebound, not appended to: whoever took the model's state can put it back.
        self._layers: tuple[Layer, ...] = ()
        # Sizes without the batch that every layer has been asked about.
        self._checked_sizes: Shape | None = None
        self.built = False
        if layers is not None:
            if not isinstance(layers, Iterable) or isinstance(layers, (str, Mapping)):
                raise ValueError(f"layers: expected a list of layers, got {layers!r}")
            for layer in layers:
                self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the InputLayer."""
        return list(self._layers)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top.

        Args:
            layer: Layer, model, or what Input() returned (first only).
            rebuild: Whether to build the layer now if the shape of its inputs is known. Default True.

        Raises:
            ValueError: If it is no layer, its name is taken, or it does not fit. The model is as before.
        """
        if isinstance(layer, KerasTensor):
            layer = layer.origin
        if not isinstance(layer, Layer):
            raise ValueError(f"layer: expected a Layer, got {layer!r}")
        if isinstance(layer, InputLayer):
            if self._input_layer is not None or self._layers:
                raise ValueError(f"layer: expected an InputLayer only as the first, got {layer.name!r} later")
            self._input_layer = layer
            self.dtype = layer.dtype if layer.dtype in ("float32", "float64") else self.dtype
            return
        if any(layer is other or layer.name == other.name for other in self._layers):
            raise ValueError(f"layer: expected a name of its own, got {layer.name!r} for the second time")
        if not self._layers and self._input_layer is None and layer.batch_input_shape is not None:
            given = InputLayer(batch_shape=layer.batch_input_shape, dtype=_input_dtype(layer))
            shape: Shape | None = given.batch_shape
        else:
            given = None
            shape = self._top_shape() if rebuild else None
        if shape is not None:
            self._build_layer(layer, shape, self._layers[-1] if self._layers else None)
        if given is not None:
            self._input_layer = given
        self._layers = (*self._layers, layer)
        self._resolved = self._checked_sizes = None
        if not self._trainable:
            layer.trainable = False
        self.built = shape is not None
        self.built_shape = self._bottom_shape() if self.built else None

    def pop(self, rebuild: bool = True) -> Layer:  # noqa: ARG002
        """Takes the top layer off and returns it.

        Raises:
            ValueError: If there is no layer.
        """
        if not self._layers:
            raise ValueError(f"pop: expected a layer in {self.name!r}, got none")
        layer = self._layers[-1]
        self._layers = self._layers[:-1]
        self._resolved = self._checked_sizes = None
        if not self._layers:
            self.built = False
            self.built_shape = None
        return layer

    # ---- shapes -------------------------------------------------------------------------------------------

    def _bottom_shape(self) -> Shape | None:
        return self.built_shape if self._input_layer is None else self._input_layer.batch_shape

    def _top_shape(self) -> Shape | None:
        """The shape that comes out of the top layer, None while it is not known."""
        shape = self._bottom_shape()
        return None if shape is None else self.compute_output_shape(shape)

    def _build_layer(self, layer: Layer, shape: Any, below: Layer | None) -> None:
        if shape and isinstance(shape[0], tuple):
            raise ValueError(
                f"return_state: expected False below {layer.name!r}, got a layer of {len(shape)} outputs"
            )
        if below is not None and layer.dtype_matters and layer.dtype != _output_dtype(below):
            raise ValueError(
                f"dtype: expected {_output_dtype(below)} for {layer.name!r}, as {below.name!r} below it has, "
                f"got {layer.dtype}"
            )
        if layer.built:
            layer.check_input_shape(shape)
        else:
            layer.build_for(shape)

    def build(self, input_shape: Any = None) -> None:
        """Builds every layer.

        Args:
            input_shape: Shape with the batch first. Default None: what Input or the first layer said.

        Raises:
            ValueError: If it is not known or does not fit.
        """
        shape = self._bottom_shape()
        if shape is None:
            if input_shape is None:
                raise ValueError("input_shape: expected a shape, got None and no layer that says one")
            shape = full_shape("input_shape", input_shape)
        if not self._layers:
            raise ValueError(f"build: expected a layer in {self.name!r}, got none: call add()")
        bottom = shape
        below: Layer | None = None
        for layer in self._layers:
            self._build_layer(layer, shape, below)
            shape = layer.compute_output_shape(shape)
            below = layer
        self.built_shape = bottom

    def check_input_shape(self, shape: Shape) -> None:
        """Refuses inputs of another shape than the model was built for.

        Raises:
            ValueError: If the number of dimensions or a fixed size differs.
        """
        expected = None if self._input_layer is None else self._input_layer.batch_shape
        if expected is not None:
            same = len(shape) == len(expected) and all(
                size is None or given is None or size == given
                for size, given in zip(expected[1:], shape[1:], strict=True)
            )
            if not same:
                raise ValueError(
                    f"inputs: expected shape {shape_text((None, *expected[1:]))} for {self.name!r}, "
                    f"got {shape_text(shape)}"
                )
        if not self._layers:
            raise ValueError(f"inputs: expected a layer in {self.name!r}, got none: call add()")
        if shape[1:] == self._checked_sizes:
            return
        sizes, shape = shape[1:], (None, *shape[1:])
        for layer in self._layers:
            layer.check_input_shape(shape)
            shape = layer.compute_output_shape(shape)
        self._checked_sizes = sizes

    def compute_output_shape(self, input_shape: Shape) -> Any:
        shape: Any = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def output_dtype(self) -> str:
        return _output_dtype(self._layers[-1]) if self._layers else self.dtype

    @property
    def dtype_matters(self) -> bool:  # type: ignore[override]
        """Whether traced inputs must have the dtype of the first layer."""
        return bool(self._layers) and self._layers[0].dtype_matters

    # ---- computing ----------------------------------------------------------------------------------------

    def ready(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, prefix: str = ""
    ) -> Batch:
        x = self._sequences(f"{prefix}x", x)
        if isinstance(x, Packed) and is_list_of_rows(sample_weight, 1):
            # One for each timestep, if they are as many; where all lengths are equal, only x says so.
            weights = Packed.from_sequences(sample_weight, f"{prefix}sample_weight")
            sample_weight = weights if np.array_equal(weights.lengths, x.lengths) else sample_weight
        return super().ready(x, y, sample_weight, class_weight, prefix)

    def ready_inputs(self, name: str, x: Any) -> Samples:
        inputs = super().ready_inputs(name, self._sequences(name, x))
        expected = None if self._input_layer is None else self._input_layer.batch_shape
        if isinstance(inputs, Packed) and expected is not None and expected[1] is not None:
            raise ValueError(
                f"{name}: expected {expected[1]} timesteps for {self.name!r} as its input shape says, "
                "got sequences of unequal lengths"
            )
        return inputs

    def _sequences(self, name: str, x: Any) -> Any:
        """Returns a list of arrays of one axis less than the inputs as what it means, anything else as it is.

        It means sequences, of unequal lengths or by chance of one, also a single one or none; but rows of an
        array if their lengths are equal and the layers or the input shape want one length, or the first layer
        masks some of their timesteps.
        """
        shape = self._known_shape()
        if shape is None or len(shape) < 2 or not is_list_of_rows(x, len(shape) - 1):
            return x
        if len(x) == 0:
            return np.zeros((0, *(size or 1 for size in shape[1:]))) if self.built else x
        rows = np.stack(list(x)) if len({row.shape for row in x}) == 1 else None
        if self._takes_sequences_of(shape) and (rows is None or not self._masks_some(rows)):
            return Packed.from_sequences(x, name)
        return x if rows is None else rows

    def _masks_some(self, rows: NDArray[Any]) -> bool:
        """Whether the first layer finds padding in the rows."""
        first = self._layers[0]
        mask = first.compute_mask(rows) if isinstance(first, (Embedding, Masking)) else None
        return mask is not None and not mask.all()

    def _known_shape(self) -> Shape | None:
        """The shape of the inputs, as far as the layers know it before the first data."""
        shape = self._bottom_shape()
        if shape is not None or not self._layers:
            return shape
        # An Embedding takes indices of any shape, and adds the axis that the layer above wants.
        lookup = isinstance(self._layers[0], Embedding)
        rank = self._layers[min(int(lookup), len(self._layers) - 1)].input_rank
        return None if rank is None else (None,) * (rank - lookup)

    def _takes_sequences_of(self, shape: Shape) -> bool:
        """Whether the layers take inputs of that shape as sequences of any lengths."""
        if self._input_layer is not None and shape[1] is not None:
            return False
        if len(shape) == 2 and self.dtype_matters:
            # A row of features has no timesteps, a row of indices has.
            return False
        passed: Any = (None, None, *shape[2:])
        for layer in self._layers:
            if not layer.acts_per_timestep and not layer._takes_packed:
                return False
            if not self.built:
                # What comes out of a layer is known when it is built: until then the first one decides.
                return True
            passed = layer.compute_output_shape(passed)
            if passed[1:2] != (None,):
                return True
        return True

    def cast_inputs(self, name: str, inputs: Any) -> NDArray[Any]:
        if not self._layers:
            raise ValueError(f"{name}: expected a layer in {self.name!r}, got none: call add()")
        return self._layers[0].cast_inputs(name, inputs)

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        return self._through_layers(inputs, training, mask)[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask of the outputs; it runs every layer, as a mask may depend on what one computes.

        The states of stateful layers stay as they are.

        Raises:
            ValueError: If the model has not been built.
        """
        if not self.built:
            raise ValueError(
                f"compute_mask: expected a built model, got {self.name!r} before its first data: call build()"
            )
        with states_kept(self):
            return self._through_layers(inputs, False, mask)[1]

    def run_with_mask(self, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        own_call = type(self).call is not Sequential.call
        return (super().run_with_mask if own_call else self._through_layers)(inputs, *args, **kwargs)

    def _through_layers(self, inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Any]:
        """Outputs and their mask: that of the outputs of one layer is that of the inputs of the next."""
        for layer in self._layers:
            inputs, mask = layer.run_with_mask(inputs, mask=mask, training=training)
        return inputs, mask

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Returns name and layers as Keras writes them; `from_config` makes a model of new weights."""
        stack = [*([] if self._input_layer is None else [self._input_layer]), *self._layers]
        config = super().get_config()
        config["layers"] = [layers_module.serialize(layer) for layer in stack]
        if self.built_shape is not None:
            config["build_input_shape"] = self.built_shape
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Builds the model that `get_config()` describes, with new weights.

        Args:
            config: As get_config returned it.
            custom_objects: Classes of your own by name: layers, cells, models. Default None.

        Raises:
            ValueError: If a class is unknown.
        """
        model = cls(
            [layers_module.deserialize(layer, custom_objects) for layer in config["layers"]],
            trainable=config.get("trainable", True),
            name=config.get("name"),
        )
        if not model.built and model._layers and config.get("build_input_shape") is not None:
            model.build_for(full_shape("build_input_shape", config["build_input_shape"]))
        return model


def _output_dtype(layer: Layer) -> str:
    return layer.output_dtype if isinstance(layer, Model) else layer.dtype


def _input_dtype(layer: Layer) -> str:
    return layer.dtype if layer.dtype_matters else "int32"
