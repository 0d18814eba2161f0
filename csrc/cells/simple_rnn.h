#pragma once

#include "simd/vec.h"

/// The simple recurrent network (Elman 1990), as in Keras:
///
///     h_next = act(x W + h U + b)
///
/// State h. Kept: act(..), or its sum where the derivative needs that; as a rule the output itself.
struct SimpleRnn {
  static constexpr CellInfo kInfo = {
      /*name*/ "simple_rnn",
      /*input_gates*/ 1,
      /*state_gates*/ 1,
      /*states*/ 1,
      /*bias_rows*/ 1,
      /*accumulators*/ 1,
      /*kept*/ 1,
      /*output_is_kept*/ true,
      /*phases*/ 1,
      /*input*/ {0, 1},
      /*state*/ {{0, 1}, {0, 0}},
      /*input_gate*/ {0, -1, -1, -1},
      /*state_gate*/ {0, -1, -1, -1},
      Activation::tanh,
      Activation::linear,
  };

  static constexpr int kWaiting = 0;
  static constexpr int kKeptFirst = 0;

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* sum, const V*, V* next, V* kept) noexcept {
    next[0] = pair.activation(sum[0]);
    kept[0] = pair.activation.keep(sum[0], next[0]);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V*, const V* d_next, V* d_sum,
                                       V* d_state) noexcept {
    d_sum[0] = d_next[0] * pair.activation.from_kept(kept[0]).slope;
    d_state[0] = V::zero();
  }
};
