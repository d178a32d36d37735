/* Products with few inputs for AVX-512 with VNNI; the code is in the type files, the vocabulary in
 * lanes.h. Knows nothing of who multiplies.
 *
 * The subtle thing: the target is set for the whole file by pragma, so that the file builds without
 * special flags; the table must only be used where the CPU has the instructions. */
#include "quant/few.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c"))),                 \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")
#ifndef __SANITIZE_ADDRESS__ /* minutes to compile */
#pragma GCC optimize("O2")
#endif
#endif

#define W_AVX512
#define W_DOTS
#define FEW_FIND ig_quant_few_avx512
#define FEW_LIST "quant/list.h"
#include "quant/few.inl"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

const struct ig_few_type *ig_quant_few_avx512(const struct ig_quant *type) {
    (void)type;
    return NULL;
}

#endif
