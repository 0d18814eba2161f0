#include "runtime/build_info.h"

namespace timeloom {

BuildInfo build_info() {
#if defined(_OPENMP)
  constexpr bool openmp = true;
#else
  constexpr bool openmp = false;
#endif
  return {TIMELOOM_VERSION, TIMELOOM_COMPILER, openmp};
}

}  // namespace timeloom
