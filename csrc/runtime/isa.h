#pragma once
// The runtime floor chooses where and how kernels run: the ISA table, the threads, the workspace.
// It calls kernels through KernelTable only and includes nothing of simd/, cells/ or kernels/.
// Python is unknown here: errors are standard C++ exceptions.

#include <string>
#include <vector>

#include "base/kernel_table.h"

namespace timeloom {

/// Names of the ISA tables compiled into this build, from the plainest to the best.
std::vector<std::string> compiled_isas();

/// Those of compiled_isas() that this CPU and its operating system can run, in the same order.
std::vector<std::string> supported_isas();

/// The table every call uses unless it asks for another: the best supported one, or the one that the
/// environment variable TIMELOOM_ISA names. Chosen once, at first use.
/// Throws std::invalid_argument if TIMELOOM_ISA names a table that is unknown or that this CPU cannot run.
const KernelTable& active_table();

/// The table called `isa`; the active one for an empty string.
/// Throws std::invalid_argument, naming the argument _isa, as active_table() does.
const KernelTable& table_for(const char* isa);

/// Name of the active table.
std::string active_isa();

}  // namespace timeloom
