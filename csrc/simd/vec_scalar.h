// Vec of one lane in plain C++: the fallback, and the version to read first. See vec.h for the interface.
#pragma once

constexpr int kVectorRegisters = 16;

template <class S>
struct Mask {
  bool value;
};

template <class S>
struct Vec {
  using scalar = S;
  static constexpr int kLanes = 1;
  static constexpr bool kFmaOfLanes = false;
  S value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {S(0)}; }
  static TIMELOOM_INLINE Vec broadcast(S s) noexcept { return {s}; }
  static TIMELOOM_INLINE Vec load(const S* p) noexcept { return {*p}; }
  static TIMELOOM_INLINE Vec load_partial(const S* p, int count) noexcept { return {count > 0 ? *p : S(0)}; }
  TIMELOOM_INLINE void store(S* p) const noexcept { *p = value; }
  TIMELOOM_INLINE void store_partial(S* p, int count) const noexcept {
    if (count > 0) *p = value;
  }
};

template <class S>
TIMELOOM_INLINE Vec<S> operator+(Vec<S> a, Vec<S> b) noexcept {
  return {a.value + b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> operator-(Vec<S> a, Vec<S> b) noexcept {
  return {a.value - b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> operator*(Vec<S> a, Vec<S> b) noexcept {
  return {a.value * b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> operator/(Vec<S> a, Vec<S> b) noexcept {
  return {a.value / b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> operator-(Vec<S> a) noexcept {
  return {-a.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> fma(Vec<S> a, Vec<S> b, Vec<S> c) noexcept {
  return {a.value * b.value + c.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> min(Vec<S> a, Vec<S> b) noexcept {
  return {a.value < b.value ? a.value : b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> max(Vec<S> a, Vec<S> b) noexcept {
  return {a.value > b.value ? a.value : b.value};
}

template <class S>
TIMELOOM_INLINE Mask<S> operator<(Vec<S> a, Vec<S> b) noexcept {
  return {a.value < b.value};
}
template <class S>
TIMELOOM_INLINE Mask<S> operator<=(Vec<S> a, Vec<S> b) noexcept {
  return {a.value <= b.value};
}
template <class S>
TIMELOOM_INLINE Mask<S> operator>(Vec<S> a, Vec<S> b) noexcept {
  return {a.value > b.value};
}
template <class S>
TIMELOOM_INLINE Mask<S> operator>=(Vec<S> a, Vec<S> b) noexcept {
  return {a.value >= b.value};
}
template <class S>
TIMELOOM_INLINE Mask<S> operator&(Mask<S> a, Mask<S> b) noexcept {
  return {a.value && b.value};
}
template <class S>
TIMELOOM_INLINE Vec<S> select(Mask<S> mask, Vec<S> yes, Vec<S> no) noexcept {
  return {mask.value ? yes.value : no.value};
}

TIMELOOM_INLINE Vec<float> abs(Vec<float> a) noexcept { return {TIMELOOM_C_FUNCTION(fabsf)(a.value)}; }
TIMELOOM_INLINE Vec<double> abs(Vec<double> a) noexcept { return {TIMELOOM_C_FUNCTION(fabs)(a.value)}; }
TIMELOOM_INLINE Vec<float> copysign(Vec<float> magnitude, Vec<float> sign) noexcept {
  return {TIMELOOM_C_FUNCTION(copysignf)(magnitude.value, sign.value)};
}
TIMELOOM_INLINE Vec<double> copysign(Vec<double> magnitude, Vec<double> sign) noexcept {
  return {TIMELOOM_C_FUNCTION(copysign)(magnitude.value, sign.value)};
}
TIMELOOM_INLINE Vec<float> sqrt(Vec<float> a) noexcept { return {TIMELOOM_C_FUNCTION(sqrtf)(a.value)}; }
TIMELOOM_INLINE Vec<double> sqrt(Vec<double> a) noexcept { return {TIMELOOM_C_FUNCTION(sqrt)(a.value)}; }

template <class S>
TIMELOOM_INLINE typename BinaryFormat<S>::bits bits_of(Vec<S> a) noexcept {
  typename BinaryFormat<S>::bits bits;
  TIMELOOM_C_FUNCTION(memcpy)(&bits, &a.value, sizeof bits);
  return bits;
}

template <class S>
TIMELOOM_INLINE Vec<S> vec_of_bits(typename BinaryFormat<S>::bits bits) noexcept {
  Vec<S> a;
  TIMELOOM_C_FUNCTION(memcpy)(&a.value, &bits, sizeof bits);
  return a;
}

template <class S>
TIMELOOM_INLINE Vec<S> scale_by_power_of_two(Vec<S> x, Vec<S> shifted) noexcept {
  return vec_of_bits<S>(bits_of(x) + (bits_of(shifted) << BinaryFormat<S>::kMantissaBits));
}

template <class S>
TIMELOOM_INLINE Vec<S> split_binary(Vec<S> x, Vec<S>& exponent) noexcept {
  using F = BinaryFormat<S>;
  const auto offset = bits_of(x) - F::kSqrtHalf;
  exponent.value = vec_of_bits<S>(((offset + F::kExponentBias) >> F::kMantissaBits) | F::kIntegerBits).value -
                   F::kIntegerOffset;
  return vec_of_bits<S>((offset & F::kMantissaMask) + F::kSqrtHalf);
}
