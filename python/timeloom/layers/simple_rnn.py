"""SimpleRNN and its cell."""

from typing import Any

from timeloom.arguments import no_more
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.recurrent import RecurrentLayer

__all__ = ["SimpleRNN", "SimpleRNNCell"]


class SimpleRNNCell(RecurrentCell):
    """One step of a fully connected recurrence (Elman network).

    SimpleRNN, RNN and StackedRNNCells run it over time in one call of the kernels; by hand it takes one
    timestep.

    Equations:
        h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)

    Args:
        units: Number of hidden units, a positive integer.
        activation: Default ``"tanh"``.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        kernel_regularizer: Default None.
        recurrent_regularizer: Default None.
        bias_regularizer: Default None.
        kernel_constraint: Default None.
        recurrent_constraint: Default None.
        bias_constraint: Default None.
        dropout: Default 0.0.
        recurrent_dropout: Default 0.0.
        seed: Default None.
        zoneout: Default 0.0.
        **kwargs: Arguments of every layer. LSTM explains all these arguments.

    Call arguments:
        inputs: Shape [batch, features].
        states: H [batch, units], alone or in a list.
        training: Whether dropout and zoneout act. Default False. The masks of dropout stay the same until
            reset_dropout_mask() and reset_recurrent_dropout_mask().

    Returns:
        A tuple: h, and h again, in a list if states is one.

    Raises:
        ValueError: If an argument or a shape is not legal.

    Reference:
        Elman 1990; keras.layers.SimpleRNNCell.

    Example:
        >>> import numpy as np
        >>> h, _ = SimpleRNNCell(4)(np.zeros((2, 3)), np.zeros((2, 4)))
        >>> h.shape
        (2, 4)
    """

    kernels = "simple_rnn"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        zoneout: Any = 0.0,
        **kwargs: Any,
    ) -> None:
        for name in ("recurrent_activation", "implementation"):
            no_more("SimpleRNNCell", {name: kwargs[name]} if name in kwargs else {})
        super().__init__(
            units,
            activation=activation,
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
            zoneout=zoneout,
            **kwargs,
        )


class SimpleRNN(RecurrentLayer):
    """A fully connected recurrent layer (Elman network).

    Equations:
        h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)

    Args:
        units: Number of hidden units, a positive integer.
        activation: Default ``"tanh"``.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        kernel_regularizer: Default None.
        recurrent_regularizer: Default None.
        bias_regularizer: Default None.
        activity_regularizer: Default None; honoured here, while Keras 3 drops it.
        kernel_constraint: Default None.
        recurrent_constraint: Default None.
        bias_constraint: Default None.
        dropout: Default 0.0.
        recurrent_dropout: Default 0.0.
        return_sequences: Default False.
        return_state: Default False.
        go_backwards: Default False.
        stateful: Default False.
        unroll: Default False.
        seed: Default None.
        zoneout: Default 0.0.
        **kwargs: As LSTM, which explains all these arguments, without implementation and use_cudnn.

    Call arguments:
        sequences: Shape [batch, timesteps, features]; the others as LSTM, with one state.

    Returns:
        As LSTM, with one state. Weights: kernel [features, units], recurrent_kernel [units, units],
        bias [units].

    Raises:
        ValueError: If an argument or a shape is not legal.
        NotImplementedError: If time_major is True.

    Reference:
        Elman 1990; keras.layers.SimpleRNN.

    Example:
        >>> import numpy as np
        >>> SimpleRNN(4)(np.zeros((2, 7, 3))).shape
        (2, 4)
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        zoneout: Any = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
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
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            seed=seed,
            zoneout=zoneout,
            **kwargs,
        )
