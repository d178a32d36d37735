/* Prompts with AVX-512 (F, BW) but without VNNI. Empty on other machines. */
#include "cpu/many.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),                   \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#endif

#define PM_FIND ig_quant_panel_avx2
#include "cpu/panel_many.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const ig_many_fn ig_many_avx512bw = pm_linear;

#else
const ig_many_fn ig_many_avx512bw = NULL;
#endif
