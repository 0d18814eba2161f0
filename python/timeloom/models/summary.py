"""The table that model.summary() prints."""

import math
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from timeloom.arrays import shape_text
from timeloom.layers import Layer
from timeloom.variables import Variable

__all__ = ["memory_text", "summary_lines"]


def memory_text(size: int) -> str:
    """Writes a number of bytes as Keras does.

    Example:
        >>> memory_text(316), memory_text(4096)
        ('316.00 B', '4.00 KB')
    """
    if size <= 0:
        return "0.00 B"
    power = min(int(math.log(size, 1024)), 5)
    return f"{size / 1024**power:.2f} {('B', 'KB', 'MB', 'GB', 'TB', 'PB')[power]}"


def summary_lines(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> list[str]:
    """Returns the lines of the table and of the totals below it; arguments as model.summary().

    Raises:
        ValueError: If the width is too small or layer_range names no layers.
    """
    header = ["Layer (type)", "Output Shape", "Param #"]
    ends = list(positions or (0.45, 0.80, 1.0))
    length = line_length
    if show_trainable:
        header.append("Trainable")
        ends = list(positions) if positions else [0.9 * end for end in ends] + [1.0]
    if len(ends) != len(header):
        raise ValueError(f"positions: expected {len(header)} numbers, got {len(ends)}")
    if length is None:
        length = min(100 if show_trainable else 88, shutil.get_terminal_size().columns - 4)
    stops = [int(end * length) if end <= 1 else int(end) for end in ends]
    widths = [stop - start for start, stop in zip([0, *stops], stops, strict=False)]
    if min(widths) < 4:
        raise ValueError(f"line_length: expected room for every column, got widths {widths}")
    rows = list(_rows(_in_range(model.layers, layer_range), expand_nested, show_trainable))
    lines = [f'Model: "{model.name}"', *_table(header, rows, widths)]
    return lines + _totals(model)


def _in_range(layers: list[Layer], layer_range: Sequence[str] | None) -> list[Layer]:
    if layer_range is None:
        return layers
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ValueError(f"layer_range: expected two names, got {layer_range!r}")
    first = [i for i, layer in enumerate(layers) if re.match(layer_range[0], layer.name)]
    last = [i for i, layer in enumerate(layers) if re.match(layer_range[1], layer.name)]
    if not first or not last:
        names = [layer.name for layer in layers]
        raise ValueError(f"layer_range: expected names among {names}, got {layer_range!r}")
    start, stop = sorted((first[0], last[-1]))
    return layers[start : stop + 1]


def _rows(
    layers: Iterable[Layer], expand_nested: bool, show_trainable: bool, depth: int = 0
) -> Iterator[list[str]]:
    for layer in layers:
        prefix = "   " * depth + "└ " if depth else ""
        row = [
            f"{prefix}{layer.name} ({type(layer).__name__})",
            _output_shape(layer),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        if show_trainable:
            row.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        yield row
        if expand_nested:
            yield from _rows(getattr(layer, "layers", ()), True, show_trainable, depth + 1)


def _output_shape(layer: Layer) -> str:
    if layer.built_shape is None:
        return "?"
    shape = layer.compute_output_shape(layer.built_shape)
    if shape and isinstance(shape[0], tuple):
        return "[" + ", ".join(shape_text(part) for part in shape) + "]"
    return shape_text(shape)


def _table(header: list[str], rows: list[list[str]], widths: list[int]) -> Iterator[str]:
    # Every column has a border on its left and a blank on both sides, the last one a border more.
    inner = [width - 1 for width in widths[:-1]] + [widths[-1] - 2]
    right = header.index("Param #")

    def line(cells: list[str], border: str) -> Iterator[str]:
        wrapped = [textwrap.wrap(cell, width - 2) or [""] for cell, width in zip(cells, inner, strict=True)]
        for i in range(max(map(len, wrapped))):
            parts = []
            for column, (cell, width) in enumerate(zip(wrapped, inner, strict=True)):
                text = cell[i] if i < len(cell) else ""
                aligned = text.rjust(width - 2) if column == right else text.ljust(width - 2)
                parts.append(f" {aligned} ")
            yield border + border.join(parts) + border

    yield "┏" + "┳".join("━" * width for width in inner) + "┓"
    yield from line(header, "┃")
    yield "┡" + "╇".join("━" * width for width in inner) + "┩"
    for number, row in enumerate(rows):
        if number:
            yield "├" + "┼".join("─" * width for width in inner) + "┤"
        yield from line(row, "│")
    yield "└" + "┴".join("─" * width for width in inner) + "┘"


def _totals(model: Any) -> list[str]:
    optimizer = model.optimizer
    state = optimizer.variables if optimizer is not None and optimizer.built else []
    lines = [
        _total("Total", [*model.weights, *state]),
        _total("Trainable", model.trainable_weights),
        _total("Non-trainable", model.non_trainable_weights),
    ]
    return lines + ([_total("Optimizer", state)] if state else [])


def _total(kind: str, variables: Sequence[Variable]) -> str:
    count = sum(int(variable.size) for variable in variables)
    size = sum(int(variable.size) * variable.dtype.itemsize for variable in variables)
    return f" {kind} params: {count:,} ({memory_text(size)})"
