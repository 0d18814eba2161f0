// Functions over elements and rows: activations, exp, log, softmax, sums.

#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>

#include "bindings/checks.h"

namespace timeloom {
namespace {

// Nanoseconds an element on one thread, measured on AVX2 and rounded up; only the choice of the threads
// depends on them.
constexpr double kCheap = 0.3;  // a pass over memory
constexpr double kDear = 1.0;   // one exponential

py::array new_array(ElementType type, const std::vector<index>& shape) {
  return with_scalar(type, [&](auto scalar) -> py::array { return py::array_t<decltype(scalar)>(shape); });
}

template <class Scalar>
Scalar* data_of(py::array& array) {
  return static_cast<Scalar*>(array.mutable_data());
}

template <class Scalar>
const Scalar* data_of(const py::array& array) {
  return static_cast<const Scalar*>(array.data());
}

double work_of(const py::array& array, double cost) {
  return cost * static_cast<double>(array.nbytes()) / sizeof(float);
}

/// results = kernel(x) for each element; `choose` picks the kernel from a table of one element type.
template <class Choose>
py::array map_elements(py::handle x_object, double cost, int threads, const std::string& isa,
                       const Choose& choose) {
  const py::array x = checked_array(x_object, "x");
  const KernelTable& table = table_for(isa.c_str());
  py::array results = new_array(element_type(x), shape_of(x));
  with_scalar(element_type(x), [&](auto scalar) {
    using Scalar = decltype(scalar);
    const Elementwise<Scalar> call{data_of<Scalar>(results), data_of<Scalar>(x), nullptr, x.size()};
    const auto kernel = choose(kernels_of<Scalar>(table).math);
    run_kernel(threads, work_of(x, cost), [&](const Worker& worker) { kernel(call, worker); });
  });
  return results;
}

double cost_of(Activation kind) {
  switch (kind) {
    case Activation::linear:
    case Activation::hard_sigmoid:
    case Activation::relu:
    case Activation::relu6:
    case Activation::leaky_relu:
    case Activation::softsign:
    case Activation::hard_tanh:
    case Activation::soft_shrink:
    case Activation::hard_shrink:
    case Activation::squareplus:
    case Activation::sparse_plus:
    case Activation::sparse_sigmoid:
    case Activation::hard_silu:
      return kCheap;
    default:
      return kDear;
  }
}

/// Whether the gradient of each activation takes the input.
py::dict activations() {
  py::dict list;
#define TIMELOOM_ENTRY(kind) list[#kind] = derivative_from_input(Activation::kind);
  TIMELOOM_ACTIVATIONS(TIMELOOM_ENTRY)
#undef TIMELOOM_ENTRY
  return list;
}

py::array activation(const std::string& name, py::handle x, int threads, const std::string& isa) {
  const Activation kind = checked_activation(name, "name");
  return map_elements(x, cost_of(kind), threads, isa, [kind](const auto& math) {
    return [kind, kernel = math.activation](const auto& call, const Worker& worker) {
      kernel(kind, call, worker);
    };
  });
}

py::array activation_gradient(const std::string& name, py::handle value_object, py::handle d_output_object,
                              int threads, const std::string& isa) {
  const Activation kind = checked_activation(name, "name");
  const py::array value = checked_array(value_object, "value");
  const py::array d_output = checked_array(d_output_object, "d_output", element_type(value));
  check_shape(d_output, "d_output", shape_of(value));
  const KernelTable& table = table_for(isa.c_str());
  py::array results = new_array(element_type(value), shape_of(value));
  const double cost = derivative_from_input(kind) ? kDear : kCheap;
  with_scalar(element_type(value), [&](auto scalar) {
    using Scalar = decltype(scalar);
    const Elementwise<Scalar> call{data_of<Scalar>(results), data_of<Scalar>(value),
                                   data_of<Scalar>(d_output), value.size()};
    const auto kernel = kernels_of<Scalar>(table).math.activation_gradient;
    run_kernel(threads, work_of(value, cost), [&](const Worker& worker) { kernel(kind, call, worker); });
  });
  return results;
}

/// Rows are along the last axis.
template <class Scalar>
RowWise<Scalar> rows_of(const py::array& array) {
  RowWise<Scalar> call{};
  call.operand = data_of<Scalar>(array);
  call.cols = array.shape(array.ndim() - 1);
  call.rows = 1;
  for (index axis = 0; axis + 1 < array.ndim(); ++axis) call.rows *= array.shape(axis);
  return call;
}

void check_has_axis(const py::array& array, std::string_view argument) {
  if (array.ndim() == 0) refuse(argument, "an array with at least one axis", "shape ()");
}

template <class Choose>
py::array map_rows(py::handle x_object, int threads, const std::string& isa, const Choose& choose) {
  const py::array x = checked_array(x_object, "x");
  check_has_axis(x, "x");
  const KernelTable& table = table_for(isa.c_str());
  py::array results = new_array(element_type(x), shape_of(x));
  with_scalar(element_type(x), [&](auto scalar) {
    using Scalar = decltype(scalar);
    RowWise<Scalar> call = rows_of<Scalar>(x);
    call.results = data_of<Scalar>(results);
    const auto kernel = choose(kernels_of<Scalar>(table).math);
    run_kernel(threads, work_of(x, 2 * kDear), [&](const Worker& worker) { kernel(call, worker); });
  });
  return results;
}

template <class Choose>
py::array map_rows_gradient(py::handle output_object, py::handle d_output_object, int threads,
                            const std::string& isa, const Choose& choose) {
  const py::array output = checked_array(output_object, "output");
  check_has_axis(output, "output");
  const py::array d_output = checked_array(d_output_object, "d_output", element_type(output));
  check_shape(d_output, "d_output", shape_of(output));
  const KernelTable& table = table_for(isa.c_str());
  py::array results = new_array(element_type(output), shape_of(output));
  with_scalar(element_type(output), [&](auto scalar) {
    using Scalar = decltype(scalar);
    RowWise<Scalar> call = rows_of<Scalar>(output);
    call.results = data_of<Scalar>(results);
    call.upstream = data_of<Scalar>(d_output);
    const auto kernel = choose(kernels_of<Scalar>(table).math);
    run_kernel(threads, work_of(output, kDear), [&](const Worker& worker) { kernel(call, worker); });
  });
  return results;
}

py::array sum_last(py::handle a_object, int threads, const std::string& isa) {
  const py::array a = checked_array(a_object, "a");
  check_has_axis(a, "a");
  const KernelTable& table = table_for(isa.c_str());
  std::vector<index> shape = shape_of(a);
  shape.pop_back();
  py::array results = new_array(element_type(a), shape);
  with_scalar(element_type(a), [&](auto scalar) {
    using Scalar = decltype(scalar);
    RowWise<Scalar> call = rows_of<Scalar>(a);
    call.results = data_of<Scalar>(results);
    const auto kernel = kernels_of<Scalar>(table).math.sum_last;
    run_kernel(threads, work_of(a, kDear), [&](const Worker& worker) { kernel(call, worker); });
  });
  return results;
}

py::array sum_rows(py::handle a_object, int threads, const std::string& isa) {
  const py::array a = checked_array(a_object, "a");
  check_rank(a, "a", 2);
  const KernelTable& table = table_for(isa.c_str());
  py::array results = new_array(element_type(a), {a.shape(1)});
  with_scalar(element_type(a), [&](auto scalar) {
    using Scalar = decltype(scalar);
    RowWise<Scalar> call = rows_of<Scalar>(a);
    call.results = data_of<Scalar>(results);
    const auto kernel = kernels_of<Scalar>(table).math.sum_rows;
    run_kernel(threads, work_of(a, kCheap), [&](const Worker& worker) { kernel(call, worker); });
  });
  return results;
}

/// [threads, lanes] sums of the ends of kFmaChains chains, each of `rounds` multiply-adds in float32.
py::array fma_chains(long long rounds, int requested, const std::string& isa) {
  if (rounds < 0) refuse("rounds", "a number that is not negative", std::to_string(rounds));
  const Kernels<float>& kernels = table_for(isa.c_str()).f32;
  const double work = static_cast<double>(rounds) * kFmaChains / 6;
  const Crew crew = checked_crew(requested, work);
  py::array_t<float> results({static_cast<index>(crew.threads), kernels.lanes});
  const FmaChains<float> call{results.mutable_data(), static_cast<index>(rounds)};
  std::fill_n(call.results, results.size(), 0.0f);
  run_kernel(crew, [&](const Worker& worker) { kernels.math.fma_chains(call, worker); });
  return results;
}

}  // namespace

void bind_math(py::module_& module) {
  const auto only_named = py::kw_only();
  const auto threads = py::arg("_threads") = 0;
  const auto isa = py::arg("_isa") = "";
  const auto x = py::arg("x");
  const auto a = py::arg("a");
  const auto output = py::arg("output");
  const auto d_output = py::arg("d_output");

  module.def(
      "activations", &activations,
      "The list of activations: name -> whether activation_gradient takes the input x of the activation, "
      "not its output.");
  module.def("activation", &activation, py::arg("name"), x, only_named, threads, isa,
             "y = f(x) for each element; name: one of activations().");
  module.def("activation_gradient", &activation_gradient, py::arg("name"), py::arg("value"), d_output,
             only_named, threads, isa,
             "d_output f'(x) for each element; value: the output of the activation, or x where activations() "
             "says so.");
  module.def(
      "exp",
      [](py::handle values, int count, const std::string& table) {
        return map_elements(values, kDear, count, table, [](const auto& math) { return math.exp; });
      },
      x, only_named, threads, isa, "e^x for each element.");
  module.def(
      "log",
      [](py::handle values, int count, const std::string& table) {
        return map_elements(values, kDear, count, table, [](const auto& math) { return math.log; });
      },
      x, only_named, threads, isa, "The natural logarithm of each element.");
  module.def(
      "softmax",
      [](py::handle values, int count, const std::string& table) {
        return map_rows(values, count, table, [](const auto& math) { return math.softmax; });
      },
      x, only_named, threads, isa, "e^x / sum(e^x) over the last axis.");
  module.def(
      "log_softmax",
      [](py::handle values, int count, const std::string& table) {
        return map_rows(values, count, table, [](const auto& math) { return math.log_softmax; });
      },
      x, only_named, threads, isa, "x - log(sum(e^x)) over the last axis.");
  module.def(
      "softmax_gradient",
      [](py::handle values, py::handle upstream, int count, const std::string& table) {
        return map_rows_gradient(values, upstream, count, table,
                                 [](const auto& math) { return math.softmax_gradient; });
      },
      output, d_output, only_named, threads, isa,
      "output (d_output - sum(d_output output)) over the last axis; output is that of softmax.");
  module.def(
      "log_softmax_gradient",
      [](py::handle values, py::handle upstream, int count, const std::string& table) {
        return map_rows_gradient(values, upstream, count, table,
                                 [](const auto& math) { return math.log_softmax_gradient; });
      },
      output, d_output, only_named, threads, isa,
      "d_output - e^output sum(d_output) over the last axis; output is that of log_softmax.");
  module.def("sum_last", &sum_last, a, only_named, threads, isa,
             "Sum over the last axis: one chain of additions a row, in ascending order.");
  module.def("sum_rows", &sum_rows, a, only_named, threads, isa,
             "Sum over the rows of a matrix: chunks of 512 rows, one chain each, then added.");
  module.def("fma_chains", &fma_chains, py::arg("rounds"), only_named, threads, isa,
             "Runs 12 chains a <- a * 0.5 + 1 of `rounds` steps in every lane of every thread, in registers; "
             "chain i starts from i. Returns the sums of their ends [threads, lanes].");
}

}  // namespace timeloom
