/// The argument blocks of the recurrent kernels: what a cell declares, how a call is laid out, what it reads
/// and writes. Letters in shapes: B batch, T timesteps, F features, U units, P panels, L lanes of a vector.
#pragma once

#include "base/activation.h"
#include "base/views.h"

namespace timeloom {

/// At most this many accumulators a unit, states, and products a step.
constexpr int kMaxAccumulators = 4;
constexpr int kMaxStates = 2;
constexpr int kMaxPhases = 2;

/// Accumulators [begin, end) of a cell.
struct AccumulatorRange {
  int begin;
  int end;
};

/// What a cell declares about itself; the driver needs nothing else.
///
/// An accumulator is one pre-activation sum of a unit. It starts from the bias, takes the input product if
/// it lies in `input`, then the product of its phase if it lies in `state[phase]`. The cell orders its
/// accumulators so that each of these sets is contiguous; `*_gate` tells which block of columns of the Keras
/// weights feeds it.
struct CellInfo {
  const char* name;
  int input_gates;  // blocks of columns of kernel
  int state_gates;  // blocks of columns of recurrent_kernel
  int states;       // state 0 is the output
  int bias_rows;    // 1, or 2: row 0 goes with the input, row 1 with the state
  int accumulators;
  int kept;    // values a unit that forward keeps for backward, beside the states
  int phases;  // 1, or 2: the operand of the second product depends on the first
  AccumulatorRange input;
  AccumulatorRange state[kMaxPhases];
  int input_gate[kMaxAccumulators];  // -1: not fed by the input
  int state_gate[kMaxAccumulators];  // -1: not fed by the state
  Activation activation;             // defaults; this pair is compiled in
  Activation recurrent_activation;
};

/// Sizes of one call.
struct RnnSizes {
  index batch;
  index steps;
  index features;
  index units;
};

/// How the threads divide a call. Every choice gives the same bits.
struct RnnPath {
  bool unit_slices;   // false: each thread owns rows of the batch; true: each owns units and all rows
  bool separate;      // input product of a chunk of steps first, stored and reloaded; false: inside each step
  index state_block;  // the product over the units is split in blocks of this many; the accumulators are
                      // reloaded
  index chunk_steps;  // steps of a chunk: ceil(512 / batch), a function of the shape alone
};

/// How the arrays of a call are padded and how large they are, in elements. Filled by the kernels of an ISA.
struct RnnLayout {
  index lanes;              // L
  index panels;             // P: groups of units that one tile computes
  index panel_units;        // units of a panel, a multiple of L
  index padded_units;       // P * panel_units rounded up to 4 L
  index accumulator_width;  // elements of a panel a row: accumulators * panel_units
  index kept_width;         // kept values of a panel a row: kept * panel_units
  index packed_weights;     // forward weights and bias
  index packed_transposed;  // weights of the backward products
  index thread_scratch;     // backward workspace of one thread
};

/// Keras weights and where their packed form goes.
template <typename Scalar>
struct RnnPacking {
  RnnSizes sizes;
  const Scalar* kernel;            // [F, input_gates * U]
  const Scalar* recurrent_kernel;  // [U, state_gates * U]
  const Scalar* bias;              // [bias_rows, gates * U] or null: zeros
  Scalar* packed;                  // [packed_weights] or [packed_transposed]
};

/// Forward over a whole sequence.
template <typename Scalar>
struct RnnForward {
  RnnSizes sizes;
  RnnPath path;
  Activation activation;
  Activation recurrent_activation;
  const Scalar* packed;               // [packed_weights]
  SequenceView<const Scalar> inputs;  // [B, T, F]; step_stride negative when time is walked backwards
  const Scalar* initial[kMaxStates];  // [B, U] each, never null
  SequenceView<Scalar> outputs;       // state 0 after every step [B, T, U]; or a ring of two steps
  index output_steps;                 // T, or 2 for the ring
  Scalar* states[kMaxStates];  // states 1 ..: [T + 1 or 1][B, padded_units], slot 0 filled from `initial`
  index state_slots;           // T + 1: slot s + 1 holds the state after step s; 1: overwritten in place
  Scalar* kept;          // [T or 1][P][B, kept_width]; null when nothing is kept and the cell has one phase
  index kept_slots;      // T or 1
  Scalar* operand;       // second phase: [T or 1][B, U]; else null
  index operand_slots;   // T or 1
  Scalar* accumulators;  // workspace [P][chunk_steps, B][accumulator_width]; null if fused and unblocked
};

/// Backward over a whole sequence. Reads what forward kept; nothing it reads is changed.
template <typename Scalar>
struct RnnBackward {
  RnnSizes sizes;
  RnnPath path;
  Activation activation;
  Activation recurrent_activation;
  const Scalar* packed_transposed;       // [packed_transposed]
  SequenceView<const Scalar> inputs;     // as in forward
  const Scalar* initial[kMaxStates];     // [B, U] each
  SequenceView<const Scalar> outputs;    // [B, T, U]
  const Scalar* states[kMaxStates];      // as in forward, T + 1 slots
  const Scalar* kept;                    // as in forward, T slots
  const Scalar* operand;                 // as in forward, T slots
  SequenceView<const Scalar> d_outputs;  // [B, T, U]; data null: none
  bool d_outputs_last;                   // d_outputs holds the last step alone
  Scalar* d_states[kMaxStates];   // workspace [B, padded_units]: in d final states, out d initial states
  Scalar* d_operand;              // workspace of a second phase [B, padded_units]; else null
  Scalar* d_accumulators;         // workspace [P][chunk_steps, B][accumulator_width]
  SequenceView<Scalar> d_inputs;  // [B, T, F], overwritten; data null: not wanted
  Scalar* d_kernel;               // [F, input_gates * U], zeroed by the caller, added to
  Scalar* d_recurrent_kernel;     // [U, state_gates * U], likewise
  Scalar* d_bias;                 // [bias_rows, gates * U] likewise, or null
  Scalar* scratch;                // workspace [threads][thread_scratch]
  const Scalar** rows;            // workspace [threads][3][chunk_steps * B]
};

}  // namespace timeloom
