// The kernels, compiled for one instruction set: vectors of 64 bytes, 32 registers.
#define JENSEN_ISA isa_avx512
#define JENSEN_ISA_NAME "avx512"
#define JENSEN_ISA_TABLE kernels_avx512
#define JENSEN_VECTOR_BYTES 64
#define JENSEN_REGISTERS 32
#include "pass.hpp"
