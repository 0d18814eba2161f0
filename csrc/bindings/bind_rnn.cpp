// Recurrent cells: rnn_cells, rnn_paths, rnn_forward, rnn_backward.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/fast_call.h"
#include "bindings/rnn_call.h"
#include "runtime/isa.h"

namespace timeloom {
namespace {

/// The cell of this name; those of both element types stand in the same order.
template <class Scalar>
const RnnKernels<Scalar>& cell_kernels(const KernelTable& table, std::string_view name) {
  const Kernels<Scalar>& kernels = kernels_of<Scalar>(table);
  for (int i = 0; i < kernels.cell_count; ++i) {
    if (name == kernels.cells[i].info->name) return kernels.cells[i];
  }
  std::string names;
  for (int i = 0; i < kernels.cell_count; ++i) {
    names += (i == 0 ? "" : ", ") + std::string(kernels.cells[i].info->name);
  }
  refuse("cell", "one of " + names, "'" + std::string(name) + "'");
}

PlanRequest checked_request(long long threads, std::string_view path, index state_block) {
  if (state_block < 0)
    refuse("_k_block", "0 (the default) or a positive integer", std::to_string(state_block));
  return {checked_thread_count(threads, "_threads"), std::string(path), state_block};
}

/// Nanoseconds of a call over `rows` rows of inputs on one thread, roughly.
double work_of(const CellInfo& info, index rows, index features, index units) {
  return static_cast<double>(rows) * static_cast<double>(units) *
         static_cast<double>(info.input_gates * features + info.state_gates * units) / 30.0;
}

/// The arguments of rnn_forward in their order.
enum ForwardArgument {
  kCell,
  kInputs,
  kKernel,
  kRecurrentKernel,
  kBias,
  kInitialStates,
  kActivation,
  kRecurrentActivation,
  kGoBackwards,
  kReturnSequences,
  kKeep,
  kWeights,
  kCopies,
  kMask,
  kLengths,
  kZeroOutputForMask,
  kKeepTimeOrder,
  kInputDropout,
  kRecurrentDropout,
  kZoneout,
  kThreads,
  kIsa,
  kPath,
  kKBlock,
  kForwardArguments
};

Signature<kForwardArguments> forward_signature{"rnn_forward",
                                               kKeep + 1,
                                               kMask,
                                               {"cell",
                                                "inputs",
                                                "kernel",
                                                "recurrent_kernel",
                                                "bias",
                                                "initial_states",
                                                "activation",
                                                "recurrent_activation",
                                                "go_backwards",
                                                "return_sequences",
                                                "keep",
                                                "weights",
                                                "copies",
                                                "mask",
                                                "lengths",
                                                "zero_output_for_mask",
                                                "keep_time_order",
                                                "input_dropout",
                                                "recurrent_dropout",
                                                "zoneout",
                                                "_threads",
                                                "_isa",
                                                "_path",
                                                "_k_block"}};

constexpr const char* kForwardText =
    "rnn_forward(cell: str, inputs: object, kernel: object, recurrent_kernel: object, bias: object, "
    "initial_states: object, activation: str, recurrent_activation: str, go_backwards: bool, "
    "return_sequences: bool, keep: bool, weights: PackedWeights | None = None, copies: bool = False, *, "
    "mask: object = None, lengths: object = None, zero_output_for_mask: bool = False, "
    "keep_time_order: bool = False, input_dropout: object = None, recurrent_dropout: object = None, "
    "zoneout: object = None, _threads: int = 0, _isa: str = '', _path: str = '', _k_block: int = 0) -> "
    "tuple\n"
    "\n"
    "Runs a cell over inputs [B, T, F], or over packed ones [sum(lengths), F]. Returns (outputs [B, T, U], "
    "[sum(lengths), U] or [B, U], final states, cache or None). With `weights` they are packed once for all "
    "calls until it is closed; with `copies` arrays of another layout are copied, else refused.";

using ForwardValues = PyObject* [kForwardArguments];

py::handle or_none(PyObject* object) { return object ? object : Py_None; }

template <class Scalar>
py::object forward(const py::array& inputs, const ForwardValues& values) {
  constexpr ElementType type = sizeof(Scalar) == 4 ? ElementType::float32 : ElementType::float64;
  const PlanRequest request =
      checked_request(checked_integer(values[kThreads], "_threads"),
                      values[kPath] ? checked_text(values[kPath], "_path") : std::string_view(),
                      static_cast<index>(checked_integer(values[kKBlock], "_k_block")));
  const KernelTable& table =
      values[kIsa] ? table_for(std::string(checked_text(values[kIsa], "_isa")).c_str()) : active_table();
  const bool copies = checked_flag(values[kCopies], "copies");
  const bool keep = checked_flag(values[kKeep], "keep");
  const bool return_sequences = checked_flag(values[kReturnSequences], "return_sequences");
  const Options options{or_none(values[kMask]),
                        or_none(values[kLengths]),
                        checked_flag(values[kZeroOutputForMask], "zero_output_for_mask"),
                        checked_flag(values[kKeepTimeOrder], "keep_time_order"),
                        or_none(values[kInputDropout]),
                        or_none(values[kRecurrentDropout]),
                        or_none(values[kZoneout])};

  std::unique_ptr<RnnCache> kept_cache;  // without a gradient nothing outlives this call
  std::optional<RnnCache> own_cache;
  if (keep) kept_cache = std::make_unique<RnnCache>();
  RnnCache& cache = keep ? *kept_cache : own_cache.emplace();
  RecurrentCall<Scalar> call{};
  call.cell = &cell_kernels<Scalar>(table, checked_text(values[kCell], "cell"));
  const CellInfo& info = *call.cell->info;
  const auto take = [&](py::handle object, std::string_view argument,
                        std::initializer_list<index> shape) -> const Scalar* {
    if (object.is_none()) return nullptr;
    py::array array = shaped_array(object, argument, type, shape, copies);
    const Scalar* data = data_of<Scalar>(array);
    cache.hold(std::move(array));
    return data;
  };

  call.timesteps = checked_timesteps(inputs, options, cache);
  call.timesteps.go_backwards = checked_flag(values[kGoBackwards], "go_backwards");
  call.timesteps.keep_time_order = options.keep_time_order;
  call.zero_masked_outputs = options.zero_output_for_mask;
  const index batch = call.timesteps.batch;
  call.features = inputs.shape(inputs.ndim() - 1);
  if (call.features == 0) refuse("inputs", "at least one feature", "shape " + shape_text(shape_of(inputs)));
  const py::array recurrent = checked_array(values[kRecurrentKernel], "recurrent_kernel", type, copies);
  check_rank(recurrent, "recurrent_kernel", 2);
  call.units = recurrent.shape(0);
  const index units = call.units;
  if (units == 0) refuse("recurrent_kernel", "at least one unit", "shape " + shape_text(shape_of(recurrent)));
  cache.hold(inputs);
  call.inputs = data_of<Scalar>(inputs);
  call.recurrent_kernel = take(recurrent, "recurrent_kernel", {units, info.state_gates * units});
  call.kernel = take(values[kKernel], "kernel", {call.features, info.input_gates * units});
  if (!call.kernel) refuse_type("kernel", "a NumPy array", "NoneType");
  cache.has_bias = values[kBias] != Py_None;
  const index width = std::max(info.input_gates, info.state_gates) * units;
  call.bias = info.bias_rows == 1 ? take(values[kBias], "bias", {width})
                                  : take(values[kBias], "bias", {info.bias_rows, width});
  if (values[kInitialStates] != Py_None) {
    static_assert(kMaxStates == 2);
    constexpr std::string_view kNames[] = {"initial_states[0]", "initial_states[1]"};
    const py::tuple initial = checked_tuple(values[kInitialStates], "initial_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      call.initial[which] = take(PyTuple_GET_ITEM(initial.ptr(), which), kNames[which], {batch, units});
    }
  }
  call.input_dropout = take(options.input_dropout, "input_dropout", {info.input_gates, batch, call.features});
  call.recurrent_dropout =
      take(options.recurrent_dropout, "recurrent_dropout", {info.state_gates, batch, units});
  const Shape last_shape{{batch, units}, 2};
  const Shape inputs_shape = inputs.ndim() == 3
                                 ? Shape{{inputs.shape(0), inputs.shape(1), inputs.shape(2)}, 3}
                                 : Shape{{inputs.shape(0), inputs.shape(1)}, 2};
  Shape sequence_shape = inputs_shape;
  sequence_shape.sizes[sequence_shape.axes - 1] = units;
  take_zoneout(options.zoneout, info, type, sequence_shape, call, cache);
  call.activation = checked_activation(checked_text(values[kActivation], "activation"), "activation");
  call.recurrent_activation = checked_activation(
      checked_text(values[kRecurrentActivation], "recurrent_activation"), "recurrent_activation");
  if (values[kWeights] && values[kWeights] != Py_None) {
    cache.weights = py::cast<std::shared_ptr<PackedWeights>>(py::handle(values[kWeights]));
  }

  cache.outputs_shape = return_sequences ? sequence_shape : last_shape;
  py::array outputs = empty_array(type, cache.outputs_shape);
  auto* const written = static_cast<Scalar*>(outputs.mutable_data());
  py::tuple states(info.states);
  Scalar* final_states[kMaxStates] = {};
  for (int which = 0; which < info.states; ++which) {
    py::array state = empty_array(type, last_shape);
    final_states[which] = static_cast<Scalar*>(state.mutable_data());
    PyTuple_SET_ITEM(states.ptr(), which, state.release().ptr());
  }
  RecurrentMemory<Scalar> memory{};
  PackedForm<Scalar> packed(cache.weights.get(), call, false);
  const Packing<Scalar> packing = packed.packing();
  without_gil(work_of(info, inputs.size() / call.features, call.features, units), [&] {
    recurrent_forward(call, return_sequences ? written : nullptr, return_sequences ? nullptr : written,
                      final_states, keep ? &memory : nullptr, request, packing);
  });
  packed.keep();
  py::object kept = py::none();
  if (keep) {
    cache.type = type;
    cache.inputs_shape = inputs_shape;
    cache.hold(outputs);
    cache.return_sequences = return_sequences;
    cache.call = call;
    cache.memory = std::move(memory);
    kept = py::cast(std::move(kept_cache));
  }
  return packed_tuple(outputs, states, kept);
}

PyObject* rnn_forward(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return guarded([&]() -> py::object {
    ForwardValues values = {};
    forward_signature.read(arguments, count, keywords, values);
    const py::array inputs =
        checked_array(values[kInputs], "inputs", checked_flag(values[kCopies], "copies"));
    return with_scalar(element_type(inputs),
                       [&](auto scalar) { return forward<decltype(scalar)>(inputs, values); });
  });
}

/// The arguments of rnn_backward in their order.
enum BackwardArgument {
  kCache,
  kGradientOfOutputs,
  kGradientsOfStates,
  kNeedInputs,
  kCopiesGradients,
  kBackwardThreads,
  kBackwardPath,
  kBackwardKBlock,
  kBackwardArguments
};

Signature<kBackwardArguments> backward_signature{
    "rnn_backward",
    kGradientsOfStates + 1,
    kBackwardThreads,
    {"cache", "d_outputs", "d_states", "need_inputs", "copies", "_threads", "_path", "_k_block"}};

constexpr const char* kBackwardText =
    "rnn_backward(cache: RnnCache, d_outputs: object, d_states: object, need_inputs: bool = True, copies: "
    "bool = False, *, _threads: int = 0, _path: str = '', _k_block: int = 0) -> tuple\n"
    "\n"
    "Gradients of rnn_forward: (d_inputs or None, d_kernel, d_recurrent_kernel, d_bias or None, "
    "d_initial_states). With `copies` arrays of another layout are copied, else refused.";

using BackwardValues = PyObject* [kBackwardArguments];

template <class Scalar>
py::object backward(const RnnCache& cache, const BackwardValues& values) {
  const PlanRequest request = checked_request(
      checked_integer(values[kBackwardThreads], "_threads"),
      values[kBackwardPath] ? checked_text(values[kBackwardPath], "_path") : std::string_view(),
      static_cast<index>(checked_integer(values[kBackwardKBlock], "_k_block")));
  const bool need_inputs = !values[kNeedInputs] || checked_flag(values[kNeedInputs], "need_inputs");
  const bool copies = checked_flag(values[kCopiesGradients], "copies");
  const auto& call = std::get<RecurrentCall<Scalar>>(cache.call);
  const auto& memory = std::get<RecurrentMemory<Scalar>>(cache.memory);
  const CellInfo& info = *call.cell->info;
  const index units = call.units;
  const index batch = call.timesteps.batch;
  const Scalar* d_sequence = nullptr;
  const Scalar* d_last = nullptr;
  py::object d_outputs;
  if (values[kGradientOfOutputs] != Py_None) {
    py::array array = checked_array(values[kGradientOfOutputs], "d_outputs", cache.type, copies);
    check_shape(array, "d_outputs", cache.outputs_shape);
    (cache.return_sequences ? d_sequence : d_last) = data_of<Scalar>(array);
    d_outputs = std::move(array);
  }
  const Scalar* d_final[kMaxStates] = {};
  py::object d_final_arrays[kMaxStates];
  if (values[kGradientsOfStates] != Py_None) {
    const py::tuple d_states = checked_tuple(values[kGradientsOfStates], "d_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      PyObject* const d_state = PyTuple_GET_ITEM(d_states.ptr(), which);
      if (d_state == Py_None) continue;
      py::array array = shaped_array(d_state, "d_states[" + std::to_string(which) + "]", cache.type,
                                     {batch, units}, copies);
      d_final[which] = data_of<Scalar>(array);
      d_final_arrays[which] = std::move(array);
    }
  }

  RecurrentGradients<Scalar> gradients{};
  const index gates = std::max(info.input_gates, info.state_gates);
  const auto fresh = [&](const Shape& shape, Scalar*& data) {
    py::array array = empty_array(cache.type, shape);
    data = static_cast<Scalar*>(array.mutable_data());
    return array;
  };
  const py::array d_kernel = fresh({{call.features, info.input_gates * units}, 2}, gradients.d_kernel);
  const py::array d_recurrent = fresh({{units, info.state_gates * units}, 2}, gradients.d_recurrent_kernel);
  py::object d_inputs = py::none();
  py::object d_bias = py::none();
  if (need_inputs) d_inputs = fresh(cache.inputs_shape, gradients.d_inputs);
  if (cache.has_bias) {
    d_bias =
        fresh(info.bias_rows == 1 ? Shape{{gates * units}, 1} : Shape{{info.bias_rows, gates * units}, 2},
              gradients.d_bias);
  }
  const py::tuple d_initial(info.states);
  for (int which = 0; which < info.states; ++which) {
    PyTuple_SET_ITEM(d_initial.ptr(), which,
                     fresh({{batch, units}, 2}, gradients.d_initial[which]).release().ptr());
  }
  PackedForm<Scalar> packed(cache.weights.get(), call, true);
  const Packing<Scalar> packing = packed.packing();
  without_gil(work_of(info, memory.rows->total(), call.features, units), [&] {
    recurrent_backward(call, memory, d_sequence, d_last, d_final, gradients, request, packing);
  });
  packed.keep();
  return packed_tuple(d_inputs, d_kernel, d_recurrent, d_bias, d_initial);
}

PyObject* rnn_backward(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return guarded([&]() -> py::object {
    BackwardValues values = {};
    backward_signature.read(arguments, count, keywords, values);
    const py::handle cache_object = values[kCache];
    if (!py::isinstance<RnnCache>(cache_object)) {
      refuse_type("cache", "what rnn_forward kept", Py_TYPE(cache_object.ptr())->tp_name);
    }
    const auto& cache = py::cast<const RnnCache&>(cache_object);
    return with_scalar(cache.type, [&](auto scalar) { return backward<decltype(scalar)>(cache, values); });
  });
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
  py::class_<PackedWeights, std::shared_ptr<PackedWeights>>(
      module, "PackedWeights",
      "The weights of one cell as the kernels read them, packed by the first call that takes this object.")
      .def(py::init<>())
      .def("close", &PackedWeights::close, "The weights change: forget them and take nothing any more.")
      .def_property_readonly("nbytes", &PackedWeights::bytes);
  static PyMethodDef forward_method = fast_method<&rnn_forward>("rnn_forward", kForwardText);
  add_function(module, forward_method);
  static PyMethodDef backward_method = fast_method<&rnn_backward>("rnn_backward", kBackwardText);
  add_function(module, backward_method);
}

}  // namespace timeloom
