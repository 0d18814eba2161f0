// Softmax, its logarithm and their gradients, row by row.
//
// The sum of a row runs in L interleaved chains that are then added as sum_lanes does: it depends on the row
// alone. The largest element is taken off first, so nothing overflows. As in NumPy, a row with NaN or
// +infinity, or of -infinity only, is NaN throughout; -infinity beside finite elements has probability 0.
// Legend: x operand, y softmax or log_softmax of x, m largest element of the row.
#pragma once

#include "kernels/elementwise.h"

/// The largest element that is not NaN; -infinity if there is none.
template <class V>
TIMELOOM_INLINE typename V::scalar largest_element(const typename V::scalar* x, index size) noexcept {
  using Scalar = typename V::scalar;
  // max returns its second operand if either is NaN: the value so far.
  V most = V::broadcast(-Scalar(TIMELOOM_INFINITY));
  index i = 0;
  for (; i + V::kLanes <= size; i += V::kLanes) most = max(V::load(x + i), most);
  Scalar lanes[V::kLanes];
  most.store(lanes);
  Scalar largest = lanes[0];
  for (int lane = 1; lane < V::kLanes; ++lane) largest = lanes[lane] > largest ? lanes[lane] : largest;
  for (; i < size; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/// y_i = e^(x_i - m) / sum_j e^(x_j - m).
template <class V>
void softmax_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* x = call.operand + row * call.cols;
    auto* y = call.results + row * call.cols;
    const V most = V::broadcast(largest_element<V>(x, call.cols));
    V sums = V::zero();
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(y + i, exp(lanes.load(x + i) - most));
      sums = sums + lanes.load(y + i);  // lanes past the row read as zero
    });
    const V total = V::broadcast(sum_lanes(sums));
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(y + i, lanes.load(y + i) / total);
    });
  }
}

/// y_i = (x_i - m) - log(sum_j e^(x_j - m)).
template <class V>
void log_softmax_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* x = call.operand + row * call.cols;
    auto* y = call.results + row * call.cols;
    const V most = V::broadcast(largest_element<V>(x, call.cols));
    V sums = V::zero();
    const index whole = call.cols - call.cols % V::kLanes;
    for_vectors<V>(0, whole, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      sums = sums + exp(lanes.load(x + i) - most);
    });
    if (whole < call.cols) {
      const int rest = static_cast<int>(call.cols - whole);
      typename V::scalar tail[V::kLanes];
      exp(V::load_partial(x + whole, rest) - most).store(tail);
      sums = sums + V::load_partial(tail, rest);
    }
    const V offset = log(V::broadcast(sum_lanes(sums)));
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(y + i, (lanes.load(x + i) - most) - offset);
    });
  }
}

/// dx_i = y_i (dy_i - sum_j dy_j y_j). operand y, upstream dy.
template <class V>
void softmax_gradient_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* y = call.operand + row * call.cols;
    const auto* dy = call.upstream + row * call.cols;
    auto* dx = call.results + row * call.cols;
    V sums = V::zero();
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      sums = fma(lanes.load(dy + i), lanes.load(y + i), sums);
    });
    const V total = V::broadcast(sum_lanes(sums));
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(dx + i, lanes.load(y + i) * (lanes.load(dy + i) - total));
    });
  }
}

/// dx_i = dy_i - e^(y_i) sum_j dy_j. operand y, upstream dy.
template <class V>
void log_softmax_gradient_kernel(const RowWise<typename V::scalar>& call, const Worker& worker) noexcept {
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* y = call.operand + row * call.cols;
    const auto* dy = call.upstream + row * call.cols;
    auto* dx = call.results + row * call.cols;
    V sums = V::zero();
    for_vectors<V>(0, call.cols,
                   [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { sums = sums + lanes.load(dy + i); });
    const V total = V::broadcast(sum_lanes(sums));
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(dx + i, fma(-exp(lanes.load(y + i)), total, lanes.load(dy + i)));
    });
  }
}
