// The gradient of the inputs, dx: d sums times the transposed weights of the inputs, chunk by chunk.
#pragma once

#include "kernels/rnn_backward_products.h"

template <class Cell, class V>
class InputGradient : protected BackwardProducts<Cell, V> {
 protected:
  using Products = BackwardProducts<Cell, V>;
  using Products::backward_, Products::count_, Products::features_, Products::panels_, Products::shared_,
      Products::worker_;
  using Products::BackwardProducts;
  using Products::d_input, Products::d_sums_of_chunk, Products::row_at;
  using Products::kProductRows;
  using typename Products::Gates;
  using typename Products::Scalar;
  using typename Products::Shape;

  /// dx of the gathered rows = d sums W^T: threads divide the rows of all steps.
  void input_gradient() noexcept {
    if (!backward_.d_inputs) return;
    if (shared_.path.by_gate) {
      input_gradient_by_gate();
      return;
    }
    if (Shape::dots_input(shared_.sizes)) {
      input_gradient_dots();
      return;
    }
    this->for_widths({0, Shape::column_panels(features_)}, features_, [&](auto vectors, Share columns) {
      input_gradient_columns<decltype(vectors)::value>(columns);
    });
  }

 private:
  static constexpr int kDotRows = 8;  // chains enough for two multiply-adds a cycle

  /// dx of panels of features of which the first `kVectors` vectors hold any.
  template <int kVectors>
  void input_gradient_columns(Share columns) noexcept {
    static_assert(Shape::kInputWidth > 0, "a cell whose sums take no input has no use");
    const Share share = share_of(count_, worker_);
    this->template multiply_blocks<kVectors, Shape::kInputBegin, Shape::kInputWidth>(
        share.end - share.begin, columns,
        backward_.packed_transposed + Shape::transposed_input_offset(shared_.sizes),
        [=](index at) { return share.begin + at; },
        [=](V(&acc)[kVectors], index at, index column, bool fresh) {
          if (fresh && shared_.asks_ahead)
            ask_for(d_input(share.begin + at) + column * Shape::kColumns, Shape::kColumns);
          load_columns(acc, share.begin + at, column, fresh);
        },
        [=](const V(&acc)[kVectors], index at, index column) {
          store_columns(acc, share.begin + at, column);
        });
  }

  /// dx of few features: for each a dot product of d sums and its weights, where a vector of features would
  /// be nearly empty. Of the last panel what is behind its last unit is zeros, or left out if nobody writes
  /// it.
  void input_gradient_dots() noexcept {
    const Share share = share_of(count_, worker_);
    const index last =
        Shape::kInputWidth - Shape::empty_gradients(shared_.sizes, Shape::kInputWidth / Shape::kUnits);
    for_row_tiles<kDotRows>(share.end - share.begin, [&](auto rows, index tile) {
      constexpr int kRows = decltype(rows)::value;
      const index first = share.begin + tile;
      const Scalar* weights = backward_.packed_transposed + Shape::transposed_input_offset(shared_.sizes);
      for (index feature = 0; feature < features_; ++feature) {
        V acc[kRows];
        TIMELOOM_UNROLL
        for (int i = 0; i < kRows; ++i) acc[i] = V::zero();
        for (index panel = 0; panel < panels_; ++panel) {
          const index length = panel + 1 < panels_ ? Shape::kInputWidth : last;
          const Scalar* left =
              d_sums_of_chunk(panel, first) + this->template first_sum<Shape::kInputBegin>(panel);
          for (index at = 0; at < length; at += V::kLanes) {
            const V factor = load_lanes<V>(weights + at, length - at);
            TIMELOOM_UNROLL
            for (int i = 0; i < kRows; ++i) {
              acc[i] = fma(load_lanes<V>(left + i * Shape::kWidth + at, length - at), factor, acc[i]);
            }
          }
          weights += Shape::kInputWidth;
        }
        TIMELOOM_UNROLL
        for (int i = 0; i < kRows; ++i) d_input(first + i)[feature] = sum_lanes(acc[i]);
      }
    });
  }

  /// Gate by gate: a chain for each, times the factors that the gate took the inputs with.
  void input_gradient_by_gate() noexcept {
    const Share share = share_of(count_, worker_);
    for (index column = 0; column < Shape::column_panels(features_); ++column) {
      const Scalar* weights = backward_.packed_transposed + Gates::transposed_input_offset(shared_.sizes) +
                              column * Gates::transposed_input_panel(shared_.sizes);
      for_row_tiles<kProductRows>(share.end - share.begin, [&](auto rows, index tile) {
        constexpr int kRows = decltype(rows)::value;
        const index first = share.begin + tile;
        for (int a = Cell::kInfo.input.begin; a < Cell::kInfo.input.end; ++a) {
          V acc[kRows][4];
          this->multiply_gate(acc, weights, a, Cell::kInfo.input, [&](int i) { return first + i; });
          for (int i = 0; i < kRows; ++i) {
            V total[4];
            load_columns(total, first + i, column, a == Cell::kInfo.input.begin);
            const Scalar* factors = shared_.input_dropout
                                        ? this->input_factors(Cell::kInfo.input_gate[a], row_at(first + i)) +
                                              column * Shape::kColumns
                                        : nullptr;
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) {
              const index left = features_ - column * Shape::kColumns - v * V::kLanes;
              const V factor = factors ? load_lanes<V>(factors + v * V::kLanes, left) : V::broadcast(1);
              total[v] = fma(acc[i][v], factor, total[v]);
            }
            store_columns(total, first + i, column);
          }
        }
      });
    }
  }

  template <int kVectors>
  TIMELOOM_INLINE void load_columns(V (&acc)[kVectors], index at, index column, bool fresh) const noexcept {
    TIMELOOM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const index feature = column * Shape::kColumns + v * V::kLanes;
      acc[v] = fresh ? V::zero() : load_lanes<V>(d_input(at) + feature, features_ - feature);
    }
  }
  template <int kVectors>
  TIMELOOM_INLINE void store_columns(const V (&acc)[kVectors], index at, index column) const noexcept {
    TIMELOOM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const index feature = column * Shape::kColumns + v * V::kLanes;
      store_lanes(acc[v], d_input(at) + feature, features_ - feature);
    }
  }
};
