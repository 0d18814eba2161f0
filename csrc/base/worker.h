/// A share of a parallel call.
#pragma once

#include "base/views.h"

namespace timeloom {

/// How long a worker waits for the end of a phase before it looks for more to do.
enum class Patience { none, brief, endless };

/// Share `index` of `count` of a kernel, run by `thread` of the call's threads: memory to work in is a
/// thread's.
///
/// Workers that may meet walk through the same phases, each of so many items. `take` counts 0, 1, 2 ..: which
/// item of the share of worker `whose` the caller is to do in its phase, none if it says `count`, the size of
/// that share, or more. `meet` says how many more of all `items` the caller has done, and returns true once
/// all are, whoever did them, which ends its phase; false if that takes more than its patience. So nobody
/// waits for a worker that holds no item: one that comes late finds phases over and goes on to the present
/// one. Both are null where shares must not meet, and for a worker alone.
struct Worker {
  int index;
  int count;
  int thread;
  timeloom::index (*take)(void* meeting, int whose, timeloom::index count);
  bool (*meet)(void* meeting, timeloom::index done, timeloom::index items, Patience patience);
  void* meeting;
};

}  // namespace timeloom
