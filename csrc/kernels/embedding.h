// Rows of a table by number, and the sums of gradients that come back to them.
#pragma once

#include "base/losses.h"
#include "kernels/elementwise.h"

/// results[k] = operand[indices[k]].
template <class V>
void embedding_kernel(const EmbeddingRows<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.count, worker);
  for (index k = share.begin; k < share.end; ++k) {
    const auto* from = call.operand + static_cast<index>(call.indices[k]) * call.cols;
    auto* to = call.results + k * call.cols;
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(to + i, lanes.load(from + i));
    });
  }
}

/// results[r] = sum of operand[k] over the places k where indices[k] is r: one chain from zero, in ascending
/// order. The workers divide the rows of the table; each looks at all the indices.
template <class V>
void embedding_gradient_kernel(const EmbeddingRows<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.rows, worker);
  for_vectors<V>(share.begin * call.cols, share.end * call.cols,
                 [&](index i, auto lanes)
                     TIMELOOM_INLINE_LAMBDA { lanes.store(call.results + i, V::zero()); });
  for (index k = 0; k < call.count; ++k) {
    const auto row = static_cast<index>(call.indices[k]);
    if (row < share.begin || row >= share.end) continue;
    const auto* from = call.operand + k * call.cols;
    auto* to = call.results + row * call.cols;
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(to + i, lanes.load(to + i) + lanes.load(from + i));
    });
  }
}
