/// How much memory a recurrent call takes from the pool: asked by the calls themselves, and by an estimate
/// before there is any call.
#pragma once

#include "base/kernel_table.h"
#include "runtime/sequence_rows.h"
#include "runtime/strands.h"
#include "runtime/thread_plan.h"

namespace timeloom {

/// What the memory of a call depends on beside its rows.
struct RecurrentTraits {
  index features;
  index units;
  Activation activation;
  bool zoned;  // whether states keep a part of their old value
  bool input_dropout;
  bool recurrent_dropout;
};

/// Elements of the arrays of forward, 0 where one is not needed.
struct ForwardSizes {
  index packed;              // the packed weights
  index history;             // outputs that the caller does not want, from here on RecurrentMemory
  index states[kMaxStates];  // 0 for state 0, the output
  index kept;
  index operand;
  index accumulators;  // from here on workspace
  index input_rows;
  index state_rows;
};

/// Elements of the arrays of backward, all of them workspace. Masked timesteps need more, and a dense batch
/// the table of its chunks, 8 bytes each.
struct BackwardSizes {
  index packed;   // the packed transposed weights
  index scratch;  // of each thread
  index d_state;  // of each state
  index d_operand;
  index gradients;     // of the weights and the bias of a strand, the first one excepted
  index accumulators;  // gradients of the sums of a chunk, from here on of each strand that is walked over
  index sources;       // elements are of type index
  index input_rows;
  index state_rows;
  index operand_rows;
};

/// Sizes of a forward call on these rows. `layout` is what the cell says of them; `keep`: for a backward
/// call; `sequence`: the caller has room for the outputs of every step.
template <typename Scalar>
ForwardSizes forward_sizes(const RnnKernels<Scalar>& cell, const RnnLayout& layout, const SequenceRows& rows,
                           const RowHalves& halves, const RecurrentTraits& traits, const RnnPath& path,
                           bool keep, bool sequence);

/// Elements of the gradients of a call's weights.
struct WeightSizes {
  index kernel;
  index recurrent_kernel;
  index bias;
  index all() const { return kernel + recurrent_kernel + bias; }
};
WeightSizes weight_sizes(const CellInfo& info, index features, index units);
StrandSizes strand_sizes(const CellInfo& info, index features, index units, index element_bytes);

/// Sizes of a backward call; the rest as in forward. What threads work in at a time lies apart.
template <typename Scalar>
BackwardSizes backward_sizes(const CellInfo& info, const RnnLayout& layout, const Strands& strands,
                             index places, const RecurrentTraits& traits, const RnnPlan& plan);

}  // namespace timeloom
