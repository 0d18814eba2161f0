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
