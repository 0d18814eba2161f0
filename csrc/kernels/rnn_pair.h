// The two activations of a call: compiled in where they are the cell's defaults, else chosen when called.
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

/// An activation chosen when called: the addresses of two functions, of which all cells share one copy. A
/// call takes and gives a vector in a register; with both of a Twin it would go through memory.
template <class V>
struct ChosenActivation {
  using Function = V (*)(V) noexcept;
  Function value;
  Function gradient;
  bool from_input;

  explicit ChosenActivation(Activation kind) noexcept : from_input(derivative_from_input(kind)) {
    switch (kind) {
#define TIMELOOM_CASE(name)                                         \
  case Activation::name:                                            \
    value = activations::value_function<Activation::name, V>;       \
    gradient = activations::gradient_function<Activation::name, V>; \
    break;
      TIMELOOM_ACTIVATIONS(TIMELOOM_CASE)
#undef TIMELOOM_CASE
    }
  }

  template <class W>
  TIMELOOM_INLINE W operator()(W x) const noexcept {
    return apply(value, x);
  }
  template <class W>
  TIMELOOM_INLINE W keep(W x, W y) const noexcept {
    return from_input ? x : y;
  }
  template <class W>
  TIMELOOM_INLINE W value_of(W kept) const noexcept {
    return from_input ? apply(value, kept) : kept;
  }
  template <class W>
  TIMELOOM_INLINE Activated<W> from_kept(W kept) const noexcept {
    return {value_of(kept), apply(gradient, kept)};
  }
  template <class W>
  TIMELOOM_INLINE Activated<W> at(W x) const noexcept {
    const W y = apply(value, x);
    return {y, apply(gradient, keep(x, y))};
  }

 private:
  static TIMELOOM_INLINE V apply(Function function, V x) noexcept { return function(x); }
  static TIMELOOM_INLINE Twin<V> apply(Function function, Twin<V> x) noexcept {
    return {function(x.first), function(x.second)};
  }
};

/// The activations of a cell.
template <class First, class Second>
struct ActivationPair {
  First activation;
  Second recurrent;
};

/// Calls function(pair) with the pair of the call. Compiled in are the cell's defaults, and its default
/// recurrent activation beside any other: that is what most calls ask for, and it is computed most often.
template <class Cell, class V, class Function>
TIMELOOM_INLINE void with_pair(Activation activation, Activation recurrent, Function&& function) noexcept {
  constexpr CellInfo info = Cell::kInfo;
  using Default = FixedActivation<info.activation>;
  using DefaultRecurrent = FixedActivation<info.recurrent_activation>;
  using Chosen = ChosenActivation<V>;
  if (recurrent != info.recurrent_activation) {
    function(ActivationPair<Chosen, Chosen>{Chosen(activation), Chosen(recurrent)});
  } else if (activation != info.activation) {
    function(ActivationPair<Chosen, DefaultRecurrent>{Chosen(activation), {}});
  } else {
    function(ActivationPair<Default, DefaultRecurrent>{});
  }
}
