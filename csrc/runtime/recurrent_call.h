/// What a call forward and one backward do alike: arrays brought into the order of the plan, padded, and the
/// call as kernels see it.
#pragma once

#include <algorithm>

#include "runtime/recurrent.h"
#include "runtime/recurrent_sizes.h"

namespace timeloom {

/// A row of `width` elements into one of `padded_width`, the rest of it zero; null source: zeros.
template <typename Scalar>
void copy_padded(Scalar* target, index padded_width, const Scalar* source, index width) {
  if (source) std::copy_n(source, width, target);
  std::fill(target + (source ? width : 0), target + padded_width, Scalar(0));
}

/// Whether to ask ahead: what forward keeps, roughly, outgrows the second caches of two cores, but that of a
/// step does not. Asked for during the step before, it would drive out what that one works on.
inline bool asking_pays(const SequenceRows& rows, const CellInfo& info, index row_bytes) {
  constexpr index kNearBytes = 1 << 22;
  constexpr index kStepBytes = 1 << 20;
  const index bytes = (info.kept + info.states) * row_bytes;
  return rows.total() * bytes > kNearBytes && rows.active() * bytes <= kStepBytes;
}

/// Where a row of the batch lies among its places.
inline index row_place(const RowHalves& halves, index row) {
  return row < halves.split ? row : row + halves.gap;
}

/// A whole sequence by stride, walked from the end if `backwards`.
template <typename Scalar>
SequenceView<Scalar> walk(Scalar* data, index timesteps, index width, bool backwards) {
  if (!data || !backwards) return {data, timesteps * width, width};
  return {data + (timesteps - 1) * width, timesteps * width, -width};
}

/// What a call gives in the order of the batch, in the order of the plan.
template <typename Scalar>
class InPlanOrder {
 public:
  InPlanOrder(const SequenceRows& rows, Scratch& scratch) : rows_(rows), scratch_(scratch) {}

  /// `groups` times [batch, width]; null stays null. The result lives as long as the scratch.
  const Scalar* operator()(const Scalar* source, index groups, index width) {
    if (!source || rows_.dense()) return source;
    Scalar* target = scratch_.template take<Scalar>(groups * rows_.batch() * width);
    for (index group = 0; group < groups; ++group) {
      for (index place = 0; place < rows_.batch(); ++place) {
        std::copy_n(source + (group * rows_.batch() + rows_.row_of(place)) * width, width,
                    target + (group * rows_.batch() + place) * width);
      }
    }
    return target;
  }

  const Scalar* zeros(index width) {
    if (!zeros_) {
      Scalar* fresh = scratch_.template take<Scalar>(rows_.batch() * width);
      std::fill_n(fresh, rows_.batch() * width, Scalar(0));
      zeros_ = fresh;
    }
    return zeros_;
  }

 private:
  const SequenceRows& rows_;
  Scratch& scratch_;
  const Scalar* zeros_ = nullptr;
};

template <typename Scalar>
RnnCall<Scalar> shared_call(const RecurrentCall<Scalar>& call, const SequenceRows& rows, const RnnPath& path,
                            const RowHalves& halves, InPlanOrder<Scalar>& in_plan_order) {
  const CellInfo& info = *call.cell->info;
  RnnCall<Scalar> shared{};
  shared.sizes = {rows.batch(), rows.steps(), call.features, call.units};
  shared.plan = rows.plan();
  shared.path = path;
  shared.halves = halves;
  shared.asks_ahead = asking_pays(rows, info, call.units * index{sizeof(Scalar)});
  shared.activation = call.activation;
  shared.recurrent_activation = call.recurrent_activation;
  const Timesteps& given = call.timesteps;
  shared.inputs = walk(call.inputs, rows.steps(), call.features, rows.dense() && given.go_backwards);
  for (int which = 0; which < info.states; ++which) {
    const Scalar* initial = in_plan_order(call.initial[which], 1, call.units);
    shared.initial[which] = initial ? initial : in_plan_order.zeros(call.units);
    const bool backwards = rows.dense() && given.go_backwards && given.keep_time_order;
    shared.zoneout[which] = walk(call.zoneout[which], rows.steps(), call.units, backwards);
    shared.zoneout_rate[which] = call.zoneout_rate[which];
    shared.zoned = shared.zoned || call.zoneout[which] || call.zoneout_rate[which] != 0;
  }
  shared.input_dropout = in_plan_order(call.input_dropout, info.input_gates, call.features);
  shared.recurrent_dropout = in_plan_order(call.recurrent_dropout, info.state_gates, call.units);
  return shared;
}

template <typename Scalar>
RecurrentTraits traits_of(const RecurrentCall<Scalar>& call, bool zoned) {
  return {call.features,
          call.units,
          call.activation,
          zoned,
          call.input_dropout != nullptr,
          call.recurrent_dropout != nullptr};
}

/// Where a call packs its weights; null if they are ready.
template <typename Scalar>
Scalar* room_to_pack(const Packing<Scalar>& packed, index count, Scratch& scratch) {
  if (packed.ready) return nullptr;
  if (!packed.made) return scratch.take<Scalar>(count);
  *packed.made = workspace_of<Scalar>(count);
  return packed.made->template as<Scalar>();
}

}  // namespace timeloom
