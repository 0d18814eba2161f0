/// The argument blocks of the recurrent kernels: what a cell declares, how a call is laid out, what it reads
/// and writes. Letters in shapes: B batch, T timesteps, F features, U units, P panels, L lanes of a vector,
/// N packed rows (all steps of all rows: B * T if the batch is dense); places: of RowHalves.
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
  int kept;             // values a unit that forward keeps for backward, beside the states
  bool output_is_kept;  // the kept value is the output itself: memory only if the two differ
  int phases;           // 1, or 2: the operand of the second product depends on the first
  AccumulatorRange input;
  AccumulatorRange state[kMaxPhases];
  int input_gate[kMaxAccumulators];  // -1: not fed by the input
  int state_gate[kMaxAccumulators];  // -1: not fed by the state
  Activation activation;             // defaults; compiled in is this pair, and the second beside any other
  Activation recurrent_activation;
};

/// Sizes of one call.
struct RnnSizes {
  index batch;
  index steps;  // of the longest row
  index features;
  index units;
};

/// Which row takes part in which step, and where its data lies.
///
/// Rows are ordered by length, longest first, so that those of a step are the first ones and grow fewer from
/// step to step. Row r of a step is packed row step_begin[step] + r. A step is the next timestep that is not
/// masked, whichever that is for a row; masked timesteps do not exist here.
struct SequencePlan {
  const index* step_begin;   // [steps + 1]; null: dense, all rows in every step, addresses by stride
  const index* input_row;    // [N] row of the inputs, counted in rows of F elements; null if dense
  const index* output_row;   // [N] row of the outputs, counted in rows of U elements; null if dense
  const index* chunk_begin;  // [chunks + 1] first step of each chunk
  index chunks;
  index chunk_rows;  // packed rows of the largest chunk
};

/// A part of the batch whose weight gradients backward sums on their own, so that a thread that walks over
/// all of it reads nothing that another one has just written: rows first, first + distance .. below end.
struct Strand {
  index first;
  index distance;  // 1 if all rows are equally long
  index end;
  const index* row_begin;  // [steps + 1] packed rows of the strand before each step; null if dense
};

/// How the threads divide a call. Every choice gives the same bits.
struct RnnPath {
  bool unit_slices;   // false: shares of the rows of the batch; true: of the units, with all rows
  bool separate;      // input product of a chunk of steps first, stored and reloaded; false: inside each step
  bool by_gate;       // the gates have operands of their own: products gate by gate, never separate
  index state_block;  // the product over the units is split in blocks of this many; the accumulators are
                      // reloaded
};

/// How the arrays of a call are padded and how large they are, in elements. Filled by the kernels of an ISA.
struct RnnLayout {
  index lanes;              // L
  index panels;             // P: groups of units that one tile computes
  index panel_units;        // units of a panel, a multiple of L
  index padded_units;       // P * panel_units rounded up to 4 L
  index state_width;        // a row of states 1 ..: P * panel_units; padded_units if by gate
  index accumulator_row;    // accumulators of all panels a row
  index kept_width;         // kept values of a panel a row: kept * panel_units
  index packed_weights;     // forward weights and bias
  index packed_transposed;  // weights of the backward products
  index thread_scratch;     // backward workspace of one thread
  index input_distance;     // of gathered rows of F elements
  index state_distance;     // of gathered rows of U elements
};

/// Keras weights and where their packed form goes.
template <typename Scalar>
struct RnnPacking {
  RnnSizes sizes;
  const Scalar* kernel;            // [F, input_gates * U]
  const Scalar* recurrent_kernel;  // [U, state_gates * U]
  const Scalar* bias;              // [bias_rows, gates * U] or null: zeros
  bool by_gate;
  Scalar* packed;  // [packed_weights] or [packed_transposed]
};

/// Where rows of a dense batch lie in what a call keeps and works in: those from `split` on apart from the
/// others, in a half of their own. Side by side, a core that walks over one half would fetch rows of the
/// other ahead of time, while another core writes them.
struct RowHalves {
  index split;   // the batch: one half
  index gap;     // rows left free behind each half where there is one for each row of the batch
  index places;  // rows of such an array
};

/// What forward and backward of one call share. Initial states and factors are in the order of the plan;
/// inputs and what is laid out as outputs lie as the caller has them, and the plan says where.
template <typename Scalar>
struct RnnCall {
  RnnSizes sizes;
  SequencePlan plan;
  RnnPath path;
  RowHalves halves;
  Activation activation;
  Activation recurrent_activation;
  SequenceView<const Scalar> inputs;  // [B, T, F]; step_stride negative when time is walked backwards
  const Scalar* initial[kMaxStates];  // [B, U] each, never null
  const Scalar* input_dropout;        // factors of the inputs, gate by gate [input_gates, B, F]; null: none
  const Scalar* recurrent_dropout;    // factors of the state in its products [state_gates, B, U]; null: none
  bool asks_ahead;                    // for what is kept and tiles of d_inputs, as they outgrow the caches
  bool zoned;                         // whether states keep a part of their old value
  SequenceView<const Scalar> zoneout[kMaxStates];  // that part, laid out as outputs; data null: zoneout_rate
  Scalar zoneout_rate[kMaxStates];
};

/// Forward over a whole sequence.
///
/// Rows that tiles read side by side are gathered into rows an odd number of cache lines apart
/// (kernels/tile.h). `gates` of them is the number of gates if dropout gives each its own, else 1.
template <typename Scalar>
struct RnnForward {
  RnnCall<Scalar> call;
  const Scalar* packed;          // [packed_weights]
  SequenceView<Scalar> outputs;  // state 0 after every step [B, T, U], or [N, U], or a ring of two steps
  const index* output_row;       // as in the plan, or null: row N, or by stride if dense
  bool ring;                   // outputs are workspace [2][places][U] of a dense batch: of odd and even steps
  Scalar* states[kMaxStates];  // states 1 ..: [places + N or places][state_width]: before the first step,
                               // then after each, or overwritten
  Scalar* kept;                // [P, rows of both][kept_width] of each half and step, or [P, places] of one
                               // step; null: not kept
  Scalar* operand;             // second phase: [N or places][state_distance]; else null
  bool keeps_steps;            // states, kept values and operand of every step
  Scalar* accumulators;        // workspace [P][chunk_rows][width of a panel]; null if fused and unblocked
  Scalar* input_rows;          // workspace [gates][chunk_rows][input_distance]; null: read where they lie
  Scalar* state_rows;          // workspace [2][gates][places][state_distance]: the state as products take it
};

/// Backward over a whole sequence of a strand. Reads what forward kept; nothing it reads is changed. The
/// chunks of the plan are those of a strand.
template <typename Scalar>
struct RnnBackward {
  RnnCall<Scalar> call;
  Strand strand;
  const Scalar* packed_transposed;       // [packed_transposed]
  SequenceView<const Scalar> outputs;    // as in forward, every step
  const index* output_row;               // as in forward
  const Scalar* states[kMaxStates];      // as in forward, of every step
  const Scalar* kept;                    // as in forward, every step; null: the output is what is kept
  const Scalar* operand;                 // as in forward, every step
  SequenceView<const Scalar> d_outputs;  // laid out as the outputs of every step; data null: none
  Scalar* d_states[kMaxStates];          // workspace [places, padded_units]: in d final, out d initial states
  Scalar* d_operand;                     // workspace of a second phase [places, padded_units]; else null
  Scalar* d_accumulators;  // workspace [P][chunk_rows][width of a panel], or by gate (rnn_backward_rows.h),
                           // zeroed if a gate panel is part empty
  Scalar* d_inputs;        // laid out as inputs.data, valid rows overwritten; null: not wanted
  Scalar* d_kernel;        // [F, input_gates * U], overwritten by the last chunk and added to by the others
  Scalar* d_recurrent_kernel;  // [U, state_gates * U], likewise
  Scalar* d_bias;              // [bias_rows, gates * U], zeroed by the caller and added to, or null
  Scalar* input_rows;          // workspace [gates][chunk_rows][input_distance]
  Scalar* state_rows;          // workspace [gates][chunk_rows][state_distance]
  Scalar* operand_rows;        // second phase: workspace [chunk_rows][state_distance]; else null
  Scalar* scratch;             // workspace [threads][scratch_distance], of thread_scratch elements
  index scratch_distance;
  index* sources;  // workspace [2][chunk_rows]: the row of the inputs, and of the plan
};

}  // namespace timeloom
