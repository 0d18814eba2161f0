// Floor 1, simd: one type Vec<scalar> per instruction set and the mathematics written on it (math.h).
// Belongs here: what the hardware can do to a few numbers at once, under one name for every instruction set.
// Does not: arrays, loops, cells, system headers, objects with static storage.
//
// This header and all that include it are included INSIDE namespace timeloom::TIMELOOM_ISA_NAMESPACE, after
// the system headers (<cstddef>, <cstdint>, <immintrin.h> or <arm_neon.h>). The build defines
// TIMELOOM_ISA_SCALAR, _AVX2, _AVX512 or _NEON.
//
// Interface, the same for S = float and S = double on every instruction set:
//   Vec<S>::kLanes, zero(), broadcast(s), load(p), load_partial(p, n), store(p), store_partial(p, n)
//       p need not be aligned; the partial forms touch the first n in 0..kLanes elements only, others are 0.
//   joined<first>(lo, hi): the lanes of lo from that one on, then lanes of hi, if there are four or more;
//       first is a multiple of a quarter of them.
//   sum_lanes(v): their sum, in an order of its own.
//   kFmaOfLanes: whether there is fma_lanes<begin, end>(a, b, c), which multiplies in those lanes alone.
//   + - * /, unary -, fma(a, b, c) = a * b + c (one rounding where the hardware has it, two in scalar),
//   min, max (the SECOND operand if either is NaN), abs, sqrt, copysign(magnitude, sign),
//   < <= > >= (a Mask<S>, false if either is NaN), & of masks, select(mask, where_true, where_false),
//   scale_by_power_of_two(x, shifted), split_binary(x, exponent): see BinaryFormat.
// and kVectorRegisters, how many vectors the processor holds in registers.
#pragma once

#include "base/compiler.h"

template <class S>
struct Vec;

/// One truth value per lane of a Vec<S>.
template <class S>
struct Mask;

/// The bits of an IEEE number that the two functions on exponents need.
///
/// `kShift` = 1.5 * 2^(mantissa bits): adding it to a number below 2^(mantissa bits - 1) rounds the number to
/// an integer n, and the low bits of the sum then hold n in two's complement.
///   scale_by_power_of_two(x, shifted): x * 2^n for shifted = kShift + n, exact where x and the result are
///   normal,
///       by an integer addition to the exponent field; the caller keeps the result inside the normal range,
///       but for 1 * 2^128 (2^1024), whose bits are those of infinity.
///   split_binary(x, exponent): for normal x > 0 the mantissa m in [sqrt(1/2), sqrt(2)) with x = m *
///   2^exponent;
///       any other x gives a value without meaning.
template <class S>
struct BinaryFormat;

template <>
struct BinaryFormat<float> {
  using bits = std::uint32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr bits kMantissaMask = 0x007fffffu;
  static constexpr bits kExponentBias = 0x3f800000u;  // the bits of 1
  static constexpr bits kSqrtHalf = 0x3f3504f3u;      // the bits of sqrt(1/2)
  static constexpr bits kIntegerBits = 0x4b000000u;   // the bits of 2^23: or-ing k < 2^23 in gives 2^23 + k
  static constexpr float kIntegerOffset = 8388608.0f + 127.0f;
  static constexpr float kShift = 12582912.0f;
};

template <>
struct BinaryFormat<double> {
  using bits = std::uint64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr bits kMantissaMask = 0x000fffffffffffffu;
  static constexpr bits kExponentBias = 0x3ff0000000000000u;
  static constexpr bits kSqrtHalf = 0x3fe6a09e667f3bcdu;
  static constexpr bits kIntegerBits = 0x4330000000000000u;
  static constexpr double kIntegerOffset = 4503599627370496.0 + 1023.0;
  static constexpr double kShift = 6755399441055744.0;
};

#if defined(TIMELOOM_ISA_AVX512)
#include "simd/vec_avx512.h"
#elif defined(TIMELOOM_ISA_AVX2)
#include "simd/vec_avx2.h"
#elif defined(TIMELOOM_ISA_NEON)
#include "simd/vec_neon.h"
#else
#include "simd/vec_scalar.h"
#endif

/// The sum of the lanes: of four and more, halves are added until a quarter is left, and then in ascending
/// order.
template <class V>
TIMELOOM_INLINE typename V::scalar sum_lanes(V value) noexcept {
  constexpr int kLeft = V::kLanes < 4 ? V::kLanes : V::kLanes / 4;
  if constexpr (kLeft < V::kLanes) {
    value = value + V::template joined<V::kLanes / 2>(value, value);
    value = value + V::template joined<V::kLanes / 4>(value, value);
  }
  typename V::scalar lanes[V::kLanes];
  value.store(lanes);
  typename V::scalar sum = lanes[0];
  for (int lane = 1; lane < kLeft; ++lane) sum += lanes[lane];
  return sum;
}
