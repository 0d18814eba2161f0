"""LSTM."""

from typing import Any

import numpy as np

from timeloom import backend
from timeloom.arguments import flag, not_implemented
from timeloom.layers.rnn import RecurrentLayer

__all__ = ["LSTM"]


class LSTM(RecurrentLayer):
    """Long short-term memory.

    Equations:
        z = x_t kernel + h_{t-1} recurrent_kernel + bias, in four parts i, f, c, o
        c_t = recurrent_activation(z_f) * c_{t-1} + recurrent_activation(z_i) * activation(z_c)
        h_t = recurrent_activation(z_o) * activation(c_t)

    Args:
        units: Number of hidden units, a positive integer.
        activation: Of candidate and output: tanh, sigmoid, hard_sigmoid, relu or linear. Default ``"tanh"``.
        recurrent_activation: Of the gates, one of the same. Default ``"sigmoid"``.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        unit_forget_bias: Whether the bias of the forget gate starts at 1. Default True.
        kernel_regularizer: Penalty on the kernel. Default None.
        recurrent_regularizer: Penalty on the recurrent kernel. Default None.
        bias_regularizer: Penalty on the bias. Default None.
        activity_regularizer: Penalty on the outputs, divided by the batch size. Default None.
        kernel_constraint: Applied to the kernel after every update. Default None.
        recurrent_constraint: Applied to the recurrent kernel after every update. Default None.
        bias_constraint: Applied to the bias after every update. Default None.
        dropout: Fraction of the inputs to drop in training, the same ones at every timestep, clamped to
            [0, 1]. Default 0.0.
        recurrent_dropout: 0.0; others are not implemented yet.
        seed: Of the dropout. Default None: drawn when the layer is created.
        return_sequences: Whether to return the outputs of all timesteps. Default False: of the last.
        return_state: Whether to return the final states too. Default False.
        go_backwards: Whether to run from the last timestep to the first. Default False.
        stateful: False; True is not implemented yet.
        unroll: Taken for Keras's sake; changes no numbers. Default False.
        use_cudnn: ``"auto"`` or False; there is no cuDNN here.
        **kwargs: Arguments of every layer; ``implementation`` 1 or 2 as in Keras (1 only without dropout);
            ``input_length`` beside ``input_dim``.

    Call arguments:
        sequences: Shape [batch, timesteps, features], at least one timestep.
        initial_state: A list of h and c, each [batch, units]. Default None: zeros.
        mask: None; masks are not implemented yet.
        training: Whether dropout acts. Default False.

    Returns:
        Outputs [batch, units], or [batch, timesteps, units] with return_sequences (in the order of
        processing if go_backwards). With return_state a tuple: outputs, h, c. Weights: kernel
        [features, 4 units], recurrent_kernel [units, 4 units], bias [4 units].

    Raises:
        ValueError: If an argument or a shape is not legal.
        NotImplementedError: If an argument has a value of a later release; it names the argument.

    Reference:
        Hochreiter and Schmidhuber 1997; keras.layers.LSTM.

    Example:
        >>> LSTM(4, return_sequences=True)(np.zeros((2, 7, 3))).shape
        (2, 7, 4)
    """

    gates = 4
    states = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        self.unit_forget_bias = flag("unit_forget_bias", unit_forget_bias)
        # One dropout mask for all gates is Keras's implementation 2; 1 has one for each.
        not_implemented("implementation", kwargs.pop("implementation", 2), (2,) if dropout else (2, 1, 0))
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            use_cudnn=use_cudnn,
            **kwargs,
        )

    @property
    def cell(self) -> str:
        return "lstm"

    def first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        bias = super().first_bias(shape, dtype)
        if self.unit_forget_bias:
            bias = np.array(bias, dtype=backend.floatx() if dtype is None else dtype)
            bias[self.units : 2 * self.units] = 1.0
        return bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
