"""Small trainings that Keras ran once, written so that both packages can run them.

Belongs here: data, models and settings, as functions of a package with Keras's names. Run as a program in
an environment that has Keras, it writes keras_training.npz: ``python -m tests.golden.training``.
"""

from typing import Any

import numpy as np

from tests.golden import FOLDER

SAMPLES = 50
STEM = "keras_training"


def data() -> dict[str, np.ndarray]:
    """Inputs, targets of several kinds and weights, the same at every call."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, SAMPLES)
    return {
        "x": random.normal(size=(SAMPLES, 6, 3)).astype("float32"),
        "classes": classes,
        "one_hot": np.eye(3, dtype="float32")[classes],
        "binary": (classes > 0).astype("float32"),
        "classes_by_step": random.integers(0, 3, (SAMPLES, 6)),
        "numbers": random.normal(size=(SAMPLES, 2)).astype("float32"),
        "weights": random.random(SAMPLES).astype("float32"),
        "weights_by_step": random.random((SAMPLES, 6)).astype("float32"),
    }


def layers(package: Any, stack: str) -> list[Any]:
    """The layers of a stack by name."""
    kinds, regularizers, constraints = package.layers, package.regularizers, package.constraints
    if stack == "softmax":
        return [
            kinds.LSTM(5, return_sequences=True),
            kinds.GRU(4),
            kinds.Dense(3, activation="softmax"),
        ]
    if stack == "penalties":
        return [
            kinds.SimpleRNN(5, kernel_regularizer=regularizers.L2(0.05), bias_regularizer="l1"),
            kinds.Dense(
                1,
                activation="sigmoid",
                activity_regularizer="l2",
                kernel_constraint=constraints.MaxNorm(0.7),
            ),
        ]
    if stack == "by_step":
        return [
            kinds.GRU(
                4, return_sequences=True, reset_after=False, activity_regularizer=regularizers.L1(0.01)
            ),
            kinds.Dense(3, activation="softmax"),
        ]
    if stack == "numbers":
        lstm = kinds.LSTM(4, go_backwards=True, activation="relu", recurrent_activation="hard_sigmoid")
        return [lstm, kinds.Flatten(), kinds.Dense(2)]
    return [kinds.Flatten(), kinds.Dense(7, activation="tanh"), kinds.Dense(3)]


def cases(package: Any) -> dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """By name: stack, arguments of compile, kind of targets, arguments of fit."""
    optimizers, losses, metrics = package.optimizers, package.losses, package.metrics
    weights = {name: values for name, values in data().items() if name.startswith("weights")}
    label, cross = "sparse_categorical_crossentropy", "categorical_crossentropy"
    smooth = losses.CategoricalCrossentropy(label_smoothing=0.1)
    by_weight = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    rms = optimizers.RMSprop(0.01, momentum=0.5, centered=True)
    nesterov = optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.1)
    decayed = optimizers.Adam(0.01, amsgrad=True, weight_decay=0.01)
    together, each = optimizers.Adam(0.01, global_clipnorm=0.05), optimizers.Adam(0.01, clipvalue=0.001)
    one, all_steps = {"sample_weight": weights["weights"]}, {"sample_weight": weights["weights_by_step"]}
    from_logits = losses.SparseCategoricalCrossentropy(from_logits=True)
    root = metrics.RootMeanSquaredError()
    compiled = {
        "labels": ("softmax", optimizers.Adam(0.01), label, ["accuracy", label], None, "classes", {}),
        "sample_weight": ("softmax", rms, cross, ["acc"], ["accuracy"], "one_hot", one),
        "class_weight": (
            "softmax",
            nesterov,
            smooth,
            None,
            None,
            "one_hot",
            {"class_weight": {0: 2.0, 2: 0.5}},
        ),
        "binary": ("penalties", decayed, "bce", ["accuracy", "mse", "mae"], None, "binary", {}),
        "global_clipnorm": (
            "penalties",
            together,
            "binary_crossentropy",
            ["binary_accuracy"],
            None,
            "binary",
            {},
        ),
        "weights_by_step": ("by_step", each, label, None, ["accuracy"], "classes_by_step", all_steps),
        "by_step": ("by_step", "sgd", label, ["accuracy"], None, "classes_by_step", {}),
        "numbers": ("numbers", "rmsprop", "mse", ["mae", root], None, "numbers", one),
        "sum": ("numbers", "adam", losses.MeanAbsoluteError(reduction="sum"), ["mse"], None, "numbers", {}),
        "mean_of_weights": ("numbers", "adam", by_weight, None, None, "numbers", one),
        "logits": ("logits", "adam", from_logits, ["accuracy"], None, "classes", {}),
    }
    found = {}
    for name, (stack, optimizer, loss, plain, weighted, targets, fit) in compiled.items():
        arguments = {"optimizer": optimizer, "loss": loss, "metrics": plain, "weighted_metrics": weighted}
        found[name] = (stack, arguments, targets, fit)
    return found


def train(package: Any, name: str, weights: list[np.ndarray] | None) -> dict[str, np.ndarray]:
    """Runs a case; from the given first weights, or from those that the package draws."""
    stack, arguments, targets, fit = cases(package)[name]
    arrays = data()
    model = package.Sequential([package.layers.Input((6, 3)), *layers(package, stack)])
    if weights is not None:
        model.set_weights(weights)
    found = {f"first_{i}": value for i, value in enumerate(model.get_weights())}
    model.compile(**arguments)
    common = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    history = model.fit(arrays["x"], arrays[targets], **common, **fit).history
    found["history_keys"] = np.array(list(history))
    found["history"] = np.array([history[key] for key in history])
    found["evaluate"] = np.array(model.evaluate(arrays["x"], arrays[targets], batch_size=13, verbose=0))
    found["batch"] = np.array(model.train_on_batch(arrays["x"], arrays[targets]))
    found["predict"] = model.predict(arrays["x"][:4], verbose=0)
    return found


if __name__ == "__main__":
    import keras

    keras.utils.set_random_seed(1)
    values = {
        f"{name}.{key}": value for name in cases(keras) for key, value in train(keras, name, None).items()
    }
    np.savez_compressed(FOLDER / f"{STEM}.npz", **values)
