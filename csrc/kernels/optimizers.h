// The optimizer steps: every parameter in one pass, in Keras's formulas. Weight decay is decoupled and comes
// first.
//
// Each element stands alone, so threads divide the elements of all segments together and no bit depends on
// them. Legend: w parameter, g gradient after scale and clip, s slots, lr learning rate.
#pragma once

#include "base/optimizers.h"
#include "kernels/elementwise.h"

/// Calls f(segment, position, lanes, g) for every element of the worker's share, a vector at a time.
template <class V, class Function>
TIMELOOM_INLINE void for_gradients(const Segments<typename V::scalar>& call, const Worker& worker,
                                   const Function& f) noexcept {
  const Share share = element_share(call.size, worker);
  const V clip = V::broadcast(call.clip);
  index first = 0;
  for (index s = 0; s < call.count && first < share.end; ++s) {
    const Segment<typename V::scalar> segment = call.segments[s];
    const index begin = share.begin > first ? share.begin - first : 0;
    const index end = share.end - first < segment.size ? share.end - first : segment.size;
    const V scale = V::broadcast(segment.gradient_scale);
    if (begin < end) {
      for_vectors<V>(begin, end, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
        // min and max return their second operand if either is NaN.
        f(segment, i, lanes, min(clip, max(-clip, lanes.load(segment.gradient + i) * scale)));
      });
    }
    first += segment.size;
  }
}

/// w -= lr g; with momentum v = momentum v - lr g, w += v, or w += momentum v - lr g (nesterov).
template <class V>
void sgd_kernel(const Segments<typename V::scalar>& call, const SgdStep<typename V::scalar>& step,
                const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  const V rate = V::broadcast(-step.learning_rate);
  const V momentum = V::broadcast(step.momentum);
  const V decay = V::broadcast(-step.decay);
  if (step.momentum == Scalar(0)) {
    for_gradients<V>(call, worker, [&](const auto& segment, index i, auto lanes, V g) TIMELOOM_INLINE_LAMBDA {
      const V w = lanes.load(segment.parameter + i);
      lanes.store(segment.parameter + i, fma(rate, g, fma(decay, w, w)));
    });
    return;
  }
  const bool nesterov = step.nesterov;
  for_gradients<V>(call, worker, [&](const auto& segment, index i, auto lanes, V g) TIMELOOM_INLINE_LAMBDA {
    const V w = lanes.load(segment.parameter + i);
    const V v = fma(momentum, lanes.load(segment.slots[0] + i), rate * g);
    lanes.store(segment.slots[0] + i, v);
    const V change = nesterov ? fma(momentum, v, rate * g) : v;
    lanes.store(segment.parameter + i, fma(decay, w, w) + change);
  });
}

/// v = rho v + (1 - rho) g^2; d = lr g / sqrt(v + epsilon); w -= d, or with momentum b = momentum b + d, w -=
/// b. Centered: a = rho a + (1 - rho) g and max(v - a^2, 0) + epsilon under the root; the difference is a
/// variance, and where rounding makes it negative Keras returns NaN.
template <class V>
void rmsprop_kernel(const Segments<typename V::scalar>& call, const RmspropStep<typename V::scalar>& step,
                    const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  const V rate = V::broadcast(step.learning_rate);
  const V rho = V::broadcast(step.rho);
  const V rest = V::broadcast(step.rest);
  const V momentum = V::broadcast(step.momentum);
  const V epsilon = V::broadcast(step.epsilon);
  const V decay = V::broadcast(-step.decay);
  const bool has_momentum = step.momentum != Scalar(0);
  const bool centered = step.centered;
  const int average_slot = has_momentum ? 2 : 1;
  for_gradients<V>(call, worker, [&](const auto& segment, index i, auto lanes, V g) TIMELOOM_INLINE_LAMBDA {
    const V v = fma(rho, lanes.load(segment.slots[0] + i), rest * (g * g));
    lanes.store(segment.slots[0] + i, v);
    V spread = v;
    if (centered) {
      const V average = fma(rho, lanes.load(segment.slots[average_slot] + i), rest * g);
      lanes.store(segment.slots[average_slot] + i, average);
      spread = max(V::zero(), fma(-average, average, v));
    }
    V d = rate * g / sqrt(spread + epsilon);
    if (has_momentum) {
      d = fma(momentum, lanes.load(segment.slots[1] + i), d);
      lanes.store(segment.slots[1] + i, d);
    }
    const V w = lanes.load(segment.parameter + i);
    lanes.store(segment.parameter + i, fma(decay, w, w) - d);
  });
}

/// m += (1 - beta_1) (g - m); v += (1 - beta_2) (g^2 - v); w -= rate m / (sqrt(v) + epsilon).
/// amsgrad: h = max(h, v) takes the place of v in the last formula.
template <class V>
void adam_kernel(const Segments<typename V::scalar>& call, const AdamStep<typename V::scalar>& step,
                 const Worker& worker) noexcept {
  const V rate = V::broadcast(step.rate);
  const V rest_1 = V::broadcast(step.rest_1);
  const V rest_2 = V::broadcast(step.rest_2);
  const V epsilon = V::broadcast(step.epsilon);
  const V decay = V::broadcast(-step.decay);
  const bool amsgrad = step.amsgrad;
  for_gradients<V>(call, worker, [&](const auto& segment, index i, auto lanes, V g) TIMELOOM_INLINE_LAMBDA {
    V m = lanes.load(segment.slots[0] + i);
    V v = lanes.load(segment.slots[1] + i);
    m = fma(g - m, rest_1, m);
    v = fma(fma(g, g, -v), rest_2, v);
    lanes.store(segment.slots[0] + i, m);
    lanes.store(segment.slots[1] + i, v);
    if (amsgrad) {
      v = max(lanes.load(segment.slots[2] + i), v);  // NaN of v passes
      lanes.store(segment.slots[2] + i, v);
    }
    const V w = lanes.load(segment.parameter + i);
    lanes.store(segment.parameter + i, fma(decay, w, w) - rate * m / (sqrt(v) + epsilon));
  });
}

/// parameter = g: scales and clips; `gradient` may be `parameter`.
template <class V>
void scale_kernel(const Segments<typename V::scalar>& call, const Worker& worker) noexcept {
  for_gradients<V>(call, worker, [&](const auto& segment, index i, auto lanes, V g) TIMELOOM_INLINE_LAMBDA {
    lanes.store(segment.parameter + i, g);
  });
}
