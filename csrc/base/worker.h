/// A share of a parallel call.
#pragma once

namespace timeloom {

/// Share `index` of `count` of a kernel. Where all of them run together, on a thread each, `wait(barrier)`
/// returns once all have called it.
struct Worker {
  int index;
  int count;
  void (*wait)(void* barrier);
  void* barrier;
};

}  // namespace timeloom
