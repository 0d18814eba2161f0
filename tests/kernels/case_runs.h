/// One case on one kernel table: its arguments in the scalar type, the call, its results by name. Here alone
/// stands what each kind of case means; see run_cases.cpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bindings/matmul_sizes.h"
#include "case_file.h"
#include "runtime/build_info.h"
#include "runtime/isa.h"
#include "runtime/parallel.h"
#include "runtime/recurrent.h"
#include "runtime/workspace.h"

namespace timeloom {

/// An array that a kernel writes, with a few elements behind it that it must leave alone.
template <class Scalar>
class Result {
 public:
  explicit Result(std::size_t size = 0) : size_(size), values_(size + kGuard, kSentinel) {}
  Scalar* data() { return values_.data(); }
  const Scalar* data() const { return values_.data(); }
  std::size_t size() const { return size_; }
  bool guard_is_intact() const {
    return std::all_of(values_.end() - kGuard, values_.end(),
                       [](Scalar value) { return value == kSentinel; });
  }
  bool has_bits_of(const Result& other) const {
    return size_ == other.size_ && std::memcmp(data(), other.data(), size_ * sizeof(Scalar)) == 0;
  }

 private:
  static constexpr std::size_t kGuard = 16;
  static constexpr Scalar kSentinel = Scalar(-12345);
  std::size_t size_;
  std::vector<Scalar> values_;
};

template <class Scalar>
using Results = std::map<std::string, Result<Scalar>>;

/// Takes what a case holds, once each; what is left at the end is an option this program does not know.
template <class Scalar>
class Arguments {
 public:
  explicit Arguments(const Case& one) : case_(one) {}

  bool has(const std::string& name) const { return case_.arguments.count(name) > 0; }

  /// The size of an axis of an argument that must be there.
  index size(const std::string& name, std::size_t axis) {
    const CaseArray& array = found(name);
    if (axis >= array.shape.size()) throw CaseError(name + " has too few axes");
    return static_cast<index>(array.shape[axis]);
  }

  std::size_t axes(const std::string& name) const { return found(name).shape.size(); }

  /// The elements of an argument in a type of their own; none if the case has none of this name.
  template <class Element>
  std::vector<Element> copy(const std::string& name) {
    taken_.insert(name);
    if (!has(name)) return {};
    const std::vector<double>& values = found(name).values;
    return std::vector<Element>(values.begin(), values.end());
  }

  /// The elements of an argument, or null if the case has none of this name. They live as long as this
  /// object.
  const Scalar* data(const std::string& name) {
    if (!has(name)) return nullptr;
    return (arrays_[name] = copy<Scalar>(name)).data();
  }

  std::string word(const std::string& name) {
    taken_.insert(name);
    const auto entry = case_.words.find(name);
    return entry == case_.words.end() ? std::string() : entry->second;
  }

  double number(const std::string& name) {
    taken_.insert(name);
    const auto entry = case_.numbers.find(name);
    return entry == case_.numbers.end() ? 0.0 : entry->second;
  }

  bool flag(const std::string& name) { return number(name) != 0.0; }

  /// Throws if the case holds something that nobody asked for.
  void refuse_unknown() const {
    refuse_unknown(case_.words);
    refuse_unknown(case_.numbers);
    refuse_unknown(case_.arguments);
  }

 private:
  const CaseArray& found(const std::string& name) const {
    const auto entry = case_.arguments.find(name);
    if (entry == case_.arguments.end()) throw CaseError("the case lacks the argument " + name);
    return entry->second;
  }

  template <class Entries>
  void refuse_unknown(const Entries& entries) const {
    for (const auto& entry : entries) {
      if (taken_.count(entry.first) == 0)
        throw CaseError("the case asks for " + entry.first + ", which is unknown here");
    }
  }

  const Case& case_;
  std::set<std::string> taken_;
  std::map<std::string, std::vector<Scalar>> arrays_;
};

template <class Scalar>
const Kernels<Scalar>& kernels_of(const KernelTable& table) {
  if constexpr (sizeof(Scalar) == 4) {
    return table.f32;
  } else {
    return table.f64;
  }
}

inline Activation activation_of(const std::string& name) {
#define TIMELOOM_NAMED(kind) \
  if (name == #kind) return Activation::kind;
  TIMELOOM_ACTIVATIONS(TIMELOOM_NAMED)
#undef TIMELOOM_NAMED
  throw CaseError("no activation is called '" + name + "'");
}

/// The last region must have run on as many threads as it was asked to.
inline void expect_threads(int asked) {
  const int ran = last_thread_count(), expected = build_info().openmp ? asked : 1;
  if (ran != expected)
    throw CaseError("ran on " + std::to_string(ran) + " threads, not " + std::to_string(expected));
}

inline std::string entry_of(const char* name, int place) {
  return std::string(name) + "[" + std::to_string(place) + "]";
}

/// So many threads, each of them waited for.
inline Crew everybody(int threads) { return {threads, 0, true}; }

/// A recurrent layer forward and backward.
template <class Scalar>
Results<Scalar> run_recurrent(const Case& one, const Kernels<Scalar>& kernels, int threads) {
  Arguments<Scalar> arguments(one);
  const std::string cell = arguments.word("cell");
  const auto* const end = kernels.cells + kernels.cell_count;
  const auto* const found =
      std::find_if(kernels.cells, end, [&](const auto& entry) { return cell == entry.info->name; });
  if (found == end) throw CaseError("the tables have no cell called '" + cell + "'");
  const CellInfo& info = *found->info;

  RecurrentCall<Scalar> call{};
  call.cell = found;
  // Packed inputs are [rows, features], others [batch, timesteps, features].
  const bool packed = arguments.axes("inputs") == 2;
  const index rows = arguments.size("inputs", 0) * (packed ? 1 : arguments.size("inputs", 1));
  const index batch = arguments.size(packed ? "lengths" : "inputs", 0);
  call.features = arguments.size("inputs", packed ? 1 : 2);
  call.units = arguments.size("recurrent_kernel", 0);
  const auto mask = arguments.template copy<unsigned char>("mask");
  const auto lengths = arguments.template copy<std::int64_t>("lengths");
  call.timesteps.batch = batch;
  call.timesteps.timesteps = packed ? 0 : arguments.size("inputs", 1);
  call.timesteps.mask = mask.empty() ? nullptr : mask.data();
  call.timesteps.lengths = lengths.empty() ? nullptr : lengths.data();
  call.timesteps.packed = packed;
  call.timesteps.go_backwards = arguments.flag("go_backwards");
  call.timesteps.keep_time_order = arguments.flag("keep_time_order");
  call.zero_masked_outputs = arguments.flag("zero_output_for_mask");
  call.activation = activation_of(arguments.word("activation"));
  call.recurrent_activation = activation_of(arguments.word("recurrent_activation"));
  call.inputs = arguments.data("inputs");
  call.kernel = arguments.data("kernel");
  call.recurrent_kernel = arguments.data("recurrent_kernel");
  call.bias = arguments.data("bias");
  call.input_dropout = arguments.data("input_dropout");
  call.recurrent_dropout = arguments.data("recurrent_dropout");
  const Scalar* d_final[kMaxStates] = {};
  for (int which = 0; which < info.states; ++which) {
    call.initial[which] = arguments.data(entry_of("initial_states", which));
    call.zoneout[which] = arguments.data(entry_of("zoneout", which));
    call.zoneout_rate[which] = static_cast<Scalar>(arguments.number(entry_of("zoneout", which)));
    d_final[which] = arguments.data(entry_of("d_states", which));
  }
  const bool return_sequences = arguments.flag("return_sequences");
  const Scalar* const d_outputs = arguments.data("d_outputs");
  PlanRequest request;
  request.threads = threads;
  request.path = arguments.word("path");
  arguments.refuse_unknown();

  Results<Scalar> results;
  const auto result = [&](const std::string& name, index size) {
    return results.emplace(name, Result<Scalar>(static_cast<std::size_t>(size))).first->second.data();
  };
  const index units = call.units, state_size = batch * units;
  Scalar* const outputs = result("outputs", return_sequences ? rows * units : state_size);
  Scalar* final_states[kMaxStates] = {};
  RecurrentGradients<Scalar> gradients{};
  for (int which = 0; which < info.states; ++which) {
    final_states[which] = result(entry_of("states", which), state_size);
    gradients.d_initial[which] = result(entry_of("d_states", which), state_size);
  }
  gradients.d_inputs = result("d_inputs", rows * call.features);
  gradients.d_kernel = result("d_kernel", call.features * info.input_gates * units);
  gradients.d_recurrent_kernel = result("d_recurrent_kernel", units * info.state_gates * units);
  if (call.bias) {
    gradients.d_bias =
        result("d_bias", info.bias_rows * std::max(info.input_gates, info.state_gates) * units);
  }

  RecurrentMemory<Scalar> memory{};
  recurrent_forward(call, return_sequences ? outputs : nullptr, return_sequences ? nullptr : outputs,
                    final_states, &memory, request);
  expect_threads(threads);
  recurrent_backward(call, memory, return_sequences ? d_outputs : nullptr,
                     return_sequences ? nullptr : d_outputs, d_final, gradients, request);
  expect_threads(threads);
  return results;
}

/// y = f(x) and dx = dy f'(x) for each element; the gradient takes y, or x where f demands it.
template <class Scalar>
Results<Scalar> run_activation(const Case& one, const Kernels<Scalar>& kernels, int threads) {
  Arguments<Scalar> arguments(one);
  const Activation kind = activation_of(arguments.word("activation"));
  const index size = arguments.size("x", 0);
  Results<Scalar> results;
  Scalar* const y =
      results.emplace("y", Result<Scalar>(one.arguments.at("x").values.size())).first->second.data();
  Scalar* const d_x =
      results.emplace("d_x", Result<Scalar>(one.arguments.at("x").values.size())).first->second.data();
  const Elementwise<Scalar> forward{y, arguments.data("x"), nullptr, size};
  const Elementwise<Scalar> backward{d_x, derivative_from_input(kind) ? forward.operand : y,
                                     arguments.data("d_y"), size};
  arguments.refuse_unknown();
  run_shares(everybody(threads),
             [&](const Worker& worker) { kernels.math.activation(kind, forward, worker); });
  expect_threads(threads);
  run_shares(everybody(threads),
             [&](const Worker& worker) { kernels.math.activation_gradient(kind, backward, worker); });
  expect_threads(threads);
  return results;
}

/// Softmax, its logarithm or their gradients (from the output) along the last axis.
template <class Scalar>
Results<Scalar> run_rows(const Case& one, const Kernels<Scalar>& kernels, int threads) {
  using Kernel = void (*)(const RowWise<Scalar>&, const Worker&);
  const std::map<std::string, Kernel> known{{"softmax", kernels.math.softmax},
                                            {"softmax_gradient", kernels.math.softmax_gradient},
                                            {"log_softmax", kernels.math.log_softmax},
                                            {"log_softmax_gradient", kernels.math.log_softmax_gradient}};
  Arguments<Scalar> arguments(one);
  const auto found = known.find(arguments.word("function"));
  if (found == known.end()) throw CaseError("no function over rows of this name");
  Results<Scalar> results;
  Result<Scalar>& y =
      results.emplace("results", Result<Scalar>(one.arguments.at("operand").values.size())).first->second;
  const RowWise<Scalar> call{y.data(), arguments.data("operand"), arguments.data("upstream"),
                             arguments.size("operand", 0), arguments.size("operand", 1)};
  arguments.refuse_unknown();
  run_shares(everybody(threads), [&](const Worker& worker) { found->second(call, worker); });
  expect_threads(threads);
  return results;
}

/// left [M, K] times right [K, N] (transposed: [N, K]) plus bias [N].
template <class Scalar>
Results<Scalar> run_product(const Case& one, const Kernels<Scalar>& kernels, int threads) {
  Arguments<Scalar> arguments(one);
  const bool transposed = arguments.flag("transposed");
  const index rows = arguments.size("left", 0), depth = arguments.size("left", 1),
              cols = arguments.size("right", transposed ? 0 : 1);
  Results<Scalar> results;
  Scalar* const outputs =
      results.emplace("outputs", Result<Scalar>(static_cast<std::size_t>(rows * cols))).first->second.data();
  const Workspace packed = workspace_of<Scalar>(panel_size(depth, kernels.lanes, threads));
  const Workspace gathered = workspace_of<Scalar>(threads * kGatheredBlock);
  const Gemm<Scalar> call{{arguments.data("left"), rows, depth, depth},
                          arguments.data("right"),
                          transposed,
                          arguments.data("bias"),
                          {outputs, rows, cols, cols},
                          packed.as<Scalar>(),
                          gathered.as<Scalar>()};
  arguments.refuse_unknown();
  run_shares(everybody(threads), [&](const Worker& worker) { kernels.gemm(call, worker); });
  expect_threads(threads);
  return results;
}

template <class Scalar>
Results<Scalar> run_case(const Case& one, const KernelTable& table, int threads) {
  const Kernels<Scalar>& kernels = kernels_of<Scalar>(table);
  if (one.kind == "recurrent") return run_recurrent(one, kernels, threads);
  if (one.kind == "activation") return run_activation(one, kernels, threads);
  if (one.kind == "rows") return run_rows(one, kernels, threads);
  if (one.kind == "product") return run_product(one, kernels, threads);
  throw CaseError("no kind of case is called '" + one.kind + "'");
}

/// How many of the two types still give a denormal for a product of two normal numbers, on this thread and in
/// its present mode; volatile, so that the processor computes them.
inline int types_with_denormals() {
  volatile double half = 0.5, smallest = 0x1p-1022;
  volatile float half_float = 0.5f, smallest_float = 0x1p-126f;
  const volatile double product = half * smallest;
  const volatile float product_float = half_float * smallest_float;
  return (product != 0.0) + (product_float != 0.0f);
}

/// The most that types_with_denormals gives on a thread of a region.
inline int types_with_denormals_in_region(int threads) {
  std::vector<int> found(static_cast<std::size_t>(threads), 0);
  run_together(everybody(threads), [&](const Worker& worker) {
    found[static_cast<std::size_t>(worker.index)] = types_with_denormals();
  });
  expect_threads(threads);
  return *std::max_element(found.begin(), found.end());
}

/// Walks through phases with a worker that comes to the first when the caller has ended the last: whether
/// every item was done once, and nobody waited for it. It may wait for the caller alone: others may be
/// dismissed before their end.
inline bool late_worker_holds_up_nobody(int threads) {
  constexpr int kPhases = 50;
  const index share = 3;
  const index items = share * threads;
  std::vector<std::atomic<int>> times(static_cast<std::size_t>(kPhases * items));
  std::atomic<bool> over{false};
  run_together(everybody(threads), [&](const Worker& worker) {
    const bool late = worker.count > 1 && worker.index == worker.count - 1;
    while (late && !over) std::this_thread::yield();
    for (int phase = 0; worker.count > 1 && phase < kPhases; ++phase) {
      index done = 0;
      for (int turn = 0; turn < worker.count; ++turn) {
        const int whose = (worker.index + turn) % worker.count;
        for (index at; (at = worker.take(worker.meeting, whose, share)) < share; ++done) {
          ++times[static_cast<std::size_t>(phase * items + whose * share + at)];
        }
      }
      worker.meet(worker.meeting, done, items, Patience::endless);
    }
    if (worker.index == 0) over = true;
  });
  expect_threads(threads);
  const int expected = last_thread_count() > 1 ? 1 : 0;  // without OpenMP nobody meets
  return std::all_of(times.begin(), times.end(), [=](const auto& count) { return count == expected; });
}

/// Whether both of two functions run though they throw, and the caller gets the error of the first that did.
inline bool errors_of_two_sides_arrive() {
  std::atomic<int> runs{0};
  const auto fine = [&] { ++runs; };
  const auto failing = [&](const char* text) {
    return [&runs, text] {
      ++runs;
      throw std::runtime_error(text);
    };
  };
  std::string told;
  const auto note = [&](auto&& first, auto&& second) {
    try {
      run_side_by_side(first, second);
    } catch (const std::runtime_error& error) {
      told += error.what();
    }
  };
  note(fine, fine);
  note(failing("1"), fine);
  note(fine, failing("2"));
  note(failing("3"), failing("4"));
  return runs == 8 && told == "123";
}

}  // namespace timeloom
