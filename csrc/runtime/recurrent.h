/// A recurrent call from plain pointers: packs the weights, lays out what backward needs, runs the kernels.
#pragma once

#include <memory>

#include "base/kernel_table.h"
#include "runtime/thread_plan.h"
#include "runtime/workspace.h"

namespace timeloom {

/// What forward and backward of one call share. Arrays are C-contiguous and belong to the caller.
template <typename Scalar>
struct RecurrentCall {
  const RnnKernels<Scalar>* cell;
  RnnSizes sizes;
  bool go_backwards;
  Activation activation;
  Activation recurrent_activation;
  const Scalar* inputs;               // [B, T, F]
  const Scalar* kernel;               // [F, input_gates * U]
  const Scalar* recurrent_kernel;     // [U, state_gates * U]
  const Scalar* bias;                 // [bias_rows, gates * U] or null
  const Scalar* initial[kMaxStates];  // [B, U], null: zeros
};

/// What forward keeps for backward, beside the arrays of the call. Read only once forward has returned.
template <typename Scalar>
struct RecurrentMemory {
  Workspace states[kMaxStates];
  Workspace kept;
  Workspace operand;
  Workspace history;                   // outputs of every step [T, B, U] if the caller did not want them
  SequenceView<const Scalar> outputs;  // into history or into the caller's array
  std::size_t bytes() const {
    return states[0].bytes() + states[1].bytes() + kept.bytes() + operand.bytes() + history.bytes();
  }
};

/// Runs forward. `sequence` [B, T, U] takes every output, or is null and `last` [B, U] takes the last one;
/// `final_states` [B, U] each. With `memory`, keeps what backward needs. Returns the threads that ran.
template <typename Scalar>
int recurrent_forward(const RecurrentCall<Scalar>& call, Scalar* sequence, Scalar* last,
                      Scalar* const (&final_states)[kMaxStates], RecurrentMemory<Scalar>* memory,
                      const PlanRequest& request);

/// Gradients wanted of recurrent_backward; those of the weights are zeroed here. `d_inputs` and `d_bias` may
/// be null.
template <typename Scalar>
struct RecurrentGradients {
  Scalar* d_inputs;  // [B, T, F]
  Scalar* d_kernel;
  Scalar* d_recurrent_kernel;
  Scalar* d_bias;
  Scalar* d_initial[kMaxStates];  // [B, U]
};

/// Runs backward. `d_sequence` [B, T, U] or `d_last` [B, U] is the gradient of the outputs, both may be null;
/// `d_final` [B, U] those of the final states, null: zeros.
template <typename Scalar>
int recurrent_backward(const RecurrentCall<Scalar>& call, const RecurrentMemory<Scalar>& memory,
                       const Scalar* d_sequence, const Scalar* d_last,
                       const Scalar* const (&d_final)[kMaxStates],
                       const RecurrentGradients<Scalar>& gradients, const PlanRequest& request);

}  // namespace timeloom
