"""The base of all layers: building, checks of what comes in, calling."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timeloom import backend, regularizers
from timeloom.arguments import no_more
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray, is_recorded
from timeloom.layers.running import RunningLayer, checked_mask
from timeloom.layers.shapes import Shape, float_dtype, full_shape, take_input_shape
from timeloom.packed import Packed

__all__ = ["KerasTensor", "Layer"]


class KerasTensor:
    """What Input() returns: a shape and a dtype that stand for data to come.

    Args:
        shape: With the batch first; None where any size may come.
        dtype: Name of the dtype.
        origin: The InputLayer it came from.
    """

    def __init__(self, shape: Shape, dtype: str, origin: "Layer") -> None:
        self.shape = shape
        self.dtype = dtype
        self.origin = origin
        self.name = origin.name

    def __repr__(self) -> str:
        return f"<KerasTensor shape={shape_text(self.shape)}, dtype={self.dtype}, name={self.name}>"


def _built_once(build: Callable[..., None]) -> Callable[..., None]:
    """Makes a build method set `built`, do nothing on a built layer and leave no half-built one."""

    @functools.wraps(build)
    def built_once(self: Any, input_shape: Any = None) -> None:
        if self.built:
            return
        shape = None
        if input_shape is not None or not self._finds_input_shape:
            shape = full_shape("input_shape", input_shape)
        with self.or_as_before():
            build(self, shape)
        self.built = True
        self.built_shape = self.built_shape or shape

    return built_once


class Layer(RunningLayer):
    """A function of arrays with weights: the base of every layer and of user-written ones.

    A subclass creates its weights with `add_weight` in `build(input_shape)`, computes with ops or NumPy
    operators in `call(inputs)`, and so needs no backward of its own. If `call` has arguments ``training`` and
    ``mask``, it gets them; with ``supports_masking = True`` the mask passes on to the next layer, and
    `compute_mask` says so of another one. With ``acts_per_timestep = True`` it also gets sequences of unequal
    lengths, all their timesteps on one axis.

    Args:
        activity_regularizer: Penalty on the outputs, divided by the batch size; masked timesteps are left out
            (Keras counts them). Default None.
        trainable: Whether training changes the weights. Default True.
        dtype: ``"float32"`` or ``"float64"``. Default None: `timeloom.backend.floatx()`.
        name: Default None: the class name in snake case, numbered from the second layer on.
        **kwargs: ``input_shape`` (without the batch), ``batch_input_shape``, ``batch_size`` and ``input_dim``
            let a first layer build at once; ``weights`` gives initial weights, as in Keras 2.

    Raises:
        ValueError: If an argument is unknown.
        NotImplementedError: If dtype is another one.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> layer = Scale()
        >>> layer(np.ones((1, 3))), layer.count_params()
        (array([[1., 1., 1.]], dtype=float32), 3)
    """

    # Number of dimensions of the inputs, and the smallest; None: any.
    input_rank: int | None = None
    min_input_rank: int | None = None
    # Set by build: the size of the last axis of the inputs; None: any.
    input_features: int | None = None
    # Whether build(None) may find the shape by itself.
    _finds_input_shape = False
    # Whether input_dim of a first layer counts features behind an axis of timesteps.
    _takes_sequences = False
    # Whether build needs the size of the batch.
    _builds_with_batch = False
    # Whether traced inputs must have the layer's dtype.
    dtype_matters = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.build)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        initial_weights = kwargs.pop("weights", None)
        self.batch_input_shape = take_input_shape(kwargs, self._takes_sequences)
        no_more(type(self).__name__, kwargs)
        super().__init__(trainable)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype = float_dtype(dtype)
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"name: expected a string without '/', got {name!r}")
        self.name = backend.auto_name(type(self).__name__) if name is None else name
        self.built = False
        self.built_shape: Shape | None = None
        self._initial_weights = initial_weights
        self._activity_loss = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # ---- what a subclass writes ---------------------------------------------------------------------------

    @_built_once
    def build(self, input_shape: Shape) -> None:
        """Creates the weights for inputs of that shape, with the batch first. Runs once."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Returns the shape of the outputs for inputs of that shape; needs no weights.

        The base class calls the layer on zeros, twice if a size is not known, so it needs a built layer.
        """
        if not self.built:
            self.build(input_shape)

        def shape_for(size: int) -> tuple[int, ...]:
            zeros = np.zeros([size if known is None else known for known in input_shape], self.dtype)
            outputs = self.call(zeros)
            found: tuple[int, ...] = (outputs[0] if isinstance(outputs, tuple) else outputs).shape
            return found

        found: Shape = shape_for(1)
        if None in input_shape[1:]:
            found = tuple(a if a == b else None for a, b in zip(found, shape_for(2), strict=True))
        return (None if input_shape[0] is None else found[0], *found[1:])

    # ---- calling ------------------------------------------------------------------------------------------

    def cast_inputs(self, name: str, inputs: Any) -> NDArray[Any]:
        """Returns data in the dtype and layout that `call` takes.

        Raises:
            TypeError: If it does not hold real numbers.
            ValueError: If it holds lists of unequal lengths.
        """
        return real_array(name, inputs, self.dtype)

    def check_input_shape(self, shape: Shape) -> None:
        """Refuses inputs of a shape that the layer does not take.

        Raises:
            ValueError: If the number of dimensions or of features differs.
        """
        rank, least = self.input_rank, self.min_input_rank
        if (rank is not None and len(shape) != rank) or (least is not None and len(shape) < least):
            words = f"{rank}" if rank is not None else f"at least {least}"
            raise ValueError(
                f"inputs: expected {words} dimensions for {self.name!r}, got shape {shape_text(shape)}"
            )
        if self.input_features is not None and shape[-1] not in (self.input_features, None):
            raise ValueError(
                f"inputs: expected {self.input_features} features on the last axis for {self.name!r}, "
                f"got shape {shape_text(shape)}"
            )

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Checks and casts the inputs, builds if this is the first call, and computes.

        Args:
            inputs: Array with the batch first, of any real dtype, a Packed (sequences of unequal lengths), or
                what another layer returned. While a tape records, a Variable that it follows must have the
                layer's dtype.
            *args: More arguments of `call`.
            **kwargs: ``training`` (default False), ``mask`` (which timesteps are valid, shape
                [batch, timesteps]; default None: all) and more arguments of `call`.

        Returns:
            What `call` returns: arrays, or traced arrays while a GradientTape records.

        Raises:
            ValueError: If a shape does not fit.
            TypeError: If the inputs are no real numbers.
        """
        if isinstance(inputs, KerasTensor):
            raise NotImplementedError("inputs: functional models of Input() are not implemented yet")
        inputs = self.checked_inputs(inputs)
        if kwargs.get("mask") is not None:
            kwargs["mask"] = self.checked_masks(kwargs["mask"], inputs)
        if self.built:
            self.check_input_shape(inputs.shape)
            return self.run(inputs, *args, **kwargs)
        with self.or_as_before():
            self.build_for(inputs.shape)
            return self.run(inputs, *args, **kwargs)

    def checked_inputs(self, inputs: Any) -> Any:
        """Returns inputs that `run` takes: cast, or as they are if a tape follows them.

        Raises:
            TypeError: If they are no real numbers, or a tape follows them in another dtype.
        """
        if isinstance(inputs, Packed):
            return inputs.with_values(self.checked_inputs(inputs.values))
        if isinstance(inputs, TracedArray) or is_recorded(inputs):
            if inputs.dtype.name != self.dtype and self.dtype_matters:
                raise TypeError(f"inputs: expected dtype {self.dtype} for {self.name!r}, got {inputs.dtype}")
            return inputs
        return self.cast_inputs("inputs", inputs)

    def checked_masks(self, mask: Any, inputs: Any) -> Any:
        """Returns an explicit mask that `run` takes for these inputs.

        Raises:
            ValueError: If it does not fit them.
        """
        if isinstance(mask, (list, tuple)) and mask and (mask[0] is None or getattr(mask[0], "ndim", 0) > 1):
            # What compute_mask of a layer of several outputs returned; the first are the inputs here.
            mask = mask[0]
        return mask if mask is None or isinstance(inputs, Packed) else checked_mask(mask, inputs.shape)

    def build_for(self, shape: Shape) -> None:
        """Builds for inputs of that shape, or leaves the layer as it was.

        Raises:
            ValueError: If the layer does not take the shape.
            MemoryError: If the weights do not fit into memory.
        """
        with self.or_as_before():
            self.check_input_shape(shape)
            self.build(shape if self._builds_with_batch else (None, *shape[1:]))
            if self._initial_weights is not None:
                self.set_weights(self._initial_weights)
                self._initial_weights = None

    @contextlib.contextmanager
    def or_as_before(self) -> Iterator[None]:
        """Takes building back, of this layer and of its parts, if an error ends the with block."""
        state = [] if self.built else [(owner, dict(vars(owner))) for owner in self.flat_parts()]
        try:
            yield
        except BaseException:
            for owner, attributes in state:
                vars(owner).clear()
                vars(owner).update(attributes)
            raise

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, as Keras writes them."""
        policy = {"name": self.dtype}
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": policy,
                "registered_name": None,
            },
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds an unbuilt layer from `get_config()`."""
        return cls(**config)
