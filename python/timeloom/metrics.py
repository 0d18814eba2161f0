"""What is measured beside the loss: each metric gathers batches and gives one number.

Here belong running means and the rules of Keras about what counts as correct. Metrics look at plain
arrays; nothing here is differentiated.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timeloom import backend, losses
from timeloom.arguments import number
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import TracedArray
from timeloom.lookup import Lookup
from timeloom.losses.functions import dense_targets, weights_for
from timeloom.variables import Variable

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "Mean",
    "MeanAbsoluteError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "Sum",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "get",
    "serialize",
    "sparse_categorical_accuracy",
]


def _plain(name: str, value: Any) -> NDArray[Any]:
    if type(value) is np.ndarray and value.dtype.kind in "fiub":  # in any byte order: NumPy reads it
        return value
    return real_array(name, value.numpy() if isinstance(value, (TracedArray, Variable)) else value)


def _ones_where(correct: Any) -> NDArray[np.float64]:
    return np.asarray(correct, dtype=np.float64)


def accuracy(y_true: Any, y_pred: Any) -> NDArray[Any]:
    """1.0 where both are equal, 0.0 elsewhere; shape of y_pred."""
    outputs = _plain("y_pred", y_pred)
    return _ones_where(dense_targets(y_true, outputs.shape, outputs.dtype) == outputs)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> NDArray[Any]:
    """1.0 where y_true (0 or 1) equals y_pred > threshold; shape of y_pred.

    Example:
        >>> binary_accuracy([[1], [0]], [[0.7], [0.6]]).ravel().tolist()
        [1.0, 0.0]
    """
    outputs = _plain("y_pred", y_pred)
    targets = dense_targets(y_true, outputs.shape, np.float64)
    return _ones_where(targets == (outputs > threshold))


def categorical_accuracy(y_true: Any, y_pred: Any) -> NDArray[Any]:
    """1.0 where the largest elements of the last axis stand at the same place; shape without that axis."""
    outputs = _plain("y_pred", y_pred)
    targets = dense_targets(y_true, outputs.shape, outputs.dtype)
    return _ones_where(targets.argmax(-1) == outputs.argmax(-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> NDArray[Any]:
    """1.0 where the largest element of the last axis stands at y_true; shape without that axis.

    Raises:
        ValueError: If y_true has neither that shape nor one more axis of size 1.
    """
    outputs = _plain("y_pred", y_pred)
    labels = _plain("y_true", y_true)
    rows = outputs.shape[:-1]
    if labels.shape not in (rows, rows + (1,)):
        raise ValueError(f"y_true: expected shape {shape_text(rows)}, got {shape_text(labels.shape)}")
    return _ones_where(labels.reshape(rows) == outputs.argmax(-1))


class Metric:
    """Base of all metrics: gathers with update_state, answers with result, forgets with reset_state.

    Args:
        dtype: ``"float32"``, ``"float64"`` or None; kept for the configuration, all sums are float64.
        name: Key in the logs. Default None: the class name in snake case.
    """

    # Whether a callback should want this number high ("up") or low ("down"); None: unknown.
    _direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = backend.auto_name(type(self).__name__) if name is None else name
        self.dtype = backend.floatx() if dtype is None else str(dtype)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds one batch."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method update_state, got none")

    def result(self) -> float:
        """Returns the metric over everything added since the last reset."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method result(), got none")

    def reset_state(self) -> None:
        """Forgets everything added."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method reset_state(), got none")

    def reset_states(self) -> None:
        """The name of reset_state in Keras 2."""
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        """Adds one batch and returns the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the metric from `get_config()`."""
        return cls(**config)


class Sum(Metric):
    """The weighted sum of all values.

    Args:
        name: Default ``"sum"``.
        dtype: As Metric.
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        self.total = 0.0
        self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values, an array or a number, each times its weight."""
        array = _plain("values", values)
        if sample_weight is None:
            self.total += float(array.sum(dtype=np.float64))
            self.count += array.size
        else:
            array = np.atleast_1d(array)
            weights = weights_for(np.atleast_1d(sample_weight), array.shape, np.float64)
            self.total += float((array * weights).sum())
            self.count += float(np.broadcast_to(weights, array.shape).sum())

    def result(self) -> float:
        return self.total


class Mean(Sum):
    """The weighted mean of all values, 0.0 before the first.

    Args:
        name: Default ``"mean"``.
        dtype: As Metric.

    Example:
        >>> mean = Mean()
        >>> mean.update_state([1.0, 2.0, 6.0])
        >>> mean.result()
        3.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and outputs.

    Args:
        fn: Function of y_true and y_pred that returns one value per sample or more.
        name: Default None: the class name in snake case.
        dtype: As Metric.
        **kwargs: Handed to fn.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name, dtype)
        self._fn = fn
        self._arguments = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds one batch of targets and outputs, with one weight per sample or per value."""
        super().update_state(self.values(y_true, y_pred), sample_weight)

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """Returns what the function gives for one batch."""
        return self._fn(y_true, y_pred, **self._arguments)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._arguments}


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true."""

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often y_pred lies on the side of the threshold that y_true says.

    Args:
        name: Default ``"binary_accuracy"``.
        dtype: As Metric.
        threshold: Above it an output counts as 1. Default 0.5.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=number("threshold", threshold))


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output stands where the one-hot target says."""

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output stands at the label."""

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class MeanSquaredError(MeanMetricWrapper):
    """The mean of losses.mean_squared_error."""

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class RootMeanSquaredError(MeanSquaredError):
    """The square root of MeanSquaredError."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        return float(np.sqrt(super().result()))


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of losses.mean_absolute_error."""

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of losses.binary_crossentropy."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **arguments)


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of losses.categorical_crossentropy."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **arguments)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of losses.sparse_categorical_crossentropy."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits, axis=axis
        )


_CLASSES = (
    Mean,
    Sum,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
_LATER = """
    AUC Precision Recall TruePositives FalsePositives TrueNegatives FalseNegatives F1Score FBetaScore R2Score
    IoU MeanIoU BinaryIoU OneHotIoU OneHotMeanIoU PrecisionAtRecall RecallAtPrecision
    SensitivityAtSpecificity SpecificityAtSensitivity PearsonCorrelation ConcordanceCorrelation
    TopKCategoricalAccuracy top_k_categorical_accuracy
    SparseTopKCategoricalAccuracy sparse_top_k_categorical_accuracy LogCoshError logcosh log_cosh
"""
_ALIASES = {"mse": MeanSquaredError, "rmse": RootMeanSquaredError, "mae": MeanAbsoluteError}
_LOOKUP = Lookup(
    "metric",
    "keras.metrics",
    {
        **{cls.__name__: cls for cls in _CLASSES},
        **{backend.snake_case(cls.__name__): cls for cls in _CLASSES},
        **_ALIASES,
        **{name.upper(): cls for name, cls in _ALIASES.items()},
        "bce": BinaryCrossentropy,
        "BCE": BinaryCrossentropy,
        "acc": Accuracy,
    },
    later=[*_LATER.split(), *losses.LOOKUP.later],
)


def get(identifier: Any) -> Any:
    """Resolves what an entry of ``compile(metrics=[...])`` may be.

    Args:
        identifier: Name, class, Metric, configuration dict, function of y_true and y_pred, or None.

    Returns:
        A Metric or a function; None for None.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
        NotImplementedError: If a later release will have it.
    """
    return _LOOKUP.get(identifier)


def serialize(metric: Any) -> Any:
    """Writes a metric down as Keras does: module, class name and config."""
    return _LOOKUP.serialize(metric)
