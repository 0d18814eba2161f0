#include <algorithm>

#include "runtime/masked_outputs.h"
#include "runtime/parallel.h"
#include "runtime/recurrent_call.h"
#include "runtime/strands.h"

namespace timeloom {
namespace {

/// The gradient of the last output of a row is one of its final state, unless that output is zero.
template <typename Scalar>
void add_last_gradient(const RecurrentCall<Scalar>& call, index row, Scalar* d_state, const Scalar* d_last) {
  if (call.zero_masked_outputs && ends_masked(call.timesteps, row)) return;
  for (index unit = 0; unit < call.units; ++unit) d_state[unit] += d_last[unit];
}

constexpr Worker alone_on(int thread) { return {0, 1, thread, nullptr, nullptr, nullptr}; }

/// All strands from their last chunk to the first. strand_of(which, place): a strand as the kernels see it,
/// with the workspace of the `place`-th of those that are walked over at a time.
template <typename Scalar, typename StrandOf>
void walk_back(const RnnKernels<Scalar>& cell, const RnnPlan& plan, const Strands& strands,
               const StrandWalk& walked, StrandOf&& strand_of) {
  const index count = strands.count();
  const index last = strands.plan().chunks - 1;
  Crew crew = plan.crew;
  if (walked.whole) {
    crew.shares = 0;
    run_shares(crew, [&](const Worker& worker) {
      // Chunk by chunk, so that what forward kept last is read while it is near.
      for (index chunk = last; chunk >= 0; --chunk) {
        for (index which = worker.index; which < count; which += worker.count) {
          const RnnBackward<Scalar> strand = strand_of(which, worker.thread);
          cell.backward(strand, chunk, alone_on(worker.thread));
          cell.gradients(strand, chunk, alone_on(worker.thread));
        }
      }
    });
    return;
  }
  crew.seconds /= static_cast<double>(std::max<index>((last + 1) * count, 1));
  crew.shares = shares_for(crew.threads, crew.seconds, strands.plan().chunk_rows);
  if (plan.path.unit_slices) {
    for (index which = 0; which < count; ++which) {
      const RnnBackward<Scalar> strand = strand_of(which, 0);
      for (index chunk = last; chunk >= 0; --chunk) {
        run_together(plan.crew, [&](const Worker& worker) { cell.backward(strand, chunk, worker); });
        run_shares(crew, [&](const Worker& worker) { cell.gradients(strand, chunk, worker); });
      }
    }
    return;
  }
  const auto in_slices = [&](int slices, auto kernel, index chunk) {
    crew.shares = slices * static_cast<int>(count);
    run_shares(crew, [&](const Worker& worker) {
      const int taken = worker.count == 1 ? 1 : slices;  // one thread alone needs none
      for (index item = worker.index; item < taken * count; item += worker.count) {
        const Worker slice{static_cast<int>(item / count), taken, worker.thread, nullptr, nullptr, nullptr};
        kernel(strand_of(item % count, item % count), chunk, slice);
      }
    });
  };
  const int slices_of_gradients = count == 1 ? crew.share_count() : walked.slices;
  for (index chunk = last; chunk >= 0; --chunk) {
    in_slices(walked.slices, cell.backward, chunk);
    in_slices(slices_of_gradients, cell.gradients, chunk);
  }
}

/// Adds the gradients of all strands but the first one to those of the first, in their order.
template <typename Scalar>
void add_strands(const RecurrentGradients<Scalar>& gradients, const Scalar* of_strands, index count,
                 const WeightSizes& weights, const Worker& worker) {
  if (count == 1) return;
  const auto add = [&](Scalar* target, const Scalar* first, index size) {
    const index begin = size * worker.index / worker.count;
    const index end = size * (worker.index + 1) / worker.count;
    for (index which = 1; which < count; ++which, first += weights.all()) {
      for (index at = begin; at < end; ++at) target[at] += first[at];
    }
  };
  add(gradients.d_kernel, of_strands, weights.kernel);
  add(gradients.d_recurrent_kernel, of_strands + weights.kernel, weights.recurrent_kernel);
  if (gradients.d_bias)
    add(gradients.d_bias, of_strands + weights.kernel + weights.recurrent_kernel, weights.bias);
}

}  // namespace

template <typename Scalar>
void recurrent_backward(const RecurrentCall<Scalar>& call, const RecurrentMemory<Scalar>& memory,
                        const Scalar* d_sequence, const Scalar* d_last,
                        const Scalar* const (&d_final)[kMaxStates],
                        const RecurrentGradients<Scalar>& gradients, const PlanRequest& request,
                        const Packing<Scalar>& packed) {
  const CellInfo& info = *call.cell->info;
  const SequenceRows& rows = *memory.rows;
  const Timesteps& given = call.timesteps;
  const index batch = rows.batch();
  const index units = call.units;
  const RnnSizes sizes{batch, rows.steps(), call.features, units};
  const RnnPlan plan = plan_of(call, rows.steps(), rows.total(), true, request);
  RnnLayout layout{};
  call.cell->layout(sizes, plan.path.by_gate, layout);

  Scratch scratch;
  InPlanOrder<Scalar> in_plan_order(rows, scratch);
  RnnBackward<Scalar> backward{};
  backward.call = shared_call(call, rows, plan.path, memory.halves, in_plan_order);
  const WeightSizes weights = weight_sizes(info, call.features, units);
  const Strands strands(rows, strand_sizes(info, call.features, units, sizeof(Scalar)), scratch);
  const StrandWalk walked = walk_over(strands, plan);
  backward.call.plan = strands.plan();
  const BackwardSizes needed = backward_sizes<Scalar>(info, layout, strands, backward.call.halves.places,
                                                      traits_of(call, backward.call.zoned), plan);
  Scalar* const fresh = room_to_pack(packed, needed.packed, scratch);
  backward.packed_transposed = fresh ? fresh : packed.ready;
  backward.d_accumulators = scratch.take<Scalar>(walked.at_once * needed.accumulators);
  backward.scratch = scratch.take<Scalar>(plan.crew.threads * needed.scratch);
  backward.scratch_distance = needed.scratch;
  backward.sources = scratch.take<index>(walked.at_once * needed.sources);
  backward.input_rows = scratch.take<Scalar>(walked.at_once * needed.input_rows);
  backward.state_rows = scratch.take<Scalar>(walked.at_once * needed.state_rows);
  backward.operand_rows = scratch.take<Scalar>(walked.at_once * needed.operand_rows);
  Scalar* const of_strands = scratch.take<Scalar>((strands.count() - 1) * needed.gradients);
  backward.outputs = memory.outputs;
  backward.output_row = memory.output_row;
  backward.kept = memory.kept.template as<const Scalar>();
  backward.operand = memory.operand.template as<const Scalar>();
  for (int which = 0; which < info.states; ++which) {
    backward.states[which] = memory.states[which].template as<const Scalar>();
    backward.d_states[which] = scratch.take<Scalar>(needed.d_state);
  }
  backward.d_operand = scratch.take<Scalar>(needed.d_operand);
  const bool masks = !rows.dense() && !given.packed;
  const bool repeats = d_sequence && masks && !call.zero_masked_outputs;
  const bool folds = repeats && has_holes(given);
  const bool backwards = rows.dense() && given.go_backwards;
  Scalar* const folded = folds ? scratch.take<Scalar>(batch * given.timesteps * units) : nullptr;
  if (folds) {
    backward.d_outputs.data = folded;
  } else {
    backward.d_outputs = walk(d_sequence, rows.steps(), units, backwards && given.keep_time_order);
  }
  if (plan.path.by_gate && units % (4 * layout.lanes) != 0) {  // the last gate panel has units of no one
    std::fill_n(backward.d_accumulators, walked.at_once * needed.accumulators, Scalar(0));
  }
  backward.d_inputs = walk(gradients.d_inputs, rows.steps(), call.features, backwards).data;
  backward.d_kernel = gradients.d_kernel;
  backward.d_recurrent_kernel = gradients.d_recurrent_kernel;
  backward.d_bias = gradients.d_bias;

  if (rows.total() == 0) {
    std::fill_n(gradients.d_kernel, weights.kernel, Scalar(0));
    std::fill_n(gradients.d_recurrent_kernel, weights.recurrent_kernel, Scalar(0));
  }
  if (gradients.d_bias) std::fill_n(gradients.d_bias, weights.bias, Scalar(0));
  for (index which = 1; which < strands.count(); ++which) {
    std::fill_n(of_strands + which * needed.gradients - weights.bias, weights.bias, Scalar(0));
  }

  const RnnPacking<Scalar> packing{sizes,     call.kernel,       call.recurrent_kernel,
                                   call.bias, plan.path.by_gate, fresh};
  // A thread begins and ends with the rows that it walks over, so that they stay near it.
  Crew crew = plan.crew;
  crew.shares = 0;
  run_shares(crew, [&](const Worker& worker) {
    if (fresh) call.cell->pack_transposed(packing, worker);
    strands.for_rows(worker, [&](index place) {
      const index row = rows.row_of(place);
      const index offset = row_place(backward.call.halves, place) * layout.padded_units;
      for (int which = 0; which < info.states; ++which) {
        copy_padded(backward.d_states[which] + offset, layout.padded_units,
                    d_final[which] ? d_final[which] + row * units : nullptr, units);
      }
      if (rows.length_of(place) == 0) return;
      Scalar* const d_state = backward.d_states[0] + offset;
      if (d_last) add_last_gradient(call, row, d_state, d_last + row * units);
      if (repeats) add_gradients_after_last(given, row, d_state, d_sequence, units);
    });
    if (folds) fold_masked_gradients(given, folded, d_sequence, units, worker);
    if (masks && gradients.d_inputs) clear_masked_inputs(given, gradients.d_inputs, call.features, worker);
  });
  const auto strand_of = [&](index which, index place) {
    RnnBackward<Scalar> strand = backward;
    strand.strand = strands[which];
    strand.d_accumulators += place * needed.accumulators;
    strand.sources += place * needed.sources;
    strand.input_rows += place * needed.input_rows;
    strand.state_rows += place * needed.state_rows;
    if (strand.operand_rows) strand.operand_rows += place * needed.operand_rows;
    if (which > 0) {
      strand.d_kernel = of_strands + (which - 1) * needed.gradients;
      strand.d_recurrent_kernel = strand.d_kernel + weights.kernel;
      if (strand.d_bias) strand.d_bias = strand.d_recurrent_kernel + weights.recurrent_kernel;
    }
    return strand;
  };
  walk_back(*call.cell, plan, strands, walked, strand_of);
  run_shares(crew, [&](const Worker& worker) {
    strands.for_rows(worker, [&](index place) {
      for (int which = 0; which < info.states; ++which) {
        std::copy_n(backward.d_states[which] + row_place(backward.call.halves, place) * layout.padded_units,
                    units, gradients.d_initial[which] + rows.row_of(place) * units);
      }
    });
    add_strands(gradients, of_strands, strands.count(), weights, worker);
  });
}

#define TIMELOOM_BACKWARD(Scalar)                                                                            \
  template void recurrent_backward<Scalar>(const RecurrentCall<Scalar>&, const RecurrentMemory<Scalar>&,     \
                                           const Scalar*, const Scalar*, const Scalar* const(&)[kMaxStates], \
                                           const RecurrentGradients<Scalar>&, const PlanRequest&,            \
                                           const Packing<Scalar>&);
TIMELOOM_BACKWARD(float)
TIMELOOM_BACKWARD(double)
#undef TIMELOOM_BACKWARD

}  // namespace timeloom
