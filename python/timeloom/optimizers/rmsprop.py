"""RMSprop."""

from typing import Any

from numpy.typing import NDArray

from timeloom import _core
from timeloom.arguments import flag, number
from timeloom.optimizers.base import Optimizer, below_one

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Gradient descent with steps divided by a running root mean square of the gradient.

    Equations:
        v = rho * v + (1 - rho) * g**2
        centered: a = rho * a + (1 - rho) * g, and v - a**2 in place of v below
        d = learning_rate * g / sqrt(v + epsilon)
        momentum 0: w -= d; otherwise b = momentum * b + d; w -= b

    Args:
        learning_rate: Default 0.001.
        rho: In [0, 1). Default 0.9.
        momentum: In [0, 1]. Default 0.0.
        epsilon: Inside the root. Default 1e-7; None means the default.
        centered: Default False.
        weight_decay: This and the rest as Optimizer.
        clipnorm: As Optimizer.
        clipvalue: As Optimizer.
        global_clipnorm: As Optimizer.
        use_ema: As Optimizer.
        ema_momentum: As Optimizer.
        ema_overwrite_frequency: As Optimizer.
        loss_scale_factor: As Optimizer.
        gradient_accumulation_steps: As Optimizer.
        name: Default ``"rmsprop"``.
        **kwargs: lr and decay, as Optimizer.

    Reference:
        Hinton, lecture 6e, 2012; keras.optimizers.RMSprop.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = "rmsprop",
        **kwargs: Any,
    ) -> None:
        self.rho = below_one("rho", rho)
        self.momentum = number("momentum", momentum, 0.0, 1.0)
        self.epsilon = number("epsilon", 1e-7 if epsilon is None else epsilon, 0.0)
        self.centered = flag("centered", centered)
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
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))

    def update(self, segments: Any, gradients: list[NDArray[Any]], **common: Any) -> None:
        _core.rmsprop_update(
            segments,
            gradients,
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            centered=self.centered,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
