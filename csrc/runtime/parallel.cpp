#include "runtime/parallel.h"

#include <algorithm>
#include <atomic>

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
std::atomic<bool> g_team_used{false};
std::atomic<bool> g_forked_after_use{false};
#endif
thread_local int t_last_thread_count = 1;

#ifdef _OPENMP
void mark_child() {
  if (g_team_used.load(std::memory_order_relaxed)) g_forked_after_use.store(true, std::memory_order_relaxed);
}

void note_use() {
  if (g_team_used.load(std::memory_order_acquire)) return;
#ifndef _WIN32
  static const int registered = pthread_atfork(nullptr, nullptr, mark_child);
  (void)registered;
#endif
  g_team_used.store(true, std::memory_order_release);
}
#endif

void run_alone(Team::Task task, void* context) {
  const DenormalsAreZero mode;
  task(context, Worker{0, 1, 0, nullptr, nullptr, nullptr});
  t_last_thread_count = 1;
}

}  // namespace

int thread_limit() {
#ifdef _OPENMP
  if (g_forked_after_use.load(std::memory_order_relaxed) || omp_in_parallel()) return 1;
  const int limit = g_thread_limit.load(std::memory_order_relaxed);
  return limit > 0 ? limit : std::min(omp_get_max_threads(), kMostThreads);
#else
  return 1;
#endif
}

void set_thread_limit(int threads) { g_thread_limit.store(threads, std::memory_order_relaxed); }

int last_thread_count() { return t_last_thread_count; }

int run_parallel_task(const Crew& crew, bool together, Team::Task task, void* context) {
#ifdef _OPENMP
  if (crew.threads > 1 && !g_forked_after_use.load(std::memory_order_relaxed) && !omp_in_parallel()) {
    Team& team = Team::instance();
    if (const auto use = team.acquire(crew.all)) {
      if (team.leaves_alone(crew)) {
        run_alone(task, context);
        team.note_alone();
        return 1;
      }
      note_use();
      t_last_thread_count =
          together ? team.run_together(crew, task, context) : team.run_shares(crew, task, context);
      return t_last_thread_count;
    }
  }
#else
  (void)crew, (void)together;
#endif
  run_alone(task, context);
  return 1;
}

}  // namespace timeloom
