// Recurrent cells: rnn_cells, rnn_paths, rnn_forward, rnn_backward.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bindings/rnn_call.h"
#include "runtime/isa.h"

namespace timeloom {
namespace {

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

/// Nanoseconds of a call over `rows` rows of inputs on one thread, roughly.
double work_of(const CellInfo& info, index rows, index features, index units) {
  return static_cast<double>(rows) * static_cast<double>(units) *
         static_cast<double>(info.input_gates * features + info.state_gates * units) / 30.0;
}

/// The shape of `inputs` with another last axis.
std::vector<index> with_width(const py::array& inputs, index width) {
  std::vector<index> shape = shape_of(inputs);
  shape.back() = width;
  return shape;
}

template <class Scalar>
py::tuple forward(const std::string& cell, const py::array& inputs, const py::object& kernel_object,
                  const py::object& recurrent_object, const py::object& bias_object,
                  const py::object& initial_object, const std::string& activation,
                  const std::string& recurrent_activation, bool go_backwards, bool return_sequences,
                  bool keep, const Options& options, const PlanRequest& request, const std::string& isa) {
  constexpr ElementType type = sizeof(Scalar) == 4 ? ElementType::float32 : ElementType::float64;
  const KernelTable& table = table_for(isa.c_str());
  auto cache = std::make_unique<RnnCache>();
  RecurrentCall<Scalar> call{};
  call.cell = &cell_kernels<Scalar>(table, cell);
  const CellInfo& info = *call.cell->info;
  const auto take = [&](const py::object& object, std::string_view argument,
                        std::initializer_list<index> shape) -> const Scalar* {
    if (object.is_none()) return nullptr;
    cache->arrays.push_back(shaped_array(object, argument, type, shape));
    return data_of<Scalar>(cache->arrays.back());
  };

  call.timesteps = checked_timesteps(inputs, options, *cache);
  call.timesteps.go_backwards = go_backwards;
  call.timesteps.keep_time_order = options.keep_time_order;
  call.zero_masked_outputs = options.zero_output_for_mask;
  const index batch = call.timesteps.batch;
  call.features = inputs.shape(inputs.ndim() - 1);
  if (call.features == 0) refuse("inputs", "at least one feature", "shape " + shape_text(shape_of(inputs)));
  const py::array recurrent = checked_array(recurrent_object, "recurrent_kernel", type);
  check_rank(recurrent, "recurrent_kernel", 2);
  call.units = recurrent.shape(0);
  const index units = call.units;
  if (units == 0) refuse("recurrent_kernel", "at least one unit", "shape " + shape_text(shape_of(recurrent)));
  cache->arrays.push_back(inputs);
  call.inputs = data_of<Scalar>(inputs);
  call.recurrent_kernel = take(recurrent, "recurrent_kernel", {units, info.state_gates * units});
  call.kernel = take(kernel_object, "kernel", {call.features, info.input_gates * units});
  if (!call.kernel) refuse_type("kernel", "a NumPy array", "NoneType");
  cache->has_bias = !bias_object.is_none();
  const index width = std::max(info.input_gates, info.state_gates) * units;
  call.bias = info.bias_rows == 1 ? take(bias_object, "bias", {width})
                                  : take(bias_object, "bias", {info.bias_rows, width});
  if (!initial_object.is_none()) {
    const py::tuple initial = checked_tuple(initial_object, "initial_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      call.initial[which] =
          take(initial[which], "initial_states[" + std::to_string(which) + "]", {batch, units});
    }
  }
  call.input_dropout = take(options.input_dropout, "input_dropout", {info.input_gates, batch, call.features});
  call.recurrent_dropout =
      take(options.recurrent_dropout, "recurrent_dropout", {info.state_gates, batch, units});
  const std::vector<index> sequence_shape = with_width(inputs, units);
  take_zoneout(options.zoneout, info, type, sequence_shape, call, *cache);
  call.activation = checked_activation(activation, "activation");
  call.recurrent_activation = checked_activation(recurrent_activation, "recurrent_activation");

  py::array_t<Scalar> outputs =
      empty_array<Scalar>(return_sequences ? sequence_shape : std::vector<index>{batch, units});
  py::tuple states(info.states);
  Scalar* final_states[kMaxStates] = {};
  for (int which = 0; which < info.states; ++which) {
    py::array_t<Scalar> state = empty_array<Scalar>({batch, units});
    final_states[which] = state.mutable_data();
    states[which] = std::move(state);
  }
  RecurrentMemory<Scalar> memory{};
  Scalar* sequence = return_sequences ? outputs.mutable_data() : nullptr;
  Scalar* last = return_sequences ? nullptr : outputs.mutable_data();
  without_gil(work_of(info, inputs.size() / call.features, call.features, units), [&] {
    recurrent_forward(call, sequence, last, final_states, keep ? &memory : nullptr, request);
  });
  py::object kept = py::none();
  if (keep) {
    cache->type = type;
    cache->inputs_shape = shape_of(inputs);
    cache->outputs_shape = shape_of(outputs);
    cache->arrays.push_back(outputs);
    cache->return_sequences = return_sequences;
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
  const index units = call.units;
  const index batch = call.timesteps.batch;
  const Scalar* d_sequence = nullptr;
  const Scalar* d_last = nullptr;
  py::array d_outputs;
  if (!d_outputs_object.is_none()) {
    d_outputs = checked_array(d_outputs_object, "d_outputs", cache.type);
    check_shape(d_outputs, "d_outputs", cache.outputs_shape);
    (cache.return_sequences ? d_sequence : d_last) = data_of<Scalar>(d_outputs);
  }
  const Scalar* d_final[kMaxStates] = {};
  std::vector<py::array> d_final_arrays;
  if (!d_states_object.is_none()) {
    const py::tuple d_states = checked_tuple(d_states_object, "d_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      if (d_states[which].is_none()) continue;
      d_final_arrays.push_back(shaped_array(d_states[which], "d_states[" + std::to_string(which) + "]",
                                            cache.type, {batch, units}));
      d_final[which] = data_of<Scalar>(d_final_arrays.back());
    }
  }

  RecurrentGradients<Scalar> gradients{};
  const index gates = std::max(info.input_gates, info.state_gates);
  auto d_kernel = empty_array<Scalar>({call.features, info.input_gates * units});
  auto d_recurrent = empty_array<Scalar>({units, info.state_gates * units});
  gradients.d_kernel = d_kernel.mutable_data();
  gradients.d_recurrent_kernel = d_recurrent.mutable_data();
  py::object d_inputs = py::none();
  py::object d_bias = py::none();
  if (need_inputs) {
    auto array = empty_array<Scalar>(cache.inputs_shape);
    gradients.d_inputs = array.mutable_data();
    d_inputs = std::move(array);
  }
  if (cache.has_bias) {
    auto array = info.bias_rows == 1 ? empty_array<Scalar>({gates * units})
                                     : empty_array<Scalar>({info.bias_rows, gates * units});
    gradients.d_bias = array.mutable_data();
    d_bias = std::move(array);
  }
  py::tuple d_initial(info.states);
  for (int which = 0; which < info.states; ++which) {
    auto array = empty_array<Scalar>({batch, units});
    gradients.d_initial[which] = array.mutable_data();
    d_initial[which] = std::move(array);
  }
  without_gil(work_of(info, memory.rows->total(), call.features, units),
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
      .def_property_readonly(
          "nbytes",
          [](const RnnCache& cache) {
            const std::size_t tables = cache.mask.size() + cache.lengths.size() * sizeof(std::int64_t);
            return tables + std::visit([](const auto& memory) { return memory.bytes(); }, cache.memory);
          },
          "Bytes of what only backward reads, the tables of a batch of unequal lengths among them; not the "
          "arrays of the call.");
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
         bool return_sequences, bool keep, const py::object& mask, const py::object& lengths,
         bool zero_output_for_mask, bool keep_time_order, const py::object& input_dropout,
         const py::object& recurrent_dropout, const py::object& zoneout, int threads, const std::string& isa,
         const std::string& path, index k_block) {
        const py::array inputs = checked_array(inputs_object, "inputs");
        const Options options{
            mask, lengths, zero_output_for_mask, keep_time_order, input_dropout, recurrent_dropout, zoneout};
        const PlanRequest request = checked_request(threads, path, k_block);
        return with_scalar(element_type(inputs), [&](auto scalar) {
          return forward<decltype(scalar)>(cell, inputs, kernel, recurrent_kernel, bias, initial_states,
                                           activation, recurrent_activation, go_backwards, return_sequences,
                                           keep, options, request, isa);
        });
      },
      py::arg("cell"), py::arg("inputs"), py::arg("kernel"), py::arg("recurrent_kernel"), py::arg("bias"),
      py::arg("initial_states"), py::arg("activation"), py::arg("recurrent_activation"),
      py::arg("go_backwards").noconvert(), py::arg("return_sequences").noconvert(),
      py::arg("keep").noconvert(), py::kw_only(), py::arg("mask") = py::none(),
      py::arg("lengths") = py::none(), py::arg("zero_output_for_mask").noconvert() = false,
      py::arg("keep_time_order").noconvert() = false, py::arg("input_dropout") = py::none(),
      py::arg("recurrent_dropout") = py::none(), py::arg("zoneout") = py::none(), py::arg("_threads") = 0,
      py::arg("_isa") = "", py::arg("_path") = "", py::arg("_k_block") = 0,
      "Runs a cell over inputs [B, T, F], or over packed ones [sum(lengths), F]. Returns (outputs [B, T, U], "
      "[sum(lengths), U] or [B, U], final states, cache or None).");
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
      py::arg("need_inputs").noconvert() = true, py::arg("_threads") = 0, py::arg("_path") = "",
      py::arg("_k_block") = 0,
      "Gradients of rnn_forward: (d_inputs or None, d_kernel, d_recurrent_kernel, d_bias or None, "
      "d_initial_states).");
}

}  // namespace timeloom
