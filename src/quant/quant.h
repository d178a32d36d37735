/* Block types as the rest of the house sees them.
 *
 * Every quantised type is, per group of 16 or 32 weights,  w = d * scale * q - dmin * min  with integers q (int8), scale
 * and min (int16) and floats d, dmin that hold for one `unit` of weights: the whole block for the K and IQ families, 32
 * (NVFP4: 16) for the others. So one kernel contract serves all types:
 *
 *   y = W x.  x is quantised once (A256: f32 scale per 256; A32: f32 scale per 32; int8 in -127..127).
 *   Per unit:  I = sum over groups of scale * dot(q, a)          exact in int32
 *              M = sum over groups of min * sum(a)               exact in int32
 *              acc = fma(d * da, (float)I, acc);  then, for types with mins, acc = fma(-(dmin * da), (float)M, acc)
 *   Units in order within a slice of 2048 weights; slices added in order (DESIGN 6).
 *
 * Float types (F32 F16 BF16) have no unpack: kernels read them as they are. */
#ifndef IG_QUANT_H
#define IG_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ig_quant_kind {
    IG_QUANT_FLOAT, /* f32, f16, bf16: 16-lane fma contract */
    IG_QUANT_A32,   /* activations quantised per 32 */
    IG_QUANT_A256,  /* activations quantised per 256 */
    IG_QUANT_OTHER  /* integers, f64, Q8_1, Q8_K: can be sized and maybe decoded, never multiplied */
};

enum { IG_QUANT_MAX_BLOCK = 256, IG_QUANT_MAX_BYTES = 292, IG_SLICE = 2048 };

/* One block taken apart. Arrays are filled up to block/group and block/unit entries. */
struct ig_unpacked {
    int8_t q[IG_QUANT_MAX_BLOCK];
    int16_t scale[16], min[16]; /* per group */
    float d[8], dmin[8];        /* per unit */
};

struct ig_quant {
    const char *name;     /* "Q4_K" */
    uint32_t id;          /* GGUF type id */
    uint16_t block;       /* weights per block */
    uint16_t bytes;       /* per block */
    uint8_t kind;         /* enum ig_quant_kind */
    uint8_t group;        /* weights per integer scale: 16 or 32; 0 for FLOAT */
    uint16_t unit;        /* weights per float step: 16, 32 or 256; 0 for FLOAT */
    bool has_min;
    /* The two pieces of a block that devices keep in planes of their own: the main one, which they can read in wide aligned
     * words, and the rest. Together they are the block; 0 bytes of both: not for devices. */
    struct {
        uint16_t main_at, main, rest_at, rest;
    } device;
    /* blocks -> floats, exactly as llama.cpp's reference (golden/quants.safetensors). NULL only for IG_QUANT_OTHER. */
    void (*decode)(const uint8_t *blocks, float *out, size_t n_blocks);
    /* floats -> blocks; NULL where there is no encoder */
    void (*encode)(const float *in, uint8_t *blocks, size_t n_blocks);
    void (*unpack)(const uint8_t *block, struct ig_unpacked *out); /* NULL for FLOAT and OTHER */
};

/* NULL if unknown. */
const struct ig_quant *ig_quant_by_id(uint32_t id);
const struct ig_quant *ig_quant_by_name(const char *name, size_t n); /* any case */
const struct ig_quant *ig_quant_at(size_t index);                    /* in list order, NULL past the end */
/* For ids that once were types: says so; else NULL. */
const char *ig_quant_removed(uint32_t id);

/* IEEE half and bfloat16, round to nearest even, NaN stays NaN. */
float ig_f16_to_f32(uint16_t h);
uint16_t ig_f32_to_f16(float f);
static inline float ig_bf16_to_f32(uint16_t h) {
    union { uint32_t u; float f; } x = {(uint32_t)h << 16};
    return x.f;
}
uint16_t ig_f32_to_bf16(float f);

#endif
