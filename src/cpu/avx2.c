/* AVX2 + FMA + F16C: the shared float kernels over two registers, matrices through panels
 * (panel_linear.inl). Three more tables differ only in the products of many inputs (many.h). Empty
 * on other machines. */
#include "cpu/kernels.h"
#include "cpu/many.h"
#include "quant/few.h"

#if defined(__x86_64__) && defined(__GNUC__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define V16_AVX2
#include "cpu/v16.h"

#include "cpu/float.inl"
#include "cpu/attend.inl"

#include "cpu/dot_x86.inl"
#include "cpu/quant.inl"

#define FEW_FIND ig_quant_few_avx2
#include "cpu/few.inl"

#define PV_256
#define PM_FIND ig_quant_panel_avx2
#include "cpu/panel_many.inl"

#define PL_PRODUCTS "cpu/panel_avx2.inl"
#define PL_FIND     ig_quant_panel_avx2
#include "cpu/panel_linear.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#define MANY(isa)                                                                                  \
    static void linear_##isa(const struct ig_linear *j) {                                          \
        if (j->n <= IG_FEW_MAX || !ig_many_##isa(j)) pl_linear(j);                                 \
    }
MANY(avxvnni)
MANY(vnni256)
MANY(avx512bw)

const struct ig_kernels ig_kernels_avx2 = {
    .name = "avx2",
    .scratch_bytes = pl_scratch_bytes,
    .linear_quant = pl_linear,
#include "cpu/table.inl"
};

#define TABLE(isa)                                                                                 \
    const struct ig_kernels ig_kernels_##isa = {                                                   \
        .name = #isa, .scratch_bytes = pl_scratch_bytes, .linear_quant = linear_##isa,
TABLE(avxvnni)
#include "cpu/table.inl"
}
;
TABLE(vnni256)
#include "cpu/table.inl"
}
;
TABLE(avx512bw)
#include "cpu/table.inl"
}
;

#else
const struct ig_kernels ig_kernels_avxvnni = {0}, ig_kernels_vnni256 = {0},
                        ig_kernels_avx512bw = {0};
const struct ig_kernels ig_kernels_avx2 = {0};
#endif
