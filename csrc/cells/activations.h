// Floor 2, cells: the equations of the recurrent cells and of their activations, on vectors.
// Belongs here: one header a cell, forward and backward, and this one. Does not: time, batch, threads,
// memory.
//
// At infinity a value or derivative is its limit, where a product of 0 and infinity would be NaN; NaN stays
// NaN (but the derivative of linear is 1). A kink has the derivative that Keras has on PyTorch.
// Legend: x pre-activation, y activation.
#pragma once

#include "base/activation.h"
#include "simd/math.h"

namespace activations {

constexpr double kSeluScale = 1.0507009873554805;
constexpr double kSeluScaleAlpha = kSeluScale * 1.6732632423543772;
constexpr double kFar = 800;  // e^-kFar is zero, and nothing here overflows up to kFar

template <class V>
TIMELOOM_INLINE V number(double value) noexcept {
  return V::broadcast(static_cast<typename V::scalar>(value));
}

/// x between two bounds; NaN stays NaN.
template <class V>
TIMELOOM_INLINE V clip(V x, V low, V high) noexcept {
  return max(low, min(high, x));
}

/// `slope` where low < y < high, else 0, and NaN for NaN (y - y); no y is infinite.
template <class V>
TIMELOOM_INLINE V slope_between(V y, V low, V high, V slope) noexcept {
  return select((y > low) & (y < high), slope, y - y);
}

/// `above` for y > 0, `below` for y <= 0, NaN for NaN.
template <class V>
TIMELOOM_INLINE V slope_by_sign(V y, V above, V below) noexcept {
  return select(y > V::zero(), above, select(y <= V::zero(), below, y));
}

/// log(1 + e^-|x|), which softplus and log_sigmoid add to their asymptotes.
template <class V>
TIMELOOM_INLINE V log1p_exp_of_negative(V x) noexcept {
  return log1p(exp(-abs(x)));
}

/// What gelu, gelu_tanh and silu have in common: y = x G(x) with G rising from 0 to 1 and G(x) + G(-x) = 1.
/// With t = |x| and the tail T = G(-t), which is computed without cancellation,
///     y = max(x, 0) - t T      dy/dx = h for x <= 0, 1 - h for x > 0, with h = T + t dT/dt
template <class V>
struct Tail {
  V value;  // t T
  V slope;  // h

  TIMELOOM_INLINE V curve(V x) const noexcept { return max(V::zero(), x) - value; }
  TIMELOOM_INLINE V gradient(V x) const noexcept {
    return select(x > V::zero(), number<V>(1) - slope, slope);
  }
};

/// G is the normal distribution: T = e^(-t^2/2) M(t), dT/dt = -e^(-t^2/2) / sqrt(2 pi).
template <class V>
TIMELOOM_INLINE Tail<V> normal_tail(V x) noexcept {
  const V t = min(number<V>(kFar), abs(x));
  const V e = gaussian(t);
  const V ratio = mills_ratio(t);
  return {t * (e * ratio), e * fma(t, number<V>(-0.39894228040143267794), ratio)};
}

/// G = 1 / (1 + e^-u) with u an odd function of x: T = e^-u / (1 + e^-u), dT/dt = -du/dt T (1 - T).
template <class V>
TIMELOOM_INLINE Tail<V> logistic_tail(V t, V u, V du) noexcept {
  const V one = number<V>(1);
  const V e = exp(-u);
  const V rest = one / (one + e);
  const V tail = e * rest;
  return {t * tail, tail * (one - t * du * rest)};
}

/// u = x.
template <class V>
TIMELOOM_INLINE Tail<V> silu_tail(V x) noexcept {
  const V t = min(number<V>(kFar), abs(x));
  return logistic_tail(t, t, number<V>(1));
}

/// u = sqrt(8 / pi) (x + 0.044715 x^3), because (1 + tanh(v)) / 2 = 1 / (1 + e^-2v).
template <class V>
TIMELOOM_INLINE Tail<V> gelu_tanh_tail(V x) noexcept {
  constexpr double kScale = 1.5957691216057307117;
  const V t = min(number<V>(kFar), abs(x));
  const V square = t * t;
  const V u = t * fma(square, number<V>(kScale * 0.044715), number<V>(kScale));
  return logistic_tail(t, u, fma(square, number<V>(3 * kScale * 0.044715), number<V>(kScale)));
}

/// With e = e^x and n = e (e + 2): tanh(log(1 + e)) = n / (n + 2), which is 1 long before x = 25.
template <class V>
struct MishParts {
  V x;        // between -kFar and 25
  V e;        // e^x
  V inverse;  // 1 / (n + 2)
  V gate;     // n / (n + 2)

  TIMELOOM_INLINE explicit MishParts(V whole) noexcept
      : x(clip(whole, number<V>(-kFar), number<V>(25))), e(exp(x)) {
    const V n = e * (e + number<V>(2));
    inverse = number<V>(1) / (n + number<V>(2));
    gate = n * inverse;
  }
};

/// y = f(x) of one kind:
///     linear          x
///     tanh            tanh(x)
///     sigmoid         1 / (1 + e^-x)
///     hard_sigmoid    clip((x + 3) / 6, 0, 1): Keras 3's x / 6 + 1/2, without its cancellation near -3
///     relu, relu6     max(x, 0); clip(x, 0, 6)
///     leaky_relu      x for x > 0, else x / 5
///     elu             x for x > 0, else e^x - 1
///     selu            scale x for x > 0, else scale alpha (e^x - 1) (Klambauer et al. 2017)
///     softplus        log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
///     softsign        x / (1 + |x|)
///     exponential     e^x
///     hard_tanh       clip(x, -1, 1)
///     log_sigmoid     log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|)
///     soft_shrink     x - clip(x, -1/2, 1/2)
///     hard_shrink     x for |x| > 1/2, else 0
///     squareplus      (x + sqrt(x^2 + 4)) / 2
///     sparse_plus     0 up to -1, x from 1 on, between ((x + 1) / 2)^2
///     sparse_sigmoid  clip((x + 1) / 2, 0, 1)
///     gelu            x Phi(x) with the normal distribution Phi
///     gelu_tanh       x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
///     silu            x sigmoid(x)
///     hard_silu       x hard_sigmoid(x)
///     mish            x tanh(softplus(x))
///     tanh_shrink     x - tanh(x)
template <Activation kKind, class V>
TIMELOOM_INLINE V value(V x) noexcept {
  [[maybe_unused]] const V zero = V::zero();
  [[maybe_unused]] const V one = number<V>(1);
  if constexpr (kKind == Activation::linear) {
    return x;
  } else if constexpr (kKind == Activation::tanh) {
    return tanh(x);
  } else if constexpr (kKind == Activation::sigmoid) {
    return sigmoid(x);
  } else if constexpr (kKind == Activation::hard_sigmoid) {
    return clip((x + number<V>(3)) * number<V>(1.0 / 6), zero, one);
  } else if constexpr (kKind == Activation::relu) {
    return max(zero, x);
  } else if constexpr (kKind == Activation::relu6) {
    return clip(x, zero, number<V>(6));
  } else if constexpr (kKind == Activation::leaky_relu) {
    return max(x * number<V>(0.2), x);
  } else if constexpr (kKind == Activation::elu) {
    return select(x > zero, x, expm1(x));
  } else if constexpr (kKind == Activation::selu) {
    return select(x > zero, x * number<V>(kSeluScale), expm1(x) * number<V>(kSeluScaleAlpha));
  } else if constexpr (kKind == Activation::softplus) {
    return max(zero, x) + log1p_exp_of_negative(x);
  } else if constexpr (kKind == Activation::softsign) {
    const V bounded = clip(x, number<V>(-1e30), number<V>(1e30));
    return bounded / (one + abs(bounded));
  } else if constexpr (kKind == Activation::exponential) {
    return exp(x);
  } else if constexpr (kKind == Activation::hard_tanh) {
    return clip(x, number<V>(-1), one);
  } else if constexpr (kKind == Activation::log_sigmoid) {
    return min(zero, x) - log1p_exp_of_negative(x);
  } else if constexpr (kKind == Activation::soft_shrink) {
    return x - clip(x, number<V>(-0.5), number<V>(0.5));
  } else if constexpr (kKind == Activation::hard_shrink) {
    return select(abs(x) <= number<V>(0.5), zero, x);
  } else if constexpr (kKind == Activation::squareplus) {
    const V size = abs(x);
    const V bounded = min(number<V>(0x1p30), size);
    const V root = max(sqrt(fma(bounded, bounded, number<V>(4))), size);
    const V sum = fma(root, number<V>(0.5), size * number<V>(0.5));
    return select(x < zero, one / sum, sum);
  } else if constexpr (kKind == Activation::sparse_plus) {
    const V mean = (x + one) * number<V>(0.5);
    return select(x <= number<V>(-1), zero, select(x < one, mean * mean, x));
  } else if constexpr (kKind == Activation::sparse_sigmoid) {
    return clip((x + one) * number<V>(0.5), zero, one);
  } else if constexpr (kKind == Activation::gelu) {
    return normal_tail(x).curve(x);
  } else if constexpr (kKind == Activation::gelu_tanh) {
    return gelu_tanh_tail(x).curve(x);
  } else if constexpr (kKind == Activation::silu) {
    return silu_tail(x).curve(x);
  } else if constexpr (kKind == Activation::hard_silu) {
    const V gate = value<Activation::hard_sigmoid>(x);
    return max(number<V>(-kFar), x) * gate;
  } else if constexpr (kKind == Activation::mish) {
    const MishParts<V> parts(x);
    return max(number<V>(-kFar), x) * parts.gate;
  } else if constexpr (kKind == Activation::tanh_shrink) {
    return x - tanh(x);
  } else {
    static_assert(kKind == Activation::linear, "a kind without an equation");
  }
}

/// dy/dx of one kind, from y:
///     linear                     1
///     tanh                       (1 - y) (1 + y), without the cancellation of 1 - y^2 near |y| = 1
///     sigmoid                    y (1 - y)
///     hard_sigmoid               1/6 for 0 < y < 1, else 0
///     relu, relu6                1 for y > 0 (and y < 6), else 0
///     leaky_relu, elu, selu      1, 1, scale for y > 0, else 1/5, 1 + y, scale alpha + y
///     softplus, log_sigmoid      sigmoid(x) = 1 - e^-y; sigmoid(-x) = 1 - e^y
///     softsign                   1 / (1 + |x|)^2 = (1 - |y|)^2
///     exponential                y
///     hard_tanh                  1 for |y| < 1, else 0
///     soft_shrink, hard_shrink   1 for y != 0, else 0
///     squareplus                 y^2 / (y^2 + 1), since y - 1/y = x and y + 1/y = sqrt(x^2 + 4)
///     sparse_plus                min(sqrt(y), 1)
///     sparse_sigmoid             1/2 for 0 < y < 1, else 0
/// and from x, given in place of y:
///     gelu, gelu_tanh, silu      see Tail
///     hard_silu                  0 up to -3, 1 from 3 on, between x / 3 + 1/2
///     mish                       n / (n + 2) + 4 x e (1 + e) / (n + 2)^2, see MishParts
///     tanh_shrink                tanh(x)^2
template <Activation kKind, class V>
TIMELOOM_INLINE V gradient(V y) noexcept {
  [[maybe_unused]] const V zero = V::zero();
  [[maybe_unused]] const V one = number<V>(1);
  if constexpr (kKind == Activation::linear) {
    return one;
  } else if constexpr (kKind == Activation::tanh) {
    return (one - y) * (one + y);
  } else if constexpr (kKind == Activation::sigmoid) {
    return y * (one - y);
  } else if constexpr (kKind == Activation::hard_sigmoid) {
    return slope_between(y, zero, one, number<V>(1.0 / 6));
  } else if constexpr (kKind == Activation::relu) {
    return select(y > zero, one, zero * y);
  } else if constexpr (kKind == Activation::relu6) {
    return slope_between(y, zero, number<V>(6), one);
  } else if constexpr (kKind == Activation::leaky_relu) {
    return slope_by_sign(y, one, number<V>(0.2));
  } else if constexpr (kKind == Activation::elu) {
    return select(y > zero, one, one + y);
  } else if constexpr (kKind == Activation::selu) {
    return select(y > zero, number<V>(kSeluScale), number<V>(kSeluScaleAlpha) + y);
  } else if constexpr (kKind == Activation::softplus) {
    return -expm1(-y);
  } else if constexpr (kKind == Activation::softsign) {
    const V rest = one - abs(y);
    return rest * rest;
  } else if constexpr (kKind == Activation::exponential) {
    return y;
  } else if constexpr (kKind == Activation::hard_tanh) {
    return slope_between(y, number<V>(-1), one, one);
  } else if constexpr (kKind == Activation::log_sigmoid) {
    return -expm1(y);
  } else if constexpr (kKind == Activation::soft_shrink) {
    return slope_by_sign(abs(y), one, zero);
  } else if constexpr (kKind == Activation::hard_shrink) {
    return slope_by_sign(abs(y), one, zero);
  } else if constexpr (kKind == Activation::squareplus) {
    const V inverse = one / y;
    return one / fma(inverse, inverse, one);
  } else if constexpr (kKind == Activation::sparse_plus) {
    return min(one, sqrt(y));
  } else if constexpr (kKind == Activation::sparse_sigmoid) {
    return slope_between(y, zero, one, number<V>(0.5));
  } else if constexpr (kKind == Activation::gelu) {
    return normal_tail(y).gradient(y);
  } else if constexpr (kKind == Activation::gelu_tanh) {
    return gelu_tanh_tail(y).gradient(y);
  } else if constexpr (kKind == Activation::silu) {
    return silu_tail(y).gradient(y);
  } else if constexpr (kKind == Activation::hard_silu) {
    const V middle = fma(y, number<V>(1.0 / 3), number<V>(0.5));
    return select(y <= number<V>(-3), zero, select(y >= number<V>(3), one, middle));
  } else if constexpr (kKind == Activation::mish) {
    const MishParts<V> parts(y);
    const V product = number<V>(4) * parts.x * parts.e * (one + parts.e) * parts.inverse;
    return fma(product, parts.inverse, parts.gate);
  } else if constexpr (kKind == Activation::tanh_shrink) {
    const V squashed = tanh(y);
    return squashed * squashed;
  } else {
    static_assert(kKind == Activation::linear, "a kind without an equation");
  }
}

/// The two as functions with an address, for a kind that is chosen when called.
template <Activation kKind, class V>
V value_function(V x) noexcept {
  return value<kKind>(x);
}
template <Activation kKind, class V>
V gradient_function(V y) noexcept {
  return gradient<kKind>(y);
}

}  // namespace activations
