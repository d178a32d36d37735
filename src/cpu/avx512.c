/* AVX-512 (F, BW, DQ, VL) with VNNI: the shared float kernels over one register, matrices with few
 * inputs as they are read (few.inl), with more through panels (panel_many.inl). Empty on other
 * machines. */
#include "cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))),        \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")
#endif

#define V16_AVX512
#include "cpu/v16.h"

#include "cpu/float.inl"
#include "cpu/attend.inl"

#include "cpu/dot_x86.inl"
#include "cpu/quant.inl"

#define FEW_FIND ig_quant_few_avx512
#include "cpu/few.inl"

#define PV_VNNI
#define PM_FIND ig_quant_panel_avx512
#include "cpu/panel_many.inl"

static size_t linear_scratch(uint32_t cols) {
    size_t rest = lq_scratch_bytes(cols), few = few_scratch_bytes(cols);
    if (rest < few) rest = few;
    return rest < sizeof(struct pm_scratch) ? sizeof(struct pm_scratch) : rest;
}

static void linear(const struct ig_linear *j) {
    if (few_linear(j) || pm_linear(j)) return;
    if (j->packed) j->packed->held = 0;
    lq_linear(j);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct ig_kernels ig_kernels_avx512 = {
    .name = "avx512",
    .scratch_bytes = linear_scratch,
    .linear_quant = linear,
#include "cpu/table.inl"
};

#else
const struct ig_kernels ig_kernels_avx512 = {0};
#endif
