// Weight gradients: sums over rows (time and batch) of a left row times a right row.
//
// One element is a chain from zero over the rows of a chunk, in ascending order, and is then added to those
// of the chunks before. Chunks are a function of the lengths only and threads divide the elements, so any
// number of threads gives the same bits; and short chains that are added are far more accurate than one long
// chain.
#pragma once

#include "kernels/tile.h"

/// One vector of a result, of which the first `count` lanes exist.
template <class Scalar>
struct Lanes {
  Scalar* data;
  index count;
};

/// result(column, v) += (= if it is `fresh`) sum over k < count of left[k * left_stride + column] *
/// right[panel][k * right_stride + v * L], for the worker's share of all (panel, column). `place(panel,
/// column, v)` says where in the result a vector lies. scratch: [columns][kVectors * L], the worker's own,
/// for chunks of several blocks.
template <int kVectors, class V, class Place, class Scalar = typename V::scalar>
void outer_product(const Scalar* left, index left_stride, index columns, const Scalar* right,
                   index right_panel, index right_stride, index panels, index count, bool fresh,
                   Scalar* scratch, const Worker& worker, Place&& place) noexcept {
  constexpr int kRows = tile_rows<V>(kVectors);
  constexpr index kWidth = kVectors * V::kLanes;
  constexpr index kBlock = outer_block(V::kLanes * sizeof(Scalar));
  for_lines(panels, columns, worker, [&](index panel, Share of_panel) {
    for (index from = 0; from == 0 || from < count; from += kBlock) {  // of no row, a result of zero
      const index block = count - from < kBlock ? count - from : kBlock;
      const bool last = from + block == count;
      for_row_tiles<kRows>(of_panel.end - of_panel.begin, [&](auto constant, index tile) {
        constexpr int kHeight = decltype(constant)::value;
        const index first = of_panel.begin + tile;
        V acc[kHeight][kVectors];
        TIMELOOM_UNROLL
        for (int i = 0; i < kHeight; ++i) {
          TIMELOOM_UNROLL
          for (int v = 0; v < kVectors; ++v) {
            // The rows of the result are far apart: no prefetcher of the processor guesses them.
            if (last) TIMELOOM_PREFETCH(place(panel, first + i, v).data);
            acc[i][v] = from == 0 ? V::zero() : V::load(scratch + (first + i) * kWidth + v * V::kLanes);
          }
        }
        multiply_add_outer<kHeight, kVectors>(acc, left + from * left_stride + first, left_stride,
                                              right + panel * right_panel + from * right_stride, right_stride,
                                              block);
        if (last && !fresh) {
          // All of them before anything is stored: where rows of the result lie a multiple of 4096 bytes
          // apart, a load would wait for the stores right before it.
          TIMELOOM_UNROLL
          for (int i = 0; i < kHeight; ++i) {
            TIMELOOM_UNROLL
            for (int v = 0; v < kVectors; ++v) {
              const Lanes<Scalar> target = place(panel, first + i, v);
              acc[i][v] = load_lanes<V>(target.data, target.count) + acc[i][v];
            }
          }
        }
        TIMELOOM_UNROLL
        for (int i = 0; i < kHeight; ++i) {
          TIMELOOM_UNROLL
          for (int v = 0; v < kVectors; ++v) {
            if (last) {
              const Lanes<Scalar> target = place(panel, first + i, v);
              store_lanes(acc[i][v], target.data, target.count);
            } else {
              acc[i][v].store(scratch + (first + i) * kWidth + v * V::kLanes);
            }
          }
        }
      });
    }
  });
}
