// The recurrent kernels of every cell, gathered for the table.
#pragma once

#include "cells/list.h"
#include "kernels/rnn_backward.h"
#include "kernels/rnn_forward.h"

template <class Cell>
bool rnn_output_suffices(Activation activation) noexcept {
  return Cell::kInfo.output_is_kept && !derivative_from_input(activation);
}

template <class V, class List>
struct RnnTable;

template <class V, class... Cells>
struct RnnTable<V, CellList<Cells...>> {
  static constexpr int kCount = sizeof...(Cells);
  static constexpr RnnKernels<typename V::scalar> kCells[kCount] = {
      {&Cells::kInfo, Panel<Cells, V>::kColumns, rnn_output_suffices<Cells>, rnn_layout<Cells, V>,
       rnn_pack<Cells, V>, rnn_pack_transposed<Cells, V>, rnn_forward<Cells, V>, rnn_backward<Cells, V>,
       rnn_gradients<Cells, V>}...};
};
