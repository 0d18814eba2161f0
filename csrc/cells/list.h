// The list of cells: bindings, ops, benches and tests learn of a cell from here. One include and one word add
// a cell.
#pragma once

#include "cells/gru.h"
#include "cells/gru_reset_before.h"
#include "cells/lstm.h"
#include "cells/simple_rnn.h"

template <class... Cells>
struct CellList {};

using AllCells = CellList<SimpleRnn, Lstm, Gru, GruResetBefore>;
