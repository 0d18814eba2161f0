"""The options of recurrent calls: masks, lengths, dropout and zoneout, as the kernels take them."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from timeloom.arguments import flag
from timeloom.autograd import is_recorded, keep, value
from timeloom.ops.checks import contiguous


class Options(TypedDict, total=False):
    """The keyword arguments of ``recurrent`` that its short forms hand on."""

    mask: Any
    lengths: Any
    zero_output_for_mask: bool
    keep_time_order: bool
    input_dropout: Any
    recurrent_dropout: Any
    zoneout: Any


# The same with their defaults.
OPTIONS: dict[str, Any] = {
    name: False if name in ("zero_output_for_mask", "keep_time_order") else None
    for name in Options.__annotations__
}


def checked_options(
    recorded: bool,
    *,
    mask: Any = None,
    lengths: Any = None,
    zero_output_for_mask: bool = False,
    keep_time_order: bool = False,
    input_dropout: Any = None,
    recurrent_dropout: Any = None,
    zoneout: Any = None,
) -> dict[str, Any]:
    """The options as the kernels take them."""
    return {
        "mask": _mask(mask),
        "lengths": _lengths(lengths),
        "zero_output_for_mask": flag("zero_output_for_mask", zero_output_for_mask),
        "keep_time_order": flag("keep_time_order", keep_time_order),
        "input_dropout": _constant("input_dropout", input_dropout, recorded),
        "recurrent_dropout": _constant("recurrent_dropout", recurrent_dropout, recorded),
        "zoneout": _zoneout(zoneout, recorded),
    }


def _constant(name: str, given: Any, kept: bool = False) -> Any:
    """An array that no gradient flows to, as it is now if it is kept for backward."""
    if given is None:
        return None
    if is_recorded(given):
        raise TypeError(f"{name}: expected a plain array, got a recorded one; take its .numpy()")
    return contiguous(keep(given) if kept else value(given))


def _mask(given: Any) -> Any:
    if given is None:
        return None
    mask = np.asarray(_constant("mask", given))
    if mask.dtype.kind not in "biuf":
        raise TypeError(f"mask: expected bools, got dtype {mask.dtype}")
    return np.ascontiguousarray(mask if mask.dtype == bool else mask != 0)


def _lengths(given: Any) -> Any:
    if given is None:
        return None
    lengths = np.asarray(_constant("lengths", given))
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"lengths: expected integers, got dtype {lengths.dtype}")
    if lengths.dtype == np.uint64 and lengths.size and lengths.max() > np.iinfo(np.int64).max:
        raise ValueError(f"lengths: expected lengths of timesteps, got {lengths.max()}")
    return np.ascontiguousarray(lengths, np.int64)


def _zoneout(given: Any, kept: bool) -> Any:
    if given is None:
        return None
    parts = given if isinstance(given, (list, tuple)) else (given,)
    return tuple(
        part
        if part is None
        else float(part)
        if isinstance(part, (int, float, np.integer, np.floating))
        else _constant("zoneout", part, kept)
        for part in parts
    )
