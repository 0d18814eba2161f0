// The time loop forward. Knows no cell by name: the sums of a tile are made here, Cell::forward turns them
// into states.
#pragma once

#include "cells/activations.h"
#include "kernels/rnn_panels.h"

/// The cell's default activations, compiled in.
template <Activation kActivation, Activation kRecurrent>
struct FixedPair {
  template <class V>
  TIMELOOM_INLINE V activation(V x) const noexcept {
    return activate(kActivation, x);
  }
  template <class V>
  TIMELOOM_INLINE V recurrent(V x) const noexcept {
    return activate(kRecurrent, x);
  }
  template <class V>
  TIMELOOM_INLINE V activation_gradient(V y) const noexcept {
    return ::timeloom::TIMELOOM_ISA_NAMESPACE::activation_gradient(kActivation, y);
  }
  template <class V>
  TIMELOOM_INLINE V recurrent_gradient(V y) const noexcept {
    return ::timeloom::TIMELOOM_ISA_NAMESPACE::activation_gradient(kRecurrent, y);
  }
};

/// The activations of any other pair: one copy of the switch for all cells, called per vector and always
/// predicted.
template <class V>
TIMELOOM_NOINLINE V activate_any(Activation kind, V x) noexcept {
  return activate(kind, x);
}
template <class V>
TIMELOOM_NOINLINE V activation_gradient_any(Activation kind, V y) noexcept {
  return activation_gradient(kind, y);
}

/// A pair chosen when called.
struct ChosenPair {
  Activation activation_kind;
  Activation recurrent_kind;

  template <class V>
  TIMELOOM_INLINE V activation(V x) const noexcept {
    return activate_any(activation_kind, x);
  }
  template <class V>
  TIMELOOM_INLINE V recurrent(V x) const noexcept {
    return activate_any(recurrent_kind, x);
  }
  template <class V>
  TIMELOOM_INLINE V activation_gradient(V y) const noexcept {
    return activation_gradient_any(activation_kind, y);
  }
  template <class V>
  TIMELOOM_INLINE V recurrent_gradient(V y) const noexcept {
    return activation_gradient_any(recurrent_kind, y);
  }
};

/// The rows and panels of one worker. Batch slices own rows and meet nobody; unit slices own panels, and
/// every step ends with a barrier because the next one reads the states of all units.
template <class Cell, class V>
class ForwardProducts {
 protected:
  using Scalar = typename V::scalar;
  using Shape = Panel<Cell, V>;

  ForwardProducts(const RnnForward<Scalar>& call, const Worker& worker) noexcept
      : call_(call),
        worker_(worker),
        batch_(call.sizes.batch),
        units_(call.sizes.units),
        panels_(Shape::panels(call.sizes)),
        padded_units_(Shape::padded_units(call.sizes)),
        rows_(call.path.unit_slices ? Share{0, batch_} : share_of(batch_, worker)),
        own_panels_(call.path.unit_slices ? share_of(panels_, worker) : Share{0, panels_}) {}

  void meet() const noexcept {
    if (call_.path.unit_slices) worker_.wait(worker_.barrier);
  }

  const Scalar* panel_weights(index panel) const noexcept {
    return call_.packed + panel * Shape::block(call_.sizes);
  }

  const Scalar* input(index row, index step) const noexcept {
    return call_.inputs.data + row * call_.inputs.row_stride + step * call_.inputs.step_stride;
  }

  Scalar* output(index row, index step) const noexcept {
    return call_.outputs.data + row * call_.outputs.row_stride +
           (step % call_.output_steps) * call_.outputs.step_stride;
  }

  const Scalar* previous_output(index row, index step) const noexcept {
    return step == 0 ? call_.initial[0] + row * units_ : output(row, step - 1);
  }

  Scalar* operand(index row, index step) const noexcept {
    return call_.operand + ((step % call_.operand_slots) * batch_ + row) * units_;
  }

  Scalar* accumulators(index panel, index slot, index row) const noexcept {
    return call_.accumulators + ((panel * call_.path.chunk_steps + slot) * batch_ + row) * Shape::kWidth;
  }

  Scalar* kept(index panel, index row, index step) const noexcept {
    return call_.kept + (((step % call_.kept_slots) * panels_ + panel) * batch_ + row) * Shape::kKeptWidth;
  }

  Scalar* state(int which, index row, index slot) const noexcept {
    return call_.states[which] + ((call_.state_slots == 1 ? 0 : slot) * batch_ + row) * padded_units_;
  }

  /// The input product of steps [begin, end): accumulators = bias + x W. A tile may span rows of several
  /// steps.
  void project(index begin, index end) const noexcept {
    const index width = rows_.end - rows_.begin;
    for (index panel = own_panels_.begin; panel < own_panels_.end; ++panel) {
      const RowTiles tiles = row_tiles(0, (end - begin) * width, Shape::kRows);
      index first = 0;
      for (index tile = 0; tile < tiles.count; ++tile) {
        const index count = tiles.quotient + (tile < tiles.remainder);
        with_rows<Shape::kRows>(count, [&](auto rows) {
          constexpr int kRows = decltype(rows)::value;
          const Scalar* x[kRows];
          Scalar* target[kRows];
          for (int i = 0; i < kRows; ++i) {
            const index step = (first + i) / width;
            const index row = rows_.begin + (first + i) % width;
            x[i] = input(row, begin + step);
            target[i] = accumulators(panel, step, row);
          }
          project_tile<kRows>(panel_weights(panel), x, target);
        });
        first += count;
      }
    }
  }

  template <int kRows>
  TIMELOOM_NOINLINE void project_tile(const Scalar* weights, const Scalar* const (&x)[kRows],
                                      Scalar* const (&target)[kRows]) const noexcept {
    V acc[kRows][Shape::kVectors];
    start_from_bias<kRows, 0, Shape::kVectors>(acc, weights);
    multiply_add<kRows, Shape::kInputBegin, Shape::kInputEnd>(acc, x, weights + Shape::input_offset(),
                                                              Shape::kInputWidth, call_.sizes.features);
    store_accumulators<kRows, 0, Shape::kVectors>(acc, target);
  }

  /// The sums of one tile of one step over units [begin, end): into `sums` [rows, width] after the last
  /// block, else stored for the next one.
  template <int kPhase, int kRows>
  TIMELOOM_NOINLINE void step_tile(index panel, index step, index slot, index first, index begin, index end,
                                   Scalar* sums) const noexcept {
    constexpr int kBegin = Shape::phase_begin(kPhase);
    constexpr int kEnd = Shape::phase_end(kPhase);
    constexpr int kInputBegin = Shape::kInputBegin > kBegin ? Shape::kInputBegin : kBegin;
    constexpr int kInputEnd = Shape::kInputEnd < kEnd ? Shape::kInputEnd : kEnd;
    const Scalar* weights = panel_weights(panel);
    const Scalar* left[kRows];
    V acc[kRows][Shape::kVectors];
    if (begin > 0 || call_.path.separate) {
      for (int i = 0; i < kRows; ++i) {
        const Scalar* source = accumulators(panel, slot, first + i);
        TIMELOOM_UNROLL
        for (int v = kBegin; v < kEnd; ++v) acc[i][v] = V::load(source + v * V::kLanes);
      }
    } else {
      start_from_bias<kRows, kBegin, kEnd>(acc, weights);
      for (int i = 0; i < kRows; ++i) left[i] = input(first + i, step);
      multiply_add<kRows, kInputBegin, kInputEnd>(
          acc, left, weights + Shape::input_offset() + (kInputBegin - Shape::kInputBegin) * V::kLanes,
          Shape::kInputWidth, call_.sizes.features);
    }
    for (int i = 0; i < kRows; ++i) {
      left[i] = (kPhase == 0 ? previous_output(first + i, step) : operand(first + i, step)) + begin;
    }
    multiply_add<kRows, Shape::state_begin(kPhase), Shape::state_end(kPhase)>(
        acc, left, weights + Shape::state_offset(call_.sizes, kPhase) + begin * Shape::state_width(kPhase),
        Shape::state_width(kPhase), end - begin);
    Scalar* target[kRows];
    for (int i = 0; i < kRows; ++i) {
      target[i] = end == units_ ? sums + i * Shape::kWidth : accumulators(panel, slot, first + i);
    }
    store_accumulators<kRows, kBegin, kEnd>(acc, target);
  }

  template <int kRows, int kBegin, int kEnd>
  TIMELOOM_INLINE static void start_from_bias(V (&acc)[kRows][Shape::kVectors], const Scalar* bias) noexcept {
    TIMELOOM_UNROLL
    for (int v = kBegin; v < kEnd; ++v) {
      const V start = V::load(bias + v * V::kLanes);
      TIMELOOM_UNROLL
      for (int i = 0; i < kRows; ++i) acc[i][v] = start;
    }
  }

  template <int kRows, int kBegin, int kEnd>
  TIMELOOM_INLINE static void store_accumulators(const V (&acc)[kRows][Shape::kVectors],
                                                 Scalar* const (&target)[kRows]) noexcept {
    TIMELOOM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      TIMELOOM_UNROLL
      for (int v = kBegin; v < kEnd; ++v) acc[i][v].store(target[i] + v * V::kLanes);
    }
  }

  const RnnForward<Scalar>& call_;
  const Worker& worker_;
  const index batch_;
  const index units_;
  const index panels_;
  const index padded_units_;
  const Share rows_;
  const Share own_panels_;
};

/// The whole pass for one pair of activations.
template <class Cell, class V, class Pair>
class ForwardPass : ForwardProducts<Cell, V> {
  using Base = ForwardProducts<Cell, V>;
  using Base::call_, Base::rows_, Base::own_panels_, Base::units_;
  using Base::kept, Base::meet, Base::operand, Base::output, Base::previous_output, Base::project,
      Base::state;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  ForwardPass(const RnnForward<Scalar>& call, const Pair& pair, const Worker& worker) noexcept
      : Base(call, worker), pair_(pair) {}

  void run() noexcept {
    const index chunk_steps = call_.path.chunk_steps;
    for (index begin = 0; begin < call_.sizes.steps; begin += chunk_steps) {
      const index end = begin + chunk_steps < call_.sizes.steps ? begin + chunk_steps : call_.sizes.steps;
      if (call_.path.separate) project(begin, end);
      for (index step = begin; step < end; ++step) {
        multiply_phase<0>(step, step - begin);
        meet();
        if constexpr (Shape::kPhases == 2) {
          multiply_phase<1>(step, step - begin);
          meet();
        }
      }
    }
  }

 private:
  /// One product of one step for the own rows and panels, and the cell on its sums.
  template <int kPhase>
  void multiply_phase(index step, index slot) noexcept {
    const index block = call_.path.state_block;
    Scalar sums[Shape::kRows * Shape::kWidth];
    for (index panel = own_panels_.begin; panel < own_panels_.end; ++panel) {
      for (index begin = 0; begin == 0 || begin < units_; begin += block) {
        const index end = begin + block < units_ ? begin + block : units_;
        const RowTiles tiles = row_tiles(rows_.begin, rows_.end, Shape::kRows);
        index first = tiles.first;
        for (index tile = 0; tile < tiles.count; ++tile) {
          const index count = tiles.quotient + (tile < tiles.remainder);
          with_rows<Shape::kRows>(count, [&](auto rows) {
            this->template step_tile<kPhase, decltype(rows)::value>(panel, step, slot, first, begin, end,
                                                                    sums);
          });
          if (end == units_) finish<kPhase>(panel, step, first, static_cast<int>(count), sums);
          first += count;
        }
      }
    }
  }

  /// The cell on the sums of a tile [rows, width], hot in L1.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish(index panel, index step, index first, int rows, const Scalar* sums) noexcept {
    for (int i = 0; i < rows; ++i) {
      const index row = first + i;
      const Scalar* before = previous_output(row, step);
      for (int tile = 0; tile < Shape::kTiles; ++tile) {
        const index unit = panel * Shape::kUnits + tile * V::kLanes;
        const index count = units_ - unit;
        V sum[kMaxAccumulators], old[kMaxStates], next[kMaxStates], keep[kMaxAccumulators];
        TIMELOOM_UNROLL
        for (int a = 0; a < Shape::kAccumulators; ++a) {
          sum[a] = V::load(sums + i * Shape::kWidth + (a * Shape::kTiles + tile) * V::kLanes);
        }
        old[0] = load_lanes<V>(before + unit, count);
        TIMELOOM_UNROLL
        for (int which = 1; which < Cell::kInfo.states; ++which)
          old[which] = V::load(state(which, row, step) + unit);
        if constexpr (Shape::kPhases == 2) {
          if constexpr (kPhase == 0) {
            V second;
            TIMELOOM_UNROLL
            for (int value = 0; value < Cell::kInfo.kept; ++value) keep[value] = V::zero();
            Cell::operand(pair_, sum, old, keep, &second);
            store_kept(panel, row, step, tile, keep);
            store_lanes(second, operand(row, step) + unit, count);
            continue;
          }
          load_kept(panel, row, step, tile, keep);
        }
        Cell::forward(pair_, sum, old, next, keep);
        store_lanes(next[0], output(row, step) + unit, count);
        TIMELOOM_UNROLL
        for (int which = 1; which < Cell::kInfo.states; ++which)
          next[which].store(state(which, row, step + 1) + unit);
        if (call_.kept) store_kept(panel, row, step, tile, keep);
      }
    }
  }

  void store_kept(index panel, index row, index step, int tile, const V* keep) noexcept {
    Scalar* target = kept(panel, row, step) + tile * V::kLanes;
    TIMELOOM_UNROLL
    for (int value = 0; value < Cell::kInfo.kept; ++value) keep[value].store(target + value * Shape::kUnits);
  }

  void load_kept(index panel, index row, index step, int tile, V* keep) noexcept {
    const Scalar* source = kept(panel, row, step) + tile * V::kLanes;
    TIMELOOM_UNROLL
    for (int value = 0; value < Cell::kInfo.kept; ++value)
      keep[value] = V::load(source + value * Shape::kUnits);
  }

  const Pair& pair_;
};

template <class Cell, class V>
void rnn_forward(const RnnForward<typename V::scalar>& call, const Worker& worker) noexcept {
  using Default = FixedPair<Cell::kInfo.activation, Cell::kInfo.recurrent_activation>;
  if (call.activation == Cell::kInfo.activation &&
      call.recurrent_activation == Cell::kInfo.recurrent_activation) {
    ForwardPass<Cell, V, Default>(call, Default{}, worker).run();
  } else {
    const ChosenPair pair{call.activation, call.recurrent_activation};
    ForwardPass<Cell, V, ChosenPair>(call, pair, worker).run();
  }
}
