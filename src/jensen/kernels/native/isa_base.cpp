// The kernels, compiled for one instruction set: vectors of 16 bytes, 16 registers.
#define JENSEN_ISA isa_base
#define JENSEN_ISA_NAME "base"
#define JENSEN_ISA_TABLE kernels_base
#define JENSEN_VECTOR_BYTES 16
#define JENSEN_REGISTERS 16
#include "pass.hpp"
