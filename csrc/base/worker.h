/// A share of a parallel call.
#pragma once

#include "base/views.h"

namespace timeloom {

/// Share `index` of `count` of a kernel, which `thread` of the call's threads runs: memory to work in is one
/// thread's. Where all shares run together, on a thread each, `wait(barrier)`
/// returns once all have called it, and `take(barrier, whose)` counts 0, 1, 2 .. from one wait to the next:
/// what of the share of worker `whose` the caller takes.
struct Worker {
  int index;
  int count;
  int thread;
  void (*wait)(void* barrier);
  timeloom::index (*take)(void* barrier, int whose);
  void* barrier;
};

}  // namespace timeloom
