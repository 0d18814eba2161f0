"""The lines that fit, evaluate and predict print: a moving bar in a terminal, whole lines elsewhere."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from timeloom.models.hooks import Callback, Logs

__all__ = ["ProgbarLogger", "ProgressLine"]

_WIDTH = 20
# Seconds between two drawings of a moving bar.
_INTERVAL = 0.1


def is_interactive(stream: TextIO) -> bool:
    """Whether text after a carriage return replaces what stands on the line: a terminal, a notebook."""
    if type(stream).__module__.startswith("ipykernel") or "PYCHARM_HOSTED" in os.environ:
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def bar_character(stream: TextIO) -> str:
    """Returns the character that bars are drawn with: Keras's, if the stream can write it."""
    try:
        "━".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "="
    return "━"


def duration_text(seconds: float) -> str:
    """Writes the duration of a step as Keras does.

    Example:
        >>> duration_text(0.118), duration_text(2.4), duration_text(5e-5)
        ('118ms/step', '2s/step', '50us/step')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/step"
    return f"{seconds * 1e6:.0f}us/step"


def values_text(values: Mapping[str, float]) -> str:
    """Writes logs as Keras does.

    Example:
        >>> values_text({"loss": 0.25, "mse": 0.00005})
        ' - loss: 0.2500 - mse: 5.0000e-05'
    """
    return "".join(
        f" - {name}: " + (f"{value:.4f}" if not abs(value) <= 1e-3 else f"{value:.4e}")
        for name, value in values.items()
    )


class ProgressLine:
    """One line of progress: an epoch, an evaluation, a prediction.

    Args:
        total: Number of steps; None if unknown.
        verbose: 1 for a bar, 2 for one line at the end without it.
        stream: Default None: sys.stdout at this moment.
    """

    def __init__(self, total: int | None, verbose: int = 1, stream: TextIO | None = None) -> None:
        self.total = total
        self.verbose = verbose
        self.stream = sys.stdout if stream is None else stream
        self.seen = 0
        self._start = self._drawn = time.perf_counter()
        self._after_first: float | None = None
        self._bar: Any = None
        self._moves = verbose == 1 and total is not None and self._can_move()

    def _can_move(self) -> bool:
        return self.stream is not None and is_interactive(self.stream)

    def update(self, seen: int, values: Mapping[str, float]) -> None:
        """Notes that so many steps are done; draws if the line moves and some time has passed."""
        self.seen = seen
        now = time.perf_counter()
        if seen == 1:
            self._after_first = now
        if self._moves and now - self._drawn >= _INTERVAL:
            self._drawn = now
            left = self._step_seconds(now) * ((self.total or seen) - seen)
            # A line that wraps could not be drawn over.
            width = shutil.get_terminal_size().columns if self.stream.isatty() else None
            self._draw(f"{_clock(left)} {duration_text(self._step_seconds(now))}{values_text(values)}", width)

    def close(self, values: Mapping[str, float]) -> None:
        """Writes the final line."""
        if self.stream is None or not self.verbose:
            return
        now = time.perf_counter()
        spent = f"{now - self._start:.0f}s"
        step = duration_text(self._step_seconds(now))
        if self._moves:
            self._draw(f"{spent} {step}{values_text(values)}")
            self._bar.close()
            return
        total = self.seen if self.total is None else self.total
        count = f"{self.seen:>{len(str(total))}}/{total}"
        middle = f" {bar_character(self.stream) * _WIDTH} {spent} {step}"
        self._print(f"{count}{middle if self.verbose == 1 else f' - {spent} - {step}'}{values_text(values)}")

    def _step_seconds(self, now: float) -> float:
        # The first step, which also warms caches and memory up, is left out once there are others.
        if self._after_first is not None and self.seen > 1:
            return (now - self._after_first) / (self.seen - 1)
        return (now - self._start) / self.seen if self.seen else 0.0

    def _draw(self, text: str, width: int | None = None) -> None:
        if self._bar is None:
            self._bar = _moving_bar(self.total or 0, self.stream)
        self._bar.n = self.seen
        self._bar.ncols = width
        self._bar.set_description_str(text, refresh=False)
        self._bar.refresh()

    def _print(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()


def _moving_bar(total: int, stream: TextIO) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        # tqdm would start a thread that redraws stalled bars; epochs draw themselves.
        monitor_interval = 0

    return Bar(
        total=total,
        file=stream,
        ascii=" " + bar_character(stream),
        bar_format=f"{{n_fmt}}/{{total_fmt}} {{bar:{_WIDTH}}} {{desc}}",
        # Given, so that a terminal that reports no size does not hide the bar.
        ncols=80,
        nrows=20,
        position=0,
        # Nothing is drawn before there is something to say.
        delay=1e-9,
        leave=True,
    )


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole >= 60 else f"{whole}s"


class ProgbarLogger(Callback):
    """Prints the progress of fit, evaluate and predict; validation inside fit is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self._line: ProgressLine | None = None
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.verbose and self.epochs > 1 and sys.stdout is not None:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)
        self._open()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._close(logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._line is not None:
            self._line.update(batch + 1, logs or {})

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._open()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._in_fit and self._line is not None:
            self._line.update(batch + 1, logs or {})

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._close(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._open()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._line is not None:
            self._line.update(batch + 1, {})

    def on_predict_end(self, logs: Logs = None) -> None:
        self._close({})

    def _open(self) -> None:
        self._line = ProgressLine(self.target, self.verbose) if self.verbose else None

    def _close(self, logs: Logs) -> None:
        if self._line is not None:
            self._line.close(logs or {})
            self._line = None
