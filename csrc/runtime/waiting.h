/// Floor 4: how a thread waits for another.
#pragma once

#include <chrono>
#include <thread>

#include "runtime/denormals.h"

namespace timeloom {

/// One who waits, the more politely the longer it takes.
class Waiting {
 public:
  static constexpr int kSpins = 250;  // some ten microseconds with the pause, of 30 to 45 ns

  void once() {
    if (turns_ < kSpins) {
      pause_briefly();
    } else if (turns_ < kSpins + kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kNap);
      return;
    }
    ++turns_;
  }
  int turns() const { return turns_; }
  void skip_pauses() { turns_ = kSpins; }

 private:
  static constexpr int kYields = 200;  // then as long in which others may have the core
  static constexpr auto kNap = std::chrono::microseconds(50);  // then a free core may fetch whom we wait for

  int turns_ = 0;
};

}  // namespace timeloom
