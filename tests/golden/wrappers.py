"""The cases of keras_wrappers.npz: recurrent layers of Keras with masks, in both directions, stacked.

Each case holds the layer as Keras wrote it down (`options["layer"]`), its weights, inputs, mask, initial
states, everything the layer returned, and the gradients of a randomly weighted sum of it.
"""

from typing import Any

import numpy as np

BATCH, TIMESTEPS, FEATURES, UNITS = 4, 5, 3, 2
# Right padding, left padding, holes, nothing at all.
MASK = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)


def flat(nested: Any) -> list[Any]:
    """The leaves of nested lists and tuples."""
    if isinstance(nested, (list, tuple)):
        return [leaf for part in nested for leaf in flat(part)]
    return [nested]


def keras_case(layer: Any, seed: int, initial_states: int = 0) -> dict[str, Any]:
    """One call of a layer of Keras with a mask, and initial states if it takes as many."""
    import keras
    import torch

    random = np.random.default_rng((23, seed))
    values: dict[str, Any] = {
        "inputs": random.standard_normal((BATCH, TIMESTEPS, FEATURES)),
        "mask": MASK,
        "options": {"layer": keras.layers.serialize(layer)},
    }
    layer.build((BATCH, TIMESTEPS, FEATURES))
    weights = [random.standard_normal(weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    inputs = torch.tensor(values["inputs"], requires_grad=True)
    starts = [torch.tensor(random.standard_normal((BATCH, UNITS))) for _ in range(initial_states)]
    call: dict[str, Any] = {"mask": torch.tensor(MASK)}
    if starts:
        call["initial_state"] = [starts[:2], starts[2:]] if len(starts) == 3 else starts
    results = flat(layer(inputs, **call))
    upstream = [random.standard_normal(result.shape) for result in results]
    loss = sum(
        (torch.tensor(weight) * result).sum() for weight, result in zip(upstream, results, strict=True)
    )
    parameters = [variable.value for variable in layer.trainable_variables]
    d_inputs, *gradients = torch.autograd.grad(loss, [inputs, *parameters])
    values["d_inputs"] = d_inputs.numpy()
    groups = {
        "weight": weights,
        "start": [start.numpy() for start in starts],
        "result": [result.detach().numpy() for result in results],
        "upstream": upstream,
        "d_weight": [gradient.numpy() for gradient in gradients],
    }
    return values | {f"{name}_{i}": one for name, group in groups.items() for i, one in enumerate(group)}


def keras_cases() -> dict[str, dict[str, Any]]:
    """All cases of keras_wrappers.npz."""
    from keras.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, SimpleRNN

    everything = {"return_sequences": True, "return_state": True}
    stack = {"cell": [LSTMCell(UNITS), GRUCell(UNITS)]}
    made: dict[str, tuple[Any, int]] = {
        "lstm": (LSTM(UNITS, **everything), 2),
        "lstm_last": (LSTM(UNITS, zero_output_for_mask=True), 0),
        "gru_zero": (GRU(UNITS, zero_output_for_mask=True, **everything), 1),
        "gru_before": (GRU(UNITS, reset_after=False, go_backwards=True, **everything), 0),
        "simple_rnn_backwards": (SimpleRNN(UNITS, go_backwards=True), 0),
        "both_concat": (Bidirectional(LSTM(UNITS, **everything)), 4),
        "both_sum": (Bidirectional(SimpleRNN(UNITS, return_sequences=True), "sum"), 0),
        "both_average_last": (Bidirectional(GRU(UNITS), "ave"), 0),
        "both_product": (Bidirectional(GRU(UNITS, return_sequences=True), "mul"), 0),
        "both_apart": (Bidirectional(GRU(UNITS, **everything), None), 2),
        "both_own": (
            Bidirectional(
                LSTM(UNITS, return_sequences=True),
                backward_layer=GRU(4, return_sequences=True, go_backwards=True),
            ),
            0,
        ),
        "stack": (RNN(**stack, **everything), 3),
        "stack_both": (Bidirectional(RNN(**stack, return_sequences=True)), 0),
    }
    return {name: keras_case(layer, i, starts) for i, (name, (layer, starts)) in enumerate(made.items())}
