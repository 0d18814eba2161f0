#pragma once

#include "simd/vec.h"

/// The simple recurrent network (Elman 1990), as in Keras:
///
///     h_next = act(x W + h U + b)
///
/// State h. Nothing is kept: the derivative comes from h_next.
struct SimpleRnn {
  static constexpr CellInfo kInfo = {
      /*name*/ "simple_rnn",
      /*input_gates*/ 1,
      /*state_gates*/ 1,
      /*states*/ 1,
      /*bias_rows*/ 1,
      /*accumulators*/ 1,
      /*kept*/ 0,
      /*phases*/ 1,
      /*input*/ {0, 1},
      /*state*/ {{0, 1}, {0, 0}},
      /*input_gate*/ {0, -1, -1, -1},
      /*state_gate*/ {0, -1, -1, -1},
      Activation::tanh,
      Activation::linear,
  };

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* sum, const V*, V* next, V*) noexcept {
    next[0] = pair.activation(sum[0]);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V*, const V*, const V* next, const V* d_next,
                                       V* d_sum, V* d_state) noexcept {
    d_sum[0] = d_next[0] * pair.activation_gradient(next[0]);
    d_state[0] = V::zero();
  }
};
