"""The base of the built-in recurrent cells: weights, options, and one call of the kernels for a sequence.

Here belongs what every cell of the kernels shares; each cell's own arguments stand beside its layer.
"""

import inspect
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from timeloom import activations, backend, constraints, initializers, ops, regularizers
from timeloom.arguments import flag, integer, number, positive_integer
from timeloom.arrays import shape_text
from timeloom.autograd import TracedArray
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape
from timeloom.layers.states import check_states
from timeloom.ops.recurrent_call import cells
from timeloom.variables import Variable

__all__ = ["RecurrentCell", "Walk"]


class Walk(NamedTuple):
    """How a cell walks over a sequence.

    Args:
        mask: Booleans [batch, timesteps], True where a timestep counts. Default None: all do.
        lengths: Timesteps of each sequence, int64 [batch]; then the sequences stand one after the other in
            one array [sum of lengths, features]. Default None.
        training: Whether dropout and zoneout draw. Default False.
        return_sequences: Whether the outputs of all timesteps are wanted. Default False: the last.
        go_backwards: Whether to walk from the last timestep to the first. Default False.
        keep_time_order: Whether outputs stand at the timestep of their input even if go_backwards; by default
            they stand in the order of the walk.
        zero_output_for_mask: Whether masked outputs are 0. Default False: they repeat the one before.
    """

    mask: NDArray[np.bool_] | None = None
    lengths: NDArray[np.int64] | None = None
    training: bool = False
    return_sequences: bool = False
    go_backwards: bool = False
    keep_time_order: bool = False
    zero_output_for_mask: bool = False

    def batch(self, sequences: Any) -> int:
        """The number of sequences."""
        return len(sequences if self.lengths is None else self.lengths)

    def per_step(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Returns one row per sequence so that it broadcasts over the timesteps of the sequences."""
        return rows[:, None] if self.lengths is None else np.repeat(rows, self.lengths, axis=0)


class RecurrentCell(Layer):
    """One step of a recurrence that the kernels know, and the whole walk over a sequence in one call of them.

    A subclass says `kernels`, the name of the cell in the kernels; how many gates and states it has is read
    from there. It is used by RNN and by the layer of the same name, or by hand, step by step.

    Args:
        units: Number of hidden units, a positive integer.
        activation: Name or function; one that the kernels have. Default ``"tanh"``.
        recurrent_activation: Of the gates. Default ``"sigmoid"``; None for a cell without gates.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        kernel_regularizer: Penalty on the kernel. Default None.
        recurrent_regularizer: Penalty on the recurrent kernel. Default None.
        bias_regularizer: Penalty on the bias. Default None.
        kernel_constraint: Applied to the kernel after every update. Default None.
        recurrent_constraint: Applied to the recurrent kernel after every update. Default None.
        bias_constraint: Applied to the bias after every update. Default None.
        dropout: Fraction of the inputs to drop in training, the same ones at every timestep, clamped to
            [0, 1]. Default 0.0.
        recurrent_dropout: Fraction of the state to drop where the gates read it, likewise. Default 0.0.
        seed: Of dropout and zoneout. Default None: drawn when the cell is created.
        implementation: 2: one dropout mask for the inputs of all gates. 1: one for each gate, as always with
            recurrent_dropout. 0: as 2. Default 2.
        zoneout: Probability that a unit keeps its state at a timestep, in [0, 1]; for several states one
            number or one for each. Training draws for each timestep, inference takes the expectation.
            Default 0.0.
        **kwargs: Arguments of every layer.

    Call arguments:
        inputs: Shape [batch, features], one timestep.
        states: A list of arrays [batch, units], or the array itself if there is one state.
        training: Whether dropout and zoneout act. Default False. The dropout masks stay the same until
            reset_dropout_mask() and reset_recurrent_dropout_mask().

    Returns:
        A tuple: outputs [batch, units], and the new states: a list, or the array itself if `states` was one.

    Raises:
        ValueError: If an argument or a shape is not legal.

    Reference:
        Gal and Ghahramani 2016 (dropout); Krueger et al. 2016 (zoneout).
    """

    # The kernels' name of the cell.
    kernels: str

    input_rank = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        implementation: int = 2,
        zoneout: Any = 0.0,
        **kwargs: Any,
    ) -> None:
        self._facts = cells()[self.kernels]
        self.units = positive_integer("units", units)
        given = {"activation": activation, "recurrent_activation": recurrent_activation}
        if self._facts["recurrent_activation"] == "linear":
            del given["recurrent_activation"]
        self._fused = {}
        for name, function in given.items():
            setattr(self, name, activations.get(function))
            self._fused[name] = activations.fused_name(name, getattr(self, name))
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
        self.recurrent_dropout = min(1.0, max(0.0, number("recurrent_dropout", recurrent_dropout)))
        self.implementation = integer("implementation", implementation)
        if self.implementation > 2:
            raise ValueError(f"implementation: expected 0, 1 or 2, got {implementation!r}")
        if self.recurrent_dropout:
            self.implementation = 1
        self.seed = None if seed is None else integer("seed", seed)
        several = isinstance(zoneout, (list, tuple))
        rates = [number("zoneout", rate, 0.0, 1.0) for rate in (zoneout if several else [zoneout])]
        states = int(self._facts["states"])
        if several and len(rates) != states:
            raise ValueError(f"zoneout: expected {states} numbers, got {len(rates)}")
        self.zoneout = tuple(rates) if several else rates[0]
        self._zoneout_rates = rates if several else rates * states
        self.state_size: int | list[int] = self.units if states == 1 else [self.units] * states
        self.output_size = self.units
        self._sizes = [self.units] * states
        super().__init__(**kwargs)
        self._generator = np.random.default_rng(backend.next_seed() if self.seed is None else self.seed)
        self._input_mask: NDArray[Any] | None = None
        self._recurrent_mask: NDArray[Any] | None = None

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of the arguments beside units and those of every layer, in the constructor's order."""
        names = list(inspect.signature(cls).parameters)
        return tuple(name for name in names if name not in ("units", "kwargs"))

    @property
    def walks(self) -> bool:
        """Whether `walk` does what `call` does step by step: not if a subclass has a call of its own."""
        return type(self).call is RecurrentCell.call

    @property
    def _is_one_call(self) -> bool:
        """Whether `walk` is the call of the kernels whose arguments `_operation` gives."""
        return self.walks and type(self).walk is RecurrentCell.walk

    # ---- weights ------------------------------------------------------------------------------------------

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        rows, columns = self._facts["bias_rows"], self._facts["input_gates"] * self.units
        return (rows, columns) if rows > 1 else (columns,)

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
            (features, self._facts["input_gates"] * self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        columns = self._facts["state_gates"] * self.units
        self.recurrent_kernel: Any = np.empty((self.units, 0), self.dtype)
        if columns:  # else the gates see the input alone
            self.recurrent_kernel = self.add_weight(
                (self.units, columns),
                self.recurrent_initializer,
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
                name="recurrent_kernel",
            )
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

    # ---- states -------------------------------------------------------------------------------------------

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Returns zeros, a list of one array [batch_size, units] for each state."""
        batch = integer("batch_size", batch_size)
        return [np.zeros((batch, self.units), self.dtype) for _ in range(self._facts["states"])]

    def reset_dropout_mask(self) -> None:
        """Forgets the mask of the inputs: the next call in training draws another."""
        self._input_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the mask of the states: the next call in training draws another."""
        self._recurrent_mask = None

    def _multipliers(self, shape: tuple[int, ...], rate: float) -> NDArray[Any]:
        """0 with probability rate, else 1 / (1 - rate)."""
        if rate == 1.0:
            return _drawn(np.zeros(shape, self.dtype))
        kept = self._generator.random(shape, dtype=np.float32) >= np.float32(rate)
        return _drawn(np.asarray(kept * np.dtype(self.dtype).type(1 / (1 - rate))))

    def _input_multipliers(self, batch: int, features: int) -> NDArray[Any] | None:
        """[batch, features] for all gates, or [gates, batch, features]; None without dropout."""
        if not self.dropout:
            return None
        per_gate = self.implementation == 1 and self._facts["input_gates"] > 1
        gates = (self._facts["input_gates"],) if per_gate else ()
        return self._multipliers((*gates, batch, features), self.dropout)

    def _state_multipliers(self, batch: int) -> NDArray[Any] | None:
        """[gates, batch, units], None without recurrent dropout."""
        if not self.recurrent_dropout or not self._facts["state_gates"]:
            return None
        return self._multipliers((self._facts["state_gates"], batch, self.units), self.recurrent_dropout)

    def _zoneout(self, shape: tuple[int, ...], training: bool) -> tuple[Any, ...]:
        """For each state None, the rate for the expectation, or in training draws of 1 (keep) and 0."""
        found: list[Any] = []
        for rate in self._zoneout_rates:
            drawn = training and rate
            keeps = self._generator.random(shape, dtype=np.float32) < np.float32(rate) if drawn else rate
            found.append(_drawn(np.asarray(keeps, self.dtype)) if drawn else keeps or None)
        return tuple(found)

    # ---- computing ----------------------------------------------------------------------------------------

    def walk(self, sequences: Any, states: Any = None, how: Walk | None = None) -> tuple[Any, list[Any]]:
        """Runs over whole sequences in one call of the kernels.

        Args:
            sequences: Shape [batch, timesteps, features], or packed [sum of lengths, features].
            states: A list of arrays [batch, units]. Default None: zeros.
            how: Masks, direction and what is returned. Default None: forward, no mask, the last output.

        Returns:
            The outputs, and a list of the final states.
        """
        outputs, finals = ops.recurrent(**self._operation(sequences, states, Walk() if how is None else how))
        return outputs, list(finals)

    def _operation(self, sequences: Any, states: Any, how: Walk) -> dict[str, Any]:
        """The arguments of ``ops.recurrent`` that `walk` calls, with fresh draws of dropout and zoneout."""
        batch, features = how.batch(sequences), sequences.shape[-1]
        inputs = self._input_multipliers(batch, features) if how.training else None
        recurrent = self._state_multipliers(batch) if how.training else None
        return self._operation_with(sequences, states, how, inputs, recurrent)

    def _operation_with(
        self,
        sequences: Any,
        states: Any,
        how: Walk,
        inputs: NDArray[Any] | None,
        recurrent: NDArray[Any] | None,
    ) -> dict[str, Any]:
        if inputs is not None and inputs.ndim == 2:
            sequences = sequences * how.per_step(inputs)
            inputs = None
        zoneout = None
        if any(self._zoneout_rates):
            zoneout = self._zoneout((*sequences.shape[:-1], self.units), how.training)
        return {
            "cell": self.kernels,
            "inputs": sequences,
            "kernel": self.kernel,
            "recurrent_kernel": self.recurrent_kernel,
            "bias": self.bias,
            "initial_state": states,
            "return_sequences": how.return_sequences,
            "go_backwards": how.go_backwards,
            "mask": how.mask,
            "lengths": how.lengths,
            "zero_output_for_mask": how.zero_output_for_mask,
            "keep_time_order": how.keep_time_order,
            "input_dropout": inputs,
            "recurrent_dropout": recurrent,
            "zoneout": zoneout,
            **self._fused,
        }

    def __call__(self, inputs: Any, states: Any, *args: Any, **kwargs: Any) -> Any:
        # What a layer or a loop hands in is ready.
        if isinstance(states, (list, tuple)) or not isinstance(states, (TracedArray, Variable)):
            batch = len(inputs)
            checked = check_states(self, self._sizes, states, batch, self.dtype)
            states = checked if isinstance(states, (list, tuple)) else checked[0]
        return super().__call__(inputs, states, *args, **kwargs)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        masks: list[NDArray[Any] | None] = [None, None]
        batch, features = inputs.shape
        if training:
            if self._input_mask is None or self._input_mask.shape[-2:] != (batch, features):
                self._input_mask = self._input_multipliers(batch, features)
            if self._recurrent_mask is None or self._recurrent_mask.shape[1] != batch:
                self._recurrent_mask = self._state_multipliers(batch)
            masks = [self._input_mask, self._recurrent_mask]
        several = isinstance(states, (list, tuple))
        step = inputs[:, None] if isinstance(inputs, np.ndarray) else np.expand_dims(inputs, 1)
        how = Walk(training=bool(training))
        given = list(states) if several else [states]
        outputs, finals = ops.recurrent(**self._operation_with(step, given, how, *masks))
        return outputs, list(finals) if several else finals[0]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state = (input_shape[0], self.units)
        return state, [state] * self._facts["states"]

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.own_config()}

    def own_config(self) -> dict[str, Any]:
        """What the cell adds to the configuration, here and in that of its layer."""
        config = {
            "units": self.units,
            **{name: activations.serialize(getattr(self, name)) for name in self._fused},
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
        for part in ("kernel", "recurrent", "bias"):
            for kind in (initializers, regularizers, constraints):
                name = f"{part}_{kind.__name__.rsplit('.', 1)[-1].removesuffix('s')}"
                config[name] = kind.serialize(getattr(self, name))
        # Keras writes no implementation and knows no zoneout: only what is not the default.
        if self.implementation != 2 and not self.recurrent_dropout:
            config["implementation"] = self.implementation
        if any(self._zoneout_rates):
            config["zoneout"] = self.zoneout
        return config


def _drawn(numbers: NDArray[Any]) -> NDArray[Any]:
    """The array, never to change again: a tape need not copy it."""
    numbers.flags.writeable = False
    return numbers
