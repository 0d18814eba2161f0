"""What the examples share: command-line numbers, pictures where matplotlib is installed, bars of text."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_PICTURE = 'No picture: matplotlib is not installed. This installs it: pip install "timeloom[plot]"'


def whole_number(minimum: int) -> Callable[[str], int]:
    """Returns a converter for argparse that takes whole numbers from `minimum` on."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, got {text!r}")
        return number

    return convert


def picture_path(text: str) -> Path:
    """Converts a path for argparse: a file in an existing folder, whose suffix names a kind of picture."""
    path = Path(text)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(f"expected a path that ends in .png, .pdf or .svg, got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a path in an existing folder, got {text!r}")
    return path


def new_figure(**options: Any) -> Figure | None:
    """Returns an empty matplotlib figure, or None where matplotlib is not installed.

    The figure belongs to no window and no global state, so this works without a display.

    Args:
        **options: passed to `matplotlib.figure.Figure`.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    return Figure(layout="constrained", **options)


def save(figure: Figure, path: Path) -> None:
    """Writes the figure and prints where it is."""
    figure.savefig(path, dpi=150)
    print(f"\nPicture: {path.resolve()}")


def marks(values: dict[str, float], scale: float, width: int = 60) -> str:
    """One line of a text chart: each mark at its value, from 0 at the left to `scale` at the right.

    Args:
        values: value by mark, a single character. Where two meet, the later one is seen.
        scale: the value of the last column; must be positive.
        width: number of columns. Default: 60.

    Returns:
        Text without trailing blanks.

    Example:
        >>> marks({"#": 50.0, "o": 100.0}, scale=100.0, width=11)
        '     #    o'
    """
    line = [" "] * width
    for mark, value in values.items():
        line[min(max(round(value / scale * (width - 1)), 0), width - 1)] = mark
    return "".join(line).rstrip()
