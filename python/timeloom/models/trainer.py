"""The loops: fit, evaluate, predict and their forms for a single batch."""

import contextlib
from collections.abc import Sequence
from typing import Any

from timeloom.arguments import integer, positive_integer
from timeloom.layers import RNN
from timeloom.layers.states import flatten
from timeloom.models.batches import Batch, Batches, split_validation
from timeloom.models.callback_list import CallbackList
from timeloom.models.hooks import History
from timeloom.models.steps import Steps, concatenated

__all__ = ["Trainer"]


class Trainer(Steps):
    """A layer that fits, evaluates and predicts."""

    history: History | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """Trains.

        Masked timesteps count neither in the loss, which is the mean over the valid ones of a batch, nor in
        the metrics.

        Args:
            x: Inputs, samples first, of any real dtype and layout; cast once. Sequences of unequal lengths
                come as a list of arrays [timesteps, ...] or as a Packed, and are computed without padding. A
                Sequential takes a list of equal lengths, or of one sequence, in the same way; for a Model
                written as a class np.stack makes an array of it.
            y: Targets. For a model that returns sequences, and sequences of unequal lengths, a list of arrays
                of those lengths.
            batch_size: Positive integer. Default None: 32; for a stateful model the size it was built for,
                which every batch must have.
            epochs: Number of the last epoch. Default 1.
            verbose: ``"auto"`` or 1 for a bar, 2 for a line per epoch, 0 for silence. Default ``"auto"``.
            callbacks: List of Callbacks. Default None.
            validation_split: The last fraction of the data to validate with, in [0, 1). Default 0.0.
            validation_data: Tuple of x and y, and sample weights if wanted; overrides validation_split.
            shuffle: True, False or ``"batch"`` (only inside each batch). Default True.
            class_weight: Dict from class to weight; not with sample_weight. Default None.
            sample_weight: One weight per sample, or per sample and timestep (a list of arrays for sequences
                of unequal lengths). Default None.
            initial_epoch: Number of the first epoch. Default 0.
            steps_per_epoch: Batches in an epoch. Default None: all. Otherwise an epoch goes on where the
                one before stopped, and starts anew when the data is used up.
            validation_steps: Batches to validate with. Default None: all.
            validation_batch_size: Default None: batch_size.
            validation_freq: Every how many epochs to validate, or the numbers (from 1) of those epochs.
                Default 1.

        Returns:
            The History, also as `model.history`.

        Raises:
            ValueError: If an argument, a shape or a label does not fit. Weights and optimizer are as before.
            TypeError: If data does not hold real numbers.
            NotImplementedError: If x yields batches.
        """
        self.require_compiled("fit")
        epochs = integer("epochs", epochs)
        initial_epoch = integer("initial_epoch", initial_epoch)
        verbose = check_verbose(verbose)
        validates = _validation_epochs(validation_freq)
        if batch_size is not None:
            batch_size = positive_integer("batch_size", batch_size)
        if steps_per_epoch is not None:
            steps_per_epoch = positive_integer("steps_per_epoch", steps_per_epoch)
        if validation_steps is not None:
            validation_steps = positive_integer("validation_steps", validation_steps)
        if validation_batch_size is not None:
            validation_batch_size = positive_integer("validation_batch_size", validation_batch_size)
        with contextlib.ExitStack() as guard:
            # Until the first step is done, an error leaves the model as it was.
            guard.enter_context(self.or_as_before())
            data = self.ready(x, y, sample_weight, class_weight)
            held_out: Batch | None = None
            if validation_data is not None:
                held_out = self.ready(*_triple(validation_data), prefix="validation_")
            elif validation_split:
                assert data[1] is not None
                # Class weights are for training: the validation loss counts every sample once.
                data, held_out = split_validation(validation_split, data[0], data[1], data[2])
                if class_weight is not None:
                    held_out = (held_out[0], held_out[1], None)
            rows = _state_rows(self)
            batch_size = batch_size or rows
            batches = Batches(data, batch_size, steps_per_epoch, shuffle)
            source = "x"
            validation = None
            if held_out is not None:
                size = validation_batch_size or batch_size
                validation = Batches(held_out, size, validation_steps)
                source = "x" if validation_data is not None else "validation_split"
                validation.check_rows(
                    rows,
                    "validation_x" if source == "x" else source,
                    argument="validation_batch_size" if validation_batch_size else "batch_size",
                )
            batches.check_rows(rows, source, max(0, epochs - initial_epoch))
            hooks = self._hooks(callbacks, verbose, epochs, batches.steps, add_history=True)
            history = hooks.history
            if history is None:
                history = History()
                hooks.append(history)
            history.set_model(self)
            self.history = history
            self.stop_training = False
            logs: dict[str, float] = {}
            guarded = True
            hooks.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                hooks.on_epoch_begin(epoch)
                for step, batch in enumerate(batches):
                    hooks.on_train_batch_begin(step)
                    logs = self.train_step(batch)
                    if guarded:
                        guard.close()
                        guarded = False
                    hooks.on_train_batch_end(step, logs)
                    if self.stop_training:
                        break
                if validation is not None and validates(epoch + 1):
                    measured = self._test_loop(validation, hooks)
                    validated = {f"val_{name}": result for name, result in measured.items()}
                    logs = dict(sorted({**logs, **validated}.items()))
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            hooks.on_train_end(logs)
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Measures loss and metrics.

        Args:
            x: Inputs.
            y: Targets.
            batch_size: As fit. Default None: as there.
            verbose: As fit.
            sample_weight: As fit.
            steps: Batches to take. Default None: all.
            callbacks: As fit.
            return_dict: Whether to return a dict by name. Default False.

        Returns:
            The loss, a float; with metrics a list of the loss and the metrics in the order of compile.

        Raises:
            ValueError: As fit.
        """
        self.require_compiled("evaluate")
        verbose = check_verbose(verbose)
        with self.or_as_before():
            data = self.ready(x, y, sample_weight)
            rows = _state_rows(self)
            batches = Batches(data, rows if batch_size is None else batch_size, steps)
            batches.check_rows(rows, "x")
            hooks = self._hooks(callbacks, verbose, 1, batches.steps)
            logs = self._test_loop(batches, hooks)
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Computes outputs, batch by batch.

        Args:
            x: Inputs.
            batch_size: As fit. Default None: as there.
            verbose: As fit.
            steps: Batches to take. Default None: all.
            callbacks: As fit.

        Returns:
            An array of the model's dtype with the samples first, a list of arrays for several outputs, and a
            list of one array per sequence for sequences of unequal lengths. No samples give no outputs.

        Raises:
            ValueError: If the shape does not fit.
        """
        verbose = check_verbose(verbose)
        with self.or_as_before():
            inputs = self.ready_inputs("x", x)
            rows = _state_rows(self)
            batches = Batches((inputs, None, None), rows if batch_size is None else batch_size, steps)
            batches.check_rows(rows, "x")
            hooks = self._hooks(callbacks, verbose, 1, batches.steps)
            parts = []
            if len(inputs):
                hooks.on_predict_begin()
                for step, (samples, _, _) in enumerate(batches):
                    hooks.on_predict_batch_begin(step)
                    outputs = self.predict_step(samples)
                    parts.append(outputs)
                    hooks.on_predict_batch_end(step, {"outputs": outputs})
                hooks.on_predict_end()
            return concatenated(parts or [self.predict_step(inputs)])

    # ---- single batches -----------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Takes one training step.

        Args:
            x: Inputs.
            y: Targets.
            sample_weight: As fit.
            class_weight: As fit.
            return_dict: Whether to return a dict by name. Default False.

        Returns:
            As evaluate, from before the step.

        Raises:
            ValueError: As fit.
        """
        self.require_compiled("train_on_batch")
        with self.or_as_before():
            data = self.ready(x, y, sample_weight, class_weight)
            self.reset_metrics()
            logs = self.train_step(data)
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Measures loss and metrics of one batch; arguments and result as evaluate."""
        self.require_compiled("test_on_batch")
        with self.or_as_before():
            data = self.ready(x, y, sample_weight)
            self.reset_metrics()
            logs = self.test_step(data)
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Computes the outputs of one batch; the result as predict."""
        with self.or_as_before():
            return concatenated([self.predict_step(self.ready_inputs("x", x))])

    # ---- parts --------------------------------------------------------------------------------------------

    def _hooks(
        self, callbacks: Any, verbose: int, epochs: int, steps: int, add_history: bool = False
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_history=add_history,
            add_progbar=verbose != 0,
            model=self,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )

    def _test_loop(self, batches: Batches, hooks: CallbackList) -> dict[str, float]:
        hooks.on_test_begin()
        self.reset_metrics()
        batches.restart()
        logs: dict[str, float] = {}
        for step, batch in enumerate(batches):
            hooks.on_test_batch_begin(step)
            logs = self.test_step(batch)
            hooks.on_test_batch_end(step, logs)
        hooks.on_test_end(logs)
        return logs

    def _in_order(self, logs: dict[str, float]) -> Any:
        known = [name for name in self.metrics_names if name in logs]
        # A train_step of the user's own may return others.
        values = [logs[name] for name in (*known, *sorted(logs.keys() - set(known)))]
        return values[0] if len(values) == 1 else values


def _state_rows(model: Steps) -> int | None:
    """The samples that each batch of a stateful model must have; None: any number, or not known yet."""
    parts = [part for part in model.flat_parts() if isinstance(part, RNN) and part.stateful]
    found = {state.shape[0] for part in parts for state in flatten(part.states or [])}
    shape = model.built_shape
    if found and shape is not None and shape[0] is not None:
        # A layer inside may have more rows: one for each timestep, say.
        return int(shape[0])
    return found.pop() if len(found) == 1 else None


def check_verbose(verbose: Any) -> int:
    """Returns verbose as 0, 1 or 2.

    Raises:
        ValueError: If it is anything else.
    """
    if verbose in ("auto", True):
        return 1
    if verbose in (False, 0, 2):
        return int(verbose)
    raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, got {verbose!r}")


def _validation_epochs(validation_freq: Any) -> Any:
    """Returns a function that says whether to validate in an epoch, counted from 1."""
    if isinstance(validation_freq, Sequence) and not isinstance(validation_freq, str):
        chosen = {positive_integer("validation_freq", epoch) for epoch in validation_freq}
        return lambda epoch: epoch in chosen
    frequency = positive_integer("validation_freq", validation_freq)
    return lambda epoch: epoch % frequency == 0


def _triple(validation_data: Any) -> tuple[Any, Any, Any]:
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data: expected a tuple of x and y, or of x, y and sample weights, "
            f"got {type(validation_data).__name__}"
        )
    return (*validation_data, None) if len(validation_data) == 2 else tuple(validation_data)
