"""A tape of outlines: records and the walk backward, with the lifetimes of timeloom.autograd."""

from collections.abc import Callable, Sequence
from typing import Any

from timeloom.memory.ledger import Ledger, Outline

__all__ = ["OutlineTape", "Traced"]

# As in timeloom.autograd.recording: a plain operand.
CONSTANT = -1


class Traced:
    """An outline, and its number on the tape; below zero no gradient flows to it."""

    __slots__ = ("key", "outline")

    def __init__(self, outline: Outline, key: int = CONSTANT) -> None:
        self.outline = outline
        self.key = key

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the outline."""
        return self.outline.shape


class OutlineTape:
    """Records operations on outlines, and walks back over them.

    Args:
        ledger: Whose layer and pass it sets on the way back.
        recording: Whether anything is recorded; not without training.
    """

    def __init__(self, ledger: Ledger, recording: bool) -> None:
        self.ledger = ledger
        self.recording = recording
        self._records: list[Any] = []

    def leaf(self, outline: Outline, followed: bool = True) -> Traced:
        """Returns something that nothing produced: a weight, or a batch if it is not followed."""
        if not followed or not self.recording:
            return Traced(outline)
        self._records.append(None)
        return Traced(outline, len(self._records) - 1)

    def is_recorded(self, *inputs: Traced | None) -> bool:
        """Whether an operation on these inputs is recorded."""
        return any(one is not None and one.key >= 0 for one in inputs)

    def record(
        self,
        outputs: Sequence[Outline],
        inputs: Sequence[Traced | None],
        backward: Callable[..., Any],
        holds: Any = (),
    ) -> list[Traced]:
        """Records one operation.

        Args:
            outputs: What it computed.
            inputs: Its operands; None: there is none.
            backward: ``backward(needs, *d_outputs)`` returns a gradient or None for each input.
            holds: What lives until backward has run. Default: nothing.

        Returns:
            The outputs.
        """
        keys = [CONSTANT if one is None else one.key for one in inputs]
        if max(keys) < 0:
            return [Traced(one) for one in outputs]
        first = len(self._records)
        self._records.append((len(outputs), keys, backward, self.ledger.layer, holds))
        self._records.extend([None] * (len(outputs) - 1))
        return [Traced(one, first + place) for place, one in enumerate(outputs)]

    def gradient(self, target: Traced, sources: Sequence[Traced], seed: Outline) -> list[Outline | None]:
        """Walks back. As in timeloom.autograd.gradients, a record is let go once it was walked over."""
        records, self._records = self._records, []
        totals: dict[int, Outline] = {target.key: seed}
        added: set[int] = set()
        wanted = {one.key for one in sources}
        needed = set(wanted)
        for key, entry in enumerate(records):
            if entry is not None and any(i in needed for i in entry[1]):
                needed.update(range(key, key + entry[0]))
        self.ledger.pass_ = "backward"
        for key in range(target.key, -1, -1):
            entry = records[key]
            if entry is None or key not in needed:
                continue
            count, inputs, backward, self.ledger.layer, _ = entry
            d_outputs = [totals.get(i) for i in range(key, key + count)]
            if not any(d_outputs):
                continue
            needs = [i in needed for i in inputs]
            results = backward(needs, *d_outputs)
            entry = records[key] = backward = _ = None
            for i, need, gradient in zip(inputs, needs, results, strict=True):
                if need and gradient is not None:
                    if i not in totals:
                        totals[i] = gradient
                    elif i not in added:
                        added.add(i)
                        totals[i] = gradient.like()
            for i in range(key, key + count):
                if i not in wanted:
                    totals.pop(i, None)
        self.ledger.pass_ = "forward"
        return [totals.get(one.key) for one in sources]
