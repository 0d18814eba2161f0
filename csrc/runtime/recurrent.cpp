#include "runtime/recurrent.h"

#include <algorithm>
#include <optional>

#include "runtime/masked_outputs.h"
#include "runtime/parallel.h"
#include "runtime/recurrent_sizes.h"

namespace timeloom {
namespace {

/// Rows of `source` [rows, width] into rows `target_stride` apart, the rest of each row zero; null source:
/// zeros.
template <typename Scalar>
void copy_padded(Scalar* target, index target_stride, const Scalar* source, index rows, index width) {
  for (index row = 0; row < rows; ++row) {
    Scalar* to = target + row * target_stride;
    if (source) {
      std::copy_n(source + row * width, width, to);
      std::fill(to + width, to + target_stride, Scalar(0));
    } else {
      std::fill_n(to, target_stride, Scalar(0));
    }
  }
}

/// A whole sequence by stride, walked from the end if `backwards`.
template <typename Scalar>
SequenceView<Scalar> walk(Scalar* data, index timesteps, index width, bool backwards) {
  if (!data || !backwards) return {data, timesteps * width, width};
  return {data + (timesteps - 1) * width, timesteps * width, -width};
}

/// What a call gives in the order of the batch, in the order of the plan.
template <typename Scalar>
class InPlanOrder {
 public:
  InPlanOrder(const SequenceRows& rows, Scratch& scratch) : rows_(rows), scratch_(scratch) {}

  /// `groups` times [batch, width]; null stays null. The result lives as long as the scratch.
  const Scalar* operator()(const Scalar* source, index groups, index width) {
    if (!source || rows_.dense()) return source;
    Scalar* target = scratch_.template take<Scalar>(groups * rows_.batch() * width);
    for (index group = 0; group < groups; ++group) {
      for (index place = 0; place < rows_.batch(); ++place) {
        std::copy_n(source + (group * rows_.batch() + rows_.row_of(place)) * width, width,
                    target + (group * rows_.batch() + place) * width);
      }
    }
    return target;
  }

  const Scalar* zeros(index width) {
    if (!zeros_) {
      Scalar* fresh = scratch_.template take<Scalar>(rows_.batch() * width);
      std::fill_n(fresh, rows_.batch() * width, Scalar(0));
      zeros_ = fresh;
    }
    return zeros_;
  }

 private:
  const SequenceRows& rows_;
  Scratch& scratch_;
  const Scalar* zeros_ = nullptr;
};

template <typename Scalar>
RnnCall<Scalar> shared_call(const RecurrentCall<Scalar>& call, const SequenceRows& rows, const RnnPath& path,
                            InPlanOrder<Scalar>& in_plan_order) {
  const CellInfo& info = *call.cell->info;
  RnnCall<Scalar> shared{};
  shared.sizes = {rows.batch(), rows.steps(), call.features, call.units};
  shared.plan = rows.plan();
  shared.path = path;
  shared.activation = call.activation;
  shared.recurrent_activation = call.recurrent_activation;
  const Timesteps& given = call.timesteps;
  shared.inputs = walk(call.inputs, rows.steps(), call.features, rows.dense() && given.go_backwards);
  for (int which = 0; which < info.states; ++which) {
    const Scalar* initial = in_plan_order(call.initial[which], 1, call.units);
    shared.initial[which] = initial ? initial : in_plan_order.zeros(call.units);
    const bool backwards = rows.dense() && given.go_backwards && given.keep_time_order;
    shared.zoneout[which] = walk(call.zoneout[which], rows.steps(), call.units, backwards);
    shared.zoneout_rate[which] = call.zoneout_rate[which];
    shared.zoned = shared.zoned || call.zoneout[which] || call.zoneout_rate[which] != 0;
  }
  shared.input_dropout = in_plan_order(call.input_dropout, info.input_gates, call.features);
  shared.recurrent_dropout = in_plan_order(call.recurrent_dropout, info.state_gates, call.units);
  return shared;
}

template <typename Scalar>
RecurrentTraits traits_of(const RecurrentCall<Scalar>& call, bool zoned) {
  return {call.features,
          call.units,
          call.activation,
          zoned,
          call.input_dropout != nullptr,
          call.recurrent_dropout != nullptr};
}

/// Row `place` of the plan at its last step, in an array of the outputs of every step.
template <typename Scalar>
const Scalar* last_output(const SequenceRows& rows, const SequenceView<const Scalar>& outputs,
                          const index* output_row, index ring, index place, index units) {
  const index step = rows.length_of(place) - 1;
  if (rows.dense()) return outputs.data + place * outputs.row_stride + step % ring * outputs.step_stride;
  const index packed = rows.plan().step_begin[step] + place;
  return outputs.data + (output_row ? output_row[packed] : packed) * units;
}

/// Where a call packs its weights; null if they are ready.
template <typename Scalar>
Scalar* room_to_pack(const Packing<Scalar>& packed, index count, Scratch& scratch) {
  if (packed.ready) return nullptr;
  if (!packed.made) return scratch.take<Scalar>(count);
  *packed.made = workspace_of<Scalar>(count);
  return packed.made->template as<Scalar>();
}

/// The gradient of the last output is one of the final state, unless that output is zero.
template <typename Scalar>
void add_last_gradient(const RecurrentCall<Scalar>& call, const SequenceRows& rows, const Scalar* d_last,
                       Scalar* d_state, index stride) {
  for (index place = 0; place < rows.batch(); ++place) {
    const index row = rows.row_of(place);
    if (rows.length_of(place) == 0) continue;
    if (call.zero_masked_outputs && ends_masked(call.timesteps, row)) continue;
    for (index unit = 0; unit < call.units; ++unit) {
      d_state[place * stride + unit] += d_last[row * call.units + unit];
    }
  }
}

}  // namespace

template <typename Scalar>
void recurrent_forward(const RecurrentCall<Scalar>& call, Scalar* sequence, Scalar* last,
                       Scalar* const (&final_states)[kMaxStates], RecurrentMemory<Scalar>* memory,
                       const PlanRequest& request, const Packing<Scalar>& packed) {
  const CellInfo& info = *call.cell->info;
  const bool keep = memory != nullptr;
  std::optional<SequenceRows> own_rows;
  if (keep) {
    memory->rows = std::make_shared<const SequenceRows>(call.timesteps);
  } else {
    own_rows.emplace(call.timesteps);
  }
  const SequenceRows& rows = keep ? *memory->rows : *own_rows;
  const index batch = rows.batch();
  const index units = call.units;
  const RnnSizes sizes{batch, rows.steps(), call.features, units};
  const RnnPlan plan = plan_of(call, rows.steps(), rows.total(), false, request);
  RnnLayout layout{};
  call.cell->layout(sizes, plan.path.by_gate, layout);

  Scratch scratch;
  const auto take = [&](Workspace RecurrentMemory<Scalar>::* kept, index count) {
    if (!keep) return scratch.take<Scalar>(count);
    memory->*kept = workspace_of<Scalar>(count);
    return (memory->*kept).template as<Scalar>();
  };
  InPlanOrder<Scalar> in_plan_order(rows, scratch);
  RnnForward<Scalar> forward{};
  forward.call = shared_call(call, rows, plan.path, in_plan_order);
  const ForwardSizes needed = forward_sizes(*call.cell, layout, rows, traits_of(call, forward.call.zoned),
                                            plan.path, keep, sequence != nullptr);
  Scalar* const fresh = room_to_pack(packed, needed.packed, scratch);
  forward.packed = fresh ? fresh : packed.ready;
  forward.output_steps = std::max<index>(rows.steps(), 1);
  if (sequence) {
    const bool backwards = rows.dense() && call.timesteps.go_backwards && call.timesteps.keep_time_order;
    forward.outputs = walk(sequence, rows.steps(), units, backwards);
    forward.output_row = forward.call.plan.output_row;
  } else {
    if (rows.dense()) forward.output_steps = history_steps(rows.steps(), keep);
    forward.outputs = {take(&RecurrentMemory<Scalar>::history, needed.history), units, batch * units};
  }
  forward.keeps_states = keep;
  for (int which = 1; which < info.states; ++which) {
    if (keep) {
      memory->states[which] = workspace_of<Scalar>(needed.states[which]);
      forward.states[which] = memory->states[which].template as<Scalar>();
    } else {
      forward.states[which] = scratch.take<Scalar>(needed.states[which]);
    }
    copy_padded(forward.states[which], layout.state_width, forward.call.initial[which], batch, units);
  }
  forward.keeps_steps = keep;
  forward.kept = take(&RecurrentMemory<Scalar>::kept, needed.kept);
  forward.operand = take(&RecurrentMemory<Scalar>::operand, needed.operand);
  forward.accumulators = scratch.take<Scalar>(needed.accumulators);
  forward.input_rows = scratch.take<Scalar>(needed.input_rows);
  forward.state_rows = scratch.take<Scalar>(needed.state_rows);

  const RnnPacking<Scalar> packing{sizes,     call.kernel,       call.recurrent_kernel,
                                   call.bias, plan.path.by_gate, fresh};
  const bool fills = sequence && !rows.dense() && !call.timesteps.packed;
  if (fresh) run_shares(plan.crew, [&](const Worker& worker) { call.cell->pack(packing, worker); });
  const index chunks = forward.call.plan.chunks;
  const auto pass = [&](index begin, index end) {
    const auto walk = [&](const Worker& worker) { call.cell->forward(forward, begin, end, worker); };
    plan.path.unit_slices ? run_together(plan.crew, walk) : run_shares(plan.crew, walk);
  };
  // Where rows are unequal, a row of a chunk takes the place that another had in the one before.
  const bool places = !rows.dense() && (forward.input_rows || forward.accumulators);
  const index chunks_at_once = places && !plan.path.unit_slices ? 1 : chunks;
  for (index chunk = 0; chunk < chunks; chunk += chunks_at_once) pass(chunk, chunk + chunks_at_once);
  if (fills) {
    run_shares(plan.crew, [&](const Worker& worker) {
      fill_masked_outputs(call.timesteps, sequence, units, call.zero_masked_outputs, worker);
    });
  }

  const SequenceView<const Scalar> outputs{forward.outputs.data, forward.outputs.row_stride,
                                           forward.outputs.step_stride};
  if (keep) {
    memory->outputs = outputs;
    memory->output_row = forward.output_row;
  }
  for (index place = 0; place < batch; ++place) {
    const index row = rows.row_of(place);
    const index length = rows.length_of(place);
    const Scalar* output =
        length == 0 ? forward.call.initial[0] + place * units
                    : last_output(rows, outputs, forward.output_row, forward.output_steps, place, units);
    std::copy_n(output, units, final_states[0] + row * units);
    if (last) {
      const bool none = length == 0 || (call.zero_masked_outputs && ends_masked(call.timesteps, row));
      if (none) {
        std::fill_n(last + row * units, units, Scalar(0));
      } else {
        std::copy_n(output, units, last + row * units);
      }
    }
    index slot = place;
    if (keep && length > 0) {
      slot = batch + place + (rows.dense() ? (length - 1) * batch : forward.call.plan.step_begin[length - 1]);
    }
    for (int which = 1; which < info.states; ++which) {
      std::copy_n(forward.states[which] + slot * layout.state_width, units,
                  final_states[which] + row * units);
    }
  }
}

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
  backward.call = shared_call(call, rows, plan.path, in_plan_order);
  const BackwardSizes needed =
      backward_sizes(info, layout, rows, traits_of(call, backward.call.zoned), plan.crew.threads);
  Scalar* const fresh = room_to_pack(packed, needed.packed, scratch);
  backward.packed_transposed = fresh ? fresh : packed.ready;
  backward.d_accumulators = scratch.take<Scalar>(needed.accumulators);
  backward.scratch = scratch.take<Scalar>(needed.scratch);
  backward.places = scratch.take<index>(needed.places);
  backward.input_rows = scratch.take<Scalar>(needed.input_rows);
  backward.state_rows = scratch.take<Scalar>(needed.state_rows);
  backward.operand_rows = scratch.take<Scalar>(needed.operand_rows);
  backward.outputs = memory.outputs;
  backward.output_row = memory.output_row;
  backward.kept = memory.kept.template as<const Scalar>();
  backward.operand = memory.operand.template as<const Scalar>();
  for (int which = 0; which < info.states; ++which) {
    backward.states[which] = memory.states[which].template as<const Scalar>();
    backward.d_states[which] = scratch.take<Scalar>(needed.d_state);
    const Scalar* d_final_rows = in_plan_order(d_final[which], 1, units);
    copy_padded(backward.d_states[which], layout.padded_units, d_final_rows, batch, units);
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
    std::fill_n(backward.d_accumulators, needed.accumulators, Scalar(0));
  }
  backward.d_inputs = walk(gradients.d_inputs, rows.steps(), call.features, backwards).data;
  backward.d_kernel = gradients.d_kernel;
  backward.d_recurrent_kernel = gradients.d_recurrent_kernel;
  backward.d_bias = gradients.d_bias;

  const int gates = std::max(info.input_gates, info.state_gates);
  if (rows.total() == 0) {
    std::fill_n(gradients.d_kernel, call.features * info.input_gates * units, Scalar(0));
    std::fill_n(gradients.d_recurrent_kernel, units * info.state_gates * units, Scalar(0));
  }
  if (gradients.d_bias) std::fill_n(gradients.d_bias, info.bias_rows * gates * units, Scalar(0));

  const RnnPacking<Scalar> packing{sizes,     call.kernel,       call.recurrent_kernel,
                                   call.bias, plan.path.by_gate, fresh};
  run_shares(plan.crew, [&](const Worker& worker) {
    if (fresh) call.cell->pack_transposed(packing, worker);
    if (d_last && worker.index == 0) {
      add_last_gradient(call, rows, d_last, backward.d_states[0], layout.padded_units);
    }
    for (index place = worker.index; repeats && place < batch; place += worker.count) {
      if (rows.length_of(place) == 0) continue;
      add_gradients_after_last(given, rows.row_of(place), backward.d_states[0] + place * layout.padded_units,
                               d_sequence, units);
    }
    if (folds) fold_masked_gradients(given, folded, d_sequence, units, worker);
    if (masks && gradients.d_inputs) clear_masked_inputs(given, gradients.d_inputs, call.features, worker);
  });
  const index chunks = backward.call.plan.chunks;
  Crew crew = plan.crew;
  crew.seconds /= static_cast<double>(std::max<index>(chunks, 1));
  Crew gradients_crew = crew;
  gradients_crew.shares = shares_for(crew.threads, crew.seconds, backward.call.plan.chunk_rows);
  for (index chunk = chunks - 1; chunk >= 0; --chunk) {
    const auto steps = [&](const Worker& worker) { call.cell->backward(backward, chunk, worker); };
    plan.path.unit_slices ? run_together(crew, steps) : run_shares(crew, steps);
    run_shares(gradients_crew, [&](const Worker& worker) { call.cell->gradients(backward, chunk, worker); });
  }

  for (int which = 0; which < info.states; ++which) {
    for (index place = 0; place < batch; ++place) {
      std::copy_n(backward.d_states[which] + place * layout.padded_units, units,
                  gradients.d_initial[which] + rows.row_of(place) * units);
    }
  }
}

#define TIMELOOM_RECURRENT(Scalar)                                                                           \
  template void recurrent_forward<Scalar>(const RecurrentCall<Scalar>&, Scalar*, Scalar*,                    \
                                          Scalar* const(&)[kMaxStates], RecurrentMemory<Scalar>*,            \
                                          const PlanRequest&, const Packing<Scalar>&);                       \
  template void recurrent_backward<Scalar>(const RecurrentCall<Scalar>&, const RecurrentMemory<Scalar>&,     \
                                           const Scalar*, const Scalar*, const Scalar* const(&)[kMaxStates], \
                                           const RecurrentGradients<Scalar>&, const PlanRequest&,            \
                                           const Packing<Scalar>&);
TIMELOOM_RECURRENT(float)
TIMELOOM_RECURRENT(double)
#undef TIMELOOM_RECURRENT

}  // namespace timeloom
