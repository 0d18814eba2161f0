// The time loop forward. Knows no cell by name: the products make the sums of a tile, Cell::forward turns
// them into states.
#pragma once

#include "kernels/rnn_forward_products.h"
#include "kernels/rnn_pair.h"

/// The whole pass for one pair of activations.
template <class Cell, class V, class Pair>
class ForwardPass : ForwardProducts<Cell, V> {
  using Base = ForwardProducts<Cell, V>;
  using Base::forward_, Base::shared_, Base::own_, Base::own_panels_, Base::units_;
  using Base::kept, Base::meet, Base::operand, Base::output, Base::own_rows, Base::previous_output,
      Base::state;
  using Base::kGateRows, Base::kPanelsOfGates, Base::kPanelsOfRow, Base::own_gate_panels_;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  ForwardPass(const RnnForward<Scalar>& forward, const Pair& pair, const Worker& worker) noexcept
      : Base(forward, worker), pair_(pair) {}

  void run() noexcept {
    const SequencePlan& plan = shared_.plan;
    if (plan.chunks > 0) this->gather_initial();
    for (index chunk = 0; chunk < plan.chunks; ++chunk) {
      const index begin = plan.chunk_begin[chunk];
      const index end = plan.chunk_begin[chunk + 1];
      this->chunk_first_ = this->first_row(begin);
      // Rows of unequal lengths: where a row of this chunk has its place, another one of the last chunk had
      // it.
      const bool has_places = forward_.input_rows || forward_.accumulators;
      if (this->step_begin_ && has_places && chunk > 0) this->worker_.wait(this->worker_.barrier);
      if (forward_.input_rows) this->gather_inputs(begin, end);
      if (shared_.path.separate) this->project(begin, end);
      for (index step = begin; step < end; ++step) {
        multiply_phase<0>(step);
        meet();
        if constexpr (Shape::kPhases == 2) {
          multiply_phase<1>(step);
          meet();
        }
      }
    }
  }

 private:
  /// One product of one step for the own rows and panels, and the cell on its sums.
  template <int kPhase>
  void multiply_phase(index step) noexcept {
    if (shared_.path.by_gate) {
      multiply_gates<kPhase>(step);
      return;
    }
    const index block = shared_.path.state_block;
    if (own_rows(step) == 1) {
      multiply_row<kPhase>(step);
      return;
    }
    Scalar sums[Shape::kRows * Shape::kWidth];
    for (index panel = own_panels_.begin; panel < own_panels_.end; ++panel) {
      for (index begin = 0; begin == 0 || begin < units_; begin += block) {
        const index end = begin + block < units_ ? begin + block : units_;
        for_row_tiles<Shape::kRows>(own_rows(step), [&](auto rows, index first) {
          constexpr int kRows = decltype(rows)::value;
          this->template step_tile<kPhase, kRows>(panel, step, first, begin, end, sums);
          if (end == units_) finish<kPhase>(panel, step, first, kRows, sums);
        });
      }
    }
  }

  /// The same for a row alone: panels side by side. It is bound by reading the weights, so every other step
  /// begins with those that the one before read last and that are still near.
  template <int kPhase>
  void multiply_row(index step) noexcept {
    const index block = shared_.path.state_block;
    const bool back = step & 1;
    Scalar sums[kPanelsOfRow * Shape::kWidth];
    this->expect_state(step);
    for_row_tiles<kPanelsOfRow>(own_panels_.end - own_panels_.begin, [&](auto panels, index at) {
      constexpr int kPanels = decltype(panels)::value;
      const index panel = back ? own_panels_.end - kPanels - at : own_panels_.begin + at;
      for (index begin = 0; begin == 0 || begin < units_; begin += block) {
        const index end = begin + block < units_ ? begin + block : units_;
        this->template step_tile<kPhase, 1, kPanels>(panel, step, 0, begin, end, sums);
      }
      this->expect_panels(back ? panel - kPanelsOfRow : panel + kPanels, step);
      for (int p = 0; p < kPanels; ++p) finish<kPhase>(panel + p, step, 0, 1, sums + p * Shape::kWidth);
    });
  }

  /// The same, accumulator by accumulator.
  template <int kPhase>
  void multiply_gates(index step) noexcept {
    constexpr int kBegin = Shape::phase_begin(kPhase) / Shape::kTiles;
    constexpr int kEnd = Shape::phase_end(kPhase) / Shape::kTiles;
    const index block = shared_.path.state_block;
    Scalar sums[kPanelsOfGates * kGateRows * Shape::kWidth];
    for (index gates = own_gate_panels_.begin; gates < own_gate_panels_.end; ++gates) {
      for (index begin = 0; begin == 0 || begin < units_; begin += block) {
        const index end = begin + block < units_ ? begin + block : units_;
        for_row_tiles<kGateRows>(own_rows(step), [&](auto rows, index first) {
          constexpr int kRows = decltype(rows)::value;
          for (int a = kBegin; a < kEnd; ++a) {
            this->template gate_tile<kPhase, kRows>(a, gates, step, first, begin, end, sums);
          }
          for (int i = 0; end == units_ && i < kPanelsOfGates; ++i) {
            const index panel = gates * kPanelsOfGates + i;
            if (panel * Shape::kUnits >= units_) break;
            finish<kPhase>(panel, step, first, kRows, sums + i * kGateRows * Shape::kWidth);
          }
        });
      }
    }
  }

  /// The cell on the sums of a tile [rows, width], hot in L1.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish(index panel, index step, index first, int rows, const Scalar* sums) noexcept {
    for (int i = 0; i < rows; ++i) {
      const index row = own_.row(first + i);
      const Scalar* before = previous_output(row, step);
      Scalar* after = output(row, step);
      Scalar* gathered = this->gathered_state(0, row, step + 1);
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
            if (shared_.recurrent_dropout) second = second * factors(second_gate(), row, unit);
            store_lanes(second, operand(row, step) + unit, count);
            continue;
          }
          load_kept(panel, row, step, tile, keep);
        }
        Cell::forward(pair_, sum, old, next, keep);
        if (forward_.kept) store_kept(panel, row, step, tile, keep);
        if (shared_.zoned) zone_out(row, step, unit, old, next);
        store_lanes(next[0], after + unit, count);
        TIMELOOM_UNROLL
        for (int which = 1; which < Cell::kInfo.states; ++which)
          next[which].store(state(which, row, step + 1) + unit);
        if (shared_.recurrent_dropout) {
          drop_state(row, step + 1, unit, next[0]);
        } else {
          store_lanes(next[0], gathered + unit, count);
        }
      }
    }
  }

  /// next = z old + (1 - z) next: exactly one of the two where z is 1 or 0.
  void zone_out(index row, index step, index unit, const V* old, V* next) const noexcept {
    TIMELOOM_UNROLL
    for (int which = 0; which < Cell::kInfo.states; ++which) {
      if (!this->zones(which)) continue;
      const V part = this->zoneout(which, row, step, unit);
      next[which] = fma(part, old[which], (V::broadcast(1) - part) * next[which]);
    }
  }

  static constexpr int second_gate() noexcept { return Cell::kInfo.state_gate[Cell::kInfo.state[1].begin]; }

  V factors(int gate, index row, index unit) const noexcept {
    return load_lanes<V>(this->state_factors(gate, row) + unit, units_ - unit);
  }

  /// What the products of the next step take of this state, gate by gate.
  void drop_state(index row, index step, index unit, const V& next) const noexcept {
    for (int gate = 0; gate < Cell::kInfo.state_gates; ++gate) {
      store_lanes(next * factors(gate, row, unit), this->gathered_state(gate, row, step) + unit,
                  units_ - unit);
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
void rnn_forward(const RnnForward<typename V::scalar>& forward, const Worker& worker) noexcept {
  with_pair<Cell>(forward.call.activation, forward.call.recurrent_activation,
                  [&](auto pair) { ForwardPass<Cell, V, decltype(pair)>(forward, pair, worker).run(); });
}
