// Functions of the module that Python calls without pybind11's dispatcher, which takes longer than a small
// kernel, and arguments that come in a tuple and a dict. Belongs here: how they are told apart. Does not:
// what the arguments mean.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

#include "bindings/checks.h"

namespace timeloom {

/// The arguments of a function by name. The first `required` must be given, those from `positional` on by
/// name.
template <std::size_t kCount>
struct Signature {
  const char* function;
  std::size_t required;
  std::size_t positional;
  const char* names[kCount];
  PyObject* interned[kCount] = {};

  /// Puts borrowed references into `values`, null for what was not given. TypeError for a call that does not
  /// fit. Needs the GIL.
  void read(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords, PyObject* (&values)[kCount]) {
    take(arguments, count, values);
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t i = 0; i < named; ++i) {
      put(PyTuple_GET_ITEM(keywords, i), arguments[count + i], values);
    }
    check(values);
  }

  /// The same for arguments in a tuple and a dict.
  void read(const py::tuple& arguments, const py::dict& keywords, PyObject* (&values)[kCount]) {
    take(&PyTuple_GET_ITEM(arguments.ptr(), 0), PyTuple_GET_SIZE(arguments.ptr()), values);
    for (const auto& [name, value] : keywords) put(name.ptr(), value.ptr(), values);
    check(values);
  }

 private:
  void take(PyObject* const* arguments, Py_ssize_t count, PyObject* (&values)[kCount]) const {
    const auto given = static_cast<std::size_t>(count);
    if (given > positional) {
      throw py::type_error(std::string(function) + ": expected at most " + std::to_string(positional) +
                           " positional arguments, got " + std::to_string(given));
    }
    for (std::size_t i = 0; i < given; ++i) values[i] = arguments[i];
  }

  void put(PyObject* keyword, PyObject* value, PyObject* (&values)[kCount]) {
    const std::size_t place = place_of(keyword);
    if (values[place]) throw py::type_error(std::string(names[place]) + ": expected one value, got two");
    values[place] = value;
  }

  void check(PyObject* const (&values)[kCount]) const {
    for (std::size_t i = 0; i < required; ++i) {
      if (!values[i]) throw py::type_error(std::string(names[i]) + ": expected a value, got none");
    }
  }

  std::size_t place_of(PyObject* keyword) {
    if (!interned[0]) {
      for (std::size_t i = 0; i < kCount; ++i) interned[i] = PyUnicode_InternFromString(names[i]);
    }
    for (std::size_t i = 0; i < kCount; ++i) {  // names in source code are interned
      if (keyword == interned[i]) return i;
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      if (PyUnicode_Compare(keyword, interned[i]) == 0) return i;
    }
    throw py::type_error(std::string(function) + ": expected an argument it knows, got '" +
                         std::string(py::str(keyword)) + "'");
  }
};

/// Runs f(), which returns a py::object, and turns what it throws into a Python exception.
template <class Function>
PyObject* guarded(const Function& f) noexcept {
  try {
    return f().release().ptr();
  } catch (...) {
    py::detail::try_translate_exceptions();
    return nullptr;
  }
}

/// A tuple of these objects.
template <class... Objects>
py::object packed_tuple(const Objects&... objects) {
  PyObject* const made = PyTuple_Pack(sizeof...(objects), objects.ptr()...);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

/// What describes `function` to Python; `text` begins with its signature.
template <PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*)>
PyMethodDef fast_method(const char* name, const char* text) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
          METH_FASTCALL | METH_KEYWORDS, text};
}

/// Adds a function to the module; `method` must live on.
inline void add_function(py::module_& module, PyMethodDef& method) {
  const py::str name = module.attr("__name__");
  module.attr(method.ml_name) =
      py::reinterpret_steal<py::object>(PyCFunction_NewEx(&method, module.ptr(), name.ptr()));
}

/// The characters of a Python string; TypeError for anything else. Valid as long as the object lives.
inline std::string_view checked_text(PyObject* object, std::string_view argument) {
  if (!PyUnicode_Check(object)) refuse_type(argument, "a string", Py_TYPE(object)->tp_name);
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (!text) throw py::error_already_set();
  return {text, static_cast<std::size_t>(size)};
}

/// True or False, nothing that only converts to one; null: False.
inline bool checked_flag(PyObject* object, std::string_view argument) {
  if (!object || object == Py_False) return false;
  if (object != Py_True) refuse_type(argument, "True or False", Py_TYPE(object)->tp_name);
  return true;
}

/// An integer; null: 0.
inline long long checked_integer(PyObject* object, std::string_view argument) {
  if (!object) return 0;
  if (!PyLong_Check(object)) refuse_type(argument, "an integer", Py_TYPE(object)->tp_name);
  const long long value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

}  // namespace timeloom
