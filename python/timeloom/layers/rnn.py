"""What all recurrent layers share: options, weights, states. A cell adds its own file on top."""

from typing import Any

import numpy as np

from timeloom import activations, backend, constraints, initializers, ops, regularizers
from timeloom.arguments import flag, integer, not_implemented, number, positive_integer
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape
from timeloom.variables import Variable

__all__ = ["RecurrentLayer"]

# Keyword arguments of a later release, with the values that mean "not used".
_LATER: dict[str, tuple[Any, ...]] = {
    "recurrent_dropout": (0.0, 0),
    "stateful": (False,),
    "zero_output_for_mask": (False,),
    "time_major": (False,),
    "use_cudnn": ("auto", False),
}


class RecurrentLayer(Layer):
    """A layer that runs one cell over time, all timesteps in one call of the kernels.

    A subclass names the cell and the sizes of its weights, and lists its arguments with their defaults;
    those of LSTM explain them all.

    Call arguments:
        sequences: Shape [batch, timesteps, features], at least one timestep.
        initial_state: One array [batch, units], or a list of one for each state. Default None: zeros.
        mask: None; masks are not implemented yet.
        training: Whether dropout acts. Default False.

    Returns:
        Outputs [batch, units], or [batch, timesteps, units] with return_sequences (in the order of
        processing if go_backwards). With return_state a tuple: outputs, then every final state.

    Raises:
        ValueError: If an argument or a shape is not legal.
        NotImplementedError: If an argument has a value of a later release; it names the argument.
    """

    # What a cell's file sets: how many gates its weights hold, and how many states it carries.
    gates = 1
    feeds_back = True  # False: the gates see the input alone, there is no recurrent kernel
    states = 1

    input_rank = 3
    _takes_sequences = True

    def __init__(
        self,
        units: int,
        *,
        activation: Any,
        recurrent_activation: Any = None,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        seed: int | None,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        unroll: bool,
        **kwargs: Any,
    ) -> None:
        for name, unused in _LATER.items():
            not_implemented(name, kwargs.pop(name, unused[0]), unused)
        self.units = positive_integer("units", units)
        self.activation = activations.get(activation)
        self._activations = {"activation": activations.fused_name("activation", self.activation)}
        if recurrent_activation is not None or self.gates > 1:
            self.recurrent_activation = activations.get(recurrent_activation)
            fused = activations.fused_name("recurrent_activation", self.recurrent_activation)
            self._activations["recurrent_activation"] = fused
        self.use_bias = flag("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = min(1.0, max(0.0, number("dropout", dropout)))
        self.seed = None if seed is None else integer("seed", seed)
        self.return_sequences = flag("return_sequences", return_sequences)
        self.return_state = flag("return_state", return_state)
        self.go_backwards = flag("go_backwards", go_backwards)
        # The kernels walk over time either way: unrolling changes neither numbers nor speed.
        self.unroll = flag("unroll", unroll)
        super().__init__(**kwargs)
        self._generator = np.random.default_rng(backend.next_seed() if self.seed is None else self.seed)

    @property
    def cell(self) -> str:
        """The kernels' name of the cell."""
        raise NotImplementedError(f"{type(self).__name__}: expected a property cell, got none")

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.gates * self.units,)

    def first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """The first values of the bias."""
        assert self.bias_initializer is not None
        return self.bias_initializer(shape, dtype=dtype)

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"input_shape: expected a known number of features, got {shape_text(input_shape)}"
            )
        self.kernel = self.add_weight(
            (features, self.gates * self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.feeds_back:
            self.recurrent_kernel: Any = self.add_weight(
                (self.units, self.gates * self.units),
                self.recurrent_initializer,
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
                name="recurrent_kernel",
            )
        else:
            self.recurrent_kernel = np.empty((self.units, 0), self.dtype)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape(),
                self.first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_features = features

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        initial_state = kwargs.pop("initial_state", None)
        if args:
            initial_state, *args_left = args
            args = tuple(args_left)
        # Keras 2: layer([x, h, c]); data as plain lists have numbers where these have arrays.
        several = isinstance(inputs, (list, tuple)) and len(inputs) == self.states + 1
        if several and initial_state is None and all(hasattr(item, "shape") for item in inputs):
            inputs, *initial_state = inputs
        if initial_state is not None:
            initial_state = self._cast_states(initial_state, inputs)
        return super().__call__(inputs, initial_state, *args, **kwargs)

    def _cast_states(self, initial_state: Any, sequences: Any) -> list[Any]:
        given = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(given) != self.states:
            raise ValueError(f"initial_state: expected {self.states} for {self.name!r}, got {len(given)}")
        batch = len(sequences) if not hasattr(sequences, "shape") else sequences.shape[0]
        states = []
        for state in given:
            array = state
            if not isinstance(state, (TracedArray, Variable)):
                array = real_array("initial_state", state, self.dtype)
            if tuple(array.shape) != (batch, self.units):
                expected = shape_text((batch, self.units))
                raise ValueError(f"initial_state: expected shape {expected}, got {shape_text(array.shape)}")
            states.append(array)
        return states

    def check_input_shape(self, shape: Shape) -> None:
        super().check_input_shape(shape)
        if shape[1] == 0:
            raise ValueError(
                f"inputs: expected at least one timestep for {self.name!r}, got shape {shape_text(shape)}"
            )

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        not_implemented("mask", mask, (None,))
        if training and self.dropout:
            # One mask for all timesteps, as in Keras.
            shape = (sequences.shape[0], 1, sequences.shape[2])
            sequences = ops.dropout(sequences, self.dropout, seed=self._generator, noise_shape=shape)
        outputs, states = ops.recurrent(
            self.cell,
            sequences,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            initial_state,
            return_sequences=self.return_sequences,
            go_backwards=self.go_backwards,
            **self._activations,
        )
        return (outputs, *states) if self.return_state else outputs

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, timesteps = input_shape[:2]
        outputs = (batch, timesteps, self.units) if self.return_sequences else (batch, self.units)
        return (outputs, *[(batch, self.units)] * self.states) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": False,
            "unroll": self.unroll,
            "zero_output_for_mask": False,
            "units": self.units,
            **{name: getattr(self, name).__name__ for name in self._activations},
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": 0.0,
            "seed": self.seed,
        }
        for part in ("kernel", "recurrent", "bias"):
            for kind in (initializers, regularizers, constraints):
                name = f"{part}_{kind.__name__.rsplit('.', 1)[-1].removesuffix('s')}"
                config[name] = kind.serialize(getattr(self, name))
        return config
