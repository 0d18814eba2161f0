"""Callbacks with a purpose: stop early, change the learning rate, stop at NaN.

Here belongs what acts on training from outside the loop. The base class, the history and the progress
bar belong to the loop and are only named here.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

from timeloom.arguments import flag, integer, number
from timeloom.models.callback_list import CallbackList
from timeloom.models.hooks import OLD_NAMES, Callback, History, Logs
from timeloom.models.progress import ProgbarLogger

__all__ = [
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]


class LambdaCallback(Callback):
    """A callback from functions.

    Args:
        on_epoch_begin: Function of epoch and logs. Default None.
        on_epoch_end: Function of epoch and logs. Default None.
        on_train_begin: Function of logs. Default None.
        on_train_end: Function of logs. Default None.
        on_train_batch_begin: Function of batch and logs. Default None.
        on_train_batch_end: Function of batch and logs. Default None.
        **kwargs: Other hooks by name.

    Raises:
        ValueError: If a name is no hook.
        TypeError: If a value cannot be called.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, hook in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"{name}: expected a hook of Callback, got an unknown name")
            if hook is not None:
                if not callable(hook):
                    raise TypeError(f"{name}: expected a function, got {type(hook).__name__}")
                setattr(self, name, hook)


class _Monitor(Callback):
    """A callback that compares one entry of the logs with its best so far.

    Args:
        monitor: Name in the logs; ``acc`` and ``val_acc`` of older Keras are found too.
        mode: ``"min"``, ``"max"`` or ``"auto"``: low for losses and errors, high for accuracies.
        min_delta: What counts as an improvement. At least 0 in effect: its sign does not matter.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: expected 'auto', 'min' or 'max', got {mode!r}")
        if not isinstance(monitor, str):
            raise ValueError(f"monitor: expected a name, got {monitor!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(number("min_delta", min_delta))
        self.best: float | None = None

    def current(self, logs: Logs) -> float | None:
        """Returns the monitored value, None (with a warning) if the logs do not have it."""
        found = logs or {}
        name = self.monitor if self.monitor in found else OLD_NAMES.get(self.monitor, self.monitor)
        if name not in found:
            known = ", ".join(found)
            warnings.warn(f"monitor: expected one of {known}, got {self.monitor!r}", stacklevel=3)
            return None
        return float(found[name])

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether value improves on another one by more than min_delta.

        Raises:
            ValueError: If mode is auto and nothing says which direction is better.
        """
        if than is None:
            return True
        if self.mode == "auto":
            self.mode = self._direction()
        if self.mode == "max":
            return value - self.min_delta > than
        return value + self.min_delta < than

    def _direction(self) -> str:
        name = OLD_NAMES.get(self.monitor, self.monitor).removeprefix("val_")
        if name == "loss":
            return "min"
        for known, metric in zip(self.model.metrics_names, self.model.metrics, strict=True):
            direction = getattr(metric, "_direction", None)
            if OLD_NAMES.get(known, known) == name and direction is not None:
                return "max" if direction == "up" else "min"
        raise ValueError(f"mode: expected 'min' or 'max' for monitor {self.monitor!r}, got 'auto'")


class EarlyStopping(_Monitor):
    """Stops training when a value has not improved for some epochs.

    Args:
        monitor: Name in the logs. Default ``"val_loss"``.
        min_delta: What counts as an improvement. Default 0.
        patience: Epochs without improvement after which training stops. Default 0.
        verbose: 1 to say so. Default 0.
        mode: ``"auto"``, ``"min"`` or ``"max"``. Default ``"auto"``.
        baseline: Value to beat too. Default None.
        restore_best_weights: Whether to end with the weights of the best epoch. Default False.
        start_from_epoch: Epochs before it, counted from 0, do not count. Default 0.

    Attributes:
        stopped_epoch: Epoch at whose end it stopped, 0 if it did not.
        best_epoch: Epoch of the best value.

    Reference:
        keras.callbacks.EarlyStopping of Keras 3, which restores weights however training ended.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = integer("patience", patience)
        self.verbose = integer("verbose", int(verbose))
        self.baseline = None if baseline is None else number("baseline", baseline)
        self.restore_best_weights = flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = integer("start_from_epoch", start_from_epoch)
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best = None
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(_Monitor):
    """Lowers the learning rate when a value has not improved for some epochs.

    Adds ``learning_rate`` to the logs.

    Args:
        monitor: Name in the logs. Default ``"val_loss"``.
        factor: New learning rate over the old one, below 1. Default 0.1.
        patience: Epochs without improvement before. Default 10.
        verbose: 1 to say so. Default 0.
        mode: ``"auto"``, ``"min"`` or ``"max"``. Default ``"auto"``.
        min_delta: What counts as an improvement. Default 1e-4.
        cooldown: Epochs after a change that do not count. Default 0.
        min_lr: No learning rate goes below. Default 0.0.
        **kwargs: ``epsilon``, the name of min_delta in Keras 2.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        min_delta = kwargs.pop("epsilon", min_delta)
        if kwargs:
            raise ValueError(f"{', '.join(kwargs)}: expected an argument of ReduceLROnPlateau, got another")
        super().__init__(monitor, mode, min_delta)
        self.factor = number("factor", factor, 0.0)
        if self.factor >= 1.0:
            raise ValueError(f"factor: expected a number below 1, got {factor!r}")
        self.patience = integer("patience", patience)
        self.verbose = integer("verbose", int(verbose))
        self.cooldown = integer("cooldown", cooldown)
        self.min_lr = number("min_lr", min_lr, 0.0)
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate.numpy())
        value = self.current(logs)
        if logs is not None:
            logs["learning_rate"] = rate
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best = value
            self.wait = 0
            return
        if self.cooldown_counter > 0:
            return
        self.wait += 1
        if self.wait >= self.patience and rate > self.min_lr:
            lower = max(rate * self.factor, self.min_lr)
            optimizer.learning_rate = lower
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.")
            self.cooldown_counter = self.cooldown
            self.wait = 0


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch; adds ``learning_rate`` to the logs.

    Args:
        schedule: Function of epoch (from 0) and learning rate, or of the epoch alone, to a float.
        verbose: 1 to say so. Default 0.

    Raises:
        TypeError: If schedule cannot be called.
        ValueError: While training, if it returns no number.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"schedule: expected a function, got {type(schedule).__name__}")
        self.schedule = schedule
        self.verbose = integer("verbose", int(verbose))

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate.numpy()))
        except TypeError:
            # Keras 2: a function of the epoch alone.
            rate = self.schedule(epoch)
        rate = number("schedule", rate, 0.0)
        optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


class TerminateOnNaN(Callback):
    """Stops training at a batch whose loss is NaN or infinite; the epoch still ends.

    Args:
        raise_error: Whether to raise RuntimeError instead. Default False.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = flag("raise_error", raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"loss: expected a finite number at batch {batch}, got {loss}")
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
