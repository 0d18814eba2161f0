// exp, expm1, tanh, sigmoid, log, log1p and the tail of the normal distribution, on vectors. One formula for
// every instruction set, derived here.
//
// Largest error in ULP of a normal result, found over every float and over random bit patterns and all edges
// of double (tests/simd/test_math.py holds samples of it): exp 1.1, log 0.96, sigmoid 2.5, tanh 2.25; the
// others are measured inside the activations made of them (tests/simd/test_activations.py). In the mode that
// kernels run in a result that would be denormal is zero and a denormal argument counts as zero; infinities
// are exact, NaN stays NaN, tanh is odd.
//
// Reduction. x = n ln 2 + r with n = round(x / ln 2), so |r| <= ln 2 / 2 (1 + 2^-10), and e^x = 2^n e^r. ln 2
// is split into a head whose last bits are zero, so that n * head is exact for every n that occurs even
// without fma, and a tail. On this interval
//     e^r - 1 = r + r^2 q(r)
// where q has degree 4 (float) or 9 (double) and minimises the largest error relative to e^r - 1 (Remez
// exchange in 60 digits): 1.4e-8 = 0.23 * 2^-24 for float and 1.9e-17 = 0.17 * 2^-53 for double. n = 0 leaves
// r = x unrounded: the relative accuracy near zero that tanh needs.
#pragma once

#include "simd/vec.h"

namespace math_detail {

template <class S>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr float kInverseLn2 = 1.44269504f;
  static constexpr float kLn2Head = 0.693359375f;  // 355 / 512: ten bits, n has eight
  static constexpr float kLn2Tail = -2.12194440e-4f;
  static constexpr float kLn2 = 0.693147181f;
  static constexpr float kSmallest = -87.3365402f;  // exp is at least 2^-126 from here on
  static constexpr float kLargest = 88.7228317f;    // exp is finite up to here
  static constexpr float kInfinite = 88.75f;        // n is 128 here, and 2^n infinite
  // tanh(9.25) = 1 - 1.8e-8 and 1 + e^-18.5 = 1 + 9.2e-9, which round to 1.
  static constexpr float kSaturation = 18.5f;
};

template <>
struct ExpConstants<double> {
  static constexpr double kInverseLn2 = 1.4426950408889634;
  static constexpr double kLn2Head = 0x1.62e42fefap-1;  // 36 bits, n has eleven
  static constexpr double kLn2Tail = 0x1.cf79abc9e3b39p-40;
  static constexpr double kLn2 = 0.6931471805599453;
  static constexpr double kSmallest = -708.3964185322641;
  static constexpr double kLargest = 709.782712893384;
  static constexpr double kInfinite = 709.9;
  static constexpr double kSaturation = 38.5;  // tanh(19.25) = 1 - 3.8e-17, 1 + e^-38.5 = 1 + 1.9e-17
};

/// The value of a polynomial at x by Horner's rule; `coefficients` in ascending powers.
template <class V, int kCount>
TIMELOOM_INLINE V polynomial(V x, const typename V::scalar (&coefficients)[kCount]) noexcept {
  V sum = V::broadcast(coefficients[kCount - 1]);
  for (int i = kCount - 2; i >= 0; --i) sum = fma(sum, x, V::broadcast(coefficients[i]));
  return sum;
}

/// (e^r - 1 - r) / r^2.
template <class V>
TIMELOOM_INLINE V exp_tail(V r) noexcept {
  if constexpr (sizeof(typename V::scalar) == sizeof(float)) {
    constexpr float q[] = {0.49999998f, 0.166665432f, 0.0416672017f, 0.00836657878f, 0.00138825116f};
    return polynomial(r, q);
  } else {
    constexpr double q[] = {0x1.0000000000005p-1,  0x1.5555555555539p-3,  0x1.555555555225dp-5,
                            0x1.111111111908bp-7,  0x1.6c16c17ef4e24p-10, 0x1.a01a0174dbbd7p-13,
                            0x1.a019a71e77089p-16, 0x1.71de884ab4240p-19, 0x1.28a2349cefc22p-22,
                            0x1.ae6badf4386b9p-26};
    return polynomial(r, q);
  }
}

/// r of x = n ln 2 + r; `shifted` holds n as scale_by_power_of_two takes it.
template <class V>
TIMELOOM_INLINE V reduce(V x, V& shifted) noexcept {
  using S = typename V::scalar;
  using C = ExpConstants<S>;
  const V shift = V::broadcast(BinaryFormat<S>::kShift);
  shifted = fma(x, V::broadcast(C::kInverseLn2), shift);
  const V n = shifted - shift;
  const V r = fma(n, V::broadcast(-C::kLn2Head), x);
  return fma(n, V::broadcast(-C::kLn2Tail), r);
}

/// e^r - 1 for x = n ln 2 + r.
template <class V>
TIMELOOM_INLINE V reduced_expm1(V x, V& shifted) noexcept {
  const V r = reduce(x, shifted);
  return fma(r * r, exp_tail(r), r);
}

}  // namespace math_detail

/// e^x. Zero below ln of the smallest normal number, infinity above ln of the largest finite one.
///
/// The exponent is added as an integer: at n = 128 (1024) e^r lies below 1 and the result is still finite.
template <class V>
TIMELOOM_INLINE V exp(V x) noexcept {
  using S = typename V::scalar;
  using C = math_detail::ExpConstants<S>;
  const V smallest = V::broadcast(C::kSmallest);
  const V largest = V::broadcast(C::kLargest);
  // min and max return the second operand if either is NaN: x.
  V shifted;
  V e = math_detail::reduced_expm1(max(smallest, min(largest, x)), shifted) + V::broadcast(S(1));
  e = select(x < smallest, V::zero(), scale_by_power_of_two(e, shifted));
  return select(x <= largest, e, max(V::broadcast(S(TIMELOOM_INFINITY)), x));
}

/// e^x - 1 for x <= 0, relatively accurate near zero; -1 where e^x is below half a unit of 1.
///
/// 2^n (e^r - 1) + (2^n - 1) in one fma: at n = 0 the reduced value itself.
template <class V>
TIMELOOM_INLINE V expm1(V x) noexcept {
  using S = typename V::scalar;
  using C = math_detail::ExpConstants<S>;
  V shifted;
  const V e = math_detail::reduced_expm1(max(V::broadcast(-C::kSaturation), x), shifted);
  const V power = scale_by_power_of_two(V::broadcast(S(1)), shifted);
  return fma(power, e, power - V::broadcast(S(1)));
}

/// tanh(x) = H / (H + 1) with H = (e^(2|x|) - 1) / 2, and the sign of x.
///
/// H = 2^(n-1) (e^r - 1) + (2^(n-1) - 1/2) in one fma: at n = 0 half the reduced value itself, so that the
/// result is relatively accurate near zero; from n = 1 on H >= 0.2 and nothing cancels. H > 0 grows the
/// denominator, so a relative error of H arrives divided by H + 1; the sum and the quotient add half a ULP
/// each. That reaches 2.6 ULP, so below H = 1/2 it is H - H tanh(x), where the errors of the quotient count H
/// times.
template <class V>
TIMELOOM_INLINE V tanh(V x) noexcept {
  using S = typename V::scalar;
  using C = math_detail::ExpConstants<S>;
  const V size = abs(x);
  const V twice = min(V::broadcast(C::kSaturation), size + size);
  V shifted;
  const V e = math_detail::reduced_expm1(twice, shifted);
  const V half_power = scale_by_power_of_two(V::broadcast(S(0.5)), shifted);
  const V h = fma(half_power, e, half_power - V::broadcast(S(0.5)));
  const V quotient = h / (h + V::broadcast(S(1)));
  return copysign(select(twice < V::broadcast(C::kLn2), fma(-h, quotient, h), quotient), x);
}

/// sigmoid(x) = 1 / (1 + e^-x), with e^-x = 2^n e^r entering the sum in one fma.
///
/// For x far below zero this is 1 / e^-x, with all the relative accuracy of exp, as long as the result is
/// normal. Beyond, the quotient is denormal, which counts as zero in the mode of the kernels, and at n = 128
/// (1024) 2^n is infinite.
template <class V>
TIMELOOM_INLINE V sigmoid(V x) noexcept {
  using S = typename V::scalar;
  using C = math_detail::ExpConstants<S>;
  const V one = V::broadcast(S(1));
  V shifted;
  const V r =
      math_detail::reduce(max(V::broadcast(-C::kSaturation), min(V::broadcast(C::kInfinite), -x)), shifted);
  const V e = fma(r, fma(r, math_detail::exp_tail(r), one), one);
  return one / fma(scale_by_power_of_two(one, shifted), e, one);
}

namespace math_detail {

/// 2 (atanh(s) / s - 1) / s^2 as a polynomial in z = s^2 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1): degree 2
/// (float) or 6 (double), largest error of atanh(s) / s: 8.2e-10 and 1.3e-18 (Remez exchange in 60 digits).
TIMELOOM_INLINE Vec<float> log_tail(Vec<float> z) noexcept {
  constexpr float p[] = {0.666667767f, 0.399774967f, 0.298730412f};
  return polynomial(z, p);
}

TIMELOOM_INLINE Vec<double> log_tail(Vec<double> z) noexcept {
  constexpr double p[] = {0.66666666666667348835, 0.39999999999411179832, 0.28571428743241554433,
                          0.22222198478318454477, 0.18183569610436132883, 0.15313906756413296716,
                          0.14797470673069469893};
  return polynomial(z, p);
}

}  // namespace math_detail

/// log(x), the natural logarithm. -infinity at zero (and at denormals), NaN below.
///
/// x = 2^n m with m in [sqrt(1/2), sqrt(2)); f = m - 1 (exact), s = f / (f + 2), log(m) = 2 atanh(s) = 2 s +
/// s R(s^2). Since f = 2 s + s f, this is f - s (f - R): the rounding of the quotient enters only through the
/// smaller second term. n times the head of ln 2 is exact.
template <class V>
TIMELOOM_INLINE V log(V x) noexcept {
  using S = typename V::scalar;
  using C = math_detail::ExpConstants<S>;
  constexpr S kSmallestNormal = S(sizeof(S) == 4 ? 0x1p-126 : 0x1p-1022);
  const V infinity = V::broadcast(S(TIMELOOM_INFINITY));
  V n;
  const V f = split_binary(x, n) - V::broadcast(S(1));
  const V s = f / (f + V::broadcast(S(2)));
  const V z = s * s;
  const V r = z * math_detail::log_tail(z);
  const V tail = fma(n, V::broadcast(C::kLn2Tail), -(s * (f - r)));
  V result = fma(n, V::broadcast(C::kLn2Head), tail + f);
  result = select(x < V::broadcast(kSmallestNormal), -infinity, result);
  result = select(x <= V::broadcast(-kSmallestNormal), V::broadcast(S(TIMELOOM_NAN)), result);
  return select(x < infinity, result, x);  // infinity and NaN
}

namespace math_detail {

/// 2 (atanh(s) / s - 1) / s^2 as a polynomial in z = s^2 for 0 <= s <= 1/3: degree 4 (float) or 9 (double),
/// largest error of atanh(s) / s: 0.006 * 2^-24 and 0.04 * 2^-53 (Remez exchange in 60 digits).
TIMELOOM_INLINE Vec<float> log1p_tail(Vec<float> z) noexcept {
  constexpr float p[] = {0.6666667f, 0.39999703f, 0.28592506f, 0.21704417f, 0.23234159f};
  return polynomial(z, p);
}

TIMELOOM_INLINE Vec<double> log1p_tail(Vec<double> z) noexcept {
  constexpr double p[] = {0x1.5555555555555p-1, 0x1.999999999a409p-2, 0x1.24924923d1ab6p-2,
                          0x1.c71c72732e302p-3, 0x1.745cf0573aeeep-3, 0x1.3b18bbc4cdd70p-3,
                          0x1.10abe85630680p-3, 0x1.eb9a4a69b692bp-4, 0x1.684a709a7c3d7p-4,
                          0x1.4b3a7ff16a82dp-3};
  return polynomial(z, p);
}

}  // namespace math_detail

/// log(1 + u) for 0 <= u <= 1, with all its relative accuracy near zero.
///
/// As log, but the argument is known without its one, so f = u is exact at any size: s = u / (u + 2),
/// log(1 + u) = u - s (u - R). No reduction: s reaches 1/3, which costs two or three more terms.
template <class V>
TIMELOOM_INLINE V log1p(V u) noexcept {
  using S = typename V::scalar;
  const V s = u / (u + V::broadcast(S(2)));
  const V z = s * s;
  const V r = z * math_detail::log1p_tail(z);
  return u - s * (u - r);
}

/// Mills's ratio of the normal distribution, M(t) = e^(t^2/2) erfc(t / sqrt 2) / 2, for 0 <= t <= 13.5
/// (float) or 39 (double): rational of degrees 4/5 and 10/11, largest relative error 0.09 * 2^-24 and 0.01 *
/// 2^-53 (weighted least squares in 70 digits, the weights moved until the error levels). Every coefficient
/// is positive: nothing cancels.
TIMELOOM_INLINE Vec<float> mills_ratio(Vec<float> t) noexcept {
  constexpr float p[] = {0.500000002559f, 0.436137120544f, 0.181638867373f, 0.0400956554147f,
                         0.0040366256866f};
  constexpr float q[] = {1.0f,          1.67015916998f, 1.19586770951f, 0.465256795363f,
                         0.1005121155f, 0.010118181191f};
  return math_detail::polynomial(t, p) / math_detail::polynomial(t, q);
}

TIMELOOM_INLINE Vec<double> mills_ratio(Vec<double> t) noexcept {
  constexpr double p[] = {0.50000000000000000046,   0.82791812066770466119,   0.67959923567487734033,
                          0.35733775353299883365,   0.13204287547936643762,   0.035666728404271375851,
                          0.0071226183106916005734, 0.0010396694048366094756, 0.00010656678323069331434,
                          6.9754746167731633191e-6, 2.2416268649875294395e-7};
  constexpr double q[] = {1.0,
                          2.4537208021382748886,
                          2.8169844158966987875,
                          2.0014049997308498665,
                          0.9800790070574010735,
                          0.34830752665365811547,
                          0.091974325056990916578,
                          0.018119755964867785892,
                          0.002623549648540138998,
                          0.00026768520450745385452,
                          0.000017484921903404343251,
                          5.618925280948903655e-7};
  return math_detail::polynomial(t, p) / math_detail::polynomial(t, q);
}

/// e^(-t^2/2) for 0 <= t <= 1000, with the relative accuracy of exp far out, where a rounded square would
/// carry its error t^2/2 times.
///
/// t = h + l with h a few bits (a multiple of 2^-6 or 2^-17, by adding and subtracting a large number), so
/// h^2 is exact as long as the result is not zero; -t^2/2 = -h^2/2 - l (t + h) / 2 is summed with its
/// rounding error d, and e^(s + d) = e^s (1 + d).
template <class V>
TIMELOOM_INLINE V gaussian(V t) noexcept {
  using S = typename V::scalar;
  const V shift = V::broadcast(sizeof(S) == 4 ? S(0x1.8p17) : S(0x1.8p35));
  const V half = V::broadcast(S(-0.5));
  const V head = (t + shift) - shift;
  const V large = head * head * half;
  const V small = (t - head) * (t + head) * half;
  const V sum = large + small;
  const V error = (large - sum) + small;
  return exp(sum) * (V::broadcast(S(1)) + error);  // e * error alone may be denormal, and would be lost
}
