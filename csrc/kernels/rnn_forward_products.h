// The sums of a step, forward: bias, input product, products with the state, each element one chain.
#pragma once

#include "kernels/rnn_rows.h"
#include "kernels/rnn_sums.h"

template <class Cell, class V>
class ForwardProducts : protected RnnRows<Cell, V> {
 protected:
  using Rows = RnnRows<Cell, V>;
  using Rows::batch_, Rows::features_, Rows::panels_, Rows::places_, Rows::state_width_, Rows::units_;
  using Rows::for_rows, Rows::input, Rows::own_rows, Rows::share_items, Rows::state_row;
  using Rows::input_distance_, Rows::input_operands_, Rows::state_distance_, Rows::state_operands_;
  using Rows::kPanelsOfGates, Rows::kPanelsOfRow;
  using Rows::own_, Rows::shared_, Rows::sharer_, Rows::step_begin_;
  using typename Rows::Gates;
  using typename Rows::Scalar;
  using typename Rows::Shape;
  using Sums = PanelSums<Shape, V>;
  static constexpr int kGateRows = tile_rows<V>(4);
  // Rows whose sums wait for the cell: enough to overlap their chains of dependent operations, and few enough
  // to stay in the first cache.
  static constexpr index kWaitingRows = 24 / Shape::kRows * Shape::kRows;
  static constexpr index kLinesAhead = 8;            // of the weights of the next panel
  static constexpr index kLeastItemBytes = 1 << 16;  // of weights

  ForwardProducts(const RnnForward<Scalar>& forward, const Worker& worker) noexcept
      : Rows(forward.call, {0, 1, forward.call.sizes.batch}, worker),
        forward_(forward),
        pairs_((panels_ + kPanelsOfRow - 1) / kPanelsOfRow),
        near_(share_of(pairs_, sharer_)),
        row_items_(row_items()),
        chunk_steps_(batch_ > 0 ? shared_.plan.chunk_rows / batch_ : 0) {}

  /// One for each worker, or several that are worth the taking.
  index row_items() const noexcept {
    const index workers = sharer_.count;
    const index weights = pairs_ / workers * kPanelsOfRow * Shape::kWidth * units_;
    const index each = weights * static_cast<index>(sizeof(Scalar)) / kLeastItemBytes;
    return workers * (each > 1 ? each : 1);
  }

  /// Own rows from the `done`-th of `all` on whose sums wait together.
  index waiting_rows(index done, index all) const noexcept {
    return all - done < kWaitingRows ? all - done : kWaitingRows;
  }

  Scalar* output(index row, index step) const noexcept {
    const SequenceView<Scalar>& outputs = forward_.outputs;
    if (step_begin_) {
      const index packed = step_begin_[step] + row;
      return outputs.data + (forward_.output_row ? forward_.output_row[packed] : packed) * units_;
    }
    const index place = forward_.ring ? this->row_place(row) : row;
    return outputs.data + place * outputs.row_stride +
           (forward_.ring ? step & 1 : step) * outputs.step_stride;
  }

  const Scalar* previous_output(index row, index step) const noexcept {
    return step == 0 ? shared_.initial[0] + row * units_ : output(row, step - 1);
  }

  Scalar* operand(index row, index step) const noexcept {
    return forward_.operand + place_of_step(row, step) * state_distance_;
  }

  Scalar* kept(index panel, index row, index step) const noexcept {
    return forward_.kept + (forward_.keeps_steps
                                ? this->kept_offset(panel, row, step)
                                : (panel * places_ + this->row_place(row)) * Shape::kKeptWidth);
  }

  Scalar* state(int which, index row, index slot) const noexcept {
    const index place = forward_.keeps_steps ? state_row(row, slot) : this->row_place(row);
    return forward_.states[which] + place * state_width_;
  }

  index place_of_step(index row, index step) const noexcept {
    return forward_.keeps_steps ? this->packed_place(row, step) : this->row_place(row);
  }

  const Scalar* bias_of(index panel) const noexcept { return forward_.packed + Shape::bias_offset(panel); }
  const Scalar* input_weights(index panel) const noexcept {
    return forward_.packed + Shape::input_offset(shared_.sizes, panel);
  }

  index row_of_chunk(index row, index step) const noexcept {
    if (step_begin_) return step_begin_[step] - step_begin_[chunk_step_] + row;
    return this->packed_place(row, step - chunk_step_, chunk_steps_);
  }

  Scalar* accumulators(index panel, index row, index step) const noexcept {
    return forward_.accumulators +
           (panel * shared_.plan.chunk_rows + row_of_chunk(row, step)) * Shape::kWidth;
  }

  /// The inputs as the product of a gate takes them: gathered, or where they lie.
  Scalar* gathered_input(int operand, index row, index step) const noexcept {
    return forward_.input_rows +
           (operand * shared_.plan.chunk_rows + row_of_chunk(row, step)) * input_distance_;
  }
  const Scalar* taken_input(int gate, index row, index step) const noexcept {
    if (!forward_.input_rows) return input(row, step);
    return gathered_input(shared_.input_dropout ? gate : 0, row, step);
  }

  /// The state before a step as the product of a gate takes it. There are two: of this step and the next.
  Scalar* gathered_state(int operand, index row, index step) const noexcept {
    const index matrix = (step & 1) * state_operands_ + operand;
    return forward_.state_rows + (matrix * places_ + this->row_place(row)) * state_distance_;
  }
  const Scalar* taken_state(int gate, index row, index step) const noexcept {
    return gathered_state(shared_.recurrent_dropout ? gate : 0, row, step);
  }

  /// The inputs of steps [begin, end), times the factors of each gate.
  void gather_inputs(index begin, index end) noexcept {
    for_rows(begin, end, [&](index row, index step) {
      for (int operand = 0; operand < input_operands_; ++operand) {
        take_row<V>(gathered_input(operand, row, step), input(row, step), this->input_factors(operand, row),
                    features_);
      }
    });
  }

  /// The initial states; that of the products times the factors of each gate.
  void gather_initial() noexcept {
    for_rows(0, 1, [&](index row, index step) {
      for (int which = 1; which < Cell::kInfo.states; ++which) {
        for (index unit = 0; unit < state_width_; unit += V::kLanes) {
          load_lanes<V>(shared_.initial[which] + row * units_ + unit, units_ - unit)
              .store(state(which, row, step) + unit);
        }
      }
      for (int operand = 0; operand < state_operands_; ++operand) {
        take_row<V>(gathered_state(operand, row, step), previous_output(row, step),
                    this->state_factors(operand, row), units_);
      }
    });
  }

  /// The input product of steps [begin, end): accumulators = bias + x W. A tile may span rows of several
  /// steps.
  void project(index begin, index end) noexcept {
    index total = 0;
    for (index step = begin; step < end; ++step) total += own_rows(step);
    share_items(panels_, {}, [&](index panel) {
      Shape::with_vectors(units_ - panel * Shape::kUnits, [&](auto vectors) {
        constexpr int kVectors = decltype(vectors)::value;
        index step = begin, k = 0;
        for_row_tiles<tile_rows<V>(kVectors)>(total, [&](auto rows, index) {
          constexpr int kRows = decltype(rows)::value;
          const Scalar* x[kRows];
          Scalar* target[kRows];
          for (int i = 0; i < kRows; ++i) {
            for (; k == own_rows(step); k = 0) ++step;
            const index row = own_.row(k++);
            x[i] = taken_input(0, row, step);
            target[i] = accumulators(panel, row, step);
          }
          project_tile<kRows, kVectors>(panel, x, target);
        });
      });
    });
  }

  template <int kRows, int kVectors>
  TIMELOOM_NOINLINE void project_tile(index panel, const Scalar* const (&x)[kRows],
                                      Scalar* const (&target)[kRows]) const noexcept {
    V acc[1][kRows][kVectors];
    Sums::template start_from_bias<0, kVectors>(acc[0], bias_of(panel));
    Sums::template multiply<Shape::kInputBegin, Shape::kInputEnd, kVectors>(acc, x, input_weights(panel), 0,
                                                                            Shape::kInputWidth, features_);
    Sums::template store<0, kVectors>(acc[0], target);
  }

  /// The sums of one tile of one step over units [begin, end), from `panel` on: into `sums` [panels, rows,
  /// width] after the last block, else stored for the next one. `first` counts own rows. Of the last panel
  /// `kVectors` vectors are computed, of the others all.
  template <int kPhase, int kRows, int kVectors, int kPanels = 1>
  TIMELOOM_NOINLINE void step_tile(index panel, index step, index first, index begin, index end,
                                   Scalar* sums) const noexcept {
    constexpr int kBegin = Shape::phase_begin(kPhase);
    constexpr int kEnd = Shape::phase_end(kPhase);
    constexpr int kInputBegin = Shape::kInputBegin > kBegin ? Shape::kInputBegin : kBegin;
    constexpr int kInputEnd = least(Shape::kInputEnd, kEnd);
    constexpr int kLast = kPanels - 1;
    constexpr int kLastEnd = least(kEnd, kVectors);
    const Scalar* left[kRows];
    constexpr int kTotal = kPanels > 1 ? Shape::kVectors : kVectors;
    V acc[kPanels][kRows][kTotal];
    if (begin > 0 || shared_.path.separate) {
      TIMELOOM_UNROLL
      for (int p = 0; p < kLast; ++p)
        load_accumulators<kBegin, least(kEnd, kTotal)>(acc[p], panel + p, step, first);
      load_accumulators<kBegin, kLastEnd>(acc[kLast], panel + kLast, step, first);
    } else {
      TIMELOOM_UNROLL
      for (int p = 0; p < kLast; ++p)
        Sums::template start_from_bias<kBegin, least(kEnd, kTotal)>(acc[p], bias_of(panel + p));
      Sums::template start_from_bias<kBegin, kLastEnd>(acc[kLast], bias_of(panel + kLast));
      for (int i = 0; i < kRows; ++i) left[i] = taken_input(0, own_.row(first + i), step);
      Sums::template multiply<kInputBegin, kInputEnd, kVectors>(
          acc, left, input_weights(panel) + (kInputBegin - Shape::kInputBegin) * V::kLanes,
          input_weights(1) - input_weights(0), Shape::kInputWidth, features_);
    }
    for (int i = 0; i < kRows; ++i) {
      const index row = own_.row(first + i);
      left[i] = (kPhase == 0 ? taken_state(0, row, step) : operand(row, step)) + begin;
    }
    Sums::template multiply<Shape::state_begin(kPhase), Shape::state_end(kPhase), kVectors>(
        acc, left,
        forward_.packed + Shape::state_offset(shared_.sizes, kPhase, panel) +
            begin * Shape::state_width(kPhase),
        units_ * Shape::state_width(kPhase), Shape::state_width(kPhase), end - begin);
    TIMELOOM_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      Scalar* target[kRows];
      for (int i = 0; i < kRows; ++i) {
        target[i] = end == units_ ? sums + (p * kRows + i) * Shape::kWidth
                                  : accumulators(panel + p, own_.row(first + i), step);
      }
      if (p < kLast) {
        Sums::template store<kBegin, least(kEnd, kTotal)>(acc[p], target);
      } else if (Shape::lies_closer(kVectors) && end == units_) {
        Sums::template store_apart<kVectors>(acc[p], target);
      } else {
        Sums::template store<kBegin, kLastEnd>(acc[p], target);
      }
    }
  }

  /// Asks for where the cell will store what it makes of own rows [first, first + rows), while they are
  /// multiplied: stores to what lies beyond its caches hold up a core.
  TIMELOOM_INLINE void expect_stores(index panel, index step, index first, index rows) const noexcept {
    if (!shared_.asks_ahead) return;
    const index unit = panel * Shape::kUnits;
    for (index k = first; k < first + rows; ++k) {
      const index row = own_.row(k);
      ask_for(output(row, step) + unit, Shape::kUnits);
      if (forward_.kept) ask_for(kept(panel, row, step), Shape::kKeptWidth);
      if (Shape::kPhases == 2) ask_for(operand(row, step) + unit, Shape::kUnits);
      for (int which = 1; which < Cell::kInfo.states; ++which) {
        ask_for(state(which, row, step + 1) + unit, Shape::kUnits);
      }
    }
  }

  /// Asks for what the first product of a step reads of the state: other cores have just written it.
  void expect_state(index step) const noexcept { ask_for(taken_state(0, own_.row(0), step), units_); }

  /// Asks for where the sums of a pair of panels begin if it is one of those near this worker: while the cell
  /// works on those of the pair before.
  void expect_pair(index pair, index step) const noexcept {
    if (pair < near_.begin || pair >= near_.end) return;
    const index panel = pair * kPanelsOfRow;
    for (int p = 0; p < kPanelsOfRow && panel + p < panels_; ++p) {
      ask_for(forward_.packed + Shape::state_offset(shared_.sizes, 0, panel + p),
              kLinesAhead * kLine<Scalar>);
      if (!shared_.path.separate) continue;
      ask_for(accumulators(panel + p, own_.row(0), step), Shape::kWidth);
    }
  }

  /// As step_tile for one accumulator of a gate panel, whose operands are its own. `sums` holds
  /// [panels of the gate panel][kWaitingRows, width].
  template <int kPhase, int kRows>
  TIMELOOM_NOINLINE void gate_tile(int accumulator, index gate_panel, index step, index first, index begin,
                                   index end, Scalar* sums) const noexcept {
    const Scalar* left[kRows];
    V acc[kRows][4];
    if (begin > 0) {
      for (int i = 0; i < kRows; ++i) {
        TIMELOOM_UNROLL
        for (int v = 0; v < 4; ++v) {
          acc[i][v] = V::load(stored_sum(accumulator, gate_panel, own_.row(first + i), step, v));
        }
      }
    } else {
      for (int i = 0; i < kRows; ++i) {
        TIMELOOM_UNROLL
        for (int v = 0; v < 4; ++v) {
          acc[i][v] = V::load(forward_.packed + Gates::bias_offset(gate_panel) + accumulator * Gates::kUnits +
                              v * V::kLanes);
        }
      }
      const int gate = Cell::kInfo.input_gate[accumulator];
      if (gate >= 0) {
        for (int i = 0; i < kRows; ++i) {
          left[i] = taken_input(gate, own_.row(first + i), step);
        }
        multiply_add<kRows, 0, 4>(acc, left,
                                  forward_.packed + Gates::input_offset(shared_.sizes, gate_panel) +
                                      (accumulator - Cell::kInfo.input.begin) * features_ * Gates::kUnits,
                                  Gates::kUnits, features_);
      }
    }
    if (accumulator >= Cell::kInfo.state[kPhase].begin && accumulator < Cell::kInfo.state[kPhase].end) {
      const int gate = Cell::kInfo.state_gate[accumulator];
      for (int i = 0; i < kRows; ++i) {
        const index row = own_.row(first + i);
        left[i] = begin + (kPhase == 1 ? operand(row, step) : taken_state(gate, row, step));
      }
      multiply_add<kRows, 0, 4>(
          acc, left,
          forward_.packed + Gates::state_offset(shared_.sizes, kPhase, gate_panel) +
              ((accumulator - Cell::kInfo.state[kPhase].begin) * units_ + begin) * Gates::kUnits,
          Gates::kUnits, end - begin);
    }
    for (int i = 0; i < kRows; ++i) {
      TIMELOOM_UNROLL
      for (int v = 0; v < 4; ++v) {
        acc[i][v].store(end == units_ ? sums + ((v / Shape::kTiles) * kWaitingRows + i) * Shape::kWidth +
                                            (accumulator * Shape::kTiles + v % Shape::kTiles) * V::kLanes
                                      : stored_sum(accumulator, gate_panel, own_.row(first + i), step, v));
      }
    }
  }

  Scalar* stored_sum(int accumulator, index gate_panel, index row, index step, int v) const noexcept {
    return accumulators(gate_panel * kPanelsOfGates + v / Shape::kTiles, row, step) +
           (accumulator * Shape::kTiles + v % Shape::kTiles) * V::kLanes;
  }

  /// What an earlier tile stored of own rows from `first` on.
  template <int kBegin, int kEnd, int kRows, int kVectors>
  TIMELOOM_INLINE void load_accumulators(V (&acc)[kRows][kVectors], index panel, index step,
                                         index first) const noexcept {
    for (int i = 0; i < kRows; ++i) {
      const Scalar* source = accumulators(panel, own_.row(first + i), step);
      TIMELOOM_UNROLL
      for (int v = kBegin; v < kEnd; ++v) acc[i][v] = V::load(source + v * V::kLanes);
    }
  }

  const RnnForward<Scalar>& forward_;
  const index pairs_;        // of panels, which a row alone takes side by side
  const Share near_;         // those of them whose weights are near this worker
  const index row_items_;    // of a phase of a row alone
  const index chunk_steps_;  // of the largest chunk of a dense batch: a row has the same place in all of them
  index chunk_step_ = 0;     // the first step of the chunk at hand
};
