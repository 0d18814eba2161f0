/// The argument blocks of the matrix products.
/// Letters in shapes: M rows, N columns, K summed; L lanes of a vector.
#pragma once

#include "base/views.h"

namespace timeloom {

/// A block of the left operand, [kGemmRows, kGemmBlock], stays in L2 while the panels of the right operand
/// pass; of a panel of four vectors of columns the same depths stay in L1 (with AVX-512 in L2) while the rows
/// of the block pass.
constexpr index kGemmRows = 256;
constexpr index kGemmBlock = 128;  // depth
constexpr index kGatheredBlock = kGemmRows * (kGemmBlock + 16);

/// Rows of a chunk whose right operand stays in a cache while all columns of the left one pass by a panel of
/// weight gradients: 128 of them in L1, or with vectors of 64 bytes up to 256 KB in L2, which such processors
/// read fast enough (CONTRIBUTING.md): any chunk but those of many hundred rows a timestep.
constexpr index outer_block(index vector_bytes) { return vector_bytes < 64 ? 128 : 2 * kChunkRows; }

/// outputs = left right + bias. Each element is one chain of fma in ascending k that starts from the bias.
template <typename Scalar>
struct Gemm {
  MatrixView<const Scalar> left;  // [M, K]
  const Scalar* right;            // [K, N], or [N, K] when transposed
  bool transposed;
  const Scalar* bias;          // [N] or null: zeros
  MatrixView<Scalar> outputs;  // [M, N], overwritten
  Scalar* packed;              // workspace [threads][min(K, kGemmBlock)][4L]
  Scalar* gathered;            // workspace [threads][kGatheredBlock]; null: left is read where it lies
};

/// outputs = left^T right, summed over rows in chunks: a chain from zero over each chunk of 512 rows, then
/// added.
template <typename Scalar>
struct GemmOuter {
  MatrixView<const Scalar> left;   // [K, M]
  MatrixView<const Scalar> right;  // [K, N]
  MatrixView<Scalar> outputs;      // [M, N], overwritten
  Scalar* packed;                  // workspace [ceil(N / 4L)][min(K, 512)][4L]
  Scalar* gathered;                // workspace [min(K, 512)][row distance of M]
  Scalar* scratch;                 // workspace [threads][M][4L]; null where a chunk is one block
};

}  // namespace timeloom
