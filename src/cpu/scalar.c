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
    .linear_float = linear_float,
    .linear_quant = lq_linear,
    .quantize = quantize,
    .norm_rms = norm_rms,
    .norm_layer = norm_layer,
    .act = act,
    .glu = glu,
    .add = add,
    .scale = scale,
    .mul = mul,
    .softcap = softcap,
    .softmax = softmax,
    .to_f16 = to_f16,
    .attend = attend,
};
