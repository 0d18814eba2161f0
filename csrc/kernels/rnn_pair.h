// The two activations of a call: the cell's defaults compiled in, any other pair chosen when called.
//
// What a cell keeps of an activation y = f(x) for backward is y, or x where the derivative needs it.
#pragma once

#include "cells/activations.h"
#include "simd/twin.h"

/// An activation and its derivative at one point.
template <class V>
struct Activated {
  V value;
  V slope;
};

/// An activation known when compiling.
template <Activation kKind>
struct FixedActivation {
  template <class V>
  TIMELOOM_INLINE V operator()(V x) const noexcept {
    return activations::value<kKind>(x);
  }
  template <class V>
  TIMELOOM_INLINE V keep(V x, V y) const noexcept {
    return derivative_from_input(kKind) ? x : y;
  }
  template <class V>
  TIMELOOM_INLINE V value_of(V kept) const noexcept {
    return derivative_from_input(kKind) ? activations::value<kKind>(kept) : kept;
  }
  template <class V>
  TIMELOOM_INLINE Activated<V> from_kept(V kept) const noexcept {
    return {value_of(kept), activations::gradient<kKind>(kept)};
  }
  template <class V>
  TIMELOOM_INLINE Activated<V> at(V x) const noexcept {
    const V y = activations::value<kKind>(x);
    return {y, activations::gradient<kKind>(keep(x, y))};
  }
};

/// One copy of the switch over all kinds for every cell, called per vector and always predicted.
template <class V>
TIMELOOM_NOINLINE V activate_any(Activation kind, V x) noexcept {
  return activate(kind, x);
}
template <class V>
TIMELOOM_INLINE Twin<V> activate_any(Activation kind, Twin<V> x) noexcept {
  return {activate_any(kind, x.first), activate_any(kind, x.second)};
}
template <class V>
TIMELOOM_NOINLINE V activation_gradient_any(Activation kind, V kept) noexcept {
  return activation_gradient(kind, kept);
}
template <class V>
TIMELOOM_INLINE Twin<V> activation_gradient_any(Activation kind, Twin<V> kept) noexcept {
  return {activation_gradient_any(kind, kept.first), activation_gradient_any(kind, kept.second)};
}

/// An activation chosen when called.
struct ChosenActivation {
  Activation kind;
  bool from_input;

  explicit ChosenActivation(Activation chosen) noexcept
      : kind(chosen), from_input(derivative_from_input(chosen)) {}

  template <class V>
  TIMELOOM_INLINE V operator()(V x) const noexcept {
    return activate_any(kind, x);
  }
  template <class V>
  TIMELOOM_INLINE V keep(V x, V y) const noexcept {
    return from_input ? x : y;
  }
  template <class V>
  TIMELOOM_INLINE V value_of(V kept) const noexcept {
    return from_input ? activate_any(kind, kept) : kept;
  }
  template <class V>
  TIMELOOM_INLINE Activated<V> from_kept(V kept) const noexcept {
    return {value_of(kept), activation_gradient_any(kind, kept)};
  }
  template <class V>
  TIMELOOM_INLINE Activated<V> at(V x) const noexcept {
    const V y = activate_any(kind, x);
    return {y, activation_gradient_any(kind, keep(x, y))};
  }
};

/// The activations of a cell.
template <class First, class Second>
struct ActivationPair {
  First activation;
  Second recurrent;
};

/// Calls function(pair) with the pair of the call.
template <class Cell, class Function>
TIMELOOM_INLINE void with_pair(Activation activation, Activation recurrent, Function&& function) noexcept {
  constexpr CellInfo info = Cell::kInfo;
  if (activation == info.activation && recurrent == info.recurrent_activation) {
    function(ActivationPair<FixedActivation<info.activation>, FixedActivation<info.recurrent_activation>>{});
  } else {
    function(ActivationPair<ChosenActivation, ChosenActivation>{ChosenActivation(activation),
                                                                ChosenActivation(recurrent)});
  }
}
