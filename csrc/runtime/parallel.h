/// Floor 4: threads. The only floor that names OpenMP; kernels see a Worker.
#pragma once

#include <type_traits>

#include "base/worker.h"

namespace timeloom {

/// More threads than this a call never uses: OpenMP ends the process where the system has no more to give.
constexpr int kMostThreads = 1024;

/// Threads a call may use: set_thread_limit, else what OpenMP offers; 1 without OpenMP, inside another
/// parallel region, and in a child forked after the first region (its threads do not exist).
int thread_limit();

/// Sets the threads a call may use; 0 returns to what OpenMP offers. `threads` must lie in [0, kMostThreads].
void set_thread_limit(int threads);

/// Threads that the last call from this Python thread really ran on, counted inside the region.
int last_thread_count();

/// Runs task(context, worker) on `threads` threads (at most kMostThreads) together and returns how many ran.
/// Denormals count as zero inside, on every thread, and the mode of the caller is restored.
int run_parallel_task(int threads, void (*task)(void* context, const Worker& worker), void* context);

/// As run_parallel_task, for a callable f(const Worker&) that does not throw.
template <typename Function>
int run_parallel(int threads, Function&& function) {
  using Callable = std::remove_reference_t<Function>;
  return run_parallel_task(
      threads, [](void* context, const Worker& worker) { (*static_cast<Callable*>(context))(worker); },
      const_cast<void*>(static_cast<const void*>(&function)));
}

}  // namespace timeloom
