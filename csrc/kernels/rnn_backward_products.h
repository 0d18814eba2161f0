// What the products of backward with the transposed weights share, and those with the weights of the state:
// the gradient of the state before a step.
//
// The gradients of the sums of a chunk lie in one buffer that serves, unpacked, as left operand of these and
// of dx (rnn_input_gradient.h), and as packed right operand of the weight gradients (rnn_weight_gradients.h).
#pragma once

#include "kernels/rnn_backward_rows.h"

template <class Cell, class V>
class BackwardProducts : protected BackwardRows<Cell, V> {
 protected:
  using Rows = BackwardRows<Cell, V>;
  using Rows::backward_, Rows::fresh_;
  using Rows::BackwardRows;
  using Rows::d_gate_offset, Rows::d_state, Rows::d_sums, Rows::d_sums_of_chunk;
  using Rows::kPanelsOfRow;
  using Rows::own_, Rows::padded_units_, Rows::panel_stride_, Rows::panels_, Rows::shared_, Rows::units_;
  using Rows::own_rows;
  using Rows::upstream, Rows::worker_;
  using typename Rows::Gates;
  using typename Rows::Scalar;
  using typename Rows::Shape;
  using typename Rows::Upstream;
  static constexpr int kProductRows = tile_rows<V>(4);

  /// Phase 0: d h of step - 1 = what the cell gave it directly + upstream of step - 1 + d sums U^T.
  /// Phase 1: d operand = d sums U^T.
  template <int kPhase>
  void multiply_transposed(Share columns, index step) noexcept {
    if (own_rows(step) == 1) {
      multiply_row_transposed<kPhase>(columns, step);
      return;
    }
    const index first = this->chunk_row(own_.row(0), step);
    const index distance = this->chunk_stride();
    const Upstream above = upstream(kPhase == 0 ? step - 1 : -1);
    for_widths(columns, units_, [&](auto vectors, Share columns) {
      constexpr int kVectors = decltype(vectors)::value;
      multiply_blocks<kVectors, Shape::state_begin(kPhase), Shape::state_width(kPhase)>(
          own_rows(step), columns,
          backward_.packed_transposed + Shape::transposed_state_offset(shared_.sizes, kPhase),
          [=](index at) { return first + at * distance; },
          [=](V(&acc)[kVectors], index at, index column, bool fresh) {
            start_of_chain<kPhase>(acc, own_.row(at), step, above, column, fresh);
          },
          [=](const V(&acc)[kVectors], index at, index column) {
            Scalar* target = d_left<kPhase>(own_.row(at)) + column * Shape::kColumns;
            TIMELOOM_UNROLL
            for (int v = 0; v < kVectors; ++v) acc[v].store(target + v * V::kLanes);
          });
    });
  }

  /// Calls function(Constant<vectors>, columns) for the panels of columns all of whose vectors hold some of
  /// `width`, and for the last one with those that do.
  template <class Function>
  TIMELOOM_INLINE static void for_widths(Share columns, index width, Function&& function) noexcept {
    const index vectors = (width + V::kLanes - 1) / V::kLanes;
    const index wide = vectors / 4;
    const index full = columns.end < wide ? columns.end : wide;
    if (columns.begin < full) function(Constant<4>{}, Share{columns.begin, full});
    if (columns.begin > wide || columns.end <= wide) return;
    with_rows<3>(vectors % 4, [&](auto rest) { function(rest, Share{wide, columns.end}); });
  }

  /// d sums times transposed weights, for `rows` rows and a share of the columns. Row `at` of them is row
  /// row_of(at) of the chunk; start(acc, at, column, fresh) begins or takes up its chain, finish(acc, at,
  /// column) stores it. A phase without a product (kSegment = 0) has its chains begun and stored.
  template <int kVectors, int kBegin, index kSegment, class RowOf, class Start, class Finish>
  TIMELOOM_INLINE void multiply_blocks(index rows, Share columns, const Scalar* weights, RowOf&& row_of,
                                       Start&& start, Finish&& finish) noexcept {
    const bool gathers =
        kSegment > 0 && kVectors == 4 && columns.end - columns.begin >= Shape::kGatheredColumns;
    const index row_block = gathers ? Shape::kGatheredRows : rows;
    const index depth =
        shared_.path.state_block < Shape::kGatheredDepth ? shared_.path.state_block : Shape::kGatheredDepth;
    const index block = kSegment == 0 ? panels_ : depth / (kSegment ? kSegment : 1) + 1;
    for (index begin = 0; begin < rows; begin += row_block) {
      const index count = rows - begin < row_block ? rows - begin : row_block;
      for (index from = 0; from < panels_; from += block) {
        const index to = from + block < panels_ ? from + block : panels_;
        const index distance = row_distance<Scalar>((to - from) * kSegment);
        const index empty =
            to == panels_ ? Shape::empty_gradients(shared_.sizes, kSegment / Shape::kUnits) : 0;
        const index begin_of_first = this->template first_sum<kBegin>(from);
        const index begin_of_last = this->template first_sum<kBegin>(to - 1);
        if (gathers) {
          gather_segments<kSegment>(from, to, count, distance, [&](index panel, index i) {
            return d_sums_of_chunk(panel, row_of(begin + i)) + this->template first_sum<kBegin>(panel);
          });
        }
        for (index column = columns.begin; column < columns.end; ++column) {
          const Scalar* right = weights + (column * panels_ + from) * kSegment * Shape::kColumns;
          for_row_tiles<tile_rows<V>(kVectors)>(count, [&](auto constant, index tile) {
            constexpr int kRows = decltype(constant)::value;
            const index first = begin + tile;
            V acc[kRows][kVectors];
            const Scalar* left[kRows];
            for (int i = 0; i < kRows; ++i) {
              left[i] = gathers ? scratch() + (tile + i) * distance
                                : d_sums_of_chunk(from, row_of(first + i)) + begin_of_first;
              start(acc[i], first + i, column, from == 0);
            }
            if (gathers) {
              multiply_add<kRows, 0, kVectors>(acc, left, right, Shape::kColumns,
                                               (to - from) * kSegment - empty);
            } else {
              multiply_segments(acc, left, right, kSegment, to - from, empty, begin_of_last - begin_of_first);
            }
            for (int i = 0; i < kRows; ++i) finish(acc[i], first + i, column);
          });
        }
      }
    }
  }

  /// Panels [from, to) of d sums, side by side in rows `distance` apart: left where they are, each panel is
  /// far from the next, and every column of the product would fetch them anew.
  template <index kSegment, class Source>
  TIMELOOM_NOINLINE void gather_segments(index from, index to, index rows, index distance,
                                         Source&& source) noexcept {
    for (index panel = from; panel < to; ++panel) {
      Scalar* target = scratch() + (panel - from) * kSegment;
      for (index i = 0; i < rows; ++i) {
        const Scalar* segment = source(panel, i);
        TIMELOOM_UNROLL
        for (index k = 0; k < kSegment; k += V::kLanes) V::load(segment + k).store(target + k);
        target += distance;
      }
    }
  }

  /// The same for a row alone: panels side by side, in an order that turns round at every step, as forward.
  template <int kPhase>
  void multiply_row_transposed(Share columns, index step) noexcept {
    constexpr index kSegment = Shape::state_width(kPhase);
    const index row = own_.row(0);
    const index product = step * Shape::kPhases + kPhase;
    if (gathered_ != product) {
      gathered_ = product;
      for (index panel = 0; panel < panels_; ++panel) {
        copy_row<V>(scratch() + panel * kSegment,
                    d_sums(panel, row, step) + this->template first_sum<Shape::state_begin(kPhase)>(panel),
                    kSegment);
      }
    }
    const Scalar* const left[1] = {scratch()};
    const Scalar* weights =
        backward_.packed_transposed + Shape::transposed_state_offset(shared_.sizes, kPhase);
    const index distance = Shape::transposed_state_panel(shared_.sizes, kPhase);
    const Upstream above = upstream(kPhase == 0 ? step - 1 : -1);
    for_row_tiles<kPanelsOfRow>(columns.end - columns.begin, [&](auto panels, index at) {
      constexpr int kPanels = decltype(panels)::value;
      const index column = step & 1 ? columns.end - kPanels - at : columns.begin + at;
      V acc[kPanels][1][4];
      TIMELOOM_UNROLL
      for (int p = 0; p < kPanels; ++p) start_of_chain<kPhase>(acc[p][0], row, step, above, column + p, true);
      multiply_add_panels<0, 4>(
          acc, left, weights + column * distance, distance, Shape::kColumns,
          panels_ * kSegment - Shape::empty_gradients(shared_.sizes, kSegment / Shape::kUnits));
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
  void multiply_transposed_by_gate(Share columns, index step) noexcept {
    const Upstream above = upstream(kPhase == 0 ? step - 1 : -1);
    for (index column = columns.begin; column < columns.end; ++column) {
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
            start_of_chain<kPhase>(total, row, step, above, column, true);
            TIMELOOM_UNROLL
            for (int v = 0; v < 4; ++v) total[v].store(d_left<kPhase>(row) + unit + v * V::kLanes);
          }
        }
        for (int a = Cell::kInfo.state[kPhase].begin; a < Cell::kInfo.state[kPhase].end; ++a) {
          V acc[kRows][4];
          multiply_gate(acc, weights, a, Cell::kInfo.state[kPhase],
                        [&](int i) { return this->chunk_row(own_.row(first + i), step); });
          for (int i = 0; i < kRows; ++i) {
            const index row = own_.row(first + i);
            V total[4];
            start_of_chain<kPhase>(total, row, step, above, column, a == Cell::kInfo.state[kPhase].begin);
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
    return kPhase == 0 ? d_state(0, row) : backward_.d_operand + this->row_place(row) * padded_units_;
  }

  /// Asks for what the cell of a step reads of a row in a panel of columns, and the product that follows it:
  /// while the one before it is at work.
  TIMELOOM_INLINE void expect_cell(index row, index step, index column) const noexcept {
    const Share panels = this->panels_of({column, column + 1});
    const Scalar* from_above = upstream(step - 1).of(row);
    if (from_above) ask_for(from_above + column * Shape::kColumns, Shape::kColumns);
    for (index panel = panels.begin; panel < panels.end; ++panel) {
      const index unit = panel * Shape::kUnits;
      if (backward_.kept) ask_for(backward_.kept + this->kept_offset(panel, row, step), Shape::kKeptWidth);
      ask_for(this->previous_output(row, step) + unit, Shape::kUnits);
      for (int which = 1; which < Cell::kInfo.states; ++which) {
        ask_for(this->state(which, row, step) + unit, Shape::kUnits);
      }
    }
  }

  template <int kPhase, int kVectors>
  TIMELOOM_INLINE void start_of_chain(V (&acc)[kVectors], index row, index step, const Upstream& above,
                                      index column, bool fresh) const noexcept {
    const index unit = column * Shape::kColumns;
    const Scalar* source = d_left<kPhase>(row);
    if (kPhase == 0 && fresh && step > 0 && shared_.asks_ahead) expect_cell(row, step - 1, column);
    const Scalar* from_above = fresh ? above.of(row) : nullptr;
    TIMELOOM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      acc[v] = kPhase == 1 && fresh ? V::zero() : V::load(source + unit + v * V::kLanes);
      if (from_above) {
        const index at = unit + v * V::kLanes;
        acc[v] = acc[v] + load_lanes<V>(from_above + at, units_ - at);
      }
    }
  }

  /// acc += left times weights over `segments` panels of d sums, `length` elements of each and `empty` less
  /// of the last, which begin `shift` further there.
  template <int kRows, int kVectors>
  TIMELOOM_INLINE void multiply_segments(V (&acc)[kRows][kVectors], const Scalar* (&left)[kRows],
                                         const Scalar* weights, index length, index segments, index empty,
                                         index shift) const noexcept {
    for (index segment = 0; segment < segments; ++segment) {
      const bool last = segment + 1 == segments;
      const Scalar* at[kRows];
      for (int i = 0; i < kRows; ++i) at[i] = left[i] + segment * panel_stride_ + (last ? shift : 0);
      multiply_add<kRows, 0, kVectors>(acc, at, weights, Shape::kColumns, last ? length - empty : length);
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

  Scalar* scratch() const noexcept { return backward_.scratch + worker_.thread * backward_.scratch_distance; }

  index gathered_ = -1;  // the product whose row lies in the scratch
};
