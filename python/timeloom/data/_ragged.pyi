from typing import Any

import numpy as np
import numpy.typing as npt

def measure(rows: list[Any], lengths: npt.NDArray[np.intp]) -> int: ...
def fill_from_lists(
    rows: list[Any], out: npt.NDArray[Any], nested: bool, pad_before: bool, cut_before: bool
) -> tuple[str, int, int, int] | None: ...
def fill_from_flat(
    flat: npt.NDArray[np.uint8],
    lengths: npt.NDArray[np.intp],
    out: npt.NDArray[np.uint8],
    pad_before: bool,
    cut_before: bool,
) -> None: ...
