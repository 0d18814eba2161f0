#pragma once

/// The nonlinearities of single elements, under the names of Keras and with its default arguments. gelu_tanh
/// is Keras's gelu with approximate=True; its celu is by default elu. The one list, in the order that the
/// bindings number them: enum, kernels and names. First those whose derivative is computed from their output
/// y, then those for which it takes their input x: they are not monotonic, or their inverse has no closed
/// form.
// clang-format off: it breaks the list anew at every run.
#define TIMELOOM_ACTIVATIONS_BY_OUTPUT(X)                                                          \
  X(linear) X(tanh) X(sigmoid) X(hard_sigmoid) X(relu) X(relu6) X(leaky_relu) X(elu) X(selu)       \
  X(softplus) X(softsign) X(exponential) X(hard_tanh) X(log_sigmoid) X(soft_shrink) X(hard_shrink) \
  X(squareplus) X(sparse_plus) X(sparse_sigmoid)
// clang-format on
#define TIMELOOM_ACTIVATIONS_BY_INPUT(X) X(gelu) X(gelu_tanh) X(silu) X(hard_silu) X(mish) X(tanh_shrink)
#define TIMELOOM_ACTIVATIONS(X) TIMELOOM_ACTIVATIONS_BY_OUTPUT(X) TIMELOOM_ACTIVATIONS_BY_INPUT(X)

namespace timeloom {

#define TIMELOOM_ENUMERATOR(name) name,
enum class Activation : int { TIMELOOM_ACTIVATIONS(TIMELOOM_ENUMERATOR) };
#undef TIMELOOM_ENUMERATOR

/// Whether the gradient of this kind takes x rather than y; whoever calls backward then keeps x for it.
/// Static: each ISA object has its own copy, where the linker would keep one of any.
static constexpr bool derivative_from_input(Activation kind) noexcept {
#define TIMELOOM_IS(name) || kind == Activation::name
  return false TIMELOOM_ACTIVATIONS_BY_INPUT(TIMELOOM_IS);
#undef TIMELOOM_IS
}

}  // namespace timeloom
