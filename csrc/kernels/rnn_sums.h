// The sums of a tile of a panel forward, in registers: from the bias, through the products, to memory. Knows
// where the accumulators of a panel lie, and nothing of rows, steps or cells.
#pragma once

#include "kernels/rnn_panels.h"

template <class Shape, class V>
struct PanelSums {
  using Scalar = typename V::scalar;

  /// Vectors [begin, end) of every row.
  template <int kBegin, int kEnd, int kRows, int kVectors>
  static TIMELOOM_INLINE void start_from_bias(V (&acc)[kRows][kVectors], const Scalar* bias) noexcept {
    TIMELOOM_UNROLL
    for (int v = kBegin; v < kEnd; ++v) {
      const V start = V::load(bias + v * V::kLanes);
      TIMELOOM_UNROLL
      for (int i = 0; i < kRows; ++i) acc[i][v] = start;
    }
  }

  /// acc += left * b over `length` elements, for panels of b that lie `b_panel` apart: vectors [begin, end)
  /// of each. Of the last panel `kVectors` vectors are computed, of the others all.
  template <int kBegin, int kEnd, int kVectors, int kPanels, int kRows, int kTotal>
  static TIMELOOM_INLINE void multiply(V (&acc)[kPanels][kRows][kTotal], const Scalar* const (&left)[kRows],
                                       const Scalar* b, index b_panel, index b_stride,
                                       index length) noexcept {
    if constexpr (kEnd > kBegin) {
      TIMELOOM_UNROLL_BY_4
      for (index k = 0; k < length; ++k) {
        const auto factor = [&](int row) { return V::broadcast(left[row][k]); };
        if constexpr (kPanels > 1) {
          TIMELOOM_UNROLL
          for (int p = 0; p < kPanels - 1; ++p) {
            multiply_add_step<kRows, kBegin, kEnd>(acc[p], factor, b + p * b_panel);
          }
        }
        const Scalar* const last = b + (kPanels - 1) * b_panel;
        if constexpr (Shape::leaves_lanes_out(kVectors)) {
          multiply_add_lanes_step<Shape::first_lane(kBegin, kVectors), Shape::first_lane(kEnd, kVectors),
                                  kVectors>(acc[kPanels - 1], factor, last);
        } else if constexpr (kBegin < kVectors) {
          multiply_add_step<kRows, kBegin, least(kEnd, kVectors)>(acc[kPanels - 1], factor, last);
        }
        b += b_stride;
      }
    }
  }

  /// Stores vectors [begin, end), as they lie.
  template <int kBegin, int kEnd, int kRows, int kVectors>
  static TIMELOOM_INLINE void store(const V (&acc)[kRows][kVectors],
                                    Scalar* const (&target)[kRows]) noexcept {
    TIMELOOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      TIMELOOM_UNROLL
      for (int v = kBegin; v < kEnd; ++v) acc[i][v].store(target[i] + v * V::kLanes);
    }
  }

  /// Stores each accumulator of a panel whose accumulators lie closer into a vector of its own, as the cell
  /// takes them. What follows its units there is of no account.
  template <int kVectors, int kAccumulator = 0, int kRows, int kTotal>
  static TIMELOOM_INLINE void store_apart(const V (&acc)[kRows][kTotal],
                                          Scalar* const (&target)[kRows]) noexcept {
    if constexpr (Shape::lies_closer(kVectors) && kAccumulator < Shape::kAccumulators) {
      constexpr int kLane = Shape::first_lane(kAccumulator, kVectors);
      constexpr int kVector = kLane / V::kLanes;
      constexpr int kNext = least(kVector + 1, kVectors - 1);
      TIMELOOM_UNROLL
      for (int i = 0; i < kRows; ++i) {
        V::template joined<kLane % V::kLanes>(acc[i][kVector], acc[i][kNext])
            .store(target[i] + kAccumulator * V::kLanes);
      }
      store_apart<kVectors, kAccumulator + 1>(acc, target);
    }
  }
};
