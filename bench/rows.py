"""The rows of the report: what is measured, what class it belongs to, and what the class has to reach.

Belongs here: rows, classes, targets.
Does not belong here: measuring, printing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench import shapes
from bench.shapes import GRID, LAYER, Shape


class Row(NamedTuple):
    """One line of the report."""

    cell: str
    work: str
    shape: Shape
    threads: int

    @property
    def key(self) -> str:
        """Its name in files and for --match."""
        return f"{self.cell} {self.work} {self.shape} threads={self.threads}"

    @property
    def trains(self) -> bool:
        """Whether it has gradients."""
        return self.work not in ("forward", "step", "ragged")


class Class(NamedTuple):
    """Rows that share a target, the factor by which the best peer has to be slower."""

    name: str
    inference: float
    training: float


SMALL_LSTM = Class("LSTM, units up to 128", 3.0, 2.5)
MIDDLE_LSTM = Class("LSTM, units 256 to 600, batch 32 and up", 1.3, 1.7)
LARGE_LSTM = Class("LSTM, units about 1024", 1.35, 1.6)
SMALL_GRU = Class("GRU, units up to 128", 4.0, 4.0)
LARGE_GRU = Class("GRU, larger", 2.0, 2.2)
SMALL_SIMPLE = Class("SimpleRNN, units up to 128", 2.5, 2.5)
LARGE_SIMPLE = Class("SimpleRNN, larger", 1.8, 1.8)
SMALL_STREAM = Class("batch 1, units up to 128", 3.0, 4.0)
LARGE_STREAM = Class("batch 1, units 512 and up", 1.5, 2.0)
STEP = Class("a single step, batch 1, units up to 128", 3.0, 3.0)
FIT = Class("fit of mnist_rows beside PyTorch", 2.0, 2.0)
OTHER = Class("any other row", 1.0, 1.0)
CLASSES = (
    SMALL_LSTM,
    MIDDLE_LSTM,
    LARGE_LSTM,
    SMALL_GRU,
    LARGE_GRU,
    SMALL_SIMPLE,
    LARGE_SIMPLE,
    SMALL_STREAM,
    LARGE_STREAM,
    STEP,
    FIT,
    OTHER,
)
LEAST_MEAN = 2.5  # geometric mean of all rows
FIT_KERAS = 4.0  # fit beside Keras's best backend


def class_of(row: Row) -> Class:
    """The class of a row."""
    batch, _, _, units = row.shape
    if row.work == "fit":
        return FIT
    if row.work == "step":
        return STEP if batch == 1 and units <= 128 else OTHER
    if row.work not in LAYER:
        return OTHER
    if batch == 1:
        return SMALL_STREAM if units <= 128 else LARGE_STREAM if units >= 512 else OTHER
    if row.cell != "lstm":
        sizes = {"gru": (SMALL_GRU, LARGE_GRU), "simple_rnn": (SMALL_SIMPLE, LARGE_SIMPLE)}[row.cell]
        return sizes[units > 128]
    if units <= 128:
        return SMALL_LSTM
    if units >= 1000:
        return LARGE_LSTM
    return MIDDLE_LSTM if 256 <= units <= 600 and batch >= 32 else OTHER


def target_of(row: Row) -> float:
    """The factor that the row's class has to reach."""
    found = class_of(row)
    return found.training if row.trains else found.inference


def share_target(row: Row) -> float | None:
    """The share of the FMA peak that the row has to reach, None for a row that has no such target."""
    if row.work not in LAYER or row.shape.units < 256 or row.shape.batch < 64:
        return None
    return {(False, True): 0.75, (False, False): 0.65, (True, True): 0.70, (True, False): 0.60}[
        row.trains, row.threads == 1
    ]


def grid_rows(threads: Sequence[int]) -> Iterator[Row]:
    """Every row of the grid; those that share a task stand together."""
    for count in threads:
        for case in GRID:
            for cell in case.cells:
                for work in case.works:
                    if work != "fit" or cell == "lstm":
                        yield Row(cell, work, case.shape, count)


QUICK_LSTM = (
    shapes.FORECAST,
    shapes.MNIST_ROWS,
    shapes.LONG_SERIES,
    shapes.CHARACTERS,
    shapes.FEATURES,
    shapes.LARGE,
    shapes.STREAM,
    shapes.LARGE_STREAM,
)
QUICK_OTHERS = (shapes.FORECAST, shapes.MNIST_ROWS, shapes.FEATURES, shapes.STREAM)


def is_quick(row: Row) -> bool:
    """Whether a row belongs to the sample of some forty."""
    if row.work == "step":
        return row.cell == "lstm" and row.shape.batch == 1
    if row.work not in LAYER:
        return row.cell == "lstm" and row.shape in (shapes.OPTIONS, shapes.MNIST_ROWS)
    return row.shape in (QUICK_LSTM if row.cell == "lstm" else QUICK_OTHERS)


def chosen_rows(
    cells: Sequence[str], works: Sequence[str], threads: Sequence[int], match: str, quick: bool
) -> list[Row]:
    """The rows that the command line asks for."""
    return [
        row
        for row in grid_rows(threads)
        if row.cell in cells
        and row.work in works
        and (not quick or is_quick(row))
        and re.search(match, row.key)
    ]
