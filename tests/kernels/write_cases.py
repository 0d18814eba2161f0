"""Write the case file of run_cases: problems of the reference, its answers and the error allowed to each.

    python -m tests.kernels.write_cases [--wrong] FILE

Belongs here: which cases are written, and the bytes of the format (tests/kernels/case_file.h describes it).
Does not belong here: tolerances and the recurrent reference's call, which cases.py has.
"""

import argparse
import struct
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
from tests.kernels.cases import (
    ARRANGEMENTS,
    ORDERS,
    Case,
    allowed_error,
    reference_results,
    timesteps_of_activation,
)
from tests.reference import recurrent, softmax
from tests.reference.activations import ACTIVATIONS

# Each size of units leaves another tail in vectors of 2, 4, 8 and 16 lanes; some are cut by the four vectors
# of a panel.
SIZES = [
    # batch, timesteps, features, units
    (3, 7, 5, 1),
    (1, 2, 1, 3),
    (3, 1, 5, 7),
    (8, 7, 1, 8),
    (3, 2, 28, 9),
    (8, 2, 5, 15),
    (5, 7, 3, 16),
    (1, 20, 5, 17),
    (3, 7, 28, 33),
    (8, 131, 3, 9),  # chunks of weight gradients, one larger than the other
]
PATHS = ["", "batch-fused", "batch-separate", "units-fused", "units-separate"]
WIDTHS = [1, 3, 7, 8, 9, 15, 16, 17, 33]


def pack_text(text):
    """Return a text: its length and its bytes."""
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw


def pack_array(array):
    """Return an array: its axes and its elements as float64."""
    array = np.asarray(array)
    return struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape) + array.astype("<f8").tobytes()


def pack_list(entries, pack_value):
    """Return a list of (name, value)."""
    packed = [pack_text(name) + pack_value(value) for name, value in entries.items()]
    return struct.pack("<I", len(packed)) + b"".join(packed)


def pack_case(kind, label, arguments, expected, in_float32):
    """Return the bytes of a case.

    Args:
        kind: what run_cases calls.
        label: what it prints.
        arguments: name -> text, number, bool, array, tuple of arrays (one entry each), or None (left out).
        expected: name -> result of the float64 reference.
        in_float32: the same of the reference in float32.
    """
    flat = {}
    for name, value in arguments.items():
        places = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        flat |= {name if place is None else f"{name}[{place}]": item for place, item in places}
    flat = {name: value for name, value in flat.items() if value is not None}
    words = {name: value for name, value in flat.items() if isinstance(value, str)}
    arrays = {name: value for name, value in flat.items() if isinstance(value, np.ndarray)}
    numbers = {name: float(flat[name]) for name in flat.keys() - words.keys() - arrays.keys()}

    for name in expected:
        if not (np.isfinite(expected[name]).all() and np.isfinite(in_float32[name]).all()):
            raise ValueError(f"{label}: expected finite numbers of the reference, got others in {name}")

    def pack_result(name):
        errors = [allowed_error(expected[name], rounded) for rounded in (in_float32[name], None)]
        return pack_array(expected[name]) + struct.pack("<2d", *errors)

    return (
        pack_text(kind)
        + pack_text(label)
        + pack_list(words, pack_text)
        + pack_list(numbers, lambda value: struct.pack("<d", value))
        + pack_list(arrays, pack_array)
        + pack_list({name: name for name in expected}, pack_result)
    )


def recurrent_cases():
    """Every cell at every size; options and paths change from one to the next."""
    cases = []
    for cell, (place, size) in product(recurrent.CELLS, enumerate(SIZES)):
        random = np.random.default_rng(place)
        names = ("bias", "initial_states", "go_backwards", "return_sequences")
        drawn = {name: bool(random.integers(2)) for name in names}
        upstream = str(random.choice(["outputs", "states", "both"]))
        cases.append((Case(cell, *size, **drawn, upstream=upstream, seed=place), PATHS[place % len(PATHS)]))
    # Every activation in both roles.
    for cell, activation, role in product(
        recurrent.CELLS, ACTIVATIONS, ("activation", "recurrent_activation")
    ):
        timesteps = timesteps_of_activation(activation, role)
        cases.append((Case(cell, 3, timesteps, 5, 9, **{role: activation}), ""))
    # Every way to leave timesteps out, in an order and on a path that change from one to the next.
    arranged = product(recurrent.CELLS, enumerate(ARRANGEMENTS), (True, False))
    for cell, (place, arrangement), return_sequences in arranged:
        order = list(ORDERS.values())[(place + return_sequences) % len(ORDERS)]
        zeros = not arrangement.get("packed") and place % 2 == 1
        case = Case(
            cell,
            *SIZES[(place + 4) % 9],
            **arrangement,
            **order,
            return_sequences=return_sequences,
            zero_output_for_mask=zeros,
            seed=place,
        )
        cases.append((case, PATHS[place % len(PATHS)]))
    # Multipliers alone and among masked timesteps.
    for cell, mask in product(recurrent.CELLS, (None, "holes")):
        for place, zoneout in enumerate((None, "rate", "multipliers", "mixed")):
            case = Case(
                cell,
                *SIZES[place + 5],
                mask=mask,
                zoneout=zoneout,
                input_dropout=place != 1,
                recurrent_dropout=place != 2,
                seed=place,
            )
            cases.append((case, PATHS[place]))
    return cases


def pack_recurrent(case, path):
    """Return the bytes of a recurrent case on one path of the kernels."""
    problem = case.problem
    arguments = problem.arguments | {"d_outputs": problem.d_outputs, "d_states": problem.d_states}
    chosen = asdict(case)
    options = [name for name, value in chosen.items() if value is True]
    words = [
        chosen[name] for name in ("activation", "recurrent_activation", "mask", "zoneout") if chosen[name]
    ]
    label = " ".join([case.cell, str(case), *words, *options, path])
    references = [reference_results(case, dtype) for dtype in (np.float64, np.float32)]
    return pack_case("recurrent", label, arguments | {"path": path or None}, *references)


def pack_function(kind, label, words, arrays, functions):
    """Return the bytes of a case whose results are name -> function(*arrays)."""
    rounded = {key: value.astype(np.float32) for key, value in arrays.items()}
    exact = {key: value.astype(np.float64) for key, value in rounded.items()}
    expected, in_float32 = (
        {name: function(*values.values()) for name, function in functions.items()}
        for values in (exact, rounded)
    )
    return pack_case(kind, label, words | exact, expected, in_float32)


def activation_cases():
    """Every activation and its derivative over a range that misses the corners of the piecewise ones."""
    x = np.linspace(-11.3, 11.7, 301)
    upstream = np.random.default_rng(2).standard_normal(x.shape)
    for name, (function, derivative) in ACTIVATIONS.items():
        functions = {
            "y": lambda x, d_y, f=function: f(x),
            "d_x": lambda x, d_y, f=derivative: d_y * f(x),
        }
        yield pack_function("activation", name, {"activation": name}, {"x": x, "d_y": upstream}, functions)


def row_cases():
    """Softmax, its logarithm and their gradients, which take the output."""
    random = np.random.default_rng(0)
    for width in WIDTHS:
        logits, upstream = 4 * random.standard_normal((5, width)), random.standard_normal((5, width))
        functions = {
            "softmax": ({"operand": logits}, softmax.softmax),
            "log_softmax": ({"operand": logits}, softmax.log_softmax),
            "softmax_gradient": (
                {"operand": softmax.softmax(logits), "upstream": upstream},
                lambda y, d_y: y * (d_y - np.sum(d_y * y, axis=-1, keepdims=True)),
            ),
            "log_softmax_gradient": (
                {"operand": softmax.log_softmax(logits), "upstream": upstream},
                lambda y, d_y: d_y - np.exp(y) * np.sum(d_y, axis=-1, keepdims=True),
            ),
        }
        for name, (arrays, function) in functions.items():
            yield pack_function(
                "rows", f"{name} 5x{width}", {"function": name}, arrays, {"results": function}
            )


def product_cases():
    """Matrix products with every tail of columns."""
    random = np.random.default_rng(1)
    for cols, transposed in product(WIDTHS, (False, True)):
        rows, depth = 1 + cols % 7, 1 + 3 * cols
        arrays = {
            "left": random.standard_normal((rows, depth)),
            "right": random.standard_normal((cols, depth) if transposed else (depth, cols)),
            "bias": random.standard_normal(cols),
        }
        yield pack_function(
            "product",
            f"{rows}x{depth} by {depth}x{cols}{' transposed' if transposed else ''}",
            {"transposed": transposed},
            arrays,
            {
                "outputs": lambda left, right, bias, flip=transposed: (
                    left @ (right.T if flip else right) + bias
                )
            },
        )


def main():
    """Write a case file; with --wrong one whose last answer is wrong, to see run_cases fail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wrong", action="store_true", help="spoil the last answer")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    cases = [pack_recurrent(case, path) for case, path in recurrent_cases()]
    cases += [*activation_cases(), *row_cases(), *product_cases()]
    if arguments.wrong:
        last, allowed_to_float32, allowed_to_float64 = struct.unpack("<3d", cases[-1][-24:])
        cases[-1] = cases[-1][:-24] + struct.pack("<3d", last + 1, allowed_to_float32, allowed_to_float64)
    head, tail = b"timeloom cases 1\n" + struct.pack("<I", len(cases)), b"end of cases\n"
    arguments.file.write_bytes(head + b"".join(cases) + tail)
    print(f"{arguments.file}: {len(cases)} cases")


if __name__ == "__main__":
    main()
