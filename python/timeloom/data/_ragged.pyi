from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]

def measure(rows: list[Any], lengths: Positions) -> int: ...
def fill_from_lists(
    rows: list[Any],
    lengths: Positions,
    starts: Positions,
    steps: int,
    out: npt.NDArray[Any],
    nested: bool,
    cut_before: bool,
) -> tuple[str, int, int, int] | None: ...
def plan_runs(
    starts: Positions, lengths: Positions, rows: Positions, steps: int, plan: Positions
) -> tuple[int, int]: ...
def copy_runs(
    source: npt.NDArray[np.uint8],
    sources: Positions,
    counts: Positions,
    out: npt.NDArray[np.uint8],
    starts: Positions,
) -> int: ...
def order_by_length(lengths: Positions, rows: Positions, counts: Positions, out: Positions) -> None: ...
def encode_characters(
    text: str, table: npt.NDArray[np.intc], unknown: int, out: npt.NDArray[np.intc]
) -> int: ...
def encode_words(words: list[Any], codes: dict[Any, int], unknown: int, out: npt.NDArray[np.intc]) -> int: ...
def mark_classes(codes: npt.NDArray[Any], out: npt.NDArray[Any]) -> int: ...
