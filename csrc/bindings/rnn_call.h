// What a recurrent call may hold beside weights: masks, lengths, zoneout; checked, and copied where the
// kernels rely on it. Belongs here: RnnCache and these checks. Does not: the calls themselves
// (forward_call.h, backward_call.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "bindings/checks.h"
#include "bindings/fast_call.h"
#include "bindings/packed_weights.h"
#include "runtime/recurrent.h"

namespace timeloom {

/// Lengths of up to three axes.
struct Shape {
  index sizes[3];
  index axes;

  std::size_t size() const { return static_cast<std::size_t>(axes); }
  const index* data() const { return sizes; }
  const index* begin() const { return sizes; }
  const index* end() const { return sizes + axes; }
};

/// inputs, kernel, recurrent_kernel, bias, two sorts of factors, outputs; initial states and zoneout.
constexpr std::size_t kMostArrays = 7 + 2 * kMaxStates;

/// What forward gives to backward: the call, the arrays it points into, and what was kept. Opaque in Python,
/// never changed.
struct RnnCache {
  ElementType type;
  bool return_sequences;
  bool has_bias;
  Shape inputs_shape;
  Shape outputs_shape;
  std::array<py::object, kMostArrays> arrays;  // keeps the memory of the call alive
  std::size_t array_count = 0;
  std::shared_ptr<PackedWeights> weights;  // or null
  std::vector<unsigned char> mask;         // copies: the caller may change the arrays while the kernels run
  std::vector<std::int64_t> lengths;
  std::variant<RecurrentCall<float>, RecurrentCall<double>> call;
  std::variant<RecurrentMemory<float>, RecurrentMemory<double>> memory;

  void hold(py::object array) { arrays[array_count++] = std::move(array); }
};

/// What a caller forces of the plan.
inline PlanRequest checked_request(PyObject* threads, PyObject* path, PyObject* state_block) {
  const auto block = static_cast<index>(checked_integer(state_block, "_k_block"));
  if (block < 0) refuse("_k_block", "0 (the default) or a positive integer", std::to_string(block));
  return {checked_thread_count(checked_integer(threads, "_threads"), "_threads"),
          std::string(path ? checked_text(path, "_path") : std::string_view()), block};
}

/// Nanoseconds of a call over `rows` rows of inputs on one thread, roughly.
template <class Scalar>
double work_of(const RecurrentCall<Scalar>& call, index rows) {
  const CellInfo& info = *call.cell->info;
  return static_cast<double>(rows) * static_cast<double>(call.units) *
         static_cast<double>(info.input_gates * call.features + info.state_gates * call.units) / 30.0;
}

inline py::array shaped_array(py::handle object, std::string_view argument, ElementType type,
                              std::initializer_list<index> shape, bool copies = false) {
  py::array array = checked_array(object, argument, type, copies);
  check_shape(array, argument, shape);
  return array;
}

/// `count` arrays, or None in place of any.
inline py::tuple checked_tuple(py::handle object, std::string_view argument, int count) {
  const auto expected = [count] {
    return std::to_string(count) + (count == 1 ? " array" : " arrays") + " or None";
  };
  if (!py::isinstance<py::sequence>(object)) {
    refuse_type(argument, "a sequence of " + expected(), Py_TYPE(object.ptr())->tp_name);
  }
  py::tuple items(py::reinterpret_borrow<py::object>(object));
  if (static_cast<int>(items.size()) != count) refuse(argument, expected(), std::to_string(items.size()));
  return items;
}

template <class Scalar>
const Scalar* data_of(const py::array& array) {
  return static_cast<const Scalar*>(array.data());
}

/// The options of rnn_forward that most calls leave at their defaults.
struct Options {
  py::handle mask;  // None as those below
  py::handle lengths;
  bool zero_output_for_mask;
  bool keep_time_order;
  py::handle input_dropout;
  py::handle recurrent_dropout;
  py::handle zoneout;
};

/// A C-contiguous array of one axis or two with this kind of dtype and this item size.
inline py::array checked_table(py::handle object, std::string_view argument, std::string_view kinds,
                               index itemsize, std::string_view expected) {
  if (!py::isinstance<py::array>(object)) {
    refuse_type(argument, expected, Py_TYPE(object.ptr())->tp_name);
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  const py::dtype type = array.dtype();
  if (kinds.find(type.kind()) == std::string_view::npos || type.itemsize() != itemsize ||
      (type.byteorder() != '=' && type.byteorder() != '|')) {
    refuse_type(argument, expected, std::string(py::str(type)));
  }
  if (!(array.flags() & py::array::c_style)) {
    refuse(argument, "a C-contiguous array",
           "strides " + shape_text(std::vector<index>(array.strides(), array.strides() + array.ndim())));
  }
  return array;
}

/// Which timesteps are real; the copies go into the cache.
inline Timesteps checked_timesteps(const py::array& inputs, const Options& options, RnnCache& cache) {
  Timesteps timesteps{};
  timesteps.packed = inputs.ndim() == 2;
  if (!options.mask.is_none() && !options.lengths.is_none()) {
    refuse("lengths", "None beside a mask", "both");
  }
  if (timesteps.packed && options.lengths.is_none()) {
    refuse("inputs", "3 axes [batch, timesteps, features], or lengths beside 2 axes [rows, features]",
           "shape " + shape_text(shape_of(inputs)) + " without lengths");
  }
  if (!timesteps.packed) {
    check_rank(inputs, "inputs", 3);
    timesteps.batch = inputs.shape(0);
    timesteps.timesteps = inputs.shape(1);
    if (timesteps.timesteps == 0) {
      refuse("inputs", "at least one timestep", "shape " + shape_text(shape_of(inputs)));
    }
  }
  if (!options.mask.is_none()) {
    const py::array mask = checked_table(options.mask, "mask", "bu", 1, "an array of bool");
    check_shape(mask, "mask", {timesteps.batch, timesteps.timesteps});
    const auto* data = data_of<unsigned char>(mask);
    cache.mask.assign(data, data + mask.size());
    timesteps.mask = cache.mask.data();
  }
  if (!options.lengths.is_none()) {
    const py::array lengths = checked_table(options.lengths, "lengths", "i", 8, "an array of int64");
    check_rank(lengths, "lengths", 1);
    const auto* data = data_of<std::int64_t>(lengths);
    cache.lengths.assign(data, data + lengths.size());
    timesteps.lengths = cache.lengths.data();
    if (timesteps.packed) timesteps.batch = lengths.size();
    check_shape(lengths, "lengths", {timesteps.batch});
    const index most = timesteps.packed ? inputs.shape(0) : timesteps.timesteps;
    index total = 0;
    for (const std::int64_t length : cache.lengths) {
      if (length < 0 || length > most) {
        refuse("lengths", "lengths in [0, " + std::to_string(most) + "]", std::to_string(length));
      }
      total += static_cast<index>(length);
      if (timesteps.packed && total > most) break;
    }
    if (timesteps.packed && total != most) {
      refuse("lengths", "a sum of " + std::to_string(most) + ", the rows of packed inputs",
             total > most ? "more" : std::to_string(total));
    }
  }
  return timesteps;
}

/// Zoneout: one entry per state, each None, a rate or an array laid out as the outputs of every timestep.
template <class Scalar>
void take_zoneout(py::handle object, const CellInfo& info, ElementType type, const Shape& shape,
                  RecurrentCall<Scalar>& call, RnnCache& cache) {
  if (object.is_none()) return;
  const py::tuple parts = checked_tuple(object, "zoneout", info.states);
  for (int which = 0; which < info.states; ++which) {
    const std::string argument = "zoneout[" + std::to_string(which) + "]";
    const py::object part = parts[which];
    if (part.is_none()) continue;
    if (py::isinstance<py::array>(part)) {
      py::array array = checked_array(part, argument, type);
      check_shape(array, argument, shape);
      call.zoneout[which] = data_of<Scalar>(array);
      cache.hold(std::move(array));
      continue;
    }
    if (!py::isinstance<py::float_>(part)) {
      refuse_type(argument, "None, a float or an array", Py_TYPE(part.ptr())->tp_name);
    }
    const double rate = py::cast<double>(part);
    if (!(rate >= 0.0 && rate <= 1.0)) refuse(argument, "a rate in [0, 1]", std::string(py::str(part)));
    call.zoneout_rate[which] = static_cast<Scalar>(rate);
  }
}

}  // namespace timeloom
