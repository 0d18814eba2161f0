// One file, one cell: its equations forward and backward on vectors of units, nothing of time, batch, threads
// or memory.
#pragma once

#include "simd/vec.h"

/// Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in
/// Keras:
///
///     i = rec(x W_i + h U_i + b_i)   f and o likewise
///     g = act(x W_c + h U_c + b_c)
///     c_next = f c + i g
///     h_next = o act(c_next)               gate order i, f, c, o
///
/// States h, c. Kept: i, f, g, o (or their sums, where a derivative needs those). c_next and act(c_next) are
/// computed again in backward: that is cheaper than keeping them.
struct Lstm {
  static constexpr CellInfo kInfo = {
      /*name*/ "lstm",
      /*input_gates*/ 4,
      /*state_gates*/ 4,
      /*states*/ 2,
      /*bias_rows*/ 1,
      /*accumulators*/ 4,
      /*kept*/ 4,
      /*output_is_kept*/ false,
      /*phases*/ 1,
      /*input*/ {0, 4},
      /*state*/ {{0, 4}, {0, 0}},
      /*input_gate*/ {0, 1, 2, 3},
      /*state_gate*/ {0, 1, 2, 3},
      Activation::tanh,
      Activation::sigmoid,
  };

  static constexpr int kWaiting = 2;    // c_next, o
  static constexpr int kKeptFirst = 4;  // all of them

  template <class V, class Pair>
  TIMELOOM_INLINE static void gates(const Pair& pair, const V* sum, const V* state, V* next, V* kept,
                                    V* waiting) noexcept {
    const V i = pair.recurrent(sum[0]);
    const V f = pair.recurrent(sum[1]);
    const V g = pair.activation(sum[2]);
    const V o = pair.recurrent(sum[3]);
    next[1] = fma(f, state[1], i * g);
    waiting[0] = next[1];
    waiting[1] = o;
    kept[0] = pair.recurrent.keep(sum[0], i);
    kept[1] = pair.recurrent.keep(sum[1], f);
    kept[2] = pair.activation.keep(sum[2], g);
    kept[3] = pair.recurrent.keep(sum[3], o);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* waiting, const V*, V* next, V*) noexcept {
    next[0] = waiting[1] * pair.activation(waiting[0]);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V* state, const V* d_next,
                                       V* d_sum, V* d_state) noexcept {
    const auto i = pair.recurrent.from_kept(kept[0]);
    const auto f = pair.recurrent.from_kept(kept[1]);
    const auto g = pair.activation.from_kept(kept[2]);
    const auto o = pair.recurrent.from_kept(kept[3]);
    const auto squashed = pair.activation.at(fma(f.value, state[1], i.value * g.value));
    const V d_c = fma(d_next[0] * o.value, squashed.slope, d_next[1]);
    d_sum[0] = d_c * g.value * i.slope;
    d_sum[1] = d_c * state[1] * f.slope;
    d_sum[2] = d_c * i.value * g.slope;
    d_sum[3] = d_next[0] * squashed.value * o.slope;
    d_state[0] = V::zero();
    d_state[1] = d_c * f.value;
  }
};
