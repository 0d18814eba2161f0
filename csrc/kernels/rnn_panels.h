// How the weights of a cell are packed, and the arithmetic of the sizes.
//
// A panel is a group of units whose accumulators fill a register tile: [accumulator][tile of units][L]. Four
// vectors wide for LSTM and GRU (one tile of L units) and for SimpleRNN (four tiles). Units past the last one
// are zeros. In the last panel they may fill whole vectors, which nobody computes: those of SimpleRNN, and
// those of LSTM and GRU, as the accumulators lie closer there (of a GRU where a product can leave lanes out,
// as none of its products feeds them all). Backward the gradients of the sums lie closer as well.
#pragma once

#include "kernels/tile.h"

/// The shape of a panel of `Cell`, all known when compiling. Positions are vectors inside a panel unless
/// named otherwise.
template <class Cell, class V, int kUnitTiles = 4 / Cell::kInfo.accumulators>
struct Panel {
  using Scalar = typename V::scalar;
  static constexpr int kLanes = V::kLanes;
  static constexpr int kAccumulators = Cell::kInfo.accumulators;
  static constexpr int kTiles = kUnitTiles;  // tiles of L units: 4, 2, 1, 1 for 1 .. 4 accumulators
  static constexpr int kVectors = kAccumulators * kTiles;
  static constexpr int kRows = tile_rows<V>(kVectors);
  static constexpr int kPhases = Cell::kInfo.phases;
  static constexpr int kInputBegin = Cell::kInfo.input.begin * kTiles;
  static constexpr int kInputEnd = Cell::kInfo.input.end * kTiles;
  static constexpr index kUnits = kTiles * kLanes;
  static constexpr index kWidth = kVectors * kLanes;
  static constexpr index kKeptWidth = Cell::kInfo.kept * kUnits;
  static constexpr index kInputWidth = (kInputEnd - kInputBegin) * kLanes;
  static constexpr index kColumns = 4 * kLanes;  // columns of a panel of the transposed weights

  // Rows of the left operand of a transposed product that are gathered at a time, and how much of each: they
  // stay in the second cache while the columns pass, if there are at least so many panels of them.
  static constexpr index kGatheredRows = 96;
  static constexpr index kGatheredDepth = 512;
  static constexpr index kGatheredColumns = 4;

  static constexpr int state_begin(int phase) { return Cell::kInfo.state[phase].begin * kTiles; }
  static constexpr int state_end(int phase) { return Cell::kInfo.state[phase].end * kTiles; }
  static constexpr index state_width(int phase) {
    return phase < kPhases ? (state_end(phase) - state_begin(phase)) * kLanes : 0;
  }
  /// The vectors that a phase computes: all of them, or those before and from the second product.
  static constexpr int phase_begin(int phase) { return phase == 0 ? 0 : state_begin(1); }
  static constexpr int phase_end(int phase) { return kPhases == 2 && phase == 0 ? state_begin(1) : kVectors; }

  /// Whether the gradients of the sums of a last panel lie closer: each accumulator a quarter of the vectors
  /// that are left, where nothing is added to them in a second phase.
  static constexpr bool kClosesGradients =
      kAccumulators == 4 && kTiles == 1 && kLanes % 4 == 0 && kPhases == 1;
  /// Whether all of the sums take part in every product. One that only some take part in would meet the
  /// others with weights of zero, and zero times infinity is NaN.
  static constexpr bool kSumsAll =
      kInputBegin == 0 && kInputEnd == kVectors && state_begin(0) == 0 && state_end(0) == kVectors;
  /// Whether the sums themselves lie closer: where they all take part, or a product can leave lanes out.
  static constexpr bool kCloses = kClosesGradients && (kSumsAll || V::kFmaOfLanes);
  /// Whether they do so in a panel of which so many vectors are computed.
  static constexpr bool lies_closer(int vectors) { return kCloses && vectors < kVectors; }
  /// Whether products leave lanes of it out.
  static constexpr bool leaves_lanes_out(int vectors) { return lies_closer(vectors) && !kSumsAll; }
  /// The first lane of an accumulator of such a panel.
  static constexpr int first_lane(int accumulator, int vectors) { return accumulator * vectors * kLanes / 4; }
  static constexpr bool kNarrows = kCloses || kAccumulators == 1;

  static index panels(const RnnSizes& sizes) { return (sizes.units + kUnits - 1) / kUnits; }
  /// Units of a panel that the cell computes, `left` being those from its first on: whole tiles.
  static index computed_units(index left) { return kTiles > 1 && kNarrows && left < kUnits ? left : kUnits; }
  /// Vectors of such a panel that are computed.
  static index computed_vectors(index left) { return kNarrows ? filled_vectors(left) : kVectors; }
  /// Calls function(Constant<vectors>) with those.
  template <class Function>
  TIMELOOM_INLINE static void with_vectors(index left, Function&& function) noexcept {
    with_rows<kVectors, kNarrows ? 1 : kVectors>(computed_vectors(left), function);
  }
  /// Elements from an accumulator of such a panel to the next, `left` as above.
  static index accumulator_distance(index left) { return kCloses ? closer_distance(left) : kUnits; }
  /// The same for the gradients of the sums.
  static index gradient_distance(index left) { return kClosesGradients ? closer_distance(left) : kUnits; }
  /// Of the gradients of `count` accumulators of the last panel, how many lie behind its last unit.
  static index empty_gradients(const RnnSizes& sizes, index count) {
    const index left = sizes.units - (panels(sizes) - 1) * kUnits;
    if (count == 0 || !(kClosesGradients || kNarrows)) return 0;
    return count * kUnits - (count - 1) * gradient_distance(left) - left;
  }
  /// Whether dx of a row is a dot product for each of F features over K sums: K / L multiply-adds and a sum
  /// of lanes worth 16, beside K and what a tile begins and ends with, worth 32, for the one vector that so
  /// few features would fill. It must take less than three quarters of that.
  static bool dots_input(const RnnSizes& sizes) {
    const index sums = panels(sizes) * kInputWidth - empty_gradients(sizes, kInputWidth / kUnits);
    return 4 * sizes.features * (sums + 16 * kLanes) < 3 * kLanes * (sums + 32);
  }
  static index padded_units(const RnnSizes& sizes) {
    return (panels(sizes) * kUnits + kColumns - 1) / kColumns * kColumns;
  }
  /// A row of states that steps keep: no wider than it must be, as there are many.
  static index state_width(const RnnSizes& sizes, bool by_gate) {
    return by_gate ? padded_units(sizes) : panels(sizes) * kUnits;
  }
  /// Backward workspace of a thread: sums of an outer product, or gathered rows.
  static index scratch(const RnnSizes& sizes) {
    const index most = sizes.features > sizes.units ? sizes.features : sizes.units;
    const index outer = most * (kWidth > kColumns ? kWidth : kColumns);
    if (column_panels(most) < kGatheredColumns) return outer;
    const index depth = panels(sizes) * kWidth;
    const index gathered =
        kGatheredRows *
        row_distance<Scalar>(depth < kGatheredDepth + kWidth ? depth : kGatheredDepth + kWidth);
    return outer > gathered ? outer : gathered;
  }
  static index column_panels(index columns) { return (columns + kColumns - 1) / kColumns; }

  // Forward weights: bias [P][width], input [P][F, input width], state by phase [P][U, state width]. A step
  // reads those of the state from end to end.
  static index bias_offset(index panel) { return panel * kWidth; }
  static index input_offset(const RnnSizes& sizes, index panel) {
    return panels(sizes) * kWidth + panel * sizes.features * kInputWidth;
  }
  static index state_offset(const RnnSizes& sizes, int phase, index panel) {
    return panels(sizes) * (kWidth + sizes.features * kInputWidth + phase * sizes.units * state_width(0)) +
           panel * sizes.units * state_width(phase);
  }
  static index weights_size(const RnnSizes& sizes) {
    return panels(sizes) *
           (kWidth + sizes.features * kInputWidth + sizes.units * (state_width(0) + state_width(1)));
  }

  // Transposed weights: by phase [panels of units][P * state width][4L], then [panels of features][P * input
  // width][4L] or, of few features, [F][P * input width].
  static index transposed_state_panel(const RnnSizes& sizes, int phase) {
    return panels(sizes) * state_width(phase) * kColumns;
  }
  static index transposed_state_offset(const RnnSizes& sizes, int phase) {
    return phase == 0 ? 0 : column_panels(sizes.units) * transposed_state_panel(sizes, 0);
  }
  static index transposed_input_panel(const RnnSizes& sizes) {
    return panels(sizes) * kInputWidth * kColumns;
  }
  static index transposed_input_offset(const RnnSizes& sizes) {
    return column_panels(sizes.units) * (transposed_state_panel(sizes, 0) + transposed_state_panel(sizes, 1));
  }
  static index transposed_size(const RnnSizes& sizes) {
    return transposed_input_offset(sizes) + column_panels(sizes.features) * transposed_input_panel(sizes);
  }

 private:
  /// Vectors that the accumulators of `left` units fill, one after the other.
  static index filled_vectors(index left) {
    const index units = left < kUnits ? left : kUnits;
    return (units * kAccumulators + kLanes - 1) / kLanes;
  }
  static index closer_distance(index left) { return first_lane(1, static_cast<int>(filled_vectors(left))); }
};

/// Where the gates have operands of their own a register tile is one accumulator of four tiles of units, and
/// the weights of an accumulator lie together: [accumulator][k][4 L].
template <class Cell, class V>
using GatePanel = Panel<Cell, V, 4>;

template <class Cell, class V>
void rnn_layout(const RnnSizes& sizes, bool by_gate, RnnLayout& layout) noexcept {
  using Shape = Panel<Cell, V>;
  layout.lanes = V::kLanes;
  layout.panels = Shape::panels(sizes);
  layout.panel_units = Shape::kUnits;
  layout.padded_units = Shape::padded_units(sizes);
  layout.state_width = Shape::state_width(sizes, by_gate);
  layout.kept_width = Shape::kKeptWidth;
  // A gate panel is one panel or a few: its sizes are at least those of the panels.
  using Gates = GatePanel<Cell, V>;
  layout.accumulator_row = Gates::panels(sizes) * Gates::kWidth;
  layout.packed_weights = Gates::weights_size(sizes);
  layout.packed_transposed = Gates::transposed_size(sizes);
  layout.input_distance = row_distance<typename V::scalar>(sizes.features);
  layout.state_distance = row_distance<typename V::scalar>(sizes.units);
  layout.thread_scratch = Shape::scratch(sizes);
}

/// Copies the columns that feed accumulators [begin, end) of one panel: target [rows][(end - begin) * units
/// of a panel], the accumulators one after the other, zeros where there is none.
template <class Shape, class Scalar>
void pack_columns(Scalar* target, const Scalar* source, index rows, index units, int gates,
                  const int* gate_of, int begin, int end, index panel) noexcept {
  const index first = panel * Shape::kUnits;
  const index filled = units - first < Shape::kUnits ? units - first : Shape::kUnits;
  const index distance = Shape::accumulator_distance(units - first);
  const index width = (end - begin) * Shape::kUnits;
  const int place = distance < Shape::kUnits ? 0 : begin;  // closer, they lie as their sums do
  for (index row = 0; row < rows; ++row) {
    if (filled < Shape::kUnits) {
      for (index at = 0; at < width; ++at) target[at] = 0;
    }
    for (int accumulator = begin; accumulator < end; ++accumulator) {
      const Scalar* from = source + row * gates * units + gate_of[accumulator] * units + first;
      Scalar* to = target + (accumulator - place) * distance;
      if (filled == Shape::kUnits) {  // a known number: a few vectors
        for (index unit = 0; unit < Shape::kUnits; ++unit) to[unit] = from[unit];
      } else {
        for (index unit = 0; unit < filled; ++unit) to[unit] = from[unit];
      }
    }
    target += width;
  }
}

/// The same, or the columns of each accumulator together.
template <class Shape, bool kByGate, class Scalar>
void pack_range(Scalar* target, const Scalar* source, index rows, index units, int gates, const int* gate_of,
                AccumulatorRange range, index panel) noexcept {
  if constexpr (kByGate) {
    for (int a = range.begin; a < range.end; ++a) {
      pack_columns<Shape>(target + (a - range.begin) * rows * Shape::kUnits, source, rows, units, gates,
                          gate_of, a, a + 1, panel);
    }
  } else {
    pack_columns<Shape>(target, source, rows, units, gates, gate_of, range.begin, range.end, panel);
  }
}

/// Packs kernel, recurrent_kernel and bias for the forward products. An accumulator that two bias rows feed
/// starts from their sum.
template <class Cell, class Shape, bool kByGate, class Scalar>
void pack_panels(const RnnPacking<Scalar>& packing, const Worker& worker) noexcept {
  constexpr CellInfo info = Cell::kInfo;
  const RnnSizes& sizes = packing.sizes;
  constexpr int row_gates = info.input_gates > info.state_gates ? info.input_gates : info.state_gates;
  const Share share = share_of(Shape::panels(sizes), worker);
  for (index panel = share.begin; panel < share.end; ++panel) {
    Scalar* bias = packing.packed + Shape::bias_offset(panel);
    const index distance = Shape::accumulator_distance(sizes.units - panel * Shape::kUnits);
    for (index column = 0; column < Shape::kWidth; ++column) {
      const index accumulator = column / distance;
      const index unit = panel * Shape::kUnits + column % distance;
      Scalar start = 0;
      if (packing.bias && accumulator < Shape::kAccumulators && unit < sizes.units) {
        const int input_gate = info.input_gate[accumulator];
        const int state_gate = info.state_gate[accumulator];
        if (input_gate >= 0) start += packing.bias[input_gate * sizes.units + unit];
        if (info.bias_rows == 2 && state_gate >= 0) {
          start += packing.bias[(row_gates + state_gate) * sizes.units + unit];
        }
      }
      bias[column] = start;
    }
    pack_range<Shape, kByGate>(packing.packed + Shape::input_offset(sizes, panel), packing.kernel,
                               sizes.features, sizes.units, info.input_gates, info.input_gate, info.input,
                               panel);
    for (int phase = 0; phase < info.phases; ++phase) {
      pack_range<Shape, kByGate>(packing.packed + Shape::state_offset(sizes, phase, panel),
                                 packing.recurrent_kernel, sizes.units, sizes.units, info.state_gates,
                                 info.state_gate, info.state[phase], panel);
    }
  }
}

template <class Cell, class V>
void rnn_pack(const RnnPacking<typename V::scalar>& packing, const Worker& worker) noexcept {
  if (packing.by_gate) {
    pack_panels<Cell, GatePanel<Cell, V>, true>(packing, worker);
  } else {
    pack_panels<Cell, Panel<Cell, V>, false>(packing, worker);
  }
}

/// One panel of transposed weights: target [P * (end - begin) * units of a panel][4L] holds
/// source[column][gate, unit]. Where gradients of the last panel lie closer, what is behind them is not
/// written, nor read by any product.
template <class Shape, class Scalar>
void pack_transposed_panel(Scalar* target, const Scalar* source, index rows, index panels, index units,
                           int gates, const int* gate_of, int begin, int end, index column_panel) noexcept {
  constexpr int kTogether = least(8, Shape::kColumns);  // more rows may lie in each other's way in L1
  const index first = column_panel * Shape::kColumns;
  const index filled = rows - first < Shape::kColumns ? rows - first : Shape::kColumns;
  for (index panel = 0; panel < panels; ++panel) {
    const index unit = panel * Shape::kUnits;
    const index lanes = units - unit < Shape::kUnits ? units - unit : Shape::kUnits;
    const index next = Shape::gradient_distance(units - unit) * Shape::kColumns;
    for (int accumulator = begin; accumulator < end; ++accumulator) {
      const index distance = gates * units;
      Scalar* const of_accumulator = target + (accumulator - begin) * next;
      const index block = first * distance + gate_of[accumulator] * units + unit;
      for (index column = 0; column < Shape::kColumns; column += kTogether) {
        const bool whole = column + kTogether <= filled && lanes == Shape::kUnits;
        for (index lane = 0; lane < Shape::kUnits; ++lane) {
          const index from = block + column * distance + lane;
          Scalar* to = of_accumulator + lane * Shape::kColumns + column;
          if (whole) {
            TIMELOOM_UNROLL
            for (int i = 0; i < kTogether; ++i) to[i] = source[from + i * distance];
          } else {
            for (int i = 0; i < kTogether; ++i) {
              to[i] = lane < lanes && column + i < filled ? source[from + i * distance] : 0;
            }
          }
        }
      }
    }
    target += (end - begin) * Shape::kUnits * Shape::kColumns;
  }
}

/// The weights of few inputs for dot products with the gradients of the sums: target [F][P][input width],
/// each panel as those lie in it, with zeros between the accumulators of a last one where they lie closer.
template <class Cell, class Shape, class Scalar>
void pack_dots(Scalar* target, const RnnPacking<Scalar>& packing, const Worker& worker) noexcept {
  constexpr CellInfo info = Cell::kInfo;
  const RnnSizes& sizes = packing.sizes;
  const index panels = Shape::panels(sizes);
  const Share share = share_of(sizes.features, worker);
  for (index feature = share.begin; feature < share.end; ++feature) {
    const Scalar* const source = packing.kernel + feature * info.input_gates * sizes.units;
    for (index panel = 0; panel < panels; ++panel) {
      const index first = panel * Shape::kUnits;
      const index filled = sizes.units - first < Shape::kUnits ? sizes.units - first : Shape::kUnits;
      const index distance = Shape::gradient_distance(sizes.units - first);
      Scalar* const of_panel = target + (feature * panels + panel) * Shape::kInputWidth;
      for (index at = 0; at < Shape::kInputWidth; ++at) of_panel[at] = 0;
      for (int a = info.input.begin; a < info.input.end; ++a) {
        const Scalar* const from = source + info.input_gate[a] * sizes.units + first;
        Scalar* const to = of_panel + (a - info.input.begin) * distance;
        for (index unit = 0; unit < filled; ++unit) to[unit] = from[unit];
      }
    }
  }
}

/// Packs kernel and recurrent_kernel for the products of backward: state gradients and dx.
template <class Cell, class Shape, bool kByGate, class Scalar>
void pack_transposed_panels(const RnnPacking<Scalar>& packing, const Worker& worker) noexcept {
  constexpr CellInfo info = Cell::kInfo;
  const RnnSizes& sizes = packing.sizes;
  const index panels = Shape::panels(sizes);
  const Share unit_share = share_of(Shape::column_panels(sizes.units), worker);
  for (int phase = 0; phase < info.phases; ++phase) {
    for (index column_panel = unit_share.begin; column_panel < unit_share.end; ++column_panel) {
      pack_transposed_panel<Shape>(packing.packed + Shape::transposed_state_offset(sizes, phase) +
                                       column_panel * Shape::transposed_state_panel(sizes, phase),
                                   packing.recurrent_kernel, sizes.units, panels, sizes.units,
                                   info.state_gates, info.state_gate, info.state[phase].begin,
                                   info.state[phase].end, column_panel);
    }
  }
  if constexpr (!kByGate) {
    if (Shape::dots_input(sizes)) {
      pack_dots<Cell, Shape>(packing.packed + Shape::transposed_input_offset(sizes), packing, worker);
      return;
    }
  }
  const Share feature_share = share_of(Shape::column_panels(sizes.features), worker);
  for (index column_panel = feature_share.begin; column_panel < feature_share.end; ++column_panel) {
    pack_transposed_panel<Shape>(packing.packed + Shape::transposed_input_offset(sizes) +
                                     column_panel * Shape::transposed_input_panel(sizes),
                                 packing.kernel, sizes.features, panels, sizes.units, info.input_gates,
                                 info.input_gate, info.input.begin, info.input.end, column_panel);
  }
}

template <class Cell, class V>
void rnn_pack_transposed(const RnnPacking<typename V::scalar>& packing, const Worker& worker) noexcept {
  if (packing.by_gate) {
    pack_transposed_panels<Cell, GatePanel<Cell, V>, true>(packing, worker);
  } else {
    pack_transposed_panels<Cell, Panel<Cell, V>, false>(packing, worker);
  }
}
