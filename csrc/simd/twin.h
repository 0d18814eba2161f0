// Two vectors that go through the same mathematics side by side: a chain of dependent operations, as exp or
// tanh is, leaves a core half idle, and two of them in one stream of instructions fill it.
#pragma once

#include "simd/vec.h"

/// A Vec in all that mathematics asks of one; memory is reached part by part (from_parts, for_parts).
template <class V>
struct Twin {
  using scalar = typename V::scalar;
  V first;
  V second;

  static TIMELOOM_INLINE Twin zero() noexcept { return {V::zero(), V::zero()}; }
  static TIMELOOM_INLINE Twin broadcast(scalar s) noexcept { return {V::broadcast(s), V::broadcast(s)}; }
};

/// The truth values of a Twin.
template <class M>
struct TwinMask {
  M first;
  M second;
};

/// How many vectors a type holds, and which.
template <class V>
struct Parts {
  static constexpr int kCount = 1;
  using Vector = V;
};

template <class V>
struct Parts<Twin<V>> {
  static constexpr int kCount = 2;
  using Vector = V;
};

/// The vectors that `function(part)` gives.
template <class W, class Function>
TIMELOOM_INLINE W from_parts(Function&& function) noexcept {
  if constexpr (Parts<W>::kCount == 1) {
    return function(0);
  } else {
    return {function(0), function(1)};
  }
}

/// Calls function(part, vector) for each.
template <class W, class Function>
TIMELOOM_INLINE void for_parts(const W& parts, Function&& function) noexcept {
  if constexpr (Parts<W>::kCount == 1) {
    function(0, parts);
  } else {
    function(0, parts.first);
    function(1, parts.second);
  }
}

#define TIMELOOM_TWIN_OPERATOR(sign)                                     \
  template <class V>                                                     \
  TIMELOOM_INLINE Twin<V> operator sign(Twin<V> a, Twin<V> b) noexcept { \
    return {a.first sign b.first, a.second sign b.second};               \
  }
TIMELOOM_TWIN_OPERATOR(+)
TIMELOOM_TWIN_OPERATOR(-)
TIMELOOM_TWIN_OPERATOR(*)
TIMELOOM_TWIN_OPERATOR(/)
#undef TIMELOOM_TWIN_OPERATOR

template <class V>
TIMELOOM_INLINE Twin<V> operator-(Twin<V> a) noexcept {
  return {-a.first, -a.second};
}
template <class V>
TIMELOOM_INLINE Twin<V> fma(Twin<V> a, Twin<V> b, Twin<V> c) noexcept {
  return {fma(a.first, b.first, c.first), fma(a.second, b.second, c.second)};
}
template <class V>
TIMELOOM_INLINE Twin<V> min(Twin<V> a, Twin<V> b) noexcept {
  return {min(a.first, b.first), min(a.second, b.second)};
}
template <class V>
TIMELOOM_INLINE Twin<V> max(Twin<V> a, Twin<V> b) noexcept {
  return {max(a.first, b.first), max(a.second, b.second)};
}
template <class V>
TIMELOOM_INLINE Twin<V> abs(Twin<V> a) noexcept {
  return {abs(a.first), abs(a.second)};
}
template <class V>
TIMELOOM_INLINE Twin<V> copysign(Twin<V> magnitude, Twin<V> sign) noexcept {
  return {copysign(magnitude.first, sign.first), copysign(magnitude.second, sign.second)};
}
template <class V>
TIMELOOM_INLINE auto operator<(Twin<V> a, Twin<V> b) noexcept {
  return TwinMask<decltype(a.first < b.first)>{a.first < b.first, a.second < b.second};
}
template <class V, class M>
TIMELOOM_INLINE Twin<V> select(TwinMask<M> mask, Twin<V> yes, Twin<V> no) noexcept {
  return {select(mask.first, yes.first, no.first), select(mask.second, yes.second, no.second)};
}
template <class V>
TIMELOOM_INLINE Twin<V> scale_by_power_of_two(Twin<V> x, Twin<V> shifted) noexcept {
  return {scale_by_power_of_two(x.first, shifted.first), scale_by_power_of_two(x.second, shifted.second)};
}
