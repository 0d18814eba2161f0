#include "runtime/recurrent_sizes.h"

#include <algorithm>

namespace timeloom {
namespace {

constexpr index kLeastGathered = 32;  // features: fewer, or rows of unequal lengths, are read where they lie

/// Operands of the products: one for all gates, or one for each.
index input_operands(const CellInfo& info, const RecurrentTraits& traits) {
  return traits.input_dropout ? info.input_gates : 1;
}
index state_operands(const CellInfo& info, const RecurrentTraits& traits) {
  return traits.recurrent_dropout ? info.state_gates : 1;
}

}  // namespace

template <typename Scalar>
ForwardSizes forward_sizes(const RnnKernels<Scalar>& cell, const RnnLayout& layout, const SequenceRows& rows,
                           const RowHalves& halves, const RecurrentTraits& traits, const RnnPath& path,
                           bool keep, bool sequence) {
  const CellInfo& info = *cell.info;
  const index places = halves.places;
  const index chunk_rows = rows.plan().chunk_rows;
  const index steps_kept = keep ? rows.total() : places;
  ForwardSizes sizes{};
  sizes.packed = layout.packed_weights;
  if (!sequence) {
    sizes.history = (rows.dense() && !keep ? 2 * places : rows.total()) * traits.units;
  }
  for (int which = 1; which < info.states; ++which) {
    sizes.states[which] = (keep ? places + rows.total() : places) * layout.state_width;
  }
  const bool keeps_values = keep && (traits.zoned || !cell.output_suffices(traits.activation));
  if (info.kept > 0 && (keeps_values || info.phases == 2)) {
    sizes.kept = steps_kept * layout.panels * layout.kept_width;
  }
  if (info.phases == 2) sizes.operand = steps_kept * layout.state_distance;
  if (path.separate || path.state_block < traits.units) {
    sizes.accumulators = chunk_rows * layout.accumulator_row;
  }
  if (traits.input_dropout || (rows.dense() && traits.features >= kLeastGathered)) {
    sizes.input_rows = input_operands(info, traits) * chunk_rows * layout.input_distance;
  }
  sizes.state_rows = 2 * state_operands(info, traits) * places * layout.state_distance;
  return sizes;
}

WeightSizes weight_sizes(const CellInfo& info, index features, index units) {
  const index gates = std::max(info.input_gates, info.state_gates);
  return {features * info.input_gates * units, units * info.state_gates * units,
          info.bias_rows * gates * units};
}

StrandSizes strand_sizes(const CellInfo& info, index features, index units, index element_bytes) {
  const WeightSizes sizes = weight_sizes(info, features, units);
  return {(sizes.kernel + sizes.recurrent_kernel) * element_bytes,
          std::max<index>(info.accumulators * units, 1) * element_bytes};
}

template <typename Scalar>
BackwardSizes backward_sizes(const CellInfo& info, const RnnLayout& layout, const Strands& strands,
                             index places, const RecurrentTraits& traits, const RnnPlan& plan) {
  const index chunk_rows = strands.plan().chunk_rows;
  const index at_once = walk_over(strands, plan).at_once;
  const auto apart = [](index count, index each, index element_bytes) {
    return each > 0 && count > 1 ? each + kApartBytes / element_bytes : each;
  };
  const auto of_strand = [&](index each) { return apart(at_once, each, sizeof(Scalar)); };
  BackwardSizes sizes{};
  sizes.packed = layout.packed_transposed;
  sizes.scratch = apart(plan.crew.threads, layout.thread_scratch, sizeof(Scalar));
  sizes.d_state = places * layout.padded_units;
  if (info.phases == 2) sizes.d_operand = sizes.d_state;
  if (strands.count() > 1) sizes.gradients = weight_sizes(info, traits.features, traits.units).all();
  sizes.accumulators = of_strand(chunk_rows * layout.accumulator_row);
  sizes.sources = apart(at_once, 2 * chunk_rows, sizeof(index));
  sizes.input_rows = of_strand(input_operands(info, traits) * chunk_rows * layout.input_distance);
  sizes.state_rows = of_strand(state_operands(info, traits) * chunk_rows * layout.state_distance);
  if (info.phases == 2) sizes.operand_rows = of_strand(chunk_rows * layout.state_distance);
  return sizes;
}

#define TIMELOOM_SIZES(Scalar)                                                                               \
  template ForwardSizes forward_sizes<Scalar>(const RnnKernels<Scalar>&, const RnnLayout&,                   \
                                              const SequenceRows&, const RowHalves&, const RecurrentTraits&, \
                                              const RnnPath&, bool, bool);                                   \
  template BackwardSizes backward_sizes<Scalar>(const CellInfo&, const RnnLayout&, const Strands&, index,    \
                                                const RecurrentTraits&, const RnnPlan&);
TIMELOOM_SIZES(float)
TIMELOOM_SIZES(double)
#undef TIMELOOM_SIZES

}  // namespace timeloom
