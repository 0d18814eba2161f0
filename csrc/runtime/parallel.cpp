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
std::atomic<int> g_askers{0};  // threads that ask the team for something, or hold it

void mark_child() {
  if (g_team_used.load(std::memory_order_relaxed) || g_askers.load(std::memory_order_relaxed) > 0) {
    g_forked_after_use.store(true, std::memory_order_relaxed);
  }
}

/// A child forked while one lives, or once it `uses` the team, does without: threads and holders of locks
/// are not in it.
class Asking {
 public:
  Asking() {
#ifndef _WIN32
    static const int registered = pthread_atfork(nullptr, nullptr, mark_child);
    (void)registered;
#endif
    g_askers.fetch_add(1, std::memory_order_acq_rel);
  }
  ~Asking() { g_askers.fetch_sub(1, std::memory_order_acq_rel); }
  void uses() const { g_team_used.store(true, std::memory_order_release); }
};

/// Runs the task on the team, if the call is for it and nobody else has it; returns the threads it was
/// divided among, else 0.
int run_on_team(const Crew& crew, bool together, Team::Task task, void* context) {
  const Asking asking;
  Team& team = Team::instance();
  const auto held = team.acquire(crew.all);
  if (!held || team.leaves_alone(crew)) return 0;
  asking.uses();
  return together ? team.run_together(crew, task, context) : team.run_shares(crew, task, context);
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
    const int threads = run_on_team(crew, together, task, context);
    if (threads > 0) return t_last_thread_count = threads;
    run_alone(task, context);
    if (crew.brief) Team::instance().note_alone();
    return 1;
  }
#else
  (void)crew, (void)together;
#endif
  run_alone(task, context);
  return 1;
}

}  // namespace timeloom
