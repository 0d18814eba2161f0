#include "runtime/isa.h"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include "base/compiler.h"
#include "isa_list.h"

namespace timeloom {

// isa_list.h is written by CMakeLists.txt, the one place that lists the tables.
#define TIMELOOM_DECLARE_TABLE(isa)  \
  namespace isa {                    \
  const KernelTable& kernel_table(); \
  }
TIMELOOM_ISA_LIST(TIMELOOM_DECLARE_TABLE)
#undef TIMELOOM_DECLARE_TABLE

namespace {

#if defined(TIMELOOM_X86_64)

struct CpuidResult {
  std::uint32_t eax, ebx, ecx, edx;
};

/// All zero for a leaf that the CPU does not have.
CpuidResult cpuid(std::uint32_t leaf) {
  std::uint32_t words[4];
  TIMELOOM_READ_CPUID(0, words);
  if (leaf > words[0]) return {0, 0, 0, 0};
  TIMELOOM_READ_CPUID(leaf, words);
  return {words[0], words[1], words[2], words[3]};
}

/// XCR0: which registers the operating system saves. To be called only if CPUID reports OSXSAVE.
std::uint64_t saved_register_state() {
  std::uint32_t low, high;
  TIMELOOM_READ_XCR0(low, high);
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

bool all_set(std::uint64_t word, std::uint64_t bits) { return (word & bits) == bits; }

bool system_saves(std::uint64_t xcr0_bits) {
  constexpr std::uint32_t kOsxsave = 1u << 27;
  return all_set(cpuid(1).ecx, kOsxsave) && all_set(saved_register_state(), xcr0_bits);
}

bool cpu_has_avx2() {
  constexpr std::uint64_t kXmmYmm = 0x6;
  constexpr std::uint32_t kFma = 1u << 12, kAvx = 1u << 28, kAvx2 = 1u << 5;
  return system_saves(kXmmYmm) && all_set(cpuid(1).ecx, kFma | kAvx) && all_set(cpuid(7).ebx, kAvx2);
}

bool cpu_has_avx512() {
#if defined(TIMELOOM_EMULATE_AVX512)
  return cpu_has_avx2();
#else
  constexpr std::uint64_t kXmmYmmOpmaskZmm = 0xe6;
  constexpr std::uint32_t kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;
  return cpu_has_avx2() && system_saves(kXmmYmmOpmaskZmm) && all_set(cpuid(7).ebx, kF | kDq | kBw | kVl);
#endif
}

#endif  // TIMELOOM_X86_64

bool cpu_can_run(const std::string& isa) {
  if (isa == "scalar") return true;
#if defined(TIMELOOM_X86_64)
  if (isa == "avx2") return cpu_has_avx2();
  if (isa == "avx512") return cpu_has_avx512();
#elif defined(TIMELOOM_AARCH64)
  if (isa == "neon") return true;  // Advanced SIMD is a part of the base architecture
#endif
  return false;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

const KernelTable& compiled_table(const std::string& isa) {
#define TIMELOOM_RETURN_TABLE(name) \
  if (isa == #name) return name::kernel_table();
  TIMELOOM_ISA_LIST(TIMELOOM_RETURN_TABLE)
#undef TIMELOOM_RETURN_TABLE
  throw std::logic_error("no kernel table was compiled for " + isa);
}

/// The table called `isa`, or an error that starts with the name of the argument that asked for it.
const KernelTable& checked_table(const char* argument, const std::string& isa) {
  static const std::vector<std::string> supported = supported_isas();
  for (const std::string& name : supported) {
    if (name == isa) return compiled_table(name);
  }
  bool compiled = false;
  for (const std::string& name : compiled_isas()) compiled = compiled || name == isa;
  throw std::invalid_argument(std::string(argument) + ": expected one of " + joined(supported) + ", got '" +
                              isa + "'" + (compiled ? ", which this CPU cannot run" : ""));
}

const KernelTable& chosen_table() {
  const char* forced = std::getenv("TIMELOOM_ISA");
  if (forced != nullptr && *forced != '\0') return checked_table("TIMELOOM_ISA", forced);
  return compiled_table(supported_isas().back());
}

}  // namespace

std::vector<std::string> compiled_isas() {
#define TIMELOOM_NAME_OF(isa) #isa,
  return {TIMELOOM_ISA_LIST(TIMELOOM_NAME_OF)};
#undef TIMELOOM_NAME_OF
}

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const std::string& name : compiled_isas()) {
    if (cpu_can_run(name)) names.push_back(name);
  }
  return names;
}

const KernelTable& active_table() {
  static const KernelTable& table = chosen_table();
  return table;
}

const KernelTable& table_for(const char* isa) {
  return *isa == '\0' ? active_table() : checked_table("_isa", isa);
}

std::string active_isa() { return active_table().isa; }

}  // namespace timeloom
