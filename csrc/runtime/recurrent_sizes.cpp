#include "runtime/recurrent_sizes.h"

namespace timeloom {

template <typename Scalar>
ForwardSizes forward_sizes(const RnnKernels<Scalar>& cell, const RnnLayout& layout, const SequenceRows& rows,
                           const RecurrentTraits& traits, const RnnPath& path, bool keep, bool sequence) {
  const CellInfo& info = *cell.info;
  const index batch = rows.batch();
  const index chunk_rows = rows.plan().chunk_rows;
  const index steps_kept = keep ? rows.total() : batch;
  ForwardSizes sizes{};
  sizes.packed = layout.packed_weights;
  if (!sequence) {
    const index held = rows.dense() ? history_steps(rows.steps(), keep) * batch : rows.total();
    sizes.history = held * traits.units;
  }
  for (int which = 1; which < info.states; ++which) {
    sizes.states[which] = (keep ? batch + rows.total() : batch) * layout.state_width;
  }
  const bool keeps_values = keep && (traits.zoned || !cell.output_suffices(traits.activation));
  if (info.kept > 0 && (keeps_values || info.phases == 2)) {
    sizes.kept = steps_kept * layout.panels * layout.kept_width;
  }
  if (info.phases == 2) sizes.operand = steps_kept * traits.units;
  if (path.separate || path.state_block < traits.units) {
    sizes.accumulators = chunk_rows * layout.accumulator_row;
  }
  if (traits.input_dropout) sizes.dropped_inputs = info.input_gates * chunk_rows * traits.features;
  if (traits.recurrent_dropout) sizes.dropped_states = 2 * info.state_gates * batch * traits.units;
  return sizes;
}

BackwardSizes backward_sizes(const CellInfo& info, const RnnLayout& layout, const SequenceRows& rows,
                             const RecurrentTraits& traits, int threads) {
  const index chunk_rows = rows.plan().chunk_rows;
  BackwardSizes sizes{};
  sizes.packed = layout.packed_transposed;
  sizes.accumulators = chunk_rows * layout.accumulator_row;
  sizes.scratch = threads * layout.thread_scratch;
  sizes.pointers = threads * kRowPointers * chunk_rows;
  sizes.d_state = rows.batch() * layout.padded_units;
  if (info.phases == 2) sizes.d_operand = sizes.d_state;
  if (traits.input_dropout) sizes.dropped_inputs = info.input_gates * chunk_rows * traits.features;
  if (traits.recurrent_dropout) sizes.dropped_states = info.state_gates * chunk_rows * traits.units;
  return sizes;
}

template ForwardSizes forward_sizes<float>(const RnnKernels<float>&, const RnnLayout&, const SequenceRows&,
                                           const RecurrentTraits&, const RnnPath&, bool, bool);
template ForwardSizes forward_sizes<double>(const RnnKernels<double>&, const RnnLayout&, const SequenceRows&,
                                            const RecurrentTraits&, const RnnPath&, bool, bool);

}  // namespace timeloom
