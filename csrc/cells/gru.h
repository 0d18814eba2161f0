#pragma once

#include "simd/vec.h"

/// Gated recurrent unit with the reset gate after the product (Keras reset_after=True, as cuDNN and PyTorch):
///
///     z = rec(x W_z + b_z + h U_z + p_z)   r likewise        bias rows: b with the input, p with the state
///     s = h U_h + p_h                      the state's part of the candidate
///     g = act(x W_h + b_h + r s)
///     h_next = z h + (1 - z) g             gate order z, r, h; z multiplies the OLD state
///
/// State h. Accumulators s, z, r, x W_h + b_h: so those of the state and those of the input are neighbours.
/// Kept: s, z, r, g (or the sums of z, r, g). (Cho et al. 2014, in the form of Keras 3.)
struct Gru {
  static constexpr CellInfo kInfo = {
      /*name*/ "gru",
      /*input_gates*/ 3,
      /*state_gates*/ 3,
      /*states*/ 1,
      /*bias_rows*/ 2,
      /*accumulators*/ 4,
      /*kept*/ 4,
      /*output_is_kept*/ false,
      /*phases*/ 1,
      /*input*/ {1, 4},
      /*state*/ {{0, 3}, {0, 0}},
      /*input_gate*/ {-1, 0, 1, 2},
      /*state_gate*/ {2, 0, 1, -1},
      Activation::tanh,
      Activation::sigmoid,
  };

  static constexpr int kWaiting = 2;    // candidate, z
  static constexpr int kKeptFirst = 3;  // all but g

  template <class V, class Pair>
  TIMELOOM_INLINE static void gates(const Pair& pair, const V* sum, const V*, V*, V* kept,
                                    V* waiting) noexcept {
    const V s = sum[0];
    const V z = pair.recurrent(sum[1]);
    const V r = pair.recurrent(sum[2]);
    waiting[0] = fma(r, s, sum[3]);
    waiting[1] = z;
    kept[0] = s;
    kept[1] = pair.recurrent.keep(sum[1], z);
    kept[2] = pair.recurrent.keep(sum[2], r);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* waiting, const V* state, V* next,
                                      V* kept) noexcept {
    const V g = pair.activation(waiting[0]);
    const V z = waiting[1];
    next[0] = fma(z, state[0], (V::broadcast(1) - z) * g);
    kept[3] = pair.activation.keep(waiting[0], g);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V* state, const V* d_next,
                                       V* d_sum, V* d_state) noexcept {
    const V s = kept[0];
    const auto z = pair.recurrent.from_kept(kept[1]);
    const auto r = pair.recurrent.from_kept(kept[2]);
    const auto g = pair.activation.from_kept(kept[3]);
    const V d_g = d_next[0] * (V::broadcast(1) - z.value) * g.slope;
    d_sum[0] = d_g * r.value;
    d_sum[1] = d_next[0] * (state[0] - g.value) * z.slope;
    d_sum[2] = d_g * s * r.slope;
    d_sum[3] = d_g;
    d_state[0] = d_next[0] * z.value;
  }
};
