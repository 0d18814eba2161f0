#include "runtime/team.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include "runtime/denormals.h"
#include "runtime/parallel.h"
#include "runtime/waiting.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace timeloom {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBriefly = 100;                                 // of the turns before others may have the core
constexpr auto kAlert = std::chrono::milliseconds(4);         // a helper stays awake so long after a call,
constexpr auto kBriefAlert = std::chrono::microseconds(300);  // after a brief one, and once it was woken
constexpr auto kBurstGap = std::chrono::microseconds(100);    // between the brief calls of a burst
constexpr int kBurst = 32;                                    // of them before a helper is woken
constexpr int kItemBits = 28;                                 // of a cursor, below the phase

/// The roll of an epoch: epoch, closed, joined.
constexpr int kJoinedBits = 16;
constexpr std::uint64_t kClosed = std::uint64_t(1) << kJoinedBits;
constexpr std::uint64_t kJoined = kClosed - 1;
constexpr std::uint64_t roll_of(std::uint64_t epoch) { return epoch << (kJoinedBits + 1); }
static_assert(kMostThreads <= static_cast<int>(kJoined));

/// No signal of the program is handled on the threads started while this lives, but for faults of their own.
class WithoutSignals {
 public:
#ifndef _WIN32
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

}  // namespace

struct alignas(64) Team::Helper {
  int number;                     // 1 and up; the caller is 0
  Clock::time_point awake_until;  // without another call
  std::mutex mutex;
  std::condition_variable woken;
  std::atomic<bool> parked{false};
  std::atomic<Presence> presence{Presence::away};
#ifdef __linux__
  pthread_t thread;
  cpu_set_t processors;  // that it may run on once it is awake
#endif
  bool steered = false;   // till then not where its caller does
  bool summoned = false;  // awake even if it comes too late for the call: there may be more

  void steer();
  void unsteer();
};

/// Lets a sleeping helper wake anywhere but where the calling thread runs: some schedulers wake a thread on
/// the processor of whoever wakes it, and leave the two there for milliseconds although another is idle.
/// Under its mutex.
void Team::Helper::steer() {
#ifdef __linux__
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return;
  if (!steered && pthread_getaffinity_np(thread, sizeof processors, &processors) != 0) return;
  cpu_set_t others = processors;
  CPU_CLR(here, &others);
  if (CPU_COUNT(&others) == 0) return;
  steered = pthread_setaffinity_np(thread, sizeof others, &others) == 0 || steered;
#endif
}

/// On the helper, awake: it may run wherever it might before. Under its mutex.
void Team::Helper::unsteer() {
#ifdef __linux__
  if (steered) pthread_setaffinity_np(thread, sizeof processors, &processors);
#endif
  steered = false;
}

Team& Team::instance() {
  static Team* const team = new Team;  // never destroyed: its helpers run as long as the process
  return *team;
}

Team::Team() : tickets_(new Ticket[kMostShares]) { meeting_.cursors.reset(new Cursor[kMostThreads]); }

std::unique_lock<std::mutex> Team::acquire(bool wait) {
  return wait ? std::unique_lock<std::mutex>(use_) : std::unique_lock<std::mutex>(use_, std::try_to_lock);
}

/// Starts threads until there are `helpers`, or the system has no more; returns how many of them there are.
int Team::hire(int helpers) {
  if (static_cast<int>(helpers_.size()) >= helpers) return helpers;
  [[maybe_unused]] const WithoutSignals masked;
  while (static_cast<int>(helpers_.size()) < helpers) {
    try {
      auto helper = std::make_unique<Helper>();
      helper->number = static_cast<int>(helpers_.size()) + 1;
      helper->awake_until = Clock::now() + kAlert;
      helpers_.reserve(helpers_.size() + 1);
      std::thread started(&Team::help, this, std::ref(*helper), epoch_.load());
#ifdef __linux__
      helper->thread = started.native_handle();
#endif
      started.detach();
      helpers_.push_back(std::move(helper));
    } catch (const std::system_error&) {
      break;
    }
  }
  return std::min(helpers, static_cast<int>(helpers_.size()));
}

/// Tells the helpers of a call.
void Team::open(const Crew& crew, bool together, Task task, void* context, int expected) {
  const std::uint64_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  std::atomic_thread_fence(std::memory_order_release);
  task_.store(task, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  threads_.store(crew.threads, std::memory_order_relaxed);
  shares_.store(crew.share_count(), std::memory_order_relaxed);
  together_.store(together, std::memory_order_relaxed);
  joins_.store(together || crew.all, std::memory_order_relaxed);
  brief_.store(crew.brief, std::memory_order_relaxed);
  remaining_.store(expected, std::memory_order_relaxed);
  roll_.store(roll_of(epoch), std::memory_order_relaxed);
  epoch_.store(epoch);
  const int helpers = std::min(crew.threads - 1, static_cast<int>(helpers_.size()));
  for (int i = 0; i < helpers; ++i) {
    Helper& helper = *helpers_[i];
    if (!helper.parked.load()) continue;
    {
      const std::lock_guard<std::mutex> lock(helper.mutex);
      if (helper.parked.load()) {
        helper.steer();
        helper.summoned = true;
      }
    }
    helper.woken.notify_one();
  }
}

bool Team::leaves_alone(const Crew& crew) {
  if (!crew.brief || (!helpers_.empty() && !helpers_.front()->parked.load())) return false;
  // To wake somebody takes as long as a brief call, so the next calls have to make up for it.
  const Clock::duration alone_until(alone_until_.load(std::memory_order_relaxed));
  burst_ = Clock::now().time_since_epoch() - alone_until < kBurstGap ? burst_ + 1 : 0;
  if (burst_ < kBurst) return true;
  burst_ = 0;
  return false;
}

void Team::note_alone() {
  alone_until_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
}

/// Waits until all helpers have joined; returns how many that are.
int Team::gather(int helpers) {
  const auto joined = [&] { return static_cast<int>(roll_.load(std::memory_order_acquire) & kJoined); };
  Waiting waiting;
  while (joined() < helpers) waiting.once();
  return joined();
}

/// Ends a call that has nothing left to begin.
void Team::close() {
  Waiting waiting;
  while (remaining_.load(std::memory_order_acquire) > 0) waiting.once();
  epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

int Team::run_shares(const Crew& crew, Task task, void* context) {
  const int helpers = hire(crew.threads - 1);
  open(crew, false, task, context, crew.share_count());
  const std::uint64_t epoch = epoch_.load(std::memory_order_relaxed);
  const int came = crew.all ? gather(helpers) + 1 : crew.threads;
  take_shares(epoch, 0, crew.threads, crew.share_count(), task, context);
  roll_.fetch_or(kClosed, std::memory_order_relaxed);
  close();
  return came;
}

int Team::run_together(const Crew& crew, Task task, void* context) {
  const int helpers = hire(crew.threads - 1);
  meeting_.open(crew.threads);
  open(crew, true, task, context, 0);
  if (crew.all) gather(helpers);
  attend(0, crew.threads, nullptr, task, context);
  const int joined = static_cast<int>(roll_.fetch_or(kClosed, std::memory_order_acq_rel) & kJoined);
  int dismissed = 0;
  for (int i = 0; i < helpers; ++i) {
    Presence found = Presence::resting;
    dismissed +=
        helpers_[i]->presence.compare_exchange_strong(found, Presence::dismissed, std::memory_order_acq_rel);
  }
  // The others are on their way through phases that are over.
  remaining_.fetch_add(joined - dismissed, std::memory_order_relaxed);
  close();
  return crew.all ? joined + 1 : crew.threads;
}

/// Joins the epoch; false if it is too late.
bool Team::join(std::uint64_t epoch) {
  std::uint64_t roll = roll_.load(std::memory_order_relaxed);
  while ((roll & ~kJoined) == roll_of(epoch)) {
    if (roll_.compare_exchange_weak(roll, roll + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

/// Runs the shares that nobody has taken, from those on that always are this thread's if all are as fast: it
/// finds their data in its cache.
void Team::take_shares(std::uint64_t epoch, int thread, int threads, int count, Task task, void* context) {
  int place = static_cast<int>(static_cast<std::int64_t>(count) * thread / threads);
  for (int turn = 0; turn < count; ++turn, place = place + 1 == count ? 0 : place + 1) {
    std::atomic<std::uint64_t>& taken = tickets_[place].epoch;
    std::uint64_t before = taken.load(std::memory_order_relaxed);
    if (before >= epoch ||
        !taken.compare_exchange_strong(before, epoch, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      continue;
    }
    {
      const DenormalsAreZero mode;
      task(context, Worker{place, count, thread, nullptr, nullptr, nullptr});
    }
    remaining_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

void Team::help(Helper& self, std::uint64_t seen) {
  for (;;) {
    seen = wait_for_call(self, seen);
    const bool brief = brief_.load(std::memory_order_relaxed);  // of this call, or of one just after it
    if (!help_once(self, seen)) continue;
    self.awake_until = std::max(self.awake_until, Clock::now() + (brief ? kBriefAlert : kAlert));
  }
}

/// Does what there is to do for this helper in the epoch; false if the call is not meant for it.
bool Team::help_once(Helper& self, std::uint64_t epoch) {
  const Task task = task_.load(std::memory_order_relaxed);
  void* const context = context_.load(std::memory_order_relaxed);
  const int threads = threads_.load(std::memory_order_relaxed);
  const int shares = shares_.load(std::memory_order_relaxed);
  const bool together = together_.load(std::memory_order_relaxed);
  const bool joins = joins_.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (epoch_.load(std::memory_order_relaxed) != epoch || self.number >= threads) return false;
  const bool joined = joins && join(epoch);
  if (!together) {
    take_shares(epoch, self.number, threads, shares, task, context);
  } else if (joined) {
    self.presence.store(Presence::working, std::memory_order_relaxed);
    const bool dismissed = !attend(self.number, threads, &self.presence, task, context);
    self.presence.store(Presence::away, std::memory_order_relaxed);
    if (!dismissed) remaining_.fetch_sub(1, std::memory_order_acq_rel);
  }
  return true;
}

/// The next epoch in which a call is open.
std::uint64_t Team::wait_for_call(Helper& self, std::uint64_t seen) {
  std::uint64_t epoch = seen;
  const auto called = [&] {
    epoch = epoch_.load();
    return epoch != seen && epoch % 2 == 1;
  };
  for (;;) {
    for (int spin = 0; spin < Waiting::kSpins; ++spin) {
      if (called()) return epoch;
      pause_briefly();
    }
    while (Clock::now() < self.awake_until) {
      if (called()) return epoch;
      std::this_thread::yield();
    }
    self.parked.store(true);
    {
      std::unique_lock<std::mutex> lock(self.mutex);
      self.woken.wait(lock, [&] { return self.summoned || called(); });
      self.summoned = false;
      self.unsteer();
      self.parked.store(false);
    }
    self.awake_until = Clock::now() + kBriefAlert;
  }
}

void Team::Meeting::open(int workers) {
  done.store(0, std::memory_order_relaxed);
  for (int i = 0; i < workers; ++i) cursors[i].place.store(0, std::memory_order_relaxed);
}

/// Runs the task as worker `index` of a call whose workers meet; false if it was dismissed.
bool Team::attend(int index, int count, std::atomic<Presence>* presence, Task task, void* context) {
  const DenormalsAreZero mode;
  Attendance attendance{meeting_, count, presence, {}};
  if (setjmp(attendance.way_out) != 0) return false;
  task(context, Worker{index, count, index, take, meet, &attendance});
  return true;
}

index Team::take(void* opaque, int whose, index count) {
  const auto& self = *static_cast<const Attendance*>(opaque);
  std::atomic<std::uint64_t>& place = self.meeting.cursors[whose].place;
  const std::uint64_t first = self.phase << kItemBits;
  std::uint64_t before = place.load(std::memory_order_relaxed);
  for (;;) {
    // A place in an earlier phase: nobody has taken any in this one. In a later one: more than there are.
    const std::uint64_t taken = before < first ? 0 : before - first;
    if (taken >= static_cast<std::uint64_t>(count)) return count;
    if (place.compare_exchange_weak(before, first + taken + 1, std::memory_order_relaxed)) {
      return static_cast<index>(taken);
    }
  }
}

bool Team::meet(void* opaque, index done, index items, Patience patience) {
  auto& self = *static_cast<Attendance*>(opaque);
  const std::uint64_t due = self.before + static_cast<std::uint64_t>(items);
  if (done > 0) self.meeting.done.fetch_add(static_cast<std::uint64_t>(done), std::memory_order_acq_rel);
  if (!self.wait(due, patience)) return false;
  self.before = due;
  ++self.phase;
  return true;
}

/// Whether `due` items are done before patience ends.
bool Team::Attendance::wait(std::uint64_t due, Patience patience) {
  constexpr int kMostDisappointments = 6;
  const auto over = [&] { return meeting.done.load(std::memory_order_acquire) >= due; };
  Waiting waiting;
  while (!over()) {
    if (patience == Patience::none) return false;
    if (patience == Patience::brief) {
      if (phase < patient_from) return false;
      if (waiting.turns() == kBriefly) {
        if (somebody_is_absent()) {  // and need not be waited for at each phase
          if (disappointments < kMostDisappointments) ++disappointments;
          patient_from = phase + (std::uint64_t(1) << disappointments);
        }
        return false;
      }
    }
    if (presence && waiting.turns() == Waiting::kSpins) {
      rest(due);
      break;
    }
    waiting.once();
  }
  if (patience == Patience::brief) disappointments = 0;
  return true;
}

/// Whether a worker has not come to this phase.
bool Team::Attendance::somebody_is_absent() const {
  const std::uint64_t first = phase << kItemBits;
  return std::any_of(meeting.cursors.get(), meeting.cursors.get() + workers, [=](const Cursor& cursor) {
    return cursor.place.load(std::memory_order_relaxed) < first;
  });
}

/// Waits for `due` items and gives the core away meanwhile. If the call ends before this thread is back, its
/// memory is gone: then the way out leads past the task.
void Team::Attendance::rest(std::uint64_t due) {
  presence->store(Presence::resting, std::memory_order_release);
  Waiting waiting;
  waiting.skip_pauses();
  while (meeting.done.load(std::memory_order_acquire) < due &&
         presence->load(std::memory_order_relaxed) == Presence::resting) {
    waiting.once();
  }
  Presence found = Presence::resting;
  if (!presence->compare_exchange_strong(found, Presence::working, std::memory_order_acq_rel)) {
    std::longjmp(way_out, 1);
  }
}

}  // namespace timeloom
