/* Dots of 16 rows with one input for AVX-512 with VNNI; the code is in the type files, the
 * vocabulary in lanes.h. Knows nothing of who multiplies.
 *
 * The subtle thing: the target is set for the whole file by pragma, so that the file builds without
 * special flags; the table must only be used where the CPU has the instructions. */
#include "quant/panel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c"))),                 \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")
#ifndef __SANITIZE_ADDRESS__ /* minutes to compile */
#pragma GCC optimize("O3")
#endif
#endif

#define W_AVX512
#define W_ONE
#define PANEL_FIND ig_quant_panel_avx512_one
#include "quant/panel.inl"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

const struct ig_panel_type *ig_quant_panel_avx512_one(const struct ig_quant *type) {
    (void)type;
    return NULL;
}

#endif
