// Matrix products: matmul.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>

#include "bindings/checks.h"
#include "bindings/matmul_sizes.h"
#include "runtime/isa.h"
#include "runtime/workspace.h"

namespace timeloom {
namespace {

/// a [M, K] times b [K, N] or its transpose, plus bias.
template <class Scalar>
py::array multiply(const Kernels<Scalar>& kernels, const py::array& a, const py::array& b,
                   const py::array& bias, bool has_bias, bool transpose_b, int threads) {
  const index rows = a.shape(0), depth = a.shape(1), cols = b.shape(transpose_b ? 0 : 1);
  py::array_t<Scalar> outputs({rows, cols});
  if (rows == 0 || cols == 0) return outputs;
  const Crew crew = checked_crew(threads, matmul_work(rows, cols, depth));
  const Workspace packed = workspace_of<Scalar>(panel_size(depth, kernels.lanes, crew.threads));
  const Workspace gathered = workspace_of<Scalar>(gathered_size(rows, depth, sizeof(Scalar), crew.threads));
  const Gemm<Scalar> call{{static_cast<const Scalar*>(a.data()), rows, depth, depth},
                          static_cast<const Scalar*>(b.data()),
                          transpose_b,
                          has_bias ? static_cast<const Scalar*>(bias.data()) : nullptr,
                          {outputs.mutable_data(), rows, cols, cols},
                          packed.as<Scalar>(),
                          gathered.as<Scalar>()};
  run_kernel(crew, [&](const Worker& worker) { kernels.gemm(call, worker); });
  return outputs;
}

/// The transpose of a [K, M] times b [K, N], by the rule of weight gradients.
template <class Scalar>
py::array multiply_outer(const Kernels<Scalar>& kernels, const py::array& a, const py::array& b,
                         int requested) {
  const index depth = a.shape(0), rows = a.shape(1), cols = b.shape(1);
  py::array_t<Scalar> outputs({rows, cols});
  if (depth == 0) std::fill_n(outputs.mutable_data(), rows * cols, Scalar(0));
  if (rows == 0 || cols == 0 || depth == 0) return outputs;
  const double work = matmul_work(rows, cols, depth);
  const Crew crew = checked_crew(requested, work);
  const OuterSizes needed = outer_sizes(rows, cols, depth, kernels.lanes, sizeof(Scalar), crew.threads);
  const Workspace packed = workspace_of<Scalar>(needed.packed);
  const Workspace gathered = workspace_of<Scalar>(needed.gathered);
  const Workspace scratch = workspace_of<Scalar>(needed.scratch);
  const GemmOuter<Scalar> call{{static_cast<const Scalar*>(a.data()), depth, rows, rows},
                               {static_cast<const Scalar*>(b.data()), depth, cols, cols},
                               {outputs.mutable_data(), rows, cols, cols},
                               packed.as<Scalar>(),
                               gathered.as<Scalar>(),
                               scratch.as<Scalar>()};
  without_gil(work, crew.all,
              [&] { run_together(crew, [&](const Worker& worker) { kernels.gemm_outer(call, worker); }); });
  return outputs;
}

py::array matmul(const py::object& a_object, const py::object& b_object, const py::object& bias_object,
                 bool transpose_a, bool transpose_b, int threads, const std::string& isa) {
  const py::array a = checked_array(a_object, "a");
  const py::array b = checked_array(b_object, "b", element_type(a));
  check_rank(a, "a", 2);
  check_rank(b, "b", 2);
  if (transpose_a && (transpose_b || !bias_object.is_none())) {
    refuse("transpose_a", "no bias and transpose_b=False beside it",
           transpose_b ? "transpose_b=True" : "a bias");
  }
  const index depth = a.shape(transpose_a ? 0 : 1);
  if (b.shape(transpose_b ? 1 : 0) != depth) {
    refuse("b", "a summed axis of " + std::to_string(depth), "shape " + shape_text(shape_of(b)));
  }
  py::array bias;
  if (!bias_object.is_none()) {
    bias = checked_array(bias_object, "bias", element_type(a));
    check_shape(bias, "bias", {b.shape(transpose_b ? 0 : 1)});
  }
  const KernelTable& table = table_for(isa.c_str());
  return with_scalar(element_type(a), [&](auto scalar) -> py::array {
    const auto& kernels = kernels_of<decltype(scalar)>(table);
    if (transpose_a) return multiply_outer(kernels, a, b, threads);
    return multiply(kernels, a, b, bias, !bias_object.is_none(), transpose_b, threads);
  });
}

}  // namespace

void bind_gemm(py::module_& module) {
  module.def("matmul", &matmul, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(),
             py::arg("transpose_a") = false, py::arg("transpose_b") = false, py::kw_only(),
             py::arg("_threads") = 0, py::arg("_isa") = "",
             "a @ b (+ bias), every element one chain of fma in ascending order; transpose_a: the rule of "
             "weight gradients.");
}

}  // namespace timeloom
