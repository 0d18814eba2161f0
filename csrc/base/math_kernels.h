/// The argument blocks of the functions over ranges and rows, and their part of the kernel table.
#pragma once

#include "base/activation.h"
#include "base/views.h"
#include "base/worker.h"

namespace timeloom {

/// One range of elements. Not owned; `results` may be `operand` or `upstream`.
template <typename Scalar>
struct Elementwise {
  Scalar* results;         // [size], overwritten
  const Scalar* operand;   // [size]
  const Scalar* upstream;  // [size]: the gradient that arrives; null unless this is a gradient
  index size;
};

/// The rows of a contiguous matrix. Not owned; `results` may be `operand` or `upstream` where the shapes
/// agree.
template <typename Scalar>
struct RowWise {
  Scalar* results;         // overwritten; [rows, cols], [rows] of sum_last, [cols] of sum_rows
  const Scalar* operand;   // [rows, cols]
  const Scalar* upstream;  // [rows, cols]; null unless this is a gradient
  index rows;
  index cols;
};

/// Chains of fused multiply-adds in registers, a measure of what the processor can do at most.
constexpr int kFmaChains = 12;
template <typename Scalar>
struct FmaChains {
  Scalar* results;  // [workers, lanes], overwritten with the sums of the chains' ends
  index rounds;     // multiply-adds of each chain
};

/// Functions of elements and rows. Every result is the same bits for any number of workers.
template <typename Scalar>
struct MathKernels {
  void (*activation)(Activation, const Elementwise<Scalar>&, const Worker&);
  void (*activation_gradient)(Activation, const Elementwise<Scalar>&, const Worker&);
  void (*exp)(const Elementwise<Scalar>&, const Worker&);
  void (*log)(const Elementwise<Scalar>&, const Worker&);
  void (*softmax)(const RowWise<Scalar>&, const Worker&);
  void (*softmax_gradient)(const RowWise<Scalar>&, const Worker&);
  void (*log_softmax)(const RowWise<Scalar>&, const Worker&);
  void (*log_softmax_gradient)(const RowWise<Scalar>&, const Worker&);
  void (*sum_last)(const RowWise<Scalar>&, const Worker&);
  void (*sum_rows)(const RowWise<Scalar>&, const Worker&);
  void (*fma_chains)(const FmaChains<Scalar>&, const Worker&);
};

}  // namespace timeloom
