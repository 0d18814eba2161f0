"""GRU and its cell."""

from typing import Any

from timeloom.arguments import flag, not_implemented
from timeloom.layers.cells import RecurrentCell
from timeloom.layers.recurrent import RecurrentLayer

__all__ = ["GRU", "GRUCell"]


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit.

    GRU, RNN and StackedRNNCells run it over time in one call of the kernels; by hand it takes one
    timestep.

    Equations:
        parts z, r, h of x_t kernel and h_{t-1} recurrent_kernel:
        z = recurrent_activation(x_z + h_z), r = recurrent_activation(x_r + h_r)
        reset_after: n = activation(x_h + r * (h_{t-1} recurrent_kernel_h + bias[1]_h))
        otherwise:   n = activation(x_h + (r * h_{t-1}) recurrent_kernel_h)
        h_t = z * h_{t-1} + (1 - z) * n

    Args:
        units: Number of hidden units, a positive integer.
        activation: Of the candidate. Default ``"tanh"``.
        recurrent_activation: Of the gates. Default ``"sigmoid"``.
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
        reset_after: Whether the reset gate acts after the recurrent product. Default True.
        seed: Default None.
        implementation: 2 (default) or 1: whether all gates share the mask of dropout, or each has one.
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
        Cho et al. 2014; keras.layers.GRUCell.

    Example:
        >>> import numpy as np
        >>> h, _ = GRUCell(4)(np.zeros((2, 3)), np.zeros((2, 4)))
        >>> h.shape
        (2, 4)
    """

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
        reset_after: bool = True,
        seed: int | None = None,
        *,
        implementation: int = 2,
        zoneout: Any = 0.0,
        **kwargs: Any,
    ) -> None:
        self.reset_after = flag("reset_after", reset_after)
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

    @property
    def kernels(self) -> str:  # type: ignore[override]
        """The kernels' name of the cell, one for each place of the reset gate."""
        return "gru" if self.reset_after else "gru_reset_before"

    def own_config(self) -> dict[str, Any]:
        return {**super().own_config(), "reset_after": self.reset_after}


class GRU(RecurrentLayer):
    """Gated recurrent unit.

    Equations:
        parts z, r, h of x_t kernel and h_{t-1} recurrent_kernel:
        z = recurrent_activation(x_z + h_z), r = recurrent_activation(x_r + h_r)
        reset_after: n = activation(x_h + r * (h_{t-1} recurrent_kernel_h + bias[1]_h))
        otherwise:   n = activation(x_h + (r * h_{t-1}) recurrent_kernel_h)
        h_t = z * h_{t-1} + (1 - z) * n

    Args:
        units: Number of hidden units, a positive integer.
        activation: Of the candidate. Default ``"tanh"``.
        recurrent_activation: Of the gates. Default ``"sigmoid"``.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        recurrent_initializer: Default ``"orthogonal"``.
        bias_initializer: Default ``"zeros"``.
        kernel_regularizer: Default None.
        recurrent_regularizer: Default None.
        bias_regularizer: Default None.
        activity_regularizer: Default None.
        kernel_constraint: Default None.
        recurrent_constraint: Default None.
        bias_constraint: Default None.
        dropout: Default 0.0.
        recurrent_dropout: Default 0.0.
        seed: Default None.
        return_sequences: Default False.
        return_state: Default False.
        go_backwards: Default False.
        stateful: Default False.
        unroll: Default False.
        reset_after: Whether the reset gate acts after the recurrent product. Default True.
        use_cudnn: ``"auto"`` or False; there is no cuDNN here.
        zoneout: Default 0.0.
        **kwargs: As LSTM, which explains all these arguments.

    Call arguments:
        sequences: Shape [batch, timesteps, features]; the others as LSTM, with one state.

    Returns:
        As LSTM, with one state. Weights: kernel [features, 3 units], recurrent_kernel [units, 3 units],
        bias [2, 3 units] (row 0 of the inputs, row 1 of the state) with reset_after, else [3 units].

    Raises:
        ValueError: If an argument or a shape is not legal.
        NotImplementedError: If time_major or use_cudnn is True.

    Reference:
        Cho et al. 2014; keras.layers.GRU.

    Example:
        >>> import numpy as np
        >>> GRU(4)(np.zeros((2, 7, 3))).shape
        (2, 4)
    """

    cell_class = GRUCell

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
        reset_after: bool = True,
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
            reset_after=reset_after,
            zoneout=zoneout,
            **kwargs,
        )

    @property
    def reset_after(self) -> bool:
        """As the cell's reset_after."""
        return bool(self.cell.reset_after)
