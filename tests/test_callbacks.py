import numpy as np
import pytest

from timeloom import Sequential, optimizers
from timeloom.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from timeloom.layers import Dense

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = X.sum(1)


@pytest.fixture
def model():
    model = Sequential([Dense(1, input_dim=3)])
    model.compile(optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


class Recorder(Callback):
    """Writes every hook down with its arguments."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_") and not name.startswith("on_batch"):
            calls = object.__getattribute__(self, "calls")
            return lambda *arguments: calls.append((name, *arguments))
        return object.__getattribute__(self, name)


def names(recorder):
    return [call[0].removeprefix("on_") for call in recorder.calls]


def test_hooks_come_in_the_order_of_keras(model):
    recorder = Recorder()
    model.fit(X, Y, batch_size=10, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[recorder])
    validation = ["test_begin", "test_batch_begin", "test_batch_end", "test_batch_begin", "test_batch_end"]
    epoch = [
        "epoch_begin",
        *["train_batch_begin", "train_batch_end"] * 2,
        *validation,
        "test_end",
        "epoch_end",
    ]
    assert names(recorder) == ["train_begin", *epoch, *epoch, "train_end"]
    by_name = {}
    for name, *arguments in recorder.calls:
        by_name.setdefault(name, []).append(arguments)
    assert [arguments[0] for arguments in by_name["on_epoch_begin"]] == [0, 1]
    assert [arguments[0] for arguments in by_name["on_train_batch_end"]] == [0, 1, 0, 1]
    logs = by_name["on_epoch_end"][0][1]
    assert list(logs) == ["loss", "mae", "val_loss", "val_mae"]
    assert all(type(value) is float for value in logs.values())
    assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}
    assert recorder.model is model


def test_hooks_of_evaluate_and_predict(model):
    recorder = Recorder()
    model.evaluate(X, Y, verbose=0, callbacks=[recorder])
    assert names(recorder) == ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    recorder.calls.clear()
    outputs = model.predict(X, verbose=0, callbacks=recorder)
    assert names(recorder) == ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"]
    np.testing.assert_array_equal(recorder.calls[2][2]["outputs"], outputs)


def test_old_batch_hooks_and_functions(model):
    class Old(Callback):
        seen = 0

        def on_batch_end(self, batch, logs=None):
            self.seen += 1

    old, losses = Old(), []
    record = LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append((epoch, logs["loss"])))
    history = model.fit(X, Y, batch_size=5, epochs=2, verbose=0, callbacks=[old, record])
    assert old.seen == 8
    assert losses == list(enumerate(history.history["loss"]))
    with pytest.raises(ValueError, match="on_epoch: expected a hook"):
        LambdaCallback(on_epoch=print)
    with pytest.raises(TypeError, match="on_epoch_end: expected a function"):
        LambdaCallback(on_epoch_end=3)


def test_callback_can_stop_training_within_an_epoch(model):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    recorder = Recorder()
    model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[Stop(), recorder])
    assert names(recorder).count("train_batch_end") == 2
    assert names(recorder)[-2:] == ["epoch_end", "train_end"]


def feed(callback, model, values, name="val_loss"):
    """Hands a callback epochs with the given values; returns the epochs it let run."""
    callback.set_model(model)
    model.stop_training = False
    callback.on_train_begin()
    epoch = -1
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch + 1


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [1.0, 0.9, 0.8, 0.85, 0.7], 4),
        ({"patience": 2}, [1.0, 1.1, 1.2, 1.3], 3),
        ({"patience": 2}, [1.0, 1.1, 0.9, 1.0, 1.0, 1.0], 5),
        ({"min_delta": 0.1}, [1.0, 0.95, 0.5], 2),
        ({"baseline": 0.5, "patience": 2}, [1.0, 0.9, 0.8, 0.85], 4),
        ({"start_from_epoch": 3}, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], 5),
        ({"mode": "max"}, [1.0, 2.0, 1.5, 3.0], 3),
        ({"patience": 0}, [float("nan")] * 3, 2),
    ],
)
def test_early_stopping_waits_as_keras_does(model, options, values, epochs):
    assert feed(EarlyStopping(**options), model, values) == epochs


def test_early_stopping_restores_the_best_weights(model):
    stopping = EarlyStopping(monitor="loss", patience=1, restore_best_weights=True)
    stopping.set_model(model)
    stopping.on_train_begin()
    kept = None
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        model.set_weights([np.full((3, 1), epoch), np.full(1, epoch)])
        stopping.on_epoch_end(epoch, {"loss": loss})
        kept = model.get_weights() if epoch == 1 else kept
    assert model.stop_training
    stopping.on_train_end()
    assert (stopping.best_epoch, stopping.stopped_epoch) == (1, 2)
    np.testing.assert_array_equal(model.get_weights()[0], kept[0])


def test_monitor_directions_and_old_names(model):
    model.compile("sgd", "mse", metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    assert feed(EarlyStopping("val_acc"), model, [0.1, 0.2, 0.1], "val_accuracy") == 3
    assert feed(EarlyStopping("accuracy"), model, [0.1, 0.2, 0.3], "accuracy") == 3
    with pytest.raises(ValueError, match="mode: expected 'min' or 'max' for monitor 'other', got 'auto'"):
        feed(EarlyStopping("other"), model, [0.1, 0.2], "other")
    with pytest.warns(UserWarning, match="monitor: expected one of loss, got 'val_loss'"):
        feed(EarlyStopping(), model, [0.1], "loss")
    with pytest.raises(ValueError, match="mode: expected"):
        EarlyStopping(mode="up")


def test_early_stopping_in_fit(model):
    history = model.fit(
        X,
        Y,
        epochs=50,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[EarlyStopping(min_delta=10.0, patience=3)],
    )
    assert len(history.epoch) == 4


def test_reduce_learning_rate_on_plateau(model):
    callback = ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.03)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch in range(9):
        logs = {"val_loss": 1.0}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs["learning_rate"])
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03])
    with pytest.raises(ValueError, match="factor: expected"):
        ReduceLROnPlateau(factor=1.0)
    assert ReduceLROnPlateau(epsilon=0.3).min_delta == 0.3


def test_learning_rate_schedule_and_history(model, capsys):
    by_both = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate, verbose=1)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[by_both])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.025])
    assert history.history["lr"] == history.history["learning_rate"]
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.05." in capsys.readouterr().out
    by_epoch = LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[by_epoch])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05])
    with pytest.raises(ValueError, match="schedule: expected a number"):
        model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: None)])


def test_terminate_on_nan(model, capsys):
    bad = np.full_like(Y, np.nan)
    recorder = Recorder()
    model.fit(X, bad, batch_size=5, epochs=3, verbose=0, callbacks=[TerminateOnNaN(), recorder])
    assert names(recorder).count("train_batch_end") == 1
    assert names(recorder).count("epoch_end") == 1
    assert "Batch 0: Invalid loss, terminating training" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="loss: expected a finite number at batch 0, got nan"):
        model.fit(X, bad, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])


def test_callback_list_adds_history_and_progress_once(model):
    mine = History()
    found = CallbackList(
        [mine], add_history=True, add_progbar=True, model=model, verbose=1, epochs=1, steps=1
    )
    assert found.history is mine
    assert [type(callback).__name__ for callback in found.callbacks] == ["History", "ProgbarLogger"]
    assert model.fit(X, Y, verbose=0, callbacks=[mine]) is mine
    for wrong in (3, History):
        with pytest.raises(TypeError, match="callbacks: expected a list of Callbacks, got"):
            model.fit(X, Y, verbose=0, callbacks=wrong)
