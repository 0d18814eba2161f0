// Matrix products for dense layers, by the same tile and the same rule of summation as the recurrences.
#pragma once

#include "kernels/outer.h"

template <class V>
void gemm_pack(const GemmPacking<typename V::scalar>& packing, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kColumns = 4 * V::kLanes;
  const index panels = (packing.cols + kColumns - 1) / kColumns;
  const Share share = share_of(panels, worker);
  for (index panel = share.begin; panel < share.end; ++panel) {
    const index first = panel * kColumns;
    const index filled = packing.cols - first < kColumns ? packing.cols - first : kColumns;
    Scalar* target = packing.packed + panel * packing.depth * kColumns;
    const index column_stride = packing.transposed ? packing.depth : 1;
    const index depth_stride = packing.transposed ? 1 : packing.cols;
    const Scalar* source = packing.right + first * column_stride;
    for (index k = 0; k < packing.depth; ++k) {
      for (index column = 0; column < filled; ++column) target[column] = source[column * column_stride];
      for (index column = filled; column < kColumns; ++column) target[column] = 0;
      target += kColumns;
      source += depth_stride;
    }
  }
}

/// A copy whose rows do not lie in each other's way.
template <class V, class Scalar = typename V::scalar>
MatrixView<const Scalar> gather_block(Scalar* target, const MatrixView<const Scalar>& block) noexcept {
  const index distance = row_distance<Scalar>(block.cols);
  for (index row = 0; row < block.rows; ++row) {
    copy_row<V>(target + row * distance, block.data + row * block.row_stride, block.cols);
  }
  return {target, block.rows, block.cols, distance};
}

/// One panel of columns of the outputs, from row `top`: a block of the left operand that begins at depth
/// `begin` times the same depths of the right one.
template <class V, class Scalar = typename V::scalar>
void multiply_block(const Gemm<Scalar>& call, const MatrixView<const Scalar>& block, index top, index begin,
                    index panel) noexcept {
  constexpr index kColumns = 4 * V::kLanes;
  constexpr int kRows = tile_rows<V>(4);
  const index column = panel * kColumns;
  const index cols = call.outputs.cols;
  const Scalar* right = call.packed + (panel * call.left.cols + begin) * kColumns;
  for_row_tiles<kRows>(block.rows, [&](auto rows, index first) {
    constexpr int kHeight = decltype(rows)::value;
    V acc[kHeight][4];
    const Scalar* left[kHeight];
    Scalar* target[kHeight];
    for (int i = 0; i < kHeight; ++i) {
      left[i] = block.data + (first + i) * block.row_stride;
      target[i] = call.outputs.data + (top + first + i) * call.outputs.row_stride + column;
      TIMELOOM_UNROLL
      for (int v = 0; v < 4; ++v) {
        const index remaining = cols - column - v * V::kLanes;
        if (begin > 0) {
          acc[i][v] = load_lanes<V>(target[i] + v * V::kLanes, remaining);
        } else {
          acc[i][v] = call.bias ? load_lanes<V>(call.bias + column + v * V::kLanes, remaining) : V::zero();
        }
      }
    }
    multiply_add<kHeight, 0, 4>(acc, left, right, kColumns, block.cols);
    for (int i = 0; i < kHeight; ++i) {
      TIMELOOM_UNROLL
      for (int v = 0; v < 4; ++v) {
        store_lanes(acc[i][v], target[i] + v * V::kLanes, cols - column - v * V::kLanes);
      }
    }
  });
}

template <class V>
void gemm(const Gemm<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kColumns = 4 * V::kLanes;
  constexpr int kRows = tile_rows<V>(4);
  const index depth = call.left.cols;
  const index cols = call.outputs.cols;
  const index panels = (cols + kColumns - 1) / kColumns;
  const bool by_rows = call.left.rows >= 2 * kRows * worker.count;
  const Share rows_share = by_rows ? share_of(call.left.rows, worker) : Share{0, call.left.rows};
  const Share panel_share = by_rows ? Share{0, panels} : share_of(panels, worker);
  for (index begin = 0; begin == 0 || begin < depth; begin += kGemmBlock) {
    const index length = begin + kGemmBlock < depth ? kGemmBlock : depth - begin;
    for (index top = rows_share.begin; top < rows_share.end; top += kGemmRows) {
      const index height = top + kGemmRows < rows_share.end ? kGemmRows : rows_share.end - top;
      MatrixView<const Scalar> block{call.left.data + top * call.left.row_stride + begin, height, length,
                                     call.left.row_stride};
      if (call.gathered) block = gather_block<V>(call.gathered + worker.thread * kGatheredBlock, block);
      for (index panel = panel_share.begin; panel < panel_share.end; ++panel) {
        multiply_block<V>(call, block, top, begin, panel);
      }
    }
  }
}

template <class V>
void gemm_outer(const GemmOuter<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kColumns = 4 * V::kLanes;
  const index rows = call.left.rows;
  const index cols = call.outputs.cols;
  const index panels = (cols + kColumns - 1) / kColumns;
  const index packed_rows = rows < kChunkRows ? rows : kChunkRows;
  const index distance = row_distance<Scalar>(call.left.cols);
  Scalar* scratch = call.scratch + worker.thread * call.left.cols * kColumns;
  for (index begin = 0; begin < rows; begin += kChunkRows) {
    const index count = rows - begin < kChunkRows ? rows - begin : kChunkRows;
    const Share share = share_of(panels, worker);
    for (index panel = share.begin; panel < share.end; ++panel) {
      const index column = panel * kColumns;
      for (index row = 0; row < count; ++row) {
        const Scalar* source = call.right.data + (begin + row) * call.right.row_stride + column;
        Scalar* target = call.packed + (panel * packed_rows + row) * kColumns;
        for (int v = 0; v < 4; ++v) {
          load_lanes<V>(source + v * V::kLanes, cols - column - v * V::kLanes).store(target + v * V::kLanes);
        }
      }
    }
    const Share row_share = share_of(count, worker);
    for (index row = row_share.begin; row < row_share.end; ++row) {
      copy_row<V>(call.gathered + row * distance, call.left.data + (begin + row) * call.left.row_stride,
                  call.left.cols);
    }
    worker.wait(worker.barrier);
    outer_product<4, V>(
        static_cast<const Scalar*>(call.gathered), distance, call.left.cols, call.packed,
        packed_rows * kColumns, kColumns, panels, count, scratch, worker, [&](index panel, index row, int v) {
          const index column = panel * kColumns + v * V::kLanes;
          return Lanes<Scalar>{call.outputs.data + row * call.outputs.row_stride + column, cols - column};
        });
    worker.wait(worker.barrier);
  }
}
