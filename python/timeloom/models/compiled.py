"""What compile() was given, and what becomes of it once the shapes of targets and outputs are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from timeloom import losses, metrics
from timeloom.losses import Loss, LossFunctionWrapper
from timeloom.losses.functions import FUNCTIONS
from timeloom.metrics import MeanMetricWrapper, Metric

__all__ = ["Resolved", "check_loss", "check_metrics", "name_metrics", "resolve_loss", "resolve_metrics"]

_BY_SHAPE = {"crossentropy": "crossentropy", "ce": "crossentropy", "accuracy": "accuracy", "acc": "accuracy"}


def _by_shape(identifier: Any, kind: str) -> bool:
    return isinstance(identifier, str) and _BY_SHAPE.get(identifier.lower()) == kind


def _kind(target_shape: Sequence[int], output_shape: Sequence[int]) -> str:
    """Whether outputs are probabilities of two classes, or targets labels, or neither."""
    if output_shape[-1] == 1:
        return "binary"
    lower_rank = len(target_shape) < len(output_shape)
    return "sparse_categorical" if lower_rank or target_shape[-1] == 1 else "categorical"


def check_loss(loss: Any) -> Any:
    """Returns the loss of compile() as an identifier of one loss.

    Raises:
        ValueError: If it is unknown or there are several.
        NotImplementedError: If a later release will have it.
    """
    if isinstance(loss, (list, tuple)) or (isinstance(loss, Mapping) and "class_name" not in loss):
        several = list(loss.values()) if isinstance(loss, Mapping) else list(loss)
        if len(several) != 1:
            raise ValueError(f"loss: expected one loss for one output, got {len(several)}")
        loss = several[0]
    if loss is None or _by_shape(loss, "crossentropy"):
        return loss
    found = losses.get(loss)
    assert found is not None
    if isinstance(found, Loss):
        if found.reduction in ("none", None):
            raise ValueError(f"loss: expected a reduction to one number, got reduction={found.reduction!r}")
        return found
    name = loss if isinstance(loss, str) else getattr(found, "__name__", type(found).__name__)
    return LossFunctionWrapper(found, name=name)


def resolve_loss(loss: Any, target_shape: Sequence[int], output_shape: Sequence[int]) -> Loss:
    """Returns the Loss for these shapes."""
    if _by_shape(loss, "crossentropy"):
        kind = _kind(target_shape, output_shape)
        return LossFunctionWrapper(FUNCTIONS[f"{kind}_crossentropy"], name=loss)
    assert isinstance(loss, Loss)
    return loss


def check_metrics(name: str, given: Any) -> list[Any]:
    """Returns the metrics of compile() as a flat list of identifiers and Metrics.

    Raises:
        ValueError: If there is no list, or an entry is unknown.
        NotImplementedError: If a later release will have one.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        given = list(given.values())
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{name}: expected a list, got {given!r}")
    flat: list[Any] = []
    for entry in given:
        flat += list(entry) if isinstance(entry, (list, tuple)) else [entry]
    for entry in flat:
        if entry is None:
            raise ValueError(f"{name}: expected names, functions or Metrics, got None")
        if not _by_shape(entry, "accuracy") and not _by_shape(entry, "crossentropy"):
            metrics.get(entry)
    return flat


def resolve_metrics(
    given: Sequence[Any], target_shape: Sequence[int], output_shape: Sequence[int]
) -> list[Metric]:
    """Returns the Metrics for these shapes, each named as the user wrote it."""
    found = []
    for entry in given:
        kind = _kind(target_shape, output_shape)
        if _by_shape(entry, "accuracy"):
            classes = {
                "binary": metrics.BinaryAccuracy,
                "categorical": metrics.CategoricalAccuracy,
                "sparse_categorical": metrics.SparseCategoricalAccuracy,
            }
            metric: Any = classes[kind]()
        elif _by_shape(entry, "crossentropy"):
            metric = metrics.get(f"{kind}_crossentropy")
        else:
            metric = metrics.get(entry)
        if not isinstance(metric, Metric):
            metric = MeanMetricWrapper(metric, name=getattr(metric, "__name__", type(metric).__name__))
        if isinstance(entry, str):
            metric.name = entry
        found.append(metric)
    return found


def name_metrics(plain: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """Returns the key of each metric in the logs.

    A name that comes again gets ``_1``, ``_2`` ...; a weighted metric first ``weighted_`` before its name.
    """
    names: list[str] = []
    counts: dict[str, int] = {}
    for number, metric in enumerate((*plain, *weighted)):
        name = metric.name
        if number >= len(plain) and name in counts:
            name = f"weighted_{name}"
        count = counts.get(name, 0)
        counts[name] = count + 1
        names.append(f"{name}_{count}" if count else name)
    return names


class Resolved:
    """Loss and metrics of one compile(), settled by the shapes of the first data."""

    def __init__(self, loss: Loss, plain: list[Metric], weighted: list[Metric]) -> None:
        self.loss = loss
        self.plain = plain
        self.weighted = weighted
        self.names = name_metrics(plain, weighted)
        self.tracker = metrics.Mean(name="loss")
        self._checked_shapes: Any = None

    def check_metrics(self, targets: NDArray[Any], output_shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Tries timeloom's own metrics on one sample if targets or outputs have another shape than before.

        Raises:
            ValueError: If a metric does not take targets of that shape.
        """
        shapes = (targets.shape[1:], output_shape[1:])
        if shapes == self._checked_shapes:
            return
        outputs = np.full((1, *output_shape[1:]), 0.5, dtype)
        for name, metric in zip(self.names, (*self.plain, *self.weighted), strict=True):
            # A function of the user's own is not called on outputs that no model gave.
            if isinstance(metric, MeanMetricWrapper) and type(metric) is not MeanMetricWrapper:
                try:
                    metric.values(targets[:1], outputs)
                except ValueError as error:
                    raise ValueError(f"metrics: expected targets that {name!r} takes, got {error}") from error
        self._checked_shapes = shapes
