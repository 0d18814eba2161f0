"""One training or test step of a model, and what must hold before the first: compile() and the data."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from timeloom import optimizers
from timeloom.arguments import flag, no_more, not_implemented
from timeloom.arrays import real_array, shape_text
from timeloom.autograd import GradientTape, TracedArray, value
from timeloom.layers import Layer
from timeloom.layers.shapes import Shape
from timeloom.layers.states import states_or_as_before
from timeloom.losses import Loss
from timeloom.losses.functions import weights_for
from timeloom.metrics import Metric
from timeloom.models import compiled
from timeloom.models.batches import Batch, Samples
from timeloom.models.compiled import Resolved
from timeloom.models.samples import (
    check_counts,
    class_weights,
    sequence_targets,
    single_input,
    step_weights,
)
from timeloom.packed import Packed
from timeloom.variables import Variable

__all__ = ["Steps"]


class Steps(Layer):
    """A layer that can be trained: compile() and single steps. Trainer adds the loops."""

    def __init__(self, *, trainable: bool = True, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(trainable=trainable, dtype=dtype, name=name)
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: Any = None
        self.compiled = False
        self.stop_training = False
        self._loss: Any = None
        self._metrics_given: list[Any] = []
        self._weighted_given: list[Any] = []
        self._resolved: Resolved | None = None
        self._step_weights: list[Variable] = []
        self._step_has_penalties = False
        self._step_is_stateful = False

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """Says how to train.

        Args:
            optimizer: Name, Optimizer or configuration. Default ``"rmsprop"``.
            loss: Name, Loss, class or function of y_true and y_pred. Default None: predict only.
            loss_weights: None; not implemented yet.
            metrics: List of names (``"accuracy"`` chooses by shape), Metrics or functions. Default None.
            weighted_metrics: As metrics, but these use sample and class weights. Default None.
            run_eagerly: Taken for Keras's sake: every step runs as it is written.
            steps_per_execution: 1; others are not implemented yet.
            jit_compile: ``"auto"`` or False.
            auto_scale_loss: Taken for Keras's sake: it only concerns scaled losses.
            **kwargs: ``sample_weight_mode`` of Keras 2, which the shape of the weights now says.

        Raises:
            ValueError: If a name is unknown. The model stays as it was compiled before.
            NotImplementedError: If a later release will have it.
        """
        not_implemented("loss_weights", loss_weights, (None,))
        not_implemented("steps_per_execution", steps_per_execution, (1,))
        not_implemented("jit_compile", jit_compile, ("auto", False, None))
        flag("run_eagerly", run_eagerly)
        flag("auto_scale_loss", auto_scale_loss)
        kwargs.pop("sample_weight_mode", None)
        no_more("compile", kwargs)
        checked_loss = compiled.check_loss(loss)
        plain = compiled.check_metrics("metrics", metrics)
        weighted = compiled.check_metrics("weighted_metrics", weighted_metrics)
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._loss = checked_loss
        self._metrics_given, self._weighted_given = plain, weighted
        self._resolved = None
        self.compiled = True

    # ---- metrics ------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The running loss and the compiled metrics, once the first data has settled which they are."""
        resolved = self._resolved
        return [] if resolved is None else [resolved.tracker, *resolved.plain, *resolved.weighted]

    @property
    def metrics_names(self) -> list[str]:
        """``"loss"`` and the metrics in the order that evaluate returns."""
        resolved = self._resolved
        if resolved is not None:
            return ["loss", *resolved.names]
        given = [*self._metrics_given, *self._weighted_given]
        return ["loss", *(entry if isinstance(entry, str) else _name_of(entry) for entry in given)]

    def reset_metrics(self) -> None:
        """Forgets what the running loss and the metrics have gathered."""
        for metric in self.metrics:
            metric.reset_state()

    def metric_results(self) -> dict[str, float]:
        """Returns the running loss and the metrics as floats, sorted by name."""
        resolved = self._resolved
        assert resolved is not None
        results = {"loss": resolved.tracker.result()}
        for name, metric in zip(resolved.names, (*resolved.plain, *resolved.weighted), strict=True):
            results[name] = float(metric.result())
        return dict(sorted(results.items()))

    # ---- data ---------------------------------------------------------------------------------------------

    def require_compiled(self, method: str) -> None:
        """Refuses to train or evaluate before compile().

        Raises:
            ValueError: If compile() was not called, or without a loss.
        """
        if not self.compiled:
            raise ValueError(f"{method}: expected a compiled model, got one that compile() was not called on")
        if self._loss is None:
            raise ValueError(f"{method}: expected a model compiled with a loss, got loss=None")

    def ready_inputs(self, name: str, x: Any) -> Samples:
        """Returns inputs in the dtype and layout of the first layer; builds the model if need be.

        Raises:
            ValueError: If the shape does not fit the model.
            TypeError: If they are no real numbers.
        """
        given = single_input(name, x)
        inputs: Samples
        if isinstance(given, Packed):
            inputs = given.with_values(self.cast_inputs(name, given.values))
        else:
            inputs = self.cast_inputs(name, given)
        if inputs.ndim == 0:
            raise ValueError(f"{name}: expected at least one dimension, got a single number")
        if not self.built:
            # The rows here are those of all batches.
            self.build_for((None, *inputs.shape[1:]))
        self.check_input_shape(inputs.shape)
        return inputs

    def output_shape_for(self, shape: Shape) -> Shape:
        """Returns the shape of the one output for inputs of that shape.

        Raises:
            ValueError: If there are several outputs.
        """
        found = self.compute_output_shape((None, *shape[1:]))
        if found and isinstance(found[0], tuple):
            raise ValueError(
                f"return_state: expected a model of one output to train, got {len(found)} outputs"
            )
        return tuple(found)

    def ready(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, prefix: str = ""
    ) -> Batch:
        """Checks and casts data for training or evaluation, all of it once, and resolves loss and metrics.

        Raises:
            ValueError: If shapes, numbers of samples or labels do not fit. The model is as it was.
            TypeError: If something does not hold real numbers.
        """
        with self.or_as_before():
            inputs = self.ready_inputs(f"{prefix}x", x)
            outputs: Any = self.output_shape_for(inputs.shape)
            # Sequences without padding whose timesteps all have an output; their targets come as a list.
            packed = inputs if isinstance(inputs, Packed) and outputs[1:2] == (None,) else None
            values: Any = y if packed is not None and isinstance(y, list) else single_input(f"{prefix}y", y)
            if packed is not None:
                values = sequence_targets(f"{prefix}y", values, packed)
            elif isinstance(values, Packed):
                raise ValueError(f"{prefix}y: expected an array, got sequences of unequal lengths")
            else:
                values = real_array(f"{prefix}y", values)
            weights: Any = None
            if sample_weight is not None:
                if class_weight is not None:
                    raise ValueError("class_weight: expected either class_weight or sample_weight, got both")
                weights = single_input("sample_weight", sample_weight)
                if not isinstance(weights, Packed):
                    weights = real_array(f"{prefix}sample_weight", weights)
            check_counts(**{f"{prefix}x": inputs, f"{prefix}y": values, f"{prefix}sample_weight": weights})
            shape = (len(inputs), *outputs[1:])
            if packed is not None:
                values, shape = values.values, (len(packed.values), *outputs[2:])
                if weights is not None:
                    weights = step_weights(f"{prefix}sample_weight", weights, packed)
            elif isinstance(weights, Packed):
                raise ValueError(
                    f"{prefix}sample_weight: expected an array, got sequences of unequal lengths"
                )
            rows = shape[:-1] if len(shape) > 1 else shape
            dtype = self.output_dtype
            resolved = self._resolved or self._resolve(values.shape, shape)
            if class_weight is not None:
                weights = class_weights(class_weight, values, len(rows))
            if weights is not None:
                weights = weights_for(weights, rows, dtype, f"{prefix}sample_weight")
            values = resolved.loss.targets(values, shape, dtype, f"{prefix}y")
            resolved.check_metrics(values, shape, dtype)
            if packed is not None:
                values = packed.with_values(values)
                weights = None if weights is None else packed.with_values(weights)
        self._resolved = resolved
        # Looked up once for all steps that follow.
        self._step_weights = self.trainable_weights
        self._step_has_penalties = self.has_penalties
        self._step_is_stateful = any(getattr(part, "stateful", False) for part in self.flat_parts())
        return inputs, values, weights

    def _resolve(self, target_shape: Sequence[int], output_shape: Sequence[Any]) -> Resolved:
        loss = compiled.resolve_loss(self._loss, target_shape, output_shape)
        plain = compiled.resolve_metrics(self._metrics_given, target_shape, output_shape)
        weighted = compiled.resolve_metrics(self._weighted_given, target_shape, output_shape)
        return Resolved(loss, plain, weighted)

    @property
    def output_dtype(self) -> str:
        """The dtype of the outputs."""
        return self.dtype

    # ---- steps --------------------------------------------------------------------------------------------

    def train_step(self, data: Batch) -> dict[str, float]:
        """Takes one step: forward, loss, gradient, optimizer. Override it for a training of your own.

        Args:
            data: Inputs, targets and weights (or None) of one batch.

        Returns:
            The running loss and metrics.

        Raises:
            ValueError: If the loss depends on none of the weights that should learn from it.
        """
        x, y, weights = data
        assert self.optimizer is not None
        variables = self._step_weights
        with self._states_or_as_before():
            with GradientTape() as tape:
                # Nobody changes a batch within its step.
                for part in (x, y):
                    if part is not None:
                        tape._adopt(part.values if isinstance(part, Packed) else part)
                outcome = self._outcome(x, y, weights, training=True)
            loss = outcome.loss
            gradients: list[Any] = []
            if variables:
                if isinstance(loss, TracedArray):
                    gradients = tape.gradient(loss, variables, unconnected_gradients="none")
                    if any(gradient is None for gradient in gradients):
                        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
                        gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
                if not gradients:
                    raise ValueError(
                        f"loss: expected a loss that depends on the trainable weights of {self.name!r}, "
                        "got one that depends on none of them"
                    )
            self._measure(outcome)
            if gradients:
                self.optimizer.step(gradients, variables)
        return self.metric_results()

    def test_step(self, data: Batch) -> dict[str, float]:
        """Evaluates one batch; arguments and result as train_step."""
        with self._states_or_as_before():
            self._measure(self._outcome(*data, training=False))
        return self.metric_results()

    def _states_or_as_before(self) -> contextlib.AbstractContextManager[None]:
        return states_or_as_before(self) if self._step_is_stateful else contextlib.nullcontext()

    def predict_step(self, x: Samples) -> Any:
        """Returns the outputs for one batch."""
        return self.run(x, training=False)

    def _outcome(self, x: Any, y: Any, weights: Any, training: bool) -> "_Outcome":
        assert self._resolved is not None
        outputs, mask = self.run_with_mask(x, training=training)
        if isinstance(outputs, Packed):
            # From here on every timestep is a sample of its own.
            outputs, y = outputs.values, y.values
            weights = None if weights is None else weights.values
        counted = weights
        if mask is not None:
            loss: Loss = self._resolved.loss
            shape, dtype = _rows(outputs), outputs.dtype
            counted = loss.masked_weights(mask, shape, dtype, weights)
            mask = mask.astype(dtype).reshape(mask.shape + (1,) * (len(shape) - mask.ndim))
            weights = mask if weights is None else mask * weights
        loss_value = self.compute_loss(x, y, outputs, counted)
        return _Outcome(loss_value, y, value(outputs), mask, weights, len(x))

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:  # noqa: ARG002
        """Returns the compiled loss plus the penalties of weights and activities, a scalar.

        Args:
            x: Inputs; not looked at here.
            y: Targets as train_step gets them.
            y_pred: Outputs.
            sample_weight: As train_step gets them. Default None.
            mask: Of the outputs, as run_with_mask returns it. Default None.
        """
        assert self._resolved is not None
        loss: Loss = self._resolved.loss
        if isinstance(y_pred, Packed):
            y, y_pred = y.values, y_pred.values
            sample_weight = None if sample_weight is None else sample_weight.values
        if mask is not None:
            sample_weight = loss.masked_weights(mask, _rows(y_pred), y_pred.dtype, sample_weight)
        total = loss.batch_loss(y, y_pred, sample_weight)
        if self._step_has_penalties:
            for penalty in self.losses:
                total = total + penalty
        return total

    def _measure(self, outcome: "_Outcome") -> None:
        resolved = self._resolved
        assert resolved is not None
        resolved.tracker.total += float(value(outcome.loss)) * outcome.samples
        resolved.tracker.count += outcome.samples
        for metrics, weights in ((resolved.plain, outcome.mask), (resolved.weighted, outcome.weights)):
            for metric in metrics:
                _update(metric, outcome, weights)


def _update(metric: Metric, outcome: "_Outcome", weights: Any) -> None:
    if weights is None:
        metric.update_state(outcome.y, outcome.outputs)
        return
    try:
        metric.update_state(outcome.y, outcome.outputs, weights)
    except ValueError as error:
        raise ValueError(
            f"metrics: expected {metric.name!r} to give values that weights, or a mask, of shape "
            f"{shape_text(weights.shape)} fit, got {error}"
        ) from error


class _Outcome(NamedTuple):
    """What one batch gave: the loss, and what metrics look at, with the mask as weights of 0 and 1."""

    loss: Any
    y: Any
    outputs: Any
    mask: Any
    weights: Any
    samples: int


def _rows(outputs: Any) -> tuple[int, ...]:
    """The shape of the values that a loss has for them: one for each row."""
    shape: tuple[int, ...] = outputs.shape
    return shape[:-1] if len(shape) > 1 else shape


def _name_of(entry: Any) -> str:
    return str(getattr(entry, "name", None) or getattr(entry, "__name__", type(entry).__name__))


def concatenated(parts: list[Any]) -> Any:
    """Joins the outputs of all batches, output by output where there are several; a Packed becomes a list."""
    if isinstance(parts[0], (tuple, list)):
        return [concatenated([part[i] for part in parts]) for i in range(len(parts[0]))]
    if isinstance(parts[0], Packed):
        values, lengths = ([getattr(part, name) for part in parts] for name in ("values", "lengths"))
        return Packed(np.concatenate(values), np.concatenate(lengths)).split()
    return np.concatenate(parts)
