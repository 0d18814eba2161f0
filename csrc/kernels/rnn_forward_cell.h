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

  /// The cell on the sums [rows, width] of `rows` own rows of a panel, which it overwrites. What waits for an
  /// activation of another is a second part: one row after the other leaves a core idle meanwhile.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish(index panel, index step, index first, index rows, Scalar* sums) noexcept {
    static_assert(Shape::kPhases == 1 || Cell::kWaiting == 0, "two phases are two parts enough");
    this->for_halves(first, rows, [&](index begin, index count) {
      Scalar* const own_sums = sums + (begin - first) * Shape::kWidth;
      if constexpr (Cell::kWaiting > 0) do_part<kPhase, true>(panel, step, begin, count, own_sums);
      do_part<kPhase, false>(panel, step, begin, count, own_sums);
    });
  }

  /// The same on the sums [2, width] of two panels of the first own row.
  template <int kPhase>
  TIMELOOM_NOINLINE void finish_two_panels(index panel, index step, Scalar* sums) noexcept {
    const Place at[] = {place(panel, own_.row(0), step), place(panel + 1, own_.row(0), step)};
    if constexpr (Cell::kWaiting > 0) begin_places<Twin<V>>(at, step, sums, wishes());
    finish_places<kPhase, Twin<V>>(at, step, sums, wishes());
  }

 private:
  /// What a call asks of the cell beside its states.
  struct Wishes {
    bool keeps;
    bool zoned;
    bool dropout;
  };

  Wishes wishes() const noexcept {
    return {forward_.kept != nullptr, shared_.zoned, shared_.recurrent_dropout != nullptr};
  }

  /// Elements from a row to another.
  struct Distances {
    index row;
    index output;
    index old_output;
    index gathered;
    index kept;
    index state;
  };

  TIMELOOM_INLINE Distances distances(index rows, index step) const noexcept {
    const index output = forward_.outputs.row_stride;
    return {rows,
            rows * output,
            rows * (step == 0 ? units_ : output),
            rows * this->state_distance_,
            rows * Shape::kKeptWidth,
            rows * this->state_width_};
  }

  /// One part of the cell: two rows side by side, and one if it is left. What lies as far from row to row all
  /// along is not computed anew for each.
  template <int kPhase, bool kFirst>
  TIMELOOM_INLINE void do_part(index panel, index step, index first, index rows,
                               Scalar* sums) const noexcept {
    const Wishes wishes = this->wishes();
    const bool scattered = this->step_begin_;  // rows of outputs lie anywhere
    const Distances next = distances(2 * own_.stride, step);
    const index last = own_.row(first + rows - 1);
    Place at[2];
    at[0] = place(panel, own_.row(first), step);
    at[1] = rows > 1 ? place(panel, own_.row(first + 1), step) : at[0];
    index done = 0;
    for (; done + 2 <= rows; done += 2) {
      do_places<kPhase, kFirst, Twin<V>>(at, step, sums + done * Shape::kWidth, wishes);
      TIMELOOM_UNROLL
      for (int part = 0; part < 2; ++part) {
        Place& here = at[part];
        here.row += next.row;
        here.gathered += next.gathered;
        if (here.kept) here.kept += next.kept;
        TIMELOOM_UNROLL
        for (int which = 1; which < Cell::kInfo.states; ++which) {
          here.old_states[which] += next.state;
          here.states[which] += next.state;
        }
        if (!scattered) {
          here.output += next.output;
          here.old_output += next.old_output;
        } else if (here.row <= last) {
          here.output = output(here.row, step) + here.unit;
          here.old_output = previous_output(here.row, step) + here.unit;
        }
      }
    }
    if (done < rows) do_places<kPhase, kFirst, V>(at, step, sums + done * Shape::kWidth, wishes);
  }

  template <int kPhase, bool kFirst, class W>
  TIMELOOM_INLINE void do_places(const Place (&at)[2], index step, Scalar* sums,
                                 Wishes wishes) const noexcept {
    if constexpr (kFirst) {
      begin_places<W>(at, step, sums, wishes);
    } else {
      finish_places<kPhase, W>(at, step, sums, wishes);
    }
  }

  /// The first part, on as many places as a W has parts: sums become what the second part takes. Lanes past
  /// the last unit may hold anything, as sums of another accumulator may lie there: so does the padding of
  /// what is kept and of states.
  template <class W>
  TIMELOOM_INLINE void begin_places(const Place* at, index step, Scalar* sums, Wishes wishes) const noexcept {
    static_assert(Cell::kWaiting <= Shape::kAccumulators, "what waits takes the place of the sums");
    const index units = Shape::computed_units(at->count);
    for (index offset = 0; offset < units; offset += V::kLanes) {
      W sum[kMaxAccumulators], old[kMaxStates], next[kMaxStates], keep[kMaxAccumulators];
      W waiting[kMaxAccumulators];
      load_values<Shape::kAccumulators>(sums + offset, sum);
      load_old(at, offset, old);
      Cell::gates(pair_, sum, old, next, keep, waiting);
      if (wishes.keeps) store_kept<0, Cell::kKeptFirst>(at, offset, keep);
      TIMELOOM_UNROLL
      for (int value = 0; value < Cell::kWaiting; ++value) {
        for_parts(waiting[value], [&](int part, V vector) {
          vector.store(sums + part * Shape::kWidth + value * Shape::kUnits + offset);
        });
      }
      TIMELOOM_UNROLL
      for (int which = 1; which < Cell::kInfo.states; ++which) {
        if (wishes.zoned) zone_out(at, step, offset, which, next[which]);
        for_parts(next[which], [&](int part, V value) { value.store(at[part].states[which] + offset); });
      }
    }
  }

  /// The second part, or all of a cell that has but one.
  template <int kPhase, class W>
  TIMELOOM_INLINE void finish_places(const Place* at, index step, const Scalar* values,
                                     Wishes wishes) const noexcept {
    static_assert(Cell::kInfo.states == 1 || Cell::kWaiting > 0, "the first part stores all states but one");
    const index units = Shape::computed_units(at->count);
    for (index offset = 0; offset < units; offset += V::kLanes) {
      W value[kMaxAccumulators], next[kMaxStates], keep[kMaxAccumulators];
      load_values<(Cell::kWaiting > 0 ? Cell::kWaiting : Shape::kAccumulators)>(values + offset, value);
      const W old[1] = {
          load_old_output<W>(at, offset)};  // the first part has put new ones in place of the others
      if constexpr (Shape::kPhases == 2) {
        if constexpr (kPhase == 0) {
          W second;
          TIMELOOM_UNROLL
          for (int k = 0; k < Cell::kInfo.kept; ++k) keep[k] = W::zero();
          Cell::operand(pair_, value, old, keep, &second);
          store_kept<0, Cell::kInfo.kept>(at, offset, keep);
          for_parts(second, [&](int part, V vector) { store_operand(at[part], step, offset, vector); });
          continue;
        }
        TIMELOOM_UNROLL
        for (int k = 0; k < Cell::kInfo.kept; ++k) {
          keep[k] =
              from_parts<W>([&](int part) { return V::load(at[part].kept + k * Shape::kUnits + offset); });
        }
      }
      Cell::forward(pair_, value, old, next, keep);
      if (wishes.keeps) store_kept<Cell::kKeptFirst, Cell::kInfo.kept>(at, offset, keep);
      if (wishes.zoned) zone_out(at, step, offset, 0, next[0]);
      for_parts(next[0], [&](int part, V vector) {
        const index count = at[part].count - offset;
        store_lanes(vector, at[part].output + offset, count);
        if (!wishes.dropout) store_lanes(vector, at[part].gathered + offset, count);
      });
    }
    if (wishes.dropout && kPhase + 1 == Shape::kPhases) {
      for (int part = 0; part < Parts<W>::kCount; ++part) drop_state(at[part], step);
    }
  }

  template <int kCount, class W>
  TIMELOOM_INLINE static void load_values(const Scalar* source, W* values) noexcept {
    TIMELOOM_UNROLL
    for (int k = 0; k < kCount; ++k) {
      values[k] =
          from_parts<W>([&](int part) { return V::load(source + part * Shape::kWidth + k * Shape::kUnits); });
    }
  }

  template <class W>
  TIMELOOM_INLINE static W load_old_output(const Place* at, index offset) noexcept {
    return from_parts<W>(
        [&](int part) { return load_lanes<V>(at[part].old_output + offset, at[part].count - offset); });
  }

  template <class W>
  TIMELOOM_INLINE static void load_old(const Place* at, index offset, W* old) noexcept {
    old[0] = load_old_output<W>(at, offset);
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which) {
      old[which] = from_parts<W>([&](int part) { return V::load(at[part].old_states[which] + offset); });
    }
  }

  template <int kBegin, int kEnd, class W>
  TIMELOOM_INLINE static void store_kept(const Place* at, index offset, const W* keep) noexcept {
    TIMELOOM_UNROLL
    for (int value = kBegin; value < kEnd; ++value) {
      for_parts(keep[value],
                [&](int part, V vector) { vector.store(at[part].kept + value * Shape::kUnits + offset); });
    }
  }

  /// next = z old + (1 - z) next: exactly one of the two where z is 1 or 0.
  template <class W>
  TIMELOOM_INLINE void zone_out(const Place* at, index step, index offset, int which,
                                W& next) const noexcept {
    if (!this->zones(which)) return;
    W old[kMaxStates];  // loaded again: as a rule no cell need hold it till here
    load_old(at, offset, old);
    const W rate = from_parts<W>(
        [&](int part) { return this->zoneout(which, at[part].row, step, at[part].unit + offset); });
    next = fma(rate, old[which], (W::broadcast(1) - rate) * next);
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
