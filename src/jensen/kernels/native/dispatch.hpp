// Which instruction set this machine runs.
#pragma once

#include "task.hpp"

namespace jensen {

// The kernels of an instruction set by name, or null if it is unknown or this machine lacks it.
const Kernels* find_kernels(const char* name);

// The widest that this machine runs.
const Kernels* best_kernels();

// Names of all that were compiled in, widest first; ends with null.
const char* const* compiled_names();

}  // namespace jensen
