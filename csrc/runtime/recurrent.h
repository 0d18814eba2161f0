/// A recurrent call from plain pointers: packs the weights, lays out what backward needs, runs the kernels.
#pragma once

#include <memory>

#include "base/kernel_table.h"
#include "runtime/sequence_rows.h"
#include "runtime/thread_plan.h"
#include "runtime/workspace.h"

namespace timeloom {

/// What forward and backward of one call share. Arrays are C-contiguous and belong to the caller. "Batch" in
/// a shape is in the order of the batch. Packed inputs are [rows, F] and then the outputs [rows, U].
template <typename Scalar>
struct RecurrentCall {
  const RnnKernels<Scalar>* cell;
  Timesteps timesteps;
  index features;
  index units;
  bool zero_masked_outputs;  // the output of a masked timestep is 0, else that of the timestep before
  Activation activation;
  Activation recurrent_activation;
  const Scalar* inputs;               // [batch, timesteps, F]
  const Scalar* kernel;               // [F, input_gates * U]
  const Scalar* recurrent_kernel;     // [U, state_gates * U]
  const Scalar* bias;                 // [bias_rows, gates * U] or null
  const Scalar* initial[kMaxStates];  // [batch, U], null: zeros
  const Scalar* input_dropout;        // factors [input_gates, batch, F] or null
  const Scalar* recurrent_dropout;    // factors [state_gates, batch, U] or null
  const Scalar* zoneout[kMaxStates];  // part of the old state kept [batch, timesteps, U] or null
  Scalar zoneout_rate[kMaxStates];    // the same for all elements, where zoneout is null
};

/// Whether the gates have operands of their own, so that their weights are packed gate by gate.
template <typename Scalar>
bool has_operands_by_gate(const RecurrentCall<Scalar>& call) {
  return call.input_dropout || call.recurrent_dropout;
}

/// How a call over `rows` rows in `steps` steps is divided.
template <typename Scalar>
RnnPlan plan_of(const RecurrentCall<Scalar>& call, index steps, index rows, bool backward,
                const PlanRequest& request) {
  const RnnSizes sizes{call.timesteps.batch, steps, call.features, call.units};
  return plan_rnn(*call.cell, sizes, rows, backward, has_operands_by_gate(call), request);
}

/// Packed weights of a call before, or where those of this call are to stay. Both null: they are packed and
/// given back with the workspace.
template <typename Scalar>
struct Packing {
  const Scalar* ready = nullptr;
  Workspace* made = nullptr;
};

/// What forward keeps for backward, beside the arrays of the call. Read only once forward has returned.
template <typename Scalar>
struct RecurrentMemory {
  std::shared_ptr<const SequenceRows> rows;
  RowHalves halves;  // as the rest is laid out
  Workspace states[kMaxStates];
  Workspace kept;
  Workspace operand;
  Workspace history;                   // outputs of every step if the caller did not want them
  SequenceView<const Scalar> outputs;  // into history or into the caller's array
  const index* output_row;
  std::size_t bytes() const {
    std::size_t sum = kept.bytes() + operand.bytes() + history.bytes() + (rows ? rows->bytes() : 0);
    for (const Workspace& held : states) sum += held.bytes();
    return sum;
  }
};

/// Runs forward. `sequence` [batch, timesteps, U] takes every output, or is null and `last` [batch, U] takes
/// the last one; `final_states` [batch, U] each. With `memory`, keeps what backward needs.
template <typename Scalar>
void recurrent_forward(const RecurrentCall<Scalar>& call, Scalar* sequence, Scalar* last,
                       Scalar* const (&final_states)[kMaxStates], RecurrentMemory<Scalar>* memory,
                       const PlanRequest& request, const Packing<Scalar>& packed = {});

/// Gradients wanted of recurrent_backward; those of the weights are zeroed here. `d_inputs` and `d_bias` may
/// be null.
template <typename Scalar>
struct RecurrentGradients {
  Scalar* d_inputs;  // [batch, timesteps, F]
  Scalar* d_kernel;
  Scalar* d_recurrent_kernel;
  Scalar* d_bias;
  Scalar* d_initial[kMaxStates];  // [batch, U]
};

/// Runs backward. `d_sequence` [batch, timesteps, U] or `d_last` [batch, U] is the gradient of the outputs,
/// both may be null; `d_final` [batch, U] those of the final states, null: zeros.
template <typename Scalar>
void recurrent_backward(const RecurrentCall<Scalar>& call, const RecurrentMemory<Scalar>& memory,
                        const Scalar* d_sequence, const Scalar* d_last,
                        const Scalar* const (&d_final)[kMaxStates],
                        const RecurrentGradients<Scalar>& gradients, const PlanRequest& request,
                        const Packing<Scalar>& packed = {});

}  // namespace timeloom
