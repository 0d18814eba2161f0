#include "runtime/round_trip.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>

#include "runtime/parallel.h"

namespace timeloom {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTrips = 16;     // of a measurement
constexpr int kAttempts = 3;   // the shortest counts: an interrupt may come between
constexpr int kSpins = 20000;  // some ten microseconds for an answer
constexpr auto kPatience = std::chrono::microseconds(200);  // for the first one: a helper may have to wake
constexpr auto kValid = std::chrono::seconds(1);
constexpr auto kNextAttempt = std::chrono::milliseconds(20);  // after one without an answer
constexpr double kFar = std::numeric_limits<double>::infinity();

struct Mail {
  alignas(128) std::atomic<int> called{0};  // -1: no more
  alignas(128) std::atomic<int> answered{0};
};

/// Calls, waits for the answers and returns the shortest round trip.
double call(Mail& mail) {
  int number = 1;
  mail.called.store(number, std::memory_order_release);
  const auto start = Clock::now();
  while (mail.answered.load(std::memory_order_acquire) != number) {
    if (Clock::now() - start > kPatience) return kFar;
  }
  double shortest = kFar;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto begin = Clock::now();
    for (int trip = 0; trip < kTrips; ++trip) {
      mail.called.store(++number, std::memory_order_release);
      int spins = 0;
      while (mail.answered.load(std::memory_order_acquire) != number) {
        if (++spins == kSpins) return shortest;
      }
    }
    const std::chrono::duration<double> passed = Clock::now() - begin;
    shortest = std::min(shortest, passed.count() / kTrips);
  }
  return shortest;
}

/// Answers until there are no more calls, or none for a while.
void answer(Mail& mail) {
  const auto start = Clock::now();
  int last = 0;
  for (int spins = 0; last == 0 ? Clock::now() - start < kPatience : spins < 2 * kSpins; ++spins) {
    const int number = mail.called.load(std::memory_order_acquire);
    if (number == -1) return;
    if (number == last) continue;
    mail.answered.store(number, std::memory_order_release);
    last = number;
    spins = 0;
  }
}

/// Whether there was somebody to ask, and how long it took.
struct Measured {
  bool asked;
  double seconds;
};

/// Shares must not meet, but these two wait for each other no longer than their patience lasts, whoever runs
/// them in whichever order.
Measured measure() {
  Mail mail;
  Measured measured{false, kFar};
  Crew crew;
  crew.threads = std::min(thread_limit(), 2);
  run_shares(crew, [&](const Worker& worker) {
    if (worker.index == 0) {
      measured.asked = worker.count == 2;
      if (measured.asked) measured.seconds = call(mail);
      mail.called.store(-1, std::memory_order_release);
    } else {
      answer(mail);  // by the caller too, once it has called in vain
    }
  });
  return measured;
}

}  // namespace

double measure_round_trip() { return measure().seconds; }

double round_trip() {
  static std::atomic<double> known{kFar};
  static std::atomic<Clock::rep> valid_until{Clock::duration::min().count()};
  if (Clock::now().time_since_epoch().count() >= valid_until.load(std::memory_order_acquire)) {
    const Measured measured = measure();
    if (!measured.asked) return kFar;  // another call has the threads
    const Clock::duration valid = measured.seconds < kFar ? Clock::duration(kValid) : kNextAttempt;
    known.store(measured.seconds, std::memory_order_relaxed);
    valid_until.store((Clock::now() + valid).time_since_epoch().count(), std::memory_order_release);
  }
  return known.load(std::memory_order_relaxed);
}

}  // namespace timeloom
