// The gradients of weights and bias: sums over the gathered rows of a chunk.
#pragma once

#include "kernels/outer.h"
#include "kernels/rnn_input_gradient.h"

/// Whether each of `gates` blocks of columns of the weights feeds one accumulator of the ranges, so that a
/// chunk may overwrite its gradients.
constexpr bool each_gate_feeds_one(int gates, const int (&gate_of)[kMaxAccumulators],
                                   const AccumulatorRange* ranges, int count) {
  for (int gate = 0; gate < gates; ++gate) {
    int fed = 0;
    for (int range = 0; range < count; ++range) {
      for (int a = ranges[range].begin; a < ranges[range].end; ++a) fed += gate_of[a] == gate;
    }
    if (fed != 1) return false;
  }
  return true;
}

template <class Cell, class V>
class WeightGradients : protected InputGradient<Cell, V> {
 protected:
  using Products = InputGradient<Cell, V>;
  using Products::backward_, Products::count_, Products::features_, Products::fresh_, Products::panels_,
      Products::shared_;
  using Products::d_gate_offset, Products::d_sums_of_chunk, Products::input_rows, Products::state_rows;
  using Products::input_distance_, Products::state_distance_;
  using Products::InputGradient;
  using Products::panel_stride_, Products::row_stride_;
  using Products::scratch, Products::units_, Products::worker_;
  using typename Products::Gates;
  using typename Products::Scalar;
  using typename Products::Shape;

  static_assert(each_gate_feeds_one(Cell::kInfo.input_gates, Cell::kInfo.input_gate, &Cell::kInfo.input, 1) &&
                    each_gate_feeds_one(Cell::kInfo.state_gates, Cell::kInfo.state_gate, Cell::kInfo.state,
                                        Cell::kInfo.phases),
                "a block of columns of the weights feeds one accumulator");

  /// dW += x^T d sums, dU += h^T d sums, db += d sums over the gathered rows; the first chunk that is walked
  /// overwrites dW and dU.
  void weight_gradients() noexcept {
    if (shared_.path.by_gate) {
      weight_gradients_by_gate();
    } else {
      outer<Shape::kInputBegin, Shape::kInputEnd>(input_rows(0), input_distance_, features_,
                                                  backward_.d_kernel, Cell::kInfo.input_gates,
                                                  Cell::kInfo.input_gate);
      outer<Shape::state_begin(0), Shape::state_end(0)>(state_rows(0), state_distance_, units_,
                                                        backward_.d_recurrent_kernel, Cell::kInfo.state_gates,
                                                        Cell::kInfo.state_gate);
      if constexpr (Shape::kPhases == 2) {
        outer<Shape::state_begin(1), Shape::state_end(1)>(backward_.operand_rows, state_distance_, units_,
                                                          backward_.d_recurrent_kernel,
                                                          Cell::kInfo.state_gates, Cell::kInfo.state_gate);
      }
    }
    if (backward_.d_bias) bias_gradient();
  }

  void weight_gradients_by_gate() noexcept {
    for (int a = Cell::kInfo.input.begin; a < Cell::kInfo.input.end; ++a) {
      const int gate = Cell::kInfo.input_gate[a];
      outer_of_gate(input_rows(shared_.input_dropout ? gate : 0), input_distance_, features_,
                    backward_.d_kernel, Cell::kInfo.input_gates, gate, a);
    }
    for (int phase = 0; phase < Shape::kPhases; ++phase) {
      for (int a = Cell::kInfo.state[phase].begin; a < Cell::kInfo.state[phase].end; ++a) {
        const int gate = Cell::kInfo.state_gate[a];
        const Scalar* rows =
            phase == 1 ? backward_.operand_rows : state_rows(shared_.recurrent_dropout ? gate : 0);
        outer_of_gate(rows, state_distance_, units_, backward_.d_recurrent_kernel, Cell::kInfo.state_gates,
                      gate, a);
      }
    }
  }

  /// result[columns, gates * U] += rows^T d sums for vectors [begin, end) of every panel, or those of them
  /// that are computed.
  template <int kBegin, int kEnd>
  void outer(const Scalar* rows, index distance, index columns, Scalar* result, int gates,
             const int* gate_of) noexcept {
    if constexpr (kEnd > kBegin) {
      constexpr index kSums = (kEnd - kBegin) / Shape::kTiles;
      const index last = panels_ - 1;
      const index computed = kEnd - kBegin - Shape::empty_gradients(shared_.sizes, kSums) / V::kLanes;
      const bool closer = this->gradient_distance(last * Shape::kUnits) < Shape::kUnits;
      const bool narrow = closer || computed < kEnd - kBegin;
      outer_of_panels<kBegin, kEnd>({0, panels_ - narrow}, rows, distance, columns, result, gates, gate_of);
      if (!narrow) return;
      if constexpr (Shape::kClosesGradients) {
        with_rows<least(kEnd - kBegin, Shape::kVectors - 1)>(computed, [&](auto vectors) {
          outer_of_closer_panel<kBegin, kSums, decltype(vectors)::value>(rows, distance, columns, result,
                                                                         gates, gate_of);
        });
      } else if constexpr (Shape::kNarrows) {
        with_rows<kEnd - kBegin - 1>(computed, [&](auto vectors) {
          outer_of_panels<kBegin, kBegin + decltype(vectors)::value>({last, panels_}, rows, distance, columns,
                                                                     result, gates, gate_of);
        });
      }
    }
  }

  /// The same for a last panel whose vectors hold several accumulators each, from that of vector `kBegin` on:
  /// summed in the scratch, then added accumulator by accumulator. Both divide the columns alike. Lanes
  /// behind the last sum may hold anything: they end in sums that nobody takes.
  template <int kBegin, int kSums, int kVectors>
  void outer_of_closer_panel(const Scalar* rows, index distance, index columns, Scalar* result, int gates,
                             const int* gate_of) noexcept {
    constexpr index kWidth = kVectors * V::kLanes;
    const index last = panels_ - 1;
    const index unit = last * Shape::kUnits;
    const index count = units_ - unit;
    Scalar* const sums = scratch();
    outer_product<kVectors, V>(
        rows, distance, columns, d_sums_of_chunk(last, 0) + this->template first_sum<kBegin>(last),
        panel_stride_, Shape::kWidth, 1, count_, true, sums, worker_, [=](index, index column, int v) {
          return Lanes<Scalar>{sums + column * kWidth + v * V::kLanes, V::kLanes};
        });
    for_lines(1, columns, worker_, [&](index, Share own) {
      for (index column = own.begin; column < own.end; ++column) {
        for (int a = 0; a < kSums; ++a) {
          Scalar* const target = result + (column * gates + gate_of[kBegin + a]) * units_ + unit;
          const V sum = load_lanes<V>(sums + column * kWidth + a * this->gradient_distance(unit), count);
          const V before = fresh_ ? V::zero() : load_lanes<V>(target, count);
          store_lanes(before + sum, target, count);
        }
      }
    });
  }

  template <int kBegin, int kEnd>
  void outer_of_panels(Share panels, const Scalar* rows, index distance, index columns, Scalar* result,
                       int gates, const int* gate_of) noexcept {
    const index units = units_;
    outer_product<kEnd - kBegin, V>(
        rows, distance, columns, d_sums_of_chunk(panels.begin, 0) + kBegin * V::kLanes, panel_stride_,
        Shape::kWidth, panels.end - panels.begin, count_, fresh_, scratch(), worker_,
        [=](index at, index column, int v) {
          const int accumulator = (kBegin + v) / Shape::kTiles;
          const index unit = (panels.begin + at) * Shape::kUnits + (kBegin + v) % Shape::kTiles * V::kLanes;
          return Lanes<Scalar>{result + column * gates * units + gate_of[accumulator] * units + unit,
                               units - unit};
        });
  }

  /// The same for one accumulator of the gate panels.
  void outer_of_gate(const Scalar* rows, index distance, index columns, Scalar* result, int gates, int gate,
                     int accumulator) noexcept {
    const index units = units_;
    outer_product<4, V>(rows, distance, columns, backward_.d_accumulators + d_gate_offset(0, accumulator, 0),
                        d_gate_offset(1, 0, 0), Gates::kUnits, Gates::panels(shared_.sizes), count_, fresh_,
                        scratch(), worker_, [=](index gates_at, index column, int v) {
                          const index unit = gates_at * Gates::kUnits + v * V::kLanes;
                          return Lanes<Scalar>{result + (column * gates + gate) * units + unit, units - unit};
                        });
  }

  void bias_gradient() noexcept {
    constexpr int row_gates =
        Cell::kInfo.input_gates > Cell::kInfo.state_gates ? Cell::kInfo.input_gates : Cell::kInfo.state_gates;
    const Share share = share_of(panels_ * Shape::kVectors, worker_);
    for (index item = share.begin; item < share.end; ++item) {
      const index panel = item / Shape::kVectors;
      const int v = static_cast<int>(item % Shape::kVectors);
      const int accumulator = v / Shape::kTiles;
      const index unit = panel * Shape::kUnits + v % Shape::kTiles * V::kLanes;
      if (unit >= units_) continue;
      const Scalar* source = d_sums_of_chunk(panel, 0) +
                             accumulator * this->gradient_distance(panel * Shape::kUnits) +
                             v % Shape::kTiles * V::kLanes;
      V sum = V::zero();
      for (index at = 0; at < count_; ++at) sum = sum + V::load(source + at * row_stride_);
      const int input_gate = Cell::kInfo.input_gate[accumulator];
      const int state_gate = Cell::kInfo.state_gate[accumulator];
      if (input_gate >= 0) add_bias(backward_.d_bias + input_gate * units_ + unit, sum, units_ - unit);
      if (Cell::kInfo.bias_rows == 2 && state_gate >= 0) {
        add_bias(backward_.d_bias + (row_gates + state_gate) * units_ + unit, sum, units_ - unit);
      }
    }
  }

  static void add_bias(Scalar* target, const V& sum, index count) noexcept {
    store_lanes(load_lanes<V>(target, count) + sum, target, count);
  }
};
