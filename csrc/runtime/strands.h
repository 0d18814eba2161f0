/// Which rows of a batch lie apart from the others, which have weight gradients of their own, and how threads
/// walk over those backward.
#pragma once

#include "runtime/sequence_rows.h"
#include "runtime/thread_plan.h"
#include "runtime/workspace.h"

namespace timeloom {

/// Bytes between what two threads write: processors fetch ahead, within a page as a rule.
constexpr index kApartBytes = 4096;

/// What the strands of a call depend on beside its rows, in bytes.
struct StrandSizes {
  index weights;  // gradients of the weights
  index sums;     // the gradients of the sums of a row
};

index strand_count(const SequenceRows& rows, const StrandSizes& sizes);

/// The halves of a dense batch of small weights, rows of `row_bytes` and more apart, if its rows are divided;
/// else all in one.
RowHalves halves_of(const SequenceRows& rows, const RnnPlan& plan, index weight_bytes, index row_bytes);

/// The strands of a batch, a function of the shape alone, as the order of the sums depends on them: two if
/// the weights are small and each has rows enough for tiles and chunks. Where lengths differ each has every
/// second row of the plan.
class Strands {
 public:
  /// The tables live in `scratch`. Throws std::bad_alloc if the memory is not to be had.
  Strands(const SequenceRows& rows, const StrandSizes& sizes, Scratch& scratch);

  index count() const { return count_; }
  index batch() const { return rows_.batch(); }
  /// Calls function(row) for the rows of a worker's strands, or for its share of the only one.
  template <typename Function>
  void for_rows(const Worker& worker, Function&& function) const {
    const index parts = count_ == 1 ? worker.count : count_;
    for (index which = worker.index; which < parts; which += worker.count) {
      const Strand rows = part(which, parts);
      for (index row = rows.first; row < rows.end; row += rows.distance) function(row);
    }
  }
  Strand operator[](index which) const;
  /// That of the rows, but with chunks of a strand.
  const SequencePlan& plan() const { return plan_; }

 private:
  Strand part(index which, index parts) const;

  const SequenceRows& rows_;
  index count_;
  SequencePlan plan_;
  const index* row_begin_ = nullptr;  // [count][steps + 1]; null if dense
};

/// How threads walk over strands.
struct StrandWalk {
  int slices;     // of each strand, where rows are divided
  bool whole;     // a thread takes a strand and walks over all its chunks: no thread waits for another
  index at_once;  // strands that are walked over at a time, each with a workspace
};
StrandWalk walk_over(const Strands& strands, const RnnPlan& plan);

}  // namespace timeloom
