/// The floating-point mode of a thread and the hint of a spinning one: what differs by processor family.
#pragma once

#include "base/compiler.h"

#if defined(TIMELOOM_X86_64)
#include <immintrin.h>
#endif

#include <cstdint>

namespace timeloom {

/// While it lives, denormal inputs and results of this thread count as zero; the mode before is restored.
class DenormalsAreZero {
 public:
#if defined(TIMELOOM_X86_64)
  DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
  ~DenormalsAreZero() { _mm_setcsr((_mm_getcsr() & kKeptFlags) | (before_ & ~kKeptFlags)); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  static constexpr unsigned kKeptFlags = 0x003f;  // exception flags raised meanwhile stay raised
  unsigned before_;
#elif defined(TIMELOOM_AARCH64)
  // FZ of the FPCR acts on inputs and results of both precisions; the exception flags stand in the FPSR.
  DenormalsAreZero() {
    TIMELOOM_READ_FPCR(before_);
    TIMELOOM_WRITE_FPCR(before_ | kFlushToZero);
  }
  ~DenormalsAreZero() { TIMELOOM_WRITE_FPCR(before_); }

 private:
  static constexpr std::uint64_t kFlushToZero = std::uint64_t(1) << 24;
  std::uint64_t before_;
#else
  DenormalsAreZero() = default;
#endif

 public:
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
};

/// Tells the core that this thread spins.
inline void pause_briefly() {
#if defined(TIMELOOM_X86_64)
  _mm_pause();
#elif defined(TIMELOOM_AARCH64)
  TIMELOOM_YIELD();
#endif
}

}  // namespace timeloom
