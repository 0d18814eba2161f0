"""Bidirectional: a recurrent layer once in each direction of time."""

import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from timeloom import ops
from timeloom.layers.base import Layer
from timeloom.layers.loop import nest_paths, output_size, walk_both
from timeloom.layers.rnn import RNN
from timeloom.layers.saved import classes_of, restored, saved
from timeloom.layers.shapes import Shape
from timeloom.layers.states import call_inputs, check_states, flatten, states_or_as_before
from timeloom.packed import Packed

__all__ = ["Bidirectional"]

_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """Runs one recurrent layer forward and one backward, and joins their outputs timestep by timestep.

    Both are made afresh from the configuration of `layer`: they share no weights with it or each other. With
    return_sequences their outputs at masked timesteps are 0.

    Args:
        layer: LSTM, GRU, SimpleRNN, RNN, or a layer of your own with go_backwards, return_sequences and
            return_state.
        merge_mode: ``"concat"`` (on the last axis), ``"sum"``, ``"mul"``, ``"ave"`` (the mean), or None: both
            as a tuple. Default ``"concat"``.
        weights: Initial weights, first those of the forward layer, as in Keras 2. Default None.
        backward_layer: The layer for the backward direction, taken as it is. It has the other go_backwards
            and agrees in stateful, return_sequences and return_state. Default None: as layer.
        **kwargs: Arguments of every layer.

    Call arguments:
        sequences: Shape [batch, timesteps, features], or Packed.
        initial_state: The states of the forward layer, then those of the backward layer. Default None.
        mask: As RNN. Default None.
        training: As RNN. Default False.

    Returns:
        The joined outputs. Without return_sequences those of the last timestep forward and of the first one
        backward. With return_state a tuple: outputs (two with merge_mode None), the final states forward,
        then backward.

    Raises:
        ValueError: If merge_mode is unknown, or the two layers do not fit together; when it is built, if
            merge_mode needs outputs of one size and they have two.

    Reference:
        Schuster and Paliwal 1997; keras.layers.Bidirectional.

    Example:
        >>> from timeloom.layers import LSTM
        >>> Bidirectional(LSTM(4, return_sequences=True))(np.zeros((2, 7, 3))).shape
        (2, 7, 8)
    """

    min_input_rank = 2
    supports_masking = True
    _takes_sequences = True
    _takes_packed = True

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        given: dict[str, Any] = {"layer": layer}
        if backward_layer is not None:
            given["backward_layer"] = backward_layer
        for name, one in given.items():
            if not isinstance(one, Layer) or not hasattr(one, "go_backwards"):
                raise ValueError(f"{name}: expected a recurrent layer, got {one!r}")
        if merge_mode not in _MODES:
            words = ", ".join(map(repr, _MODES))
            raise ValueError(f"merge_mode: expected one of {words}, got {merge_mode!r}")
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype
        super().__init__(weights=weights, **kwargs)
        if self.batch_input_shape is None:
            self.batch_input_shape = layer.batch_input_shape
        self.merge_mode = merge_mode
        self.forward_layer: Any = _copied(layer, "forward_")
        self.backward_layer: Any = backward_layer
        if backward_layer is None:
            self.backward_layer = _copied(layer, "backward_", go_backwards=True)
        self._check_pair()
        for one in self._layers():
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        if not self.trainable:
            self.trainable = False  # reaches both layers

    def _check_pair(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise ValueError(
                f"go_backwards: expected different values for the two layers, got {one.go_backwards} twice"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            a, b = getattr(one, name, False), getattr(other, name, False)
            if a != b:
                raise ValueError(f"{name}: expected the same for both layers, got {a} and {b}")

    @property
    def stateful(self) -> bool:
        """Whether the layers are stateful."""
        return bool(getattr(self.forward_layer, "stateful", False))

    @property
    def return_sequences(self) -> bool:
        """Whether the layers return the outputs of all timesteps."""
        return bool(self.forward_layer.return_sequences)

    @property
    def return_state(self) -> bool:
        """Whether the layers return their final states."""
        return bool(self.forward_layer.return_state)

    # ---- shapes and weights -------------------------------------------------------------------------------

    @property
    def _builds_with_batch(self) -> bool:  # type: ignore[override]
        return self.stateful

    def check_input_shape(self, shape: Shape) -> None:
        super().check_input_shape(shape)
        self.forward_layer.check_input_shape(shape)
        self.backward_layer.check_input_shape(shape)

    def build(self, input_shape: Shape) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build_for(input_shape)
            nest_paths(self, layer)
        if self.merge_mode not in ("concat", None) and all(isinstance(one, RNN) for one in self._layers()):
            sizes = [output_size(layer.cell) for layer in self._layers()]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"merge_mode: expected 'concat' or None for {self.name!r}, whose layers have outputs of "
                    f"{sizes[0]} and {sizes[1]} units, got {self.merge_mode!r}"
                )

    def compute_output_shape(self, input_shape: Shape) -> Any:
        found = self.forward_layer.compute_output_shape(input_shape)
        outputs, *states = found if self.return_state else (found,)
        other = self.backward_layer.compute_output_shape(input_shape)
        other_outputs, *other_states = other if self.return_state else (other,)
        states += other_states
        if self.merge_mode is None:
            return (outputs, other_outputs, *states)
        if self.merge_mode == "concat":
            outputs = (*outputs[:-1], outputs[-1] + other_outputs[-1])
        return (outputs, *states) if states else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask of the outputs: that of the inputs with return_sequences, else None.

        With several outputs a list, None for each state.
        """
        masks = [layer.compute_mask(inputs, mask) for layer in (self.forward_layer, self.backward_layer)]
        if self.return_state:
            outputs, states = [masks[0][0], masks[1][0]], [*masks[0][1:], *masks[1][1:]]
        else:
            outputs, states = masks, []
        if self.merge_mode is None:
            return [*outputs, *states]
        return [outputs[0], *states] if states else outputs[0]

    # ---- states -------------------------------------------------------------------------------------------

    @property
    def states(self) -> list[Any] | None:
        """The states of stateful layers, first those of the forward layer; None if there are none."""
        one, other = self.forward_layer.states, self.backward_layer.states
        return None if one is None or other is None else [*one, *other]

    def reset_state(self) -> None:
        """Sets the states of both layers to zero.

        Raises:
            AttributeError: If the layers are not stateful.
        """
        self.reset_states()

    def reset_states(self, states: Any = None, *, rows: Any = None) -> None:
        """Sets the states of both layers; arguments as RNN, the forward layer's states first.

        Raises:
            AttributeError: If the layers are not stateful.
            ValueError: If states or rows do not fit. Both layers are as before.
        """
        if not self.stateful:
            raise AttributeError(f"stateful: expected True for {self.name!r}, got False")
        one, other = self._halves(states)
        with states_or_as_before(self):
            self.forward_layer.reset_states(one, rows=rows)
            self.backward_layer.reset_states(other, rows=rows)

    def _halves(self, states: Any) -> tuple[Any, Any]:
        """The states of each layer, their number checked where both layers say it."""
        if states is None:
            return None, None
        states = flatten(states)
        counts = [getattr(layer, "_state_count", 0) for layer in self._layers()]
        known = all(counts)
        half = counts[0] if known else len(states) // 2
        expected = sum(counts) if known else 2 * half
        if len(states) != expected:
            words = f"{expected}, those of two layers," if known else "those of two layers"
            raise ValueError(f"initial_state: expected {words} for {self.name!r}, got {len(states)}")
        return states[:half], states[half:]

    # ---- calling ------------------------------------------------------------------------------------------

    def __call__(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: Any = False, **kwargs: Any
    ) -> Any:
        count = sum(getattr(one, "_state_count", 1) for one in self._layers())
        inputs, initial_state = call_inputs(self, inputs, initial_state, count)
        given = {"initial_state": initial_state, "mask": mask}
        more = {name: value for name, value in given.items() if value is not None}
        return super().__call__(inputs, training=training, **more, **kwargs)

    def _layers(self) -> tuple[Any, Any]:
        return self.forward_layer, self.backward_layer

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        halves = list(self._halves(initial_state))
        if initial_state is not None:
            # All of them before the first layer runs.
            for i, layer in enumerate(self._layers()):
                if isinstance(layer, RNN):
                    halves[i] = check_states(layer, layer._sizes, halves[i], len(sequences), layer.dtype)
        with states_or_as_before(self) if self.stateful else contextlib.nullcontext():
            return self._run_both(sequences, halves, mask, training)

    def _run_both(self, sequences: Any, halves: list[Any], mask: Any, training: bool) -> Any:
        one, other = layers = self._layers()
        # A layer of ours writes its outputs in the order of time by itself.
        ordered = _calls_rnn(other) and other.go_backwards
        if _is_rnn_alone(one) and _is_rnn_alone(other):
            first, second = walk_both(
                (one.cell, *one._prepared(sequences, halves[0], mask, training, False)),
                (other.cell, *other._prepared(sequences, halves[1], mask, training, ordered)),
            )
            results = [one._finished(sequences, *first), other._finished(sequences, *second)]
            del first, second  # the final states, unless they are asked for
            for layer, outputs in zip(layers, results, strict=True):
                layer._finish(sequences, mask, outputs)
        else:
            results = []
            for layer, states in zip(layers, halves, strict=True):
                given = {"initial_state": states, "mask": mask}
                more = {name: value for name, value in given.items() if value is not None}
                if ordered and layer is other:
                    more["keep_time_order"] = True
                # The inputs have been checked and both layers built; states are theirs to check.
                run = layer.run if states is None else layer
                results.append(run(sequences, training=training, **more))
        parts = [list(outputs) if self.return_state else [outputs] for outputs in results]
        (first, *states_first), (second, *states_second) = parts
        if self.return_sequences and not ordered:
            second = _turned(second)
        states = (*states_first, *states_second)
        if self.merge_mode is None:
            return (first, second, *states)
        joined = self._joined(first, second)
        return (joined, *states) if states else joined

    def _joined(self, forward: Any, backward: Any) -> Any:
        if isinstance(forward, Packed):
            return forward.with_values(self._joined(forward.values, backward.values))
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "mul":
            return forward * backward
        total = forward + backward
        return total * total.dtype.type(0.5) if self.merge_mode == "ave" else total

    # ---- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": saved(self.forward_layer),
            "backward_layer": saved(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Builds the unbuilt layer that get_config wrote; custom_objects: cells of your own by class name."""
        settings = dict(config)
        for name in ("layer", "backward_layer"):
            if settings.get(name) is not None:
                settings[name] = restored(settings[name], custom_objects)
        return cls(**settings)


def _calls_rnn(layer: Any) -> bool:
    """Whether the layer computes as RNN does."""
    return isinstance(layer, RNN) and type(layer).call is RNN.call


def _is_rnn_alone(layer: Any) -> bool:
    """Whether nothing of the layer's own runs around that."""
    kind: Any = type(layer)
    return (
        _calls_rnn(layer)
        and kind.run_with_mask is RNN.run_with_mask
        and kind.run is RNN.run
        and kind.__call__ is RNN.__call__
    )


def _turned(outputs: Any) -> Any:
    """Outputs in the other order of time."""
    if not isinstance(outputs, Packed):
        return np.flip(outputs, axis=1)
    steps = np.arange(len(outputs.values))
    places = [steps[start:stop][::-1] for start, stop in itertools.pairwise(outputs.offsets)]
    return outputs.with_values(outputs.values[np.concatenate(places)]) if places else outputs


def _copied(layer: Layer, prefix: str, **changes: Any) -> Layer:
    """A layer of the same configuration, unbuilt and of another name."""
    config = {**layer.get_config(), "name": prefix + layer.name.removeprefix(prefix), **changes}
    copied: Layer = restored({"class_name": type(layer).__name__, "config": config}, classes_of(layer))
    return copied
