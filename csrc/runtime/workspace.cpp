#include "runtime/workspace.h"

#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

#include "runtime/idle_blocks.h"

namespace timeloom {
namespace {

constexpr std::size_t kAlignment = 64;

struct Pool {
  std::mutex mutex;
  IdleBlocks idle;
  std::size_t used = 0;
};

WorkspaceObserver observer{};

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

void release(const Block& block) {
  if (observer.freed) observer.freed(block.data);
  ::operator delete(block.data, std::align_val_t{kAlignment});
}

}  // namespace

Workspace::Workspace(std::size_t bytes) {
  if (bytes == 0) return;
  bytes = IdleBlocks::block_size(bytes);
  Pool& shared = pool();
  {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    const Block block = shared.idle.take(bytes);
    data_ = block.data;
    bytes_ = block.bytes;
    shared.used += bytes_;
  }
  if (data_) return;
  data_ = ::operator new(bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (!data_) {  // perhaps the idle blocks, none of which fits, are what is missing
    free_workspaces();
    data_ = ::operator new(bytes, std::align_val_t{kAlignment});
  }
  bytes_ = bytes;
  if (observer.taken) observer.taken(data_, bytes_);
  const std::lock_guard<std::mutex> lock(shared.mutex);
  shared.used += bytes_;
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
  const Block block{data_, bytes_};
  Pool& shared = pool();
  {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    shared.used -= bytes_;
    if (shared.idle.put(block)) return;
  }
  release(block);
}

void* Scratch::take_bytes(std::size_t bytes) {
  constexpr std::size_t kLine = kAlignment;
  bytes = (bytes + kLine - 1) / kLine * kLine;
  if (bytes == 0) return nullptr;
  if (bytes <= kInside - used_) {
    void* const piece = inside_ + used_;
    used_ += bytes;
    return piece;
  }
  if (count_ == kMostTaken) throw std::bad_alloc();
  Workspace* const taken = new (piece(count_)) Workspace(bytes);
  ++count_;
  return taken->as<unsigned char>();
}

void free_workspaces() {
  Pool& shared = pool();
  std::vector<Block> blocks;
  {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    blocks = shared.idle.empty();
  }
  for (const Block& block : blocks) release(block);
}

PoolBytes workspace_bytes() {
  Pool& shared = pool();
  const std::lock_guard<std::mutex> lock(shared.mutex);
  return {shared.used, shared.idle.bytes()};
}

void observe_workspaces(const WorkspaceObserver& told) { observer = told; }

}  // namespace timeloom
