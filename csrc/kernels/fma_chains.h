// The most that a core can do: fused multiply-adds that touch registers alone.
#pragma once

#include "base/math_kernels.h"
#include "kernels/tile.h"

/// Every worker runs `call.rounds` rounds of kFmaChains independent chains a <- a * 0.5 + 1 and stores the
/// sum of their ends. Twelve chains hide a latency of four cycles on two ports, and with factor and addend
/// they fit sixteen registers.
template <class V>
void fma_chains_kernel(const FmaChains<typename V::scalar>& call, const Worker& worker) {
  using Scalar = typename V::scalar;
  const V factor = V::broadcast(Scalar(0.5)), addend = V::broadcast(Scalar(1));
  V chains[kFmaChains];
  TIMELOOM_UNROLL
  for (int chain = 0; chain < kFmaChains; ++chain) chains[chain] = V::broadcast(Scalar(chain));
  for (index round = 0; round < call.rounds; ++round) {
    TIMELOOM_UNROLL
    for (int chain = 0; chain < kFmaChains; ++chain) chains[chain] = fma(chains[chain], factor, addend);
  }
  V sum = V::zero();
  TIMELOOM_UNROLL
  for (int chain = 0; chain < kFmaChains; ++chain) sum = sum + chains[chain];
  sum.store(call.results + worker.index * V::kLanes);
}
