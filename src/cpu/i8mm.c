/* NEON with the int8 matrix products of ARMv8.6 (Apple M2, Neoverse V1, Cortex-X2 and later): prompts through smmla. */
#define NEON_TABLE ig_kernels_i8mm
#define NEON_NAME  "i8mm"
#define PL_MMLA
#include "cpu/neon.inl"
