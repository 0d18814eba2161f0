/// The argument blocks of the optimizer steps, and their part of the kernel table.
/// Letters: w parameter, g gradient, t number of the step from 1.
#pragma once

#include "base/views.h"
#include "base/worker.h"

namespace timeloom {

/// Arrays that an optimizer keeps beside a parameter, at most.
constexpr int kMaxSlots = 3;

/// One parameter with its gradient and slots, each [size], contiguous, not owned, no two overlapping but
/// gradients.
template <typename Scalar>
struct Segment {
  Scalar* parameter;         // updated
  Scalar* slots[kMaxSlots];  // updated; the order is given at each step below
  const Scalar* gradient;
  index size;
  Scalar gradient_scale;  // g is the gradient times this
};

/// Every parameter of a step. g is first scaled, then held in [-clip, clip] (infinity: no limit).
template <typename Scalar>
struct Segments {
  const Segment<Scalar>* segments;
  index count;
  index size;  // sum of their sizes
  Scalar clip;
};

/// Numbers of a step, as computed in double and rounded once. `decay` is the learning rate times the weight
/// decay: w -= decay w comes before everything else. Slots in use: velocity if momentum is not 0.
template <typename Scalar>
struct SgdStep {
  Scalar learning_rate;
  Scalar momentum;
  bool nesterov;
  Scalar decay;
};

/// Slots: velocity; then the momentum buffer if momentum is not 0; then the average gradient if centered.
template <typename Scalar>
struct RmspropStep {
  Scalar learning_rate;
  Scalar rho;
  Scalar rest;  // 1 - rho
  Scalar momentum;
  Scalar epsilon;
  bool centered;
  Scalar decay;
};

/// Slots: first moment, second moment; then the largest second moment so far if amsgrad.
template <typename Scalar>
struct AdamStep {
  Scalar rate;    // learning rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)
  Scalar rest_1;  // 1 - beta_1
  Scalar rest_2;  // 1 - beta_2
  Scalar epsilon;
  bool amsgrad;
  Scalar decay;
};

/// Elements of one block of squared_norms.
constexpr index kNormBlock = 4096;

/// Several arrays, cut into blocks of kNormBlock elements; no block spans two arrays.
template <typename Scalar>
struct SquaredNorms {
  const Scalar* const* arrays;  // [count]
  const index* sizes;           // [count]
  index count;
  index blocks;
  double* partials;  // [blocks], overwritten: the sum of squares of each block
};

/// One pass over every parameter each. Every result is the same bits for any number of workers.
template <typename Scalar>
struct OptimizerKernels {
  void (*sgd)(const Segments<Scalar>&, const SgdStep<Scalar>&, const Worker&);
  void (*rmsprop)(const Segments<Scalar>&, const RmspropStep<Scalar>&, const Worker&);
  void (*adam)(const Segments<Scalar>&, const AdamStep<Scalar>&, const Worker&);
  void (*scale)(const Segments<Scalar>&, const Worker&);  // parameter = g; gradient may be parameter
  void (*squared_norms)(const SquaredNorms<Scalar>&, const Worker&);
};

}  // namespace timeloom
