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

/// Answers until there are no more calls.
void answer(Mail& mail) {
  for (int last = 0; last >= 0;) {
    const int number = mail.called.load(std::memory_order_acquire);
    if (number != last) mail.answered.store(number, std::memory_order_release);
    last = number;
  }
}

}  // namespace

double measure_round_trip() {
  Mail mail;
  double seconds = kFar;
  Crew crew;
  crew.threads = std::min(thread_limit(), 2);
  run_shares(crew, [&](const Worker& worker) {
    if (worker.index == 0) {
      if (worker.count == 2) seconds = call(mail);
      mail.called.store(-1, std::memory_order_release);
    } else {
      answer(mail);  // by the caller too, once it has called in vain
    }
  });
  return seconds;
}

double round_trip() {
  static std::atomic<double> known{kFar};
  static std::atomic<Clock::rep> valid_until{Clock::duration::min().count()};
  const Clock::time_point now = Clock::now();
  if (now.time_since_epoch().count() >= valid_until.load(std::memory_order_relaxed)) {
    const double seconds = measure_round_trip();
    const Clock::time_point until = now + (seconds < kFar ? Clock::duration(kValid) : kNextAttempt);
    known.store(seconds, std::memory_order_relaxed);
    valid_until.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  }
  return known.load(std::memory_order_relaxed);
}

}  // namespace timeloom
