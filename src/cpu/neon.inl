/* The table of an ARM instruction set: the shared float kernels over four registers, matrices through panels
 * (panel_linear.inl). Included by neon.c and i8mm.c, which set NEON_TABLE and NEON_NAME; empty on other machines.
 *
 * Compilers whose arm_neon.h hides instructions that the command line does not ask for (clang before 16) get a table only
 * when it does, as Apple's compiler by default. */
#include "cpu/kernels.h"

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)
#if !defined(__clang__)
#define NEON_HERE 1
#elif defined(__ARM_FEATURE_DOTPROD) && (!defined(PL_MMLA) || defined(__ARM_FEATURE_MATMUL_INT8))
#define NEON_HERE 1
#elif __clang_major__ >= 16
#define NEON_HERE 1
#endif
#endif

#ifdef NEON_HERE

#include <arm_neon.h>

#if defined(__clang__) && defined(PL_MMLA)
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#elif defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#elif defined(PL_MMLA)
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#define V16_NEON
#include "cpu/v16.h"

#include "cpu/float.inl"
#include "cpu/attend.inl"

#include "cpu/quant.inl"

#define PL_PRODUCTS "cpu/panel_neon.inl"
#define PL_FIND     ig_quant_panel_neon
#include "cpu/panel_linear.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct ig_kernels NEON_TABLE = {
    .name = NEON_NAME,
    .scratch_bytes = pl_scratch_bytes,
    .linear_quant = pl_linear,
#include "cpu/table.inl"
};

#else
const struct ig_kernels NEON_TABLE = {0};
#endif
