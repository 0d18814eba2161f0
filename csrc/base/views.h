/// Floor 0: plain aggregates that every floor may use.
/// Here: sizes, views and argument blocks. Not here: functions, mathematics, memory, threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace timeloom {

/// Signed size or position, in elements unless a name ends in `_bytes`.
using index = std::ptrdiff_t;

/// Rows of a chunk of every sum over rows (weight and bias gradients; of a sequence whole steps, about so
/// many): part of the rule of summation, so a change changes bits.
constexpr index kChunkRows = 512;

/// A matrix [rows, cols] whose rows are contiguous and lie `row_stride` elements apart. Not owned.
template <typename Scalar>
struct MatrixView {
  Scalar* data;
  index rows;
  index cols;
  index row_stride;
};

/// Rows of a batch over time: element (row, step, column) is data[row * row_stride + step * step_stride +
/// column]. Not owned; the columns are contiguous.
template <typename Scalar>
struct SequenceView {
  Scalar* data;
  index row_stride;
  index step_stride;
};

}  // namespace timeloom
