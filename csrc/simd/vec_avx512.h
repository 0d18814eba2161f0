// Vec on AVX-512 (F, DQ, BW, VL): sixteen floats or eight doubles. See vec.h for the interface.
// Only intrinsics that SIMDe offers too, so that a machine without AVX-512 can run the tests of this file.
#pragma once

constexpr int kVectorRegisters = 32;

#if defined(TIMELOOM_EMULATE_AVX512)
// SIMDe lacks the masked loads, stores and multiply-adds, and what joins two vectors.
template <int kFirst>
TIMELOOM_INLINE __m512 join_lanes(__m512 lo, __m512 hi) noexcept {
  float lanes[32];
  _mm512_storeu_ps(lanes, lo);
  _mm512_storeu_ps(lanes + 16, hi);
  return _mm512_loadu_ps(lanes + kFirst);
}
template <int kFirst>
TIMELOOM_INLINE __m512d join_lanes(__m512d lo, __m512d hi) noexcept {
  double lanes[16];
  _mm512_storeu_pd(lanes, lo);
  _mm512_storeu_pd(lanes + 8, hi);
  return _mm512_loadu_pd(lanes + kFirst);
}
TIMELOOM_INLINE __m512 _mm512_mask3_fmadd_ps(__m512 a, __m512 b, __m512 c, __mmask16 mask) noexcept {
  return _mm512_mask_blend_ps(mask, c, _mm512_fmadd_ps(a, b, c));
}
TIMELOOM_INLINE __m512d _mm512_mask3_fmadd_pd(__m512d a, __m512d b, __m512d c, __mmask8 mask) noexcept {
  return _mm512_mask_blend_pd(mask, c, _mm512_fmadd_pd(a, b, c));
}
TIMELOOM_INLINE __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const float* p) noexcept {
  float lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = (mask >> i) & 1 ? p[i] : 0.0f;
  return _mm512_loadu_ps(lanes);
}
TIMELOOM_INLINE __m512d _mm512_maskz_loadu_pd(__mmask8 mask, const double* p) noexcept {
  double lanes[8];
  for (int i = 0; i < 8; ++i) lanes[i] = (mask >> i) & 1 ? p[i] : 0.0;
  return _mm512_loadu_pd(lanes);
}
TIMELOOM_INLINE void _mm512_mask_storeu_ps(float* p, __mmask16 mask, __m512 value) noexcept {
  float lanes[16];
  _mm512_storeu_ps(lanes, value);
  for (int i = 0; i < 16; ++i) {
    if ((mask >> i) & 1) p[i] = lanes[i];
  }
}
TIMELOOM_INLINE void _mm512_mask_storeu_pd(double* p, __mmask8 mask, __m512d value) noexcept {
  double lanes[8];
  _mm512_storeu_pd(lanes, value);
  for (int i = 0; i < 8; ++i) {
    if ((mask >> i) & 1) p[i] = lanes[i];
  }
}
#else
template <int kFirst>
TIMELOOM_INLINE __m512 join_lanes(__m512 lo, __m512 hi) noexcept {
  return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(hi), _mm512_castps_si512(lo), kFirst));
}
template <int kFirst>
TIMELOOM_INLINE __m512d join_lanes(__m512d lo, __m512d hi) noexcept {
  return _mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(hi), _mm512_castpd_si512(lo), kFirst));
}
#endif

template <>
struct Mask<float> {
  __mmask16 value;
};

template <>
struct Vec<float> {
  using scalar = float;
  static constexpr int kLanes = 16;
  static constexpr bool kFmaOfLanes = true;
  __m512 value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {_mm512_setzero_ps()}; }
  static TIMELOOM_INLINE Vec broadcast(float s) noexcept { return {_mm512_set1_ps(s)}; }
  static TIMELOOM_INLINE Vec load(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const float* p, int count) noexcept {
    return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
  }
  TIMELOOM_INLINE void store(float* p) const noexcept { _mm512_storeu_ps(p, value); }
  TIMELOOM_INLINE void store_partial(float* p, int count) const noexcept {
    _mm512_mask_storeu_ps(p, first_lanes(count), value);
  }

  /// The lanes of lo from kFirst on, then the first of hi.
  template <int kFirst>
  static TIMELOOM_INLINE Vec joined(Vec lo, [[maybe_unused]] Vec hi) noexcept {
    if constexpr (kFirst == 0) return lo;
    return {join_lanes<kFirst>(lo.value, hi.value)};
  }

  /// c + a b in lanes [kBegin, kEnd), c in the others, where nothing is multiplied.
  template <int kBegin, int kEnd>
  static TIMELOOM_INLINE Vec fma_lanes(Vec a, Vec b, Vec c) noexcept {
    if constexpr (kEnd <= 0 || kBegin >= kLanes) {
      return c;
    } else if constexpr (kBegin <= 0 && kEnd >= kLanes) {
      return {_mm512_fmadd_ps(a.value, b.value, c.value)};
    } else {
      constexpr unsigned kFrom = kBegin > 0 ? ~0u << kBegin : ~0u;
      constexpr unsigned kBelow = kEnd < kLanes ? (1u << kEnd) - 1u : ~0u;
      return {_mm512_mask3_fmadd_ps(a.value, b.value, c.value, static_cast<__mmask16>(kFrom & kBelow))};
    }
  }

 private:
  static TIMELOOM_INLINE __mmask16 first_lanes(int count) noexcept {
    return static_cast<__mmask16>((1u << count) - 1u);
  }
};

TIMELOOM_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_add_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_sub_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_mul_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_div_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a) noexcept {
  return {_mm512_xor_ps(a.value, _mm512_set1_ps(-0.0f))};
}
TIMELOOM_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return {_mm512_fmadd_ps(a.value, b.value, c.value)};
}
TIMELOOM_INLINE Vec<float> min(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_min_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> max(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_max_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> sqrt(Vec<float> a) noexcept { return {_mm512_sqrt_ps(a.value)}; }
TIMELOOM_INLINE Vec<float> abs(Vec<float> a) noexcept {
  return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.value)};
}
TIMELOOM_INLINE Vec<float> copysign(Vec<float> magnitude, Vec<float> sign) noexcept {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.value), _mm512_and_ps(bit, sign.value))};
}
TIMELOOM_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_cmp_ps_mask(a.value, b.value, _CMP_LT_OQ)};
}
TIMELOOM_INLINE Mask<float> operator<=(Vec<float> a, Vec<float> b) noexcept {
  return {_mm512_cmp_ps_mask(a.value, b.value, _CMP_LE_OQ)};
}
TIMELOOM_INLINE Mask<float> operator>(Vec<float> a, Vec<float> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<float> operator>=(Vec<float> a, Vec<float> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<float> operator&(Mask<float> a, Mask<float> b) noexcept {
  return {static_cast<__mmask16>(a.value & b.value)};
}
TIMELOOM_INLINE Vec<float> select(Mask<float> mask, Vec<float> yes, Vec<float> no) noexcept {
  return {_mm512_mask_blend_ps(mask.value, no.value, yes.value)};
}

TIMELOOM_INLINE Vec<float> scale_by_power_of_two(Vec<float> x, Vec<float> shifted) noexcept {
  const __m512i exponent =
      _mm512_slli_epi32(_mm512_castps_si512(shifted.value), BinaryFormat<float>::kMantissaBits);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x.value), exponent))};
}

TIMELOOM_INLINE Vec<float> split_binary(Vec<float> x, Vec<float>& exponent) noexcept {
  using F = BinaryFormat<float>;
  const __m512i sqrt_half = _mm512_set1_epi32(static_cast<int>(F::kSqrtHalf));
  const __m512i offset = _mm512_sub_epi32(_mm512_castps_si512(x.value), sqrt_half);
  const __m512i biased = _mm512_add_epi32(offset, _mm512_set1_epi32(static_cast<int>(F::kExponentBias)));
  const __m512i shifted = _mm512_srli_epi32(biased, F::kMantissaBits);
  const __m512i number = _mm512_or_si512(shifted, _mm512_set1_epi32(static_cast<int>(F::kIntegerBits)));
  exponent = Vec<float>{_mm512_castsi512_ps(number)} - Vec<float>::broadcast(F::kIntegerOffset);
  const __m512i mantissa = _mm512_and_si512(offset, _mm512_set1_epi32(static_cast<int>(F::kMantissaMask)));
  return {_mm512_castsi512_ps(_mm512_add_epi32(mantissa, sqrt_half))};
}

template <>
struct Mask<double> {
  __mmask8 value;
};

template <>
struct Vec<double> {
  using scalar = double;
  static constexpr int kLanes = 8;
  static constexpr bool kFmaOfLanes = true;
  __m512d value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {_mm512_setzero_pd()}; }
  static TIMELOOM_INLINE Vec broadcast(double s) noexcept { return {_mm512_set1_pd(s)}; }
  static TIMELOOM_INLINE Vec load(const double* p) noexcept { return {_mm512_loadu_pd(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const double* p, int count) noexcept {
    return {_mm512_maskz_loadu_pd(first_lanes(count), p)};
  }
  TIMELOOM_INLINE void store(double* p) const noexcept { _mm512_storeu_pd(p, value); }
  TIMELOOM_INLINE void store_partial(double* p, int count) const noexcept {
    _mm512_mask_storeu_pd(p, first_lanes(count), value);
  }

  /// The lanes of lo from kFirst on, then the first of hi.
  template <int kFirst>
  static TIMELOOM_INLINE Vec joined(Vec lo, [[maybe_unused]] Vec hi) noexcept {
    if constexpr (kFirst == 0) return lo;
    return {join_lanes<kFirst>(lo.value, hi.value)};
  }

  /// c + a b in lanes [kBegin, kEnd), c in the others, where nothing is multiplied.
  template <int kBegin, int kEnd>
  static TIMELOOM_INLINE Vec fma_lanes(Vec a, Vec b, Vec c) noexcept {
    if constexpr (kEnd <= 0 || kBegin >= kLanes) {
      return c;
    } else if constexpr (kBegin <= 0 && kEnd >= kLanes) {
      return {_mm512_fmadd_pd(a.value, b.value, c.value)};
    } else {
      constexpr unsigned kFrom = kBegin > 0 ? ~0u << kBegin : ~0u;
      constexpr unsigned kBelow = kEnd < kLanes ? (1u << kEnd) - 1u : ~0u;
      return {_mm512_mask3_fmadd_pd(a.value, b.value, c.value, static_cast<__mmask8>(kFrom & kBelow))};
    }
  }

 private:
  static TIMELOOM_INLINE __mmask8 first_lanes(int count) noexcept {
    return static_cast<__mmask8>((1u << count) - 1u);
  }
};

TIMELOOM_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_add_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_sub_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_mul_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator/(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_div_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a) noexcept {
  return {_mm512_xor_pd(a.value, _mm512_set1_pd(-0.0))};
}
TIMELOOM_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return {_mm512_fmadd_pd(a.value, b.value, c.value)};
}
TIMELOOM_INLINE Vec<double> min(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_min_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> max(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_max_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> sqrt(Vec<double> a) noexcept { return {_mm512_sqrt_pd(a.value)}; }
TIMELOOM_INLINE Vec<double> abs(Vec<double> a) noexcept {
  return {_mm512_andnot_pd(_mm512_set1_pd(-0.0), a.value)};
}
TIMELOOM_INLINE Vec<double> copysign(Vec<double> magnitude, Vec<double> sign) noexcept {
  const __m512d bit = _mm512_set1_pd(-0.0);
  return {_mm512_or_pd(_mm512_andnot_pd(bit, magnitude.value), _mm512_and_pd(bit, sign.value))};
}
TIMELOOM_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_cmp_pd_mask(a.value, b.value, _CMP_LT_OQ)};
}
TIMELOOM_INLINE Mask<double> operator<=(Vec<double> a, Vec<double> b) noexcept {
  return {_mm512_cmp_pd_mask(a.value, b.value, _CMP_LE_OQ)};
}
TIMELOOM_INLINE Mask<double> operator>(Vec<double> a, Vec<double> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<double> operator>=(Vec<double> a, Vec<double> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<double> operator&(Mask<double> a, Mask<double> b) noexcept {
  return {static_cast<__mmask8>(a.value & b.value)};
}
TIMELOOM_INLINE Vec<double> select(Mask<double> mask, Vec<double> yes, Vec<double> no) noexcept {
  return {_mm512_mask_blend_pd(mask.value, no.value, yes.value)};
}

TIMELOOM_INLINE Vec<double> scale_by_power_of_two(Vec<double> x, Vec<double> shifted) noexcept {
  const __m512i exponent =
      _mm512_slli_epi64(_mm512_castpd_si512(shifted.value), BinaryFormat<double>::kMantissaBits);
  return {_mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(x.value), exponent))};
}

TIMELOOM_INLINE Vec<double> split_binary(Vec<double> x, Vec<double>& exponent) noexcept {
  using F = BinaryFormat<double>;
  const __m512i sqrt_half = _mm512_set1_epi64(static_cast<long long>(F::kSqrtHalf));
  const __m512i offset = _mm512_sub_epi64(_mm512_castpd_si512(x.value), sqrt_half);
  const __m512i biased =
      _mm512_add_epi64(offset, _mm512_set1_epi64(static_cast<long long>(F::kExponentBias)));
  const __m512i shifted = _mm512_srli_epi64(biased, F::kMantissaBits);
  const __m512i number = _mm512_or_si512(shifted, _mm512_set1_epi64(static_cast<long long>(F::kIntegerBits)));
  exponent = Vec<double>{_mm512_castsi512_pd(number)} - Vec<double>::broadcast(F::kIntegerOffset);
  const __m512i mantissa =
      _mm512_and_si512(offset, _mm512_set1_epi64(static_cast<long long>(F::kMantissaMask)));
  return {_mm512_castsi512_pd(_mm512_add_epi64(mantissa, sqrt_half))};
}
