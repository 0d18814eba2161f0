// The products of backward: the gradient of the state before a step, of the inputs, and of the weights.
//
// The gradients of the sums of a chunk lie in one buffer that serves, unpacked, as left operand of the first
// two and as packed right operand of the third.
#pragma once

#include "kernels/outer.h"
#include "kernels/rnn_backward_rows.h"

template <class Cell, class V>
class BackwardProducts : protected BackwardRows<Cell, V> {
 protected:
  using Rows = BackwardRows<Cell, V>;
  using Rows::accumulator_stride_, Rows::row_stride_, Rows::worker_;
  using Rows::backward_, Rows::batch_, Rows::chunk_first_, Rows::columns_, Rows::count_, Rows::features_;
  using Rows::BackwardRows;
  using Rows::d_gate_offset, Rows::d_input, Rows::d_state, Rows::d_sums, Rows::d_sums_of_chunk;
  using Rows::first_row, Rows::input_rows, Rows::own_rows, Rows::row_place, Rows::state_rows;
  using Rows::input_distance_, Rows::state_distance_;
  using Rows::kPanelsOfRow;
  using Rows::own_, Rows::padded_units_, Rows::panel_stride_, Rows::panels_, Rows::shared_, Rows::units_;
  using Rows::upstream;
  using typename Rows::Gates;
  using typename Rows::Scalar;
  using typename Rows::Shape;
  static constexpr int kProductRows = tile_rows<V>(4);

  /// Phase 0: d h of step - 1 = what the cell gave it directly + upstream of step - 1 + d sums U^T.
  /// Phase 1: d operand = d sums U^T.
  template <int kPhase>
  void multiply_transposed(index step) noexcept {
    constexpr index kSegment = Shape::state_width(kPhase);
    if (own_rows(step) == 1) {
      multiply_row_transposed<kPhase>(step);
      return;
    }
    const index block = kSegment == 0 ? panels_ : shared_.path.state_block / (kSegment ? kSegment : 1) + 1;
    for (index column = columns_.begin; column < columns_.end; ++column) {
      const Scalar* weights = backward_.packed_transposed +
                              Shape::transposed_state_offset(shared_.sizes, kPhase) +
                              column * Shape::transposed_state_panel(shared_.sizes, kPhase);
      for (index begin = 0; begin < panels_; begin += block) {
        const index end = begin + block < panels_ ? begin + block : panels_;
        for_row_tiles<kProductRows>(own_rows(step), [&](auto rows, index first) {
          constexpr int kRows = decltype(rows)::value;
          V acc[kRows][4];
          const Scalar* left[kRows];
          for (int i = 0; i < kRows; ++i) {
            const index row = own_.row(first + i);
            left[i] = d_sums(begin, row, step) + Shape::state_begin(kPhase) * V::kLanes;
            start_of_chain<kPhase>(acc[i], row, step, column, begin == 0);
          }
          multiply_segments(acc, left, weights + begin * kSegment * Shape::kColumns, kSegment, end - begin);
          for (int i = 0; i < kRows; ++i) {
            Scalar* target = d_left<kPhase>(own_.row(first + i)) + column * Shape::kColumns;
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) acc[i][v].store(target + v * V::kLanes);
          }
        });
      }
    }
  }

  /// The same for a row alone: panels side by side, in an order that turns round at every step, as forward.
  template <int kPhase>
  void multiply_row_transposed(index step) noexcept {
    constexpr index kSegment = Shape::state_width(kPhase);
    const index row = own_.row(0);
    Scalar* const d_sums_of_row = scratch();
    for (index panel = 0; panel < panels_; ++panel) {
      copy_row<V>(d_sums_of_row + panel * kSegment,
                  d_sums(panel, row, step) + Shape::state_begin(kPhase) * V::kLanes, kSegment);
    }
    const Scalar* const left[1] = {d_sums_of_row};
    const Scalar* weights =
        backward_.packed_transposed + Shape::transposed_state_offset(shared_.sizes, kPhase);
    const index distance = Shape::transposed_state_panel(shared_.sizes, kPhase);
    for_row_tiles<kPanelsOfRow>(columns_.end - columns_.begin, [&](auto panels, index at) {
      constexpr int kPanels = decltype(panels)::value;
      const index column = step & 1 ? columns_.end - kPanels - at : columns_.begin + at;
      V acc[kPanels][1][4];
      TIMELOOM_UNROLL
      for (int p = 0; p < kPanels; ++p) start_of_chain<kPhase>(acc[p][0], row, step, column + p, true);
      multiply_add_panels<0, 4>(acc, left, weights + column * distance, distance, Shape::kColumns,
                                panels_ * kSegment);
      TIMELOOM_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        TIMELOOM_UNROLL
        for (int v = 0; v < 4; ++v) {
          acc[p][0][v].store(d_left<kPhase>(row) + (column + p) * Shape::kColumns + v * V::kLanes);
        }
      }
    });
  }

  /// The same gate by gate: a chain for each, times the factors that the gate took the state with.
  template <int kPhase>
  void multiply_transposed_by_gate(index step) noexcept {
    for (index column = columns_.begin; column < columns_.end; ++column) {
      const Scalar* weights = backward_.packed_transposed +
                              Gates::transposed_state_offset(shared_.sizes, kPhase) +
                              column * Gates::transposed_state_panel(shared_.sizes, kPhase);
      const index unit = column * Shape::kColumns;
      for_row_tiles<kProductRows>(own_rows(step), [&](auto rows, index first) {
        constexpr int kRows = decltype(rows)::value;
        if (Cell::kInfo.state[kPhase].begin == Cell::kInfo.state[kPhase].end) {
          for (int i = 0; i < kRows; ++i) {  // no product: what comes from above alone
            const index row = own_.row(first + i);
            V total[4];
            start_of_chain<kPhase>(total, row, step, column, true);
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) total[v].store(d_left<kPhase>(row) + unit + v * V::kLanes);
          }
        }
        for (int a = Cell::kInfo.state[kPhase].begin; a < Cell::kInfo.state[kPhase].end; ++a) {
          V acc[kRows][4];
          multiply_gate(acc, weights, a, Cell::kInfo.state[kPhase],
                        [&](int i) { return first_row(step) - chunk_first_ + own_.row(first + i); });
          for (int i = 0; i < kRows; ++i) {
            const index row = own_.row(first + i);
            V total[4];
            start_of_chain<kPhase>(total, row, step, column, a == Cell::kInfo.state[kPhase].begin);
            const bool times = kPhase == 0 && shared_.recurrent_dropout;
            const Scalar* factors =
                times ? this->state_factors(Cell::kInfo.state_gate[a], row) + unit : nullptr;
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) {
              const index left = units_ - unit - v * V::kLanes;
              const V factor = times ? load_lanes<V>(factors + v * V::kLanes, left) : V::broadcast(1);
              fma(acc[i][v], factor, total[v]).store(d_left<kPhase>(row) + unit + v * V::kLanes);
            }
          }
        }
      });
    }
  }

  template <int kPhase>
  Scalar* d_left(index row) const noexcept {
    return kPhase == 0 ? d_state(0, row) : backward_.d_operand + row * padded_units_;
  }

  template <int kPhase>
  TIMELOOM_INLINE void start_of_chain(V (&acc)[4], index row, index step, index column,
                                      bool fresh) const noexcept {
    const index unit = column * Shape::kColumns;
    const Scalar* source = d_left<kPhase>(row);
    const Scalar* from_above = kPhase == 0 && fresh && step > 0 ? upstream(row, step - 1) : nullptr;
    TIMELOOM_UNROLL
    for (int v = 0; v < 4; ++v) {
      acc[v] = kPhase == 1 && fresh ? V::zero() : V::load(source + unit + v * V::kLanes);
      if (from_above) {
        const index at = unit + v * V::kLanes;
        acc[v] = acc[v] + load_lanes<V>(from_above + at, units_ - at);
      }
    }
  }

  /// acc += left times weights over `segments` panels of d sums, `length` elements of each.
  template <int kRows, int kVectors>
  TIMELOOM_INLINE void multiply_segments(V (&acc)[kRows][kVectors], const Scalar* (&left)[kRows],
                                         const Scalar* weights, index length, index segments) const noexcept {
    for (index segment = 0; segment < segments; ++segment) {
      const Scalar* at[kRows];
      for (int i = 0; i < kRows; ++i) at[i] = left[i] + segment * panel_stride_;
      multiply_add<kRows, 0, kVectors>(acc, at, weights, Shape::kColumns, length);
      weights += length * Shape::kColumns;
    }
  }

  /// acc = d sums of one accumulator of `range` times its weights; row i of acc is row row_of(i) of the
  /// chunk.
  template <int kRows, class Row>
  TIMELOOM_INLINE void multiply_gate(V (&acc)[kRows][4], const Scalar* weights, int accumulator,
                                     AccumulatorRange range, Row&& row_of) const noexcept {
    for (int i = 0; i < kRows; ++i) {
      TIMELOOM_UNROLL
      for (int v = 0; v < 4; ++v) acc[i][v] = V::zero();
    }
    weights += (accumulator - range.begin) * Gates::kUnits * Shape::kColumns;
    for (index gates = 0; gates < Gates::panels(shared_.sizes); ++gates) {
      const Scalar* left[kRows];
      for (int i = 0; i < kRows; ++i) {
        left[i] = backward_.d_accumulators + d_gate_offset(gates, accumulator, row_of(i));
      }
      multiply_add<kRows, 0, 4>(acc, left, weights, Shape::kColumns, Gates::kUnits);
      weights += (range.end - range.begin) * Gates::kUnits * Shape::kColumns;
    }
  }

  /// dx of the gathered rows = d sums W^T: threads divide the rows of all steps.
  void input_gradient() noexcept {
    if (!backward_.d_inputs) return;
    if (shared_.path.by_gate) {
      input_gradient_by_gate();
      return;
    }
    for (index column = 0; column < Shape::column_panels(features_); ++column) {
      if (features_ - column * Shape::kColumns <= V::kLanes) {
        input_gradient_columns<1>(column);  // few features: the other three vectors would be empty
      } else {
        input_gradient_columns<4>(column);
      }
    }
  }

  /// dx of one panel of features, of which the first `kVectors` vectors hold any.
  template <int kVectors>
  void input_gradient_columns(index column) noexcept {
    constexpr index kSegment = Shape::kInputWidth;
    static_assert(kSegment > 0, "a cell whose sums take no input has no use");
    const index block = shared_.path.state_block / kSegment + 1;
    const Share share = share_of(count_, worker_);
    const Scalar* weights = backward_.packed_transposed + Shape::transposed_input_offset(shared_.sizes) +
                            column * Shape::transposed_input_panel(shared_.sizes);
    for (index from = 0; from < panels_; from += block) {
      const index to = from + block < panels_ ? from + block : panels_;
      for_row_tiles<tile_rows<V>(kVectors)>(share.end - share.begin, [&](auto rows, index tile) {
        constexpr int kRows = decltype(rows)::value;
        const index first = share.begin + tile;
        V acc[kRows][kVectors];
        const Scalar* left[kRows];
        for (int i = 0; i < kRows; ++i) {
          left[i] = d_sums_of_chunk(from, first + i) + Shape::kInputBegin * V::kLanes;
          load_columns(acc[i], first + i, column, from == 0);
        }
        multiply_segments(acc, left, weights + from * kSegment * Shape::kColumns, kSegment, to - from);
        for (int i = 0; i < kRows; ++i) store_columns(acc[i], first + i, column);
      });
    }
  }

  /// The same gate by gate: a chain for each, times the factors that the gate took the inputs with.
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
          multiply_gate(acc, weights, a, Cell::kInfo.input, [&](int i) { return first + i; });
          for (int i = 0; i < kRows; ++i) {
            V total[4];
            load_columns(total, first + i, column, a == Cell::kInfo.input.begin);
            const Scalar* factors =
                shared_.input_dropout ? this->input_factors(Cell::kInfo.input_gate[a], row_place(first + i)) +
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

  /// dW += x^T d sums, dU += h^T d sums, db += d sums over the gathered rows.
  void weight_gradients() noexcept {
    if (shared_.path.by_gate) {
      weight_gradients_by_gate();
    } else {
      outer<Shape::kInputBegin, Shape::kInputEnd>(input_rows(0), input_distance_, features_,
                                                  backward_.d_kernel, Cell::kInfo.input_gates,
                                                  Cell::kInfo.input_gate);
      outer<Shape::state_begin(0), Shape::state_end(0)>(state_rows(0), state_distance_, units_,
                                                        backward_.d_recurrent_kernel, Cell::kInfo.state_gates,
                                                        Cell::kInfo.state_gate);
      if constexpr (Shape::kPhases == 2) {
        outer<Shape::state_begin(1), Shape::state_end(1)>(backward_.operand_rows, state_distance_, units_,
                                                          backward_.d_recurrent_kernel,
                                                          Cell::kInfo.state_gates, Cell::kInfo.state_gate);
      }
    }
    if (backward_.d_bias) bias_gradient();
  }

  void weight_gradients_by_gate() noexcept {
    for (int a = Cell::kInfo.input.begin; a < Cell::kInfo.input.end; ++a) {
      const int gate = Cell::kInfo.input_gate[a];
      outer_of_gate(input_rows(shared_.input_dropout ? gate : 0), input_distance_, features_,
                    backward_.d_kernel, Cell::kInfo.input_gates, gate, a);
    }
    for (int phase = 0; phase < Shape::kPhases; ++phase) {
      for (int a = Cell::kInfo.state[phase].begin; a < Cell::kInfo.state[phase].end; ++a) {
        const int gate = Cell::kInfo.state_gate[a];
        const Scalar* rows =
            phase == 1 ? backward_.operand_rows : state_rows(shared_.recurrent_dropout ? gate : 0);
        outer_of_gate(rows, state_distance_, units_, backward_.d_recurrent_kernel, Cell::kInfo.state_gates,
                      gate, a);
      }
    }
  }

  Scalar* scratch() const noexcept {
    constexpr index kWidth = Shape::kWidth > Shape::kColumns ? Shape::kWidth : Shape::kColumns;
    return backward_.scratch + worker_.index * (features_ > units_ ? features_ : units_) * kWidth;
  }

  /// result[columns, gates * U] += rows^T d sums for vectors [begin, end) of every panel.
  template <int kBegin, int kEnd>
  void outer(const Scalar* rows, index distance, index columns, Scalar* result, int gates,
             const int* gate_of) noexcept {
    if constexpr (kEnd > kBegin) {
      const index units = units_;
      outer_product<kEnd - kBegin, V>(
          rows, distance, columns, backward_.d_accumulators + kBegin * V::kLanes, panel_stride_,
          Shape::kWidth, panels_, count_, scratch(), worker_, [=](index panel, index column, int v) {
            const int accumulator = (kBegin + v) / Shape::kTiles;
            const index unit = panel * Shape::kUnits + (kBegin + v) % Shape::kTiles * V::kLanes;
            return Lanes<Scalar>{result + column * gates * units + gate_of[accumulator] * units + unit,
                                 units - unit};
          });
    }
  }

  /// The same for one accumulator of the gate panels.
  void outer_of_gate(const Scalar* rows, index distance, index columns, Scalar* result, int gates, int gate,
                     int accumulator) noexcept {
    const index units = units_;
    outer_product<4, V>(rows, distance, columns, backward_.d_accumulators + d_gate_offset(0, accumulator, 0),
                        d_gate_offset(1, 0, 0), Gates::kUnits, Gates::panels(shared_.sizes), count_,
                        scratch(), worker_, [=](index gates_at, index column, int v) {
                          const index unit = gates_at * Gates::kUnits + v * V::kLanes;
                          return Lanes<Scalar>{result + (column * gates + gate) * units + unit, units - unit};
                        });
  }

  void bias_gradient() noexcept {
    constexpr int row_gates =
        Cell::kInfo.input_gates > Cell::kInfo.state_gates ? Cell::kInfo.input_gates : Cell::kInfo.state_gates;
    const Share share = share_of(panels_ * Shape::kVectors, worker_);
    for (index item = share.begin; item < share.end; ++item) {
      const index panel = item / Shape::kVectors;
      const int v = static_cast<int>(item % Shape::kVectors);
      const int accumulator = v / Shape::kTiles;
      const index unit = panel * Shape::kUnits + v % Shape::kTiles * V::kLanes;
      const Scalar* source =
          d_sums_of_chunk(panel, 0) + accumulator * accumulator_stride_ + v % Shape::kTiles * V::kLanes;
      V sum = V::zero();
      for (index at = 0; at < count_; ++at) sum = sum + V::load(source + at * row_stride_);
      const int input_gate = Cell::kInfo.input_gate[accumulator];
      const int state_gate = Cell::kInfo.state_gate[accumulator];
      if (input_gate >= 0) add_bias(backward_.d_bias + input_gate * units_ + unit, sum, units_ - unit);
      if (Cell::kInfo.bias_rows == 2 && state_gate >= 0) {
        add_bias(backward_.d_bias + (row_gates + state_gate) * units_ + unit, sum, units_ - unit);
      }
    }
  }

  static void add_bias(Scalar* target, const V& sum, index count) noexcept {
    store_lanes(load_lanes<V>(target, count) + sum, target, count);
  }
};
