// Sums over rows and columns, and squared norms. The order of every sum is a function of the shape alone.
#pragma once

#include "base/math_kernels.h"
#include "base/optimizers.h"
#include "kernels/elementwise.h"

/// results[row] = ((operand[row][0] + operand[row][1]) + ...): one ascending chain a row. results [rows].
///
/// A chain cannot be vectorised: eight rows side by side hide the latency of its additions.
template <class V>
void sum_last_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr int kRows = 8;
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; row += kRows) {
    const int count = static_cast<int>(row + kRows <= share.end ? kRows : share.end - row);
    const Scalar* rows[kRows];
    // Rows past the last one repeat it, so that one loop serves every count.
    for (int r = 0; r < kRows; ++r) rows[r] = call.operand + (row + (r < count ? r : count - 1)) * call.cols;
    Scalar sums[kRows] = {};
    for (index k = 0; k < call.cols; ++k) {
      for (int r = 0; r < kRows; ++r) sums[r] += rows[r][k];
    }
    for (int r = 0; r < count; ++r) call.results[row + r] = sums[r];
  }
}

/// results[col] = sum over chunks of kChunkRows rows of (a chain from zero over the rows of the chunk).
/// results [cols].
///
/// The workers divide the columns, in blocks of four vectors.
template <class V>
void sum_rows_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kBlock = 4 * V::kLanes;
  const Share share = share_of((call.cols + kBlock - 1) / kBlock, worker);
  for (index block = share.begin; block < share.end; ++block) {
    const index begin = block * kBlock;
    const index end = begin + kBlock <= call.cols ? begin + kBlock : call.cols;
    if (end - begin == kBlock) {
      V totals[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
      for (index first = 0; first < call.rows; first += kChunkRows) {
        const index last = first + kChunkRows < call.rows ? first + kChunkRows : call.rows;
        V sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
        for (index row = first; row < last; ++row) {
          const Scalar* p = call.operand + row * call.cols + begin;
          for (int v = 0; v < 4; ++v) sums[v] = sums[v] + V::load(p + v * V::kLanes);
        }
        for (int v = 0; v < 4; ++v) totals[v] = totals[v] + sums[v];
      }
      for (int v = 0; v < 4; ++v) totals[v].store(call.results + begin + v * V::kLanes);
    } else {
      for_vectors<V>(begin, end, [&](index col, auto lanes) TIMELOOM_INLINE_LAMBDA {
        V total = V::zero();
        for (index first = 0; first < call.rows; first += kChunkRows) {
          const index last = first + kChunkRows < call.rows ? first + kChunkRows : call.rows;
          V sum = V::zero();
          for (index row = first; row < last; ++row)
            sum = sum + lanes.load(call.operand + row * call.cols + col);
          total = total + sum;
        }
        lanes.store(call.results + col, total);
      });
    }
  }
}

/// The sum of squares of [0, size) in double: eight interleaved chains, added in ascending order.
template <class Scalar>
TIMELOOM_INLINE double squared_norm(const Scalar* values, index size) noexcept {
  constexpr int kChains = 8;
  double sums[kChains] = {};
  index i = 0;
  for (; i + kChains <= size; i += kChains) {
    for (int chain = 0; chain < kChains; ++chain) {
      const double value = static_cast<double>(values[i + chain]);
      sums[chain] += value * value;
    }
  }
  for (int chain = 0; i < size; ++i, ++chain) {
    const double value = static_cast<double>(values[i]);
    sums[chain] += value * value;
  }
  double total = 0.0;
  for (int chain = 0; chain < kChains; ++chain) total += sums[chain];
  return total;
}

/// partials[block] = sum of squares of the block. The caller adds the blocks of an array in ascending order.
template <class V>
void squared_norms_kernel(const SquaredNorms<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.blocks, worker);
  index block = 0;
  for (index array = 0; array < call.count && block < share.end; ++array) {
    for (index begin = 0; begin < call.sizes[array]; begin += kNormBlock, ++block) {
      if (block < share.begin || block >= share.end) continue;
      const index rest = call.sizes[array] - begin;
      call.partials[block] = squared_norm(call.arrays[array] + begin, rest < kNormBlock ? rest : kNormBlock);
    }
  }
}
