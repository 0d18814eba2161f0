"""How much memory a model needs, found before it runs.

Here: arrays without memory (ledger), a tape of them, what each operation and layer allocates and keeps, and
the report. Not here: the sizes of the kernels' own memory, which the kernels tell (_core.rnn_memory).
"""

from timeloom.memory.estimate import MemoryEstimate, memory_estimate

__all__ = ["MemoryEstimate", "memory_estimate"]
