/* The oracle: plain C, one operation at a time. Slow and right; every other table is compared with
 * this one. */
#define V16_SCALAR
#include "cpu/kernels.h"
#include "cpu/v16.h"

#include "cpu/float.inl"
#include "cpu/attend.inl"

#include "cpu/quant.inl"

const struct ig_kernels ig_kernels_scalar = {
    .name = "scalar",
    .scratch_bytes = lq_scratch_bytes,
    .linear_quant = lq_linear,
#include "cpu/table.inl"
};
