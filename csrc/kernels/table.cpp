// Compiled once per ISA: every system header first, at global scope, then the floors inside the namespace.
#include "base/compiler.h"

#include <cstddef>
#include <cstdint>

#if defined(TIMELOOM_EMULATE_AVX512)
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#elif defined(TIMELOOM_X86_64)
#include <immintrin.h>
#elif defined(TIMELOOM_AARCH64)
#include <arm_neon.h>
#endif

#include "base/kernel_table.h"

#define TIMELOOM_TEXT_OF(name) #name
#define TIMELOOM_TEXT(name) TIMELOOM_TEXT_OF(name)

namespace timeloom {
namespace TIMELOOM_ISA_NAMESPACE {

#include "kernels/gemm.h"
#include "kernels/math_kernels.h"
#include "kernels/rnn.h"

template <class Scalar>
constexpr Kernels<Scalar> kernels() {
  using V = Vec<Scalar>;
  using Cells = RnnTable<V, AllCells>;
  Kernels<Scalar> table{};
  table.lanes = V::kLanes;
  table.cells = Cells::kCells;
  table.cell_count = Cells::kCount;
  table.gemm = gemm<V>;
  table.gemm_outer = gemm_outer<V>;
  table.math = math_kernels<V>();
  table.layers = layer_kernels<V>();
  table.optimizers = optimizer_kernels<V>();
  return table;
}

const KernelTable& kernel_table() {
  static constexpr KernelTable table{TIMELOOM_TEXT(TIMELOOM_ISA_NAMESPACE), kernels<float>(),
                                     kernels<double>()};
  return table;
}

}  // namespace TIMELOOM_ISA_NAMESPACE
}  // namespace timeloom
