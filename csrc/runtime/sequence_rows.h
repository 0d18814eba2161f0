/// From lengths or a mask to the rows that the kernels walk over: which rows are in a step, and where they
/// lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/rnn.h"

namespace timeloom {

/// Which timesteps of a batch are real. With neither mask nor lengths all are.
struct Timesteps {
  index batch;
  index timesteps;              // of the arrays; ignored if packed
  const unsigned char* mask;    // [batch, timesteps], 0: masked; or null
  const std::int64_t* lengths;  // [batch]; or null
  bool packed;                  // the sequences lie one after the other, each as long as `lengths` says
  bool go_backwards;
  bool keep_time_order;  // outputs stand at the timestep of their input, not in the order of processing
};

/// Whether a timestep of a row of the batch is real. Not for packed sequences, which hold no others.
inline bool is_real(const Timesteps& given, index row, index timestep) {
  if (given.mask) return given.mask[row * given.timesteps + timestep] != 0;
  return !given.lengths || timestep < static_cast<index>(given.lengths[row]);
}

/// The plan of a batch and the memory it points into.
///
/// Rows are sorted by the number of their real timesteps, longest first, equal ones in the order of the
/// batch. A batch whose rows have all timesteps is dense: it keeps its order and needs no table.
class SequenceRows {
 public:
  /// Throws std::bad_alloc if the tables do not fit into memory.
  explicit SequenceRows(const Timesteps& given);

  /// Valid as long as this object lives and stays where it is.
  SequencePlan plan() const;
  /// Cuts the steps into chunks of about `rows` packed rows, a function of the lengths alone. `begin`
  /// [chunks_of(rows) + 1] takes the first step of each and then the number of steps; returns how many there
  /// are.
  index cut_chunks(index rows, index* begin) const;
  /// At most how many chunks that are.
  index chunks_of(index rows) const { return std::max<index>((total_ + rows / 2) / rows, 1); }

  bool dense() const { return step_begin_.empty(); }
  index batch() const { return batch_; }
  /// Rows with a real timestep.
  index active() const { return dense() || steps_ == 0 ? batch_ : step_begin_[1]; }
  index steps() const { return steps_; }
  /// Real timesteps of all rows.
  index total() const { return total_; }
  /// Of the tables: 8 or 16 a timestep, 24 a row; nothing to speak of if the batch is dense.
  std::size_t bytes() const;
  /// The row of the batch that is row `place` of the plan.
  index row_of(index place) const { return dense() ? place : order_[static_cast<std::size_t>(place)]; }
  /// Real timesteps of row `place` of the plan.
  index length_of(index place) const { return dense() ? steps_ : lengths_[static_cast<std::size_t>(place)]; }

 private:
  void cut_own_chunks();
  index first_row(index step) const;
  void order_rows(const std::vector<index>& lengths);

  index batch_;
  index steps_;
  index total_;
  index chunk_rows_ = 0;
  std::vector<index> order_;
  std::vector<index> lengths_;
  std::vector<index> step_begin_;
  std::vector<index> input_row_;
  std::vector<index> output_row_;   // empty: as the inputs
  std::vector<index> chunk_begin_;  // empty: one chunk
  index only_chunk_[2] = {};        // so that a small dense call needs no memory from the heap
};

}  // namespace timeloom
