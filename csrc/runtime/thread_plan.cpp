#include "runtime/thread_plan.h"

#include <algorithm>
#include <stdexcept>

#include "runtime/parallel.h"
#include "runtime/round_trip.h"

namespace timeloom {
namespace {

constexpr double kRate = 30e9;  // multiply-adds a second of one thread, roughly: only thresholds depend on it
constexpr double kLeastShare = 50e-6;    // seconds of work that make waking a thread worthwhile: it takes
                                         // microseconds, and on a busy machine some ten of them
constexpr double kLeastBrief = 12e-6;    // the same, of both, where a thread that is awake may come
constexpr double kTripsOfMeeting = 6.5;  // round trips a step that make a meeting a step worthwhile
constexpr double kFarthest = 1e-6;       // seconds of a round trip between cores of one machine
constexpr double kReusingRows = 4;       // so many rows of a batch, once read, a weight serves at no cost
constexpr double kLeastPiece = 20e-6;    // seconds of a share if a thread has several
constexpr index kRowsOfShare = 24;       // the same in rows of a batch: the weights pass once for each
constexpr index kRowsOfSlice = 8;        // of a batch whose weights stay near: as many need no meeting
constexpr double kLeastPanels = 30e-6;   // seconds a step and thread that make many panels worthwhile
constexpr index kColumnsOfThread = 256;  // the same in sums of a unit times units: 8 panels of AVX2
constexpr index kRowsOfTile = 3;         // a batch slice below a tile leaves registers idle
constexpr index kCacheBytes = 1 << 19;   // of weights that one core keeps in its own cache
constexpr index kBlock = 512;            // depth of a block: 4 vectors of it stay in L2

RnnPath forced_path(const std::string& name, RnnPath path) {
  const auto* const found = std::find(std::begin(rnn_path_names), std::end(rnn_path_names), name);
  if (found == std::end(rnn_path_names)) {
    std::string names;
    for (const char* known : rnn_path_names) names += (names.empty() ? "" : ", ") + std::string(known);
    throw std::invalid_argument("_path: expected one of " + names + ", got '" + name + "'");
  }
  path.unit_slices = name.rfind("units", 0) == 0;
  path.separate = name.find("separate") != std::string::npos;
  return path;
}

/// Whether to divide the units of steps this long, after each of which the threads meet.
bool meeting_pays(double step_seconds) {
  if (step_seconds >= kTripsOfMeeting * kFarthest) return true;
  return step_seconds >= kTripsOfMeeting * round_trip();
}

}  // namespace

int threads_for(double seconds) {
  const int limit = thread_limit();
  const double fed = seconds / kLeastShare;
  if (fed < 1) return 1;
  return static_cast<int>(std::min<double>(std::max(fed, 2.0), limit));  // half a share pays one helper
}

int shares_for(int threads, double seconds, index rows) {
  if (threads == 1) return 1;
  const double fed = std::min(seconds / kLeastPiece, static_cast<double>(rows / kRowsOfShare));
  // As many for each: five shares on two equal cores take as long as six.
  return threads * static_cast<int>(std::clamp<double>(fed / threads, 1, kSharesOfThread));
}

template <typename Scalar>
RnnPlan plan_rnn(const RnnKernels<Scalar>& kernels, const RnnSizes& sizes, index rows, bool backward,
                 bool by_gate, const PlanRequest& request) {
  constexpr index element_bytes = sizeof(Scalar);
  const CellInfo& cell = *kernels.info;
  const double rows_of_step =
      static_cast<double>(rows) / static_cast<double>(std::max<index>(sizes.steps, 1));
  const double step_work =
      rows_of_step * static_cast<double>(sizes.units) *
      static_cast<double>(cell.input_gates * sizes.features + cell.state_gates * sizes.units) *
      (backward ? 2 : 1) * static_cast<double>(element_bytes) / 4;
  const double seconds = step_work * static_cast<double>(sizes.steps) / kRate;
  const index input_bytes = cell.input_gates * sizes.features * sizes.units * element_bytes;
  const index weight_bytes = input_bytes + cell.state_gates * sizes.units * sizes.units * element_bytes;

  RnnPlan plan{};
  plan.path.separate = (sizes.batch < 8 && sizes.steps > 1) || input_bytes > 2 * kCacheBytes;
  // Blocks keep weights near for the next tile of rows: none for a batch that is one tile.
  const bool blocked = backward || (sizes.batch > kRowsOfTile && sizes.units > kBlock + kBlock / 2);
  plan.path.state_block = blocked ? kBlock : std::max<index>(sizes.units, 1);
  const int limit = request.threads > 0 ? request.threads : thread_limit();
  const bool rows_suffice = sizes.batch >= limit * kRowsOfTile;
  // Forward, a worker that is done with its panels takes those of a slower one: worth a meeting at each step
  // if there are many panels of much work, and the only way where each slice of the batch would fetch the
  // weights from afar. Backward, columns are few and wide, so only the weights count, and that
  // the last round of panels of columns leaves few workers without one.
  const bool many_panels = sizes.units * cell.accumulators >= limit * kColumnsOfThread &&
                           step_work / kRate >= limit * kLeastPanels;
  const bool many_rows = weight_bytes <= kCacheBytes && sizes.batch >= limit * kRowsOfSlice;
  const index columns = (sizes.units + kernels.backward_columns - 1) / kernels.backward_columns;
  const index rounds = (columns + limit - 1) / limit;
  const bool columns_divide = 8 * columns >= 7 * rounds * limit;  // at most an eighth of the time idle
  const bool columns_pay =
      weight_bytes > 4 * kCacheBytes && sizes.batch < 8 * limit * kRowsOfTile && columns_divide;
  const bool panels_pay = backward ? columns_pay : many_panels && !many_rows;
  plan.path.unit_slices = !rows_suffice || panels_pay;
  plan.crew = {limit, seconds, request.threads > 0};
  if (request.threads == 0) {
    plan.crew.threads = threads_for(seconds);
    const double step_seconds = step_work / kRate / std::clamp(rows_of_step, 1.0, kReusingRows);
    if (plan.path.unit_slices && plan.crew.threads > 1 && !meeting_pays(step_seconds)) {
      // A meeting a step does not pay: slices of the batch if there are rows, else one thread.
      plan.path.unit_slices = false;
      plan.crew.threads =
          static_cast<int>(std::min<index>(plan.crew.threads, std::max<index>(sizes.batch / 2, 1)));
    }
  }
  if (request.threads == 0 && request.path.empty() && plan.crew.threads == 1 && limit > 1 && !panels_pay &&
      sizes.batch >= 2 * kRowsOfTile && seconds >= kLeastBrief) {
    plan.crew.threads = 2;
    plan.crew.brief = true;
    plan.path.unit_slices = false;
  }
  // Of a single panel of columns one thread does all steps: the others would but meet it at each.
  if (backward && columns == 1) plan.path.unit_slices = false;
  if (!request.path.empty()) plan.path = forced_path(request.path, plan.path);
  if (!plan.path.unit_slices && weight_bytes <= kCacheBytes) {
    plan.crew.shares = shares_for(plan.crew.threads, seconds, sizes.batch);
  }
  // Two threads do best without a meeting, but for shares that even out a slow core and for weights that the
  // cores read together. Of more than two, some would have nothing to do.
  const bool divides_well =
      plan.crew.shares > plan.crew.threads || (!backward && weight_bytes >= 4 * kCacheBytes);
  plan.alone_pays = limit > 1 && seconds >= kLeastShare / 2 &&
                    (plan.crew.threads == 1 || plan.crew.brief || (plan.crew.threads == 2 && !divides_well));
  plan.path.by_gate = by_gate;
  if (by_gate) plan.path.separate = false;
  if (request.state_block > 0) {
    plan.path.state_block = std::min(request.state_block, std::max<index>(sizes.units, 1));
  }
  return plan;
}

template RnnPlan plan_rnn<float>(const RnnKernels<float>&, const RnnSizes&, index, bool, bool,
                                 const PlanRequest&);
template RnnPlan plan_rnn<double>(const RnnKernels<double>&, const RnnSizes&, index, bool, bool,
                                  const PlanRequest&);

bool side_by_side(const RnnPlan& one, const RnnPlan& other) {
  const auto [lesser, greater] = std::minmax(one.crew.seconds, other.crew.seconds);
  return one.alone_pays && other.alone_pays && greater < 2 * lesser;
}

}  // namespace timeloom
