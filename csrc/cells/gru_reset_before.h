#pragma once

#include "simd/vec.h"

/// Gated recurrent unit with the reset gate before the product (Keras reset_after=False, Cho et al. 2014):
///
///     z = rec(x W_z + h U_z + b_z)   r likewise
///     g = act(x W_h + (r h) U_h + b_h)
///     h_next = z h + (1 - z) g                 gate order z, r, h; z multiplies the OLD state
///
/// State h. Two phases: the operand r h of the second product needs r of every unit. Kept: z, r, g (or
/// their sums).
struct GruResetBefore {
  static constexpr CellInfo kInfo = {
      /*name*/ "gru_reset_before",
      /*input_gates*/ 3,
      /*state_gates*/ 3,
      /*states*/ 1,
      /*bias_rows*/ 1,
      /*accumulators*/ 3,
      /*kept*/ 3,
      /*output_is_kept*/ false,
      /*phases*/ 2,
      /*input*/ {0, 3},
      /*state*/ {{0, 2}, {2, 3}},
      /*input_gate*/ {0, 1, 2, -1},
      /*state_gate*/ {0, 1, 2, -1},
      Activation::tanh,
      Activation::sigmoid,
  };

  static constexpr int kWaiting = 0;
  static constexpr int kKeptFirst = 0;

  /// First phase: the gates and the operand of the second product.
  template <class V, class Pair>
  TIMELOOM_INLINE static void operand(const Pair& pair, const V* sum, const V* state, V* kept,
                                      V* operand) noexcept {
    const V r = pair.recurrent(sum[1]);
    kept[0] = pair.recurrent.keep(sum[0], pair.recurrent(sum[0]));
    kept[1] = pair.recurrent.keep(sum[1], r);
    *operand = r * state[0];
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* sum, const V* state, V* next,
                                      V* kept) noexcept {
    const V z = pair.recurrent.value_of(kept[0]);
    const V g = pair.activation(sum[2]);
    next[0] = fma(z, state[0], (V::broadcast(1) - z) * g);
    kept[2] = pair.activation.keep(sum[2], g);
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V* state, const V* d_next,
                                       V* d_sum, V* d_state) noexcept {
    const auto z = pair.recurrent.from_kept(kept[0]);
    const auto g = pair.activation.from_kept(kept[2]);
    d_sum[0] = d_next[0] * (state[0] - g.value) * z.slope;
    d_sum[2] = d_next[0] * (V::broadcast(1) - z.value) * g.slope;
    d_state[0] = d_next[0] * z.value;
  }

  /// The rest of backward, once the gradient of the operand is known.
  template <class V, class Pair>
  TIMELOOM_INLINE static void operand_backward(const Pair& pair, const V* kept, const V* state,
                                               const V d_operand, V* d_sum, V* d_state) noexcept {
    const auto r = pair.recurrent.from_kept(kept[1]);
    d_sum[1] = d_operand * state[0] * r.slope;
    d_state[0] = fma(d_operand, r.value, d_state[0]);
  }
};
