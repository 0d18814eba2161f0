// The cell forward: the sums of a tile become states, kept values and the operands of the next products.
#pragma once

#include "kernels/rnn_forward_products.h"
#include "kernels/rnn_pair.h"

template <class Cell, class V, class Pair>
class ForwardCell : protected ForwardProducts<Cell, V> {
 protected:
  using Products = ForwardProducts<Cell, V>;
  using Products::forward_, Products::own_, Products::shared_, Products::units_;
  using Products::gathered_state, Products::kept, Products::operand, Products::output;
  using Products::previous_output, Products::state;
  using typename Products::Scalar;
  using typename Products::Shape;

  ForwardCell(const RnnForward<Scalar>& forward, const Pair& pair, const Worker& worker) noexcept
      : Products(forward, worker), pair_(pair) {}

  /// Where a row has what the cell reads and writes of a panel, from the panel's first unit on.
  struct Place {
    index row;
    index unit;
    index count;  // units from there on
    const Scalar* old_output;
    Scalar* output;
    Scalar* gathered;
    Scalar* kept;
    const Scalar* old_states[kMaxStates];
    Scalar* states[kMaxStates];
  };

  TIMELOOM_INLINE Place place(index panel, index row, index step) const noexcept {
    const index unit = panel * Shape::kUnits;
    Place at;
    at.row = row;
    at.unit = unit;
    at.count = units_ - unit;
    at.old_output = previous_output(row, step) + unit;
    at.output = output(row, step) + unit;
    at.gathered = gathered_state(0, row, step + 1) + unit;
    at.kept = forward_.kept ? kept(panel, row, step) : nullptr;
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which) {
      at.old_states[which] = state(which, row, step) + unit;
      at.states[which] = state(which, row, step + 1) + unit;
    }
    return at;
  }

  /// The cell on the sums [rows, width] of `rows` own rows of a panel, two side by side.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish(index panel, index step, index first, index rows,
                                const Scalar* sums) noexcept {
    index done = 0;
    for (; done + 2 <= rows; done += 2) {
      const index row = first + done;
      const Place at[] = {place(panel, own_.row(row), step), place(panel, own_.row(row + 1), step)};
      finish_places<kPhase, Twin<V>>(at, step, sums + done * Shape::kWidth);
    }
    if (done < rows) {
      const Place at[] = {place(panel, own_.row(first + done), step)};
      finish_places<kPhase, V>(at, step, sums + done * Shape::kWidth);
    }
  }

  /// The same on the sums [2, width] of two panels of the first own row.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish_two_panels(index panel, index step, const Scalar* sums) noexcept {
    const Place at[] = {place(panel, own_.row(0), step), place(panel + 1, own_.row(0), step)};
    finish_places<kPhase, Twin<V>>(at, step, sums);
  }

 private:
  /// The same on as many places as a W has parts.
  template <int kPhase, class W>
  TIMELOOM_INLINE void finish_places(const Place* at, index step, const Scalar* sums) const noexcept {
    const bool keeps = forward_.kept;
    const bool dropout = shared_.recurrent_dropout;
    for (index offset = 0; offset < Shape::kUnits; offset += V::kLanes) {
      W sum[kMaxAccumulators], old[kMaxStates], next[kMaxStates], keep[kMaxAccumulators];
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        sum[a] = from_parts<W>(
            [&](int part) { return V::load(sums + part * Shape::kWidth + a * Shape::kUnits + offset); });
      }
      load_old(at, offset, old);
      if constexpr (Shape::kPhases == 2) {
        if constexpr (kPhase == 0) {
          W second;
          TIMELOOM_UNROLL
          for (int value = 0; value < Cell::kInfo.kept; ++value) keep[value] = W::zero();
          Cell::operand(pair_, sum, old, keep, &second);
          store_kept(at, offset, keep);
          for_parts(second, [&](int part, V value) { store_operand(at[part], step, offset, value); });
          continue;
        }
        TIMELOOM_UNROLL
        for (int value = 0; value < Cell::kInfo.kept; ++value) {
          keep[value] = from_parts<W>(
              [&](int part) { return V::load(at[part].kept + value * Shape::kUnits + offset); });
        }
      }
      Cell::forward(pair_, sum, old, next, keep);
      if (keeps) store_kept(at, offset, keep);
      if (shared_.zoned) zone_out(at, step, offset, next);
      TIMELOOM_UNROLL
      for (int which = 1; which < Cell::kInfo.states; ++which) {
        for_parts(next[which], [&](int part, V value) { value.store(at[part].states[which] + offset); });
      }
      for_parts(next[0], [&](int part, V value) {
        const index count = at[part].count - offset;
        store_lanes(value, at[part].output + offset, count);
        if (!dropout) store_lanes(value, at[part].gathered + offset, count);
      });
    }
    if (dropout && kPhase + 1 == Shape::kPhases) {
      for (int part = 0; part < Parts<W>::kCount; ++part) drop_state(at[part], step);
    }
  }

  template <class W>
  TIMELOOM_INLINE void load_old(const Place* at, index offset, W* old) const noexcept {
    old[0] = from_parts<W>(
        [&](int part) { return load_lanes<V>(at[part].old_output + offset, at[part].count - offset); });
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which) {
      old[which] = from_parts<W>([&](int part) { return V::load(at[part].old_states[which] + offset); });
    }
  }

  template <class W>
  TIMELOOM_INLINE void store_kept(const Place* at, index offset, const W* keep) const noexcept {
    TIMELOOM_UNROLL
    for (int value = 0; value < Cell::kInfo.kept; ++value) {
      for_parts(keep[value],
                [&](int part, V vector) { vector.store(at[part].kept + value * Shape::kUnits + offset); });
    }
  }

  /// next = z old + (1 - z) next: exactly one of the two where z is 1 or 0.
  template <class W>
  TIMELOOM_INLINE void zone_out(const Place* at, index step, index offset, W* next) const noexcept {
    W old[kMaxStates];  // loaded again: as a rule no cell need hold it till here
    load_old(at, offset, old);
    TIMELOOM_UNROLL
    for (int which = 0; which < Cell::kInfo.states; ++which) {
      if (!this->zones(which)) continue;
      const W rate = from_parts<W>(
          [&](int part) { return this->zoneout(which, at[part].row, step, at[part].unit + offset); });
      next[which] = fma(rate, old[which], (W::broadcast(1) - rate) * next[which]);
    }
  }

  /// What the second product of a step takes.
  TIMELOOM_INLINE void store_operand(const Place& at, index step, index offset, V value) const noexcept {
    const index count = at.count - offset;
    if (shared_.recurrent_dropout) {
      constexpr int kGate = Cell::kInfo.state_gate[Cell::kInfo.state[1].begin];
      value = value * load_lanes<V>(this->state_factors(kGate, at.row) + at.unit + offset, count);
    }
    store_lanes(value, operand(at.row, step) + at.unit + offset, count);
  }

  /// What the products of the next step take of a new state, gate by gate.
  TIMELOOM_NOINLINE void drop_state(const Place& at, index step) const noexcept {
    for (int gate = 0; gate < Cell::kInfo.state_gates; ++gate) {
      take_row<V>(gathered_state(gate, at.row, step + 1) + at.unit, at.output,
                  this->state_factors(gate, at.row) + at.unit,
                  at.count < Shape::kUnits ? at.count : Shape::kUnits);
    }
  }

  const Pair& pair_;
};
