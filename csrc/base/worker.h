/// A share of a parallel call.
#pragma once

#include "base/views.h"

namespace timeloom {

/// Share `index` of `count` of a kernel, run by `thread` of the call's threads: memory to work in is a
/// thread's. Where all shares run together, on a thread each, `wait(barrier)` returns once all have called
/// it, and `take(barrier, whose, items)` counts 0, 1, 2 .. from one wait to the next: which of the `items` of
/// worker `whose` the caller takes, none if it says `items` or more. Both are null where nobody may wait, and
/// `take` for a worker alone.
struct Worker {
  int index;
  int count;
  int thread;
  void (*wait)(void* barrier);
  timeloom::index (*take)(void* barrier, int whose, timeloom::index items);
  void* barrier;
};

}  // namespace timeloom
