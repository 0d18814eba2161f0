"""Adam."""

from typing import Any

from numpy.typing import NDArray

from timeloom import _core
from timeloom.arguments import flag, number
from timeloom.optimizers.base import Optimizer, below_one

__all__ = ["Adam"]


class Adam(Optimizer):
    """Gradient descent with running means of the gradient and of its square.

    Equations:
        m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2
        amsgrad: u = max(u, v), and u in place of v below
        w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon), t from 1

    Args:
        learning_rate: Default 0.001.
        beta_1: In [0, 1). Default 0.9.
        beta_2: In [0, 1). Default 0.999.
        epsilon: Beside the root, without correction for t. Default 1e-7; None means the default.
        amsgrad: Default False.
        weight_decay: This and the rest as Optimizer.
        clipnorm: As Optimizer.
        clipvalue: As Optimizer.
        global_clipnorm: As Optimizer.
        use_ema: As Optimizer.
        ema_momentum: As Optimizer.
        ema_overwrite_frequency: As Optimizer.
        loss_scale_factor: As Optimizer.
        gradient_accumulation_steps: As Optimizer.
        name: Default ``"adam"``.
        **kwargs: lr and decay, as Optimizer.

    Reference:
        Kingma and Ba 2015; Reddi et al. 2018 (amsgrad); keras.optimizers.Adam.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = "adam",
        **kwargs: Any,
    ) -> None:
        self.beta_1 = below_one("beta_1", beta_1)
        self.beta_2 = below_one("beta_2", beta_2)
        self.epsilon = number("epsilon", 1e-7 if epsilon is None else epsilon, 0.0)
        self.amsgrad = flag("amsgrad", amsgrad)
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def update(self, segments: Any, gradients: list[NDArray[Any]], **common: Any) -> None:
        _core.adam_update(
            segments,
            gradients,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            step=int(self._iterations._value) + 1,
            amsgrad=self.amsgrad,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
