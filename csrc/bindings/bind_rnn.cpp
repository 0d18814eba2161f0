// Recurrent cells: rnn_cells, rnn_paths, rnn_forward, rnn_backward, and two calls of either at once.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/backward_call.h"
#include "bindings/forward_call.h"

namespace timeloom {
namespace {

/// Runs a call and makes its results.
template <class Call>
py::object run(Call& call) {
  without_gil(call.work(), call.request().threads > 0, [&] { call.run(call.request()); });
  return call.result();
}

/// Runs two calls and makes the results of both. `beside`: whether a thread each, None: the plan decides.
template <class One, class Other>
py::object run_both(One& one, Other& other, py::handle beside) {
  const bool at_once =
      beside.is_none() ? side_by_side(one.plan(), other.plan()) : checked_flag(beside.ptr(), "_side_by_side");
  if (at_once) {
    const py::gil_scoped_release released;  // the other thread needs the GIL where tracemalloc is on
    const auto on_one_thread = [](auto& call) {
      PlanRequest request = call.request();
      request.threads = 1;
      call.run(request);
    };
    run_side_by_side([&] { on_one_thread(one); }, [&] { on_one_thread(other); });
  } else {
    const bool waits = one.request().threads > 0 || other.request().threads > 0;
    without_gil(one.work() + other.work(), waits, [&] {
      one.run(one.request());
      other.run(other.request());
    });
  }
  const py::object result = one.result();
  return packed_tuple(result, other.result());
}

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

PyObject* rnn_forward(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return guarded([&]() -> py::object {
    ForwardValues values = {};
    forward_signature.read(arguments, count, keywords, values);
    const py::array inputs = checked_inputs(values);
    return with_scalar(element_type(inputs), [&](auto scalar) {
      ForwardCall<decltype(scalar)> call(inputs, values);
      return run(call);
    });
  });
}

py::object rnn_forward_both(const py::tuple& first, const py::dict& first_options, const py::tuple& second,
                            const py::dict& second_options, const py::object& beside) {
  ForwardValues values = {};
  ForwardValues other_values = {};
  forward_signature.read(first, first_options, values);
  forward_signature.read(second, second_options, other_values);
  const py::array inputs = checked_inputs(values);
  const py::array other_inputs = checked_inputs(other_values);
  return with_scalar(element_type(inputs), [&](auto scalar) {
    ForwardCall<decltype(scalar)> one(inputs, values);
    return with_scalar(element_type(other_inputs), [&](auto other_scalar) {
      ForwardCall<decltype(other_scalar)> other(other_inputs, other_values);
      return run_both(one, other, beside);
    });
  });
}

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

PyObject* rnn_backward(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return guarded([&]() -> py::object {
    BackwardValues values = {};
    backward_signature.read(arguments, count, keywords, values);
    const RnnCache& cache = checked_cache(values);
    return with_scalar(cache.type, [&](auto scalar) {
      BackwardCall<decltype(scalar)> call(cache, values);
      return run(call);
    });
  });
}

py::object rnn_backward_both(const py::tuple& first, const py::tuple& second, const py::object& beside) {
  BackwardValues values = {};
  BackwardValues other_values = {};
  backward_signature.read(first, {}, values);
  backward_signature.read(second, {}, other_values);
  const RnnCache& cache = checked_cache(values);
  const RnnCache& other_cache = checked_cache(other_values);
  return with_scalar(cache.type, [&](auto scalar) {
    BackwardCall<decltype(scalar)> one(cache, values);
    return with_scalar(other_cache.type, [&](auto other_scalar) {
      BackwardCall<decltype(other_scalar)> other(other_cache, other_values);
      return run_both(one, other, beside);
    });
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
  module.def("rnn_forward_both", &rnn_forward_both, py::arg("first"), py::arg("first_options"),
             py::arg("second"), py::arg("second_options"), py::kw_only(),
             py::arg("_side_by_side") = py::none(),
             "The results of two calls of rnn_forward, given by their arguments and those by name: side by "
             "side, a thread each, where that is sooner.");
  module.def("rnn_backward_both", &rnn_backward_both, py::arg("first"), py::arg("second"), py::kw_only(),
             py::arg("_side_by_side") = py::none(),
             "As rnn_forward_both, of two calls of rnn_backward, given by their arguments.");
}

}  // namespace timeloom
