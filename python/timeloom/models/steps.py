"""One training or test step of a model, and what must hold before the first: compile() and the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from timeloom import metrics as metrics_module
from timeloom import optimizers
from timeloom.arguments import flag, no_more, not_implemented
from timeloom.arrays import real_array
from timeloom.autograd import GradientTape, TracedArray, value
from timeloom.layers import Layer
from timeloom.losses import Loss
from timeloom.losses.functions import weights_for
from timeloom.metrics import MeanMetricWrapper, Metric
from timeloom.models import compiled
from timeloom.models.batches import Batch, check_lengths, class_weights, single_array
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
        self._resolved: _Resolved | None = None
        self._step_weights: list[Variable] = []
        self._step_has_penalties = False

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

    def ready_inputs(self, name: str, x: Any) -> NDArray[Any]:
        """Returns inputs in the dtype and layout of the first layer; builds the model if need be.

        Raises:
            ValueError: If the shape does not fit the model.
            TypeError: If they are no real numbers.
        """
        inputs = self.cast_inputs(name, single_array(name, x))
        if inputs.ndim == 0:
            raise ValueError(f"{name}: expected at least one dimension, got a single number")
        if not self.built:
            self.build_for(inputs.shape)
        self.check_input_shape(inputs.shape)
        return inputs

    def output_shape_for(self, shape: tuple[int, ...]) -> tuple[int, ...]:
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
            targets = real_array(f"{prefix}y", single_array(f"{prefix}y", y))
            weights = None
            if sample_weight is not None:
                if class_weight is not None:
                    raise ValueError("class_weight: expected either class_weight or sample_weight, got both")
                weights = real_array(f"{prefix}sample_weight", single_array("sample_weight", sample_weight))
            arrays = {f"{prefix}x": inputs, f"{prefix}y": targets, f"{prefix}sample_weight": weights}
            check_lengths(**arrays)
            shape = (len(inputs), *self.output_shape_for(inputs.shape)[1:])
            dtype = self.output_dtype
            resolved = self._resolved or self._resolve(targets.shape, shape)
            if class_weight is not None:
                weights = class_weights(class_weight, targets)
            if weights is not None:
                rows = shape[:-1] if len(shape) > 1 else shape
                weights = weights_for(weights, rows, dtype, f"{prefix}sample_weight")
            targets = resolved.loss.targets(targets, shape, dtype, f"{prefix}y")
            resolved.check_metrics(targets, shape, dtype)
        self._resolved = resolved
        # Looked up once for all steps that follow.
        self._step_weights = self.trainable_weights
        self._step_has_penalties = self.has_penalties
        return inputs, targets, weights

    def _resolve(self, target_shape: Sequence[int], output_shape: Sequence[Any]) -> "_Resolved":
        loss = compiled.resolve_loss(self._loss, target_shape, output_shape)
        plain = compiled.resolve_metrics(self._metrics_given, target_shape, output_shape)
        weighted = compiled.resolve_metrics(self._weighted_given, target_shape, output_shape)
        return _Resolved(loss, plain, weighted)

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
        with GradientTape() as tape:
            tape._adopt(x)
            outputs = self.run(x, training=True) if self._call_takes_training else self.run(x)
            loss = self.compute_loss(x, y, outputs, weights)
        pairs = []
        if variables:
            if isinstance(loss, TracedArray):
                found = tape.gradient(loss, variables, unconnected_gradients="none")
                pairs = [(g, v) for g, v in zip(found, variables, strict=True) if g is not None]
            if not pairs:
                raise ValueError(
                    f"loss: expected a loss that depends on the trainable weights of {self.name!r}, "
                    "got one that depends on none of them"
                )
        self._measure(loss, y, outputs, weights)
        if pairs:
            self.optimizer.step([g for g, _ in pairs], [v for _, v in pairs])
        return self.metric_results()

    def test_step(self, data: Batch) -> dict[str, float]:
        """Evaluates one batch; arguments and result as train_step."""
        x, y, weights = data
        outputs = self.run(x, training=False) if self._call_takes_training else self.run(x)
        self._measure(self.compute_loss(x, y, outputs, weights), y, outputs, weights)
        return self.metric_results()

    def predict_step(self, x: NDArray[Any]) -> Any:
        """Returns the outputs for one batch."""
        return self.run(x, training=False) if self._call_takes_training else self.run(x)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:  # noqa: ARG002
        """Returns the compiled loss plus the penalties of weights and activities, a scalar."""
        assert self._resolved is not None
        loss: Loss = self._resolved.loss
        total = loss.reduce(loss.call_checked(y, y_pred), sample_weight)
        if self._step_has_penalties:
            for penalty in self.losses:
                total = total + penalty
        return total

    def _measure(self, loss: Any, y: Any, outputs: Any, weights: Any) -> None:
        resolved = self._resolved
        assert resolved is not None
        batch = len(y)
        resolved.tracker.total += float(value(loss)) * batch
        resolved.tracker.count += batch
        plain = value(outputs)
        for metric in resolved.plain:
            metric.update_state(y, plain)
        for metric in resolved.weighted:
            metric.update_state(y, plain, weights)


class _Resolved:
    """Loss and metrics of one compile(), settled by the shapes of the first data."""

    def __init__(self, loss: Loss, plain: list[Metric], weighted: list[Metric]) -> None:
        self.loss = loss
        self.plain = plain
        self.weighted = weighted
        self.names = compiled.name_metrics(plain, weighted)
        self.tracker = metrics_module.Mean(name="loss")
        self._checked_shapes: Any = None

    def check_metrics(self, targets: NDArray[Any], output_shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Tries timeloom's own metrics on one sample if targets or outputs have another shape than before.

        Raises:
            ValueError: If a metric does not take targets of that shape.
        """
        shapes = (targets.shape[1:], output_shape[1:])
        if shapes == self._checked_shapes:
            return
        outputs = np.full((1, *output_shape[1:]), 0.5, dtype)
        for name, metric in zip(self.names, (*self.plain, *self.weighted), strict=True):
            # A function of the user's own is not called on outputs that no model gave.
            if isinstance(metric, MeanMetricWrapper) and type(metric) is not MeanMetricWrapper:
                try:
                    metric.values(targets[:1], outputs)
                except ValueError as error:
                    raise ValueError(f"metrics: expected targets that {name!r} takes, got {error}") from error
        self._checked_shapes = shapes


def _name_of(entry: Any) -> str:
    return str(getattr(entry, "name", None) or getattr(entry, "__name__", type(entry).__name__))


def concatenated(parts: list[Any]) -> Any:
    """Joins the outputs of all batches, output by output where there are several."""
    if isinstance(parts[0], tuple):
        return [np.concatenate([part[i] for part in parts]) for i in range(len(parts[0]))]
    return np.concatenate(parts)
