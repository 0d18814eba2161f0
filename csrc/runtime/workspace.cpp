#include "runtime/workspace.h"

#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace timeloom {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kGrain = 4096;  // sizes are rounded up to this, so that near ones share a block
constexpr std::size_t kMostIdleBytes = 256 << 20;  // what the pool may hold idle
constexpr std::size_t kMostIdleBlocks = 64;

struct Block {
  void* data;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Block> idle;
  std::size_t idle_bytes = 0;
};

Pool& pool();

#ifndef _WIN32
void lock_pool() { pool().mutex.lock(); }
void unlock_pool() { pool().mutex.unlock(); }
#endif

Pool* make_pool() {
#ifndef _WIN32
  // Else a child forked while another thread holds the mutex would wait for that thread, which it has not.
  pthread_atfork(lock_pool, unlock_pool, unlock_pool);
#endif
  return new Pool;  // never destroyed: arrays may outlive the module
}

Pool& pool() {
  static Pool* const instance = make_pool();
  return *instance;
}

void release(void* data) { ::operator delete(data, std::align_val_t{kAlignment}); }

}  // namespace

Workspace::Workspace(std::size_t bytes) {
  if (bytes == 0) return;
  bytes = (bytes + kGrain - 1) / kGrain * kGrain;
  {
    Pool& shared = pool();
    const std::lock_guard<std::mutex> lock(shared.mutex);
    std::size_t best = shared.idle.size();
    for (std::size_t i = 0; i < shared.idle.size(); ++i) {
      const std::size_t size = shared.idle[i].bytes;
      // A block more than twice too large stays for those who need it.
      if (size >= bytes && size <= 2 * bytes &&
          (best == shared.idle.size() || size < shared.idle[best].bytes))
        best = i;
    }
    if (best < shared.idle.size()) {
      data_ = shared.idle[best].data;
      bytes_ = shared.idle[best].bytes;
      shared.idle_bytes -= bytes_;
      shared.idle[best] = shared.idle.back();
      shared.idle.pop_back();
      return;
    }
  }
  data_ = ::operator new(bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (!data_) {  // perhaps the idle blocks, none of which fits, are what is missing
    free_workspaces();
    data_ = ::operator new(bytes, std::align_val_t{kAlignment});
  }
  bytes_ = bytes;
}

Workspace::Workspace(Workspace&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Workspace& Workspace::operator=(Workspace&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Workspace::~Workspace() {
  if (!data_) return;
  Pool& shared = pool();
  {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    if (shared.idle.size() < kMostIdleBlocks && shared.idle_bytes + bytes_ <= kMostIdleBytes) {
      if (shared.idle.capacity() < kMostIdleBlocks) shared.idle.reserve(kMostIdleBlocks);
      shared.idle.push_back({data_, bytes_});
      shared.idle_bytes += bytes_;
      return;
    }
  }
  release(data_);
}

void free_workspaces() {
  Pool& shared = pool();
  const std::lock_guard<std::mutex> lock(shared.mutex);
  for (const Block& block : shared.idle) release(block.data);
  shared.idle.clear();
  shared.idle_bytes = 0;
}

}  // namespace timeloom
