/// Floor 4: threads. The only floor that names OpenMP, which says how many there are; team.h has them.
/// Kernels see a Worker.
#pragma once

#include <exception>

#include "base/worker.h"
#include "runtime/team.h"

namespace timeloom {

/// More threads than this a call never uses.
constexpr int kMostThreads = 1024;
constexpr int kSharesOfThread = 4;
constexpr int kMostShares = kSharesOfThread * kMostThreads;

/// Threads a call may use: set_thread_limit, else what OpenMP offers; 1 without OpenMP, inside another
/// parallel region, and in a child forked after the first call on several (its threads do not exist).
int thread_limit();

/// Sets the threads a call may use; 0 returns to what OpenMP offers. `threads` must lie in [0, kMostThreads].
void set_thread_limit(int threads);

/// Threads that the last call from this Python thread was divided among; those that came, if it waited for
/// all.
int last_thread_count();

/// Runs task(context, worker) for each of crew.share_count() shares (at most kMostShares), whoever comes
/// first; or `together` on as many of crew.threads threads (at most kMostThreads) as come, whose workers
/// meet. Returns what last_thread_count says, one if there are no threads to be had. Denormals count as zero
/// inside, and the mode of the caller is restored.
int run_parallel_task(const Crew& crew, bool together, Team::Task task, void* context);

/// The same for f(const Worker&), which does not throw.
template <typename Function>
int run_parallel(const Crew& crew, bool together, Function& function) {
  return run_parallel_task(
      crew, together,
      [](void* context, const Worker& worker) noexcept { (*static_cast<Function*>(context))(worker); },
      const_cast<void*>(static_cast<const void*>(&function)));
}

/// Runs f(const Worker&), which does not throw, for every share. Shares do not meet.
template <typename Function>
int run_shares(const Crew& crew, Function&& function) {
  return run_parallel(crew, false, function);
}

/// Runs f(const Worker&), which does not throw, on threads that may join it at any time, and divide the items
/// of its phases (Worker).
template <typename Function>
int run_together(const Crew& crew, Function&& function) {
  return run_parallel(crew, true, function);
}

/// Runs f() and g() on a thread each if there are two; what one of them throws comes when both are done.
template <typename First, typename Second>
void run_side_by_side(First&& first, Second&& second) {
  std::exception_ptr errors[2];
  Crew crew;
  crew.threads = 2;
  run_shares(crew, [&](const Worker& worker) noexcept {
    for (int which = worker.index; which < 2; which += worker.count) {
      try {
        which == 0 ? first() : second();
      } catch (...) {
        errors[which] = std::current_exception();
      }
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace timeloom
