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

/// words[0..31] and words[32..63]: the two words of the counters first .. first + 31.
TIMELOOM_INLINE void block(std::uint32_t* words, std::uint64_t key, std::uint64_t first) noexcept {
  constexpr int kRotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  const auto key_0 = static_cast<std::uint32_t>(key), key_1 = static_cast<std::uint32_t>(key >> 32);
  const std::uint32_t keys[3] = {key_0, key_1, 0x1bd11bdau ^ key_0 ^ key_1};
  std::uint32_t* x = words;
  std::uint32_t* y = words + kCounters;
  // The low word of `first` is a multiple of 32, so adding j carries nothing.
  for (int j = 0; j < kCounters; ++j) {
    x[j] = static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(j) + keys[0];
    y[j] = static_cast<std::uint32_t>(first >> 32) + keys[1];
  }
  for (int round = 0; round < kRounds; ++round) {
    const int left = kRotations[round % 8], right = 32 - left;
    const bool injects = round % 4 == 3;
    const auto number = static_cast<std::uint32_t>(round / 4 + 1);
    const std::uint32_t to_x = injects ? keys[number % 3] : 0u;
    const std::uint32_t to_y = injects ? keys[(number + 1) % 3] + number : 0u;
    for (int j = 0; j < kCounters; ++j) {
      const std::uint32_t sum = x[j] + y[j];
      x[j] = sum + to_x;
      y[j] = (((y[j] << left) | (y[j] >> right)) ^ sum) + to_y;
    }
  }
}

}  // namespace threefry

/// results[i] = operand[i] * (number_i < threshold ? 0 : scale): NaN and infinity of a dropped element stay
/// NaN.
template <class V>
void dropout_kernel(const Dropout<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kBlock = 2 * threefry::kCounters;
  const Share share = element_share(call.size, worker);  // cut at blocks of 64 elements
  std::uint32_t words[kBlock];
  for (index begin = share.begin; begin < share.end; begin += kBlock) {
    threefry::block(words, call.key, static_cast<std::uint64_t>(begin / kBlock) * threefry::kCounters);
    const index count = begin + kBlock <= share.end ? kBlock : share.end - begin;
    const Scalar* x = call.operand + begin;
    Scalar* y = call.results + begin;
    for (index i = 0; i < count; ++i) y[i] = x[i] * (words[i] < call.threshold ? Scalar(0) : call.scale);
  }
}
