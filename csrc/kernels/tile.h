// Floor 3: products, the time loop, losses, optimizers. Here: the register tile that every product is made
// of.
//
// Legend: a left operand, b packed right operand, k summed index, V a vector of L lanes.
//
// The rule of summation: an element of a product of tiles is ONE chain acc = fma(a[k], b[k], acc) in
// ascending k. A tile may stop and store its accumulators, and another may reload them; partial sums are
// never added. So neither the number of rows of a tile nor the threads, blocks or paths change a bit.
#pragma once

#include "simd/vec.h"

/// Rows of a tile that is `vectors` wide. With 32 registers 24 hold accumulators, with 16 it is 12: the rest
/// holds one vector of b and the broadcast elements of a, and 8 chains hide the latency of fma: more rows of
/// a narrow tile would gain nothing.
template <class V>
constexpr int tile_rows(int vectors) {
  const int rows = kVectorRegisters * 3 / 4 / vectors;
  return rows < 8 ? rows : 8;
}

/// Items [begin, end).
struct Share {
  index begin;
  index end;
};

/// Part `at` of n items in `parts` parts, ascending and nearly equal.
TIMELOOM_INLINE Share part_of(index items, index at, index parts) noexcept {
  return {items * at / parts, items * (at + 1) / parts};
}

/// The share of `worker`.
TIMELOOM_INLINE Share share_of(index items, const Worker& worker) noexcept {
  return part_of(items, worker.index, worker.count);
}

/// Calls function(line, places) for the share of `worker` in `lines` lines of `width` items each: which
/// places of a line are in it, line after line.
template <class Function>
TIMELOOM_INLINE void for_lines(index lines, index width, const Worker& worker, Function&& function) noexcept {
  const Share share = share_of(lines * width, worker);
  for (index item = share.begin; item < share.end;) {
    const index line = item / width;
    const index begin = item % width;
    const index left_over = share.end - item;
    const index end = width - begin < left_over ? width : begin + left_over;
    function(line, Share{begin, end});
    item += end - begin;
  }
}

/// How the items of a phase are shared.
struct Sharing {
  bool near = false;      // what an item reads is near its worker: others leave it alone for a while
  bool from_end = false;  // each worker begins with its last item
};

/// A phase of workers that meet: calls function(item) for each item of [0, items) on one of them and returns
/// when all are done. A worker takes those of its own share and then what the others have not begun, so that
/// a slow core holds nobody up.
template <class Function>
TIMELOOM_INLINE void for_items(index items, const Worker& worker, Sharing sharing,
                               Function&& function) noexcept {
  const bool alone = worker.count == 1;
  index done = 0;
  for (int turn = 0; turn < worker.count; ++turn) {
    const int whose = (worker.index + turn) % worker.count;
    const Share share = part_of(items, whose, worker.count);
    const index count = share.end - share.begin;
    for (index at = 0; at < count; ++at) {
      if (!alone) at = worker.take(worker.meeting, whose, count);
      if (at >= count) break;
      function(sharing.from_end ? share.end - 1 - at : share.begin + at);
      ++done;
    }
    if (alone || turn > 0) continue;
    if (worker.meet(worker.meeting, done, items, sharing.near ? Patience::brief : Patience::none)) return;
    done = 0;
  }
  if (!alone) worker.meet(worker.meeting, done, items, Patience::endless);
}

/// acc[row][begin + v] = fma(left(row), right(v), ...): one k of a tile. Of the two operands the one with
/// fewer vectors stays in registers while the other passes, or the accumulators would not fit beside them.
template <int kRows, int kBegin, int kEnd, int kTotal, class V, class Left>
TIMELOOM_INLINE void multiply_add_step(V (&acc)[kRows][kTotal], const Left& left,
                                       const typename V::scalar* b) noexcept {
  if constexpr (kRows <= kEnd - kBegin) {
    V factor[kRows];
    TIMELOOM_UNROLL
    for (int row = 0; row < kRows; ++row) factor[row] = left(row);
    TIMELOOM_UNROLL
    for (int v = kBegin; v < kEnd; ++v) {
      const V right = V::load(b + (v - kBegin) * V::kLanes);
      TIMELOOM_UNROLL
      for (int row = 0; row < kRows; ++row) acc[row][v] = fma(factor[row], right, acc[row][v]);
    }
  } else {
    V right[kEnd - kBegin];
    TIMELOOM_UNROLL
    for (int v = 0; v < kEnd - kBegin; ++v) right[v] = V::load(b + v * V::kLanes);
    TIMELOOM_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const V factor = left(row);
      TIMELOOM_UNROLL
      for (int v = kBegin; v < kEnd; ++v) acc[row][v] = fma(factor, right[v - kBegin], acc[row][v]);
    }
  }
}

/// acc[v] = fma(factor, right[v], acc[v]) in the lanes [first, end) of the vectors side by side.
template <int kFirst, int kEnd, int kAt = 0, int kVectors, int kTotal, class V>
TIMELOOM_INLINE void multiply_add_lanes(V (&acc)[kTotal], V factor, const V (&right)[kVectors]) noexcept {
  if constexpr (kAt < kVectors) {
    acc[kAt] =
        V::template fma_lanes<kFirst - kAt * V::kLanes, kEnd - kAt * V::kLanes>(factor, right[kAt], acc[kAt]);
    multiply_add_lanes<kFirst, kEnd, kAt + 1>(acc, factor, right);
  }
}

/// One k of the first `kVectors` vectors of a tile, in those lanes. Nothing is multiplied in the others.
template <int kFirst, int kEnd, int kVectors, int kRows, int kTotal, class V, class Left>
TIMELOOM_INLINE void multiply_add_lanes_step(V (&acc)[kRows][kTotal], const Left& left,
                                             const typename V::scalar* b) noexcept {
  V right[kVectors];
  TIMELOOM_UNROLL
  for (int v = 0; v < kVectors; ++v) right[v] = V::load(b + v * V::kLanes);
  TIMELOOM_UNROLL
  for (int row = 0; row < kRows; ++row) multiply_add_lanes<kFirst, kEnd>(acc[row], left(row), right);
}

/// acc[row][begin + v] += sum over k < length of a[row][k] * b[k * b_stride + v * L], v < end - begin.
template <int kRows, int kBegin, int kEnd, int kTotal, class V, class Scalar = typename V::scalar>
TIMELOOM_INLINE void multiply_add(V (&acc)[kRows][kTotal], const Scalar* const (&a)[kRows], const Scalar* b,
                                  index b_stride, index length) noexcept {
  if constexpr (kEnd > kBegin) {
    TIMELOOM_UNROLL_BY_4
    for (index k = 0; k < length; ++k) {
      multiply_add_step<kRows, kBegin, kEnd>(acc, [&](int row) { return V::broadcast(a[row][k]); }, b);
      b += b_stride;
    }
  }
}

/// The same for panels of b that lie `b_panel` apart, side by side: acc[panel][row][begin + v].
template <int kBegin, int kEnd, int kPanels, int kRows, int kTotal, class V,
          class Scalar = typename V::scalar>
TIMELOOM_INLINE void multiply_add_panels(V (&acc)[kPanels][kRows][kTotal], const Scalar* const (&a)[kRows],
                                         const Scalar* b, index b_panel, index b_stride,
                                         index length) noexcept {
  if constexpr (kPanels == 1) {
    multiply_add<kRows, kBegin, kEnd>(acc[0], a, b, b_stride, length);
  } else if constexpr (kEnd > kBegin) {
    TIMELOOM_UNROLL_BY_4
    for (index k = 0; k < length; ++k) {
      TIMELOOM_UNROLL
      for (int panel = 0; panel < kPanels; ++panel) {
        multiply_add_step<kRows, kBegin, kEnd>(
            acc[panel], [&](int row) { return V::broadcast(a[row][k]); }, b + panel * b_panel);
      }
      b += b_stride;
    }
  }
}

/// acc[row][v] += sum over k < length of a[k * a_stride + row] * b[k * b_stride + v * L]: the left operand is
/// transposed.
template <int kRows, int kVectors, class V, class Scalar = typename V::scalar>
TIMELOOM_INLINE void multiply_add_outer(V (&acc)[kRows][kVectors], const Scalar* a, index a_stride,
                                        const Scalar* b, index b_stride, index length) noexcept {
  TIMELOOM_UNROLL_BY_4
  for (index k = 0; k < length; ++k) {
    multiply_add_step<kRows, 0, kVectors>(acc, [&](int row) { return V::broadcast(a[row]); }, b);
    a += a_stride;
    b += b_stride;
  }
}

constexpr index kLineBytes = 64;  // of a cache
template <class Scalar>
constexpr index kLine = kLineBytes / sizeof(Scalar);

/// Asks for `count` elements, line after line from the first one on.
template <class Scalar>
TIMELOOM_INLINE void ask_for(const Scalar* first, index count) noexcept {
  for (index k = 0; k < count; k += kLine<Scalar>) TIMELOOM_PREFETCH(first + k);
}

/// Elements between rows of `width` that a tile reads side by side: an odd number of cache lines. At a
/// multiple of 4096 bytes (1024 units, or a sequence of such rows) every row would fall into the same set of
/// the first cache, and the tile would run at half its speed.
template <class Scalar>
constexpr index row_distance(index width) {
  return ((width + kLine<Scalar> - 1) / kLine<Scalar> | 1) * kLine<Scalar>;
}

/// A number known when compiling.
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

constexpr int least(int a, int b) { return a < b ? a : b; }

/// Calls function(Constant<rows>) for rows in kLeast .. kMost: turns a count into one known when compiling.
template <int kMost, int kLeast = 1, class Function>
TIMELOOM_INLINE void with_rows(index rows, Function&& function) noexcept {
  if constexpr (kMost > kLeast) {
    if (rows < kMost) {
      with_rows<kMost - 1, kLeast>(rows, function);
      return;
    }
  }
  function(Constant<kMost>{});
}

/// Stores or adds the first `count` lanes; `count` may exceed a vector (then all lanes) or be negative
/// (none).
template <class V>
TIMELOOM_INLINE void store_lanes(const V& value, typename V::scalar* target, index count) noexcept {
  if (count >= V::kLanes) {
    value.store(target);
  } else if (count > 0) {
    value.store_partial(target, static_cast<int>(count));
  }
}

template <class V>
TIMELOOM_INLINE V load_lanes(const typename V::scalar* source, index count) noexcept {
  if (count >= V::kLanes) return V::load(source);
  if (count > 0) return V::load_partial(source, static_cast<int>(count));
  return V::zero();
}

/// Rows of `count` elements, as far apart as the two distances say.
template <class V, class Scalar = typename V::scalar>
TIMELOOM_INLINE void copy_rows(Scalar* target, index target_distance, const Scalar* source,
                               index source_distance, index rows, index count) noexcept {
  const int rest = static_cast<int>(count % V::kLanes);
  for (index row = 0; row < rows; ++row) {
    index at = 0;
    for (; at + V::kLanes <= count; at += V::kLanes) V::load(source + at).store(target + at);
    if (rest > 0) V::load_partial(source + at, rest).store_partial(target + at, rest);
    target += target_distance;
    source += source_distance;
  }
}

template <class V, class Scalar = typename V::scalar>
TIMELOOM_INLINE void copy_row(Scalar* target, const Scalar* source, index count) noexcept {
  copy_rows<V>(target, 0, source, 0, 1, count);
}

/// Cuts `count` rows into tiles of nearly equal height (32 rows of at most 6: 6 6 5 5 5 5) and calls
/// function(Constant<height>, first row) for each in ascending order.
template <int kMost, class Function>
TIMELOOM_INLINE void for_row_tiles(index count, Function&& function) noexcept {
  const index tiles = (count + kMost - 1) / kMost;
  if (tiles == 0) return;
  const index quotient = count / tiles;
  const index remainder = count % tiles;
  index first = 0;
  for (index tile = 0; tile < tiles; ++tile) {
    const index height = quotient + (tile < remainder);
    with_rows<kMost>(height, [&](auto rows) { function(rows, first); });
    first += height;
  }
}
