/// What masked timesteps mean outside the kernels, which never see them: their outputs, the gradients of
/// those, and the gradients of their inputs. Each function does one worker's share of the rows.
#pragma once

#include <algorithm>

#include "base/worker.h"
#include "runtime/sequence_rows.h"

namespace timeloom {

/// Calls function(timestep of the input, place of the output, real) for every timestep of a row, in the order
/// of processing.
template <class Function>
void for_each_timestep(const Timesteps& given, index row, Function&& function) {
  for (index position = 0; position < given.timesteps; ++position) {
    const index timestep = given.go_backwards ? given.timesteps - 1 - position : position;
    function(timestep, given.keep_time_order ? timestep : position, is_real(given, row, timestep));
  }
}

/// Whether the timestep that a row processes last is masked.
inline bool ends_masked(const Timesteps& given, index row) {
  return !given.packed && !is_real(given, row, given.go_backwards ? 0 : given.timesteps - 1);
}

/// The output of a masked timestep: zeros, or that of the timestep processed before; zeros before the first.
template <typename Scalar>
void fill_masked_outputs(const Timesteps& given, Scalar* outputs, index units, bool zeros,
                         const Worker& worker) {
  for (index row = worker.index; row < given.batch; row += worker.count) {
    Scalar* base = outputs + row * given.timesteps * units;
    const Scalar* previous = nullptr;
    for_each_timestep(given, row, [&](index, index place, bool real) {
      Scalar* output = base + place * units;
      if (!real && previous && !zeros) std::copy_n(previous, units, output);
      if (!real && (!previous || zeros)) std::fill_n(output, units, Scalar(0));
      previous = real || previous ? output : nullptr;
    });
  }
}

/// Whether masked timesteps of a row lie between real ones.
inline bool has_holes(const Timesteps& given) {
  if (!given.mask) return false;
  for (index row = 0; row < given.batch; ++row) {
    int changes = 0;
    for (index timestep = 1; timestep < given.timesteps; ++timestep) {
      changes += is_real(given, row, timestep) != is_real(given, row, timestep - 1);
    }
    if (changes > 2 || (changes == 2 && is_real(given, row, 0))) return true;
  }
  return false;
}

/// The gradients of the outputs after the last real timestep of a row, which repeat that output, are one of
/// its final state: d_state[units] += theirs.
template <typename Scalar>
void add_gradients_after_last(const Timesteps& given, index row, Scalar* d_state, const Scalar* d_outputs,
                              index units) {
  for (index position = given.timesteps - 1; position >= 0; --position) {
    const index timestep = given.go_backwards ? given.timesteps - 1 - position : position;
    if (is_real(given, row, timestep)) return;
    const index place = given.keep_time_order ? timestep : position;
    const Scalar* source = d_outputs + (row * given.timesteps + place) * units;
    for (index unit = 0; unit < units; ++unit) d_state[unit] += source[unit];
  }
}

/// The gradient of an output that masked timesteps before another real one repeat: its own plus theirs.
/// `folded` holds it at real timesteps; what it holds elsewhere means nothing.
template <typename Scalar>
void fold_masked_gradients(const Timesteps& given, Scalar* folded, const Scalar* d_outputs, index units,
                           const Worker& worker) {
  for (index row = worker.index; row < given.batch; row += worker.count) {
    const index base = row * given.timesteps * units;
    Scalar* target = nullptr;
    Scalar* masked = nullptr;  // sum over the masked timesteps since the last real one, where the first lies
    for_each_timestep(given, row, [&](index, index place, bool real) {
      const Scalar* source = d_outputs + base + place * units;
      Scalar* here = folded + base + place * units;
      if (real || !masked) std::copy_n(source, units, here);
      if (real) {
        for (index unit = 0; target && masked && unit < units; ++unit) target[unit] += masked[unit];
        target = here;
        masked = nullptr;
      } else if (!masked) {
        masked = here;
      } else {
        for (index unit = 0; unit < units; ++unit) masked[unit] += source[unit];
      }
    });
  }
}

/// Masked inputs have no gradient.
template <typename Scalar>
void clear_masked_inputs(const Timesteps& given, Scalar* d_inputs, index features, const Worker& worker) {
  for (index row = worker.index; row < given.batch; row += worker.count) {
    for_each_timestep(given, row, [&](index timestep, index, bool real) {
      if (!real) std::fill_n(d_inputs + (row * given.timesteps + timestep) * features, features, Scalar(0));
    });
  }
}

}  // namespace timeloom
