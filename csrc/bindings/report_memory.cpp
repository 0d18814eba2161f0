// Blocks of the workspace pool show in Python's tracemalloc, as the arrays of NumPy do.

// The header of Python 3.11 declares these two without C linkage: it gets other names, and they are declared
// below.
#define PyTraceMalloc_Track timeloom_declared_track
#define PyTraceMalloc_Untrack timeloom_declared_untrack
#include <Python.h>
#undef PyTraceMalloc_Track
#undef PyTraceMalloc_Untrack

#include <cstddef>
#include <cstdint>

#include "runtime/workspace.h"

#ifndef PYPY_VERSION
extern "C" {
PyAPI_FUNC(int) PyTraceMalloc_Track(unsigned int domain, std::uintptr_t pointer, std::size_t size);
PyAPI_FUNC(int) PyTraceMalloc_Untrack(unsigned int domain, std::uintptr_t pointer);
}
#endif

namespace timeloom {

void report_memory() {
#ifndef PYPY_VERSION
  // Any number that no other extension uses, to tell these blocks apart. Both calls return at once unless
  // tracing is on, and need no GIL.
  static constexpr unsigned int kDomain = 0x716d6c;
  observe_workspaces(
      {[](void* data, std::size_t bytes) {
         PyTraceMalloc_Track(kDomain, reinterpret_cast<std::uintptr_t>(data), bytes);
       },
       [](void* data) { PyTraceMalloc_Untrack(kDomain, reinterpret_cast<std::uintptr_t>(data)); }});
#endif
}

}  // namespace timeloom
