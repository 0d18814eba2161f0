// The products of backward: the gradient of the state before a step, of the inputs, and of the weights.
//
// The gradients of the sums of a chunk lie in one buffer that serves, unpacked, as left operand of the first
// two and as packed right operand of the third.
#pragma once

#include "kernels/outer.h"
#include "kernels/rnn_rows.h"

template <class Cell, class V>
class BackwardProducts : protected RnnRows<Cell, V> {
 protected:
  using Rows = RnnRows<Cell, V>;
  using Rows::active_rows, Rows::first_row, Rows::input, Rows::own_rows;
  using Rows::batch_, Rows::features_, Rows::panels_, Rows::padded_units_, Rows::units_;
  using Rows::own_, Rows::shared_, Rows::step_begin_, Rows::worker_;
  using typename Rows::Scalar;
  using typename Rows::Shape;
  static constexpr int kProductRows = tile_rows<V>(4);

  BackwardProducts(const RnnBackward<Scalar>& backward, const Worker& worker) noexcept
      : Rows(backward.call, worker),
        backward_(backward),
        panel_stride_(shared_.plan.chunk_rows * Shape::kWidth),
        columns_(shared_.path.unit_slices ? share_of(Shape::column_panels(units_), worker)
                                          : Share{0, Shape::column_panels(units_)}),
        own_panels_{columns_.begin * (Shape::kColumns / Shape::kUnits),
                    columns_.end * (Shape::kColumns / Shape::kUnits) < panels_
                        ? columns_.end * (Shape::kColumns / Shape::kUnits)
                        : panels_} {}

  const Scalar* output(index row, index step) const noexcept {
    const SequenceView<const Scalar>& outputs = backward_.outputs;
    if (step_begin_) {
      const index packed = step_begin_[step] + row;
      return outputs.data + (backward_.output_row ? backward_.output_row[packed] : packed) * units_;
    }
    return outputs.data + row * outputs.row_stride + step * outputs.step_stride;
  }

  const Scalar* previous_output(index row, index step) const noexcept {
    return step == 0 ? shared_.initial[0] + row * units_ : output(row, step - 1);
  }

  const Scalar* state(int which, index row, index slot) const noexcept {
    return backward_.states[which] + this->state_row(row, slot) * padded_units_;
  }

  Scalar* d_state(int which, index row) const noexcept {
    return backward_.d_states[which] + row * padded_units_;
  }

  /// Gradient of the sums: row `at` of the chunk.
  Scalar* d_sums_of_chunk(index panel, index at) const noexcept {
    return backward_.d_accumulators + panel * panel_stride_ + at * Shape::kWidth;
  }
  Scalar* d_sums(index panel, index row, index step) const noexcept {
    return d_sums_of_chunk(panel, first_row(step) - chunk_first_ + row);
  }

  /// The upstream gradient of a row's output at a step, or null.
  const Scalar* upstream(index row, index step) const noexcept {
    return backward_.d_outputs.data ? this->as_outputs(backward_.d_outputs, row, step) : nullptr;
  }

  template <class Function>
  TIMELOOM_INLINE void for_own_units(index first, index last, Function&& function) const noexcept {
    for (index panel = own_panels_.begin; panel < own_panels_.end; ++panel) {
      for (index k = first; k < last; ++k) function(panel, own_.row(k));
    }
  }

  /// For the rows that end with this step: d h = gradient of the final state + upstream gradient.
  void add_upstream(index step) noexcept {
    const index later = step + 1 < shared_.sizes.steps ? own_rows(step + 1) : 0;
    for_own_units(later, own_rows(step), [&](index panel, index row) {
      const Scalar* source = upstream(row, step);
      if (!source) return;
      Scalar* target = d_state(0, row);
      for (int tile = 0; tile < Shape::kTiles; ++tile) {
        const index unit = panel * Shape::kUnits + tile * V::kLanes;
        (V::load(target + unit) + load_lanes<V>(source + unit, units_ - unit)).store(target + unit);
      }
    });
  }

  /// Phase 0: d h of step - 1 = what the cell gave it directly + upstream of step - 1 + d sums U^T.
  /// Phase 1: d operand = d sums U^T.
  template <int kPhase>
  void multiply_transposed(index step) noexcept {
    constexpr index kSegment = Shape::state_width(kPhase);
    const index block = kSegment == 0 ? panels_ : shared_.path.state_block / (kSegment ? kSegment : 1) + 1;
    for (index column = columns_.begin; column < columns_.end; ++column) {
      const Scalar* weights = transposed_state<kPhase>(column);
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
          multiply_segments(acc, left, weights + begin * kSegment * Shape::kColumns, kSegment, kSegment,
                            end - begin);
          for (int i = 0; i < kRows; ++i) {
            Scalar* target = d_left<kPhase>(own_.row(first + i)) + column * Shape::kColumns;
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) acc[i][v].store(target + v * V::kLanes);
          }
        });
      }
    }
  }

  /// Phase 0 where each gate took the state times factors of its own: a chain for each gate, times those.
  void multiply_transposed_by_gate(index step) noexcept {
    for (index column = columns_.begin; column < columns_.end; ++column) {
      const Scalar* weights = transposed_state<0>(column);
      const index unit = column * Shape::kColumns;
      for_row_tiles<kProductRows>(own_rows(step), [&](auto rows, index first) {
        constexpr int kRows = decltype(rows)::value;
        for (int a = Cell::kInfo.state[0].begin; a < Cell::kInfo.state[0].end; ++a) {
          V acc[kRows][4];
          multiply_gate(acc, weights, a, Cell::kInfo.state[0].begin, Shape::state_width(0),
                        [&](int i) { return d_sums(0, own_.row(first + i), step); });
          for (int i = 0; i < kRows; ++i) {
            const index row = own_.row(first + i);
            V total[4];
            start_of_chain<0>(total, row, step, column, a == Cell::kInfo.state[0].begin);
            const Scalar* factors = this->state_factors(Cell::kInfo.state_gate[a], row) + unit;
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) {
              const V factor = load_lanes<V>(factors + v * V::kLanes, units_ - unit - v * V::kLanes);
              fma(acc[i][v], factor, total[v]).store(d_state(0, row) + unit + v * V::kLanes);
            }
          }
        }
      });
    }
  }

  template <int kPhase>
  const Scalar* transposed_state(index column) const noexcept {
    return backward_.packed_transposed + Shape::transposed_state_offset(shared_.sizes, kPhase) +
           column * Shape::transposed_state_panel(shared_.sizes, kPhase);
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

  /// acc += left times weights over `segments` panels of d sums, `length` elements of each; a panel has
  /// `width` rows of weights.
  template <int kRows>
  TIMELOOM_INLINE void multiply_segments(V (&acc)[kRows][4], const Scalar* (&left)[kRows],
                                         const Scalar* weights, index length, index width,
                                         index segments) const noexcept {
    for (index segment = 0; segment < segments; ++segment) {
      const Scalar* at[kRows];
      for (int i = 0; i < kRows; ++i) at[i] = left[i] + segment * panel_stride_;
      multiply_add<kRows, 0, 4>(acc, at, weights, Shape::kColumns, length);
      weights += width * Shape::kColumns;
    }
  }

  /// acc = d sums of one accumulator times its weights; d_row(i) is row i of panel 0.
  template <int kRows, class Row>
  TIMELOOM_INLINE void multiply_gate(V (&acc)[kRows][4], const Scalar* weights, int accumulator,
                                     int first_accumulator, index width, Row&& d_row) const noexcept {
    const Scalar* left[kRows];
    for (int i = 0; i < kRows; ++i) {
      left[i] = d_row(i) + accumulator * Shape::kUnits;
      TIMELOOM_UNROLL
      for (int v = 0; v < 4; ++v) acc[i][v] = V::zero();
    }
    multiply_segments(acc, left,
                      weights + (accumulator - first_accumulator) * Shape::kUnits * Shape::kColumns,
                      Shape::kUnits, width, panels_);
  }

  /// Pointers to the left operands of every row of steps [begin, end), and the products of those with
  /// factors.
  void gather_rows(index begin, index end) noexcept {
    index at = 0;
    for (index step = begin; step < end; ++step) {
      const index active = active_rows(step);
      for (index row = 0; row < active; ++row, ++at) {
        pointers(0)[at] = input(row, step);
        pointers(1)[at] = previous_output(row, step);
        if (Shape::kPhases == 2) pointers(2)[at] = backward_.operand + (first_row(step) + row) * units_;
        if (shared_.input_dropout) pointers(3)[at] = this->input_factors(0, row);
        if (at % worker_.count != worker_.index) continue;
        for (int gate = 0; shared_.input_dropout && gate < Cell::kInfo.input_gates; ++gate) {
          multiply_row<V>(dropped_inputs(gate) + at * features_, pointers(0)[at],
                          this->input_factors(gate, row), features_);
        }
        for (int gate = 0; shared_.recurrent_dropout && gate < Cell::kInfo.state_gates; ++gate) {
          multiply_row<V>(dropped_states(gate) + at * units_, pointers(1)[at], this->state_factors(gate, row),
                          units_);
        }
      }
    }
    count_ = at;
  }

  const Scalar** pointers(int which) const noexcept {
    return backward_.rows + (worker_.index * kRowPointers + which) * shared_.plan.chunk_rows;
  }
  Scalar* dropped_inputs(int gate) const noexcept {
    return backward_.dropped_inputs + gate * shared_.plan.chunk_rows * features_;
  }
  Scalar* dropped_states(int gate) const noexcept {
    return backward_.dropped_states + gate * shared_.plan.chunk_rows * units_;
  }

  /// dx of the gathered rows = d sums W^T: threads divide the rows of all steps.
  void input_gradient() noexcept {
    if (!backward_.d_inputs) return;
    constexpr index kSegment = Shape::kInputWidth;
    const index block = shared_.input_dropout ? panels_ : shared_.path.state_block / kSegment + 1;
    const Share share = share_of(count_, worker_);
    for (index column = 0; column < Shape::column_panels(features_); ++column) {
      const Scalar* weights = backward_.packed_transposed + Shape::transposed_input_offset(shared_.sizes) +
                              column * Shape::transposed_input_panel(shared_.sizes);
      for (index from = 0; from < panels_; from += block) {
        const index to = from + block < panels_ ? from + block : panels_;
        for_row_tiles<kProductRows>(share.end - share.begin, [&](auto rows, index tile) {
          constexpr int kRows = decltype(rows)::value;
          const index first = share.begin + tile;
          V acc[kRows][4];
          if (shared_.input_dropout) {
            for (int a = Cell::kInfo.input.begin; a < Cell::kInfo.input.end; ++a) {
              multiply_gate(acc, weights, a, Cell::kInfo.input.begin, kSegment,
                            [&](int i) { return d_sums_of_chunk(0, first + i); });
              for (int i = 0; i < kRows; ++i) {
                const Scalar* factors = pointers(3)[first + i] +
                                        Cell::kInfo.input_gate[a] * batch_ * features_ +
                                        column * Shape::kColumns;
                V total[4];
                load_columns(total, first + i, column, a == Cell::kInfo.input.begin);
                TIMELOOM_UNROLL
                for (int v = 0; v < 4; ++v) {
                  const index left = features_ - column * Shape::kColumns - v * V::kLanes;
                  total[v] = fma(acc[i][v], load_lanes<V>(factors + v * V::kLanes, left), total[v]);
                }
                store_columns(total, first + i, column);
              }
            }
            return;
          }
          const Scalar* left[kRows];
          for (int i = 0; i < kRows; ++i) {
            left[i] = d_sums_of_chunk(from, first + i) + Shape::kInputBegin * V::kLanes;
            load_columns(acc[i], first + i, column, from == 0);
          }
          multiply_segments(acc, left, weights + from * kSegment * Shape::kColumns, kSegment, kSegment,
                            to - from);
          for (int i = 0; i < kRows; ++i) store_columns(acc[i], first + i, column);
        });
      }
    }
  }

  Scalar* d_input(index at) const noexcept {
    return backward_.d_inputs + (pointers(0)[at] - shared_.inputs.data);
  }

  TIMELOOM_INLINE void load_columns(V (&acc)[4], index at, index column, bool fresh) const noexcept {
    TIMELOOM_UNROLL
    for (int v = 0; v < 4; ++v) {
      const index feature = column * Shape::kColumns + v * V::kLanes;
      acc[v] = fresh ? V::zero() : load_lanes<V>(d_input(at) + feature, features_ - feature);
    }
  }
  TIMELOOM_INLINE void store_columns(const V (&acc)[4], index at, index column) const noexcept {
    TIMELOOM_UNROLL
    for (int v = 0; v < 4; ++v) {
      const index feature = column * Shape::kColumns + v * V::kLanes;
      store_lanes(acc[v], d_input(at) + feature, features_ - feature);
    }
  }

  /// dW += x^T d sums, dU += h^T d sums, db += d sums over the gathered rows.
  void weight_gradients() noexcept {
    if (shared_.input_dropout) {
      for (int a = Cell::kInfo.input.begin; a < Cell::kInfo.input.end; ++a) {
        outer_of_gate(dropped_inputs(Cell::kInfo.input_gate[a]), features_, backward_.d_kernel,
                      Cell::kInfo.input_gates, Cell::kInfo.input_gate, a);
      }
    } else {
      outer<Shape::kInputEnd - Shape::kInputBegin>(pointers(0), features_, backward_.d_kernel,
                                                   Cell::kInfo.input_gates, Cell::kInfo.input_gate,
                                                   Shape::kInputBegin);
    }
    if (shared_.recurrent_dropout) {
      for (int a = Cell::kInfo.state[0].begin; a < Cell::kInfo.state[0].end; ++a) {
        outer_of_gate(dropped_states(Cell::kInfo.state_gate[a]), units_, backward_.d_recurrent_kernel,
                      Cell::kInfo.state_gates, Cell::kInfo.state_gate, a);
      }
    } else {
      outer<Shape::state_end(0) - Shape::state_begin(0)>(pointers(1), units_, backward_.d_recurrent_kernel,
                                                         Cell::kInfo.state_gates, Cell::kInfo.state_gate,
                                                         Shape::state_begin(0));
    }
    if constexpr (Shape::kPhases == 2) {
      outer<Shape::state_end(1) - Shape::state_begin(1)>(pointers(2), units_, backward_.d_recurrent_kernel,
                                                         Cell::kInfo.state_gates, Cell::kInfo.state_gate,
                                                         Shape::state_begin(1));
    }
    if (backward_.d_bias) bias_gradient();
  }

  /// result[columns, gates * U] += rows^T d sums for kVectors vectors of every panel from `begin` on.
  template <int kVectors>
  void outer(const Scalar* const* rows, index columns, Scalar* result, int gates, const int* gate_of,
             int begin) noexcept {
    if constexpr (kVectors > 0) {
      const index units = units_;
      Scalar* scratch =
          backward_.scratch + worker_.index * (features_ > units ? features_ : units) * Shape::kWidth;
      outer_product<kVectors, V>(
          rows, columns, backward_.d_accumulators + begin * V::kLanes, panel_stride_, Shape::kWidth, panels_,
          count_, scratch, worker_, [=](index panel, index column, int v, const V& sum) {
            const int accumulator = (begin + v) / Shape::kTiles;
            const index unit = panel * Shape::kUnits + (begin + v) % Shape::kTiles * V::kLanes;
            Scalar* target = result + column * gates * units + gate_of[accumulator] * units + unit;
            store_lanes(load_lanes<V>(target, units - unit) + sum, target, units - unit);
          });
    }
  }

  /// The same for one accumulator, whose left operand lies in rows one after the other.
  void outer_of_gate(const Scalar* operand, index columns, Scalar* result, int gates, const int* gate_of,
                     int accumulator) noexcept {
    const Scalar** rows = pointers(3);
    for (index at = 0; at < count_; ++at) rows[at] = operand + at * columns;
    outer<Shape::kTiles>(rows, columns, result, gates, gate_of, accumulator * Shape::kTiles);
  }

  void bias_gradient() noexcept {
    const Share share = share_of(panels_ * Shape::kVectors, worker_);
    for (index item = share.begin; item < share.end; ++item) {
      const index panel = item / Shape::kVectors;
      const int v = static_cast<int>(item % Shape::kVectors);
      const int accumulator = v / Shape::kTiles;
      const index unit = panel * Shape::kUnits + v % Shape::kTiles * V::kLanes;
      const Scalar* source = d_sums_of_chunk(panel, 0) + v * V::kLanes;
      V sum = V::zero();
      for (index at = 0; at < count_; ++at) sum = sum + V::load(source + at * Shape::kWidth);
      const int input_gate = Cell::kInfo.input_gate[accumulator];
      const int state_gate = Cell::kInfo.state_gate[accumulator];
      if (input_gate >= 0) add_bias(backward_.d_bias + input_gate * units_ + unit, sum, units_ - unit);
      if (Cell::kInfo.bias_rows == 2 && state_gate >= 0) {
        add_bias(backward_.d_bias + (Cell::kInfo.input_gates + state_gate) * units_ + unit, sum,
                 units_ - unit);
      }
    }
  }

  static void add_bias(Scalar* target, const V& sum, index count) noexcept {
    store_lanes(load_lanes<V>(target, count) + sum, target, count);
  }

  const RnnBackward<Scalar>& backward_;
  const index panel_stride_;
  const Share columns_;
  const Share own_panels_;
  index chunk_first_ = 0;  // the first packed row of the chunk at hand
  index count_ = 0;        // rows gathered
};
