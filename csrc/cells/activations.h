// Floor 2, cells: the equations of the recurrent cells and of their activations, on vectors.
// Belongs here: one header a cell, forward and backward, and this one. Does not: time, batch, threads,
// memory.
//
// y = f(x) and dy/dx of each Activation. A kind that is a constant at the call leaves no branch behind.
// Legend: x pre-activation, y activation.
#pragma once

#include "base/activation.h"
#include "simd/math.h"

/// Whether activation_gradient of this kind takes x rather than y. None so far; silu, gelu and mish will (not
/// invertible), and the caller then keeps x for backward.
constexpr bool derivative_from_input(Activation) noexcept { return false; }

/// y = f(x):
///     linear        x
///     tanh          tanh(x)
///     sigmoid       1 / (1 + e^-x)
///     hard_sigmoid  clip((x + 3) / 6, 0, 1): Keras 3's x / 6 + 1/2, without its cancellation near -3
///     relu          max(x, 0)
/// NaN stays NaN.
template <class V>
TIMELOOM_INLINE V activate(Activation kind, V x) noexcept {
  using S = typename V::scalar;
  const V zero = V::zero();
  const V one = V::broadcast(S(1));
  switch (kind) {
    case Activation::linear:
      return x;
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::hard_sigmoid:
      return max(zero, min(one, (x + V::broadcast(S(3))) * V::broadcast(S(1) / S(6))));
    case Activation::relu:
      return max(zero, x);
  }
  return x;
}

/// dy/dx from y (from x where derivative_from_input):
///     linear        1
///     tanh          (1 - y) (1 + y), without the cancellation of 1 - y^2 near |y| = 1
///     sigmoid       y (1 - y)
///     hard_sigmoid  1/6 for 0 < y < 1, else 0
///     relu          1 for y > 0, else 0
/// NaN gives NaN, except for linear.
template <class V>
TIMELOOM_INLINE V activation_gradient(Activation kind, V y) noexcept {
  using S = typename V::scalar;
  const V one = V::broadcast(S(1));
  switch (kind) {
    case Activation::linear:
      return one;
    case Activation::tanh:
      return (one - y) * (one + y);
    case Activation::sigmoid:
      return y * (one - y);
    case Activation::hard_sigmoid:  // y - y is 0, or NaN for NaN
      return select((y > V::zero()) & (y < one), V::broadcast(S(1) / S(6)), y - y);
    case Activation::relu:
      return select(y > V::zero(), one, V::zero() * y);
  }
  return one;
}
