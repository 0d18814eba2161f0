"""Arrays without memory, and the ledger that adds up what they would take at every moment.

An Outline lives as long as something refers to it, as an array does; so code that handles outlines as the
real code handles arrays has the same peak.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

from timeloom import _core

__all__ = ["Blocks", "Ledger", "Moment", "Outline"]

# Whose memory it is: a kind, and the layer.
Place = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Moment:
    """What was in use at one moment.

    Args:
        size: Bytes in total.
        places: Bytes by kind and layer.
        pass_: "forward" or "backward".
        layer: Whose operation ran.
    """

    size: int = 0
    places: dict[Place, int] = dataclasses.field(default_factory=dict)
    pass_: str = "forward"
    layer: str = ""


class Ledger:
    """Counts what is held, and remembers the moment when it was most.

    Attributes:
        layer: Whose operation runs.
        pass_: "forward" or "backward".
        held: The most bytes ever held, those of the pool's idle blocks among them.
        moment: When most was in use.
    """

    def __init__(self) -> None:
        self.layer = ""
        self.pass_ = "forward"
        self.held = 0
        self.moment = Moment()
        self._places: Counter[Place] = Counter()
        self._arrays = 0
        self._pool = _core.PoolModel()
        self._packed: dict[tuple[Any, str], Blocks] = {}

    def array(self, shape: Sequence[int], itemsize: int, kind: str | None = None) -> "Outline":
        """Returns a new array; without a kind it is workspace in backward, in forward an activation."""
        place = (kind or ("activations" if self.pass_ == "forward" else "workspace"), self.layer)
        return Outline(tuple(shape), itemsize, self, place)

    def blocks(
        self, parts: Sequence[tuple[str, int, bool]], weights: Any = None
    ) -> tuple["Blocks", "Blocks"]:
        """Takes blocks from the pool for (name, bytes, whether it is kept) of a call.

        Those of packed weights count until `drop_packed`.

        Args:
            parts: In the order in which they are taken.
            weights: Whose packed form it is, if a call packs weights for those after it too. Default None.

        Returns:
            The kept ones, and those that the call gives back at its end.
        """
        kept, others = Blocks(self), Blocks(self)
        for name, size, stays in parts:
            packed = name == "packed weights"
            if packed and weights is not None:
                form = (weights, self.pass_)
                if form not in self._packed:
                    self._packed[form] = Blocks(self)
                    self._packed[form].take((name, self.layer), size)
                continue
            kind = "kept" if stays else "packed weights" if packed else "workspace"
            (kept if stays else others).take((kind, self.layer), size)
        return kept, others

    def drop_packed(self, changed: Container[Any]) -> None:
        """Gives back the packed forms of weights that changed."""
        self._packed = {form: blocks for form, blocks in self._packed.items() if form[0] not in changed}

    def add(self, place: Place, size: int) -> None:
        """Counts memory of NumPy's."""
        self._places[place] += size
        self._arrays += size
        if size > 0:
            self._look()

    def take(self, place: Place, size: int) -> int:
        """Counts memory of the pool, and returns the size of the block that it gives."""
        block: int = self._pool.take(size)
        self._places[place] += block
        self._look()
        return block

    def give(self, place: Place, block: int) -> None:
        """Returns a block to the pool."""
        self._pool.give(block)
        self._places[place] -= block

    def _look(self) -> None:
        size = self._arrays + self._pool.used
        self.held = max(self.held, size + self._pool.idle)
        if size > self.moment.size:
            places = {place: used for place, used in self._places.items() if used}
            self.moment = Moment(size, places, self.pass_, self.layer)


class Outline:
    """What an array is without its elements.

    Args:
        shape: Its shape.
        itemsize: Bytes of an element.
        ledger: Where it counts.
        place: Its kind and layer; None for a view.
        base: The array that a view is of. Default None.
    """

    __slots__ = ("_base", "_place", "_size", "itemsize", "ledger", "shape")

    def __init__(
        self, shape: tuple[int, ...], itemsize: int, ledger: Ledger, place: Place | None, base: Any = None
    ) -> None:
        self.shape = shape
        self.itemsize = itemsize
        self.ledger = ledger
        self._place = place
        self._base = base
        self._size = math.prod(shape) * itemsize
        if place is not None:
            ledger.add(place, self._size)

    def __del__(self) -> None:
        if self._place is not None:
            self.ledger.add(self._place, -self._size)

    def view(self, shape: Sequence[int]) -> "Outline":
        """Returns a view of another shape."""
        return Outline(tuple(shape), self.itemsize, self.ledger, None, self)

    def like(self, kind: str | None = None, itemsize: int | None = None) -> "Outline":
        """Returns a new array of the same shape."""
        return self.ledger.array(self.shape, itemsize or self.itemsize, kind)


class Blocks:
    """Blocks of the pool, given back when nothing refers to them."""

    __slots__ = ("_held", "ledger")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._held: list[tuple[Place, int]] = []

    def take(self, place: Place, size: int) -> None:
        """Takes one more."""
        self._held.append((place, self.ledger.take(place, size)))

    def __del__(self) -> None:
        for place, block in self._held:
            self.ledger.give(place, block)
