// What this build is and how it runs: version, ISA tables, threads.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "bindings/checks.h"
#include "runtime/build_info.h"
#include "runtime/isa.h"
#include "runtime/parallel.h"
#include "runtime/round_trip.h"

namespace timeloom {
namespace {

py::dict build_info_dict() {
  const BuildInfo build = build_info();
  py::dict info;
  info["version"] = build.version;
  info["compiler"] = build.compiler;
  info["openmp"] = build.openmp;
  info["isas"] = compiled_isas();
  return info;
}

void set_num_threads(long long threads) { set_thread_limit(checked_thread_count(threads, "threads")); }

}  // namespace

void bind_runtime(py::module_& module) {
  module.attr("__version__") = build_info().version;
  module.def("build_info", &build_info_dict,
             "Facts fixed when this module was compiled: version, compiler, openmp, isas.");
  module.def("active_isa", &active_isa,
             "Name of the kernel table in use; ValueError if TIMELOOM_ISA is bad.");
  module.def("supported_isas", &supported_isas, "Names of the kernel tables this CPU can run, best last.");
  module.def("set_num_threads", &set_num_threads, py::arg("threads"),
             "Sets how many threads a kernel may use at most; 0 returns to the default.");
  module.def("get_num_threads", &thread_limit, "How many threads a kernel may use at most.");
  module.def(
      "last_thread_count", &last_thread_count,
      "How many threads the last kernel called from this Python thread was divided among; where _threads "
      "forces a number, how many came.");
  module.def(
      "measure_round_trip", &measure_round_trip,
      "Seconds that a message to another thread and its answer take: how far cores are from each other; "
      "infinite without another thread.");
}

}  // namespace timeloom
