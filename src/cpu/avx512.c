/* AVX-512 (F, BW, DQ, VL) with VNNI: the shared float kernels over one register, matrices through
 * panels (panel_linear.inl). Empty on other machines. */
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
#define PM_PRODUCTS "cpu/panel_tiles.inl"
#define PM_FIND     ig_quant_panel_avx512
#include "cpu/panel_many.inl"

#define PL_PRODUCTS "cpu/panel_avx512.inl"
#define PL_FIND     ig_quant_panel_avx512
#include "cpu/panel_linear.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct ig_kernels ig_kernels_avx512 = {
    .name = "avx512",
    .scratch_bytes = pl_scratch_bytes,
    .linear_quant = pl_linear,
#include "cpu/table.inl"
};

#else
const struct ig_kernels ig_kernels_avx512 = {0};
#endif
