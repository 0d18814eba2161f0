#include "runtime/strands.h"

#include <algorithm>
#include <numeric>

namespace timeloom {
namespace {

// These are part of the rule of summation: another value, other bits.
constexpr index kMostWeights = 1 << 19;  // bytes whose gradients one core keeps in its own cache
constexpr index kMostSums = 1 << 19;     // bytes of a chunk that stay there beside the weights
constexpr index kLeastRows = 8;          // of the batch in a strand: two tiles of four
constexpr index kLeastPacked = 128;  // packed rows of a strand, beside which adding its gradients is little
constexpr index kMostStrands = 2;

constexpr index kLineBytes = 64;  // rows are at least as far from each other as a rule

}  // namespace

index strand_count(const SequenceRows& rows, const StrandSizes& sizes) {
  if (sizes.weights > kMostWeights) return 1;
  const index most = std::min({rows.active() / kLeastRows, rows.total() / kLeastPacked, kMostStrands});
  return std::max<index>(most, 1);
}

RowHalves halves_of(const SequenceRows& rows, const RnnPlan& plan, index weight_bytes, index row_bytes) {
  const index batch = rows.batch();
  const bool divided = batch > 1 && plan.crew.threads > 1 && !plan.path.unit_slices;
  if (!rows.dense() || !divided || weight_bytes > kMostWeights) return {batch, 0, batch};
  const index gap = kApartBytes / std::clamp(row_bytes, kLineBytes, kApartBytes);
  return {batch / 2, gap, batch + 2 * gap};
}

Strands::Strands(const SequenceRows& rows, const StrandSizes& sizes, Scratch& scratch)
    : rows_(rows), count_(strand_count(rows, sizes)), plan_(rows.plan()) {
  if (count_ == 1) {
    row_begin_ = plan_.step_begin;
    return;
  }
  const index steps = rows.steps();
  if (!rows.dense()) {
    auto* const row_begin = scratch.take<index>(count_ * (steps + 1));
    for (index which = 0; which < count_; ++which) {
      const Strand strand = part(which, count_);
      index* const begin = row_begin + which * (steps + 1);
      begin[0] = 0;
      for (index step = 0; step < steps; ++step) {
        const index active = plan_.step_begin[step + 1] - plan_.step_begin[step];
        const index end = std::min(strand.end, active);
        begin[step + 1] =
            begin[step] + std::max<index>(end - strand.first + strand.distance - 1, 0) / strand.distance;
      }
    }
    row_begin_ = row_begin;
  }
  const index rows_of_chunk = count_ * std::clamp(kMostSums / sizes.sums, kChunkRows / 2, kChunkRows);
  auto* const chunk_begin = scratch.take<index>(rows.chunks_of(rows_of_chunk) + 1);
  plan_.chunks = rows.cut_chunks(rows_of_chunk, chunk_begin);
  plan_.chunk_begin = chunk_begin;
  plan_.chunk_rows = 0;
  for (index which = 0; which < count_; ++which) {
    const Strand strand = (*this)[which];
    for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
      const index begin = chunk_begin[chunk];
      const index end = chunk_begin[chunk + 1];
      const index packed = strand.row_begin ? strand.row_begin[end] - strand.row_begin[begin]
                                            : (end - begin) * (strand.end - strand.first);
      plan_.chunk_rows = std::max(plan_.chunk_rows, packed);
    }
  }
}

Strand Strands::part(index which, index parts) const {
  const index batch = rows_.batch();
  const index active = rows_.active();
  // Padding is no difference, be it timesteps or rows: the last part has rows without a timestep as well.
  const bool alike = rows_.total() == active * rows_.steps();
  if (!alike) return {which, parts, batch, nullptr};
  return {which * active / parts, 1, which + 1 == parts ? batch : (which + 1) * active / parts, nullptr};
}

Strand Strands::operator[](index which) const {
  Strand strand = part(which, count_);
  if (row_begin_) strand.row_begin = row_begin_ + which * (rows_.steps() + 1);
  return strand;
}

StrandWalk walk_over(const Strands& strands, const RnnPlan& plan) {
  const int threads = plan.crew.threads;
  if (plan.path.unit_slices) return {1, false, 1};
  // No more slices than rows: the first ones are the caller's.
  const index most = std::max<index>(strands.batch() / strands.count(), 1);
  const auto slices_of = [&](int wanted) { return static_cast<int>(std::min<index>(wanted, most)); };
  if (strands.count() == 1) return {slices_of(plan.crew.share_count()), threads == 1, 1};
  // So many that every thread has as many of all slices.
  const int slices = threads / static_cast<int>(std::gcd<index, index>(threads, strands.count()));
  const bool whole = slices == 1;
  return {slices_of(slices), whole, whole ? threads : strands.count()};
}

}  // namespace timeloom
