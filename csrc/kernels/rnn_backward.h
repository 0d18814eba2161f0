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
  using Base::d_state, Base::d_sums, Base::for_columns, Base::output, Base::own_rows, Base::previous_output,
      Base::state;
  using typename Base::Scalar;
  using typename Base::Shape;

 public:
  BackwardPass(const RnnBackward<Scalar>& backward, const Pair& pair, const Worker& worker) noexcept
      : Base(backward, worker), pair_(pair) {}

  void run(index chunk) noexcept {
    this->open_chunk(chunk);
    const index begin = shared_.plan.chunk_begin[chunk];
    const index last = shared_.plan.chunk_begin[chunk + 1] - 1;
    for_columns(false, [&](Share columns) { cell_of_step(columns, last); });
    for (index step = last; step >= begin; --step) {
      const bool odd = step & 1;
      if constexpr (Shape::kPhases == 2) {
        for_columns(!odd, [&](Share columns) {
          multiply_phase<1>(columns, step);
          this->for_units(columns, 0, own_rows(step),
                          [&](index panel, index row) { operand_backward(panel, row, step); });
        });
      }
      // The cell of the step before asks for nothing but the sums of its own units.
      for_columns(odd, [&](Share columns) {
        multiply_phase<0>(columns, step);
        if (step > begin) cell_of_step(columns, step - 1);
      });
    }
    this->gather_rows(chunk);
  }

 private:
  void cell_of_step(Share columns, index step) noexcept {
    this->add_upstream(columns, step);
    const Share panels = this->panels_of(columns);
    for (index panel = panels.begin; panel < panels.end; ++panel) {
      this->for_halves(0, own_rows(step),
                       [=](index first, index rows) { cell_backward(panel, step, first, rows); });
    }
  }

  template <int kPhase>
  void multiply_phase(Share columns, index step) noexcept {
    if (shared_.path.by_gate) {
      this->template multiply_transposed_by_gate<kPhase>(columns, step);
    } else {
      this->template multiply_transposed<kPhase>(columns, step);
    }
  }

  /// Units past the last one get zeros whatever the cell made of them: the products read them too, and zero
  /// times NaN is NaN. The next accumulator may lie where they end.
  static void store_d_sum(const V& d_sum, Scalar* target, index count) noexcept {
    if (count < V::kLanes) V::zero().store(target);
    store_lanes(d_sum, target, count);
  }

  void load_unit(index panel, index row, index step, int tile, V* keep, V* old) const noexcept {
    const index unit = panel * Shape::kUnits + tile * V::kLanes;
    const Scalar* source = backward_.kept + this->kept_offset(panel, row, step) + tile * V::kLanes;
    TIMELOOM_UNROLL
    for (int value = 0; value < Cell::kInfo.kept; ++value)
      keep[value] = V::load(source + value * Shape::kUnits);
    old[0] = load_lanes<V>(previous_output(row, step) + unit, units_ - unit);
    TIMELOOM_UNROLL
    for (int which = 1; which < Cell::kInfo.states; ++which)
      old[which] = V::load(state(which, row, step) + unit);
  }

  /// Where a row has what the cell reads and writes of a panel, from the panel's first unit on.
  struct Place {
    index row;
    const Scalar* kept;  // or the output, where that is all a cell keeps
    const Scalar* old_output;
    const Scalar* old_states[kMaxStates];
    Scalar* d_states[kMaxStates];
    Scalar* d_sums;
  };

  bool keeps_output() const noexcept { return Cell::kInfo.output_is_kept && !backward_.kept; }

  TIMELOOM_INLINE Place place(index panel, index row, index step) const noexcept {
    const index unit = panel * Shape::kUnits;
    Place at;
    at.row = row;
    at.kept =
        keeps_output() ? output(row, step) + unit : backward_.kept + this->kept_offset(panel, row, step);
    at.old_output = previous_output(row, step) + unit;
    at.d_sums = d_sums(panel, row, step);
    TIMELOOM_UNROLL
    for (int which = 0; which < Cell::kInfo.states; ++which) {
      if (which > 0) at.old_states[which] = state(which, row, step) + unit;
      at.d_states[which] = d_state(which, row) + unit;
    }
    return at;
  }

  /// The cell on own rows [first, first + rows) of a panel, two side by side. What lies as far from row to
  /// row all along is not computed anew for each.
  TIMELOOM_NOINLINE void cell_backward(index panel, index step, index first, index rows) noexcept {
    const index unit = panel * Shape::kUnits;
    const bool scattered = this->step_begin_;  // rows of outputs lie anywhere
    const index ahead = 2 * this->own_.stride;
    const index output_distance = ahead * backward_.outputs.row_stride;
    const index old_output_distance = step == 0 ? ahead * units_ : output_distance;
    const index kept_distance = keeps_output() ? output_distance : ahead * Shape::kKeptWidth;
    const index state_distance = ahead * this->state_width_;
    const index d_state_distance = ahead * padded_units_;
    const index d_sums_distance = 2 * this->chunk_stride() * this->row_stride_;
    const index last = this->own_.row(first + rows - 1);
    Place at[2];
    at[0] = place(panel, this->own_.row(first), step);
    at[1] = rows > 1 ? place(panel, this->own_.row(first + 1), step) : at[0];
    index done = 0;
    for (; done + 2 <= rows; done += 2) {
      differentiate<Twin<V>>(at, unit, step);
      TIMELOOM_UNROLL
      for (int part = 0; part < 2; ++part) {
        Place& here = at[part];
        here.row += ahead;
        here.d_sums += d_sums_distance;
        TIMELOOM_UNROLL
        for (int which = 0; which < Cell::kInfo.states; ++which) {
          if (which > 0) here.old_states[which] += state_distance;
          here.d_states[which] += d_state_distance;
        }
        if (!scattered) {
          here.old_output += old_output_distance;
        } else if (here.row <= last) {
          here.old_output = previous_output(here.row, step) + unit;
        }
        if (!scattered || !keeps_output()) {
          here.kept += kept_distance;
        } else if (here.row <= last) {
          here.kept = output(here.row, step) + unit;
        }
      }
    }
    if (done < rows) differentiate<V>(at, unit, step);
  }

  /// The cell on as many places as a W has parts, at the units from `first` on.
  template <class W>
  TIMELOOM_INLINE void differentiate(const Place* at, index first, index step) const noexcept {
    const index units = Shape::computed_units(units_ - first);
    const index distance = this->gradient_distance(first);
    for (int tile = 0; tile * V::kLanes < units; ++tile) {
      const index offset = tile * V::kLanes;
      const index count = units_ - first - offset;
      W keep[kMaxAccumulators], old[kMaxStates], d_next[kMaxStates], d_old[kMaxStates], carried[kMaxStates];
      W d_sum[kMaxAccumulators];
      if (keeps_output()) {
        keep[0] = from_parts<W>([&](int part) { return load_lanes<V>(at[part].kept + offset, count); });
      } else {
        TIMELOOM_UNROLL
        for (int value = 0; value < Cell::kInfo.kept; ++value) {
          keep[value] = from_parts<W>(
              [&](int part) { return V::load(at[part].kept + value * Shape::kUnits + offset); });
        }
      }
      old[0] = from_parts<W>([&](int part) { return load_lanes<V>(at[part].old_output + offset, count); });
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which) {
        if (which > 0) {
          old[which] = from_parts<W>([&](int part) { return V::load(at[part].old_states[which] + offset); });
        }
        d_next[which] = from_parts<W>([&](int part) { return V::load(at[part].d_states[which] + offset); });
        carried[which] = W::zero();
        if (this->zones(which)) {
          const W rate = from_parts<W>(
              [&](int part) { return this->zoneout(which, at[part].row, step, first + offset); });
          carried[which] = rate * d_next[which];
          d_next[which] = (W::broadcast(1) - rate) * d_next[which];
        }
      }
      if constexpr (Shape::kPhases == 2) {
        TIMELOOM_UNROLL
        for (int a = 0; a < Shape::kAccumulators; ++a) d_sum[a] = W::zero();
      }
      Cell::backward(pair_, keep, old, d_next, d_sum, d_old);
      TIMELOOM_UNROLL
      for (int which = 0; which < Cell::kInfo.states; ++which) {
        if (this->zones(which)) d_old[which] = d_old[which] + carried[which];
        for_parts(d_old[which], [&](int part, V value) { value.store(at[part].d_states[which] + offset); });
      }
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        for_parts(d_sum[a], [&](int part, V value) {
          store_d_sum(value, at[part].d_sums + a * distance + offset, count);
        });
      }
    }
  }

  TIMELOOM_NOINLINE void operand_backward(index panel, index row, index step) noexcept {
    for (int tile = 0; tile < Shape::kTiles; ++tile) {
      const index unit = panel * Shape::kUnits + tile * V::kLanes;
      Scalar* const target = d_sums(panel, row, step) + tile * V::kLanes;
      const index distance = this->gradient_distance(panel * Shape::kUnits);
      V keep[kMaxAccumulators], old[kMaxStates], d_old[kMaxStates], d_sum[kMaxAccumulators];
      load_unit(panel, row, step, tile, keep, old);
      d_old[0] = V::load(d_state(0, row) + unit);
      TIMELOOM_UNROLL
      for (int a = 0; a < Shape::kAccumulators; ++a) {
        d_sum[a] = V::load(target + a * distance);
      }
      V d_operand = V::load(backward_.d_operand + this->row_place(row) * padded_units_ + unit);
      if (shared_.recurrent_dropout) {
        constexpr int kGate = Cell::kInfo.state_gate[Cell::kInfo.state[1].begin];
        d_operand = d_operand * load_lanes<V>(this->state_factors(kGate, row) + unit, units_ - unit);
      }
      Cell::operand_backward(pair_, keep, old, d_operand, d_sum, d_old);
      d_old[0].store(d_state(0, row) + unit);
      // Those from the second product on are final, and other workers may still be reading them.
      TIMELOOM_UNROLL
      for (int a = 0; a < Cell::kInfo.state[1].begin; ++a) {
        store_d_sum(d_sum[a], target + a * distance, units_ - unit);
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
  with_pair<Cell, V>(backward.call.activation, backward.call.recurrent_activation, [&](auto pair) {
    BackwardPass<Cell, V, decltype(pair)>(backward, pair, worker).run(chunk);
  });
}

template <class Cell, class V>
void rnn_gradients(const RnnBackward<typename V::scalar>& backward, index chunk,
                   const Worker& worker) noexcept {
  ChunkGradients<Cell, V>(backward, worker).run(chunk);
}
