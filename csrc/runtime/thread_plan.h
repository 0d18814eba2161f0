/// How a call is divided: threads, slices, blocks. Every choice gives the same bits; this is about time
/// alone.
#pragma once

#include <string>

#include "base/kernel_table.h"
#include "runtime/team.h"

namespace timeloom {

/// What a caller may force, for tests and measurements. Zero or empty: the plan decides.
struct PlanRequest {
  int threads = 0;
  std::string path;       // one of rnn_path_names
  index state_block = 0;  // units of a block of the recurrent product
};

/// Threads and path of one recurrent call.
struct RnnPlan {
  Crew crew;
  RnnPath path;
  bool alone_pays = false;  // of two such calls each is best left to a thread of its own
};

/// Names that PlanRequest::path takes.
constexpr const char* rnn_path_names[] = {"batch-fused", "batch-separate", "units-fused", "units-separate"};

/// Threads for a call of about this much work on one thread: as many as the limit allows and the work feeds.
int threads_for(double seconds);

/// Shares of work of about `seconds` on one thread over `rows` rows: several a thread if each is worth the
/// taking and has rows enough for the weights that pass by it.
int shares_for(int threads, double seconds, index rows);

/// Plans a forward or backward call over `rows` packed rows. With `by_gate` the gates have operands of their
/// own. Throws std::invalid_argument for a request that makes no sense.
template <typename Scalar>
RnnPlan plan_rnn(const RnnKernels<Scalar>& kernels, const RnnSizes& sizes, index rows, bool backward,
                 bool by_gate, const PlanRequest& request);

/// Whether two calls are sooner done side by side, a thread each, than one after the other on all threads.
bool side_by_side(const RnnPlan& one, const RnnPlan& other);

}  // namespace timeloom
