"""Small trainings with masks that Keras ran once, written so that both packages can run them.

Belongs here: data, models and settings, as functions of a package with Keras's names. Run as a program in an
environment that has Keras, ``python -m tests.golden.masked_training`` writes keras_masked_training.npz.
"""

from typing import Any

import numpy as np

from tests.golden import FOLDER

SAMPLES, TIMESTEPS = 40, 7
STEM = "keras_masked_training"


def data() -> dict[str, np.ndarray]:
    """Inputs whose masks have holes, begin late, end early and cover whole rows, and targets for them."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, TIMESTEPS + 1, SAMPLES)
    valid = np.arange(TIMESTEPS) < lengths[:, None]
    valid[::3] = valid[::3, ::-1]
    valid[1::3] = random.random((len(valid[1::3]), TIMESTEPS)) < 0.6
    classes = random.integers(0, 3, (SAMPLES, TIMESTEPS))
    return {
        "x": (random.normal(size=(SAMPLES, TIMESTEPS, 3)) * valid[..., None]).astype("float32"),
        "words": random.integers(1, 9, (SAMPLES, TIMESTEPS)) * valid,
        "classes": classes,
        "one_hot": np.eye(3, dtype="float32")[classes],
        "binary": (classes[:, 0] > 0).astype("float32"),
        "weights": random.random(SAMPLES).astype("float32"),
        "weights_by_step": random.random((SAMPLES, TIMESTEPS)).astype("float32"),
    }


def layers(package: Any, stack: str) -> list[Any]:
    """The layers of a stack by name, the shape of its inputs first."""
    kinds = package.layers
    if stack == "masking":
        return [
            kinds.Input((TIMESTEPS, 3)),
            kinds.Masking(),
            kinds.LSTM(5, return_sequences=True),
            kinds.Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    if stack == "embedding":
        embedding = kinds.Embedding(9, 4, mask_zero=True, embeddings_regularizer="l1")
        return [kinds.Input((TIMESTEPS,)), embedding, kinds.GRU(5), kinds.Dense(1, activation="sigmoid")]
    if stack == "bidirectional":
        return [
            kinds.Input((TIMESTEPS,)),
            kinds.Embedding(9, 4, mask_zero=True),
            kinds.Bidirectional(kinds.LSTM(3, return_sequences=True)),
            kinds.GRU(4, return_sequences=True, reset_after=False, go_backwards=True),
            kinds.TimeDistributed(kinds.Dense(3, activation="softmax")),
        ]
    return [
        kinds.Input((TIMESTEPS, 3)),
        kinds.Masking(),
        kinds.SimpleRNN(5, zero_output_for_mask=True, return_sequences=True),
        kinds.SimpleRNN(4),
        kinds.RepeatVector(TIMESTEPS),
        kinds.GRU(4, return_sequences=True),
        kinds.TimeDistributed(kinds.Dense(3)),
    ]


def cases(package: Any) -> dict[str, tuple[str, dict[str, Any], str, str, dict[str, Any]]]:
    """By name: stack, arguments of compile, kinds of inputs and targets, arguments of fit."""
    optimizers, losses = package.optimizers, package.losses
    label, cross = "sparse_categorical_crossentropy", "categorical_crossentropy"
    summed = losses.CategoricalCrossentropy(reduction="sum")
    by_weight = losses.CategoricalCrossentropy(reduction="mean_with_sample_weight")
    steps = {"sample_weight": data()["weights_by_step"]}
    compiled = {
        "by_step": ("masking", optimizers.Adam(0.01), label, ["accuracy", label], None, "x", "classes", {}),
        "weights_by_step": (
            "masking",
            optimizers.SGD(0.1, momentum=0.9),
            label,
            ["accuracy"],
            None,  # Keras on torch scales the weights by the mask in place, before weighted metrics see them
            "x",
            "classes",
            steps,
        ),
        "sum": ("masking", optimizers.SGD(0.002), summed, ["acc"], None, "x", "one_hot", {}),
        "mean_of_weights": ("masking", optimizers.SGD(0.1), by_weight, None, ["mse"], "x", "one_hot", steps),
        "by_row": (
            "embedding",
            optimizers.RMSprop(0.01),
            "bce",
            ["accuracy", "mae"],
            None,
            "words",
            "binary",
            {"sample_weight": data()["weights"]},
        ),
        "class_weight": (
            "embedding",
            "sgd",
            "bce",
            None,
            ["accuracy"],
            "words",
            "binary",
            {"class_weight": {0: 2.0}},
        ),
        "bidirectional": (
            "bidirectional",
            optimizers.Adam(0.01, clipnorm=0.1),
            cross,
            ["accuracy", "mse"],
            None,
            "words",
            "one_hot",
            {},
        ),
        "repeated": ("repeated", optimizers.Adam(0.01), "mse", ["mae"], None, "x", "one_hot", {}),
    }
    found = {}
    for name, (stack, optimizer, loss, plain, weighted, inputs, targets, fit) in compiled.items():
        arguments = {"optimizer": optimizer, "loss": loss, "metrics": plain, "weighted_metrics": weighted}
        found[name] = (stack, arguments, inputs, targets, fit)
    return found


def train(package: Any, name: str, weights: list[np.ndarray] | None) -> dict[str, np.ndarray]:
    """Runs a case; from the given first weights, or from those that the package draws."""
    stack, arguments, inputs, targets, fit = cases(package)[name]
    x, y = (data()[kind] for kind in (inputs, targets))
    model = package.Sequential(layers(package, stack))
    if weights is not None:
        model.set_weights(weights)
    found = {f"first_{i}": value for i, value in enumerate(model.get_weights())}
    model.compile(**arguments)
    found["predict"] = model.predict(x[:6], verbose=0)
    found["step"] = np.array(model.train_on_batch(x[:16], y[:16]))
    found |= {f"second_{i}": value for i, value in enumerate(model.get_weights())}
    common = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    history = model.fit(x, y, **common, **fit).history
    found["history_keys"] = np.array(list(history))
    found["history"] = np.array([history[key] for key in history])
    found["evaluate"] = np.array(model.evaluate(x, y, batch_size=13, verbose=0))
    return found


if __name__ == "__main__":
    import keras

    keras.utils.set_random_seed(1)
    values = {
        f"{name}.{key}": value for name in cases(keras) for key, value in train(keras, name, None).items()
    }
    np.savez_compressed(FOLDER / f"{STEM}.npz", **values)
