"""SGD."""

from typing import Any

from numpy.typing import NDArray

from timeloom import _core
from timeloom.arguments import flag, number
from timeloom.optimizers.base import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Equations:
        momentum 0: w -= learning_rate * g
        otherwise:  v = momentum * v - learning_rate * g; w += v
        nesterov:   v as before; w += momentum * v - learning_rate * g

    Args:
        learning_rate: Default 0.01.
        momentum: In [0, 1]. Default 0.0.
        nesterov: Default False.
        weight_decay: This and the rest as Optimizer.
        clipnorm: As Optimizer.
        clipvalue: As Optimizer.
        global_clipnorm: As Optimizer.
        use_ema: As Optimizer.
        ema_momentum: As Optimizer.
        ema_overwrite_frequency: As Optimizer.
        loss_scale_factor: As Optimizer.
        gradient_accumulation_steps: As Optimizer.
        name: Default ``"SGD"``.
        **kwargs: lr and decay, as Optimizer.

    Reference:
        Sutskever et al. 2013; keras.optimizers.SGD.

    Example:
        >>> float(SGD(lr=0.1).learning_rate)
        0.1
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = "SGD",
        **kwargs: Any,
    ) -> None:
        self.momentum = number("momentum", momentum, 0.0, 1.0)
        self.nesterov = flag("nesterov", nesterov)
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
        return ("momentum",) if self.momentum else ()

    def update(self, segments: Any, gradients: list[NDArray[Any]], **common: Any) -> None:
        _core.sgd_update(segments, gradients, momentum=self.momentum, nesterov=self.nesterov, **common)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
