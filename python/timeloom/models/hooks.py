"""The hooks of the training loop: what a callback is, and the history that fit returns."""

from typing import Any

__all__ = ["Callback", "History", "HistoryDict", "Logs"]

# A dict that a callback may add to: the callbacks after it see that too.
Logs = dict[str, Any] | None

# Names of older Keras, looked up but never listed.
OLD_NAMES = {"acc": "accuracy", "val_acc": "val_accuracy", "lr": "learning_rate"}


class Callback:
    """Something that fit, evaluate and predict tell what happens: subclass it and write the hooks you need.

    Logs are dicts of Python floats: running means since the epoch began at the end of a batch, the values
    of the epoch (with ``val_`` ones) at its end.

    Attributes:
        model: The model.
        params: Dict of verbose, epochs and steps.

    Example:
        >>> class Count(Callback):
        ...     epochs = 0
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.epochs += 1
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes verbose, epochs and steps."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Takes the model."""
        self.model = model

    def on_train_begin(self, logs: Logs = None) -> None:
        """fit starts."""

    def on_train_end(self, logs: Logs = None) -> None:
        """fit ends; logs are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """An epoch starts, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """An epoch ends, its validation too."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The old name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The old name of on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A training step starts, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A training step ends."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """evaluate, or validation in fit, starts."""

    def on_test_end(self, logs: Logs = None) -> None:
        """evaluate, or validation in fit, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of evaluate starts."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of evaluate ends."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """predict starts."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """predict ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of predict starts."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of predict ends; logs hold its outputs."""


class HistoryDict(dict[str, list[Any]]):
    """A dict that also finds values by the names of older Keras.

    Example:
        >>> history = HistoryDict(accuracy=[0.5])
        >>> history["acc"], "acc" in history, list(history)
        ([0.5], True, ['accuracy'])
    """

    def _known(self, key: Any) -> Any:
        old = isinstance(key, str) and not super().__contains__(key)
        return OLD_NAMES.get(key, key) if old else key

    def __getitem__(self, key: str) -> list[Any]:
        return super().__getitem__(self._known(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(self._known(key))

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the values of a key, or default."""
        return super().get(self._known(key), default)


class History(Callback):
    """Keeps the logs of every epoch; fit returns it.

    Attributes:
        history: Lists of values by name: ``loss``, the metrics, and ``val_`` before each.
        epoch: The numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history = HistoryDict()
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []
        self.history = HistoryDict()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
