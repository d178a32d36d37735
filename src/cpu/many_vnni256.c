/* The code of many_avxvnni.c in the AVX-512VL form of its instructions: never chosen by itself, but
 * by name for tests. Empty on other machines. */
#include "cpu/many.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c"))),                 \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")
#endif

#define PV_256
#define PV_VNNI
#define PM_FIND ig_quant_panel_avx2
#include "cpu/panel_many.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const ig_many_fn ig_many_vnni256 = pm_linear;

#else
const ig_many_fn ig_many_vnni256 = NULL;
#endif
