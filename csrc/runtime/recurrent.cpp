#include "runtime/recurrent.h"

#include <algorithm>

#include "runtime/parallel.h"

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

/// Rows `source_stride` apart into `target` [rows, width].
template <typename Scalar>
void copy_rows(Scalar* target, const Scalar* source, index source_stride, index rows, index width) {
  for (index row = 0; row < rows; ++row)
    std::copy_n(source + row * source_stride, width, target + row * width);
}

template <typename Scalar>
SequenceView<Scalar> walk(Scalar* data, const RnnSizes& sizes, bool go_backwards) {
  const index row = sizes.steps * sizes.features;
  if (!go_backwards) return {data, row, sizes.features};
  return {data + (sizes.steps - 1) * sizes.features, row, -sizes.features};
}

/// A null initial state becomes zeros that live as long as `zeros`.
template <typename Scalar>
const Scalar* or_zeros(const Scalar* data, index count, Workspace& zeros) {
  if (data) return data;
  if (!zeros.as<Scalar>()) {
    zeros = workspace_of<Scalar>(count);
    std::fill_n(zeros.as<Scalar>(), count, Scalar(0));
  }
  return zeros.as<Scalar>();
}

}  // namespace

template <typename Scalar>
int recurrent_forward(const RecurrentCall<Scalar>& call, Scalar* sequence, Scalar* last,
                      Scalar* const (&final_states)[kMaxStates], RecurrentMemory<Scalar>* memory,
                      const PlanRequest& request) {
  const RnnSizes& sizes = call.sizes;
  const CellInfo& info = *call.cell->info;
  const RnnPlan plan = plan_rnn(info, sizes, sizeof(Scalar), false, request);
  RnnLayout layout{};
  call.cell->layout(sizes, layout);
  const index rows = sizes.batch * sizes.units;
  const bool keep = memory != nullptr;
  RecurrentMemory<Scalar> scratch;
  RecurrentMemory<Scalar>& held = keep ? *memory : scratch;

  Workspace zeros;
  const Workspace packed = workspace_of<Scalar>(layout.packed_weights);
  RnnForward<Scalar> forward{};
  forward.sizes = sizes;
  forward.path = plan.path;
  forward.activation = call.activation;
  forward.recurrent_activation = call.recurrent_activation;
  forward.packed = packed.as<Scalar>();
  forward.inputs = walk(call.inputs, sizes, call.go_backwards);
  for (int which = 0; which < info.states; ++which) {
    forward.initial[which] = or_zeros(call.initial[which], rows, zeros);
  }
  if (sequence) {
    forward.outputs = {sequence, sizes.steps * sizes.units, sizes.units};
    forward.output_steps = sizes.steps;
  } else {
    forward.output_steps = keep ? sizes.steps : 2;
    held.history = workspace_of<Scalar>(forward.output_steps * rows);
    forward.outputs = {held.history.template as<Scalar>(), sizes.units, rows};
  }
  forward.state_slots = keep ? sizes.steps + 1 : 1;
  for (int which = 1; which < info.states; ++which) {
    held.states[which] = workspace_of<Scalar>(forward.state_slots * sizes.batch * layout.padded_units);
    forward.states[which] = held.states[which].template as<Scalar>();
    copy_padded(forward.states[which], layout.padded_units, call.initial[which], sizes.batch, sizes.units);
  }
  forward.kept_slots = keep ? sizes.steps : 1;
  if (info.kept > 0 && (keep || info.phases == 2)) {
    held.kept = workspace_of<Scalar>(forward.kept_slots * layout.panels * sizes.batch * layout.kept_width);
    forward.kept = held.kept.template as<Scalar>();
  }
  forward.operand_slots = forward.kept_slots;
  if (info.phases == 2) {
    held.operand = workspace_of<Scalar>(forward.operand_slots * rows);
    forward.operand = held.operand.template as<Scalar>();
  }
  Workspace accumulators;
  if (plan.path.separate || plan.path.state_block < sizes.units) {
    accumulators =
        workspace_of<Scalar>(layout.panels * plan.path.chunk_steps * sizes.batch * layout.accumulator_width);
    forward.accumulators = accumulators.as<Scalar>();
  }

  const RnnPacking<Scalar> packing{sizes, call.kernel, call.recurrent_kernel, call.bias, packed.as<Scalar>()};
  const int ran = run_parallel(plan.threads, [&](const Worker& worker) {
    call.cell->pack(packing, worker);
    worker.wait(worker.barrier);
    call.cell->forward(forward, worker);
  });

  const Scalar* final_output =
      forward.outputs.data + (sizes.steps - 1) % forward.output_steps * forward.outputs.step_stride;
  if (!sequence) copy_rows(last, final_output, forward.outputs.row_stride, sizes.batch, sizes.units);
  copy_rows(final_states[0], final_output, forward.outputs.row_stride, sizes.batch, sizes.units);
  for (int which = 1; which < info.states; ++which) {
    const Scalar* final_state =
        forward.states[which] + (forward.state_slots - 1) * sizes.batch * layout.padded_units;
    copy_rows(final_states[which], final_state, layout.padded_units, sizes.batch, sizes.units);
  }
  held.outputs = {forward.outputs.data, forward.outputs.row_stride, forward.outputs.step_stride};
  return ran;
}

template <typename Scalar>
int recurrent_backward(const RecurrentCall<Scalar>& call, const RecurrentMemory<Scalar>& memory,
                       const Scalar* d_sequence, const Scalar* d_last,
                       const Scalar* const (&d_final)[kMaxStates],
                       const RecurrentGradients<Scalar>& gradients, const PlanRequest& request) {
  const RnnSizes& sizes = call.sizes;
  const CellInfo& info = *call.cell->info;
  const RnnPlan plan = plan_rnn(info, sizes, sizeof(Scalar), true, request);
  RnnLayout layout{};
  call.cell->layout(sizes, layout);
  const index rows = sizes.batch * sizes.units;
  const index padded_rows = sizes.batch * layout.padded_units;
  const index chunk_rows = plan.path.chunk_steps * sizes.batch;

  Workspace zeros;
  const Workspace packed = workspace_of<Scalar>(layout.packed_transposed);
  const Workspace sums = workspace_of<Scalar>(layout.panels * chunk_rows * layout.accumulator_width);
  const Workspace scratch = workspace_of<Scalar>(plan.threads * layout.thread_scratch);
  const Workspace pointers = workspace_of<const Scalar*>(plan.threads * 3 * chunk_rows);
  Workspace d_states[kMaxStates];
  Workspace d_operand;

  RnnBackward<Scalar> backward{};
  backward.sizes = sizes;
  backward.path = plan.path;
  backward.activation = call.activation;
  backward.recurrent_activation = call.recurrent_activation;
  backward.packed_transposed = packed.as<Scalar>();
  backward.inputs = walk(call.inputs, sizes, call.go_backwards);
  backward.outputs = memory.outputs;
  backward.kept = memory.kept.template as<const Scalar>();
  backward.operand = memory.operand.template as<const Scalar>();
  for (int which = 0; which < info.states; ++which) {
    backward.initial[which] = or_zeros(call.initial[which], rows, zeros);
    backward.states[which] = memory.states[which].template as<const Scalar>();
    d_states[which] = workspace_of<Scalar>(padded_rows);
    backward.d_states[which] = d_states[which].as<Scalar>();
    copy_padded(backward.d_states[which], layout.padded_units, d_final[which], sizes.batch, sizes.units);
  }
  if (info.phases == 2) {
    d_operand = workspace_of<Scalar>(padded_rows);
    backward.d_operand = d_operand.as<Scalar>();
  }
  backward.d_outputs_last = d_last != nullptr;
  if (d_last) {
    backward.d_outputs = {d_last, sizes.units, 0};
  } else {
    backward.d_outputs = {d_sequence, sizes.steps * sizes.units, sizes.units};
  }
  backward.d_accumulators = sums.as<Scalar>();
  if (gradients.d_inputs) backward.d_inputs = walk(gradients.d_inputs, sizes, call.go_backwards);
  backward.d_kernel = gradients.d_kernel;
  backward.d_recurrent_kernel = gradients.d_recurrent_kernel;
  backward.d_bias = gradients.d_bias;
  backward.scratch = scratch.as<Scalar>();
  backward.rows = pointers.as<const Scalar*>();

  const int gates = std::max(info.input_gates, info.state_gates);
  std::fill_n(gradients.d_kernel, sizes.features * info.input_gates * sizes.units, Scalar(0));
  std::fill_n(gradients.d_recurrent_kernel, sizes.units * info.state_gates * sizes.units, Scalar(0));
  if (gradients.d_bias) std::fill_n(gradients.d_bias, info.bias_rows * gates * sizes.units, Scalar(0));

  const RnnPacking<Scalar> packing{sizes, call.kernel, call.recurrent_kernel, call.bias, packed.as<Scalar>()};
  const int ran = run_parallel(plan.threads, [&](const Worker& worker) {
    call.cell->pack_transposed(packing, worker);
    worker.wait(worker.barrier);
    call.cell->backward(backward, worker);
  });

  for (int which = 0; which < info.states; ++which) {
    copy_rows(gradients.d_initial[which], backward.d_states[which], layout.padded_units, sizes.batch,
              sizes.units);
  }
  return ran;
}

#define TIMELOOM_RECURRENT(Scalar)                                                                          \
  template int recurrent_forward<Scalar>(const RecurrentCall<Scalar>&, Scalar*, Scalar*,                    \
                                         Scalar* const(&)[kMaxStates], RecurrentMemory<Scalar>*,            \
                                         const PlanRequest&);                                               \
  template int recurrent_backward<Scalar>(const RecurrentCall<Scalar>&, const RecurrentMemory<Scalar>&,     \
                                          const Scalar*, const Scalar*, const Scalar* const(&)[kMaxStates], \
                                          const RecurrentGradients<Scalar>&, const PlanRequest&);
TIMELOOM_RECURRENT(float)
TIMELOOM_RECURRENT(double)
#undef TIMELOOM_RECURRENT

}  // namespace timeloom
