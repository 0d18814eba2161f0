// The table of contents of timeloom._core: one bind_*.cpp per noun, each with the function named here.
// Only this floor knows Python. What it offers is private to the package; users see Python classes.

#include <pybind11/pybind11.h>

namespace timeloom {
void bind_runtime(pybind11::module_& module);
void bind_gemm(pybind11::module_& module);
void bind_rnn(pybind11::module_& module);
void bind_math(pybind11::module_& module);
void bind_losses(pybind11::module_& module);
void bind_optimizers(pybind11::module_& module);
void bind_memory(pybind11::module_& module);
}  // namespace timeloom

PYBIND11_MODULE(_core, module) {
  module.doc() = "Compiled kernels of timeloom. Private: use the Python modules above it.";
  timeloom::bind_runtime(module);
  timeloom::bind_gemm(module);
  timeloom::bind_rnn(module);
  timeloom::bind_math(module);
  timeloom::bind_losses(module);
  timeloom::bind_optimizers(module);
  timeloom::bind_memory(module);
}
