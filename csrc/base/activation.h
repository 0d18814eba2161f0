#pragma once

/// The nonlinearities of a cell, in the order that the bindings number them. The one list: enum, kernels and
/// names.
#define TIMELOOM_ACTIVATIONS(X) X(linear) X(tanh) X(sigmoid) X(hard_sigmoid) X(relu)

namespace timeloom {

#define TIMELOOM_ENUMERATOR(name) name,
enum class Activation : int { TIMELOOM_ACTIVATIONS(TIMELOOM_ENUMERATOR) };
#undef TIMELOOM_ENUMERATOR

}  // namespace timeloom
