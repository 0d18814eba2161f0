// A call of rnn_forward in three parts: checked with the GIL, run without it, turned into Python's results.
// Belongs here: what its arguments mean. Does not: what masks and lengths may be (rnn_call.h).
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bindings/fast_call.h"
#include "bindings/rnn_call.h"
#include "runtime/isa.h"

namespace timeloom {

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

/// What Python gave, borrowed; null for what it left out.
using ForwardValues = PyObject* [kForwardArguments];

/// The inputs of a call: their element type is that of everything else.
inline py::array checked_inputs(const ForwardValues& values) {
  return checked_array(values[kInputs], "inputs", checked_flag(values[kCopies], "copies"));
}

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

template <class Scalar>
class ForwardCall {
 public:
  /// Checks everything and makes the arrays of the results.
  ForwardCall(const py::array& inputs, const ForwardValues& values);
  ForwardCall(const ForwardCall&) = delete;
  ForwardCall& operator=(const ForwardCall&) = delete;

  double work() const { return work_of(call_, rows_); }
  /// Roughly: masked timesteps count here.
  RnnPlan plan() const {
    const Timesteps& given = call_.timesteps;
    const index steps = given.packed ? rows_ / std::max<index>(given.batch, 1) : given.timesteps;
    return plan_of(call_, steps, rows_, false, request_);
  }
  const PlanRequest& request() const { return request_; }

  /// Without the GIL, on any thread.
  void run(const PlanRequest& request) {
    recurrent_forward(call_, return_sequences_ ? written_ : nullptr, return_sequences_ ? nullptr : written_,
                      final_states_, kept_cache_ ? &memory_ : nullptr, request, packing_);
  }

  /// After `run`, once: a tuple of outputs, final states and the cache or None.
  py::object result();

 private:
  static constexpr ElementType kType = sizeof(Scalar) == 4 ? ElementType::float32 : ElementType::float64;

  const Scalar* take(py::handle object, std::string_view argument, std::initializer_list<index> shape);

  const PlanRequest request_;
  const bool copies_;
  const bool return_sequences_;
  std::unique_ptr<RnnCache> kept_cache_;  // without a gradient nothing outlives this call
  std::optional<RnnCache> own_cache_;
  RnnCache& cache_;
  RecurrentCall<Scalar> call_{};
  index rows_ = 0;
  py::object outputs_;
  py::object states_;
  Scalar* written_ = nullptr;
  Scalar* final_states_[kMaxStates] = {};
  RecurrentMemory<Scalar> memory_{};
  std::optional<PackedForm<Scalar>> packed_;
  Packing<Scalar> packing_;
};

template <class Scalar>
const Scalar* ForwardCall<Scalar>::take(py::handle object, std::string_view argument,
                                        std::initializer_list<index> shape) {
  if (object.is_none()) return nullptr;
  py::array array = shaped_array(object, argument, kType, shape, copies_);
  const Scalar* data = data_of<Scalar>(array);
  cache_.hold(std::move(array));
  return data;
}

template <class Scalar>
ForwardCall<Scalar>::ForwardCall(const py::array& inputs, const ForwardValues& values)
    : request_(checked_request(values[kThreads], values[kPath], values[kKBlock])),
      copies_(checked_flag(values[kCopies], "copies")),
      return_sequences_(checked_flag(values[kReturnSequences], "return_sequences")),
      kept_cache_(checked_flag(values[kKeep], "keep") ? std::make_unique<RnnCache>() : nullptr),
      cache_(kept_cache_ ? *kept_cache_ : own_cache_.emplace()) {
  const KernelTable& table =
      values[kIsa] ? table_for(std::string(checked_text(values[kIsa], "_isa")).c_str()) : active_table();
  const auto or_none = [](PyObject* object) { return py::handle(object ? object : Py_None); };
  const Options options{or_none(values[kMask]),
                        or_none(values[kLengths]),
                        checked_flag(values[kZeroOutputForMask], "zero_output_for_mask"),
                        checked_flag(values[kKeepTimeOrder], "keep_time_order"),
                        or_none(values[kInputDropout]),
                        or_none(values[kRecurrentDropout]),
                        or_none(values[kZoneout])};
  call_.cell = &cell_kernels<Scalar>(table, checked_text(values[kCell], "cell"));
  const CellInfo& info = *call_.cell->info;

  call_.timesteps = checked_timesteps(inputs, options, cache_);
  call_.timesteps.go_backwards = checked_flag(values[kGoBackwards], "go_backwards");
  call_.timesteps.keep_time_order = options.keep_time_order;
  call_.zero_masked_outputs = options.zero_output_for_mask;
  const index batch = call_.timesteps.batch;
  call_.features = inputs.shape(inputs.ndim() - 1);
  if (call_.features == 0) refuse("inputs", "at least one feature", "shape " + shape_text(shape_of(inputs)));
  rows_ = inputs.size() / call_.features;
  const py::array recurrent = checked_array(values[kRecurrentKernel], "recurrent_kernel", kType, copies_);
  check_rank(recurrent, "recurrent_kernel", 2);
  call_.units = recurrent.shape(0);
  const index units = call_.units;
  if (units == 0) refuse("recurrent_kernel", "at least one unit", "shape " + shape_text(shape_of(recurrent)));
  cache_.hold(inputs);
  call_.inputs = data_of<Scalar>(inputs);
  call_.recurrent_kernel = take(recurrent, "recurrent_kernel", {units, info.state_gates * units});
  call_.kernel = take(values[kKernel], "kernel", {call_.features, info.input_gates * units});
  if (!call_.kernel) refuse_type("kernel", "a NumPy array", "NoneType");
  cache_.has_bias = values[kBias] != Py_None;
  const index width = std::max(info.input_gates, info.state_gates) * units;
  call_.bias = info.bias_rows == 1 ? take(values[kBias], "bias", {width})
                                   : take(values[kBias], "bias", {info.bias_rows, width});
  if (values[kInitialStates] != Py_None) {
    static_assert(kMaxStates == 2);
    constexpr std::string_view kNames[] = {"initial_states[0]", "initial_states[1]"};
    const py::tuple initial = checked_tuple(values[kInitialStates], "initial_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      call_.initial[which] = take(PyTuple_GET_ITEM(initial.ptr(), which), kNames[which], {batch, units});
    }
  }
  call_.input_dropout =
      take(options.input_dropout, "input_dropout", {info.input_gates, batch, call_.features});
  call_.recurrent_dropout =
      take(options.recurrent_dropout, "recurrent_dropout", {info.state_gates, batch, units});
  cache_.inputs_shape = inputs.ndim() == 3 ? Shape{{inputs.shape(0), inputs.shape(1), inputs.shape(2)}, 3}
                                           : Shape{{inputs.shape(0), inputs.shape(1)}, 2};
  Shape sequence_shape = cache_.inputs_shape;
  sequence_shape.sizes[sequence_shape.axes - 1] = units;
  take_zoneout(options.zoneout, info, kType, sequence_shape, call_, cache_);
  call_.activation = checked_activation(checked_text(values[kActivation], "activation"), "activation");
  call_.recurrent_activation = checked_activation(
      checked_text(values[kRecurrentActivation], "recurrent_activation"), "recurrent_activation");
  if (values[kWeights] && values[kWeights] != Py_None) {
    cache_.weights = py::cast<std::shared_ptr<PackedWeights>>(py::handle(values[kWeights]));
  }

  const Shape last_shape{{batch, units}, 2};
  cache_.outputs_shape = return_sequences_ ? sequence_shape : last_shape;
  py::array outputs = empty_array(kType, cache_.outputs_shape);
  written_ = static_cast<Scalar*>(outputs.mutable_data());
  outputs_ = std::move(outputs);
  states_ = py::tuple(info.states);
  for (int which = 0; which < info.states; ++which) {
    py::array state = empty_array(kType, last_shape);
    final_states_[which] = static_cast<Scalar*>(state.mutable_data());
    PyTuple_SET_ITEM(states_.ptr(), which, state.release().ptr());
  }
  packed_.emplace(cache_.weights.get(), call_, false);
  packing_ = packed_->packing();
}

template <class Scalar>
py::object ForwardCall<Scalar>::result() {
  packed_->keep();
  py::object kept = py::none();
  if (kept_cache_) {
    cache_.type = kType;
    cache_.hold(outputs_);
    cache_.return_sequences = return_sequences_;
    cache_.call = call_;
    cache_.memory = std::move(memory_);
    kept = py::cast(std::move(kept_cache_));
  }
  return packed_tuple(outputs_, states_, kept);
}

}  // namespace timeloom
