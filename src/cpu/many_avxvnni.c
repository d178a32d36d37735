/* Prompts with AVX-VNNI: the processors of desktops since 2021 have no AVX-512, but its dot
 * instructions for 256 bits. many_vnni256.c compiles the same code for AVX-512VL, which is how its
 * bits are tested on machines that have that instead. Empty on other machines. */
#include "cpu/many.h"

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 12) ||                       \
                            (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11))

#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avxvnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avxvnni,avx2,fma,f16c")
#endif

#define PV_256
#define PV_VNNI
#define PV_VEX
#define PM_FIND ig_quant_panel_avx2
#include "cpu/panel_many.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const ig_many_fn ig_many_avxvnni = pm_linear;

#else
const ig_many_fn ig_many_avxvnni = NULL;
#endif
