// The time loop in reverse: backpropagation through time.
//
// Per step: the cell turns the gradient of its states into those of its sums; one product with the transposed
// weights gives the gradient of the step before. Per chunk of about 512 rows, while the gradients of the sums
// are in cache: dx and the weight gradients. Each of the two is a call, and nobody begins the second one of a
// chunk before all have ended the first.
#pragma once

#include "kernels/rnn_backward_products.h"
#include "kernels/rnn_pair.h"
#include "kernels/rnn_weight_gradients.h"

/// The steps of a chunk for one pair of activations.
template <class Cell, class V, class Pair>
class BackwardPass : BackwardProducts<Cell, V> {
  using Base = BackwardProducts<Cell, V>;
  using Base::backward_, Base::shared_, Base::units_, Base::padded_units_;
  using Base::d_state, Base::d_sums, Base::for_own_units, Base::output, Base::own_rows, Base::previous_output,
      Base::state;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  BackwardPass(const RnnBackward<Scalar>& backward, const Pair& pair, const Worker& worker) noexcept
      : Base(backward, worker), pair_(pair) {}

  void run(index chunk) noexcept {
    this->open_chunk(chunk);
    const index begin = shared_.plan.chunk_begin[chunk];
    for (index step = shared_.plan.chunk_begin[chunk + 1] - 1; step >= begin; --step) step_back(step);
    this->gather_rows(chunk);
  }

 private:
  void step_back(index step) noexcept {
    this->add_upstream(step);
    for_own_units(0, own_rows(step), [&](index panel, index row) { cell_backward(panel, row, step); });
    this->meet();
    if constexpr (Shape::kPhases == 2) {
      multiply_phase<1>(step);
      for_own_units(0, own_rows(step), [&](index panel, index row) { operand_backward(panel, row, step); });
      this->meet();
    }
    multiply_phase<0>(step);
  }

  template <int kPhase>
  void multiply_phase(index step) noexcept {
    if (shared_.path.by_gate) {
      this->template multiply_transposed_by_gate<kPhase>(step);
    } else {
      this->template multiply_transposed<kPhase>(step);
    }
  }

  /// Units past the last one get zeros whatever the cell made of them: the products read them too, and zero
  /// times NaN is NaN.
  static void store_d_sum(const V& d_sum, Scalar* target, index count) noexcept {
    if (count < V::kLanes) V::zero().store(target);
    store_lanes(d_sum, target, count);
  }

  Scalar* d_sum_of(Scalar* target, int accumulator, int tile) const noexcept {
    return target + accumulator * this->accumulator_stride_ + tile * V::kLanes;
  }

  void load_unit(index panel, index row, index step, int tile, V* keep, V* old) const noexcept {
    const index unit = panel * Shape::kUnits + tile * V::kLanes;
    if (Cell::kInfo.output_is_kept && !backward_.kept) {
      keep[0] = load_lanes<V>(output(row, step) + unit, units_ - unit);
    } else if constexpr (Cell::kInfo.kept > 0) {
      const Scalar* source = backward_.kept + this->kept_offset(panel, row, step) + tile * V::kLanes;
      TIMELOOM_UNROLL
      for (int value = 0; value < Cell::kInfo.kept; ++value)
        keep[value] = V::load(source + value * Shape::kUnits);
    }
    old[0] = load_lanes<V>(previous_output(row, step) + unit, units_ - unit);
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which)
      old[which] = V::load(state(which, row, step) + unit);
  }

  TIMELOOM_NOINLINE void cell_backward(index panel, index row, index step) noexcept {
    Scalar* target = d_sums(panel, row, step);
    for (int tile = 0; tile < Shape::kTiles; ++tile) {
      const index unit = panel * Shape::kUnits + tile * V::kLanes;
      V keep[kMaxAccumulators], old[kMaxStates], d_next[kMaxStates], d_old[kMaxStates], carried[kMaxStates];
      V d_sum[kMaxAccumulators];
      load_unit(panel, row, step, tile, keep, old);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which)
        d_next[which] = V::load(d_state(which, row) + unit);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which) {
        carried[which] = V::zero();
        if (this->zones(which)) {
          const V part = this->zoneout(which, row, step, unit);
          carried[which] = part * d_next[which];
          d_next[which] = (V::broadcast(1) - part) * d_next[which];
        }
      }
      if constexpr (Shape::kPhases == 2) {
        TIMELOOM_UNROLL
        for (int a = 0; a < Shape::kAccumulators; ++a) d_sum[a] = V::zero();
      }
      Cell::backward(pair_, keep, old, d_next, d_sum, d_old);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which) {
        if (this->zones(which)) d_old[which] = d_old[which] + carried[which];
        d_old[which].store(d_state(which, row) + unit);
      }
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        store_d_sum(d_sum[a], d_sum_of(target, a, tile), units_ - unit);
      }
    }
  }

  TIMELOOM_NOINLINE void operand_backward(index panel, index row, index step) noexcept {
    Scalar* target = d_sums(panel, row, step);
    for (int tile = 0; tile < Shape::kTiles; ++tile) {
      const index unit = panel * Shape::kUnits + tile * V::kLanes;
      V keep[kMaxAccumulators], old[kMaxStates], d_old[kMaxStates], d_sum[kMaxAccumulators];
      load_unit(panel, row, step, tile, keep, old);
      d_old[0] = V::load(d_state(0, row) + unit);
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        d_sum[a] = V::load(d_sum_of(target, a, tile));
      }
      V d_operand = V::load(backward_.d_operand + row * padded_units_ + unit);
      if (shared_.recurrent_dropout) {
        constexpr int kGate = Cell::kInfo.state_gate[Cell::kInfo.state[1].begin];
        d_operand = d_operand * load_lanes<V>(this->state_factors(kGate, row) + unit, units_ - unit);
      }
      Cell::operand_backward(pair_, keep, old, d_operand, d_sum, d_old);
      d_old[0].store(d_state(0, row) + unit);
      // Those from the second product on are final, and other workers may still be reading them.
      TIMELOOM_UNROLL
      for (int a = 0; a < Cell::kInfo.state[1].begin; ++a) {
        store_d_sum(d_sum[a], d_sum_of(target, a, tile), units_ - unit);
      }
    }
  }

  const Pair& pair_;
};

/// dx and the weight gradients of a chunk whose steps are done.
template <class Cell, class V>
class ChunkGradients : WeightGradients<Cell, V> {
 public:
  ChunkGradients(const RnnBackward<typename V::scalar>& backward, const Worker& worker) noexcept
      : WeightGradients<Cell, V>(backward, worker) {}

  void run(index chunk) noexcept {
    this->open_chunk(chunk);
    this->input_gradient();
    this->weight_gradients();
  }
};

template <class Cell, class V>
void rnn_backward(const RnnBackward<typename V::scalar>& backward, index chunk,
                  const Worker& worker) noexcept {
  with_pair<Cell>(backward.call.activation, backward.call.recurrent_activation, [&](auto pair) {
    BackwardPass<Cell, V, decltype(pair)>(backward, pair, worker).run(chunk);
  });
}

template <class Cell, class V>
void rnn_gradients(const RnnBackward<typename V::scalar>& backward, index chunk,
                   const Worker& worker) noexcept {
  ChunkGradients<Cell, V>(backward, worker).run(chunk);
}
