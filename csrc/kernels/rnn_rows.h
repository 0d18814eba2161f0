// Which rows a worker owns in which step, and where their data lies: what the passes forward and backward
// share. A packed row is a row of one step; the plan says how they lie in memory.
#pragma once

#include "kernels/rnn_panels.h"

/// target = source, or factors * source: `count` elements. Factors may be null.
template <class V, class Scalar = typename V::scalar>
void take_row(Scalar* target, const Scalar* source, const Scalar* factors, index count) noexcept {
  for (index at = 0; at < count; at += V::kLanes) {
    const index left = count - at;
    const V value = load_lanes<V>(source + at, left);
    store_lanes(factors ? value * load_lanes<V>(factors + at, left) : value, target + at, left);
  }
}

/// Rows base, base + stride .. below end; with a stride of -1 from base down to end, in every step.
struct RowRange {
  index base;
  index stride;
  index end;

  TIMELOOM_INLINE index count(index active) const noexcept {
    if (stride < 0) return base - end + 1;
    const index last = active < end ? active : end;
    return last <= base ? 0 : (last - base + stride - 1) / stride;
  }
  TIMELOOM_INLINE index row(index k) const noexcept { return base + k * stride; }
};

/// Batch slices own rows and meet nobody. With unit slices whoever is free takes a panel, for all rows, and
/// all meet at every step because the next one reads the states of all units. In a batch of unequal lengths a
/// slice takes every n-th row, so that all slices shrink alike. Of two slices of a dense batch the first is
/// walked from its end: what a processor fetches ahead of a core is not what the other one is writing.
template <class Cell, class V>
class RnnRows {
 protected:
  using Scalar = typename V::scalar;
  using Shape = Panel<Cell, V>;
  using Gates = GatePanel<Cell, V>;
  static constexpr int kPanelsOfGates = 4 / Shape::kTiles;  // panels in a gate panel
  static constexpr int kPanelsOfRow = 2;  // side by side in a tile of one row: chains, and streams of weights
  // The second product of a step has one operand, so one gate.
  static_assert(Cell::kInfo.phases == 1 || Cell::kInfo.state[1].end - Cell::kInfo.state[1].begin == 1,
                "a cell's second phase sums one accumulator");

  /// `rows`: those of the batch that the call is about.
  RnnRows(const RnnCall<Scalar>& call, const RowRange& rows, const Worker& worker) noexcept
      : shared_(call),
        worker_(worker),
        batch_(call.sizes.batch),
        units_(call.sizes.units),
        features_(call.sizes.features),
        panels_(Shape::panels(call.sizes)),
        padded_units_(Shape::padded_units(call.sizes)),
        split_(call.halves.split),
        places_(call.halves.places),
        state_width_(Shape::state_width(call.sizes, call.path.by_gate)),
        input_distance_(row_distance<Scalar>(call.sizes.features)),
        state_distance_(row_distance<Scalar>(call.sizes.units)),
        input_operands_(call.input_dropout ? Cell::kInfo.input_gates : 1),
        state_operands_(call.recurrent_dropout ? Cell::kInfo.state_gates : 1),
        step_begin_(call.plan.step_begin),
        sharer_(call.path.unit_slices ? worker : Worker{0, 1, worker.thread, nullptr, nullptr, nullptr}),
        own_(slice_of(rows)) {}

  RowRange slice_of(const RowRange& rows) const noexcept {
    if (shared_.path.unit_slices) return rows;
    if (step_begin_) return {rows.row(worker_.index), rows.stride * worker_.count, rows.end};
    const Share share = share_of(rows.end - rows.base, worker_);
    const RowRange up{rows.base + share.begin, 1, rows.base + share.end};
    const bool first = worker_.count > 1 ? worker_.index % 2 == 0 : rows.end < batch_;
    const bool in_a_half = up.end <= split_ || up.base >= split_;
    return first && in_a_half && up.base < up.end ? RowRange{up.end - 1, -1, up.base} : up;
  }

  /// Calls function(item) for `items` items, or for those that fall to this worker where units are divided;
  /// all are done when it returns.
  template <class Function>
  TIMELOOM_INLINE void share_items(index items, Sharing sharing, Function&& function) const noexcept {
    for_items(items, sharer_, sharing, function);
  }

  /// Calls function(step) for steps [begin, end), or for those that fall to this worker where units are
  /// divided.
  template <class Function>
  TIMELOOM_INLINE void for_steps(index begin, index end, Function&& function) const noexcept {
    constexpr index kRowsOfItem = 32;
    const index steps = 1 + (kRowsOfItem - 1) / (batch_ > 0 ? batch_ : 1);
    share_items((end - begin + steps - 1) / steps, {}, [&](index item) {
      const index first = begin + item * steps;
      for (index step = first; step < first + steps && step < end; ++step) function(step);
    });
  }

  /// Calls function(row, step) for the own rows of such steps.
  template <class Function>
  void for_rows(index begin, index end, Function&& function) const noexcept {
    for_steps(begin, end, [&](index step) {
      const index count = own_rows(step);
      for (index k = 0; k < count; ++k) function(own_.row(k), step);
    });
  }

  index first_row(index step) const noexcept { return step_begin_ ? step_begin_[step] : step * batch_; }
  index active_rows(index step) const noexcept {
    return step_begin_ ? step_begin_[step + 1] - step_begin_[step] : batch_;
  }
  index own_rows(index step) const noexcept { return own_.count(active_rows(step)); }

  /// An array laid out as the outputs of all steps.
  template <class Element>
  Element* as_outputs(const SequenceView<Element>& view, index row, index step) const noexcept {
    if (step_begin_) return view.data + shared_.plan.output_row[step_begin_[step] + row] * units_;
    return view.data + row * view.row_stride + step * view.step_stride;
  }

  const Scalar* input(index row, index step) const noexcept {
    const SequenceView<const Scalar>& inputs = shared_.inputs;
    if (step_begin_) return inputs.data + shared_.plan.input_row[step_begin_[step] + row] * features_;
    return inputs.data + row * inputs.row_stride + step * inputs.step_stride;
  }

  /// The place of a row among those of the batch.
  TIMELOOM_INLINE index row_place(index row) const noexcept {
    return row < split_ ? row : row + shared_.halves.gap;
  }

  /// Its place among the packed rows, `step` steps into a stretch of so many; half by half.
  TIMELOOM_INLINE index packed_place(index row, index step, index steps) const noexcept {
    if (step_begin_) return step_begin_[step] + row;
    if (row < split_) return step * split_ + row;
    return steps * split_ + step * (batch_ - split_) + row - split_;
  }
  index packed_place(index row, index step) const noexcept {
    return packed_place(row, step, shared_.sizes.steps);
  }

  /// The row of states 1 .. before step `slot`.
  index state_row(index row, index slot) const noexcept {
    return slot == 0 ? row_place(row) : places_ + packed_place(row, slot - 1);
  }

  /// Where the kept values of a row begin if those of every step are there.
  index kept_offset(index panel, index row, index step) const noexcept {
    const index before = row < split_ ? 0 : split_;
    const index rows = step_begin_ ? active_rows(step) : row < split_ ? split_ : batch_ - split_;
    const index first = packed_place(before, step);  // of the half in this step
    return (first * panels_ + panel * rows + row - before) * Shape::kKeptWidth;
  }

  /// Calls function(first, count) for the own rows [first, first + count), those of each half apart.
  template <class Function>
  TIMELOOM_INLINE void for_halves(index first, index count, Function&& function) const noexcept {
    const index in_first = own_.count(split_) - first;
    for (index done = 0, part; done < count; done += part) {
      part = done == 0 && in_first > 0 && in_first < count ? in_first : count - done;
      function(first + done, part);
    }
  }

  const Scalar* input_factors(int gate, index row) const noexcept {
    return shared_.input_dropout ? shared_.input_dropout + (gate * batch_ + row) * features_ : nullptr;
  }
  const Scalar* state_factors(int gate, index row) const noexcept {
    return shared_.recurrent_dropout ? shared_.recurrent_dropout + (gate * batch_ + row) * units_ : nullptr;
  }

  /// Whether a state keeps a part of its old value.
  bool zones(int which) const noexcept {
    return shared_.zoneout[which].data || shared_.zoneout_rate[which] != 0;
  }

  /// That part in a step.
  V zoneout(int which, index row, index step, index unit) const noexcept {
    if (!shared_.zoneout[which].data) return V::broadcast(shared_.zoneout_rate[which]);
    return load_lanes<V>(as_outputs(shared_.zoneout[which], row, step) + unit, units_ - unit);
  }

  const RnnCall<Scalar>& shared_;
  const Worker& worker_;
  const index batch_;
  const index units_;
  const index features_;
  const index panels_;
  const index padded_units_;
  const index split_;   // the first row of the second half
  const index places_;  // of rows of the batch
  const index state_width_;
  const index input_distance_;
  const index state_distance_;
  const int input_operands_;  // as many as gates if dropout gives each its own, else one for all
  const int state_operands_;
  const index* const step_begin_;
  const Worker sharer_;  // of items: alone with them where units are not divided
  const RowRange own_;
};
