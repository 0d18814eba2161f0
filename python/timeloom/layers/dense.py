"""Dense: every output is a weighted sum of all inputs, through an activation."""

from typing import Any

from timeloom import activations, constraints, initializers, ops, regularizers
from timeloom.arguments import flag, not_implemented, positive_integer
from timeloom.layers.base import Layer
from timeloom.layers.shapes import Shape

__all__ = ["Dense"]


class Dense(Layer):
    """A fully connected layer on the last axis.

    Equations:
        outputs = activation(inputs @ kernel + bias)

    Args:
        units: Number of outputs, a positive integer.
        activation: Name or function. Default None: linear.
        use_bias: Whether there is a bias. Default True.
        kernel_initializer: Default ``"glorot_uniform"``.
        bias_initializer: Default ``"zeros"``.
        kernel_regularizer: Penalty on the kernel. Default None.
        bias_regularizer: Penalty on the bias. Default None.
        activity_regularizer: Penalty on the outputs, divided by the batch size. Default None.
        kernel_constraint: Applied to the kernel after every update. Default None.
        bias_constraint: Applied to the bias after every update. Default None.
        lora_rank: None; not implemented yet.
        lora_alpha: None; not implemented yet.
        quantization_config: None; not implemented yet.
        **kwargs: Arguments of every layer: name, dtype, trainable, input_shape, input_dim ...

    Call arguments:
        inputs: Shape [batch, ..., features], or a Packed. A mask passes on.

    Returns:
        Shape [batch, ..., units], or a Packed. Weights: kernel [features, units], bias [units].

    Raises:
        ValueError: If units is not a positive integer, or an argument or name is unknown.

    Reference:
        keras.layers.Dense.

    Example:
        >>> import numpy as np
        >>> Dense(2, activation="relu", kernel_initializer="ones")(np.ones((1, 3)))
        array([[3., 3.]], dtype=float32)
    """

    min_input_rank = 2
    supports_masking = True
    acts_per_timestep = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        not_implemented("lora_rank", lora_rank, (None,))
        not_implemented("lora_alpha", lora_alpha, (None,))
        not_implemented("quantization_config", quantization_config, (None,))
        self.units = positive_integer("units", units)
        self.activation = activations.get(activation)
        self.use_bias = flag("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        fused = activations.is_fused(self.activation)
        # What the product applies by itself, and what is left to do after it.
        self._fused = activations.fused_name("activation", self.activation) if fused else None
        self._after = None if fused else self.activation

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"input_shape: expected a known size on the last axis, got {input_shape}")
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_features = features

    def call(self, inputs: Any) -> Any:
        outputs = ops.dense(inputs, self.kernel, self.bias, activation=self._fused)
        return outputs if self._after is None else self._after(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
