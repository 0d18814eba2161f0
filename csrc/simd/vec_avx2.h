// Vec on AVX2 and FMA: eight floats or four doubles. See vec.h for the interface.
#pragma once

constexpr int kVectorRegisters = 16;

template <>
struct Mask<float> {
  __m256 value;
};

template <>
struct Vec<float> {
  using scalar = float;
  static constexpr int kLanes = 8;
  static constexpr bool kFmaOfLanes = false;
  __m256 value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {_mm256_setzero_ps()}; }
  static TIMELOOM_INLINE Vec broadcast(float s) noexcept { return {_mm256_set1_ps(s)}; }
  static TIMELOOM_INLINE Vec load(const float* p) noexcept { return {_mm256_loadu_ps(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const float* p, int count) noexcept {
    return {_mm256_maskload_ps(p, first_lanes(count))};
  }
  TIMELOOM_INLINE void store(float* p) const noexcept { _mm256_storeu_ps(p, value); }
  TIMELOOM_INLINE void store_partial(float* p, int count) const noexcept {
    _mm256_maskstore_ps(p, first_lanes(count), value);
  }

  /// The lanes of lo from kFirst on, then the first of hi.
  template <int kFirst>
  static TIMELOOM_INLINE Vec joined(Vec lo, Vec hi) noexcept {
    static_assert(kFirst % 2 == 0, "accumulators lie a quarter of some vectors apart");
    const __m256 middle = _mm256_permute2f128_ps(lo.value, hi.value, 0x21);
    if constexpr (kFirst == 0) return lo;
    if constexpr (kFirst == 2) return {_mm256_shuffle_ps(lo.value, middle, 0x4e)};
    if constexpr (kFirst == 4) return {middle};
    return {_mm256_shuffle_ps(middle, hi.value, 0x4e)};
  }

 private:
  static TIMELOOM_INLINE __m256i first_lanes(int count) noexcept {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

TIMELOOM_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_add_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_sub_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_mul_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_div_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> operator-(Vec<float> a) noexcept {
  return {_mm256_xor_ps(a.value, _mm256_set1_ps(-0.0f))};
}
TIMELOOM_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return {_mm256_fmadd_ps(a.value, b.value, c.value)};
}
TIMELOOM_INLINE Vec<float> min(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_min_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> max(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_max_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> sqrt(Vec<float> a) noexcept { return {_mm256_sqrt_ps(a.value)}; }
TIMELOOM_INLINE Vec<float> abs(Vec<float> a) noexcept {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.value)};
}
TIMELOOM_INLINE Vec<float> copysign(Vec<float> magnitude, Vec<float> sign) noexcept {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.value), _mm256_and_ps(bit, sign.value))};
}
TIMELOOM_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_cmp_ps(a.value, b.value, _CMP_LT_OQ)};
}
TIMELOOM_INLINE Mask<float> operator<=(Vec<float> a, Vec<float> b) noexcept {
  return {_mm256_cmp_ps(a.value, b.value, _CMP_LE_OQ)};
}
TIMELOOM_INLINE Mask<float> operator>(Vec<float> a, Vec<float> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<float> operator>=(Vec<float> a, Vec<float> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<float> operator&(Mask<float> a, Mask<float> b) noexcept {
  return {_mm256_and_ps(a.value, b.value)};
}
TIMELOOM_INLINE Vec<float> select(Mask<float> mask, Vec<float> yes, Vec<float> no) noexcept {
  return {_mm256_blendv_ps(no.value, yes.value, mask.value)};
}

TIMELOOM_INLINE Vec<float> scale_by_power_of_two(Vec<float> x, Vec<float> shifted) noexcept {
  const __m256i exponent =
      _mm256_slli_epi32(_mm256_castps_si256(shifted.value), BinaryFormat<float>::kMantissaBits);
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x.value), exponent))};
}

TIMELOOM_INLINE Vec<float> split_binary(Vec<float> x, Vec<float>& exponent) noexcept {
  using F = BinaryFormat<float>;
  const __m256i sqrt_half = _mm256_set1_epi32(static_cast<int>(F::kSqrtHalf));
  const __m256i offset = _mm256_sub_epi32(_mm256_castps_si256(x.value), sqrt_half);
  const __m256i biased = _mm256_add_epi32(offset, _mm256_set1_epi32(static_cast<int>(F::kExponentBias)));
  const __m256i shifted = _mm256_srli_epi32(biased, F::kMantissaBits);
  const __m256i number = _mm256_or_si256(shifted, _mm256_set1_epi32(static_cast<int>(F::kIntegerBits)));
  exponent = Vec<float>{_mm256_castsi256_ps(number)} - Vec<float>::broadcast(F::kIntegerOffset);
  const __m256i mantissa = _mm256_and_si256(offset, _mm256_set1_epi32(static_cast<int>(F::kMantissaMask)));
  return {_mm256_castsi256_ps(_mm256_add_epi32(mantissa, sqrt_half))};
}

template <>
struct Mask<double> {
  __m256d value;
};

template <>
struct Vec<double> {
  using scalar = double;
  static constexpr int kLanes = 4;
  static constexpr bool kFmaOfLanes = false;
  __m256d value;

  static TIMELOOM_INLINE Vec zero() noexcept { return {_mm256_setzero_pd()}; }
  static TIMELOOM_INLINE Vec broadcast(double s) noexcept { return {_mm256_set1_pd(s)}; }
  static TIMELOOM_INLINE Vec load(const double* p) noexcept { return {_mm256_loadu_pd(p)}; }
  static TIMELOOM_INLINE Vec load_partial(const double* p, int count) noexcept {
    return {_mm256_maskload_pd(p, first_lanes(count))};
  }
  TIMELOOM_INLINE void store(double* p) const noexcept { _mm256_storeu_pd(p, value); }
  TIMELOOM_INLINE void store_partial(double* p, int count) const noexcept {
    _mm256_maskstore_pd(p, first_lanes(count), value);
  }

  /// The lanes of lo from kFirst on, then the first of hi.
  template <int kFirst>
  static TIMELOOM_INLINE Vec joined(Vec lo, Vec hi) noexcept {
    const __m256d middle = _mm256_permute2f128_pd(lo.value, hi.value, 0x21);
    if constexpr (kFirst == 0) return lo;
    if constexpr (kFirst == 1) return {_mm256_shuffle_pd(lo.value, middle, 0x5)};
    if constexpr (kFirst == 2) return {middle};
    return {_mm256_shuffle_pd(middle, hi.value, 0x5)};
  }

 private:
  static TIMELOOM_INLINE __m256i first_lanes(int count) noexcept {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
};

TIMELOOM_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_add_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_sub_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_mul_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator/(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_div_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> operator-(Vec<double> a) noexcept {
  return {_mm256_xor_pd(a.value, _mm256_set1_pd(-0.0))};
}
TIMELOOM_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return {_mm256_fmadd_pd(a.value, b.value, c.value)};
}
TIMELOOM_INLINE Vec<double> min(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_min_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> max(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_max_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> sqrt(Vec<double> a) noexcept { return {_mm256_sqrt_pd(a.value)}; }
TIMELOOM_INLINE Vec<double> abs(Vec<double> a) noexcept {
  return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.value)};
}
TIMELOOM_INLINE Vec<double> copysign(Vec<double> magnitude, Vec<double> sign) noexcept {
  const __m256d bit = _mm256_set1_pd(-0.0);
  return {_mm256_or_pd(_mm256_andnot_pd(bit, magnitude.value), _mm256_and_pd(bit, sign.value))};
}
TIMELOOM_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_cmp_pd(a.value, b.value, _CMP_LT_OQ)};
}
TIMELOOM_INLINE Mask<double> operator<=(Vec<double> a, Vec<double> b) noexcept {
  return {_mm256_cmp_pd(a.value, b.value, _CMP_LE_OQ)};
}
TIMELOOM_INLINE Mask<double> operator>(Vec<double> a, Vec<double> b) noexcept { return b < a; }
TIMELOOM_INLINE Mask<double> operator>=(Vec<double> a, Vec<double> b) noexcept { return b <= a; }
TIMELOOM_INLINE Mask<double> operator&(Mask<double> a, Mask<double> b) noexcept {
  return {_mm256_and_pd(a.value, b.value)};
}
TIMELOOM_INLINE Vec<double> select(Mask<double> mask, Vec<double> yes, Vec<double> no) noexcept {
  return {_mm256_blendv_pd(no.value, yes.value, mask.value)};
}

TIMELOOM_INLINE Vec<double> scale_by_power_of_two(Vec<double> x, Vec<double> shifted) noexcept {
  const __m256i exponent =
      _mm256_slli_epi64(_mm256_castpd_si256(shifted.value), BinaryFormat<double>::kMantissaBits);
  return {_mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(x.value), exponent))};
}

TIMELOOM_INLINE Vec<double> split_binary(Vec<double> x, Vec<double>& exponent) noexcept {
  using F = BinaryFormat<double>;
  const __m256i sqrt_half = _mm256_set1_epi64x(static_cast<long long>(F::kSqrtHalf));
  const __m256i offset = _mm256_sub_epi64(_mm256_castpd_si256(x.value), sqrt_half);
  const __m256i biased =
      _mm256_add_epi64(offset, _mm256_set1_epi64x(static_cast<long long>(F::kExponentBias)));
  const __m256i shifted = _mm256_srli_epi64(biased, F::kMantissaBits);
  const __m256i number =
      _mm256_or_si256(shifted, _mm256_set1_epi64x(static_cast<long long>(F::kIntegerBits)));
  exponent = Vec<double>{_mm256_castsi256_pd(number)} - Vec<double>::broadcast(F::kIntegerOffset);
  const __m256i mantissa =
      _mm256_and_si256(offset, _mm256_set1_epi64x(static_cast<long long>(F::kMantissaMask)));
  return {_mm256_castsi256_pd(_mm256_add_epi64(mantissa, sqrt_half))};
}
