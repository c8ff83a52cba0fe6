// The kernels, compiled for one instruction set: vectors of 32 bytes, 16 registers.
#define JENSEN_ISA isa_avx2
#define JENSEN_ISA_NAME "avx2"
#define JENSEN_ISA_TABLE kernels_avx2
#define JENSEN_VECTOR_BYTES 32
#define JENSEN_REGISTERS 16
#include "pass.hpp"
