/// The one door between the kernels of an ISA and the rest: a table of functions.
/// A function that takes a Worker does that worker's share and may be called by one thread or by several
/// together; only the recurrent ones with slices of units and gemm_outer make them meet.
#pragma once

#include "base/gemm.h"
#include "base/losses.h"
#include "base/math_kernels.h"
#include "base/optimizers.h"
#include "base/rnn.h"
#include "base/views.h"
#include "base/worker.h"

namespace timeloom {

/// The recurrent kernels of one cell.
template <typename Scalar>
struct RnnKernels {
  const CellInfo* info;
  index backward_columns;  // of a panel of the products with transposed weights, which a worker takes whole
  bool (*output_suffices)(Activation);  // whether backward needs no kept value beside the output
  void (*layout)(const RnnSizes&, bool by_gate, RnnLayout&);
  void (*pack)(const RnnPacking<Scalar>&, const Worker&);
  void (*pack_transposed)(const RnnPacking<Scalar>&, const Worker&);
  void (*forward)(const RnnForward<Scalar>&, index first_chunk, index end_chunk,
                  const Worker&);  // in this order
  void (*backward)(const RnnBackward<Scalar>&, index chunk,
                   const Worker&);  // its steps, from the last chunk on
  void (*gradients)(const RnnBackward<Scalar>&, index chunk,
                    const Worker&);  // dx and dW of a chunk after that
};

/// Every kernel for one element type.
template <typename Scalar>
struct Kernels {
  index lanes;

  // recurrent cells, in the order of cells/list.h
  const RnnKernels<Scalar>* cells;
  int cell_count;

  // matrix products
  void (*gemm)(const Gemm<Scalar>&, const Worker&);
  void (*gemm_outer)(const GemmOuter<Scalar>&, const Worker&);

  // elements, rows, losses and layers, optimizer steps
  MathKernels<Scalar> math;
  LayerKernels<Scalar> layers;
  OptimizerKernels<Scalar> optimizers;
};

/// All kernels of one ISA.
struct KernelTable {
  const char* isa;
  Kernels<float> f32;
  Kernels<double> f64;
};

}  // namespace timeloom
