// The functions over elements, rows and parameters as their parts of the kernel table.
#pragma once

#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/fma_chains.h"
#include "kernels/losses.h"
#include "kernels/optimizers.h"
#include "kernels/reductions.h"
#include "kernels/softmax.h"

template <class V>
constexpr MathKernels<typename V::scalar> math_kernels() {
  MathKernels<typename V::scalar> table{};
  table.activation = activation_kernel<V>;
  table.activation_gradient = activation_gradient_kernel<V>;
  table.exp = exp_kernel<V>;
  table.log = log_kernel<V>;
  table.softmax = softmax_kernel<V>;
  table.softmax_gradient = softmax_gradient_kernel<V>;
  table.log_softmax = log_softmax_kernel<V>;
  table.log_softmax_gradient = log_softmax_gradient_kernel<V>;
  table.sum_last = sum_last_kernel<V>;
  table.sum_rows = sum_rows_kernel<V>;
  table.fma_chains = fma_chains_kernel<V>;
  return table;
}

template <class V>
constexpr LayerKernels<typename V::scalar> layer_kernels() {
  LayerKernels<typename V::scalar> table{};
  table.loss_values = loss_values_kernel<V>;
  table.loss_gradient = loss_gradient_kernel<V>;
  table.dropout = dropout_kernel<V>;
  table.embedding = embedding_kernel<V>;
  table.embedding_gradient = embedding_gradient_kernel<V>;
  return table;
}

template <class V>
constexpr OptimizerKernels<typename V::scalar> optimizer_kernels() {
  OptimizerKernels<typename V::scalar> table{};
  table.sgd = sgd_kernel<V>;
  table.rmsprop = rmsprop_kernel<V>;
  table.adam = adam_kernel<V>;
  table.scale = scale_kernel<V>;
  table.squared_norms = squared_norms_kernel<V>;
  return table;
}
