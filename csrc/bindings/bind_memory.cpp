// Memory: what the pool holds, what calls would take from it.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/checks.h"
#include "bindings/matmul_sizes.h"
#include "runtime/idle_blocks.h"
#include "runtime/isa.h"
#include "runtime/recurrent_sizes.h"
#include "runtime/workspace.h"

namespace timeloom {

void report_memory();  // report_memory.cpp

namespace {

/// The pool without its memory: which blocks it would hold after these requests.
class PoolModel {
 public:
  std::size_t take(std::size_t bytes) {
    if (bytes == 0) return 0;
    const std::size_t rounded = IdleBlocks::block_size(bytes);
    const Block block = idle_.take(rounded);
    const std::size_t taken = block.bytes == 0 ? rounded : block.bytes;
    used_ += taken;
    return taken;
  }
  void give(std::size_t block) {
    if (block == 0) return;
    used_ -= block;
    idle_.put({nullptr, block});
  }
  std::size_t used() const { return used_; }
  std::size_t idle() const { return idle_.bytes(); }

 private:
  IdleBlocks idle_;
  std::size_t used_ = 0;
};

/// One array of a call: its name, bytes, and whether it lives on until backward.
using Part = std::tuple<std::string, std::size_t, bool>;

class Parts {
 public:
  explicit Parts(std::size_t element_bytes) : element_bytes_(element_bytes) {}
  void add(const char* name, index elements, bool kept = false) {
    add_bytes(name, static_cast<std::size_t>(elements) * element_bytes_, kept);
  }
  void add_bytes(const char* name, std::size_t bytes, bool kept = false) {
    if (bytes > 0) list.emplace_back(name, bytes, kept);
  }
  std::vector<Part> list;

 private:
  std::size_t element_bytes_;
};

ElementType checked_type(const std::string& dtype) {
  if (dtype == "float32") return ElementType::float32;
  if (dtype == "float64") return ElementType::float64;
  refuse("dtype", "'float32' or 'float64'", "'" + dtype + "'");
}

template <class Scalar>
const RnnKernels<Scalar>& kernels_of_cell(const std::string& name) {
  const Kernels<Scalar>& kernels = kernels_of<Scalar>(active_table());
  for (int i = 0; i < kernels.cell_count; ++i) {
    if (name == kernels.cells[i].info->name) return kernels.cells[i];
  }
  refuse("cell", "one of rnn_cells()", "'" + name + "'");
}

/// Parts of a dense call in the order in which they are taken: forward, and backward if it is kept.
std::pair<std::vector<Part>, std::vector<Part>> rnn_memory(const std::string& cell_name,
                                                           const std::string& dtype, index batch,
                                                           index timesteps, RecurrentTraits traits,
                                                           bool return_sequences, bool keep, bool initial,
                                                           bool alone) {
  if (batch < 0 || timesteps < 1 || traits.features < 1 || traits.units < 1) {
    refuse("batch, timesteps, features, units", "positive sizes",
           shape_text(std::vector<index>{batch, timesteps, traits.features, traits.units}));
  }
  return with_scalar(checked_type(dtype), [&](auto scalar) {
    using Scalar = decltype(scalar);
    const RnnKernels<Scalar>& cell = kernels_of_cell<Scalar>(cell_name);
    const CellInfo& info = *cell.info;
    const SequenceRows rows({batch, timesteps, nullptr, nullptr, false, false, false});
    const RnnSizes sizes{batch, rows.steps(), traits.features, traits.units};
    const bool by_gate = traits.input_dropout || traits.recurrent_dropout;
    const auto plan = [&](bool backward) {
      PlanRequest request;
      request.threads = alone ? 1 : 0;
      return plan_rnn(cell, sizes, rows.total(), backward, by_gate, request);
    };
    RnnLayout layout{};
    cell.layout(sizes, by_gate, layout);
    const index zeros = initial ? 0 : batch * traits.units;

    const RnnPlan forward_plan = plan(false);
    const StrandSizes strand_bytes = strand_sizes(info, traits.features, traits.units, sizeof(Scalar));
    const RowHalves halves =
        halves_of(rows, forward_plan, strand_bytes.weights, traits.units * index{sizeof(Scalar)});
    const ForwardSizes needed =
        forward_sizes(cell, layout, rows, halves, traits, forward_plan.path, keep, return_sequences);
    Parts forward(sizeof(Scalar));
    forward.add("zeros", zeros);
    forward.add("packed weights", needed.packed);
    forward.add("history", needed.history, keep);
    for (const index state : needed.states) forward.add("states", state, keep);
    forward.add("kept", needed.kept, keep);
    forward.add("operand", needed.operand, keep);
    forward.add("accumulators", needed.accumulators);
    forward.add("gathered inputs", needed.input_rows);
    forward.add("gathered states", needed.state_rows);
    Parts backward(sizeof(Scalar));
    if (keep) {
      const RnnPlan planned = plan(true);
      Scratch scratch;
      const Strands strands(rows, strand_bytes, scratch);
      const index at_once = walk_over(strands, planned).at_once;
      const BackwardSizes wanted =
          backward_sizes<Scalar>(info, layout, strands, halves.places, traits, planned);
      backward.add("zeros", zeros);
      backward.add("packed weights", wanted.packed);
      backward.add("accumulators", at_once * wanted.accumulators);
      backward.add("scratch", planned.crew.threads * wanted.scratch);
      backward.add_bytes("sources", static_cast<std::size_t>(at_once * wanted.sources) * sizeof(index));
      backward.add("gathered inputs", at_once * wanted.input_rows);
      backward.add("gathered states", at_once * wanted.state_rows);
      backward.add("gathered operands", at_once * wanted.operand_rows);
      backward.add("gradients of strands", (strands.count() - 1) * wanted.gradients);
      for (int which = 0; which < info.states; ++which) backward.add("d states", wanted.d_state);
      backward.add("d operand", wanted.d_operand);
    }
    return std::make_pair(std::move(forward.list), std::move(backward.list));
  });
}

/// A call of a cell: its name, dtype, batch, timesteps, features, units.
using CallSizes = std::tuple<std::string, std::string, index, index, index, index>;

/// Whether two calls run side by side.
bool rnn_side_by_side(const CallSizes& one, const CallSizes& other, bool backward) {
  const auto plan = [&](const CallSizes& call) {
    const RnnSizes sizes{std::get<2>(call), std::get<3>(call), std::get<4>(call), std::get<5>(call)};
    return with_scalar(checked_type(std::get<1>(call)), [&](auto scalar) {
      using Scalar = decltype(scalar);
      const RnnKernels<Scalar>& cell = kernels_of_cell<Scalar>(std::get<0>(call));
      return plan_rnn(cell, sizes, sizes.batch * sizes.steps, backward, false, {});
    });
  };
  return side_by_side(plan(one), plan(other));
}

/// Parts of matmul.
std::vector<Part> matmul_memory(index rows, index depth, index cols, const std::string& dtype,
                                bool transpose_a) {
  return with_scalar(checked_type(dtype), [&](auto scalar) {
    using Scalar = decltype(scalar);
    const index lanes = kernels_of<Scalar>(active_table()).lanes;
    Parts parts(sizeof(Scalar));
    if (rows == 0 || cols == 0 || depth == 0) return parts.list;
    const int threads = threads_for(matmul_work(rows, cols, depth) * 1e-9);
    if (!transpose_a) {
      parts.add("packed weights", panel_size(depth, lanes, threads));
      parts.add("gathered rows", gathered_size(rows, depth, sizeof(Scalar), threads));
      return parts.list;
    }
    const OuterSizes needed = outer_sizes(rows, cols, depth, lanes, sizeof(Scalar), threads);
    parts.add("packed weights", needed.packed);
    parts.add("gathered rows", needed.gathered);
    parts.add("scratch", needed.scratch);
    return parts.list;
  });
}

}  // namespace

void bind_memory(py::module_& module) {
  report_memory();
  module.def("free_workspaces", &free_workspaces,
             "Returns the idle memory of the workspace pool to the system.");
  module.def(
      "workspace_bytes",
      [] {
        const PoolBytes bytes = workspace_bytes();
        return std::make_pair(bytes.used, bytes.idle);
      },
      "Bytes that the workspace pool holds: in use, idle.");
  py::class_<PoolModel>(module, "PoolModel", "The workspace pool without its memory, to follow its rules.")
      .def(py::init<>())
      .def("take", &PoolModel::take, py::arg("bytes"), "Size of the block that serves this many bytes.")
      .def("give", &PoolModel::give, py::arg("block"), "Takes a block of this size back.")
      .def_property_readonly("used", &PoolModel::used, "Bytes in use.")
      .def_property_readonly("idle", &PoolModel::idle, "Bytes of idle blocks.");
  module.def(
      "rnn_memory",
      [](const std::string& cell, const std::string& dtype, index batch, index timesteps, index features,
         index units, const std::string& activation, bool return_sequences, bool keep, bool initial,
         bool zoned, bool input_dropout, bool recurrent_dropout, bool alone) {
        return rnn_memory(cell, dtype, batch, timesteps,
                          {features, units, checked_activation(activation, "activation"), zoned,
                           input_dropout, recurrent_dropout},
                          return_sequences, keep, initial, alone);
      },
      py::arg("cell"), py::arg("dtype"), py::arg("batch"), py::arg("timesteps"), py::arg("features"),
      py::arg("units"), py::arg("activation"), py::arg("return_sequences"), py::arg("keep"), py::kw_only(),
      py::arg("initial") = false, py::arg("zoned") = false, py::arg("input_dropout") = false,
      py::arg("recurrent_dropout") = false, py::arg("alone") = false,
      "What rnn_forward and rnn_backward would take from the pool now, in this order: two lists of (name, "
      "bytes, whether it is kept for backward). `alone`: on one thread, beside another call.");
  module.def(
      "rnn_side_by_side", &rnn_side_by_side, py::arg("one"), py::arg("other"), py::arg("backward"),
      "Whether two calls of rnn_forward or rnn_backward run side by side, a thread each; each is told by "
      "its cell, dtype, batch, timesteps, features and units.");
  module.def("matmul_memory", &matmul_memory, py::arg("rows"), py::arg("depth"), py::arg("cols"),
             py::arg("dtype"), py::arg("transpose_a") = false, "As rnn_memory, of matmul.");
}

}  // namespace timeloom
