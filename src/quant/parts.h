/* What the files of the block types share. A type file has parts, each behind its own macro, so that
 * list.h can be included several times: IG_PART_UNPACK (blocks to integers), IG_PART_PANEL (rows to
 * the CPU's tiles; compiled again for each CPU level), IG_PART_DEVICE (the same as UNPACK in the
 * dialect of src/gpu/prelude.h, taken from the file by tools/gpu.py), IG_PART_ENCODE, IG_PART_GOLDEN
 * (a block and its values, for the tests only) and IG_PART_ROW (its line of the table in quant.c).
 *
 * Decoding is unpacking followed by  d * scale * q - dmin * min  in floats, in that order. d *
 * scale is exact for every type (11 + 8 bits at most), so this rounds exactly where llama.cpp's
 * reference does. */
#ifndef IG_QUANT_PARTS_H
#define IG_QUANT_PARTS_H

#include <string.h>
#include "quant/quant.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(__GNUC__)
#define IG_QUANT_INLINE static inline __attribute__((always_inline, unused))
#else
#define IG_QUANT_INLINE static inline
#endif

IG_QUANT_INLINE uint16_t load16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
IG_QUANT_INLINE uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
IG_QUANT_INLINE uint64_t load64(const uint8_t *p) {
    return load32(p) | (uint64_t)load32(p + 4) << 32;
}
IG_QUANT_INLINE void store16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

IG_QUANT_INLINE uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
IG_QUANT_INLINE float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

IG_QUANT_INLINE double bits_double(uint64_t u) {
    double f;
    memcpy(&f, &u, 8);
    return f;
}

/* Without branches, and with normal floats only, so that flush-to-zero modes of the host change
 * nothing. */
IG_QUANT_INLINE float half_float(uint16_t h) {
    uint32_t w = (uint32_t)h << 16, twice = w + w;
    float normal = bits_float((twice >> 4) + (0xE0u << 23)) * 0x1p-112f;
    float small = bits_float((twice >> 17) | (126u << 23)) - 0.5f;
    return bits_float((w & 0x80000000u) | float_bits(twice < (1u << 27) ? small : normal));
}

/* Integers to floats; all sizes are constants at the call, so this becomes straight vector code. */
IG_QUANT_INLINE void expand(const struct ig_unpacked *u, float *restrict out, int block, int group,
                            int unit, bool has_min) {
    for (int g = 0; g < block / group; g++) {
        int k = g * group / unit;
        float step = u->d[k] * (float)u->scale[g];
        float low = has_min ? u->dmin[k] * (float)u->min[g] : 0;
        for (int i = g * group; i < (g + 1) * group; i++)
            out[i] = has_min ? step * (float)u->q[i] - low : step * (float)u->q[i];
    }
}

#define IG_DECODE(t)                                                                               \
    static void t##_decode(const uint8_t *blocks, float *out, size_t n_blocks) {                   \
        struct ig_unpacked u;                                                                      \
        for (size_t b = 0; b < n_blocks; b++) {                                                    \
            t##_unpack(blocks + b * t##_BYTES, &u);                                                \
            expand(&u, out + b * t##_BLOCK, t##_BLOCK, t##_GROUP, t##_UNIT, t##_HAS_MIN);          \
        }                                                                                          \
    }

/* Bytes to pairs of 4 bits: all low halves, then all high halves. */
IG_QUANT_INLINE void nibbles(const uint8_t *restrict b, int8_t *restrict q, int bytes) {
    for (int i = 0; i < bytes; i++) {
        q[i] = (int8_t)(b[i] & 15);
        q[i + bytes] = (int8_t)(b[i] >> 4);
    }
}
/* 32 bytes to 128 numbers of 2 bits: 32 of each bit pair, lowest pair first. */
IG_QUANT_INLINE void crumbs(const uint8_t *restrict b, int8_t *restrict q) {
    for (int i = 0; i < 32; i++) {
        q[i] = (int8_t)(b[i] & 3);
        q[i + 32] = (int8_t)(b[i] >> 2 & 3);
        q[i + 64] = (int8_t)(b[i] >> 4 & 3);
        q[i + 96] = (int8_t)(b[i] >> 6);
    }
}
IG_QUANT_INLINE void look_up(const int8_t *restrict table, int8_t *restrict q, int n) {
    for (int i = 0; i < n; i++) q[i] = table[q[i]];
}
/* The 12 bytes of scales and minima that Q4_K and Q5_K share (diagram in q4_k.h). */
IG_QUANT_INLINE void scales_6bit(const uint8_t *restrict b, int16_t *restrict scale,
                                 int16_t *restrict min) {
    for (int j = 0; j < 4; j++) {
        scale[j] = b[j] & 63;
        min[j] = b[j + 4] & 63;
        scale[j + 4] = (int16_t)((b[j + 8] & 15) | b[j] >> 6 << 4);
        min[j + 4] = (int16_t)(b[j + 8] >> 4 | b[j + 4] >> 6 << 4);
    }
}
/* Code books (codebook_tables.c, written by tools/golden/codebooks.py). */
extern const int8_t ig_quant_grid_iq1_s[2048][8];
extern const int8_t ig_quant_grid_iq2_xxs[256][8];
extern const int8_t ig_quant_grid_iq2_xs[512][8];
extern const int8_t ig_quant_grid_iq2_s[1024][8];
extern const int8_t ig_quant_grid_iq3_xxs[256][4];
extern const int8_t ig_quant_grid_iq3_s[512][4];
extern const uint8_t ig_quant_signs[128];        /* 7 bits and a parity bit */
extern const int8_t ig_quant_sign_masks[256][8]; /* bit i of the index: byte i is -1 */
extern const int8_t ig_quant_values_iq4[16];
extern const int8_t ig_quant_values_fp4[16]; /* e2m1, doubled */

/* q = g or -g by the bits of `signs`, for 8 weights at once: g is 1..127, so no byte carries into
 * the next. */
IG_QUANT_INLINE void signed8(int8_t *q, const int8_t *g, unsigned signs) {
    uint64_t v, mask;
    memcpy(&v, g, 8);
    memcpy(&mask, ig_quant_sign_masks[signs], 8);
    v = (v ^ mask) + (mask & UINT64_C(0x0101010101010101));
    memcpy(q, &v, 8);
}

/* q = 8 row + shift for 8 ternary weights at once; bytes are kept unsigned in between, so none
 * carries. */
IG_QUANT_INLINE void shifted8(int8_t *q, const int8_t *row, int shift) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t v;
    memcpy(&v, row, 8);
    v = ((v ^ 0x80 * ones) - 0x7F * ones) * 8; /* 0, 8, 16 */
    v = (v + (uint64_t)(0x78 + shift) * ones) ^ 0x80 * ones;
    memcpy(q, &v, 8);
}

#endif
