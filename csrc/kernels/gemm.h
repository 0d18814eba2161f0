// Matrix products for dense layers, by the same tile and the same rule of summation as the recurrences.
#pragma once

#include "kernels/outer.h"

/// A copy whose rows do not lie in each other's way.
template <class V, class Scalar = typename V::scalar>
MatrixView<const Scalar> gather_block(Scalar* target, const MatrixView<const Scalar>& block) noexcept {
  const index distance = row_distance<Scalar>(block.cols);
  copy_rows<V>(target, distance, block.data, block.row_stride, block.rows, block.cols);
  return {target, block.rows, block.cols, distance};
}

/// Part of the right operand: kGemmBlock or fewer depths of a panel of columns.
struct PanelPart {
  index column;  // the first of the panel
  index begin;   // the first depth
  index length;
};

/// The part of a panel of `kVectors` side by side, as tiles read it: [length][kVectors * L], zeros beyond the
/// last column.
template <int kVectors, class V, class Scalar = typename V::scalar>
void pack_part(Scalar* target, const Gemm<Scalar>& call, const PanelPart& part) noexcept {
  constexpr index kWidth = kVectors * V::kLanes;
  const index cols = call.outputs.cols;
  const index tail = cols - part.column - (kWidth - V::kLanes);
  const Scalar* source = call.right + part.begin * cols + part.column;
  for (index k = 0; k < part.length; ++k) {
    TIMELOOM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      load_lanes<V>(source + v * V::kLanes, v + 1 < kVectors ? V::kLanes : tail)
          .store(target + v * V::kLanes);
    }
    source += cols;
    target += kWidth;
  }
}

/// The same of a right operand that is transposed.
template <int kVectors, class V, class Scalar = typename V::scalar>
void pack_transposed_part(Scalar* target, const Gemm<Scalar>& call, const PanelPart& part) noexcept {
  constexpr index kWidth = kVectors * V::kLanes;
  // A few columns at a time: a multiple of 4096 bytes apart, all of them would crowd into one set of L1.
  constexpr index kTogether = V::kLanes < 8 ? V::kLanes : 8;
  const index depth = call.left.cols;
  for (index first = 0; first < kWidth; first += kTogether) {
    const index left_over = call.outputs.cols - part.column - first;
    const Scalar* source = call.right + (part.column + first) * depth + part.begin;
    for (index k = 0; k < part.length; ++k) {
      Scalar* place = target + k * kWidth + first;
      if (left_over >= kTogether) {
        TIMELOOM_UNROLL
        for (index column = 0; column < kTogether; ++column) place[column] = source[column * depth + k];
      } else {
        for (index column = 0; column < kTogether; ++column) {
          place[column] = column < left_over ? source[column * depth + k] : 0;
        }
      }
    }
  }
}

/// A panel of `kVectors` of columns of the outputs, from row `top` on: a block of the left operand times the
/// part of the right one, whose rows lie `right_stride` apart.
template <int kVectors, class V, class Scalar = typename V::scalar>
void multiply_part(const Gemm<Scalar>& call, const MatrixView<const Scalar>& block, index top,
                   const PanelPart& part, const Scalar* right, index right_stride) noexcept {
  constexpr int kRows = tile_rows<V>(kVectors);
  const index tail = call.outputs.cols - part.column - (kVectors - 1) * V::kLanes;
  const auto filled = [&](int v) { return v + 1 < kVectors ? V::kLanes : tail; };
  for_row_tiles<kRows>(block.rows, [&](auto rows, index first) {
    constexpr int kHeight = decltype(rows)::value;
    V acc[kHeight][kVectors];
    const Scalar* left[kHeight];
    Scalar* target[kHeight];
    TIMELOOM_UNROLL
    for (int i = 0; i < kHeight; ++i) {
      left[i] = block.data + (first + i) * block.row_stride;
      target[i] = call.outputs.data + (top + first + i) * call.outputs.row_stride + part.column;
      TIMELOOM_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        if (part.begin > 0) {
          acc[i][v] = load_lanes<V>(target[i] + v * V::kLanes, filled(v));
        } else {
          acc[i][v] =
              call.bias ? load_lanes<V>(call.bias + part.column + v * V::kLanes, filled(v)) : V::zero();
        }
      }
    }
    multiply_add<kHeight, 0, kVectors>(acc, left, right, right_stride, block.cols);
    TIMELOOM_UNROLL
    for (int i = 0; i < kHeight; ++i) {
      TIMELOOM_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        store_lanes(acc[i][v], target[i] + v * V::kLanes, filled(v));
      }
    }
  });
}

/// The same from where the right operand lies, by way of `packed` if that pays: room for the part.
template <int kVectors, class V, class Scalar = typename V::scalar>
void multiply_panel(const Gemm<Scalar>& call, const MatrixView<const Scalar>& block, index top,
                    const PanelPart& part, Scalar* packed) noexcept {
  constexpr index kWidth = kVectors * V::kLanes;
  constexpr index kFewRows = 4 * tile_rows<V>(4);  // a copy costs more than its use saves
  const index cols = call.outputs.cols;
  if (!call.transposed && block.rows <= kFewRows && part.column + kWidth <= cols) {
    const Scalar* const right = call.right + part.begin * cols + part.column;
    multiply_part<kVectors, V>(call, block, top, part, right, cols);
    return;
  }
  if (call.transposed) {
    pack_transposed_part<kVectors, V>(packed, call, part);
  } else {
    pack_part<kVectors, V>(packed, call, part);
  }
  multiply_part<kVectors, V>(call, block, top, part, static_cast<const Scalar*>(packed), kWidth);
}

/// Blocks of at most kGemmRows rows, of which blocks times panels divide evenly among the workers where there
/// are rows enough.
template <class V>
index row_blocks(index rows, index panels, index workers) noexcept {
  constexpr index kRows = tile_rows<V>(4);
  index even = 1;
  while (even * panels % workers != 0) ++even;
  const index least = (rows + kGemmRows - 1) / kGemmRows;
  const index most = (rows + kRows - 1) / kRows;
  const index blocks = (least + even - 1) / even * even;
  return blocks < most ? blocks : most;
}

template <class V>
void gemm(const Gemm<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kColumns = 4 * V::kLanes;
  const index rows = call.left.rows;
  const index depth = call.left.cols;
  const index cols = call.outputs.cols;
  const index panels = (cols + kColumns - 1) / kColumns;
  const index blocks = row_blocks<V>(rows, panels, worker.count);
  Scalar* const packed = call.packed + worker.thread * (depth < kGemmBlock ? depth : kGemmBlock) * kColumns;
  for_lines(blocks, panels, worker, [&](index row_block, Share of_block) {
    const Share block_rows = part_of(rows, row_block, blocks);
    const index top = block_rows.begin;
    const index height = block_rows.end - top;
    for (index begin = 0; begin == 0 || begin < depth; begin += kGemmBlock) {
      const index length = begin + kGemmBlock < depth ? kGemmBlock : depth - begin;
      MatrixView<const Scalar> block{call.left.data + top * call.left.row_stride + begin, height, length,
                                     call.left.row_stride};
      if (call.gathered) block = gather_block<V>(call.gathered + worker.thread * kGatheredBlock, block);
      for (index panel = of_block.begin; panel < of_block.end; ++panel) {
        const index column = panel * kColumns;
        const index vectors = (cols - column + V::kLanes - 1) / V::kLanes;
        with_rows<4>(vectors, [&](auto constant) {
          multiply_panel<decltype(constant)::value, V>(call, block, top, {column, begin, length}, packed);
        });
      }
    }
  });
}

constexpr int kOuterParts = 4;  // of a product, for each worker

template <class V>
void gemm_outer(const GemmOuter<typename V::scalar>& call, const Worker& worker) noexcept {
  using Scalar = typename V::scalar;
  constexpr index kColumns = 4 * V::kLanes;
  const index rows = call.left.rows;
  const index cols = call.outputs.cols;
  const index panels = (cols + kColumns - 1) / kColumns;
  const index packed_rows = rows < kChunkRows ? rows : kChunkRows;
  const int parts = worker.count == 1 ? 1 : kOuterParts * worker.count;
  const index distance = row_distance<Scalar>(call.left.cols);
  Scalar* scratch = call.scratch ? call.scratch + worker.thread * call.left.cols * kColumns : nullptr;
  for (index begin = 0; begin < rows; begin += kChunkRows) {
    const index count = rows - begin < kChunkRows ? rows - begin : kChunkRows;
    for_items(parts, worker, {}, [&](index part) {
      const Share own_rows = part_of(count, part, parts);
      copy_rows<V>(call.gathered + own_rows.begin * distance, distance,
                   call.left.data + (begin + own_rows.begin) * call.left.row_stride, call.left.row_stride,
                   own_rows.end - own_rows.begin, call.left.cols);
      const Share own_panels = part_of(panels, part, parts);
      for (index panel = own_panels.begin; panel < own_panels.end; ++panel) {
        const index column = panel * kColumns;
        for (index row = 0; row < count; ++row) {
          const Scalar* source = call.right.data + (begin + row) * call.right.row_stride + column;
          Scalar* target = call.packed + (panel * packed_rows + row) * kColumns;
          for (int v = 0; v < 4; ++v) {
            load_lanes<V>(source + v * V::kLanes, cols - column - v * V::kLanes)
                .store(target + v * V::kLanes);
          }
        }
      }
    });
    for_items(parts, worker, {}, [&](index part) {
      Worker share = worker;
      share.index = static_cast<int>(part), share.count = parts;
      outer_product<4, V>(static_cast<const Scalar*>(call.gathered), distance, call.left.cols, call.packed,
                          packed_rows * kColumns, kColumns, panels, count, begin == 0, scratch, share,
                          [&](index panel, index row, int v) {
                            const index column = panel * kColumns + v * V::kLanes;
                            return Lanes<Scalar>{call.outputs.data + row * call.outputs.row_stride + column,
                                                 cols - column};
                          });
    });
  }
}
