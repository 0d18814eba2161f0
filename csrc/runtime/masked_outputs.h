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

/// The gradient of an output that masked timesteps repeat: its own plus theirs. `folded` holds it at real
/// timesteps and is not written elsewhere.
template <typename Scalar>
void fold_masked_gradients(const Timesteps& given, Scalar* folded, const Scalar* d_outputs, index units,
                           const Worker& worker) {
  for (index row = worker.index; row < given.batch; row += worker.count) {
    const index base = row * given.timesteps * units;
    Scalar* target = nullptr;
    for_each_timestep(given, row, [&](index, index place, bool real) {
      const Scalar* source = d_outputs + base + place * units;
      if (real) {
        target = folded + base + place * units;
        std::copy_n(source, units, target);
      } else if (target) {
        for (index unit = 0; unit < units; ++unit) target[unit] += source[unit];
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
