/* A value of 16 lanes, one for each row of a panel, with four bytes a lane: one AVX-512 register or
 * two of AVX2. The panel code of the block types is written once in these terms. The including file
 * sets the target and W_AVX512 or W_AVX2. */
#ifndef IG_QUANT_LANES_H
#define IG_QUANT_LANES_H

#include <immintrin.h>
#include "quant/panel.h"
#include "quant/parts.h"

#define W_FN         IG_QUANT_INLINE
#define W_LOAD128(p) _mm_loadu_si128((const __m128i *)(const void *)(p))

#ifdef W_AVX512

typedef __m512i w16;

#define W_ROWS(p, stride, i)                                                                       \
    _mm512_mask_broadcast_i32x4(                                                                   \
        _mm512_mask_broadcast_i32x4(                                                               \
            _mm512_mask_broadcast_i32x4(_mm512_castsi128_si512(W_LOAD128((p) + (i) * (stride))),   \
                                        0x00F0, W_LOAD128((p) + (4 + (i)) * (stride))),            \
            0x0F00, W_LOAD128((p) + (8 + (i)) * (stride))),                                        \
        0xF000, W_LOAD128((p) + (12 + (i)) * (stride)))

/* 16 bytes of each row: out[c] holds bytes 4c..4c+3 */
W_FN void w_load4(const uint8_t *p, size_t stride, w16 out[4]) {
    w16 z0 = W_ROWS(p, stride, 0), z1 = W_ROWS(p, stride, 1), z2 = W_ROWS(p, stride, 2),
        z3 = W_ROWS(p, stride, 3);
    w16 a = _mm512_unpacklo_epi32(z0, z1), b = _mm512_unpacklo_epi32(z2, z3);
    w16 c = _mm512_unpackhi_epi32(z0, z1), d = _mm512_unpackhi_epi32(z2, z3);
    out[0] = _mm512_unpacklo_epi64(a, b);
    out[1] = _mm512_unpackhi_epi64(a, b);
    out[2] = _mm512_unpacklo_epi64(c, d);
    out[3] = _mm512_unpackhi_epi64(c, d);
}
W_FN void w_store(void *p, w16 x) {
    _mm512_storeu_si512(p, x);
}
W_FN w16 w_set8(int v) {
    return _mm512_set1_epi8((char)v);
}
W_FN w16 w_set32(uint32_t v) {
    return _mm512_set1_epi32((int)v);
}
W_FN w16 w_table(const int8_t t[16]) {
    return _mm512_broadcast_i32x4(W_LOAD128(t));
}
W_FN w16 w_lut(w16 table, w16 x) {
    return _mm512_shuffle_epi8(table, x);
}
W_FN w16 w_and(w16 a, w16 b) {
    return _mm512_and_si512(a, b);
}
W_FN w16 w_or(w16 a, w16 b) {
    return _mm512_or_si512(a, b);
}
W_FN w16 w_xor(w16 a, w16 b) {
    return _mm512_xor_si512(a, b);
}
W_FN w16 w_add8(w16 a, w16 b) {
    return _mm512_add_epi8(a, b);
}
W_FN w16 w_andnot(w16 a, w16 b) {
    return _mm512_andnot_si512(a, b);
} /* ~a & b */
W_FN w16 w_sub32(w16 a, w16 b) {
    return _mm512_sub_epi32(a, b);
}
W_FN w16 w_mul32(w16 a, w16 b) {
    return _mm512_mullo_epi32(a, b);
}
W_FN w16 w_max32(w16 a, w16 b) {
    return _mm512_max_epi32(a, b);
}
#define w_shr16(x, n) _mm512_srli_epi16(x, (unsigned)(n))
#define w_shl16(x, n) _mm512_slli_epi16(x, (unsigned)(n))
#define w_shr32(x, n) _mm512_srli_epi32(x, (unsigned)(n))
#define w_shl32(x, n) _mm512_slli_epi32(x, (unsigned)(n))
#define w_sar32(x, n) _mm512_srai_epi32(x, (unsigned)(n))
/* the low half of each lane, as halves, to floats */
W_FN void w_store_half(float *p, w16 x) {
    _mm512_storeu_ps(p, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x)));
}

#else

typedef struct {
    __m256i a, b; /* rows 0..7, 8..15 */
} w16;

#define W_ROWS(p, stride, i)                                                                       \
    _mm256_inserti128_si256(_mm256_castsi128_si256(W_LOAD128((p) + (i) * (stride))),               \
                            W_LOAD128((p) + (4 + (i)) * (stride)), 1)

W_FN void w_load4_half(const uint8_t *p, size_t stride, __m256i out[4]) {
    __m256i z0 = W_ROWS(p, stride, 0), z1 = W_ROWS(p, stride, 1), z2 = W_ROWS(p, stride, 2),
            z3 = W_ROWS(p, stride, 3);
    __m256i a = _mm256_unpacklo_epi32(z0, z1), b = _mm256_unpacklo_epi32(z2, z3);
    __m256i c = _mm256_unpackhi_epi32(z0, z1), d = _mm256_unpackhi_epi32(z2, z3);
    out[0] = _mm256_unpacklo_epi64(a, b);
    out[1] = _mm256_unpackhi_epi64(a, b);
    out[2] = _mm256_unpacklo_epi64(c, d);
    out[3] = _mm256_unpackhi_epi64(c, d);
}
W_FN void w_load4(const uint8_t *p, size_t stride, w16 out[4]) {
    __m256i a[4], b[4];
    w_load4_half(p, stride, a);
    w_load4_half(p + 8 * stride, stride, b);
    for (int c = 0; c < 4; c++) out[c] = (w16){a[c], b[c]};
}
W_FN void w_store(void *p, w16 x) {
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)p + 1, x.b);
}
W_FN w16 w_set8(int v) {
    return (w16){_mm256_set1_epi8((char)v), _mm256_set1_epi8((char)v)};
}
W_FN w16 w_set32(uint32_t v) {
    return (w16){_mm256_set1_epi32((int)v), _mm256_set1_epi32((int)v)};
}
W_FN w16 w_table(const int8_t t[16]) {
    __m256i x = _mm256_broadcastsi128_si256(W_LOAD128(t));
    return (w16){x, x};
}
#define W_BOTH(name, op)                                                                           \
    W_FN w16 name(w16 x, w16 y) {                                                                  \
        return (w16){op(x.a, y.a), op(x.b, y.b)};                                                  \
    }
W_BOTH(w_lut, _mm256_shuffle_epi8)
W_BOTH(w_and, _mm256_and_si256)
W_BOTH(w_andnot, _mm256_andnot_si256) /* ~a & b */
W_BOTH(w_or, _mm256_or_si256)
W_BOTH(w_xor, _mm256_xor_si256)
W_BOTH(w_sub32, _mm256_sub_epi32)
W_BOTH(w_mul32, _mm256_mullo_epi32)
W_BOTH(w_max32, _mm256_max_epi32)
#undef W_BOTH
#define w_shr16(x, n) ((w16){_mm256_srli_epi16((x).a, n), _mm256_srli_epi16((x).b, n)})
#define w_shl16(x, n) ((w16){_mm256_slli_epi16((x).a, n), _mm256_slli_epi16((x).b, n)})
#define w_shr32(x, n) ((w16){_mm256_srli_epi32((x).a, n), _mm256_srli_epi32((x).b, n)})
#define w_shl32(x, n) ((w16){_mm256_slli_epi32((x).a, n), _mm256_slli_epi32((x).b, n)})
#define w_sar32(x, n) ((w16){_mm256_srai_epi32((x).a, n), _mm256_srai_epi32((x).b, n)})
W_FN __m256 w_half8(__m256i x) {
    x = _mm256_and_si256(x, _mm256_set1_epi32(0xFFFF));
    __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return _mm256_cvtph_ps(h);
}
W_FN void w_store_half(float *p, w16 x) {
    _mm256_storeu_ps(p, w_half8(x.a));
    _mm256_storeu_ps(p + 8, w_half8(x.b));
}

#endif

/* Prefetches a cache line of each row, `at` bytes into what will be wanted next. Spread these over
 * the work: the queue of outstanding lines is short. Into the second cache; the first is full of
 * panel. */
W_FN void w_ahead(const uint8_t *w, size_t stride, const struct ig_panel *p, size_t at) {
    for (size_t r = 0; r < 16; r++)
        _mm_prefetch((const char *)w + p->ahead + r * stride + at, _MM_HINT_T1);
}

/* The first or the last 4 of 16 bytes of each row */
W_FN w16 w_first(const uint8_t *p, size_t stride) {
    w16 x[4];
    w_load4(p, stride, x);
    return x[0];
}
W_FN w16 w_last(const uint8_t *p, size_t stride) {
    w16 x[4];
    w_load4(p, stride, x);
    return x[3];
}

/* Bits of every byte: (x >> n) & mask and (x << n) & mask; the mask removes what came from the
 * neighbour. */
#define w_bits(x, n, mask)    w_and(w_shr16(x, n), w_set8(mask))
#define w_bits_up(x, n, mask) w_and(w_shl16(x, n), w_set8(mask))

/* Four columns of codes go into the panel or, with W_ONE, straight into the dot of their group:
 * `sum` collects it and w_end puts it away. */
#ifdef W_ONE
W_FN w16 w_begin(void) {
    return _mm512_setzero_si512();
}
W_FN void w_put(struct ig_panel *p, size_t k, w16 code, w16 *sum) {
    int32_t a;
    memcpy(&a, p->a + 4 * k, 4);
    *sum = _mm512_dpbusd_epi32(*sum, code, _mm512_set1_epi32(a));
}
W_FN w16 w_join(w16 a, w16 b) {
    return _mm512_add_epi32(a, b);
}
W_FN void w_end(struct ig_panel *p, size_t group, w16 sum) {
    w_store(p->q[group], sum);
}
#else
W_FN int w_begin(void) {
    return 0;
}
W_FN void w_put(struct ig_panel *p, size_t k, w16 code, const int *sum) {
    (void)sum;
    w_store(p->q[k], code);
}
W_FN int w_join(int a, int b) {
    return a + b;
}
W_FN void w_end(const struct ig_panel *p, size_t group, int sum) {
    (void)p, (void)group, (void)sum;
}
#endif
#ifdef W_ONE
typedef w16 w_sum;
#else
typedef int w_sum;
#endif

/* Signed values, as codes with zero = 128 */
W_FN w16 w_code(w16 x) {
    return w_xor(x, w_set8(-128));
}
W_FN void w_put_signed(uint8_t q[16][4], w16 x) {
    w_store(q, w_code(x));
}

/* Low and high nibbles of 16 bytes a row, `apart` columns / 4 from each other. */
W_FN void w_put_nibbles(struct ig_panel *p, size_t k, size_t apart, const w16 x[4], w_sum *low,
                        w_sum *high) {
    for (size_t c = 0; c < 4; c++) {
        w_put(p, k + c, w_and(x[c], w_set8(15)), low);
        w_put(p, k + c + apart, w_bits(x[c], 4, 15), high);
    }
}
W_FN void w_put_looked_up(struct ig_panel *p, size_t k, const w16 x[4], w16 table, w_sum *sum) {
    for (size_t c = 0; c < 4; c++) {
        w_put(p, k + c, w_code(w_lut(table, w_and(x[c], w_set8(15)))), sum);
        w_put(p, k + c + 4, w_code(w_lut(table, w_bits(x[c], 4, 15))), sum);
    }
}

/* Four scales from the bytes of each lane, minus `zero`. */
W_FN void w_store_scales(int32_t (*scale)[16], w16 bytes, int zero) {
    w16 low = w_set32(255), z = w_set32((uint32_t)zero);
    w_store(scale[0], w_sub32(w_and(bytes, low), z));
    w_store(scale[1], w_sub32(w_and(w_shr32(bytes, 8), low), z));
    w_store(scale[2], w_sub32(w_and(w_shr32(bytes, 16), low), z));
    w_store(scale[3], w_sub32(w_shr32(bytes, 24), z));
}
W_FN void w_store_mins(int16_t (*min)[16][2], w16 bytes) {
    w16 low = w_set32(255), twice = w_set32(0x10001);
    w_store(min[0], w_mul32(w_and(bytes, low), twice));
    w_store(min[1], w_mul32(w_and(w_shr32(bytes, 8), low), twice));
    w_store(min[2], w_mul32(w_and(w_shr32(bytes, 16), low), twice));
    w_store(min[3], w_mul32(w_shr32(bytes, 24), twice));
}

/* The 16 bytes that Q4_K and Q5_K begin with. */
W_FN void w_head_k(const uint8_t *w, size_t stride, struct ig_panel *p, size_t b) {
    w16 x[4], six = w_set8(63), four = w_set8(15), top = w_set8(48);
    w_load4(w, stride, x);
    w_store_half(p->d[b], x[0]);
    w_store_half(p->dmin[b], w_shr32(x[0], 16));
    w_store_scales(p->scale + 8 * b, w_and(x[1], six), 0);
    w_store_mins(p->min + 8 * b, w_and(x[2], six));
    w_store_scales(p->scale + 8 * b + 4, w_or(w_and(x[3], four), w_and(w_shr16(x[1], 2), top)), 0);
    w_store_mins(p->min + 8 * b + 4, w_or(w_bits(x[3], 4, 15), w_and(w_shr16(x[2], 2), top)));
}

/* Any type, through its unpack. */
W_FN void w_panel_by_unpack(void (*unpack)(const uint8_t *, struct ig_unpacked *), const uint8_t *w,
                            size_t stride, size_t blocks, struct ig_panel *p, int block, int bytes,
                            int group, int unit, bool has_min) {
    uint8_t row[16][IG_QUANT_MAX_BLOCK];
    struct ig_unpacked u;
    for (size_t b = 0; b < blocks; b++) {
        size_t column = b * (size_t)block;
        for (size_t at = 0; at < (size_t)bytes; at += 64)
            w_ahead(w + b * (size_t)bytes, stride, p, at);
        for (int r = 0; r < 16; r++) {
            unpack(w + (size_t)r * stride + b * (size_t)bytes, &u);
            memcpy(row[r], u.q, (size_t)block);
            for (int k = 0; k < block / unit; k++) {
                p->d[column / (size_t)unit + (size_t)k][r] = u.d[k];
                if (has_min) p->dmin[column / (size_t)unit + (size_t)k][r] = u.dmin[k];
            }
            for (int g = 0; g < block / group; g++)
                p->scale[column / (size_t)group + (size_t)g][r] = u.scale[g];
            if (has_min)
                for (int g = 0; g < block / 16; g++)
                    p->min[column / 32 + (size_t)g / 2][r][g & 1] = u.min[g * 16 / group];
        }
        for (int k = 0; k < block; k += 16) {
            w16 x[4];
            w_load4(row[0] + k, sizeof row[0], x);
            for (size_t c = 0; c < 4; c++) w_put_signed(p->q[(column + (size_t)k) / 4 + c], x[c]);
        }
    }
}
#define IG_PANEL_BY_UNPACK(t)                                                                      \
    enum { t##_ZERO = 128, t##_TOP = 255, t##_ONE = 0 };                                           \
    static void t##_panel(const uint8_t *w, size_t stride, size_t blocks, struct ig_panel *p) {    \
        w_panel_by_unpack(t##_unpack, w, stride, blocks, p, t##_BLOCK, t##_BYTES, t##_GROUP,       \
                          t##_UNIT, t##_HAS_MIN);                                                  \
    }

#endif
