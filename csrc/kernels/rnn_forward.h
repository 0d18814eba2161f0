// The time loop forward. Knows no cell by name: the products make the sums of a tile, the cell turns
// them into states.
#pragma once

#include "kernels/rnn_forward_cell.h"

/// The whole pass for one pair of activations.
template <class Cell, class V, class Pair>
class ForwardPass : ForwardCell<Cell, V, Pair> {
  using Base = ForwardCell<Cell, V, Pair>;
  using Base::forward_, Base::shared_, Base::panels_, Base::units_;
  using Base::kGateRows, Base::kPanelsOfGates, Base::kWaitingRows, Base::kPanelsOfRow;
  using Base::own_rows, Base::share_items;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  ForwardPass(const RnnForward<Scalar>& forward, const Pair& pair, const Worker& worker) noexcept
      : Base(forward, pair, worker) {}

  void run(index first_chunk, index end_chunk) noexcept {
    const SequencePlan& plan = shared_.plan;
    if (first_chunk == 0 && end_chunk > 0) this->gather_initial();
    for (index chunk = first_chunk; chunk < end_chunk; ++chunk) {
      const index begin = plan.chunk_begin[chunk];
      const index end = plan.chunk_begin[chunk + 1];
      this->chunk_step_ = begin;
      if (forward_.input_rows) this->gather_inputs(begin, end);
      if (shared_.path.separate) this->project(begin, end);
      for (index step = begin; step < end; ++step) {
        multiply_phase<0>(step);
        if constexpr (Shape::kPhases == 2) multiply_phase<1>(step);
      }
    }
  }

 private:
  static bool turns_round(index step) noexcept { return step & 1; }

  /// One product of one step for the own rows and some of the panels, and the cell on its sums. Every other
  /// step begins with the panels that the one before ended with: their weights are still near.
  template <int kPhase>
  void multiply_phase(index step) noexcept {
    if (shared_.path.by_gate) {
      multiply_gates<kPhase>(step);
      return;
    }
    const index block = shared_.path.state_block;
    const index all = own_rows(step);
    if (all == 1) {
      multiply_row<kPhase>(step);
      return;
    }
    Scalar sums[kWaitingRows * Shape::kWidth];
    share_items(panels_, {false, turns_round(step)}, [&](index panel) {
      Shape::with_vectors(units_ - panel * Shape::kUnits, [&](auto vectors) {
        constexpr int kVectors = decltype(vectors)::value;
        for (index done = 0, waiting; done < all; done += waiting) {
          waiting = this->waiting_rows(done, all);
          for (index begin = 0; begin == 0 || begin < units_; begin += block) {
            const index end = begin + block < units_ ? begin + block : units_;
            for_row_tiles<tile_rows<V>(kVectors)>(waiting, [&](auto rows, index first) {
              constexpr int kRows = decltype(rows)::value;
              if (kPhase == 0 && begin == 0) this->expect_stores(panel, step, done + first, kRows);
              this->template step_tile<kPhase, kRows, kVectors>(panel, step, done + first, begin, end,
                                                                sums + first * Shape::kWidth);
            });
          }
          this->template finish<kPhase>(panel, step, done, waiting, sums);
        }
      });
    });
  }

  /// The same for a row alone: panels side by side. It is bound by reading the weights.
  template <int kPhase>
  void multiply_row(index step) noexcept {
    const index block = shared_.path.state_block;
    const bool back = turns_round(step);
    Scalar sums[kPanelsOfRow * Shape::kWidth] = {};  // the cell takes all of a pair, computed or not
    this->expect_state(step);
    share_items(this->row_items_, {true, back}, [&](index item) {
      const Share pairs = part_of(this->pairs_, item, this->row_items_);
      for (index at = 0; at < pairs.end - pairs.begin; ++at) {
        const index pair = back ? pairs.end - 1 - at : pairs.begin + at;
        const index panel = pair * kPanelsOfRow;
        with_rows<kPanelsOfRow>(panels_ - panel, [&](auto panels) {
          constexpr int kPanels = decltype(panels)::value;
          for (index begin = 0; begin == 0 || begin < units_; begin += block) {
            const index end = begin + block < units_ ? begin + block : units_;
            Shape::with_vectors(units_ - (panel + kPanels - 1) * Shape::kUnits, [&](auto vectors) {
              this->template step_tile<kPhase, 1, decltype(vectors)::value, kPanels>(panel, step, 0, begin,
                                                                                     end, sums);
            });
          }
          this->expect_pair(back ? pair - 1 : pair + 1, step);
          if constexpr (kPanels == 2) {
            this->template finish_two_panels<kPhase>(panel, step, sums);
          } else {
            this->template finish<kPhase>(panel, step, 0, 1, sums);
          }
        });
      }
    });
  }

  /// The same, accumulator by accumulator.
  template <int kPhase>
  void multiply_gates(index step) noexcept {
    constexpr int kBegin = Shape::phase_begin(kPhase) / Shape::kTiles;
    constexpr int kEnd = Shape::phase_end(kPhase) / Shape::kTiles;
    const index block = shared_.path.state_block;
    const index all = own_rows(step);
    Scalar sums[kPanelsOfGates * kWaitingRows * Shape::kWidth];
    share_items(Base::Gates::panels(shared_.sizes), {false, turns_round(step)}, [&](index gates) {
      for (index done = 0, waiting; done < all; done += waiting) {
        waiting = this->waiting_rows(done, all);
        for (index begin = 0; begin == 0 || begin < units_; begin += block) {
          const index end = begin + block < units_ ? begin + block : units_;
          for_row_tiles<kGateRows>(waiting, [&](auto rows, index first) {
            constexpr int kRows = decltype(rows)::value;
            if (kPhase == 0 && begin == 0) {
              for (int i = 0; i < kPanelsOfGates; ++i) {
                const index panel = gates * kPanelsOfGates + i;
                if (panel < panels_) this->expect_stores(panel, step, done + first, kRows);
              }
            }
            for (int a = kBegin; a < kEnd; ++a) {
              this->template gate_tile<kPhase, kRows>(a, gates, step, done + first, begin, end,
                                                      sums + first * Shape::kWidth);
            }
          });
        }
        for (int i = 0; i < kPanelsOfGates; ++i) {
          const index panel = gates * kPanelsOfGates + i;
          if (panel >= panels_) break;
          this->template finish<kPhase>(panel, step, done, waiting, sums + i * kWaitingRows * Shape::kWidth);
        }
      }
    });
  }
};

template <class Cell, class V>
void rnn_forward(const RnnForward<typename V::scalar>& forward, index first_chunk, index end_chunk,
                 const Worker& worker) noexcept {
  with_pair<Cell, V>(forward.call.activation, forward.call.recurrent_activation, [&](auto pair) {
    ForwardPass<Cell, V, decltype(pair)>(forward, pair, worker).run(first_chunk, end_chunk);
  });
}
