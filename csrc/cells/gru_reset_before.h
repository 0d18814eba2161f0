#pragma once

#include "simd/vec.h"

/// Gated recurrent unit with the reset gate before the product (Keras reset_after=False, Cho et al. 2014):
///
///     z = rec(x W_z + h U_z + b_z)   r likewise
///     g = act(x W_h + (r h) U_h + b_h)
///     h_next = z h + (1 - z) g                 gate order z, r, h; z multiplies the OLD state
///
/// State h. Two phases: the operand r h of the second product needs r of every unit. Kept: z, r, g.
struct GruResetBefore {
  static constexpr CellInfo kInfo = {
      /*name*/ "gru_reset_before",
      /*input_gates*/ 3,
      /*state_gates*/ 3,
      /*states*/ 1,
      /*bias_rows*/ 1,
      /*accumulators*/ 3,
      /*kept*/ 3,
      /*phases*/ 2,
      /*input*/ {0, 3},
      /*state*/ {{0, 2}, {2, 3}},
      /*input_gate*/ {0, 1, 2, -1},
      /*state_gate*/ {0, 1, 2, -1},
      Activation::tanh,
      Activation::sigmoid,
  };

  /// First phase: the gates and the operand of the second product.
  template <class V, class Pair>
  TIMELOOM_INLINE static void operand(const Pair& pair, const V* sum, const V* state, V* kept,
                                      V* operand) noexcept {
    kept[0] = pair.recurrent(sum[0]);
    kept[1] = pair.recurrent(sum[1]);
    *operand = kept[1] * state[0];
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void forward(const Pair& pair, const V* sum, const V* state, V* next,
                                      V* kept) noexcept {
    const V z = kept[0];
    const V g = pair.activation(sum[2]);
    next[0] = fma(z, state[0], (V::broadcast(1) - z) * g);
    kept[2] = g;
  }

  template <class V, class Pair>
  TIMELOOM_INLINE static void backward(const Pair& pair, const V* kept, const V* state, const V*,
                                       const V* d_next, V* d_sum, V* d_state) noexcept {
    const V z = kept[0], g = kept[2];
    d_sum[0] = d_next[0] * (state[0] - g) * pair.recurrent_gradient(z);
    d_sum[2] = d_next[0] * (V::broadcast(1) - z) * pair.activation_gradient(g);
    d_state[0] = d_next[0] * z;
  }

  /// The rest of backward, once the gradient of the operand is known.
  template <class V, class Pair>
  TIMELOOM_INLINE static void operand_backward(const Pair& pair, const V* kept, const V* state,
                                               const V d_operand, V* d_sum, V* d_state) noexcept {
    const V r = kept[1];
    d_sum[1] = d_operand * state[0] * pair.recurrent_gradient(r);
    d_state[0] = fma(d_operand, r, d_state[0]);
  }
};
