// A call of rnn_backward in three parts, as forward_call.h has them.
#pragma once

#include <algorithm>
#include <string>

#include "bindings/fast_call.h"
#include "bindings/rnn_call.h"

namespace timeloom {

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

/// What Python gave, borrowed; null for what it left out.
using BackwardValues = PyObject* [kBackwardArguments];

/// What forward kept.
inline const RnnCache& checked_cache(const BackwardValues& values) {
  const py::handle cache = values[kCache];
  if (!py::isinstance<RnnCache>(cache)) {
    refuse_type("cache", "what rnn_forward kept", Py_TYPE(cache.ptr())->tp_name);
  }
  return py::cast<const RnnCache&>(cache);
}

template <class Scalar>
class BackwardCall {
 public:
  /// Checks everything and makes the arrays of the results.
  BackwardCall(const RnnCache& cache, const BackwardValues& values);
  BackwardCall(const BackwardCall&) = delete;
  BackwardCall& operator=(const BackwardCall&) = delete;

  double work() const { return work_of(call_, memory_.rows->total()); }
  RnnPlan plan() const {
    return plan_of(call_, memory_.rows->steps(), memory_.rows->total(), true, request_);
  }
  const PlanRequest& request() const { return request_; }

  /// Without the GIL, on any thread.
  void run(const PlanRequest& request) {
    recurrent_backward(call_, memory_, d_sequence_, d_last_, d_final_, gradients_, request, packing_);
  }

  /// After `run`, once: a tuple of the gradients of inputs, kernel, recurrent kernel, bias, initial states.
  py::object result() {
    packed_.keep();
    return packed_tuple(d_inputs_, d_kernel_, d_recurrent_, d_bias_, d_initial_);
  }

 private:
  py::array fresh(const Shape& shape, Scalar*& data) const {
    py::array array = empty_array(type_, shape);
    data = static_cast<Scalar*>(array.mutable_data());
    return array;
  }

  const PlanRequest request_;
  const ElementType type_;
  const RecurrentCall<Scalar>& call_;
  const RecurrentMemory<Scalar>& memory_;
  py::object d_outputs_;  // keeps the memory that the pointers below look into
  py::object d_final_arrays_[kMaxStates];
  const Scalar* d_sequence_ = nullptr;
  const Scalar* d_last_ = nullptr;
  const Scalar* d_final_[kMaxStates] = {};
  py::object d_inputs_ = py::none();
  py::object d_kernel_;
  py::object d_recurrent_;
  py::object d_bias_ = py::none();
  py::object d_initial_;
  RecurrentGradients<Scalar> gradients_{};
  PackedForm<Scalar> packed_;
  Packing<Scalar> packing_;
};

template <class Scalar>
BackwardCall<Scalar>::BackwardCall(const RnnCache& cache, const BackwardValues& values)
    : request_(checked_request(values[kBackwardThreads], values[kBackwardPath], values[kBackwardKBlock])),
      type_(cache.type),
      call_(std::get<RecurrentCall<Scalar>>(cache.call)),
      memory_(std::get<RecurrentMemory<Scalar>>(cache.memory)),
      packed_(cache.weights.get(), call_, true),
      packing_(packed_.packing()) {
  const bool need_inputs = !values[kNeedInputs] || checked_flag(values[kNeedInputs], "need_inputs");
  const bool copies = checked_flag(values[kCopiesGradients], "copies");
  const CellInfo& info = *call_.cell->info;
  const index batch = call_.timesteps.batch;
  const index units = call_.units;
  if (values[kGradientOfOutputs] != Py_None) {
    py::array array = checked_array(values[kGradientOfOutputs], "d_outputs", type_, copies);
    check_shape(array, "d_outputs", cache.outputs_shape);
    (cache.return_sequences ? d_sequence_ : d_last_) = data_of<Scalar>(array);
    d_outputs_ = std::move(array);
  }
  if (values[kGradientsOfStates] != Py_None) {
    const py::tuple d_states = checked_tuple(values[kGradientsOfStates], "d_states", info.states);
    for (int which = 0; which < info.states; ++which) {
      PyObject* const d_state = PyTuple_GET_ITEM(d_states.ptr(), which);
      if (d_state == Py_None) continue;
      py::array array =
          shaped_array(d_state, "d_states[" + std::to_string(which) + "]", type_, {batch, units}, copies);
      d_final_[which] = data_of<Scalar>(array);
      d_final_arrays_[which] = std::move(array);
    }
  }

  const index gates = std::max(info.input_gates, info.state_gates);
  d_kernel_ = fresh({{call_.features, info.input_gates * units}, 2}, gradients_.d_kernel);
  d_recurrent_ = fresh({{units, info.state_gates * units}, 2}, gradients_.d_recurrent_kernel);
  if (need_inputs) d_inputs_ = fresh(cache.inputs_shape, gradients_.d_inputs);
  if (cache.has_bias) {
    const Shape shape =
        info.bias_rows == 1 ? Shape{{gates * units}, 1} : Shape{{info.bias_rows, gates * units}, 2};
    d_bias_ = fresh(shape, gradients_.d_bias);
  }
  d_initial_ = py::tuple(info.states);
  for (int which = 0; which < info.states; ++which) {
    PyTuple_SET_ITEM(d_initial_.ptr(), which,
                     fresh({{batch, units}, 2}, gradients_.d_initial[which]).release().ptr());
  }
}

}  // namespace timeloom
