// Losses, row by row, and their gradients: one pass over the outputs each.
//
// A row has one value, whatever the other rows; its sums run in L interleaved chains that are then added as
// sum_lanes does. Legend: p output, t target (after label smoothing), n columns, g gradient of the value,
// c(x) = min(max(x, low), high), 1c whether x lies in [low, high].
//
//   squared             sum (p - t)^2 / n                                  dp = 2 g / n (p - t)
//   absolute            sum |p - t| / n                                    dp = g / n sign(p - t)
//   binary              -sum (t log q + (1 - t) log(1 - q)) / n, q = c(p)  dp = g / n (q - t) / (q (1 - q))
//   1c binary_logits       sum (max(p, 0) - p t + log(1 + e^-|p|)) / n        dp = g / n (sigmoid(p) - t)
//   categorical         -sum t log q, q = c(s), s = p / sum p              d = -g t / q 1c,
//                                                                          dp = (d - sum d s) / sum p
//   categorical_logits  -sum t log_softmax(p)                              d = -g t,
//                                                                          dp = d - softmax(p) sum d
//
// A label stands for t = 1 at its place and 0 elsewhere. NaN passes to the value and to the gradients.
#pragma once

#include "base/losses.h"
#include "kernels/softmax.h"

namespace losses {

template <class V>
using ScalarOf = typename V::scalar;

/// f(x) of one number, by the vector function.
template <class V, class Function>
TIMELOOM_INLINE ScalarOf<V> of_one(ScalarOf<V> x, const Function& f) noexcept {
  ScalarOf<V> lanes[V::kLanes];
  f(V::broadcast(x)).store(lanes);
  return lanes[0];
}

/// The sum of f(position, lanes) over a row.
template <class V, class Function>
TIMELOOM_INLINE ScalarOf<V> sum_of(index cols, const Function& f) noexcept {
  V sums = V::zero();
  for_vectors<V>(
      0, cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { sums = sums + lanes.inside(f(i, lanes)); });
  return sum_lanes(sums);
}

/// c(x) and whether x lies inside, for one number and for vectors; NaN stays NaN.
template <class Scalar>
struct Limits {
  Scalar low;
  Scalar high;
  Scalar clip(Scalar x) const noexcept { return x < low ? low : x > high ? high : x; }
  Scalar inside(Scalar x) const noexcept { return x >= low && x <= high ? Scalar(1) : Scalar(0); }
};

template <class V>
TIMELOOM_INLINE V clip(V x, V low, V high) noexcept {
  return min(high, max(low, x));  // both return their second operand if it is NaN
}

template <class V>
TIMELOOM_INLINE V inside(V x, V low, V high) noexcept {
  return select((x >= low) & (x <= high), V::broadcast(1), V::zero());
}

template <class V>
TIMELOOM_INLINE V sign(V x) noexcept {
  return select(x > V::zero(), V::broadcast(1), select(x < V::zero(), V::broadcast(-1), x));
}

/// log(sum e^(x - most)) of a row.
template <class V>
TIMELOOM_INLINE ScalarOf<V> log_sum(const ScalarOf<V>* x, index cols, V most) noexcept {
  const auto sum = sum_of<V>(
      cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { return exp(lanes.load(x + i) - most); });
  return of_one<V>(sum, [](V s) TIMELOOM_INLINE_LAMBDA { return log(s); });
}

/// The value of a row that is a sum over its elements, each of f(p, t).
template <class V, class Function>
TIMELOOM_INLINE void mean_values(const LossRows<ScalarOf<V>>& call, const Worker& worker,
                                 const Function& f) noexcept {
  const V keep = V::broadcast(call.keep), add = V::broadcast(call.add);
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* p = call.outputs + row * call.cols;
    const auto* t = call.targets + row * call.cols;
    const auto sum = sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      return f(lanes.load(p + i), lanes.load(t + i) * keep + add);
    });
    call.results[row] = sum / static_cast<ScalarOf<V>>(call.cols);
  }
}

/// The gradients of the same rows: g / n times f(p, t).
template <class V, class Function>
TIMELOOM_INLINE void mean_gradients(const LossRows<ScalarOf<V>>& call, const Worker& worker,
                                    const Function& f) noexcept {
  const V keep = V::broadcast(call.keep), add = V::broadcast(call.add);
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const auto* p = call.outputs + row * call.cols;
    const auto* t = call.targets + row * call.cols;
    auto* d = call.results + row * call.cols;
    const V scale =
        V::broadcast(call.upstream[row * call.upstream_stride] / static_cast<ScalarOf<V>>(call.cols));
    for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
      lanes.store(d + i, scale * f(lanes.load(p + i), lanes.load(t + i) * keep + add));
    });
  }
}

/// Rows of classes; kLogits: p is before the softmax.
template <class V, bool kLogits>
TIMELOOM_INLINE void class_values(const LossRows<ScalarOf<V>>& call, const Worker& worker) noexcept {
  using Scalar = ScalarOf<V>;
  const V keep = V::broadcast(call.keep), add = V::broadcast(call.add);
  const V low = V::broadcast(call.low), high = V::broadcast(call.high);
  const Limits<Scalar> limits{call.low, call.high};
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const Scalar* p = call.outputs + row * call.cols;
    const Scalar* t = call.targets == nullptr ? nullptr : call.targets + row * call.cols;
    const index label = call.labels == nullptr ? 0 : static_cast<index>(call.labels[row]);
    if (label < 0) {
      call.results[row] = Scalar(0);
      continue;
    }
    Scalar value;
    if constexpr (kLogits) {
      const Scalar most = largest_element<V>(p, call.cols);
      const Scalar offset = log_sum<V>(p, call.cols, V::broadcast(most));
      const V most_lanes = V::broadcast(most), offset_lanes = V::broadcast(offset);
      value = t == nullptr ? (p[label] - most) - offset
                           : sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
                               return (lanes.load(t + i) * keep + add) *
                                      ((lanes.load(p + i) - most_lanes) - offset_lanes);
                             });
    } else {
      const Scalar total =
          sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { return lanes.load(p + i); });
      const V total_lanes = V::broadcast(total);
      value = t == nullptr ? of_one<V>(limits.clip(p[label] / total),
                                       [](V x) TIMELOOM_INLINE_LAMBDA { return log(x); })
                           : sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
                               return (lanes.load(t + i) * keep + add) *
                                      log(clip(lanes.load(p + i) / total_lanes, low, high));
                             });
    }
    call.results[row] = -value;
  }
}

template <class V, bool kLogits>
TIMELOOM_INLINE void class_gradients(const LossRows<ScalarOf<V>>& call, const Worker& worker) noexcept {
  using Scalar = ScalarOf<V>;
  const V keep = V::broadcast(call.keep), add = V::broadcast(call.add);
  const V low = V::broadcast(call.low), high = V::broadcast(call.high);
  const Limits<Scalar> limits{call.low, call.high};
  const Share share = share_of(call.rows, worker);
  for (index row = share.begin; row < share.end; ++row) {
    const Scalar* p = call.outputs + row * call.cols;
    const Scalar* t = call.targets == nullptr ? nullptr : call.targets + row * call.cols;
    Scalar* d = call.results + row * call.cols;
    const index label = call.labels == nullptr ? 0 : static_cast<index>(call.labels[row]);
    if (label < 0) {
      for_vectors<V>(0, call.cols,
                     [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { lanes.store(d + i, V::zero()); });
      continue;
    }
    const Scalar g = call.upstream[row * call.upstream_stride];
    const V minus_g = V::broadcast(-g);
    if constexpr (kLogits) {
      const Scalar most = largest_element<V>(p, call.cols);
      const V most_lanes = V::broadcast(most);
      const V offset = V::broadcast(log_sum<V>(p, call.cols, most_lanes));
      const Scalar sum =
          t == nullptr ? -g : sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
            return minus_g * (lanes.load(t + i) * keep + add);
          });
      const V sum_lanes_ = V::broadcast(-sum);
      for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
        const V probability = exp((lanes.load(p + i) - most_lanes) - offset);
        const V own = t == nullptr ? V::zero() : minus_g * (lanes.load(t + i) * keep + add);
        lanes.store(d + i, fma(probability, sum_lanes_, own));
      });
      if (t == nullptr) d[label] -= g;
    } else {
      const Scalar total =
          sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { return lanes.load(p + i); });
      const V total_lanes = V::broadcast(total);
      if (t == nullptr) {
        const Scalar part = p[label] / total;
        const Scalar own = -g / limits.clip(part) * limits.inside(part);
        const V others = V::broadcast(-(own * part) / total);
        for_vectors<V>(0, call.cols,
                       [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA { lanes.store(d + i, others); });
        d[label] = (own - own * part) / total;
        continue;
      }
      const Scalar sum = sum_of<V>(call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
        const V part = lanes.load(p + i) / total_lanes;
        lanes.store(d + i, minus_g * (lanes.load(t + i) * keep + add) / clip(part, low, high) *
                               inside(part, low, high));
        return lanes.load(d + i) * part;
      });
      const V sum_lanes_ = V::broadcast(sum);
      for_vectors<V>(0, call.cols, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
        lanes.store(d + i, (lanes.load(d + i) - sum_lanes_) / total_lanes);
      });
    }
  }
}

}  // namespace losses

/// results[row] = the loss of the row.
template <class V>
void loss_values_kernel(Loss kind, const LossRows<typename V::scalar>& call, const Worker& worker) noexcept {
  const V low = V::broadcast(call.low), high = V::broadcast(call.high), one = V::broadcast(1);
  switch (kind) {
    case Loss::squared:
      return losses::mean_values<V>(call, worker,
                                    [](V p, V t) TIMELOOM_INLINE_LAMBDA { return (p - t) * (p - t); });
    case Loss::absolute:
      return losses::mean_values<V>(call, worker, [](V p, V t) TIMELOOM_INLINE_LAMBDA { return abs(p - t); });
    case Loss::binary:
      return losses::mean_values<V>(call, worker, [&](V p, V t) TIMELOOM_INLINE_LAMBDA {
        const V q = losses::clip(p, low, high);
        return -(t * log(q) + (one - t) * log(one - q));
      });
    case Loss::binary_logits:
      return losses::mean_values<V>(call, worker, [](V p, V t) TIMELOOM_INLINE_LAMBDA {
        return max(V::zero(), p) - p * t + log1p(exp(-abs(p)));
      });
    case Loss::categorical:
      return losses::class_values<V, false>(call, worker);
    case Loss::categorical_logits:
      return losses::class_values<V, true>(call, worker);
  }
}

/// results[row][i] = the gradient of the outputs.
template <class V>
void loss_gradient_kernel(Loss kind, const LossRows<typename V::scalar>& call,
                          const Worker& worker) noexcept {
  const V low = V::broadcast(call.low), high = V::broadcast(call.high), one = V::broadcast(1);
  switch (kind) {
    case Loss::squared:
      return losses::mean_gradients<V>(call, worker,
                                       [](V p, V t) TIMELOOM_INLINE_LAMBDA { return (p - t) + (p - t); });
    case Loss::absolute:
      return losses::mean_gradients<V>(call, worker,
                                       [](V p, V t) TIMELOOM_INLINE_LAMBDA { return losses::sign(p - t); });
    case Loss::binary:
      return losses::mean_gradients<V>(call, worker, [&](V p, V t) TIMELOOM_INLINE_LAMBDA {
        const V q = losses::clip(p, low, high);
        return (q - t) / (q * (one - q)) * losses::inside(p, low, high);
      });
    case Loss::binary_logits:
      return losses::mean_gradients<V>(call, worker,
                                       [](V p, V t) TIMELOOM_INLINE_LAMBDA { return sigmoid(p) - t; });
    case Loss::categorical:
      return losses::class_gradients<V, false>(call, worker);
    case Loss::categorical_logits:
      return losses::class_gradients<V, true>(call, worker);
  }
}
