#include "runtime/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "runtime/denormals.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif

namespace timeloom {
namespace {

std::atomic<int> g_thread_limit{0};
#ifdef _OPENMP
std::atomic<bool> g_region_opened{false};
std::atomic<bool> g_forked_after_region{false};
#endif
thread_local int t_last_thread_count = 1;

/// All threads of a region meet here. A thread spins a while (a step of a recurrence is some microseconds),
/// then gives its core away, so that a busy neighbour costs little.
struct Barrier {
  std::atomic<int> arrived{0};
  std::atomic<int> generation{0};
  std::atomic<int> count{1};
};

void wait_barrier(void* opaque) {
  auto& barrier = *static_cast<Barrier*>(opaque);
  const int count = barrier.count.load(std::memory_order_relaxed);  // stored by this thread too
  if (count == 1) return;
  const int generation = barrier.generation.load(std::memory_order_acquire);
  if (barrier.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
    barrier.arrived.store(0, std::memory_order_relaxed);
    barrier.generation.store(generation + 1, std::memory_order_release);
    return;
  }
  constexpr int kSpins = 200;  // 6 to 9 microseconds with the pause, of 30 to 45 ns
  for (int spin = 0; barrier.generation.load(std::memory_order_acquire) == generation; ++spin) {
    if (spin < kSpins) {
      pause_briefly();
    } else {
      std::this_thread::yield();
    }
  }
}

#ifdef _OPENMP
void mark_child() {
  if (g_region_opened.load(std::memory_order_relaxed))
    g_forked_after_region.store(true, std::memory_order_relaxed);
}

void open_first_region() {
  if (g_region_opened.load(std::memory_order_acquire)) return;
#ifndef _WIN32
  static const int registered = pthread_atfork(nullptr, nullptr, mark_child);
  (void)registered;
#endif
  g_region_opened.store(true, std::memory_order_release);
}
#endif

}  // namespace

int thread_limit() {
#ifdef _OPENMP
  if (g_forked_after_region.load(std::memory_order_relaxed) || omp_in_parallel()) return 1;
  const int limit = g_thread_limit.load(std::memory_order_relaxed);
  return limit > 0 ? limit : std::min(omp_get_max_threads(), kMostThreads);
#else
  return 1;
#endif
}

void set_thread_limit(int threads) { g_thread_limit.store(threads, std::memory_order_relaxed); }

int last_thread_count() { return t_last_thread_count; }

int run_parallel_task(int threads, void (*task)(void*, const Worker&), void* context) {
  Barrier barrier;
#ifdef _OPENMP
  if (threads > 1 && !g_forked_after_region.load(std::memory_order_relaxed) && !omp_in_parallel()) {
    open_first_region();
    int ran = 1;
#pragma omp parallel num_threads(threads)
    {
      const int count = omp_get_num_threads();
      barrier.count.store(count,
                          std::memory_order_relaxed);  // every thread the same: nobody waits for another
      if (omp_get_thread_num() == 0) ran = count;
      const DenormalsAreZero mode;
      task(context, Worker{omp_get_thread_num(), count, wait_barrier, &barrier});
    }
    t_last_thread_count = ran;
    return ran;
  }
#else
  (void)threads;
#endif
  const DenormalsAreZero mode;
  task(context, Worker{0, 1, wait_barrier, &barrier});
  t_last_thread_count = 1;
  return 1;
}

}  // namespace timeloom
