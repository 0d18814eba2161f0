/// Scratch memory that calls take and give back.
#pragma once

#include <cstddef>

namespace timeloom {

/// Memory of one call, aligned to a cache line, uninitialised. Taken from a pool and given back when
/// destroyed, so a steady state allocates nothing and pays no page faults; several threads may take at once.
class Workspace {
 public:
  Workspace() = default;
  /// Throws std::bad_alloc if the memory is not to be had.
  explicit Workspace(std::size_t bytes);
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&& other) noexcept;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  template <class Scalar>
  Scalar* as() const {
    return static_cast<Scalar*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Room for `count` elements.
template <class Scalar>
Workspace workspace_of(std::ptrdiff_t count) {
  return Workspace(static_cast<std::size_t>(count) * sizeof(Scalar));
}

/// Scratch memory of one call, piece by piece, uninitialised, each aligned to a cache line. The first few
/// kilobytes lie in this object, so that a small call takes nothing from the pool. All of it is given back
/// with this object.
class Scratch {
 public:
  Scratch() {}
  ~Scratch() {
    while (count_ > 0) piece(--count_)->~Workspace();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Room for `count` elements; null for none. Throws std::bad_alloc if the memory is not to be had.
  template <class Scalar>
  Scalar* take(std::ptrdiff_t count) {
    return static_cast<Scalar*>(take_bytes(static_cast<std::size_t>(count) * sizeof(Scalar)));
  }

 private:
  static constexpr std::size_t kInside = 4096;
  static constexpr int kMostTaken = 24;  // pieces of one call

  void* take_bytes(std::size_t bytes);
  Workspace* piece(int which) { return reinterpret_cast<Workspace*>(taken_) + which; }

  // Bytes, so that making this object touches none of them.
  alignas(64) unsigned char inside_[kInside];
  alignas(Workspace) unsigned char taken_[kMostTaken * sizeof(Workspace)];
  std::size_t used_ = 0;
  int count_ = 0;
};

/// Returns the idle memory of the pool to the system.
void free_workspaces();

/// Bytes that the pool holds: of calls that run and of what forward keeps, and idle.
struct PoolBytes {
  std::size_t used;
  std::size_t idle;
};
PoolBytes workspace_bytes();

/// Told of every block that the pool takes from the system and returns to it, in the thread that does so; for
/// tools that count memory. Set once, before the first block.
struct WorkspaceObserver {
  void (*taken)(void* data, std::size_t bytes);
  void (*freed)(void* data);
};
void observe_workspaces(const WorkspaceObserver& observer);

}  // namespace timeloom
