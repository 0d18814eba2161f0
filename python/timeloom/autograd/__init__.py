"""Recording and the walk backward: GradientTape, TracedArray, and ``record`` with which ops make primitives.

Here: the tape, NumPy's own functions on traced arrays. Not here: anything that calls the kernels (ops),
    parameters
(timeloom.variables).
"""

from timeloom.autograd.recording import (
    Operand,
    append,
    append_many,
    is_recorded,
    keep,
    keys_of,
    record,
    value,
)
from timeloom.autograd.tape import GradientTape
from timeloom.autograd.traced import TracedArray
from timeloom.autograd.ufuncs import OTHERS

__all__ = [
    "OTHERS",
    "GradientTape",
    "Operand",
    "TracedArray",
    "append",
    "append_many",
    "is_recorded",
    "keep",
    "keys_of",
    "record",
    "value",
]
