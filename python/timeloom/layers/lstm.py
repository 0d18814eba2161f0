"""LSTM and its cell."""

from typing import Any

import numpy as np

from timeloom import backend
from timeloom.arguments import flag, not_implemented
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.recurrent import RecurrentLayer

__all__ = ["LSTM", "LSTMCell"]


class LSTMCell(RecurrentCell):
    """One step of long short-term memory.

    LSTM, RNN and StackedRNNCells run it over time in one call of the kernels; by hand it takes one
    timestep.

    Equations:
        z = x_t kernel + h_{t-1} recurrent_kernel + bias, in four parts i, f, c, o
        c_t = recurrent_activation(z_f) * c_{t-1} + recurrent_activation(z_i) * activation(z_c)
        h_t = recurrent_activation(z_o) * activation(c_t)

    Args:
        units: Number of hidden units, a positive integer.
        activation: Of candidate and output. Default ``"tanh"``.
        recurrent_activation: Of the gates. Default ``"sigmoid"``.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        unit_forget_bias: Whether the bias of the forget gate starts at 1. Default True.
        kernel_regularizer: Default None.
        recurrent_regularizer: Default None.
        bias_regularizer: Default None.
        kernel_constraint: Default None.
        recurrent_constraint: Default None.
        bias_constraint: Default None.
        dropout: Default 0.0.
        recurrent_dropout: Default 0.0.
        seed: Default None.
        implementation: 2 (default) or 1: whether all gates share the mask of dropout, or each has one.
        zoneout: Default 0.0.
        **kwargs: Arguments of every layer. LSTM explains all these arguments.

    Call arguments:
        inputs: Shape [batch, features].
        states: A list of h and c, each [batch, units].
        training: Whether dropout and zoneout act. Default False. The masks of dropout stay the same until
            reset_dropout_mask() and reset_recurrent_dropout_mask().

    Returns:
        A tuple: h, and a list of h and c.

    Raises:
        ValueError: If an argument or a shape is not legal.

    Reference:
        Hochreiter and Schmidhuber 1997; keras.layers.LSTMCell.

    Example:
        >>> cell = LSTMCell(4)
        >>> h, (h, c) = cell(np.zeros((2, 3)), cell.get_initial_state(2))
        >>> h.shape, c.shape
        ((2, 4), (2, 4))
    """

    kernels = "lstm"

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
        self.unit_forget_bias = flag("unit_forget_bias", unit_forget_bias)
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
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            implementation=implementation,
            zoneout=zoneout,
            **kwargs,
        )

    def first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        bias = super().first_bias(shape, dtype)
        if self.unit_forget_bias:
            bias = np.array(bias, dtype=backend.floatx() if dtype is None else dtype)
            bias[self.units : 2 * self.units] = 1.0
        return bias

    def own_config(self) -> dict[str, Any]:
        return {**super().own_config(), "unit_forget_bias": self.unit_forget_bias}


class LSTM(RecurrentLayer):
    """Long short-term memory.

    Equations:
        z = x_t kernel + h_{t-1} recurrent_kernel + bias, in four parts i, f, c, o
        c_t = recurrent_activation(z_f) * c_{t-1} + recurrent_activation(z_i) * activation(z_c)
        h_t = recurrent_activation(z_o) * activation(c_t)

    Args:
        units: Number of hidden units, a positive integer.
        activation: Of candidate and output: a name or one of timeloom's functions. One that looks at other
            units (softmax), or one of your own, needs RNN and a cell of your own. Default ``"tanh"``.
        recurrent_activation: Of the gates, likewise. Default ``"sigmoid"``.
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
            [0, 1]; the others are scaled by 1 / (1 - dropout). 1 drops all. Default 0.0.
        recurrent_dropout: Fraction of the state to drop where the gates read it, likewise. Default 0.0.
        seed: Of dropout and zoneout. Default None: drawn when the layer is created.
        return_sequences: Whether to return the outputs of all timesteps. Default False: of the last.
        return_state: Whether to return the final states too. Default False.
        go_backwards: Whether to run from the last timestep to the first. Default False.
        stateful: Whether row i of a batch goes on from the final state of row i of the batch before, as RNN
            explains. Default False.
        unroll: Taken for Keras's sake; changes no numbers. Default False.
        use_cudnn: ``"auto"`` or False; there is no cuDNN here.
        zoneout: Probability that a unit keeps its state at a timestep, in [0, 1], or a pair for h and c:
            drawn in training, the expectation otherwise. Not in Keras. Default 0.0.
        **kwargs: Arguments of every layer; ``zero_output_for_mask`` as RNN; ``input_length`` beside
            ``input_dim``; ``implementation`` 2 (default): one mask of dropout for all gates, or 1: one for
            each gate, as always with recurrent_dropout.

    Call arguments:
        sequences: Shape [batch, timesteps, features], at least one timestep; or Packed.
        initial_state: A list of h and c, each [batch, units]. Default None: zeros.
        mask: Where a timestep counts: [batch, timesteps] or [batch, timesteps, 1], any dtype. Default None.
        training: Whether dropout and zoneout act. Default False.

    Returns:
        Outputs [batch, units], or [batch, timesteps, units] with return_sequences (in the order of
        processing if go_backwards). With return_state a tuple: outputs, h, c. Weights: kernel
        [features, 4 units], recurrent_kernel [units, 4 units], bias [4 units].

    Raises:
        ValueError: If an argument or a shape is not legal.
        NotImplementedError: If time_major or use_cudnn is True.

    Reference:
        Hochreiter and Schmidhuber 1997; keras.layers.LSTM.
        Gal and Ghahramani 2016 (dropout); Krueger et al. 2016 (zoneout).

    Example:
        >>> LSTM(4, return_sequences=True)(np.zeros((2, 7, 3))).shape
        (2, 7, 4)
    """

    cell_class = LSTMCell

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
        *,
        zoneout: Any = 0.0,
        **kwargs: Any,
    ) -> None:
        not_implemented("use_cudnn", use_cudnn, ("auto", False))
        self.use_cudnn = use_cudnn
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
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
            zoneout=zoneout,
            **kwargs,
        )

    @property
    def unit_forget_bias(self) -> bool:
        """As the cell's unit_forget_bias."""
        return bool(self.cell.unit_forget_bias)
