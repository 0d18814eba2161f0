// One file, one cell: its equations forward and backward on vectors of units, nothing of time, batch, threads
// or memory.
#pragma once

#include "simd/vec.h"

/// Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in
/// Keras:
///
///     i = rec(i')   f = rec(f')   g = act(g')   o = rec(o')        primes: x W + h U + b, gate order i, f,
///     c, o c_next = f c + i g h_next = o act(c_next)
///
/// States h, c. Kept: i, f, g, o. act(c_next) is computed again in backward: that is cheaper than keeping it.
struct Lstm {
  static constexpr CellInfo kInfo = {
      /*name*/ "lstm",
      /*input_gates*/ 4,
      /*state_gates*/ 4,
      /*states*/ 2,
      /*bias_rows*/ 1,
      /*accumulators*/ 4,
      /*kept*/ 4,
      /*phases*/ 1,
      /*input*/ {0, 4},
      /*state*/ {{0, 4}, {0, 0}},
      /*input_gate*/ {0, 1, 2, 3},
      /*state_gate*/ {0, 1, 2, 3},
      Activation::tanh,
      Activation::sigmoid,
  };

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* sum, const V* state, V* next,
                                      V* kept) noexcept {
    const V i = pair.recurrent(sum[0]);
    const V f = pair.recurrent(sum[1]);
    const V g = pair.activation(sum[2]);
    const V o = pair.recurrent(sum[3]);
    next[1] = fma(f, state[1], i * g);
    next[0] = o * pair.activation(next[1]);
    kept[0] = i;
    kept[1] = f;
    kept[2] = g;
    kept[3] = o;
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V* state, const V* next,
                                       const V* d_next, V* d_sum, V* d_state) noexcept {
    const V i = kept[0], f = kept[1], g = kept[2], o = kept[3];
    const V squashed = pair.activation(next[1]);
    const V d_c = fma(d_next[0] * o, pair.activation_gradient(squashed), d_next[1]);
    d_sum[0] = d_c * g * pair.recurrent_gradient(i);
    d_sum[1] = d_c * state[1] * pair.recurrent_gradient(f);
    d_sum[2] = d_c * i * pair.activation_gradient(g);
    d_sum[3] = d_next[0] * squashed * pair.recurrent_gradient(o);
    d_state[0] = V::zero();
    d_state[1] = d_c * f;
  }
};
