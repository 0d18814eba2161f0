// Optimizer steps, clipping and norms over all parameters at once.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "bindings/checks.h"

namespace timeloom {
namespace {

// Nanoseconds an element on one thread, measured on AVX2 and rounded up; only the choice of the threads
// depends on them.
constexpr double kStepCost = 1.0;
constexpr double kPassCost = 0.4;

std::string item(const std::string& list, std::size_t position) {
  return list + "[" + std::to_string(position) + "]";
}

/// An array that a call writes, by the name it goes by in messages.
struct Written {
  std::string name;
  const char* begin;
  const char* end;
};

/// Refuses two arrays that share memory: one would be written twice, by two threads perhaps.
void check_disjoint(std::vector<Written> arrays) {
  std::sort(arrays.begin(), arrays.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < arrays.size(); ++i) {
    if (arrays[i].begin < arrays[i - 1].end) {
      refuse(arrays[i].name, "memory of its own", "memory shared with " + arrays[i - 1].name);
    }
  }
}

void add_written(std::vector<Written>& written, const py::array& array, std::string name) {
  check_writable(array, name);
  if (array.size() == 0) return;
  const auto* begin = static_cast<const char*>(array.data());
  written.push_back({std::move(name), begin, begin + array.nbytes()});
}

/// The arrays of a list, all of one element type.
struct ArrayList {
  ElementType type = ElementType::float32;
  std::vector<py::array> arrays;
  index size = 0;
};

ArrayList checked_list(const py::sequence& objects, const std::string& argument) {
  ArrayList list;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const py::object object = objects[i];
    py::array array = i == 0 ? checked_array(object, item(argument, i))
                             : checked_array(object, item(argument, i), list.type);
    if (i == 0) list.type = element_type(array);
    list.size += array.size();
    list.arrays.push_back(std::move(array));
  }
  return list;
}

/// Parameters and the arrays an optimizer keeps beside them, checked once; it keeps them alive.
class SegmentTable {
 public:
  SegmentTable(const py::sequence& parameters, const py::sequence& slots)
      : parameters_(checked_list(parameters, "parameters")) {
    std::vector<Written> written;
    for (std::size_t i = 0; i < count(); ++i)
      add_written(written, parameters_.arrays[i], item("parameters", i));
    if (slots.size() != count()) {
      refuse("slots", std::to_string(count()) + " lists, one for each parameter",
             std::to_string(slots.size()));
    }
    for (std::size_t i = 0; i < count(); ++i) {
      const std::string name = item("slots", i);
      const py::object list = slots[i];
      if (!py::isinstance<py::sequence>(list) || py::isinstance<py::array>(list)) {
        refuse_type(name, "a list of arrays", Py_TYPE(list.ptr())->tp_name);
      }
      const py::tuple objects(list);
      if (objects.size() > kMaxSlots || (i > 0 && objects.size() != slots_[0].size())) {
        const std::size_t most = i > 0 ? slots_[0].size() : kMaxSlots;
        refuse(name, (i > 0 ? "" : "at most ") + std::to_string(most) + " arrays",
               std::to_string(objects.size()));
      }
      slots_.emplace_back();
      for (std::size_t kind = 0; kind < objects.size(); ++kind) {
        const py::object object = objects[kind];
        const py::array array = checked_array(object, item(name, kind), parameters_.type);
        check_shape(array, item(name, kind), shape_of(parameters_.arrays[i]));
        add_written(written, array, item(name, kind));
        slots_.back().push_back(array);
      }
    }
    check_disjoint(std::move(written));
  }

  std::size_t count() const { return parameters_.arrays.size(); }
  std::size_t slot_kinds() const { return slots_.empty() ? 0 : slots_[0].size(); }
  index size() const { return parameters_.size; }
  ElementType type() const { return parameters_.type; }
  const py::array& parameter(std::size_t i) const { return parameters_.arrays[i]; }
  const py::array& slot(std::size_t i, std::size_t kind) const { return slots_[i][kind]; }

 private:
  ArrayList parameters_;
  std::vector<std::vector<py::array>> slots_;
};

void check_count(const std::string& argument, std::size_t expected, std::size_t got) {
  if (got != expected) {
    refuse(argument, std::to_string(expected) + " items, one for each array", std::to_string(got));
  }
}

/// The positive limit of clip_value, infinity for None.
double checked_clip(const std::optional<double>& clip_value) {
  if (!clip_value) return std::numeric_limits<double>::infinity();
  if (!(*clip_value >= 0)) refuse("clip_value", "a number of at least 0", std::to_string(*clip_value));
  return *clip_value;
}

/// The pointers of one step. The arrays behind them stay alive with the lists.
template <class Scalar>
std::vector<Segment<Scalar>> segments_of(const SegmentTable& table, const ArrayList& gradients,
                                         const std::optional<std::vector<double>>& scales) {
  std::vector<Segment<Scalar>> segments(table.count());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    Segment<Scalar>& segment = segments[i];
    // Writability was checked when the table was made.
    segment.parameter = static_cast<Scalar*>(const_cast<void*>(table.parameter(i).data()));
    for (std::size_t kind = 0; kind < table.slot_kinds(); ++kind) {
      segment.slots[kind] = static_cast<Scalar*>(const_cast<void*>(table.slot(i, kind).data()));
    }
    segment.gradient = static_cast<const Scalar*>(gradients.arrays[i].data());
    segment.size = table.parameter(i).size();
    segment.gradient_scale = scales ? static_cast<Scalar>((*scales)[i]) : Scalar(1);
  }
  return segments;
}

/// What every step takes beside its own numbers.
struct StepArguments {
  const SegmentTable& table;
  const py::sequence& gradients;
  const std::optional<std::vector<double>>& gradient_scales;
  const std::optional<double>& clip_value;
  int threads;
  const std::string& isa;
};

/// Checks the arguments and runs step(kernels, segments, worker) over all segments; nothing is written
/// before.
template <class Step>
void run_step(const StepArguments& arguments, std::size_t slot_kinds, const char* slot_names,
              const Step& step) {
  const SegmentTable& table = arguments.table;
  if (table.count() > 0 && table.slot_kinds() < slot_kinds) {
    refuse("segments", std::to_string(slot_kinds) + " slots a parameter (" + slot_names + ")",
           std::to_string(table.slot_kinds()));
  }
  const py::tuple items(arguments.gradients);  // a length that no later look at the sequence changes
  check_count("gradients", table.count(), items.size());
  if (arguments.gradient_scales)
    check_count("gradient_scales", table.count(), arguments.gradient_scales->size());
  const double clip = checked_clip(arguments.clip_value);
  const ArrayList gradients = checked_list(items, "gradients");
  if (table.count() > 0 && gradients.type != table.type()) {
    refuse_type("gradients[0]", std::string("dtype ") + name_of(table.type()), name_of(gradients.type));
  }
  for (std::size_t i = 0; i < table.count(); ++i) {
    check_shape(gradients.arrays[i], item("gradients", i), shape_of(table.parameter(i)));
  }
  const KernelTable& kernels = table_for(arguments.isa.c_str());
  with_scalar(table.type(), [&](auto scalar) {
    using Scalar = decltype(scalar);
    const auto segments = segments_of<Scalar>(table, gradients, arguments.gradient_scales);
    const Segments<Scalar> call{segments.data(), static_cast<index>(segments.size()), table.size(),
                                static_cast<Scalar>(clip)};
    const double work = kStepCost * static_cast<double>(table.size());
    run_kernel(arguments.threads, work,
               [&](const Worker& worker) { step(kernels_of<Scalar>(kernels).optimizers, call, worker); });
  });
}

double checked_fraction(double value, const char* argument) {
  if (!(value >= 0 && value < 1)) refuse(argument, "a number in [0, 1)", std::to_string(value));
  return value;
}

void sgd_update(const SegmentTable& table, const py::sequence& gradients, double learning_rate,
                double momentum, bool nesterov, double weight_decay,
                const std::optional<std::vector<double>>& gradient_scales,
                const std::optional<double>& clip_value, int threads, const std::string& isa) {
  const bool has_momentum = momentum != 0;
  run_step({table, gradients, gradient_scales, clip_value, threads, isa}, has_momentum ? 1 : 0, "velocity",
           [&](const auto& kernels, const auto& call, const Worker& worker) {
             using Scalar = std::decay_t<decltype(call.clip)>;
             const SgdStep<Scalar> step{Scalar(learning_rate), Scalar(momentum), nesterov,
                                        Scalar(learning_rate * weight_decay)};
             kernels.sgd(call, step, worker);
           });
}

void rmsprop_update(const SegmentTable& table, const py::sequence& gradients, double learning_rate,
                    double rho, double momentum, double epsilon, bool centered, double weight_decay,
                    const std::optional<std::vector<double>>& gradient_scales,
                    const std::optional<double>& clip_value, int threads, const std::string& isa) {
  checked_fraction(rho, "rho");
  const std::size_t kinds = 1 + (momentum != 0 ? 1 : 0) + (centered ? 1 : 0);
  run_step({table, gradients, gradient_scales, clip_value, threads, isa}, kinds,
           "velocity, then momentum if not 0, then average gradient if centered",
           [&](const auto& kernels, const auto& call, const Worker& worker) {
             using Scalar = std::decay_t<decltype(call.clip)>;
             const RmspropStep<Scalar> step{Scalar(learning_rate),
                                            Scalar(rho),
                                            Scalar(1 - rho),
                                            Scalar(momentum),
                                            Scalar(epsilon),
                                            centered,
                                            Scalar(learning_rate * weight_decay)};
             kernels.rmsprop(call, step, worker);
           });
}

void adam_update(const SegmentTable& table, const py::sequence& gradients, double learning_rate,
                 double beta_1, double beta_2, double epsilon, long long step_number, bool amsgrad,
                 double weight_decay, const std::optional<std::vector<double>>& gradient_scales,
                 const std::optional<double>& clip_value, int threads, const std::string& isa) {
  checked_fraction(beta_1, "beta_1");
  checked_fraction(beta_2, "beta_2");
  if (step_number < 1) refuse("step", "a positive integer", std::to_string(step_number));
  const double t = static_cast<double>(step_number);
  const double rate = learning_rate * std::sqrt(1 - std::pow(beta_2, t)) / (1 - std::pow(beta_1, t));
  run_step({table, gradients, gradient_scales, clip_value, threads, isa}, amsgrad ? 3 : 2,
           "first moment, second moment, then largest second moment if amsgrad",
           [&](const auto& kernels, const auto& call, const Worker& worker) {
             using Scalar = std::decay_t<decltype(call.clip)>;
             const AdamStep<Scalar> step{Scalar(rate),
                                         Scalar(1 - beta_1),
                                         Scalar(1 - beta_2),
                                         Scalar(epsilon),
                                         amsgrad,
                                         Scalar(learning_rate * weight_decay)};
             kernels.adam(call, step, worker);
           });
}

/// array = array * factor, held in [-clip, clip], for each array of a list.
void scale_in_place(const py::sequence& objects, const char* argument, const std::vector<double>* factors,
                    double clip, int threads, const std::string& isa) {
  const ArrayList list = checked_list(objects, argument);
  if (factors) check_count("factors", list.arrays.size(), factors->size());
  std::vector<Written> written;
  for (std::size_t i = 0; i < list.arrays.size(); ++i)
    add_written(written, list.arrays[i], item(argument, i));
  check_disjoint(std::move(written));
  const KernelTable& kernels = table_for(isa.c_str());
  with_scalar(list.type, [&](auto scalar) {
    using Scalar = decltype(scalar);
    std::vector<Segment<Scalar>> segments;
    for (std::size_t i = 0; i < list.arrays.size(); ++i) {
      auto* data = static_cast<Scalar*>(const_cast<void*>(list.arrays[i].data()));
      segments.push_back(
          {data, {}, data, list.arrays[i].size(), factors ? Scalar((*factors)[i]) : Scalar(1)});
    }
    const Segments<Scalar> call{segments.data(), static_cast<index>(segments.size()), list.size,
                                Scalar(clip)};
    const auto kernel = kernels_of<Scalar>(kernels).optimizers.scale;
    run_kernel(threads, kPassCost * static_cast<double>(list.size),
               [&](const Worker& worker) { kernel(call, worker); });
  });
}

py::array squared_norms(const py::sequence& objects, int threads, const std::string& isa) {
  const ArrayList list = checked_list(objects, "gradients");
  const KernelTable& kernels = table_for(isa.c_str());
  const auto count = static_cast<index>(list.arrays.size());
  py::array_t<double> norms(count);
  with_scalar(list.type, [&](auto scalar) {
    using Scalar = decltype(scalar);
    std::vector<const Scalar*> arrays;
    std::vector<index> sizes;
    index blocks = 0;
    for (const py::array& array : list.arrays) {
      arrays.push_back(static_cast<const Scalar*>(array.data()));
      sizes.push_back(array.size());
      blocks += (array.size() + kNormBlock - 1) / kNormBlock;
    }
    std::vector<double> partials(static_cast<std::size_t>(blocks));
    const SquaredNorms<Scalar> call{arrays.data(), sizes.data(), count, blocks, partials.data()};
    const auto kernel = kernels_of<Scalar>(kernels).optimizers.squared_norms;
    run_kernel(threads, kPassCost * static_cast<double>(list.size),
               [&](const Worker& worker) { kernel(call, worker); });
    index block = 0;
    for (index i = 0; i < count; ++i) {
      double sum = 0;
      for (index begin = 0; begin < sizes[static_cast<std::size_t>(i)]; begin += kNormBlock) {
        sum += partials[static_cast<std::size_t>(block++)];
      }
      norms.mutable_at(i) = sum;
    }
  });
  return norms;
}

}  // namespace

void bind_optimizers(py::module_& module) {
  const auto only_named = py::kw_only();
  const auto scales = py::arg("gradient_scales") = py::none();
  const auto clip = py::arg("clip_value") = py::none();
  const auto threads = py::arg("_threads") = 0;
  const auto isa = py::arg("_isa") = "";
  const auto segments = py::arg("segments");
  const auto gradients = py::arg("gradients");
  const auto learning_rate = py::arg("learning_rate");
  const auto weight_decay = py::arg("weight_decay") = 0.0;

  py::class_<SegmentTable>(
      module, "Segments",
      "Parameters and the arrays an optimizer keeps beside them: slots[parameter][kind].\n\n"
      "All of one dtype, C-contiguous, writable, without shared memory; a slot has the shape of\n"
      "its parameter. The arrays are kept alive and are updated in place.")
      .def(py::init<const py::sequence&, const py::sequence&>(), py::arg("parameters"), py::arg("slots"))
      .def("__len__", &SegmentTable::count, "Number of parameters.")
      .def_property_readonly("size", &SegmentTable::size, "Elements of all parameters together.")
      .def_property_readonly("slot_kinds", &SegmentTable::slot_kinds, "Arrays kept beside each parameter.")
      .def_property_readonly(
          "dtype", [](const SegmentTable& table) { return name_of(table.type()); }, "float32 or float64.");

  // In every step a gradient counts as gradient_scales[i] times itself, then held in [-clip_value,
  // clip_value].
  module.def("sgd_update", &sgd_update, segments, gradients, learning_rate, py::arg("momentum") = 0.0,
             py::arg("nesterov") = false, weight_decay, only_named, scales, clip, threads, isa,
             "One step of SGD on every parameter, in place. Slots: velocity if momentum is not 0.");
  module.def("rmsprop_update", &rmsprop_update, segments, gradients, learning_rate, py::arg("rho") = 0.9,
             py::arg("momentum") = 0.0, py::arg("epsilon") = 1e-7, py::arg("centered") = false, weight_decay,
             only_named, scales, clip, threads, isa,
             "One step of RMSprop on every parameter, in place. Slots: velocity; then momentum if it is not "
             "0; then the "
             "average gradient if centered.");
  module.def("adam_update", &adam_update, segments, gradients, learning_rate, py::arg("beta_1") = 0.9,
             py::arg("beta_2") = 0.999, py::arg("epsilon") = 1e-7, py::arg("step") = 1,
             py::arg("amsgrad") = false, weight_decay, only_named, scales, clip, threads, isa,
             "Step number `step` (from 1) of Adam on every parameter, in place. Slots: first and second "
             "moment; then "
             "the largest second moment if amsgrad.");
  module.def(
      "clip_by_value",
      [](const py::sequence& arrays, double clip_value, int count, const std::string& table) {
        scale_in_place(arrays, "gradients", nullptr, checked_clip(clip_value), count, table);
      },
      gradients, py::arg("clip_value"), only_named, threads, isa,
      "Holds every element of every array in [-clip_value, clip_value], in place; NaN stays.");
  module.def(
      "scale",
      [](const py::sequence& arrays, const std::vector<double>& factors, int count,
         const std::string& table) {
        scale_in_place(arrays, "gradients", &factors, std::numeric_limits<double>::infinity(), count, table);
      },
      gradients, py::arg("factors"), only_named, threads, isa,
      "Multiplies each array by its factor, in place.");
  module.def("squared_norms", &squared_norms, gradients, only_named, threads, isa,
             "Sum of the squares of each array, in float64: [n]. The same bits for any number of threads.");
}

}  // namespace timeloom
