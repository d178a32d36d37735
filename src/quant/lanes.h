/* A value of 16 lanes, one for each row of a panel, with four bytes a lane: one AVX-512 register,
 * two of AVX2 or four of NEON. The panel code of the block types is written once in these terms.
 * The including file sets the target and W_AVX512, W_AVX2 or W_NEON. Products of AVX2 (W_DOTS) take
 * 8 rows at a time, so that values are one register each: it has 16. */
#ifndef IG_QUANT_LANES_H
#define IG_QUANT_LANES_H

#include "quant/few.h"
#include "quant/panel.h"
#include "quant/parts.h"

#define W_FN IG_QUANT_INLINE

#ifdef W_NEON
#include "quant/lanes_neon.h"
#else
#include <immintrin.h>
#define W_LOAD128(p) _mm_loadu_si128((const __m128i *)(const void *)(p))

#ifdef W_AVX512

enum { W_LANES = 16 };
typedef __m512i w16;

#define W_PAIR(p, q) _mm256_inserti128_si256(_mm256_castsi128_si256(W_LOAD128(p)), W_LOAD128(q), 1)
/* Rows i, i + 4, i + 8, i + 12, from the addresses of rows 0, 4, 8, 12 */
#define W_ROWS(p, at)                                                                              \
    _mm512_inserti64x4(_mm512_castsi256_si512(W_PAIR(p##0 + (at), p##4 + (at))),                   \
                       W_PAIR(p##8 + (at), p##12 + (at)), 1)

/* 16 bytes of each row: out[c] holds bytes 4c..4c+3 */
W_FN void w_load4(const uint8_t *p, size_t stride, w16 out[4]) {
    const uint8_t *p0 = p, *p4 = p + 4 * stride, *p8 = p + 8 * stride, *p12 = p + 12 * stride;
    size_t three = 3 * stride;
    /* else compilers keep sixteen addresses, most of them in memory */
    __asm__("" : "+r"(p4), "+r"(p8), "+r"(p12), "+r"(three));
    w16 z0 = W_ROWS(p, 0), z1 = W_ROWS(p, stride), z2 = W_ROWS(p, 2 * stride),
        z3 = W_ROWS(p, three);
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
W_FN w16 w_sub8(w16 a, w16 b) {
    return _mm512_sub_epi8(a, b);
}
W_FN w16 w_less8(w16 a, w16 b) { /* unsigned, not below 0 */
    return _mm512_subs_epu8(a, b);
}
W_FN w16 w_mean8(w16 a, w16 b) { /* unsigned, rounded up */
    return _mm512_avg_epu8(a, b);
}
/* -q where the sign's bit is 1; 256 of them */
W_FN void w_apply_signs(uint8_t *q, const uint64_t *signs) {
    for (int i = 0; i < 4; i++) {
        w16 x = _mm512_loadu_si512(q + 64 * i);
        _mm512_storeu_si512(q + 64 * i,
                            _mm512_mask_sub_epi8(x, signs[i], _mm512_setzero_si512(), x));
    }
}
/* 8 q + 1, or 8 q - 1 where the bit is 1 */
W_FN void w_apply_shifts(uint8_t *q, const uint64_t *signs) {
    const w16 up = _mm512_set1_epi8(-8), one = _mm512_set1_epi8(1);
    for (int i = 0; i < 4; i++) {
        w16 x = _mm512_and_si512(_mm512_slli_epi16(_mm512_loadu_si512(q + 64 * i), 3), up);
        w16 shift = _mm512_mask_blend_epi8(signs[i], one, _mm512_set1_epi8(-1));
        _mm512_storeu_si512(q + 64 * i, _mm512_add_epi8(x, shift));
    }
}
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
typedef __m512 w16f;
/* the low half of each lane, as halves, to floats */
W_FN w16f w_half(w16 x) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x));
}
W_FN w16f w_as_float(w16 x) {
    return _mm512_castsi512_ps(x);
}
W_FN w16f w_times(w16f x, float f) {
    return _mm512_mul_ps(x, _mm512_set1_ps(f));
}
W_FN void w_store_float(float *p, w16f x) {
    _mm512_storeu_ps(p, x);
}
W_FN w16 w_load(const void *p) {
    return _mm512_loadu_si512(p);
}
W_FN w16f w_load_float(const float *p) {
    return _mm512_loadu_ps(p);
}

#else

#ifdef W_DOTS
enum { W_LANES = 8 };
typedef struct {
    __m256i a;
} w16;
#define W_B(x)
#else
enum { W_LANES = 16 };
typedef struct {
    __m256i a, b; /* rows 0..7, 8..15 */
} w16;
#define W_B(x) , x
#endif

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
    __m256i a[4];
    w_load4_half(p, stride, a);
#ifdef W_DOTS
    for (int c = 0; c < 4; c++) out[c] = (w16){a[c]};
#else
    __m256i b[4];
    w_load4_half(p + 8 * stride, stride, b);
    for (int c = 0; c < 4; c++) out[c] = (w16){a[c], b[c]};
#endif
}
W_FN w16 w_set8(int v) {
    return (w16){_mm256_set1_epi8((char)v) W_B(_mm256_set1_epi8((char)v))};
}
W_FN w16 w_set32(uint32_t v) {
    return (w16){_mm256_set1_epi32((int)v) W_B(_mm256_set1_epi32((int)v))};
}
W_FN w16 w_table(const int8_t t[16]) {
    __m256i x = _mm256_broadcastsi128_si256(W_LOAD128(t));
    return (w16){x W_B(x)};
}
#define W_BOTH(name, op)                                                                           \
    W_FN w16 name(w16 x, w16 y) {                                                                  \
        return (w16){op(x.a, y.a) W_B(op(x.b, y.b))};                                              \
    }
W_BOTH(w_lut, _mm256_shuffle_epi8)
W_BOTH(w_and, _mm256_and_si256)
W_BOTH(w_andnot, _mm256_andnot_si256) /* ~a & b */
W_BOTH(w_or, _mm256_or_si256)
W_BOTH(w_xor, _mm256_xor_si256)
W_BOTH(w_add8, _mm256_add_epi8)
W_BOTH(w_sub8, _mm256_sub_epi8)
W_BOTH(w_less8, _mm256_subs_epu8) /* unsigned, not below 0 */
W_BOTH(w_mean8, _mm256_avg_epu8)  /* unsigned, rounded up */
W_BOTH(w_sub32, _mm256_sub_epi32)
W_BOTH(w_mul32, _mm256_mullo_epi32)
W_BOTH(w_max32, _mm256_max_epi32)
#undef W_BOTH
#define w_shr16(x, n) ((w16){_mm256_srli_epi16((x).a, n) W_B(_mm256_srli_epi16((x).b, n))})
#define w_shl16(x, n) ((w16){_mm256_slli_epi16((x).a, n) W_B(_mm256_slli_epi16((x).b, n))})
#define w_shr32(x, n) ((w16){_mm256_srli_epi32((x).a, n) W_B(_mm256_srli_epi32((x).b, n))})
#define w_shl32(x, n) ((w16){_mm256_slli_epi32((x).a, n) W_B(_mm256_slli_epi32((x).b, n))})
#define w_sar32(x, n) ((w16){_mm256_srai_epi32((x).a, n) W_B(_mm256_srai_epi32((x).b, n))})
W_FN __m256i w_mask(const uint64_t *signs,
                    int i) { /* bytes of ones where the bit is 1; the i-th 32 */
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202,
                                            0x0303030303030303),
                  bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    uint32_t s = (uint32_t)(signs[i / 2] >> 32 * (i & 1));
    __m256i m = _mm256_shuffle_epi8(_mm256_set1_epi32((int)s), byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(m, bit), bit);
}
/* -q where the sign's bit is 1; 256 of them */
W_FN void w_apply_signs(uint8_t *q, const uint64_t *signs) {
    for (int i = 0; i < 8; i++) {
        __m256i m = w_mask(signs, i), *at = (__m256i *)(void *)(q + 32 * i);
        __m256i x = _mm256_loadu_si256(at);
        _mm256_storeu_si256(at, _mm256_sub_epi8(_mm256_xor_si256(x, m), m));
    }
}
/* 8 q + 1, or 8 q - 1 where the bit is 1 */
W_FN void w_apply_shifts(uint8_t *q, const uint64_t *signs) {
    const __m256i up = _mm256_set1_epi8(-8), one = _mm256_set1_epi8(1);
    for (int i = 0; i < 8; i++) {
        __m256i m = w_mask(signs, i), *at = (__m256i *)(void *)(q + 32 * i);
        __m256i x = _mm256_and_si256(_mm256_slli_epi16(_mm256_loadu_si256(at), 3), up);
        _mm256_storeu_si256(at, _mm256_add_epi8(x, _mm256_or_si256(m, one)));
    }
}
W_FN __m256 w_half8(__m256i x) {
    x = _mm256_and_si256(x, _mm256_set1_epi32(0xFFFF));
    __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return _mm256_cvtph_ps(h);
}
typedef struct {
    __m256 a;
#ifndef W_DOTS
    __m256 b;
#endif
} w16f;
W_FN w16f w_half(w16 x) {
    return (w16f){w_half8(x.a) W_B(w_half8(x.b))};
}
W_FN w16f w_as_float(w16 x) {
    return (w16f){_mm256_castsi256_ps(x.a) W_B(_mm256_castsi256_ps(x.b))};
}
W_FN w16f w_times(w16f x, float f) {
    __m256 y = _mm256_set1_ps(f);
    return (w16f){_mm256_mul_ps(x.a, y) W_B(_mm256_mul_ps(x.b, y))};
}
#ifndef W_DOTS
W_FN void w_store(void *p, w16 x) {
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)p + 1, x.b);
}
W_FN void w_store_float(float *p, w16f x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
W_FN w16 w_load(const void *p) {
    const __m256i *v = p;
    return (w16){_mm256_loadu_si256(v), _mm256_loadu_si256(v + 1)};
}
W_FN w16f w_load_float(const float *p) {
    return (w16f){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
#endif

#endif
#endif

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

/* Signed values, as codes with zero = 128; NEON and the products of AVX2 multiply signed bytes */
W_FN w16 w_code(w16 x) {
#if defined(W_NEON) || defined(W_AVX2) && defined(W_DOTS)
    return x;
#else
    return w_xor(x, w_set8(-128));
#endif
}

#include "quant/lanes_out.h"
#if !defined(W_AVX2) || !defined(W_DOTS)
#include "quant/lanes_taken.h"
#endif

#endif
