// The weights of a cell as the kernels read them, kept from call to call. Belongs here: which forms there are
// and when they hold. Does not: how they are packed (kernels/rnn_panels.h), when weights change
// (ops/weights.pyx).
#pragma once

#include <memory>

#include "bindings/checks.h"
#include "runtime/recurrent.h"

namespace timeloom {

/// What packed weights were made from.
struct PackedSource {
  const void* cell;  // the kernels: so also the ISA and the element type
  index features;
  index units;
  const void* kernel;
  const void* recurrent_kernel;
  const void* bias;

  bool operator==(const PackedSource& other) const {
    return cell == other.cell && features == other.features && units == other.units &&
           kernel == other.kernel && recurrent_kernel == other.recurrent_kernel && bias == other.bias;
  }
};

/// The packed forms of one value of some weights, each made by the first call that needs it. Whoever changes
/// the weights calls close(): calls that run go on with what they hold, later ones find nothing and leave
/// nothing. Only to be used with the GIL held.
class PackedWeights {
 public:
  using Form = std::shared_ptr<const Workspace>;

  /// Refuses weights other than those of the first call.
  void check(const PackedSource& source) {
    if (!source_.cell) source_ = source;
    if (!(source_ == source)) refuse("weights", "the arrays, cell and ISA of the first call", "others");
  }

  /// Null if it has yet to be made.
  Form find(bool transposed, bool by_gate) const { return forms_[transposed][by_gate]; }

  void keep(bool transposed, bool by_gate, Workspace&& made) {
    if (!closed_) forms_[transposed][by_gate] = std::make_shared<const Workspace>(std::move(made));
  }

  void close() {
    closed_ = true;
    for (auto& kind : forms_) {
      for (Form& form : kind) form.reset();
    }
  }

  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& kind : forms_) {
      for (const Form& form : kind) sum += form ? form->bytes() : 0;
    }
    return sum;
  }

 private:
  PackedSource source_{};
  bool closed_ = false;
  Form forms_[2][2];  // [transposed][by_gate]
};

/// A packed form during one call: takes it from `weights`, or makes it and leaves it there. `weights` may be
/// null: then the call packs for itself alone.
template <class Scalar>
class PackedForm {
 public:
  PackedForm(PackedWeights* weights, const RecurrentCall<Scalar>& call, bool transposed)
      : weights_(weights), transposed_(transposed), by_gate_(has_operands_by_gate(call)) {
    if (!weights_) return;
    weights_->check({call.cell, call.features, call.units, call.kernel, call.recurrent_kernel, call.bias});
    held_ = weights_->find(transposed_, by_gate_);
  }

  /// What the call is given; the kernels may run without the GIL.
  Packing<Scalar> packing() {
    if (held_) return {held_->template as<const Scalar>(), nullptr};
    return {nullptr, weights_ ? &made_ : nullptr};
  }

  /// After the call.
  void keep() {
    if (weights_ && !held_) weights_->keep(transposed_, by_gate_, std::move(made_));
  }

 private:
  PackedWeights* weights_;
  bool transposed_;
  bool by_gate_;
  PackedWeights::Form held_;
  Workspace made_;
};

}  // namespace timeloom
