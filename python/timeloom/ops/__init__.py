"""Differentiable operations: each a forward and a backward, recorded by GradientTape.

Here: whatever computes on arrays for layers, models and users; every product or sum over features calls the
    kernels.
Not here: parameters, names of layers, loops over batches. Without a tape every op returns plain arrays.
"""

from timeloom.ops.activations import (
    activation,
    exp,
    hard_sigmoid,
    linear,
    log,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from timeloom.ops.dense import dense
from timeloom.ops.dropout import dropout
from timeloom.ops.embedding import embedding
from timeloom.ops.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from timeloom.ops.matmul import matmul
from timeloom.ops.recurrent import gru, lstm, recurrent, recurrent_pair, simple_rnn
from timeloom.ops.reductions import max, mean, sum
from timeloom.ops.shape import concatenate, reshape, stack, transpose

__all__ = [
    "activation",
    "binary_crossentropy",
    "categorical_crossentropy",
    "concatenate",
    "dense",
    "dropout",
    "embedding",
    "exp",
    "gru",
    "hard_sigmoid",
    "linear",
    "log",
    "log_softmax",
    "lstm",
    "matmul",
    "max",
    "mean",
    "mean_absolute_error",
    "mean_squared_error",
    "recurrent",
    "recurrent_pair",
    "relu",
    "reshape",
    "sigmoid",
    "simple_rnn",
    "softmax",
    "sparse_categorical_crossentropy",
    "stack",
    "sum",
    "tanh",
    "transpose",
]
