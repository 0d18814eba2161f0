"""Writes the golden files with PyTorch 2.13.0 (CPU) and Keras 3.15.1 on its torch backend, in float64.

Run it from the project's root in an environment of its own, which needs neither timeloom nor pytest:

    python -m pip install torch==2.13.0 keras==3.15.1 numpy
    python -m tests.golden.write_golden

Weights, data and the weights of the loss are random and differ per gate (tests.reference.problems); every
array is stored in Keras's layout and gate order, whoever computed with it. A file holds cases, a case named
arrays and `options`, the arguments that are no arrays.
"""

import json
import os
from typing import Any

import numpy as np

from tests.golden import FOLDER, activations, wrappers
from tests.reference.problems import recurrent_problem

VERSIONS = {"torch": "2.13.0", "keras": "3.15.1"}
SIZES = {"batch": 3, "timesteps": 5, "features": 4, "units": 3}

# Keras's gates z, r, h come in PyTorch's order r, z, n; the others agree.
TORCH_GATES = {"simple_rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}

Cases = dict[str, dict[str, Any]]


def save(stem: str, cases: Cases) -> None:
    """Write cases in the layout that tests.golden.load reads."""
    flat = {}
    for case, values in cases.items():
        for name, value in values.items():
            if value is not None:
                flat[f"{case}.{name}"] = (
                    np.array(json.dumps(value)) if name == "options" else np.asarray(value)
                )
    np.savez_compressed(FOLDER / f"{stem}.npz", **flat)


def with_problem(problem, **results) -> dict[str, Any]:
    """Join a problem's arrays and options with what a framework made of them."""
    arguments = problem.arguments
    values = {name: arguments[name] for name in ("inputs", "kernel", "recurrent_kernel", "bias")}
    values |= {f"initial_state_{place}": state for place, state in enumerate(arguments["initial_states"])}
    values |= {"upstream_outputs": problem.d_outputs}
    values |= {f"upstream_state_{place}": state for place, state in enumerate(problem.d_states)}
    names = ("cell", "activation", "recurrent_activation", "go_backwards", "return_sequences")
    values["options"] = {name: arguments[name] for name in names}
    return values | results


def torch_case(cell: str, activation: str = "tanh") -> dict[str, Any]:
    """nn.RNN, nn.LSTM or nn.GRU: outputs, final states and every gradient."""
    import torch

    problem = recurrent_problem((13, len(cell)), cell, activation=activation, **SIZES)
    arguments = problem.arguments
    units = SIZES["units"]
    order = np.concatenate([np.arange(gate * units, (gate + 1) * units) for gate in TORCH_GATES[cell]])
    inverse = np.argsort(order)
    kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    extra = {"nonlinearity": activation} if cell == "simple_rnn" else {}
    layer = kind(SIZES["features"], units, batch_first=True, dtype=torch.float64, **extra)
    bias = np.atleast_2d(arguments["bias"])
    rows = [bias[0], bias[1] if len(bias) == 2 else np.zeros_like(bias[0])]
    with torch.no_grad():
        layer.weight_ih_l0[...] = torch.tensor(arguments["kernel"][:, order].T)
        layer.weight_hh_l0[...] = torch.tensor(arguments["recurrent_kernel"][:, order].T)
        layer.bias_ih_l0[...] = torch.tensor(rows[0][order])
        layer.bias_hh_l0[...] = torch.tensor(rows[1][order])
    inputs = torch.tensor(arguments["inputs"], requires_grad=True)
    initial = [torch.tensor(state[None], requires_grad=True) for state in arguments["initial_states"]]
    outputs, states = layer(inputs, tuple(initial) if cell == "lstm" else initial[0])
    states = states if cell == "lstm" else (states,)
    loss = (torch.tensor(problem.d_outputs) * outputs).sum()
    for weight, state in zip(problem.d_states, states, strict=True):
        loss = loss + (torch.tensor(weight) * state[0]).sum()
    loss.backward()
    d_bias = np.stack([layer.bias_ih_l0.grad.numpy()[inverse], layer.bias_hh_l0.grad.numpy()[inverse]])
    results = {
        "outputs": outputs.detach().numpy(),
        "d_inputs": inputs.grad.numpy(),
        "d_kernel": layer.weight_ih_l0.grad.numpy().T[:, inverse],
        "d_recurrent_kernel": layer.weight_hh_l0.grad.numpy().T[:, inverse],
        "d_bias": d_bias if cell == "gru" else d_bias[0],
    }
    for place, (state, start) in enumerate(zip(states, initial, strict=True)):
        results |= {
            f"state_{place}": state[0].detach().numpy(),
            f"d_initial_state_{place}": start.grad[0].numpy(),
        }
    return with_problem(problem, **results)


def hard_sigmoid(x):
    """Keras's own formula; PyTorch's ready-made function takes the 1/6 of its derivative from float32."""
    import keras

    return keras.ops.relu6(x + 3.0) / 6.0


def keras_layer_case(cell: str, **options) -> dict[str, Any]:
    """SimpleRNN, LSTM or GRU of Keras: outputs, final states and every gradient."""
    import keras
    import torch

    problem = recurrent_problem((17, len(cell)), cell, **SIZES, **options)
    arguments = problem.arguments
    kind = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}.get(cell, keras.layers.GRU)
    extra = {}
    if cell != "simple_rnn":
        name = arguments["recurrent_activation"]
        extra["recurrent_activation"] = hard_sigmoid if name == "hard_sigmoid" else name
    extra |= {"reset_after": cell == "gru"} if kind is keras.layers.GRU else {}
    layer = kind(
        SIZES["units"],
        activation=arguments["activation"],
        return_sequences=arguments["return_sequences"],
        go_backwards=arguments["go_backwards"],
        return_state=True,
        **extra,
    )
    inputs = torch.tensor(arguments["inputs"], requires_grad=True)
    initial = [torch.tensor(state, requires_grad=True) for state in arguments["initial_states"]]
    layer.build(inputs.shape)
    layer.set_weights([arguments[name] for name in ("kernel", "recurrent_kernel", "bias")])
    outputs, *states = layer(inputs, initial_state=initial)
    loss = (torch.tensor(problem.d_outputs) * outputs).sum()
    for weight, state in zip(problem.d_states, states, strict=True):
        loss = loss + (torch.tensor(weight) * state).sum()
    parameters = [variable.value for variable in layer.trainable_variables]
    gradients = torch.autograd.grad(loss, [inputs, *parameters, *initial])
    names = ["d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias"]
    names += [f"d_initial_state_{place}" for place in range(len(initial))]
    results = {name: gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}
    results |= {f"state_{place}": state.detach().numpy() for place, state in enumerate(states)}
    return with_problem(problem, outputs=outputs.detach().numpy(), **results)


def keras_dense_case(activation: str) -> dict[str, Any]:
    """Dense of Keras on inputs with a time axis."""
    import keras
    import torch

    random = np.random.default_rng(19)
    values = {
        "inputs": random.standard_normal((2, 3, 4)),
        "kernel": random.standard_normal((4, 5)),
        "bias": random.standard_normal(5),
        "upstream_outputs": random.standard_normal((2, 3, 5)),
        "options": {"activation": activation},
    }
    layer = keras.layers.Dense(5, activation=activation)
    inputs = torch.tensor(values["inputs"], requires_grad=True)
    layer.build(inputs.shape)
    layer.set_weights([values["kernel"], values["bias"]])
    outputs = layer(inputs)
    loss = (torch.tensor(values["upstream_outputs"]) * outputs).sum()
    gradients = torch.autograd.grad(
        loss, [inputs, *(variable.value for variable in layer.trainable_variables)]
    )
    d_inputs, d_kernel, d_bias = (gradient.numpy() for gradient in gradients)
    results = {
        "outputs": outputs.detach().numpy(),
        "d_inputs": d_inputs,
        "d_kernel": d_kernel,
        "d_bias": d_bias,
    }
    return values | results


def keras_loss_case(name: str, **options) -> dict[str, Any]:
    """A loss of keras.losses: one value per sample, and the gradient of their random-weighted sum."""
    import keras
    import torch

    random = np.random.default_rng(23)
    target, prediction = random.uniform(0.05, 0.95, (2, 4, 5))
    if options.get("from_logits"):
        prediction = 4 * random.standard_normal(prediction.shape)
    elif "crossentropy" in name:
        prediction[0, :2] = [0.0, 1.0]  # both ends of the clip
    if name == "categorical_crossentropy":
        target /= target.sum(axis=-1, keepdims=True)
    if name == "sparse_categorical_crossentropy":
        target = random.integers(0, 5, 4)
    weights = random.standard_normal(4)
    traced = torch.tensor(prediction, requires_grad=True)
    losses = getattr(keras.losses, name)(torch.tensor(target), traced, **options)
    (d_prediction,) = torch.autograd.grad((torch.tensor(weights) * losses).sum(), [traced])
    return {
        "target": target,
        "prediction": prediction,
        "upstream": weights,
        "loss": losses.detach().numpy(),
        "d_prediction": d_prediction.numpy(),
        "options": {"name": name, **options},
    }


def keras_optimizer_case(name: str, **options) -> dict[str, Any]:
    """Six steps of a Keras optimizer on two variables: gradients in, values out."""
    import keras
    import torch

    random = np.random.default_rng(29)
    shapes, steps = [(3, 4), (5,)], 6
    gradients = [random.standard_normal((steps, *shape)) for shape in shapes]
    start = [random.standard_normal(shape) for shape in shapes]
    variables = [keras.Variable(value, dtype="float64", trainable=True) for value in start]
    optimizer = getattr(keras.optimizers, name)(**options)
    trajectory: list[list[np.ndarray]] = [[] for _ in shapes]
    for step in range(steps):
        handed = [torch.tensor(gradient[step]) for gradient in gradients]
        optimizer.apply_gradients(zip(handed, variables, strict=True))
        for place, variable in enumerate(variables):
            trajectory[place].append(variable.numpy().copy())
    values: dict[str, Any] = {"options": {"name": name, **options}}
    for place in range(len(shapes)):
        values |= {
            f"start_{place}": start[place],
            f"gradients_{place}": gradients[place],
            f"values_{place}": np.stack(trajectory[place]),
        }
    return values


def main() -> None:
    """Write every file."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    assert torch.__version__.split("+")[0] == VERSIONS["torch"], torch.__version__
    assert keras.__version__ == VERSIONS["keras"], keras.__version__
    keras.config.set_floatx("float64")
    # Off TensorFlow, Keras rounds the result of a float64 product or mean to float32: not here.
    from keras.src.backend.common import dtypes

    del dtypes.BIT64_TO_BIT32_DTYPE["float64"]
    torch.set_default_dtype(torch.float64)

    save("torch_simple_rnn", {name: torch_case("simple_rnn", name) for name in ("tanh", "relu")})
    save("torch_lstm", {"tanh": torch_case("lstm")})
    save("torch_gru", {"tanh": torch_case("gru")})
    hard = {"activation": "relu", "recurrent_activation": "hard_sigmoid"}
    for cell in ("simple_rnn", "lstm", "gru", "gru_reset_before"):
        cases = {
            "sequences": keras_layer_case(cell),
            "backwards": keras_layer_case(cell, go_backwards=True),
            "last_of_backwards": keras_layer_case(cell, go_backwards=True, return_sequences=False, **hard),
        }
        save(f"keras_{cell}", cases)
    save("keras_dense", {name: keras_dense_case(name) for name in ("linear", "tanh", "relu", "softmax")})
    losses: Cases = {
        "mean_squared_error": keras_loss_case("mean_squared_error"),
        "mean_absolute_error": keras_loss_case("mean_absolute_error"),
    }
    for name in ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"):
        losses |= {
            name: keras_loss_case(name),
            f"{name}_from_logits": keras_loss_case(name, from_logits=True),
        }
    for name in ("binary_crossentropy", "categorical_crossentropy"):
        losses[f"{name}_smoothed"] = keras_loss_case(name, label_smoothing=0.1)
    save("keras_losses", losses)
    rate = {"learning_rate": 0.0625}  # exact in float32, in which Keras may hold it
    optimizers: Cases = {
        "sgd": keras_optimizer_case("SGD", **rate),
        "sgd_momentum": keras_optimizer_case("SGD", momentum=0.9, **rate),
        "sgd_nesterov": keras_optimizer_case("SGD", momentum=0.9, nesterov=True, weight_decay=0.01, **rate),
        "rmsprop": keras_optimizer_case("RMSprop", **rate),
        "rmsprop_momentum": keras_optimizer_case("RMSprop", rho=0.8, momentum=0.9, **rate),
        "rmsprop_centered": keras_optimizer_case("RMSprop", centered=True, **rate),
        "adam": keras_optimizer_case("Adam", **rate),
        "adam_amsgrad": keras_optimizer_case("Adam", amsgrad=True, beta_2=0.9, weight_decay=0.01, **rate),
        "adam_clipvalue": keras_optimizer_case("Adam", clipvalue=0.5, **rate),
        "sgd_clipnorm": keras_optimizer_case("SGD", clipnorm=1.0, **rate),
        "sgd_global_clipnorm": keras_optimizer_case("SGD", global_clipnorm=1.0, **rate),
    }
    save("keras_optimizers", optimizers)
    save("keras_activations", activations.keras_cases())
    save("keras_wrappers", wrappers.keras_cases())


if __name__ == "__main__":
    main()
