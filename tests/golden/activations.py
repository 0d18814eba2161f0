"""The cases of keras_activations.npz: every activation of Keras, with defaults and other arguments.

Each case holds an input, the output, and the gradient of a randomly weighted sum of it. Inputs of single
elements stand on every kink, around it and far out. sparsemax is missing: what Keras 3.15
gives does not sum to 1.
"""

from typing import Any

import numpy as np

KINKS = (-6, -3, -1, -0.5, 0, 0.5, 1, 3, 6)
# name: arguments besides the defaults
ELEMENTWISE: dict[str, list[dict[str, Any]]] = {
    "linear": [],
    "tanh": [],
    "sigmoid": [],
    "hard_sigmoid": [],
    "relu": [
        {"negative_slope": 0.3},
        {"max_value": 6.0},
        {"max_value": 2.5},
        {"threshold": 1.0},
        {"negative_slope": 0.1, "max_value": 3.0, "threshold": 0.5},
        {"max_value": 3.0, "threshold": -1.0},
        {"threshold": -1.0},
    ],
    "relu6": [],
    "leaky_relu": [{"negative_slope": 0.3}],
    "elu": [{"alpha": 0.5}],
    "celu": [{"alpha": 2.0}],
    "selu": [],
    "gelu": [{"approximate": True}],
    "silu": [],
    "hard_silu": [],
    "mish": [],
    "softplus": [],
    "softsign": [],
    "exponential": [],
    "hard_tanh": [],
    "log_sigmoid": [],
    "tanh_shrink": [],
    "soft_shrink": [{"threshold": 1.0}],
    "hard_shrink": [{"threshold": 1.0}],
    "squareplus": [{"b": 1.0}],
    "sparse_plus": [],
    "sparse_sigmoid": [],
    "threshold": [{"threshold": 0.5, "default_value": -2.0}],
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "softmax": [{"axis": 0}],
    "log_softmax": [{"axis": 0}],
    "glu": [{"axis": 0}],
}


def keras_case(name: str, x: np.ndarray, arguments: dict[str, Any]) -> dict[str, Any]:
    """One activation of Keras at x."""
    import keras
    import torch

    traced = torch.tensor(x, requires_grad=True)
    # Keras's own formula; PyTorch's ready-made function takes the 1/6 of its derivative from float32.
    ready_made = getattr(keras.activations, name)
    function = (lambda v: keras.ops.relu6(v + 3.0) / 6.0) if name == "hard_sigmoid" else ready_made
    output = function(traced, **arguments)
    upstream = np.random.default_rng(37).uniform(0.5, 2, output.shape)
    (gradient,) = torch.autograd.grad((torch.tensor(upstream) * output).sum(), [traced])
    return {
        "x": x,
        "y": output.detach().numpy(),
        "upstream": upstream,
        "d_x": gradient.numpy(),
        "options": {"name": name, "arguments": arguments},
    }


def keras_cases() -> dict[str, dict[str, Any]]:
    """Every case by name."""
    random = np.random.default_rng(31)
    near = [kink + step for kink in KINKS for step in (-1e-3, 0, 1e-3)]
    elements = np.concatenate([near, random.uniform(-8, 8, 40), [-700, -100, -30, 30, 100, 700]])
    rows = random.standard_normal((4, 6))
    cases = {}
    for table, x in ((ELEMENTWISE, elements), (ROWS, rows)):
        for name, others in table.items():
            defaults = [] if name == "threshold" else [{}]
            for place, arguments in enumerate(defaults + others):
                cases[f"{name}_{place}" if place else name] = keras_case(name, x, arguments)
    return cases
