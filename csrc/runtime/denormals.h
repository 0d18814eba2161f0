/// The floating-point mode of a thread and the hint of a spinning one: what differs by processor family.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__)
#include <cstdint>
#endif

namespace timeloom {

/// While it lives, denormal inputs and results of this thread count as zero; the mode before is restored.
class DenormalsAreZero {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
  ~DenormalsAreZero() { _mm_setcsr((_mm_getcsr() & kKeptFlags) | (before_ & ~kKeptFlags)); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  static constexpr unsigned kKeptFlags = 0x003f;  // exception flags raised meanwhile stay raised
  unsigned before_;
#elif defined(__aarch64__) && defined(__GNUC__)
  DenormalsAreZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | kFlushToZero));
  }
  ~DenormalsAreZero() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  static constexpr std::uint64_t kFlushToZero = 1u << 24;
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
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

}  // namespace timeloom
