# cython: language_level=3, auto_pickle=False, nonecheck=True
"""Recurrent weights in the form of the kernels, kept beside their Variables as long as none of them changes.

Plain arrays may change without a word, so they are packed at every call; Variables count their changes.
Compiled, as every recurrent call passes here; its types are in weights.pyi.
"""

import weakref

from timeloom.autograd.recording cimport VariableOperand

from timeloom import _core


cdef class KeptWeights:
    """The packed weights of a cell, which each of its Variables holds until the first of them changes.

    The first calls fill them. Once closed they stay empty, and the Variables get others at the next call.

    Args:
        cell: name of the cell.
        variables: kernel, recurrent kernel and perhaps bias.

    Attributes:
        packed: what ``_core.rnn_forward`` takes as ``weights``.
        arrays: those of the Variables, None for no bias; empty once a Variable died.
    """

    def __init__(self, cell, *variables):
        self.cell = cell
        self.biased = len(variables) == 3
        self.packed = packed = _core.PackedWeights()
        self.arrays = arrays = [(<VariableOperand?>variable)._value for variable in variables]
        if not self.biased:
            arrays.append(None)

        def end(_):
            packed.close()
            arrays.clear()

        self.ends = [weakref.ref(variable, end) for variable in variables]
        # Registered before anything is packed: whatever changes from here on closes them.
        for variable in variables:
            variable._hold_packed(self)

    def close(self):
        """Free the memory."""
        self.packed.close()


cpdef KeptWeights kept_weights(cell, kernel, recurrent_kernel, bias):
    """The packed weights of these Variables at their present versions; None for others than Variables."""
    if not (isinstance(kernel, VariableOperand) and isinstance(recurrent_kernel, VariableOperand)):
        return None
    if not (bias is None or isinstance(bias, VariableOperand)):
        return None
    cdef KeptWeights kept = (<VariableOperand>recurrent_kernel)._packed
    if (
        kept is not None
        and kept is (<VariableOperand>kernel)._packed
        and (not kept.biased if bias is None else kept is (<VariableOperand>bias)._packed)
        and kept.cell == cell
    ):
        return kept
    if bias is None:
        return KeptWeights(cell, kernel, recurrent_kernel)
    return KeptWeights(cell, kernel, recurrent_kernel, bias)
