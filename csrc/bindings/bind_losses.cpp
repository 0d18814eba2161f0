// Losses, dropout and embeddings.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "bindings/checks.h"

namespace timeloom {
namespace {

// Nanoseconds an element on one thread, measured on AVX2 and rounded up; only the choice of the threads
// depends on them.
constexpr double kCheap = 0.3;   // a pass over memory
constexpr double kDear = 1.0;    // one exponential
constexpr double kRandom = 1.1;  // one random number, the operand not in cache, as in a training step

template <class Scalar>
Scalar* data_of(py::array& array) {
  return static_cast<Scalar*>(array.mutable_data());
}

template <class Scalar>
const Scalar* data_of(const py::array& array) {
  return static_cast<const Scalar*>(array.data());
}

Loss checked_loss(const std::string& name) {
  constexpr std::pair<const char*, Loss> known[] = {
      {"squared", Loss::squared},         {"absolute", Loss::absolute},
      {"binary", Loss::binary},           {"binary_logits", Loss::binary_logits},
      {"categorical", Loss::categorical}, {"categorical_logits", Loss::categorical_logits}};
  std::string names;
  for (const auto& [text, kind] : known) {
    if (name == text) return kind;
    names += (names.empty() ? "" : ", ") + std::string(text);
  }
  refuse("name", "one of " + names, "'" + name + "'");
}

/// An array of int64 in native byte order, C-contiguous and aligned.
py::array checked_integers(py::handle object, std::string_view argument) {
  if (!py::isinstance<py::array>(object)) {
    refuse_type(argument, "a NumPy array", Py_TYPE(object.ptr())->tp_name);
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  const py::dtype type = array.dtype();
  if (type.kind() != 'i' || type.itemsize() != 8 || type.byteorder() != '=') {
    refuse_type(argument, "dtype int64", std::string(py::str(type)));
  }
  constexpr int kLayout = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & kLayout) != kLayout) {
    refuse(argument, "a C-contiguous, aligned array", "another layout");
  }
  return array;
}

/// Refuses integers outside [0, count) but `ignored`; the words are those of the caller.
template <class Refuse>
void check_range(const py::array& array, index count, const std::optional<std::int64_t>& ignored,
                 const Refuse& refuse_value) {
  const auto* values = data_of<std::int64_t>(array);
  for (index i = 0; i < array.size(); ++i) {
    // As unsigned numbers those below zero are large.
    const bool legal = static_cast<std::uint64_t>(values[i]) < static_cast<std::uint64_t>(count);
    if (!legal && (!ignored || values[i] != *ignored)) refuse_value(values[i]);
  }
}

/// Outputs and targets of a loss, checked, and what they keep alive.
struct LossArguments {
  Loss kind;
  py::array outputs;
  py::array targets;
  std::vector<std::int64_t> labels;  // with -1 in place of an ignored label
  bool has_labels = false;
  double smoothing;
  double epsilon;
};

LossArguments checked_arguments(const std::string& name, py::handle outputs_object, py::handle targets_object,
                                double smoothing, double epsilon,
                                const std::optional<std::int64_t>& ignored) {
  LossArguments found{
      checked_loss(name), checked_array(outputs_object, "outputs"), {}, {}, false, smoothing, epsilon};
  const py::array& outputs = found.outputs;
  if (outputs.ndim() == 0) refuse("outputs", "an array with at least one axis", "shape ()");
  if (!(smoothing >= 0 && smoothing <= 1)) {
    refuse("smoothing", "a number in [0, 1]", std::to_string(smoothing));
  }
  const bool categorical = found.kind == Loss::categorical || found.kind == Loss::categorical_logits;
  found.has_labels = categorical && py::isinstance<py::array>(targets_object) &&
                     py::reinterpret_borrow<py::array>(targets_object).dtype().kind() != 'f';
  std::vector<index> shape = shape_of(outputs);
  if (!found.has_labels) {
    found.targets = checked_array(targets_object, "targets", element_type(outputs));
    check_shape(found.targets, "targets", shape);
    return found;
  }
  const index classes = shape.back();
  shape.pop_back();
  const py::array labels = checked_integers(targets_object, "targets");
  check_shape(labels, "targets", shape);
  check_range(labels, classes, ignored, [&](std::int64_t value) {
    refuse("y_true",
           "labels in [0, " + std::to_string(classes) + ") for " + std::to_string(classes) + " classes",
           std::to_string(value));
  });
  const auto* values = data_of<std::int64_t>(labels);
  found.labels.assign(values, values + labels.size());
  if (ignored) {
    for (auto& label : found.labels) label = label == *ignored ? -1 : label;
  }
  return found;
}

template <class Scalar>
LossRows<Scalar> rows_of(const LossArguments& arguments) {
  const py::array& outputs = arguments.outputs;
  LossRows<Scalar> call{};
  call.outputs = data_of<Scalar>(outputs);
  if (arguments.has_labels) {
    call.labels = arguments.labels.data();
  } else {
    call.targets = data_of<Scalar>(arguments.targets);
  }
  call.cols = outputs.shape(outputs.ndim() - 1);
  call.rows = 1;
  for (index axis = 0; axis + 1 < outputs.ndim(); ++axis) call.rows *= outputs.shape(axis);
  const bool binary = arguments.kind == Loss::binary || arguments.kind == Loss::binary_logits;
  const double shares = binary ? 2.0 : static_cast<double>(call.cols);
  call.keep = static_cast<Scalar>(1 - arguments.smoothing);
  call.add = static_cast<Scalar>(arguments.smoothing / shares);
  call.low = static_cast<Scalar>(arguments.epsilon);
  call.high = static_cast<Scalar>(1 - arguments.epsilon);
  return call;
}

/// What the values of `rows` rows cost.
double work_of(const LossArguments& arguments) {
  const bool cheap = arguments.kind == Loss::squared || arguments.kind == Loss::absolute;
  const py::array& outputs = arguments.outputs;
  return (cheap ? kCheap : 2 * kDear) * static_cast<double>(outputs.nbytes()) / sizeof(float);
}

py::array loss_values(const std::string& name, py::handle outputs, py::handle targets, double smoothing,
                      double epsilon, const std::optional<std::int64_t>& ignored, int threads,
                      const std::string& isa) {
  const LossArguments arguments = checked_arguments(name, outputs, targets, smoothing, epsilon, ignored);
  const KernelTable& table = table_for(isa.c_str());
  std::vector<index> shape = shape_of(arguments.outputs);
  shape.pop_back();
  return with_scalar(element_type(arguments.outputs), [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> results(shape);
    LossRows<Scalar> call = rows_of<Scalar>(arguments);
    call.results = results.mutable_data();
    const auto kernel = kernels_of<Scalar>(table).layers.loss_values;
    run_kernel(threads, work_of(arguments),
               [&](const Worker& worker) { kernel(arguments.kind, call, worker); });
    return results;
  });
}

/// sum(values * weights) / divisor, by the rule of sums over rows.
py::array loss_sum(const std::string& name, py::handle outputs, py::handle targets, py::handle weights_object,
                   double divisor, double smoothing, double epsilon,
                   const std::optional<std::int64_t>& ignored, int threads, const std::string& isa) {
  const LossArguments arguments = checked_arguments(name, outputs, targets, smoothing, epsilon, ignored);
  const KernelTable& table = table_for(isa.c_str());
  const ElementType type = element_type(arguments.outputs);
  std::vector<index> shape = shape_of(arguments.outputs);
  shape.pop_back();
  py::array weights;
  if (!weights_object.is_none()) {
    weights = checked_array(weights_object, "weights", type);
    check_shape(weights, "weights", shape);
  }
  return with_scalar(type, [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> result(std::vector<index>{});
    LossRows<Scalar> call = rows_of<Scalar>(arguments);
    std::vector<Scalar> values(static_cast<std::size_t>(call.rows));
    call.results = values.data();
    const auto& kernels = kernels_of<Scalar>(table);
    run_kernel(threads, work_of(arguments),
               [&](const Worker& worker) { kernels.layers.loss_values(arguments.kind, call, worker); });
    if (!weights_object.is_none()) {
      const auto* factors = data_of<Scalar>(weights);
      for (std::size_t row = 0; row < values.size(); ++row) values[row] *= factors[row];
    }
    const RowWise<Scalar> sum{result.mutable_data(), values.data(), nullptr, call.rows, 1};
    run_shares({}, [&](const Worker& worker) { kernels.math.sum_rows(sum, worker); });
    *result.mutable_data() /= static_cast<Scalar>(divisor);
    return result;
  });
}

py::array loss_gradient(const std::string& name, py::handle outputs, py::handle targets,
                        py::handle d_values_object, double smoothing, double epsilon,
                        const std::optional<std::int64_t>& ignored, int threads, const std::string& isa) {
  const LossArguments arguments = checked_arguments(name, outputs, targets, smoothing, epsilon, ignored);
  const KernelTable& table = table_for(isa.c_str());
  const ElementType type = element_type(arguments.outputs);
  std::vector<index> shape = shape_of(arguments.outputs);
  const py::array d_values = checked_array(d_values_object, "d_values", type);
  if (d_values.ndim() > 0) {
    check_shape(d_values, "d_values", std::vector<index>(shape.begin(), shape.end() - 1));
  }
  return with_scalar(type, [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> results(shape);
    LossRows<Scalar> call = rows_of<Scalar>(arguments);
    call.results = results.mutable_data();
    call.upstream = data_of<Scalar>(d_values);
    call.upstream_stride = d_values.ndim() > 0 ? 1 : 0;
    const auto kernel = kernels_of<Scalar>(table).layers.loss_gradient;
    run_kernel(threads, work_of(arguments),
               [&](const Worker& worker) { kernel(arguments.kind, call, worker); });
    return results;
  });
}

py::array dropout(py::handle x_object, double rate, std::uint64_t key, int threads, const std::string& isa) {
  const py::array x = checked_array(x_object, "x");
  if (!(rate >= 0 && rate < 1)) refuse("rate", "a number in [0, 1)", std::to_string(rate));
  const KernelTable& table = table_for(isa.c_str());
  return with_scalar(element_type(x), [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> results(shape_of(x));
    // Below one times 2^32: it fits.
    const auto threshold = static_cast<std::uint32_t>(rate * 4294967296.0);
    const Dropout<Scalar> call{results.mutable_data(),
                               data_of<Scalar>(x),
                               x.size(),
                               key,
                               threshold,
                               static_cast<Scalar>(1 / (1 - rate))};
    const auto kernel = kernels_of<Scalar>(table).layers.dropout;
    run_kernel(threads, kRandom * static_cast<double>(x.size()),
               [&](const Worker& worker) { kernel(call, worker); });
    return results;
  });
}

void check_indices(const py::array& indices, index rows) {
  check_range(indices, rows, std::nullopt, [&](std::int64_t value) {
    refuse("indices", "integers in [0, " + std::to_string(rows) + ")", std::to_string(value));
  });
}

py::array embedding(py::handle table_object, py::handle indices_object, int threads, const std::string& isa) {
  const py::array embeddings = checked_array(table_object, "embeddings");
  check_rank(embeddings, "embeddings", 2);
  const py::array indices = checked_integers(indices_object, "indices");
  const index rows = embeddings.shape(0), cols = embeddings.shape(1);
  check_indices(indices, rows);
  const KernelTable& table = table_for(isa.c_str());
  std::vector<index> shape = shape_of(indices);
  shape.push_back(cols);
  return with_scalar(element_type(embeddings), [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> results(shape);
    const EmbeddingRows<Scalar> call{results.mutable_data(),
                                     data_of<Scalar>(embeddings),
                                     data_of<std::int64_t>(indices),
                                     indices.size(),
                                     rows,
                                     cols};
    const auto kernel = kernels_of<Scalar>(table).layers.embedding;
    run_kernel(threads, kCheap * static_cast<double>(results.size()),
               [&](const Worker& worker) { kernel(call, worker); });
    return results;
  });
}

py::array embedding_gradient(py::handle d_outputs_object, py::handle indices_object, index rows, int threads,
                             const std::string& isa) {
  const py::array d_outputs = checked_array(d_outputs_object, "d_outputs");
  const py::array indices = checked_integers(indices_object, "indices");
  if (d_outputs.ndim() == 0) refuse("d_outputs", "an array with at least one axis", "shape ()");
  std::vector<index> shape = shape_of(indices);
  const index cols = d_outputs.shape(d_outputs.ndim() - 1);
  shape.push_back(cols);
  check_shape(d_outputs, "d_outputs", shape);
  if (rows < 0) refuse("rows", "a number of at least 0", std::to_string(rows));
  check_indices(indices, rows);
  const KernelTable& table = table_for(isa.c_str());
  return with_scalar(element_type(d_outputs), [&](auto scalar) -> py::array {
    using Scalar = decltype(scalar);
    py::array_t<Scalar> results({rows, cols});
    const EmbeddingRows<Scalar> call{results.mutable_data(),
                                     data_of<Scalar>(d_outputs),
                                     data_of<std::int64_t>(indices),
                                     indices.size(),
                                     rows,
                                     cols};
    const auto kernel = kernels_of<Scalar>(table).layers.embedding_gradient;
    const double elements = static_cast<double>(d_outputs.size()) + static_cast<double>(results.size());
    run_kernel(threads, kCheap * elements, [&](const Worker& worker) { kernel(call, worker); });
    return results;
  });
}

}  // namespace

void bind_losses(py::module_& module) {
  const auto only_named = py::kw_only();
  const auto threads = py::arg("_threads") = 0;
  const auto isa = py::arg("_isa") = "";
  const auto name = py::arg("name");
  const auto outputs = py::arg("outputs");
  const auto targets = py::arg("targets");
  const auto smoothing = py::arg("smoothing") = 0.0;
  const auto epsilon = py::arg("epsilon") = 1e-7;
  const auto ignored = py::arg("ignored") = py::none();

  module.def(
      "loss_values", &loss_values, name, outputs, targets, smoothing, epsilon, ignored, only_named, threads,
      isa,
      "The loss of each row of outputs; name: squared, absolute, binary, binary_logits, categorical or "
      "categorical_logits. targets: as outputs, or int64 labels of the rows; those equal to `ignored` "
      "cost nothing.");
  module.def("loss_sum", &loss_sum, name, outputs, targets, py::arg("weights"), py::arg("divisor"), smoothing,
             epsilon, ignored, only_named, threads, isa,
             "sum(loss_values * weights) / divisor, an array without axes; weights: one a row, or None.");
  module.def("loss_gradient", &loss_gradient, name, outputs, targets, py::arg("d_values"), smoothing, epsilon,
             ignored, only_named, threads, isa,
             "The gradient of the outputs for that of the values: one a row, or one for all without axes.");
  module.def("dropout", &dropout, py::arg("x"), py::arg("rate"), py::arg("key"), only_named, threads, isa,
             "x times 0 with probability rate, else 1 / (1 - rate): a function of key and place alone.");
  module.def("embedding", &embedding, py::arg("embeddings"), py::arg("indices"), only_named, threads, isa,
             "embeddings[indices], int64 indices.");
  module.def("embedding_gradient", &embedding_gradient, py::arg("d_outputs"), py::arg("indices"),
             py::arg("rows"), only_named, threads, isa,
             "Sums of the rows of d_outputs by their index: one chain each, in ascending order.");
}

}  // namespace timeloom
