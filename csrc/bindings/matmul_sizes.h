// The workspace of a matrix product, in elements: asked by the product itself (bind_gemm.cpp) and by an
// estimate (bind_memory.cpp). Letters as in base/gemm.h.
#pragma once

#include <algorithm>

#include "base/views.h"

namespace timeloom {

/// Nanoseconds on one thread, roughly.
inline double matmul_work(index rows, index cols, index depth) {
  return static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(depth) / 30.0;
}

/// A right operand [depth, cols] packed.
inline index packed_size(index depth, index cols, index lanes) {
  return (cols + 4 * lanes - 1) / (4 * lanes) * depth * 4 * lanes;
}

/// Workspace of the transpose of a [depth, rows] times b [depth, cols].
struct OuterSizes {
  index packed;
  index pointers;
  index scratch;
};

inline OuterSizes outer_sizes(index rows, index cols, index depth, index lanes, int threads) {
  return {packed_size(std::min(depth, kChunkRows), cols, lanes), threads * kChunkRows,
          threads * rows * 4 * lanes};
}

}  // namespace timeloom
