"""What can be wrong with a float32 array that a kernel takes, and how the refusal reads.

Belongs here: one line for each fault. Does not belong here: tests.
"""

import numpy as np


def says(name):
    """Pattern of an error in the project's form."""
    return rf"^{name}: expected .+, got .+"


def unaligned(array):
    """The same numbers one byte off their alignment."""
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    moved = memory.view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


SPOILT = {
    "int": (TypeError, lambda array: array.astype(np.int32)),
    "bool": (TypeError, lambda array: array.astype(bool)),
    "complex": (TypeError, lambda array: array.astype(np.complex64)),
    "half": (TypeError, lambda array: array.astype(np.float16)),
    "long double": (TypeError, lambda array: array.astype(np.longdouble)),
    "string": (TypeError, lambda array: array.astype(str)),
    "object": (TypeError, lambda array: array.astype(object)),
    "other float": (TypeError, lambda array: array.astype(np.float64)),
    "byte order": ((TypeError, ValueError), lambda array: array.astype(">f4")),
    "too few axes": (ValueError, lambda array: np.array(array[..., 0])),
    "too many axes": (ValueError, lambda array: array[None]),
    "Fortran order": (ValueError, lambda array: np.asfortranarray(np.stack([array, array]))[0]),
    "step of two": (ValueError, lambda array: np.repeat(array, 2, axis=-1)[..., ::2]),
    "negative stride": (ValueError, lambda array: array[..., ::-1]),
    "read off alignment": (ValueError, unaligned),
    "longer last axis": (ValueError, lambda array: np.concatenate([array, array[..., :1]], axis=-1)),
    "longer first axis": (ValueError, lambda array: np.concatenate([array, array[:1]], axis=0)),
}
