// The workspace of a matrix product, in elements: asked by the product itself (bind_gemm.cpp) and by an
// estimate (bind_memory.cpp). Letters as in base/gemm.h.
#pragma once

#include <algorithm>

#include "base/gemm.h"

namespace timeloom {

/// Nanoseconds on one thread, roughly.
inline double matmul_work(index rows, index cols, index depth) {
  return static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(depth) / 30.0;
}

/// What each thread packs of a right operand at a time.
inline index panel_size(index depth, index lanes, int threads) {
  return threads * std::min(depth, kGemmBlock) * 4 * lanes;
}

/// A right operand [depth, cols] packed whole.
inline index packed_size(index depth, index cols, index lanes) {
  return (cols + 4 * lanes - 1) / (4 * lanes) * depth * 4 * lanes;
}

/// Copies of blocks of the left operand: wanted where its rows, a multiple of 2048 bytes apart, would crowd
/// into few sets of the first cache.
inline index gathered_size(index rows, index depth, std::size_t element_bytes, int threads) {
  const bool crowds = rows > 1 && depth * static_cast<index>(element_bytes) % 2048 == 0;
  return crowds ? threads * kGatheredBlock : 0;
}

/// Workspace of the transpose of a [depth, rows] times b [depth, cols].
struct OuterSizes {
  index packed;
  index gathered;
  index scratch;
};

inline OuterSizes outer_sizes(index rows, index cols, index depth, index lanes, std::size_t element_bytes,
                              int threads) {
  const index chunk = std::min(depth, kChunkRows);
  const bool in_blocks = chunk > outer_block(lanes * static_cast<index>(element_bytes));
  return {packed_size(chunk, cols, lanes), chunk * (rows + 32), in_blocks ? threads * rows * 4 * lanes : 0};
}

}  // namespace timeloom
