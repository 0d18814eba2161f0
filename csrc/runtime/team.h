/// The threads that help calls. They wait for one, run shares of it and wait again; the caller works too.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csetjmp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/worker.h"

namespace timeloom {

/// The threads a call would like.
struct Crew {
  int threads = 1;
  double seconds = 0;  // of its work on one thread, roughly
  bool all = false;    // waits for all of them, however long that takes: for tests and measurements
  bool brief = false;  // wakes nobody who sleeps, but in a burst: two threads whose shares do not meet
  int shares = 0;      // that run_shares makes, at least one a thread: more of them even out slow cores

  int share_count() const { return shares > threads ? shares : threads; }
};

/// Threads that outlive calls. A call depends on no thread but those that are at work on a share or an item
/// of it: the caller takes over what nobody has begun, so that beside a busy neighbour it is as fast as one
/// thread.
class Team {
 public:
  using Task = void (*)(void* context, const Worker& worker) noexcept;

  /// The team of this process.
  static Team& instance();

  /// Takes the team for the calling thread; holds nothing if another one has it, unless `wait`.
  std::unique_lock<std::mutex> acquire(bool wait);

  /// Whether a brief call is for its caller alone: nobody is awake, and it is no burst. The caller has
  /// acquired the team; it says with `note_alone` when such a call is over.
  bool leaves_alone(const Crew& crew);
  void note_alone();

  /// Runs task(context, {i, crew.share_count(), ...}) for each i once, on whichever threads come; shares must
  /// not meet. The caller has acquired the team. Returns crew.threads, or how many came if all are waited
  /// for.
  int run_shares(const Crew& crew, Task task, void* context);

  /// Runs the task on crew.threads threads whose workers meet: on those that come before its end. A helper
  /// may leave at a meeting, never to come back, once all items of the call are done: so the stack of the
  /// task holds nothing with a destructor there, and nobody waits for a helper by other means. The caller has
  /// acquired the team. Returns as run_shares does.
  int run_together(const Crew& crew, Task task, void* context);

 private:
  struct Helper;
  struct alignas(64) Ticket {
    std::atomic<std::uint64_t> epoch{0};  // the last in which somebody took this share
  };
  struct alignas(64) Cursor {
    std::atomic<std::uint64_t> place{0};  // the last phase in which somebody took an item, and how many
  };
  /// What the workers of a call have done together.
  struct Meeting {
    std::unique_ptr<Cursor[]> cursors;               // of the workers' shares
    alignas(64) std::atomic<std::uint64_t> done{0};  // items of all phases

    void open(int workers);
  };
  /// Whether a helper is in a call whose workers meet. One that rests has nothing in hand and is far from
  /// being back, as a rule because its core is busy with something else: a call that ends dismisses it.
  enum class Presence { away, working, resting, dismissed };
  /// Where a worker is.
  struct Attendance {
    Meeting& meeting;
    int workers;
    std::atomic<Presence>* presence;  // null: the caller's, who never rests
    std::jmp_buf way_out;             // of one that is dismissed
    std::uint64_t phase = 1;
    std::uint64_t before = 0;        // items of the phases before
    std::uint64_t patient_from = 0;  // the phase, as others kept it waiting
    int disappointments = 0;         // in a row

    bool wait(std::uint64_t due, Patience patience);
    bool somebody_is_absent() const;
    void rest(std::uint64_t due);
  };

  Team();
  int hire(int helpers);
  void open(const Crew& crew, bool together, Task task, void* context, int expected);
  int gather(int helpers);
  void close();
  bool join(std::uint64_t epoch);
  void take_shares(std::uint64_t epoch, int thread, int threads, int count, Task task, void* context);
  void help(Helper& self, std::uint64_t seen);
  bool help_once(Helper& self, std::uint64_t epoch);
  std::uint64_t wait_for_call(Helper& self, std::uint64_t seen);
  bool attend(int index, int count, std::atomic<Presence>* presence, Task task, void* context);
  static index take(void* attendance, int whose, index count);
  static bool meet(void* attendance, index done, index items, Patience patience);

  std::mutex use_;  // held by the thread whose call it is
  std::vector<std::unique_ptr<Helper>> helpers_;
  std::unique_ptr<Ticket[]> tickets_;
  std::atomic<std::chrono::steady_clock::rep> alone_until_{0};  // the end of the last brief call done alone
  int burst_ = 0;                                               // of those, so many in close succession

  // What helpers read of a call: of one call if the epoch is the same before and after, and still to be done
  // if they then take a share of that epoch, or join it.
  alignas(64) std::atomic<std::uint64_t> epoch_{0};  // odd while a call is open
  std::atomic<Task> task_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int> threads_{1};
  std::atomic<int> shares_{1};
  std::atomic<bool> together_{false};
  std::atomic<bool> joins_{false};
  std::atomic<bool> brief_{false};

  alignas(64) std::atomic<std::uint64_t> roll_{0};  // epoch, whether it is closed, how many have joined
  // Shares that are not finished; helpers that are in the call, less those that left it before it ended.
  alignas(64) std::atomic<int> remaining_{0};
  Meeting meeting_;
};

}  // namespace timeloom
