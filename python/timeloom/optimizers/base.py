"""The base of all optimizers: settings, clipping, slots, and one call of the kernels for all parameters."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timeloom import _core, backend
from timeloom.arguments import no_more, not_implemented, number, optional_number
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray
from timeloom.variables import Variable

__all__ = ["Optimizer", "below_one"]


class Optimizer:
    """Changes Variables against their gradients.

    A step clips the gradients, shrinks the weights (weight_decay), updates, applies constraints and counts.

    Args:
        learning_rate: Positive number; schedules are not implemented yet.
        weight_decay: w -= w * weight_decay * learning_rate before the update. Default None.
        clipnorm: Largest norm of a gradient. Default None.
        clipvalue: Largest magnitude of an element of a gradient. Default None.
        global_clipnorm: Largest norm of all gradients together. Default None.
        use_ema: False; not implemented yet.
        ema_momentum: Only with use_ema.
        ema_overwrite_frequency: None; only with use_ema.
        loss_scale_factor: None; not implemented yet.
        gradient_accumulation_steps: None; not implemented yet.
        name: Default None: the class name in snake case.
        **kwargs: ``lr``, the old name of learning_rate, and ``decay``: the learning rate of step t is
            learning_rate / (1 + decay * t), t from 0, as in Keras 2.

    Raises:
        ValueError: If a number is out of range, two ways of clipping are given, or a name is unknown.
        NotImplementedError: If an argument has a value of a later release.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        learning_rate = kwargs.pop("lr", learning_rate)
        self.decay = number("decay", kwargs.pop("decay", 0.0) or 0.0, 0.0)
        no_more(type(self).__name__, kwargs)
        not_implemented("use_ema", use_ema, (False,))
        not_implemented("ema_overwrite_frequency", ema_overwrite_frequency, (None,))
        not_implemented("loss_scale_factor", loss_scale_factor, (None,))
        not_implemented("gradient_accumulation_steps", gradient_accumulation_steps, (None,))
        self.ema_momentum = number("ema_momentum", ema_momentum, 0.0, 1.0)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {clip: value for clip, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"{', '.join(given)}: expected at most one of them, got {given}")
        self.clipnorm = optional_number("clipnorm", clipnorm)
        self.clipvalue = optional_number("clipvalue", clipvalue)
        self.global_clipnorm = optional_number("global_clipnorm", global_clipnorm)
        self.weight_decay = optional_number("weight_decay", weight_decay)
        rate = _learning_rate(learning_rate)
        self.name = backend.auto_name(type(self).__name__) if name is None else name
        # float64, so that float(optimizer.learning_rate) is the number that was given.
        self._learning_rate = Variable(rate, dtype="float64", trainable=False, name="learning_rate")
        self._iterations = Variable(0, dtype="int64", trainable=False, name="iteration")
        # By id of the Variable: the Variable itself, which keeps the id in use, and its slots.
        self._slots: dict[int, tuple[Variable, list[Variable]]] = {}
        self._segments: Any = None
        self._segment_variables: list[Variable] = []
        self._segment_ids: list[int] = []

    # ---- what a subclass writes ---------------------------------------------------------------------------

    def slot_names(self) -> tuple[str, ...]:
        """The arrays that this optimizer keeps for every parameter."""
        return ()

    def update(self, segments: Any, gradients: list[NDArray[Any]], **common: Any) -> None:
        """Updates all parameters of the table in one call of the kernels.

        Args:
            segments: The table.
            gradients: One array for each parameter.
            **common: learning_rate of this step, weight_decay and how to clip: for the kernels.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method update, got none")

    # ---- settings -----------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> Variable:
        """The learning rate before decay, a Variable; set it to a number."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate.assign(_learning_rate(value))

    @property
    def lr(self) -> Variable:
        """The old name of learning_rate."""
        return self._learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    @property
    def iterations(self) -> Variable:
        """The number of steps taken, an integer Variable."""
        return self._iterations

    @property
    def variables(self) -> list[Variable]:
        """Number of steps, learning rate, and every slot of every parameter."""
        slots = [slot for _, slots in self._slots.values() for slot in slots]
        return [self._iterations, self._learning_rate, *slots]

    @property
    def built(self) -> bool:
        """Whether there are slots for any parameter."""
        return bool(self._slots)

    # ---- steps --------------------------------------------------------------------------------------------

    def build(self, variables: Iterable[Variable]) -> None:
        """Creates the slots of these Variables, zeros, where there are none yet.

        Args:
            variables: Trainable Variables.

        Raises:
            TypeError: If one is no Variable.
        """
        if not isinstance(variables, Iterable):
            raise TypeError(f"variables: expected a list of Variables, got {type(variables).__name__}")
        variables = list(variables)
        for variable in variables:
            if not isinstance(variable, Variable):
                raise TypeError(f"variables: expected Variables, got {type(variable).__name__}")
        fresh = [variable for variable in variables if id(variable) not in self._slots]
        slots = [(variable, self._new_slots(variable)) for variable in fresh]
        for variable, created in slots:
            self._slots[id(variable)] = (variable, created)

    def _new_slots(self, variable: Variable) -> list[Variable]:
        path = variable.path.replace("/", "_")
        return [
            Variable(
                np.zeros(variable.shape, variable.dtype),
                dtype=variable.dtype,
                trainable=False,
                name=f"{path}_{slot}",
            )
            for slot in self.slot_names()
        ]

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Takes one step.

        Args:
            grads_and_vars: Pairs of a gradient and its Variable; pairs whose gradient is None are left out.

        Returns:
            The number of steps taken so far.

        Raises:
            ValueError: If a shape differs, a Variable comes twice, or every gradient is None. Nothing has
                changed then.
            TypeError: If there are no such pairs.

        Example:
            >>> from timeloom.optimizers import SGD
            >>> w = Variable([1.0, 2.0])
            >>> optimizer = SGD(0.5)
            >>> int(optimizer.apply_gradients([([2.0, 0.0], w)]).numpy()), w.numpy().tolist()
            (1, [0.0, 2.0])
        """
        pairs = list(grads_and_vars) if isinstance(grads_and_vars, Iterable) else None
        if pairs is None or not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise TypeError(
                "grads_and_vars: expected pairs of a gradient and its Variable, as zip makes them, "
                f"got {type(grads_and_vars).__name__}"
            )
        return self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> Variable:
        """Takes one step; as apply_gradients, from two lists.

        Args:
            grads: One gradient for each Variable, or None.
            trainable_variables: Default None: those the optimizer was built with.
        """
        if trainable_variables is None:
            trainable_variables = [variable for variable, _ in self._slots.values()]
        if not isinstance(grads, (list, tuple)):
            raise TypeError(f"grads: expected a list of gradients, got {type(grads).__name__}")
        if len(grads) != len(trainable_variables):
            raise ValueError(
                f"grads: expected {len(trainable_variables)}, one per Variable, got {len(grads)}"
            )
        gradients, variables = [], []
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if not isinstance(variable, Variable):
                raise TypeError(f"trainable_variables: expected Variables, got {type(variable).__name__}")
            if gradient is not None:
                gradients.append(self._checked(gradient, variable))
                variables.append(variable)
        if not variables:
            raise ValueError("grads: expected a gradient for at least one Variable, got none")
        if len({variable.dtype for variable in variables}) > 1:
            raise TypeError("trainable_variables: expected one dtype, got float32 and float64")
        if len({id(variable) for variable in variables}) != len(variables):
            raise ValueError("trainable_variables: expected every Variable once, got one twice")
        if len(variables) < len(grads):
            names = [v.path for g, v in zip(grads, trainable_variables, strict=True) if g is None]
            warnings.warn(f"grads: got None for {', '.join(names)}, which stay as they are", stacklevel=2)
        self.step(gradients, variables)
        return self._iterations

    def _checked(self, gradient: Any, variable: Variable) -> NDArray[Any]:
        if isinstance(gradient, TracedArray):
            gradient = gradient.numpy()
        array = real_array(f"gradient of {variable.path!r}", gradient, variable.dtype)
        if array.shape != variable.shape:
            expected, got = shape_text(variable.shape), shape_text(array.shape)
            raise ValueError(f"gradient of {variable.path!r}: expected shape {expected}, got {got}")
        return array

    def step(self, gradients: list[NDArray[Any]], variables: list[Variable]) -> None:
        """Takes one step with gradients that are known to fit: what models call."""
        segments = self._table(variables)
        scales = None
        if self.clipnorm is not None:
            scales = _factors(self.clipnorm, np.sqrt(_core.squared_norms(gradients)))
        elif self.global_clipnorm is not None:
            norm = np.sqrt(np.sum(_core.squared_norms(gradients), keepdims=True))
            scales = np.repeat(_factors(self.global_clipnorm, norm), len(gradients))
        rate = float(self._learning_rate._value)
        if self.decay:
            rate /= 1.0 + self.decay * int(self._iterations._value)
        self.update(
            segments,
            gradients,
            learning_rate=rate,
            weight_decay=self.weight_decay or 0.0,
            gradient_scales=scales,
            clip_value=self.clipvalue,
        )
        for variable in variables:
            variable._changed()
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable._value))
        self._iterations._value += 1
        self._iterations._changed()

    def _table(self, variables: list[Variable]) -> Any:
        """Returns the table of parameters and slots, made anew when the list of Variables changes."""
        ids = list(map(id, variables))
        if ids != self._segment_ids:
            self.build(variables)
            slots = [[slot._value for slot in self._slots[id(variable)][1]] for variable in variables]
            self._segments = _core.Segments([variable._value for variable in variables], slots)
            # Kept, so that the ids stay theirs.
            self._segment_variables = list(variables)
            self._segment_ids = ids
        return self._segments

    def __getstate__(self) -> dict[str, Any]:
        # The table holds addresses, and the keys of the slots are ids: both are made anew for a copy.
        state = {**vars(self), "_segments": None, "_segment_variables": [], "_segment_ids": []}
        return {**state, "_slots": list(self._slots.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._slots = {id(variable): (variable, slots) for variable, slots in state["_slots"]}

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, with the learning rate as it is now."""
        config: dict[str, Any] = {
            "name": self.name,
            "learning_rate": float(self._learning_rate._value),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": False,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
        }
        return {**config, "decay": self.decay} if self.decay else config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds an optimizer without slots from `get_config()`."""
        return cls(**config)


def _learning_rate(value: Any) -> float:
    if callable(value) and not isinstance(value, Variable):
        raise NotImplementedError("learning_rate: expected a number, got a schedule: not implemented yet")
    rate = number("learning_rate", value, 0.0)
    if math.isinf(rate):
        raise ValueError(f"learning_rate: expected a finite number, got {value!r}")
    return rate


def _factors(limit: float, norms: NDArray[Any]) -> NDArray[np.float64]:
    # limit / max(norm, limit), as Keras: 1 where the norm is small enough, also for a limit of 0 or infinity.
    return np.asarray(np.divide(limit, norms, out=np.ones_like(norms), where=~(norms <= limit)))


def below_one(name: str, value: Any) -> float:
    """Returns value as a float in [0, 1).

    Raises:
        ValueError: If it is anything else.
    """
    result = number(name, value, 0.0, 1.0)
    if result == 1.0:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return result
