"""Optimizers: how Variables change against their gradients, one file for each rule.

Here belong settings, slots and steps; each rule is one call of the kernels over a table of all
parameters.
"""

from typing import Any

from timeloom.lookup import Lookup
from timeloom.optimizers.adam import Adam
from timeloom.optimizers.base import Optimizer
from timeloom.optimizers.rmsprop import RMSprop
from timeloom.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get", "serialize"]

_LATER = "Adadelta Adagrad Adamax AdamW Adafactor Nadam Ftrl Lion Lamb Muon LossScaleOptimizer"
_LOOKUP = Lookup(
    "optimizer",
    "keras.optimizers",
    {cls.__name__: cls for cls in (SGD, RMSprop, Adam)},
    later=_LATER.split(),
    ignore_case=True,
)


def get(identifier: Any) -> Optimizer:
    """Resolves what ``compile(optimizer=...)`` may be.

    Args:
        identifier: Name in any case, class, Optimizer or configuration dict.

    Returns:
        An Optimizer.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
        NotImplementedError: If a later release will have it.

    Example:
        >>> float(get("RMSProp").learning_rate)
        0.001
    """
    found = _LOOKUP.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"optimizer: expected a name, a class, an Optimizer or a dict, got {identifier!r}")
    return found


def serialize(optimizer: Optimizer) -> Any:
    """Writes an optimizer down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(optimizer)
