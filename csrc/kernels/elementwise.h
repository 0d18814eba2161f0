// Functions of one element over ranges of elements: activations, exp, log.
//
// A tail runs the same vector code as the rest, so neither the position of an element nor the threads change
// its bits.
#pragma once

#include "base/math_kernels.h"
#include "cells/activations.h"
#include "kernels/tile.h"

/// All lanes of a vector at a time: the body of a loop.
template <class V>
struct WholeVector {
  using Scalar = typename V::scalar;
  TIMELOOM_INLINE V load(const Scalar* p) const noexcept { return V::load(p); }
  TIMELOOM_INLINE void store(Scalar* p, V value) const noexcept { value.store(p); }
  /// The value itself.
  TIMELOOM_INLINE V inside(V value) const noexcept { return value; }
};

/// The first `count` lanes: the tail of a loop.
template <class V>
struct PartVector {
  using Scalar = typename V::scalar;
  int count;
  TIMELOOM_INLINE V load(const Scalar* p) const noexcept { return V::load_partial(p, count); }
  TIMELOOM_INLINE void store(Scalar* p, V value) const noexcept { value.store_partial(p, count); }
  /// The value with zeros in the lanes past the end.
  TIMELOOM_INLINE V inside(V value) const noexcept {
    Scalar lanes[V::kLanes];
    value.store(lanes);
    return V::load_partial(lanes, count);
  }
};

/// Calls f(position, lanes) for [begin, end) in ascending order, `lanes` a WholeVector or, last, a
/// PartVector.
template <class V, class Function>
TIMELOOM_INLINE void for_vectors(index begin, index end, const Function& f) noexcept {
  index i = begin;
  for (; i + V::kLanes <= end; i += V::kLanes) f(i, WholeVector<V>{});
  if (i < end) f(i, PartVector<V>{static_cast<int>(end - i)});
}

/// The share of `worker` in `size` elements, cut at whole cache lines of the arrays.
TIMELOOM_INLINE Share element_share(index size, const Worker& worker) noexcept {
  constexpr index kBlock = 64;
  const Share blocks = share_of((size + kBlock - 1) / kBlock, worker);
  return {blocks.begin * kBlock, blocks.end * kBlock < size ? blocks.end * kBlock : size};
}

/// results[i] = f(operand[i]) over the worker's share of the range.
template <class V, class Function>
TIMELOOM_INLINE void map_elements(const Elementwise<typename V::scalar>& call, const Worker& worker,
                                  const Function& f) noexcept {
  const Share share = element_share(call.size, worker);
  for_vectors<V>(share.begin, share.end, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
    lanes.store(call.results + i, f(lanes.load(call.operand + i)));
  });
}

/// results[i] = upstream[i] * f(operand[i]) over the worker's share of the range.
template <class V, class Function>
TIMELOOM_INLINE void map_gradient(const Elementwise<typename V::scalar>& call, const Worker& worker,
                                  const Function& f) noexcept {
  const Share share = element_share(call.size, worker);
  for_vectors<V>(share.begin, share.end, [&](index i, auto lanes) TIMELOOM_INLINE_LAMBDA {
    lanes.store(call.results + i, lanes.load(call.upstream + i) * f(lanes.load(call.operand + i)));
  });
}

/// y = f(x) for each element; the switch over kinds stands outside the loop.
template <class V>
void activation_kernel(Activation kind, const Elementwise<typename V::scalar>& call,
                       const Worker& worker) noexcept {
  switch (kind) {
#define TIMELOOM_CASE(name)                                                                              \
  case Activation::name:                                                                                 \
    map_elements<V>(call, worker,                                                                        \
                    [](V x) TIMELOOM_INLINE_LAMBDA { return activations::value<Activation::name>(x); }); \
    break;
    TIMELOOM_ACTIVATIONS(TIMELOOM_CASE)
#undef TIMELOOM_CASE
  }
}

/// dx = dy f'(x) for each element, with the derivative from y (from x where derivative_from_input).
template <class V>
void activation_gradient_kernel(Activation kind, const Elementwise<typename V::scalar>& call,
                                const Worker& worker) noexcept {
  switch (kind) {
#define TIMELOOM_CASE(name)                                                                                 \
  case Activation::name:                                                                                    \
    map_gradient<V>(call, worker,                                                                           \
                    [](V y) TIMELOOM_INLINE_LAMBDA { return activations::gradient<Activation::name>(y); }); \
    break;
    TIMELOOM_ACTIVATIONS(TIMELOOM_CASE)
#undef TIMELOOM_CASE
  }
}

template <class V>
void exp_kernel(const Elementwise<typename V::scalar>& call, const Worker& worker) noexcept {
  map_elements<V>(call, worker, [](V x) TIMELOOM_INLINE_LAMBDA { return exp(x); });
}

template <class V>
void log_kernel(const Elementwise<typename V::scalar>& call, const Worker& worker) noexcept {
  map_elements<V>(call, worker, [](V x) TIMELOOM_INLINE_LAMBDA { return log(x); });
}
