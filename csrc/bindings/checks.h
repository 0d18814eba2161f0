// Checks of what Python passes: every refusal reads `argument: expected ..., got ...` and comes before any
// write. Belongs here: what several bind_*.cpp ask of an array, a name or a number. Does not: sizes of one
// operation.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/activation.h"
#include "base/views.h"
#include "runtime/isa.h"
#include "runtime/parallel.h"
#include "runtime/thread_plan.h"

namespace timeloom {

namespace py = pybind11;

/// The two element types of the kernels.
enum class ElementType { float32, float64 };

inline const char* name_of(ElementType type) { return type == ElementType::float32 ? "float32" : "float64"; }

[[noreturn]] inline void refuse(std::string_view argument, std::string_view expected, std::string_view got) {
  throw py::value_error(std::string(argument) + ": expected " + std::string(expected) + ", got " +
                        std::string(got));
}

[[noreturn]] inline void refuse_type(std::string_view argument, std::string_view expected,
                                     std::string_view got) {
  throw py::type_error(std::string(argument) + ": expected " + std::string(expected) + ", got " +
                       std::string(got));
}

/// A shape as Python writes it: (2, 3), (2,), ().
template <class Sizes>
std::string shape_text(const Sizes& sizes) {
  std::string text = "(";
  std::size_t count = 0;
  for (const auto size : sizes) {
    if (count++ > 0) text += ", ";
    text += size < 0 ? "any" : std::to_string(size);
  }
  return text + (count == 1 ? ",)" : ")");
}

inline std::vector<index> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

/// NumPy's one object for this element type in native byte order. Borrowed.
inline PyObject* descriptor_of(ElementType type) {
  static PyObject* const float32 = py::dtype::of<float>().release().ptr();
  static PyObject* const float64 = py::dtype::of<double>().release().ptr();
  return type == ElementType::float32 ? float32 : float64;
}

/// A fresh array whose elements hold anything.
template <class Sizes>
py::array empty_array(ElementType type, const Sizes& sizes) {
  const auto& numpy = py::detail::npy_api::get();
  PyObject* const descriptor = descriptor_of(type);
  Py_INCREF(descriptor);  // taken over by the call
  PyObject* const made =
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descriptor, static_cast<int>(sizes.size()),
                                  std::data(sizes), nullptr, nullptr, 0, nullptr);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(made);
}

/// `object` as an array of float32 or float64 in native byte order, C-contiguous and aligned; TypeError for
/// anything but such an element type, ValueError for another layout. Nothing is copied or converted, unless
/// `copies`: then an array of another layout is copied.
inline py::array checked_array(py::handle object, std::string_view argument, bool copies = false) {
  if (!py::isinstance<py::array>(object)) {
    refuse_type(argument, "a NumPy array", Py_TYPE(object.ptr())->tp_name);
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  constexpr int kLayout = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & kLayout) == kLayout) {
    PyObject* const descriptor = py::detail::array_proxy(array.ptr())->descr;
    if (descriptor == descriptor_of(ElementType::float32) ||
        descriptor == descriptor_of(ElementType::float64))
      return array;
  }
  const py::dtype type = array.dtype();
  const bool is_float = type.kind() == 'f' && (type.itemsize() == 4 || type.itemsize() == 8);
  if (!is_float || type.byteorder() != '=') {
    refuse_type(argument, "dtype float32 or float64", std::string(py::str(type)));
  }
  if (copies && (array.flags() & kLayout) != kLayout) {
    PyObject* const copy =
        py::detail::npy_api::get().PyArray_FromAny_(array.ptr(), nullptr, 0, 0, kLayout, nullptr);
    if (!copy) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(copy);
  }
  if (!(array.flags() & py::array::c_style)) {
    refuse(argument, "a C-contiguous array",
           "strides " + shape_text(std::vector<index>(array.strides(), array.strides() + array.ndim())) +
               " for shape " + shape_text(shape_of(array)));
  }
  if (!(array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
    refuse(argument, "an aligned array", "unaligned memory");
  return array;
}

/// The element type of an array that passed checked_array.
inline ElementType element_type(const py::array& array) {
  return array.itemsize() == 4 ? ElementType::float32 : ElementType::float64;
}

/// As above, and the element type must be `type`.
inline py::array checked_array(py::handle object, std::string_view argument, ElementType type,
                               bool copies = false) {
  py::array array = checked_array(object, argument, copies);
  if (element_type(array) != type) {
    refuse_type(argument, std::string("dtype ") + name_of(type), name_of(element_type(array)));
  }
  return array;
}

/// Requires exactly this shape; a negative size stands for any.
template <class Sizes>
void check_shape(const py::array& array, std::string_view argument, const Sizes& sizes) {
  bool same = array.ndim() == static_cast<index>(sizes.size());
  index axis = 0;
  for (const auto size : sizes) {
    if (!same) break;
    same = size < 0 || array.shape(axis) == size;
    ++axis;
  }
  if (!same) refuse(argument, "shape " + shape_text(sizes), shape_text(shape_of(array)));
}

inline void check_shape(const py::array& array, std::string_view argument,
                        std::initializer_list<index> sizes) {
  check_shape<std::initializer_list<index>>(array, argument, sizes);
}

inline void check_rank(const py::array& array, std::string_view argument, index rank) {
  if (array.ndim() != rank) {
    refuse(argument, "an array with " + std::to_string(rank) + " axes",
           "shape " + shape_text(shape_of(array)));
  }
}

inline void check_writable(const py::array& array, std::string_view argument) {
  if (!array.writeable()) refuse(argument, "a writable array", "a read-only one");
}

/// The activation of this name.
inline Activation checked_activation(std::string_view name, std::string_view argument) {
#define TIMELOOM_NAMED(kind) \
  if (name == #kind) return Activation::kind;
  TIMELOOM_ACTIVATIONS(TIMELOOM_NAMED)
#undef TIMELOOM_NAMED
  std::string names;
#define TIMELOOM_LISTED(kind) names += names.empty() ? #kind : ", " #kind;
  TIMELOOM_ACTIVATIONS(TIMELOOM_LISTED)
#undef TIMELOOM_LISTED
  refuse(argument, "one of " + names, "'" + std::string(name) + "'");
}

/// The name of an activation.
inline const char* activation_name(Activation activation) {
#define TIMELOOM_NAMED(kind) \
  if (activation == Activation::kind) return #kind;
  TIMELOOM_ACTIVATIONS(TIMELOOM_NAMED)
#undef TIMELOOM_NAMED
  return "";
}

/// A number of threads; 0 stands for the default.
inline int checked_thread_count(long long threads, std::string_view argument) {
  if (threads < 0 || threads > kMostThreads) {
    refuse(argument, "0 (the default) or a positive integer up to " + std::to_string(kMostThreads),
           std::to_string(threads));
  }
  return static_cast<int>(threads);
}

/// The threads for a call of about `work` nanoseconds on one thread: `requested` if positive (and all of them
/// are waited for), else what the plan says. A call asks once: the limit may change while it has no GIL.
inline Crew checked_crew(int requested, double work) {
  const bool forced = checked_thread_count(requested, "_threads") > 0;
  return {forced ? requested : threads_for(work * 1e-9), work * 1e-9, forced};
}

/// Runs f, without the GIL when `work` nanoseconds on one thread outweigh giving it back, or where f `waits`
/// for the threads of another call, which may need it.
template <class Function>
void without_gil(double work, bool waits, const Function& f) {
  constexpr double kWorthReleasing = 20e3;
  if (work > kWorthReleasing || waits) {
    const py::gil_scoped_release released;
    f();
  } else {
    f();
  }
}

/// Runs f(worker) for every share of the crew.
template <class Function>
void run_kernel(const Crew& crew, const Function& function) {
  without_gil(crew.seconds * 1e9, crew.all, [&] { run_shares(crew, function); });
}

template <class Function>
void run_kernel(int requested_threads, double work, const Function& function) {
  run_kernel(checked_crew(requested_threads, work), function);
}

/// The kernels of one element type.
template <class Scalar>
const Kernels<Scalar>& kernels_of(const KernelTable& table) {
  if constexpr (sizeof(Scalar) == sizeof(float)) {
    return table.f32;
  } else {
    return table.f64;
  }
}

/// f(Scalar{}) with the C++ type of an element type.
template <class Function>
auto with_scalar(ElementType type, const Function& f) {
  return type == ElementType::float32 ? f(float{}) : f(double{});
}

}  // namespace timeloom
