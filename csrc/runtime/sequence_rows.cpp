#include "runtime/sequence_rows.h"

#include <algorithm>
#include <numeric>

namespace timeloom {
namespace {

std::size_t at(index position) { return static_cast<std::size_t>(position); }

/// Real timesteps of every row.
std::vector<index> count_timesteps(const Timesteps& given) {
  std::vector<index> lengths(at(given.batch), given.timesteps);
  for (index row = 0; row < given.batch; ++row) {
    if (given.lengths) lengths[at(row)] = static_cast<index>(given.lengths[row]);
    if (given.mask) {
      const unsigned char* begin = given.mask + row * given.timesteps;
      lengths[at(row)] = given.timesteps - static_cast<index>(std::count(begin, begin + given.timesteps, 0));
    }
  }
  return lengths;
}

}  // namespace

SequenceRows::SequenceRows(const Timesteps& given)
    : batch_(given.batch), steps_(given.batch == 0 ? 0 : given.timesteps), total_(given.batch * steps_) {
  if (batch_ == 0 || (!given.mask && !given.lengths)) {
    cut_own_chunks();
    return;
  }
  const std::vector<index> lengths = count_timesteps(given);
  steps_ = *std::max_element(lengths.begin(), lengths.end());
  total_ = std::accumulate(lengths.begin(), lengths.end(), index{0});
  const bool all_alike = total_ == batch_ * steps_;
  if (all_alike && (given.packed || steps_ == given.timesteps)) {
    cut_own_chunks();
    return;
  }
  order_rows(lengths);

  std::vector<index> first(at(batch_), 0);  // where each row of the batch begins
  for (index row = 1; row < batch_; ++row) {
    first[at(row)] = first[at(row - 1)] + (given.packed ? lengths[at(row - 1)] : given.timesteps);
  }
  input_row_.resize(at(total_));
  const bool reordered = given.go_backwards && !given.keep_time_order;
  if (reordered) output_row_.resize(at(total_));
  for (index place = 0; place < batch_; ++place) {
    const index row = order_[at(place)];
    const index length = lengths_[at(place)];
    const index timesteps = given.packed ? length : given.timesteps;
    const unsigned char* mask = given.mask ? given.mask + row * given.timesteps : nullptr;
    index step = 0;
    for (index position = 0; step < length; ++position) {
      const index timestep = given.go_backwards ? timesteps - 1 - position : position;
      if (mask ? mask[timestep] == 0 : timestep >= length) continue;
      const index packed = step_begin_[at(step)] + place;
      input_row_[at(packed)] = first[at(row)] + timestep;
      if (reordered) output_row_[at(packed)] = first[at(row)] + position;
      ++step;
    }
  }
  cut_own_chunks();
}

/// Sorts the rows by length, longest first, and counts those of each step.
void SequenceRows::order_rows(const std::vector<index>& lengths) {
  order_.resize(at(batch_));
  std::iota(order_.begin(), order_.end(), index{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](index a, index b) { return lengths[at(a)] > lengths[at(b)]; });
  lengths_.resize(at(batch_));
  for (index place = 0; place < batch_; ++place) lengths_[at(place)] = lengths[at(order_[at(place)])];
  step_begin_.resize(at(steps_ + 1));
  index active = batch_;
  step_begin_[0] = 0;
  for (index step = 0; step < steps_; ++step) {
    while (active > 0 && lengths_[at(active - 1)] <= step) --active;
    step_begin_[at(step + 1)] = step_begin_[at(step)] + active;
  }
}

index SequenceRows::first_row(index step) const {
  return dense() ? step * batch_ : step_begin_[static_cast<std::size_t>(step)];
}

/// Each chunk ends with the first step that completes its part of all rows, so they are as equal as whole
/// steps allow.
index SequenceRows::cut_chunks(index rows, index* begin) const {
  const index parts = chunks_of(rows);
  const auto end_of_part = [&](index part) {
    return (part + 1) * (total_ / parts) + std::min(part + 1, total_ % parts);
  };
  index chunks = 0;
  begin[0] = 0;
  for (index step = 1, part = 0; step <= steps_; ++step) {
    if (first_row(step) < end_of_part(part)) continue;
    while (part < parts && end_of_part(part) <= first_row(step)) ++part;
    begin[++chunks] = step;
  }
  return chunks;
}

void SequenceRows::cut_own_chunks() {
  if (dense() && steps_ > 0 && chunks_of(kChunkRows) == 1) {
    only_chunk_[1] = steps_;
    chunk_rows_ = total_;
    return;
  }
  chunk_begin_.resize(at(chunks_of(kChunkRows) + 1));
  chunk_begin_.resize(at(cut_chunks(kChunkRows, chunk_begin_.data()) + 1));
  for (std::size_t chunk = 1; chunk < chunk_begin_.size(); ++chunk) {
    chunk_rows_ = std::max(chunk_rows_, first_row(chunk_begin_[chunk]) - first_row(chunk_begin_[chunk - 1]));
  }
}

std::size_t SequenceRows::bytes() const {
  std::size_t elements = 0;
  for (const auto* table : {&order_, &lengths_, &step_begin_, &input_row_, &output_row_, &chunk_begin_}) {
    elements += table->capacity();
  }
  return elements * sizeof(index);
}

SequencePlan SequenceRows::plan() const {
  SequencePlan plan{};
  plan.step_begin = dense() ? nullptr : step_begin_.data();
  plan.input_row = dense() ? nullptr : input_row_.data();
  plan.output_row = dense() ? nullptr : output_row_.empty() ? input_row_.data() : output_row_.data();
  plan.chunk_begin = chunk_begin_.empty() ? only_chunk_ : chunk_begin_.data();
  plan.chunks = chunk_begin_.empty() ? 1 : static_cast<index>(chunk_begin_.size()) - 1;
  plan.chunk_rows = chunk_rows_;
  return plan;
}

}  // namespace timeloom
