// The time loop in reverse: backpropagation through time.
//
// Per step: the cell turns the gradient of its states into those of its sums; one product with the transposed
// weights gives the gradient of the step before. Per chunk of about 512 rows, while the gradients of the sums
// are in cache: dx, and the weight gradients, for which the same memory serves, unpacked, as packed right
// operand.
#pragma once

#include "kernels/outer.h"
#include "kernels/rnn_forward.h"

/// What one worker does that needs no activation: the products.
template <class Cell, class V>
class BackwardProducts {
 protected:
  using Scalar = typename V::scalar;
  using Shape = Panel<Cell, V>;
  static constexpr int kProductRows = tile_rows<V>(4);

  BackwardProducts(const RnnBackward<Scalar>& call, const Worker& worker) noexcept
      : call_(call),
        worker_(worker),
        batch_(call.sizes.batch),
        units_(call.sizes.units),
        panels_(Shape::panels(call.sizes)),
        padded_units_(Shape::padded_units(call.sizes)),
        panel_stride_(call.path.chunk_steps * batch_ * Shape::kWidth),
        rows_(call.path.unit_slices ? Share{0, batch_} : share_of(batch_, worker)),
        columns_(call.path.unit_slices ? share_of(Shape::column_panels(units_), worker)
                                       : Share{0, Shape::column_panels(units_)}),
        own_panels_{columns_.begin * (Shape::kColumns / Shape::kUnits),
                    columns_.end * (Shape::kColumns / Shape::kUnits) < panels_
                        ? columns_.end * (Shape::kColumns / Shape::kUnits)
                        : panels_} {}

  const Scalar* previous_output(index row, index step) const noexcept {
    return step == 0 ? call_.initial[0] + row * units_ : output(row, step - 1);
  }

  const Scalar* output(index row, index step) const noexcept {
    return call_.outputs.data + row * call_.outputs.row_stride + step * call_.outputs.step_stride;
  }

  const Scalar* state(int which, index row, index slot) const noexcept {
    return call_.states[which] + (slot * batch_ + row) * padded_units_;
  }

  const Scalar* kept(index panel, index row, index step) const noexcept {
    return call_.kept + ((step * panels_ + panel) * batch_ + row) * Shape::kKeptWidth;
  }

  Scalar* d_state(int which, index row) const noexcept { return call_.d_states[which] + row * padded_units_; }

  Scalar* d_sums(index panel, index slot, index row) const noexcept {
    return call_.d_accumulators + panel * panel_stride_ + (slot * batch_ + row) * Shape::kWidth;
  }

  /// The upstream gradient of a row's output at a step, or null.
  const Scalar* upstream(index row, index step) const noexcept {
    if (!call_.d_outputs.data || (call_.d_outputs_last && step != call_.sizes.steps - 1)) return nullptr;
    return call_.d_outputs.data + row * call_.d_outputs.row_stride +
           (call_.d_outputs_last ? 0 : step * call_.d_outputs.step_stride);
  }

  template <class Function>
  TIMELOOM_INLINE void for_own_units(Function&& function) const noexcept {
    for (index panel = own_panels_.begin; panel < own_panels_.end; ++panel) {
      for (index row = rows_.begin; row < rows_.end; ++row) function(panel, row);
    }
  }

  /// d h of the last step = gradient of the final state + upstream gradient.
  void add_upstream(index step) noexcept {
    for_own_units([&](index panel, index row) {
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
  void multiply_transposed(index step, index slot) noexcept {
    constexpr index kSegment = Shape::state_width(kPhase);
    const index block = kSegment == 0 ? panels_ : call_.path.state_block / (kSegment ? kSegment : 1) + 1;
    for (index column = columns_.begin; column < columns_.end; ++column) {
      const Scalar* weights = call_.packed_transposed + Shape::transposed_state_offset(call_.sizes, kPhase) +
                              column * Shape::transposed_state_panel(call_.sizes, kPhase);
      for (index begin = 0; begin < panels_; begin += block) {
        const index end = begin + block < panels_ ? begin + block : panels_;
        const RowTiles tiles = row_tiles(rows_.begin, rows_.end, kProductRows);
        index first = tiles.first;
        for (index tile = 0; tile < tiles.count; ++tile) {
          const index count = tiles.quotient + (tile < tiles.remainder);
          with_rows<kProductRows>(count, [&](auto rows) {
            constexpr int kRows = decltype(rows)::value;
            V acc[kRows][4];
            const Scalar* left[kRows];
            for (int i = 0; i < kRows; ++i) {
              left[i] = d_sums(begin, slot, first + i) + Shape::state_begin(kPhase) * V::kLanes;
              start_of_chain<kPhase>(acc[i], first + i, step, column, begin == 0);
            }
            multiply_segments(acc, left, weights + begin * kSegment * Shape::kColumns, kSegment, end - begin);
            for (int i = 0; i < kRows; ++i) {
              Scalar* target =
                  (kPhase == 0 ? d_state(0, first + i) : call_.d_operand + (first + i) * padded_units_) +
                  column * Shape::kColumns;
              TIMELOOM_UNROLL
              for (int v = 0; v < 4; ++v) acc[i][v].store(target + v * V::kLanes);
            }
          });
          first += count;
        }
      }
    }
  }

  template <int kPhase>
  TIMELOOM_INLINE void start_of_chain(V (&acc)[4], index row, index step, index column,
                                      bool fresh) const noexcept {
    const index unit = column * Shape::kColumns;
    const Scalar* source = kPhase == 0 ? d_state(0, row) : call_.d_operand + row * padded_units_;
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
  template <int kRows>
  TIMELOOM_INLINE void multiply_segments(V (&acc)[kRows][4], const Scalar* (&left)[kRows],
                                         const Scalar* weights, index length, index segments) const noexcept {
    for (index segment = 0; segment < segments; ++segment) {
      const Scalar* at[kRows];
      for (int i = 0; i < kRows; ++i) at[i] = left[i] + segment * panel_stride_;
      multiply_add<kRows, 0, 4>(acc, at, weights, Shape::kColumns, length);
      weights += length * Shape::kColumns;
    }
  }

  /// dx of steps [begin, end) = d sums W^T: threads divide the rows of all these steps.
  void input_gradient(index begin, index end) noexcept {
    if (!call_.d_inputs.data) return;
    constexpr index kSegment = Shape::kInputWidth;
    const index block = call_.path.state_block / kSegment + 1;
    const index features = call_.sizes.features;
    const Share share = share_of((end - begin) * batch_, worker_);
    for (index column = 0; column < Shape::column_panels(features); ++column) {
      const Scalar* weights = call_.packed_transposed + Shape::transposed_input_offset(call_.sizes) +
                              column * Shape::transposed_input_panel(call_.sizes);
      for (index from = 0; from < panels_; from += block) {
        const index to = from + block < panels_ ? from + block : panels_;
        const RowTiles tiles = row_tiles(share.begin, share.end, kProductRows);
        index first = tiles.first;
        for (index tile = 0; tile < tiles.count; ++tile) {
          const index count = tiles.quotient + (tile < tiles.remainder);
          with_rows<kProductRows>(count, [&](auto rows) {
            constexpr int kRows = decltype(rows)::value;
            V acc[kRows][4];
            const Scalar* left[kRows];
            Scalar* target[kRows];
            for (int i = 0; i < kRows; ++i) {
              left[i] = d_sums(from, 0, first + i) + Shape::kInputBegin * V::kLanes;
              target[i] = call_.d_inputs.data + (first + i) % batch_ * call_.d_inputs.row_stride +
                          (begin + (first + i) / batch_) * call_.d_inputs.step_stride;
              TIMELOOM_UNROLL
              for (int v = 0; v < 4; ++v) {
                const index at = column * Shape::kColumns + v * V::kLanes;
                acc[i][v] = from == 0 ? V::zero() : load_lanes<V>(target[i] + at, features - at);
              }
            }
            multiply_segments(acc, left, weights + from * kSegment * Shape::kColumns, kSegment, to - from);
            for (int i = 0; i < kRows; ++i) {
              TIMELOOM_UNROLL
              for (int v = 0; v < 4; ++v) {
                const index at = column * Shape::kColumns + v * V::kLanes;
                store_lanes(acc[i][v], target[i] + at, features - at);
              }
            }
          });
          first += count;
        }
      }
    }
  }

  /// dW += x^T d sums, dU += h^T d sums, db += d sums over the rows of steps [begin, end).
  void weight_gradients(index begin, index end) noexcept {
    const index count = (end - begin) * batch_;
    const index chunk_rows = call_.path.chunk_steps * batch_;
    const Scalar** inputs = call_.rows + worker_.index * 3 * chunk_rows;
    const Scalar** before = inputs + chunk_rows;
    const Scalar** operands = before + chunk_rows;
    for (index step = begin; step < end; ++step) {
      for (index row = 0; row < batch_; ++row) {
        const index at = (step - begin) * batch_ + row;
        inputs[at] = call_.inputs.data + row * call_.inputs.row_stride + step * call_.inputs.step_stride;
        before[at] = previous_output(row, step);
        if (Shape::kPhases == 2) operands[at] = call_.operand + (step * batch_ + row) * units_;
      }
    }
    constexpr CellInfo info = Cell::kInfo;
    outer<Shape::kInputBegin, Shape::kInputEnd>(inputs, call_.sizes.features, count, call_.d_kernel,
                                                info.input_gates, info.input_gate);
    outer<Shape::state_begin(0), Shape::state_end(0)>(before, units_, count, call_.d_recurrent_kernel,
                                                      info.state_gates, info.state_gate);
    if constexpr (Shape::kPhases == 2) {
      outer<Shape::state_begin(1), Shape::state_end(1)>(operands, units_, count, call_.d_recurrent_kernel,
                                                        info.state_gates, info.state_gate);
    }
    if (call_.d_bias) bias_gradient(count);
  }

  /// result[columns, gates * U] += rows^T d sums for vectors [begin, end) of every panel.
  template <int kBegin, int kEnd>
  void outer(const Scalar* const* rows, index columns, index count, Scalar* result, int gates,
             const int* gate_of) noexcept {
    if constexpr (kEnd > kBegin) {
      const index units = units_;
      Scalar* scratch = call_.scratch + worker_.index * (columns_of_scratch() * Shape::kWidth);
      outer_product<kEnd - kBegin, V>(
          rows, columns, call_.d_accumulators + kBegin * V::kLanes, panel_stride_, Shape::kWidth, panels_,
          count, scratch, worker_, [=](index panel, index column, int v, const V& sum) {
            const int accumulator = (kBegin + v) / Shape::kTiles;
            const index unit = panel * Shape::kUnits + (kBegin + v) % Shape::kTiles * V::kLanes;
            Scalar* target = result + column * gates * units + gate_of[accumulator] * units + unit;
            store_lanes(load_lanes<V>(target, units - unit) + sum, target, units - unit);
          });
    }
  }

  index columns_of_scratch() const noexcept {
    return call_.sizes.features > units_ ? call_.sizes.features : units_;
  }

  void bias_gradient(index count) noexcept {
    constexpr CellInfo info = Cell::kInfo;
    const Share share = share_of(panels_ * Shape::kVectors, worker_);
    for (index item = share.begin; item < share.end; ++item) {
      const index panel = item / Shape::kVectors;
      const int v = static_cast<int>(item % Shape::kVectors);
      const int accumulator = v / Shape::kTiles;
      const index unit = panel * Shape::kUnits + v % Shape::kTiles * V::kLanes;
      const Scalar* source = call_.d_accumulators + panel * panel_stride_ + v * V::kLanes;
      V sum = V::zero();
      for (index row = 0; row < count; ++row) sum = sum + V::load(source + row * Shape::kWidth);
      const int input_gate = info.input_gate[accumulator];
      const int state_gate = info.state_gate[accumulator];
      if (input_gate >= 0) add_bias(call_.d_bias + input_gate * units_ + unit, sum, units_ - unit);
      if (info.bias_rows == 2 && state_gate >= 0) {
        add_bias(call_.d_bias + (info.input_gates + state_gate) * units_ + unit, sum, units_ - unit);
      }
    }
  }

  static void add_bias(Scalar* target, const V& sum, index count) noexcept {
    store_lanes(load_lanes<V>(target, count) + sum, target, count);
  }

  const RnnBackward<Scalar>& call_;
  const Worker& worker_;
  const index batch_;
  const index units_;
  const index panels_;
  const index padded_units_;
  const index panel_stride_;
  const Share rows_;
  const Share columns_;
  const Share own_panels_;
};

/// The whole pass for one pair of activations.
template <class Cell, class V, class Pair>
class BackwardPass : BackwardProducts<Cell, V> {
  using Base = BackwardProducts<Cell, V>;
  using Base::add_upstream, Base::d_state, Base::d_sums, Base::for_own_units, Base::input_gradient,
      Base::kept;
  using Base::call_, Base::worker_, Base::units_, Base::padded_units_;
  using Base::output, Base::previous_output, Base::state, Base::weight_gradients;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  BackwardPass(const RnnBackward<Scalar>& call, const Pair& pair, const Worker& worker) noexcept
      : Base(call, worker), pair_(pair) {}

  void run() noexcept {
    const index steps = call_.sizes.steps;
    const index chunk_steps = call_.path.chunk_steps;
    add_upstream(steps - 1);
    for (index begin = (steps - 1) / chunk_steps * chunk_steps; begin >= 0; begin -= chunk_steps) {
      const index end = begin + chunk_steps < steps ? begin + chunk_steps : steps;
      for (index step = end - 1; step >= begin; --step) {
        for_own_units([&](index panel, index row) { cell_backward(panel, row, step, step - begin); });
        if (call_.path.unit_slices) worker_.wait(worker_.barrier);
        if constexpr (Shape::kPhases == 2) {
          this->template multiply_transposed<1>(step, step - begin);
          for_own_units([&](index panel, index row) { operand_backward(panel, row, step, step - begin); });
          if (call_.path.unit_slices) worker_.wait(worker_.barrier);
        }
        this->template multiply_transposed<0>(step, step - begin);
      }
      worker_.wait(worker_.barrier);
      input_gradient(begin, end);
      weight_gradients(begin, end);
      worker_.wait(worker_.barrier);
    }
  }

 private:
  void load_unit(index panel, index row, index step, int tile, V* keep, V* old) const noexcept {
    if constexpr (Cell::kInfo.kept > 0) {
      const Scalar* source = kept(panel, row, step) + tile * V::kLanes;
      TIMELOOM_UNROLL
      for (int value = 0; value < Cell::kInfo.kept; ++value)
        keep[value] = V::load(source + value * Shape::kUnits);
    }
    const index unit = panel * Shape::kUnits + tile * V::kLanes;
    old[0] = load_lanes<V>(previous_output(row, step) + unit, units_ - unit);
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which)
      old[which] = V::load(state(which, row, step) + unit);
  }

  TIMELOOM_NOINLINE void cell_backward(index panel, index row, index step, index slot) noexcept {
    Scalar* target = d_sums(panel, slot, row);
    for (int tile = 0; tile < Shape::kTiles; ++tile) {
      const index unit = panel * Shape::kUnits + tile * V::kLanes;
      V keep[kMaxAccumulators], old[kMaxStates], next[kMaxStates], d_next[kMaxStates], d_old[kMaxStates];
      V d_sum[kMaxAccumulators];
      load_unit(panel, row, step, tile, keep, old);
      next[0] = load_lanes<V>(output(row, step) + unit, units_ - unit);
      TIMELOOM_UNROLL
      for (int which = 1; which < Cell::kInfo.states; ++which)
        next[which] = V::load(state(which, row, step + 1) + unit);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which)
        d_next[which] = V::load(d_state(which, row) + unit);
      if constexpr (Shape::kPhases == 2) {
        TIMELOOM_UNROLL
        for (int a = 0; a < Shape::kAccumulators; ++a) d_sum[a] = V::zero();
      }
      Cell::backward(pair_, keep, old, next, d_next, d_sum, d_old);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which) d_old[which].store(d_state(which, row) + unit);
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        d_sum[a].store(target + (a * Shape::kTiles + tile) * V::kLanes);
      }
    }
  }

  TIMELOOM_NOINLINE void operand_backward(index panel, index row, index step, index slot) noexcept {
    Scalar* target = d_sums(panel, slot, row);
    for (int tile = 0; tile < Shape::kTiles; ++tile) {
      const index unit = panel * Shape::kUnits + tile * V::kLanes;
      V keep[kMaxAccumulators], old[kMaxStates], d_old[kMaxStates], d_sum[kMaxAccumulators];
      load_unit(panel, row, step, tile, keep, old);
      d_old[0] = V::load(d_state(0, row) + unit);
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        d_sum[a] = V::load(target + (a * Shape::kTiles + tile) * V::kLanes);
      }
      const V d_operand = V::load(call_.d_operand + row * padded_units_ + unit);
      Cell::operand_backward(pair_, keep, old, d_operand, d_sum, d_old);
      d_old[0].store(d_state(0, row) + unit);
      // Those from the second product on are final, and other workers may still be reading them.
      TIMELOOM_UNROLL
      for (int a = 0; a < Cell::kInfo.state[1].begin; ++a) {
        d_sum[a].store(target + (a * Shape::kTiles + tile) * V::kLanes);
      }
    }
  }

  const Pair& pair_;
};

template <class Cell, class V>
void rnn_backward(const RnnBackward<typename V::scalar>& call, const Worker& worker) noexcept {
  using Default = FixedPair<Cell::kInfo.activation, Cell::kInfo.recurrent_activation>;
  if (call.activation == Cell::kInfo.activation &&
      call.recurrent_activation == Cell::kInfo.recurrent_activation) {
    BackwardPass<Cell, V, Default>(call, Default{}, worker).run();
  } else {
    const ChosenPair pair{call.activation, call.recurrent_activation};
    BackwardPass<Cell, V, ChosenPair>(call, pair, worker).run();
  }
}
