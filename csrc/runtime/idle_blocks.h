/// The rules of the workspace pool: how a request is rounded, which idle block serves it, and which blocks
/// stay idle. Without memory of its own, so that an estimate follows the same rules (pool_model.h).
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace timeloom {

/// A block of memory; `bytes` 0: none.
struct Block {
  void* data;
  std::size_t bytes;
};

/// The blocks that nobody uses now. Not for several threads at once.
class IdleBlocks {
 public:
  static constexpr std::size_t kMostBytes = 256 << 20;
  static constexpr std::size_t kMostBlocks = 64;

  /// The size of a block made for `bytes`: near sizes share a block.
  static std::size_t block_size(std::size_t bytes) {
    constexpr std::size_t kGrain = 4096;
    return (bytes + kGrain - 1) / kGrain * kGrain;
  }

  /// Takes out the smallest block that holds `bytes`; none if there is none, or only blocks more than twice
  /// too large, which stay for those who need them.
  Block take(std::size_t bytes) {
    std::size_t best = blocks_.size();
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const std::size_t size = blocks_[i].bytes;
      if (size < bytes || size > 2 * bytes) continue;
      if (best == blocks_.size() || size < blocks_[best].bytes) best = i;
    }
    if (best == blocks_.size()) return {nullptr, 0};
    const Block found = blocks_[best];
    blocks_[best] = blocks_.back();
    blocks_.pop_back();
    bytes_ -= found.bytes;
    return found;
  }

  /// Whether the block stays idle here; else the caller frees it.
  bool put(const Block& block) {
    if (blocks_.size() >= kMostBlocks || bytes_ + block.bytes > kMostBytes) return false;
    if (blocks_.capacity() < kMostBlocks) blocks_.reserve(kMostBlocks);
    blocks_.push_back(block);
    bytes_ += block.bytes;
    return true;
  }

  /// Hands all blocks over.
  std::vector<Block> empty() {
    bytes_ = 0;
    return std::exchange(blocks_, {});
  }

  /// Bytes of all idle blocks.
  std::size_t bytes() const { return bytes_; }

 private:
  std::vector<Block> blocks_;
  std::size_t bytes_ = 0;
};

}  // namespace timeloom
