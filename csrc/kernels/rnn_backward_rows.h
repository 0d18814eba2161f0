// What the passes backward know of rows beside RnnRows: the gradients of their states and sums, and the
// operands of the weight gradients, gathered chunk by chunk.
#pragma once

#include "kernels/rnn_rows.h"

template <class Cell, class V>
class BackwardRows : protected RnnRows<Cell, V> {
 protected:
  using Rows = RnnRows<Cell, V>;
  using Rows::batch_, Rows::features_, Rows::panels_, Rows::padded_units_, Rows::state_width_, Rows::units_;
  using Rows::input, Rows::own_rows, Rows::share_items;
  using Rows::input_distance_, Rows::input_operands_, Rows::state_distance_, Rows::state_operands_;
  using Rows::kPanelsOfGates, Rows::kPanelsOfRow;
  using Rows::own_, Rows::shared_, Rows::step_begin_, Rows::worker_;
  using typename Rows::Gates;
  using typename Rows::Scalar;
  using typename Rows::Shape;

  BackwardRows(const RnnBackward<Scalar>& backward, const Worker& worker) noexcept
      : Rows(backward.call, {backward.strand.first, backward.strand.distance, backward.strand.end}, worker),
        backward_(backward),
        strand_(backward.strand),
        panel_stride_(shared_.plan.chunk_rows * Shape::kWidth),
        row_stride_(shared_.path.by_gate ? Gates::kUnits : Shape::kWidth) {}

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
    return backward_.states[which] + this->state_row(row, slot) * state_width_;
  }

  Scalar* d_state(int which, index row) const noexcept {
    return backward_.d_states[which] + this->row_place(row) * padded_units_;
  }

  /// Gradients of the sums of a panel, row `at` of the chunk: accumulator a lies a * gradient_distance
  /// further. They are ordered [panel][row][accumulator][units of a panel], or, where each gate has operands
  /// of its own, [gate panel][accumulator][row][4 L].
  Scalar* d_sums_of_chunk(index panel, index at) const noexcept {
    if (shared_.path.by_gate) {
      return backward_.d_accumulators + d_gate_offset(panel / kPanelsOfGates, 0, at) +
             panel % kPanelsOfGates * Shape::kUnits;
    }
    return backward_.d_accumulators + panel * panel_stride_ + at * Shape::kWidth;
  }
  Scalar* d_sums(index panel, index row, index step) const noexcept {
    return d_sums_of_chunk(panel, chunk_row(row, step));
  }
  /// Elements between the accumulators of the panel that begins with this unit.
  TIMELOOM_INLINE index gradient_distance(index unit) const noexcept {
    return shared_.path.by_gate ? shared_.plan.chunk_rows * Gates::kUnits
                                : Shape::gradient_distance(units_ - unit);
  }
  /// Where those of the accumulator that vector `kBegin` of the sums belongs to begin in a panel.
  template <int kBegin>
  TIMELOOM_INLINE index first_sum(index panel) const noexcept {
    return kBegin / Shape::kTiles * Shape::gradient_distance(units_ - panel * Shape::kUnits);
  }
  index d_gate_offset(index gate_panel, int accumulator, index at) const noexcept {
    return ((gate_panel * Gates::kAccumulators + accumulator) * shared_.plan.chunk_rows + at) * Gates::kUnits;
  }

  /// Packed rows of the strand before a step.
  index strand_rows(index step) const noexcept {
    return strand_.row_begin ? strand_.row_begin[step] : step * (strand_.end - strand_.first);
  }
  /// Which row of the chunk at hand a row of a step is.
  TIMELOOM_INLINE index chunk_row(index row, index step) const noexcept {
    const index place = row - strand_.first;
    return strand_rows(step) - chunk_first_ + (step_begin_ ? place / strand_.distance : place);
  }

  /// The upstream gradients of a step: of a row, or null if there are none, as before the first step.
  struct Upstream {
    const Scalar* data;
    index distance;
    const index* place_of_row;  // where rows lie anywhere

    TIMELOOM_INLINE const Scalar* of(index row) const noexcept {
      if (!data) return nullptr;
      return data + (place_of_row ? place_of_row[row] : row) * distance;
    }
  };

  /// Rows of the chunk from an own row of a step to the next.
  index chunk_stride() const noexcept { return own_.stride / strand_.distance; }

  Upstream upstream(index step) const noexcept {
    const SequenceView<const Scalar>& view = backward_.d_outputs;
    if (!view.data || step < 0) return {nullptr, 0, nullptr};
    if (step_begin_) return {view.data, units_, shared_.plan.output_row + step_begin_[step]};
    return {view.data + step * view.step_stride, view.row_stride, nullptr};
  }

  /// Calls function(columns) for groups of panels of columns of the product with the state's weights, and of
  /// the units behind them: for all at once, or for those that fall to this worker where units are divided.
  template <class Function>
  TIMELOOM_INLINE void for_columns(bool from_end, Function&& function) const noexcept {
    const index columns = Shape::column_panels(units_);
    const index groups = shared_.path.unit_slices ? column_groups(columns) : 1;
    share_items(groups, {batch_ == 1, from_end},
                [&](index group) { function(part_of(columns, group, groups)); });
  }

  /// As many as there are, but wide enough for gathering (multiply_blocks) and, if no worker goes without,
  /// for a tile of one row.
  index column_groups(index columns) const noexcept {
    const index pairs = (columns + kPanelsOfRow - 1) / kPanelsOfRow;
    if (batch_ == 1) return pairs < worker_.count ? columns : pairs;
    const bool gathers = !shared_.path.by_gate && columns >= worker_.count * Shape::kGatheredColumns;
    return gathers ? worker_.count : columns;
  }

  /// Calls function(panel, row) for own rows [first, last) at the units of these columns.
  template <class Function>
  TIMELOOM_INLINE void for_units(Share columns, index first, index last, Function&& function) const noexcept {
    const Share panels = panels_of(columns);
    for (index panel = panels.begin; panel < panels.end; ++panel) {
      for (index k = first; k < last; ++k) function(panel, own_.row(k));
    }
  }
  Share panels_of(Share columns) const noexcept {
    constexpr index kPanels = Shape::kColumns / Shape::kUnits;
    return {columns.begin * kPanels, columns.end * kPanels < panels_ ? columns.end * kPanels : panels_};
  }

  /// For the rows that end with this step: d h = gradient of the final state + upstream gradient.
  void add_upstream(Share columns, index step) noexcept {
    const index later = step + 1 < shared_.sizes.steps ? own_rows(step + 1) : 0;
    const Upstream from_above = upstream(step);
    if (!from_above.data) return;
    for_units(columns, later, own_rows(step), [&](index panel, index row) {
      const Scalar* source = from_above.of(row);
      Scalar* target = d_state(0, row);
      for (int tile = 0; tile < Shape::kTiles; ++tile) {
        const index unit = panel * Shape::kUnits + tile * V::kLanes;
        (V::load(target + unit) + load_lanes<V>(source + unit, units_ - unit)).store(target + unit);
      }
    });
  }

  void open_chunk(index chunk) noexcept {
    chunk_first_ = strand_rows(shared_.plan.chunk_begin[chunk]);
    count_ = strand_rows(shared_.plan.chunk_begin[chunk + 1]) - chunk_first_;
    fresh_ = chunk + 1 == shared_.plan.chunks;
  }

  /// The left operands of the weight gradients of a chunk, and where their rows come from.
  void gather_rows(index chunk) noexcept {
    const bool as_they_are = !step_begin_ && !shared_.input_dropout && !shared_.recurrent_dropout;
    this->for_steps(shared_.plan.chunk_begin[chunk], shared_.plan.chunk_begin[chunk + 1], [&](index step) {
      const index count = own_rows(step);
      if (count == 0) return;
      if (as_they_are) {
        gather_side_by_side(step, count);
      } else {
        for (index k = 0; k < count; ++k) gather_row(own_.row(k), step);
      }
      if constexpr (Shape::kPhases == 2) {
        for (index k = 0; k < count; ++k) {
          const index row = own_.row(k);
          copy_row<V>(backward_.operand_rows + chunk_row(row, step) * state_distance_,
                      backward_.operand + this->packed_place(row, step) * state_distance_, units_);
        }
      }
    });
  }

  index& input_place(index at) const noexcept { return backward_.sources[at]; }
  index& row_at(index at) const noexcept { return backward_.sources[shared_.plan.chunk_rows + at]; }
  Scalar* d_input(index at) const noexcept { return backward_.d_inputs + input_place(at); }

  Scalar* input_rows(int operand) const noexcept {
    return backward_.input_rows + operand * shared_.plan.chunk_rows * input_distance_;
  }
  Scalar* state_rows(int operand) const noexcept {
    return backward_.state_rows + operand * shared_.plan.chunk_rows * state_distance_;
  }

  const RnnBackward<Scalar>& backward_;
  const Strand& strand_;
  const index panel_stride_;
  const index row_stride_;
  index chunk_first_ = 0;  // the first packed row of the chunk at hand, among those of the strand
  index count_ = 0;        // packed rows of that chunk
  bool fresh_ = false;     // it is the first that is walked: nothing has been added to the gradients

 private:
  void gather_row(index row, index step) const noexcept {
    const index at = chunk_row(row, step);
    const Scalar* source = input(row, step);
    input_place(at) = source - shared_.inputs.data;
    if (shared_.input_dropout) row_at(at) = row;
    for (int operand = 0; operand < input_operands_; ++operand) {
      take_row<V>(input_rows(operand) + at * input_distance_, source, this->input_factors(operand, row),
                  features_);
    }
    for (int operand = 0; operand < state_operands_; ++operand) {
      take_row<V>(state_rows(operand) + at * state_distance_, previous_output(row, step),
                  this->state_factors(operand, row), units_);
    }
  }

  /// All own rows of a step of a dense batch without dropout: each lies as far from the one before it.
  void gather_side_by_side(index step, index count) const noexcept {
    const index first = own_.row(0);
    const index at = chunk_row(first, step);
    const index ahead = own_.stride;
    const Scalar* source = input(first, step);
    const index distance = ahead * shared_.inputs.row_stride;
    index place = source - shared_.inputs.data;
    for (index k = 0; k < count; ++k, place += distance) {
      input_place(at + k * ahead) = place;
    }
    copy_rows<V>(input_rows(0) + at * input_distance_, ahead * input_distance_, source, distance, count,
                 features_);
    copy_rows<V>(state_rows(0) + at * state_distance_, ahead * state_distance_, previous_output(first, step),
                 ahead * (step == 0 ? units_ : backward_.outputs.row_stride), count, units_);
  }
};
