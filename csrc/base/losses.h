/// The argument blocks of losses, dropout and embeddings, and their part of the kernel table.
#pragma once

#include <cstdint>

#include "base/views.h"
#include "base/worker.h"

namespace timeloom {

/// A loss of a row of outputs p against its targets t; formulas at kernels/losses.h.
enum class Loss { squared, absolute, binary, binary_logits, categorical, categorical_logits };

/// The rows of a batch. Not owned; contiguous. Either targets or labels are given, labels only to the
/// categorical losses.
template <typename Scalar>
struct LossRows {
  Scalar* results;             // overwritten: values [rows], or gradients of the outputs [rows, cols]
  const Scalar* outputs;       // p [rows, cols]
  const Scalar* targets;       // [rows, cols] or null
  const std::int64_t* labels;  // [rows] or null: below cols; a row with one below zero costs nothing
  const Scalar* upstream;      // the gradients of the values; null unless gradients are computed
  index upstream_stride;       // 1: upstream [rows]; 0: one number for all rows
  index rows;
  index cols;
  Scalar keep;  // t = targets * keep + add: label smoothing
  Scalar add;
  Scalar low;  // probabilities are held in [low, high]
  Scalar high;
};

/// results = operand times a factor that is 0 or `scale`. Not owned; results may be operand.
template <typename Scalar>
struct Dropout {
  Scalar* results;        // [size], overwritten
  const Scalar* operand;  // [size]
  index size;
  std::uint64_t key;        // chooses the random numbers, with the place of an element
  std::uint32_t threshold;  // an element whose number is below it gets the factor 0
  Scalar scale;
};

/// Rows of a table by number. Not owned; contiguous.
template <typename Scalar>
struct EmbeddingRows {
  Scalar* results;              // overwritten: [count, cols], or the gradient of the table [rows, cols]
  const Scalar* operand;        // the table [rows, cols], or the gradients that arrive [count, cols]
  const std::int64_t* indices;  // [count], each in [0, rows)
  index count;
  index rows;
  index cols;
};

/// Every result is the same bits for any number of workers.
template <typename Scalar>
struct LayerKernels {
  void (*loss_values)(Loss, const LossRows<Scalar>&, const Worker&);
  void (*loss_gradient)(Loss, const LossRows<Scalar>&, const Worker&);
  void (*dropout)(const Dropout<Scalar>&, const Worker&);
  void (*embedding)(const EmbeddingRows<Scalar>&, const Worker&);
  void (*embedding_gradient)(const EmbeddingRows<Scalar>&, const Worker&);
};

}  // namespace timeloom
