// Vec on AArch64 Advanced SIMD (NEON): four floats or two doubles. See vec.h for the interface.
#pragma once

constexpr int kVectorRegisters = 32;

template <>
struct Mask<float> {
  uint32x4_t value;
};

template <>
struct Vec<float> {
  using scalar = float;
  static constexpr int kLanes = 4;
  static constexpr bool kFmaOfLanes = false;
  float32x4_t value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {vdupq_n_f32(0.0f)}; }
  static TIMELOOM_INLINE Vec broadcast(float s) noexcept { return {vdupq_n_f32(s)}; }
  static TIMELOOM_INLINE Vec load(const float* p) noexcept { return {vld1q_f32(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const float* p, int count) noexcept {
    if (count >= 4) return load(p);
    const float32x4_t none = vdupq_n_f32(0.0f);
    if (count < 2) return {count == 1 ? vld1q_lane_f32(p, none, 0) : none};
    const float32x4_t two = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
    return {count == 3 ? vld1q_lane_f32(p + 2, two, 2) : two};
  }
  TIMELOOM_INLINE void store(float* p) const noexcept { vst1q_f32(p, value); }
  TIMELOOM_INLINE void store_partial(float* p, int count) const noexcept {
    if (count >= 4) {
      store(p);
    } else if (count >= 2) {
      vst1_f32(p, vget_low_f32(value));
      if (count == 3) vst1q_lane_f32(p + 2, value, 2);
    } else if (count == 1) {
      vst1q_lane_f32(p, value, 0);
    }
  }

  /// The lanes of lo from kFirst on, then the first of hi.
  template <int kFirst>
  static TIMELOOM_INLINE Vec joined(Vec lo, Vec hi) noexcept {
    return {vextq_f32(lo.value, hi.value, kFirst)};
  }
};

TIMELOOM_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) noexcept {
  return {vaddq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) noexcept {
  return {vsubq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) noexcept {
  return {vmulq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) noexcept {
  return {vdivq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a) noexcept { return {vnegq_f32(a.value)}; }
TIMELOOM_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return {vfmaq_f32(c.value, a.value, b.value)};
}
// vminq and vmaxq would give NaN for a NaN of either operand; the interface asks for the second operand.
TIMELOOM_INLINE Vec<float> min(Vec<float> a, Vec<float> b) noexcept {
  return {vbslq_f32(vcltq_f32(a.value, b.value), a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> max(Vec<float> a, Vec<float> b) noexcept {
  return {vbslq_f32(vcgtq_f32(a.value, b.value), a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> sqrt(Vec<float> a) noexcept { return {vsqrtq_f32(a.value)}; }
TIMELOOM_INLINE Vec<float> abs(Vec<float> a) noexcept { return {vabsq_f32(a.value)}; }
TIMELOOM_INLINE Vec<float> copysign(Vec<float> magnitude, Vec<float> sign) noexcept {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.value, magnitude.value)};
}
TIMELOOM_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) noexcept {
  return {vcltq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Mask<float> operator<=(Vec<float> a, Vec<float> b) noexcept {
  return {vcleq_f32(a.value, b.value)};
}
TIMELOOM_INLINE Mask<float> operator>(Vec<float> a, Vec<float> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<float> operator>=(Vec<float> a, Vec<float> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<float> operator&(Mask<float> a, Mask<float> b) noexcept {
  return {vandq_u32(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> select(Mask<float> mask, Vec<float> yes, Vec<float> no) noexcept {
  return {vbslq_f32(mask.value, yes.value, no.value)};
}

TIMELOOM_INLINE Vec<float> scale_by_power_of_two(Vec<float> x, Vec<float> shifted) noexcept {
  const uint32x4_t exponent =
      vshlq_n_u32(vreinterpretq_u32_f32(shifted.value), BinaryFormat<float>::kMantissaBits);
  return {vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(x.value), exponent))};
}

TIMELOOM_INLINE Vec<float> split_binary(Vec<float> x, Vec<float>& exponent) noexcept {
  using F = BinaryFormat<float>;
  const uint32x4_t sqrt_half = vdupq_n_u32(F::kSqrtHalf);
  const uint32x4_t offset = vsubq_u32(vreinterpretq_u32_f32(x.value), sqrt_half);
  const uint32x4_t biased = vaddq_u32(offset, vdupq_n_u32(F::kExponentBias));
  const uint32x4_t number = vorrq_u32(vshrq_n_u32(biased, F::kMantissaBits), vdupq_n_u32(F::kIntegerBits));
  exponent = Vec<float>{vreinterpretq_f32_u32(number)} - Vec<float>::broadcast(F::kIntegerOffset);
  const uint32x4_t mantissa = vandq_u32(offset, vdupq_n_u32(F::kMantissaMask));
  return {vreinterpretq_f32_u32(vaddq_u32(mantissa, sqrt_half))};
}

template <>
struct Mask<double> {
  uint64x2_t value;
};

template <>
struct Vec<double> {
  using scalar = double;
  static constexpr int kLanes = 2;
  static constexpr bool kFmaOfLanes = false;
  float64x2_t value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {vdupq_n_f64(0.0)}; }
  static TIMELOOM_INLINE Vec broadcast(double s) noexcept { return {vdupq_n_f64(s)}; }
  static TIMELOOM_INLINE Vec load(const double* p) noexcept { return {vld1q_f64(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const double* p, int count) noexcept {
    if (count >= 2) return load(p);
    const float64x2_t none = vdupq_n_f64(0.0);
    return {count == 1 ? vld1q_lane_f64(p, none, 0) : none};
  }
  TIMELOOM_INLINE void store(double* p) const noexcept { vst1q_f64(p, value); }
  TIMELOOM_INLINE void store_partial(double* p, int count) const noexcept {
    if (count >= 2) {
      store(p);
    } else if (count == 1) {
      vst1q_lane_f64(p, value, 0);
    }
  }
};

TIMELOOM_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) noexcept {
  return {vaddq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) noexcept {
  return {vsubq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) noexcept {
  return {vmulq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator/(Vec<double> a, Vec<double> b) noexcept {
  return {vdivq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a) noexcept { return {vnegq_f64(a.value)}; }
TIMELOOM_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return {vfmaq_f64(c.value, a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> min(Vec<double> a, Vec<double> b) noexcept {
  return {vbslq_f64(vcltq_f64(a.value, b.value), a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> max(Vec<double> a, Vec<double> b) noexcept {
  return {vbslq_f64(vcgtq_f64(a.value, b.value), a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> sqrt(Vec<double> a) noexcept { return {vsqrtq_f64(a.value)}; }
TIMELOOM_INLINE Vec<double> abs(Vec<double> a) noexcept { return {vabsq_f64(a.value)}; }
TIMELOOM_INLINE Vec<double> copysign(Vec<double> magnitude, Vec<double> sign) noexcept {
  return {vbslq_f64(vdupq_n_u64(0x8000000000000000u), sign.value, magnitude.value)};
}
TIMELOOM_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) noexcept {
  return {vcltq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Mask<double> operator<=(Vec<double> a, Vec<double> b) noexcept {
  return {vcleq_f64(a.value, b.value)};
}
TIMELOOM_INLINE Mask<double> operator>(Vec<double> a, Vec<double> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<double> operator>=(Vec<double> a, Vec<double> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<double> operator&(Mask<double> a, Mask<double> b) noexcept {
  return {vandq_u64(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> select(Mask<double> mask, Vec<double> yes, Vec<double> no) noexcept {
  return {vbslq_f64(mask.value, yes.value, no.value)};
}

TIMELOOM_INLINE Vec<double> scale_by_power_of_two(Vec<double> x, Vec<double> shifted) noexcept {
  const uint64x2_t exponent =
      vshlq_n_u64(vreinterpretq_u64_f64(shifted.value), BinaryFormat<double>::kMantissaBits);
  return {vreinterpretq_f64_u64(vaddq_u64(vreinterpretq_u64_f64(x.value), exponent))};
}

TIMELOOM_INLINE Vec<double> split_binary(Vec<double> x, Vec<double>& exponent) noexcept {
  using F = BinaryFormat<double>;
  const uint64x2_t sqrt_half = vdupq_n_u64(F::kSqrtHalf);
  const uint64x2_t offset = vsubq_u64(vreinterpretq_u64_f64(x.value), sqrt_half);
  const uint64x2_t biased = vaddq_u64(offset, vdupq_n_u64(F::kExponentBias));
  const uint64x2_t number = vorrq_u64(vshrq_n_u64(biased, F::kMantissaBits), vdupq_n_u64(F::kIntegerBits));
  exponent = Vec<double>{vreinterpretq_f64_u64(number)} - Vec<double>::broadcast(F::kIntegerOffset);
  const uint64x2_t mantissa = vandq_u64(offset, vdupq_n_u64(F::kMantissaMask));
  return {vreinterpretq_f64_u64(vaddq_u64(mantissa, sqrt_half))};
}
