/* NEON with the dot product instructions of ARMv8.2, the form of every ARM core of a desktop or telephone since 2018. */
#define NEON_TABLE ig_kernels_neon
#define NEON_NAME  "neon"
#include "cpu/neon.inl"
