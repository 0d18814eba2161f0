#include <algorithm>
#include <optional>

#include "runtime/masked_outputs.h"
#include "runtime/parallel.h"
#include "runtime/recurrent_call.h"

namespace timeloom {
namespace {

/// The output of row `place` of the plan at its last step.
template <typename Scalar>
const Scalar* last_output(const SequenceRows& rows, const RnnForward<Scalar>& forward, index place) {
  const index step = rows.length_of(place) - 1;
  const auto& outputs = forward.outputs;
  if (!rows.dense()) {
    const index packed = rows.plan().step_begin[step] + place;
    return outputs.data +
           (forward.output_row ? forward.output_row[packed] : packed) * forward.call.sizes.units;
  }
  if (!forward.ring) return outputs.data + place * outputs.row_stride + step * outputs.step_stride;
  return outputs.data + row_place(forward.call.halves, place) * outputs.row_stride +
         (step & 1) * outputs.step_stride;
}

/// Where the states 1 .. of that row lie after its last step, in rows: as state_row of the kernels has it.
template <typename Scalar>
index last_state(const SequenceRows& rows, const RnnForward<Scalar>& forward, index place) {
  const RowHalves& halves = forward.call.halves;
  if (!forward.keeps_steps) return row_place(halves, place);
  const index batch = rows.batch();
  const index before = halves.places;
  const index step = rows.length_of(place) - 1;
  if (!rows.dense()) return before + rows.plan().step_begin[step] + place;
  if (place < halves.split) return before + step * halves.split + place;
  return before + rows.steps() * halves.split + step * (batch - halves.split) + place - halves.split;
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
  const index weight_bytes = strand_sizes(info, call.features, units, sizeof(Scalar)).weights;
  const RowHalves halves = halves_of(rows, plan, weight_bytes, units * index{sizeof(Scalar)});
  forward.call = shared_call(call, rows, plan.path, halves, in_plan_order);
  const ForwardSizes needed =
      forward_sizes(*call.cell, layout, rows, halves, traits_of(call, forward.call.zoned), plan.path, keep,
                    sequence != nullptr);
  Scalar* const fresh = room_to_pack(packed, needed.packed, scratch);
  forward.packed = fresh ? fresh : packed.ready;
  if (sequence) {
    const bool backwards = rows.dense() && call.timesteps.go_backwards && call.timesteps.keep_time_order;
    forward.outputs = walk(sequence, rows.steps(), units, backwards);
    forward.output_row = forward.call.plan.output_row;
  } else {
    forward.ring = rows.dense() && !keep;
    Scalar* const history = take(&RecurrentMemory<Scalar>::history, needed.history);
    forward.outputs = forward.ring ? SequenceView<Scalar>{history, units, halves.places * units}
                                   : walk(history, rows.steps(), units, false);
  }
  for (int which = 1; which < info.states; ++which) {
    if (keep) {
      memory->states[which] = workspace_of<Scalar>(needed.states[which]);
      forward.states[which] = memory->states[which].template as<Scalar>();
    } else {
      forward.states[which] = scratch.take<Scalar>(needed.states[which]);
    }
  }
  forward.keeps_steps = keep;
  forward.call.asks_ahead = keep && forward.call.asks_ahead;
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
  const bool moves = !rows.dense() && (forward.input_rows || forward.accumulators);
  const index chunks_at_once = moves && !plan.path.unit_slices ? 1 : chunks;
  for (index chunk = 0; chunk < chunks; chunk += chunks_at_once) pass(chunk, chunk + chunks_at_once);
  if (fills) {
    run_shares(plan.crew, [&](const Worker& worker) {
      fill_masked_outputs(call.timesteps, sequence, units, call.zero_masked_outputs, worker);
    });
  }

  const SequenceView<const Scalar> outputs{forward.outputs.data, forward.outputs.row_stride,
                                           forward.outputs.step_stride};
  if (keep) {
    memory->halves = halves;
    memory->outputs = outputs;
    memory->output_row = forward.output_row;
  }
  for (index place = 0; place < batch; ++place) {
    const index row = rows.row_of(place);
    const index length = rows.length_of(place);
    const Scalar* output =
        length == 0 ? forward.call.initial[0] + place * units : last_output(rows, forward, place);
    std::copy_n(output, units, final_states[0] + row * units);
    if (last) {
      const bool none = length == 0 || (call.zero_masked_outputs && ends_masked(call.timesteps, row));
      if (none) {
        std::fill_n(last + row * units, units, Scalar(0));
      } else {
        std::copy_n(output, units, last + row * units);
      }
    }
    for (int which = 1; which < info.states; ++which) {
      const Scalar* state =
          length == 0 ? forward.call.initial[which] + place * units
                      : forward.states[which] + last_state(rows, forward, place) * layout.state_width;
      std::copy_n(state, units, final_states[which] + row * units);
    }
  }
}

#define TIMELOOM_FORWARD(Scalar)                                                                  \
  template void recurrent_forward<Scalar>(const RecurrentCall<Scalar>&, Scalar*, Scalar*,         \
                                          Scalar* const(&)[kMaxStates], RecurrentMemory<Scalar>*, \
                                          const PlanRequest&, const Packing<Scalar>&);
TIMELOOM_FORWARD(float)
TIMELOOM_FORWARD(double)
#undef TIMELOOM_FORWARD

}  // namespace timeloom
