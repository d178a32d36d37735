/* Products with one input for AVX2 and the commonest block types; the code is in the type files,
 * the vocabulary in lanes.h. Knows nothing of who multiplies.
 *
 * The subtle thing: the target is set for the whole file by pragma, so that the file builds without
 * special flags; the table must only be used where the CPU has the instructions. */
#include "quant/few.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#ifndef __SANITIZE_ADDRESS__ /* minutes to compile */
#pragma GCC optimize("O2")
#endif
#endif

#define W_AVX2
#define W_DOTS
#define FEW_FIND ig_quant_few_avx2
#define FEW_LIST "quant/list_common.h"
#include "quant/few.inl"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

const struct ig_few_type *ig_quant_few_avx2(const struct ig_quant *type) {
    (void)type;
    return NULL;
}

#endif
