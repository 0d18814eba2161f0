/// The share of one thread in a parallel call.
#pragma once

namespace timeloom {

/// Thread `index` of `count` that run the same kernel together. `wait(barrier)` returns once all have called
/// it.
struct Worker {
  int index;
  int count;
  void (*wait)(void* barrier);
  void* barrier;
};

}  // namespace timeloom
