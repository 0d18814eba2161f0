"""Recurrent weights in the form of the kernels, kept beside their Variables as long as none of them changes.

Plain arrays may change without a word, so they are packed at every call; Variables count their changes.
"""

from __future__ import annotations

import weakref
from typing import Any

from timeloom import _core
from timeloom.variables import Variable


class KeptWeights:
    """The packed weights of a cell, which each of its Variables holds until the first of them changes.

    The first calls fill them. Once closed they stay empty, and the Variables get others at the next call.

    Args:
        cell: name of the cell.
        variables: kernel, recurrent kernel and perhaps bias.

    Attributes:
        packed: what ``_core.rnn_forward`` takes as ``weights``.
        arrays: those of the Variables, None for no bias; empty once a Variable died.
    """

    __slots__ = ("__weakref__", "_ends", "arrays", "biased", "cell", "packed")

    def __init__(self, cell: str, *variables: Variable) -> None:
        self.cell = cell
        self.biased = len(variables) == 3
        self.packed = packed = _core.PackedWeights()
        self.arrays: list[Any] = [variable._value for variable in variables]
        arrays = self.arrays
        if not self.biased:
            arrays.append(None)

        def end(_: Any) -> None:
            packed.close()
            arrays.clear()

        self._ends = [weakref.ref(variable, end) for variable in variables]
        # Registered before anything is packed: whatever changes from here on closes them.
        for variable in variables:
            variable._hold_packed(self)

    def close(self) -> None:
        """Free the memory."""
        self.packed.close()


def kept_weights(cell: str, kernel: Any, recurrent_kernel: Any, bias: Any) -> KeptWeights | None:
    """The packed weights of these Variables at their present versions; None for others than Variables."""
    if not (isinstance(kernel, Variable) and isinstance(recurrent_kernel, Variable)):
        return None
    kept: KeptWeights | None = recurrent_kernel._packed
    if bias is None:
        if kept is None or kept is not kernel._packed or kept.cell != cell or kept.biased:
            kept = KeptWeights(cell, kernel, recurrent_kernel)
    elif not isinstance(bias, Variable):
        return None
    elif kept is None or kept is not kernel._packed or kept is not bias._packed or kept.cell != cell:
        kept = KeptWeights(cell, kernel, recurrent_kernel, bias)
    return kept
