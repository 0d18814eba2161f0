// Dropout: random numbers, comparison and product in one pass. The number of an element is a function of the
// key and of its place alone, so a backward pass makes the same ones again and nothing is kept.
//
// The generator is Threefry-2x32 with 13 rounds (Salmon, Moraes, Dror and Shaw, Parallel random numbers: as
// easy as 1, 2, 3, SC 2011): additions, rotations and xor, which compilers vectorise for every ISA. Elements
// 64 b + j and 64 b + 32 + j, j < 32, are the two words of the counter 32 b + j.
#pragma once

#include "base/losses.h"
#include "kernels/elementwise.h"

namespace threefry {

constexpr int kCounters = 32;
constexpr int kRounds = 13;

/// The rounds from kRound on, on 32 counters beside each other; keys in the order of their use. Constant
/// rotations and arrays of a fixed size: with a loop over the rounds GCC makes 10 ns of what takes 0.6.
template <int kRound>
TIMELOOM_INLINE void rounds(std::uint32_t (&x)[kCounters], std::uint32_t (&y)[kCounters],
                            const std::uint32_t (&keys)[3]) noexcept {
  constexpr int kRotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  if constexpr (kRound < kRounds) {
    constexpr int left = kRotations[kRound % 8], right = 32 - left;
    constexpr bool injects = kRound % 4 == 3;
    constexpr std::uint32_t number = kRound / 4 + 1;
    const std::uint32_t to_x = injects ? keys[number % 3] : 0u;
    const std::uint32_t to_y = injects ? keys[(number + 1) % 3] + number : 0u;
    for (int j = 0; j < kCounters; ++j) {
      const std::uint32_t sum = x[j] + y[j];
      y[j] = (((y[j] << left) | (y[j] >> right)) ^ sum) + to_y;
      x[j] = sum + to_x;
    }
    rounds<kRound + 1>(x, y, keys);
  }
}

/// The two words of the counters first .. first + 31; first is a multiple of 32, so adding j carries nothing.
TIMELOOM_INLINE void block(std::uint32_t (&x)[kCounters], std::uint32_t (&y)[kCounters], std::uint64_t key,
                           std::uint64_t first) noexcept {
  const auto key_0 = static_cast<std::uint32_t>(key), key_1 = static_cast<std::uint32_t>(key >> 32);
  const std::uint32_t keys[3] = {key_0, key_1, 0x1bd11bdau ^ key_0 ^ key_1};
  const auto low = static_cast<std::uint32_t>(first), high = static_cast<std::uint32_t>(first >> 32);
  for (int j = 0; j < kCounters; ++j) {
    x[j] = low + static_cast<std::uint32_t>(j) + keys[0];
    y[j] = high + keys[1];
  }
  rounds<0>(x, y, keys);
}

}  // namespace threefry

/// results[i] = operand[i] * (numbers[i] < threshold ? 0 : scale) for the first `count` elements of a block.
template <class Scalar>
TIMELOOM_INLINE void drop_elements(const Dropout<Scalar>& call, index begin,
                                   const std::uint32_t (&numbers)[threefry::kCounters],
                                   index count) noexcept {
  const Scalar* x = call.operand + begin;
  Scalar* y = call.results + begin;
  const std::uint32_t threshold = call.threshold;
  const Scalar scale = call.scale;
  for (index i = 0; i < count; ++i) y[i] = x[i] * (numbers[i] < threshold ? Scalar(0) : scale);
}

/// results[i] = operand[i] * (number_i < threshold ? 0 : scale): NaN and infinity of a dropped element stay
/// NaN.
template <class V>
void dropout_kernel(const Dropout<typename V::scalar>& call, const Worker& worker) noexcept {
  constexpr index kHalf = threefry::kCounters;
  const Share share = element_share(call.size, worker);  // cut at blocks of 64 elements
  std::uint32_t first[kHalf], second[kHalf];
  for (index begin = share.begin; begin < share.end; begin += 2 * kHalf) {
    threefry::block(first, second, call.key, static_cast<std::uint64_t>(begin / 2));
    const index rest = share.end - begin;
    if (rest >= 2 * kHalf) {
      drop_elements(call, begin, first, kHalf);
      drop_elements(call, begin + kHalf, second, kHalf);
    } else {
      drop_elements(call, begin, first, rest < kHalf ? rest : kHalf);
      if (rest > kHalf) drop_elements(call, begin + kHalf, second, rest - kHalf);
    }
  }
}
