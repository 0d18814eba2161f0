// Recurrent cells: rnn_cells, rnn_paths, rnn_forward, rnn_backward.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "bindings/checks.h"
#include "runtime/isa.h"
#include "runtime/recurrent.h"

namespace timeloom {
namespace {

/// What forward gives to backward: the call, the arrays it points into, and what was kept. Opaque in Python,
/// never changed.
struct RnnCache {
  ElementType type;
  bool return_sequences;
  bool has_bias;
  std::vector<py::array> arrays;  // keeps the memory of the call alive
  std::variant<RecurrentCall<float>, RecurrentCall<double>> call;
  std::variant<RecurrentMemory<float>, RecurrentMemory<double>> memory;
};

template <class Scalar>
const RnnKernels<Scalar>& cell_kernels(const KernelTable& table, const std::string& name) {
  const Kernels<Scalar>& kernels = kernels_of<Scalar>(table);
  std::string names;
  for (int i = 0; i < kernels.cell_count; ++i) {
    if (name == kernels.cells[i].info->name) return kernels.cells[i];
    names += (i == 0 ? "" : ", ") + std::string(kernels.cells[i].info->name);
  }
  refuse("cell", "one of " + names, "'" + name + "'");
}

template <class Scalar>
py::array_t<Scalar> empty_array(std::vector<index> shape) {
  return py::array_t<Scalar>(std::move(shape));
}

PlanRequest checked_request(int threads, const std::string& path, index state_block) {
  if (state_block < 0)
    refuse("_k_block", "0 (the default) or a positive integer", std::to_string(state_block));
  return {checked_thread_count(threads, "_threads"), path, state_block};
}

/// Nanoseconds of a call on one thread, roughly.
double work_of(const CellInfo& info, const RnnSizes& sizes) {
  return static_cast<double>(sizes.batch) * static_cast<double>(sizes.steps) *
         static_cast<double>(sizes.units) *
         static_cast<double>(info.input_gates * sizes.features + info.state_gates * sizes.units) / 30.0;
}

py::array shaped_array(const py::object& object, std::string_view argument, ElementType type,
                       std::initializer_list<index> shape) {
  py::array array = checked_array(object, argument, type);
  check_shape(array, argument, shape);
  return array;
}

/// `count` arrays, or None in place of any.
py::tuple checked_tuple(const py::object& object, std::string_view argument, int count) {
  const std::string expected = std::to_string(count) + (count == 1 ? " array" : " arrays") + " or None";
  if (!py::isinstance<py::sequence>(object)) {
    refuse_type(argument, "a sequence of " + expected, Py_TYPE(object.ptr())->tp_name);
  }
  py::tuple items(object);
  if (static_cast<int>(items.size()) != count) refuse(argument, expected, std::to_string(items.size()));
  return items;
}

template <class Scalar>
const Scalar* data_of(const py::array& array) {
  return static_cast<const Scalar*>(array.data());
}

template <class Scalar>
py::tuple forward(const std::string& cell, const py::array& inputs, const py::object& kernel_object,
                  const py::object& recurrent_object, const py::object& bias_object,
                  const py::object& initial_object, const std::string& activation,
                  const std::string& recurrent_activation, bool go_backwards, bool return_sequences,
                  bool keep, const PlanRequest& request, const std::string& isa) {
  constexpr ElementType type = sizeof(Scalar) == 4 ? ElementType::float32 : ElementType::float64;
  const KernelTable& table = table_for(isa.c_str());
  auto cache = std::make_unique<RnnCache>();
  RecurrentCall<Scalar> call{};
  call.cell = &cell_kernels<Scalar>(table, cell);
  const CellInfo& info = *call.cell->info;

  check_rank(inputs, "inputs", 3);
  call.sizes.batch = inputs.shape(0);
  call.sizes.steps = inputs.shape(1);
  call.sizes.features = inputs.shape(2);
  if (call.sizes.steps == 0 || call.sizes.features == 0) {
    refuse("inputs", "at least one timestep and one feature", "shape " + shape_text(shape_of(inputs)));
  }
  const py::array recurrent = checked_array(recurrent_object, "recurrent_kernel", type);
  check_rank(recurrent, "recurrent_kernel", 2);
  call.sizes.units = recurrent.shape(0);
  const index units = call.sizes.units;
  if (units == 0) refuse("recurrent_kernel", "at least one unit", "shape " + shape_text(shape_of(recurrent)));
  check_shape(recurrent, "recurrent_kernel", {units, info.state_gates * units});
  const py::array kernel =
      shaped_array(kernel_object, "kernel", type, {call.sizes.features, info.input_gates * units});
  cache->arrays = {inputs, kernel, recurrent};
  call.inputs = data_of<Scalar>(inputs);
  call.kernel = data_of<Scalar>(kernel);
  call.recurrent_kernel = data_of<Scalar>(recurrent);
  cache->has_bias = !bias_object.is_none();
  if (cache->has_bias) {
    const index width = std::max(info.input_gates, info.state_gates) * units;
    py::array bias = checked_array(bias_object, "bias", type);
    if (info.bias_rows == 1) {
      check_shape(bias, "bias", {width});
    } else {
      check_shape(bias, "bias", {info.bias_rows, width});
    }
    call.bias = data_of<Scalar>(bias);
    cache->arrays.push_back(std::move(bias));
  }
  if (!initial_object.is_none()) {
    const py::tuple initial = checked_tuple(initial_object, "initial_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      if (initial[which].is_none()) continue;
      py::array state = shaped_array(initial[which], "initial_states[" + std::to_string(which) + "]", type,
                                     {call.sizes.batch, units});
      call.initial[which] = data_of<Scalar>(state);
      cache->arrays.push_back(std::move(state));
    }
  }
  call.go_backwards = go_backwards;
  call.activation = checked_activation(activation, "activation");
  call.recurrent_activation = checked_activation(recurrent_activation, "recurrent_activation");

  py::array_t<Scalar> outputs = return_sequences
                                    ? empty_array<Scalar>({call.sizes.batch, call.sizes.steps, units})
                                    : empty_array<Scalar>({call.sizes.batch, units});
  py::tuple states(info.states);
  Scalar* final_states[kMaxStates] = {};
  for (int which = 0; which < info.states; ++which) {
    py::array_t<Scalar> state = empty_array<Scalar>({call.sizes.batch, units});
    final_states[which] = state.mutable_data();
    states[which] = std::move(state);
  }
  RecurrentMemory<Scalar> memory{};
  Scalar* sequence = return_sequences ? outputs.mutable_data() : nullptr;
  Scalar* last = return_sequences ? nullptr : outputs.mutable_data();
  if (call.sizes.batch > 0) {
    without_gil(work_of(info, call.sizes), [&] {
      recurrent_forward(call, sequence, last, final_states, keep ? &memory : nullptr, request);
    });
  }
  py::object kept = py::none();
  if (keep) {
    cache->type = type;
    cache->return_sequences = return_sequences;
    cache->arrays.push_back(outputs);
    cache->call = call;
    cache->memory = std::move(memory);
    kept = py::cast(std::move(cache));
  }
  return py::make_tuple(outputs, states, kept);
}

template <class Scalar>
py::tuple backward(const RnnCache& cache, const py::object& d_outputs_object,
                   const py::object& d_states_object, bool need_inputs, const PlanRequest& request) {
  const auto& call = std::get<RecurrentCall<Scalar>>(cache.call);
  const auto& memory = std::get<RecurrentMemory<Scalar>>(cache.memory);
  const CellInfo& info = *call.cell->info;
  const RnnSizes& sizes = call.sizes;
  const Scalar* d_sequence = nullptr;
  const Scalar* d_last = nullptr;
  py::array d_outputs;
  if (!d_outputs_object.is_none()) {
    d_outputs = checked_array(d_outputs_object, "d_outputs", cache.type);
    if (cache.return_sequences) {
      check_shape(d_outputs, "d_outputs", {sizes.batch, sizes.steps, sizes.units});
      d_sequence = data_of<Scalar>(d_outputs);
    } else {
      check_shape(d_outputs, "d_outputs", {sizes.batch, sizes.units});
      d_last = data_of<Scalar>(d_outputs);
    }
  }
  const Scalar* d_final[kMaxStates] = {};
  std::vector<py::array> d_final_arrays;
  if (!d_states_object.is_none()) {
    const py::tuple d_states = checked_tuple(d_states_object, "d_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      if (d_states[which].is_none()) continue;
      d_final_arrays.push_back(shaped_array(d_states[which], "d_states[" + std::to_string(which) + "]",
                                            cache.type, {sizes.batch, sizes.units}));
      d_final[which] = data_of<Scalar>(d_final_arrays.back());
    }
  }

  RecurrentGradients<Scalar> gradients{};
  const index gates = std::max(info.input_gates, info.state_gates);
  auto d_kernel = empty_array<Scalar>({sizes.features, info.input_gates * sizes.units});
  auto d_recurrent = empty_array<Scalar>({sizes.units, info.state_gates * sizes.units});
  gradients.d_kernel = d_kernel.mutable_data();
  gradients.d_recurrent_kernel = d_recurrent.mutable_data();
  py::object d_inputs = py::none();
  py::object d_bias = py::none();
  if (need_inputs) {
    auto array = empty_array<Scalar>({sizes.batch, sizes.steps, sizes.features});
    gradients.d_inputs = array.mutable_data();
    d_inputs = std::move(array);
  }
  if (cache.has_bias) {
    auto array = info.bias_rows == 1 ? empty_array<Scalar>({gates * sizes.units})
                                     : empty_array<Scalar>({info.bias_rows, gates * sizes.units});
    gradients.d_bias = array.mutable_data();
    d_bias = std::move(array);
  }
  py::tuple d_initial(info.states);
  for (int which = 0; which < info.states; ++which) {
    auto array = empty_array<Scalar>({sizes.batch, sizes.units});
    gradients.d_initial[which] = array.mutable_data();
    d_initial[which] = std::move(array);
  }
  without_gil(work_of(info, sizes),
              [&] { recurrent_backward(call, memory, d_sequence, d_last, d_final, gradients, request); });
  return py::make_tuple(d_inputs, d_kernel, d_recurrent, d_bias, d_initial);
}

py::dict cells() {
  const Kernels<float>& kernels = active_table().f32;
  py::dict result;
  for (int i = 0; i < kernels.cell_count; ++i) {
    const CellInfo& info = *kernels.cells[i].info;
    py::dict entry;
    entry["input_gates"] = info.input_gates;
    entry["state_gates"] = info.state_gates;
    entry["states"] = info.states;
    entry["bias_rows"] = info.bias_rows;
    entry["activation"] = activation_name(info.activation);
    entry["recurrent_activation"] = activation_name(info.recurrent_activation);
    result[info.name] = entry;
  }
  return result;
}

}  // namespace

void bind_rnn(py::module_& module) {
  py::class_<RnnCache>(module, "RnnCache", "What rnn_forward keeps for rnn_backward. Opaque and read only.")
      .def_property_readonly("nbytes", [](const RnnCache& cache) {
        return std::visit([](const auto& memory) { return memory.bytes(); }, cache.memory);
      });
  module.def("rnn_cells", &cells,
             "The list of cells: name -> input_gates, state_gates, states, bias_rows, activation, "
             "recurrent_activation.");
  module.def(
      "rnn_paths",
      [] { return std::vector<std::string>(std::begin(rnn_path_names), std::end(rnn_path_names)); },
      "Names that _path takes.");
  module.def(
      "rnn_forward",
      [](const std::string& cell, const py::object& inputs_object, const py::object& kernel,
         const py::object& recurrent_kernel, const py::object& bias, const py::object& initial_states,
         const std::string& activation, const std::string& recurrent_activation, bool go_backwards,
         bool return_sequences, bool keep, int threads, const std::string& isa, const std::string& path,
         index k_block) {
        const py::array inputs = checked_array(inputs_object, "inputs");
        const PlanRequest request = checked_request(threads, path, k_block);
        return with_scalar(element_type(inputs), [&](auto scalar) {
          return forward<decltype(scalar)>(cell, inputs, kernel, recurrent_kernel, bias, initial_states,
                                           activation, recurrent_activation, go_backwards, return_sequences,
                                           keep, request, isa);
        });
      },
      py::arg("cell"), py::arg("inputs"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("bias"),
      py::arg("initial_states"), py::arg("activation"), py::arg("recurrent_activation"),
      py::arg("go_backwards"), py::arg("return_sequences"), py::arg("keep"), py::kw_only(),
      py::arg("_threads") = 0, py::arg("_isa") = "", py::arg("_path") = "", py::arg("_k_block") = 0,
      "Runs a cell over inputs [B, T, F]. Returns (outputs [B, T, U] or [B, U], final states, cache or "
      "None).");
  module.def(
      "rnn_backward",
      [](const RnnCache& cache, const py::object& d_outputs, const py::object& d_states, bool need_inputs,
         int threads, const std::string& path, index k_block) {
        const PlanRequest request = checked_request(threads, path, k_block);
        return with_scalar(cache.type, [&](auto scalar) {
          return backward<decltype(scalar)>(cache, d_outputs, d_states, need_inputs, request);
        });
      },
      py::arg("cache"), py::arg("d_outputs"), py::arg("d_states"), py::kw_only(),
      py::arg("need_inputs") = true, py::arg("_threads") = 0, py::arg("_path") = "", py::arg("_k_block") = 0,
      "Gradients of rnn_forward: (d_inputs or None, d_kernel, d_recurrent_kernel, d_bias or None, "
      "d_initial_states).");
}

}  // namespace timeloom
