"""What training makes small: a value per sample from targets and outputs, and its mean over the batch.

Here belong the rules of Keras about target shapes, weights and reductions; the formulas and their
derivatives are ops.
"""

from collections.abc import Callable
from typing import Any

from timeloom.lookup import Lookup
from timeloom.losses.classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    LossFunctionWrapper,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from timeloom.losses.functions import (
    FUNCTIONS,
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
    "sparse_categorical_crossentropy",
]

_CLASSES = (
    MeanSquaredError,
    MeanAbsoluteError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
_LATER = """
    mean_absolute_percentage_error MeanAbsolutePercentageError mape MAPE
    mean_squared_logarithmic_error MeanSquaredLogarithmicError msle MSLE
    huber Huber log_cosh LogCosh logcosh kl_divergence KLDivergence kld KLD kullback_leibler_divergence
    poisson Poisson hinge Hinge squared_hinge SquaredHinge categorical_hinge CategoricalHinge
    cosine_similarity CosineSimilarity cosine_proximity binary_focal_crossentropy BinaryFocalCrossentropy
    categorical_focal_crossentropy CategoricalFocalCrossentropy ctc CTC dice Dice tversky Tversky
    circle Circle categorical_generalized_cross_entropy CategoricalGeneralizedCrossEntropy
"""
LOOKUP = Lookup(
    "loss",
    "keras.losses",
    {
        **FUNCTIONS,
        **{cls.__name__: cls for cls in _CLASSES},
        **dict.fromkeys(("mse", "MSE"), mean_squared_error),
        **dict.fromkeys(("mae", "MAE"), mean_absolute_error),
        **dict.fromkeys(("bce", "BCE"), binary_crossentropy),
    },
    later=_LATER.split(),
)


def get(identifier: Any) -> Callable[..., Any] | None:
    """Resolves what ``compile(loss=...)`` may be, as Keras does.

    Args:
        identifier: Name of a function or class, class, instance, configuration dict, callable or None.

    Returns:
        A function of y_true and y_pred, or a Loss; None for None.

    Raises:
        ValueError: If the name is unknown or the value of another kind.
        NotImplementedError: If a later release will have it.

    Example:
        >>> get("mse").__name__
        'mean_squared_error'
    """
    found: Callable[..., Any] | None = LOOKUP.get(identifier)
    return found


def serialize(loss: Any) -> Any:
    """Writes a loss down as Keras does: a function's name, or module, class name and config."""
    return LOOKUP.serialize(loss)
