/* Sixteen floats as one value, in four forms with the same meaning: an array (the oracle), four NEON
 * registers, two of AVX2, one of AVX-512. Kernels in float.inl and attend.inl are written once
 * against these names; because every operation is one IEEE operation a lane, the forms agree in
 * every bit. Rules: v_max / v_min(a, b) are a > b ? a : b and a < b ? a : b (what x86 does with
 * NaN). v_sum adds in the order (i, i+8) (i, i+4) (i, i+2) (i, i+1). The _n forms touch only the
 * first n lanes of memory; missing lanes read as 0. The including file defines V16_SCALAR, V16_NEON,
 * V16_AVX2 or V16_AVX512 and the target pragma first. */
#ifndef IG_V16_H
#define IG_V16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/quant.h"

#if defined(__GNUC__) && defined(V16_SCALAR) && defined(__SANITIZE_ADDRESS__)
#define V_FN static __attribute__((noinline, unused)) /* else the sanitizer takes minutes to compile it */
#elif defined(__GNUC__) && !defined(V16_SCALAR)
#define V_FN static inline __attribute__((always_inline))
#else
#define V_FN static inline
#endif

/* A loop over an array of vectors that must live in registers */
#if defined(V16_SCALAR)
#define V_EACH_OF(i, n) for (uint32_t i = 0; i < (n); i++)
#elif defined(__clang__)
#define V_EACH_OF(i, n) _Pragma("unroll") for (uint32_t i = 0; i < (n); i++)
#else
#define V_EACH_OF(i, n) _Pragma("GCC unroll 16") for (uint32_t i = 0; i < (n); i++)
#endif

#if defined(V16_AVX512)

#include <immintrin.h>

typedef __m512 v16;
typedef __m512i v16i;
typedef __mmask16 v16m;

V_FN v16 v_set1(float x) {
    return _mm512_set1_ps(x);
}
V_FN v16 v_load(const float *p) {
    return _mm512_loadu_ps(p);
}
V_FN void v_store(float *p, v16 a) {
    _mm512_storeu_ps(p, a);
}
V_FN v16m v_first(uint32_t n) {
    return n >= 16 ? (v16m)0xffff : (v16m)((1u << n) - 1);
}
V_FN v16 v_load_n(const float *p, uint32_t n) {
    return _mm512_maskz_loadu_ps(v_first(n), p);
}
V_FN void v_store_n(float *p, v16 a, uint32_t n) {
    _mm512_mask_storeu_ps(p, v_first(n), a);
}
V_FN v16 v_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
V_FN v16 v_load_bf16(const uint16_t *p) {
    __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}
V_FN v16 v_load_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
V_FN void v_store_f16(uint16_t *p, v16 a) {
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
V_FN v16 v_add(v16 a, v16 b) {
    return _mm512_add_ps(a, b);
}
V_FN v16 v_sub(v16 a, v16 b) {
    return _mm512_sub_ps(a, b);
}
V_FN v16 v_mul(v16 a, v16 b) {
    return _mm512_mul_ps(a, b);
}
V_FN v16 v_div(v16 a, v16 b) {
    return _mm512_div_ps(a, b);
}
V_FN v16 v_fma(v16 a, v16 b, v16 c) {
    return _mm512_fmadd_ps(a, b, c);
}
V_FN v16 v_max(v16 a, v16 b) {
    return _mm512_max_ps(a, b);
}
V_FN v16 v_min(v16 a, v16 b) {
    return _mm512_min_ps(a, b);
}
V_FN v16 v_floor(v16 a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
V_FN v16 v_rint(v16 a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_FN v16 v_abs(v16 a) {
    return _mm512_castsi512_ps(
        _mm512_and_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff)));
}
V_FN v16 v_copysign(v16 a, v16 s) {
    __m512i m = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_or_epi32(_mm512_andnot_epi32(m, _mm512_castps_si512(a)),
                                               _mm512_and_epi32(m, _mm512_castps_si512(s))));
}
V_FN v16m v_lt(v16 a, v16 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
V_FN v16 v_sel(v16m m, v16 yes, v16 no) {
    return _mm512_mask_blend_ps(m, no, yes);
}
/* 2^e for whole e in -127 .. 127, where -127 gives 0 */
V_FN v16 v_pow2(v16 e) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(e), _mm512_set1_epi32(127)), 23));
}
/* whole numbers in -127 .. 127 */
V_FN void v_store_i8(int8_t *p, v16 a) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
/* no NaN among the lanes */
V_FN float v_largest(v16 a) {
    return _mm512_reduce_max_ps(a);
}
V_FN float v_sum(v16 a) {
    __m256 x = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

#elif defined(V16_AVX2)

#include <immintrin.h>

typedef struct {
    __m256 a, b;
} v16;
typedef v16 v16m;

V_FN v16 v_set1(float x) {
    return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
V_FN v16 v_load(const float *p) {
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
V_FN void v_store(float *p, v16 a) {
    _mm256_storeu_ps(p, a.a), _mm256_storeu_ps(p + 8, a.b);
}
V_FN v16 v_load_f16(const uint16_t *p) {
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)))};
}
V_FN v16 v_load_bf16(const uint16_t *p) {
    __m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    __m256i y = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)));
    return (v16){_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                 _mm256_castsi256_ps(_mm256_slli_epi32(y, 16))};
}
V_FN v16 v_load_i8(const int8_t *p) {
    return (v16){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p))),
        _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + 8))))};
}
V_FN void v_store_f16(uint16_t *p, v16 a) {
    _mm_storeu_si128((__m128i *)(void *)p,
                     _mm256_cvtps_ph(a.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(void *)(p + 8),
                     _mm256_cvtps_ph(a.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#define V_BOTH(name, op)                                                                           \
    V_FN v16 name(v16 x, v16 y) {                                                                  \
        return (v16){op(x.a, y.a), op(x.b, y.b)};                                                  \
    }
V_BOTH(v_add, _mm256_add_ps)
V_BOTH(v_sub, _mm256_sub_ps)
V_BOTH(v_mul, _mm256_mul_ps)
V_BOTH(v_div, _mm256_div_ps)
V_BOTH(v_max, _mm256_max_ps)
V_BOTH(v_min, _mm256_min_ps)
#undef V_BOTH
V_FN v16 v_fma(v16 x, v16 y, v16 z) {
    return (v16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
V_FN v16 v_floor(v16 x) {
    return (v16){_mm256_floor_ps(x.a), _mm256_floor_ps(x.b)};
}
V_FN v16 v_rint(v16 x) {
    return (v16){_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
V_FN v16 v_abs(v16 x) {
    __m256 m = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    return (v16){_mm256_and_ps(x.a, m), _mm256_and_ps(x.b, m)};
}
V_FN v16 v_copysign(v16 x, v16 s) {
    __m256 m = _mm256_castsi256_ps(_mm256_set1_epi32(INT32_MIN));
    return (v16){_mm256_or_ps(_mm256_andnot_ps(m, x.a), _mm256_and_ps(m, s.a)),
                 _mm256_or_ps(_mm256_andnot_ps(m, x.b), _mm256_and_ps(m, s.b))};
}
V_FN v16m v_lt(v16 x, v16 y) {
    return (v16){_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)};
}
V_FN v16 v_sel(v16m m, v16 yes, v16 no) {
    return (v16){_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}
V_FN __m256 v_pow2_half(__m256 e) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(e), _mm256_set1_epi32(127)), 23));
}
V_FN v16 v_pow2(v16 e) {
    return (v16){v_pow2_half(e.a), v_pow2_half(e.b)};
}
V_FN void v_store_i8(int8_t *p, v16 x) {
    __m256i w = _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
    w = _mm256_permute4x64_epi64(w, 0xd8);
    __m128i b = _mm_packs_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    _mm_storeu_si128((__m128i *)(void *)p, b);
}
V_FN float v_largest(v16 v) {
    __m256 x = _mm256_max_ps(v.a, v.b);
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
V_FN float v_sum(v16 v) {
    __m256 x = _mm256_add_ps(v.a, v.b);
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

#elif defined(V16_NEON)

#include <arm_neon.h>

typedef struct {
    float32x4_t r[4];
} v16;
typedef struct {
    uint32x4_t r[4];
} v16m;

#define V_EACH(expression)                                                                         \
    v16 out;                                                                                       \
    V_EACH_OF(i, 4) out.r[i] = (expression);                                                       \
    return out

V_FN v16 v_set1(float x) {
    V_EACH(vdupq_n_f32(x));
}
V_FN v16 v_load(const float *p) {
    V_EACH(vld1q_f32(p + 4 * i));
}
V_FN void v_store(float *p, v16 a) {
    V_EACH_OF(i, 4) vst1q_f32(p + 4 * i, a.r[i]);
}
V_FN v16 v_load_f16(const uint16_t *p) {
    V_EACH(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}
V_FN v16 v_load_bf16(const uint16_t *p) {
    V_EACH(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}
V_FN v16 v_load_i8(const int8_t *p) {
    int8x16_t x = vld1q_s8(p);
    int16x8_t h[2] = {vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x)};
    V_EACH(vcvtq_f32_s32(i & 1 ? vmovl_high_s16(h[i / 2]) : vmovl_s16(vget_low_s16(h[i / 2]))));
}
V_FN void v_store_f16(uint16_t *p, v16 a) {
    V_EACH_OF(i, 4) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.r[i])));
}
V_FN v16 v_add(v16 a, v16 b) {
    V_EACH(vaddq_f32(a.r[i], b.r[i]));
}
V_FN v16 v_sub(v16 a, v16 b) {
    V_EACH(vsubq_f32(a.r[i], b.r[i]));
}
V_FN v16 v_mul(v16 a, v16 b) {
    V_EACH(vmulq_f32(a.r[i], b.r[i]));
}
V_FN v16 v_div(v16 a, v16 b) {
    V_EACH(vdivq_f32(a.r[i], b.r[i]));
}
V_FN v16 v_fma(v16 a, v16 b, v16 c) {
    V_EACH(vfmaq_f32(c.r[i], a.r[i], b.r[i]));
}
/* not vmaxq_f32, which treats NaN in another way */
V_FN v16 v_max(v16 a, v16 b) {
    V_EACH(vbslq_f32(vcgtq_f32(a.r[i], b.r[i]), a.r[i], b.r[i]));
}
V_FN v16 v_min(v16 a, v16 b) {
    V_EACH(vbslq_f32(vcltq_f32(a.r[i], b.r[i]), a.r[i], b.r[i]));
}
V_FN v16 v_floor(v16 a) {
    V_EACH(vrndmq_f32(a.r[i]));
}
V_FN v16 v_rint(v16 a) {
    V_EACH(vrndnq_f32(a.r[i]));
}
V_FN v16 v_abs(v16 a) {
    V_EACH(vabsq_f32(a.r[i]));
}
V_FN v16 v_copysign(v16 a, v16 s) {
    V_EACH(vbslq_f32(vdupq_n_u32(0x80000000u), s.r[i], a.r[i]));
}
V_FN v16m v_lt(v16 a, v16 b) {
    v16m m;
    V_EACH_OF(i, 4) m.r[i] = vcltq_f32(a.r[i], b.r[i]);
    return m;
}
V_FN v16 v_sel(v16m m, v16 yes, v16 no) {
    V_EACH(vbslq_f32(m.r[i], yes.r[i], no.r[i]));
}
V_FN v16 v_pow2(v16 e) {
    V_EACH(vreinterpretq_f32_s32(
        vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(e.r[i]), vdupq_n_s32(127)), 23)));
}
V_FN void v_store_i8(int8_t *p, v16 a) {
    int16x8_t low = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(a.r[0])), vmovn_s32(vcvtnq_s32_f32(a.r[1])));
    int16x8_t high = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(a.r[2])), vmovn_s32(vcvtnq_s32_f32(a.r[3])));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
V_FN float v_largest(v16 a) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.r[0], a.r[1]), vmaxq_f32(a.r[2], a.r[3])));
}
V_FN float v_sum(v16 a) {
    float32x4_t x = vaddq_f32(vaddq_f32(a.r[0], a.r[2]), vaddq_f32(a.r[1], a.r[3]));
    float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}
#undef V_EACH

#else /* V16_SCALAR */

typedef struct {
    float l[16];
} v16;
typedef struct {
    uint8_t l[16];
} v16m;

#define V_EACH(expression)                                                                         \
    v16 r_;                                                                                        \
    for (int i = 0; i < 16; i++) r_.l[i] = (expression);                                           \
    return r_

V_FN v16 v_set1(float x) {
    V_EACH(x);
}
V_FN v16 v_load(const float *p) {
    V_EACH(p[i]);
}
V_FN void v_store(float *p, v16 a) {
    memcpy(p, a.l, sizeof a.l);
}
V_FN v16 v_load_n(const float *p, uint32_t n) {
    V_EACH((uint32_t)i < n ? p[i] : 0.0f);
}
V_FN void v_store_n(float *p, v16 a, uint32_t n) {
    memcpy(p, a.l, (n < 16 ? n : 16) * sizeof *p);
}
V_FN v16 v_load_f16(const uint16_t *p) {
    V_EACH(ig_f16_to_f32(p[i]));
}
V_FN v16 v_load_bf16(const uint16_t *p) {
    V_EACH(ig_bf16_to_f32(p[i]));
}
V_FN v16 v_load_i8(const int8_t *p) {
    V_EACH((float)p[i]);
}
V_FN void v_store_f16(uint16_t *p, v16 a) {
    for (int i = 0; i < 16; i++) p[i] = ig_f32_to_f16(a.l[i]);
}
V_FN v16 v_add(v16 a, v16 b) {
    V_EACH(a.l[i] + b.l[i]);
}
V_FN v16 v_sub(v16 a, v16 b) {
    V_EACH(a.l[i] - b.l[i]);
}
V_FN v16 v_mul(v16 a, v16 b) {
    V_EACH(a.l[i] * b.l[i]);
}
V_FN v16 v_div(v16 a, v16 b) {
    V_EACH(a.l[i] / b.l[i]);
}
V_FN v16 v_fma(v16 a, v16 b, v16 c) {
    V_EACH(fmaf(a.l[i], b.l[i], c.l[i]));
}
V_FN v16 v_max(v16 a, v16 b) {
    V_EACH(a.l[i] > b.l[i] ? a.l[i] : b.l[i]);
}
V_FN v16 v_min(v16 a, v16 b) {
    V_EACH(a.l[i] < b.l[i] ? a.l[i] : b.l[i]);
}
V_FN v16 v_floor(v16 a) {
    V_EACH(floorf(a.l[i]));
}
V_FN v16 v_rint(v16 a) {
    V_EACH(rintf(a.l[i]));
}
V_FN v16 v_abs(v16 a) {
    V_EACH(fabsf(a.l[i]));
}
V_FN v16 v_copysign(v16 a, v16 s) {
    V_EACH(copysignf(a.l[i], s.l[i]));
}
V_FN v16m v_lt(v16 a, v16 b) {
    v16m m;
    for (int i = 0; i < 16; i++) m.l[i] = a.l[i] < b.l[i];
    return m;
}
V_FN v16 v_sel(v16m m, v16 yes, v16 no) {
    V_EACH(m.l[i] ? yes.l[i] : no.l[i]);
}
V_FN float v_pow2_lane(float e) {
    uint32_t bits = (uint32_t)((int32_t)e + 127) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
V_FN v16 v_pow2(v16 e) {
    V_EACH(v_pow2_lane(e.l[i]));
}
V_FN void v_store_i8(int8_t *p, v16 a) {
    for (int i = 0; i < 16; i++) p[i] = (int8_t)a.l[i];
}
V_FN float v_largest(v16 a) {
    float m = a.l[0];
    for (int i = 1; i < 16; i++) m = a.l[i] > m ? a.l[i] : m;
    return m;
}
V_FN float v_sum(v16 a) {
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) a.l[i] = a.l[i] + a.l[i + half];
    return a.l[0];
}
#undef V_EACH

#endif

#if defined(V16_AVX2) || defined(V16_NEON) /* no masked loads and stores */
V_FN v16 v_load_n(const float *p, uint32_t n) {
    if (n >= 16) return v_load(p);
    float t[16] = {0};
    memcpy(t, p, n * sizeof *t);
    return v_load(t);
}
V_FN void v_store_n(float *p, v16 a, uint32_t n) {
    float t[16];
    if (n >= 16) {
        v_store(p, a);
        return;
    }
    v_store(t, a);
    memcpy(p, t, n * sizeof *t);
}
#endif

V_FN v16 v_zero(void) {
    return v_set1(0.0f);
}
V_FN v16 v_load_f16_n(const uint16_t *p, uint32_t n) {
    uint16_t t[16] = {0};
    if (n >= 16) return v_load_f16(p);
    memcpy(t, p, n * sizeof *t);
    return v_load_f16(t);
}
V_FN v16 v_load_bf16_n(const uint16_t *p, uint32_t n) {
    uint16_t t[16] = {0};
    if (n >= 16) return v_load_bf16(p);
    memcpy(t, p, n * sizeof *t);
    return v_load_bf16(t);
}

/* 2^f for 0 <= f <= 1, relative error 6e-8; least-squares fit in the maximum norm with p(0) = 1 */
V_FN v16 v_exp2_fraction(v16 f) {
    v16 p = v_set1(0x1.c5442ep-13f);
    p = v_fma(p, f, v_set1(0x1.46d5f6p-10f));
    p = v_fma(p, f, v_set1(0x1.3d0b80p-7f));
    p = v_fma(p, f, v_set1(0x1.c68918p-5f));
    p = v_fma(p, f, v_set1(0x1.ebfd56p-3f));
    p = v_fma(p, f, v_set1(0x1.62e42cp-1f));
    return v_fma(p, f, v_set1(1.0f));
}

/* e^x, relative error below 1e-7; x is limited to -87 .. 88 so that no intermediate is denormal or
 * infinite */
V_FN v16 v_exp(v16 x) {
    x = v_min(v_max(x, v_set1(-87.0f)), v_set1(88.0f));
    v16 n = v_rint(v_mul(x, v_set1(0x1.715476p+0f)));
    v16 r = v_fma(n, v_set1(-0x1.62e400p-1f), x);
    r = v_fma(n, v_set1(-0x1.7f7d1cp-20f), r);
    v16 p = v_set1(0x1.6af562p-10f);
    p = v_fma(p, r, v_set1(0x1.126742p-7f));
    p = v_fma(p, r, v_set1(0x1.555810p-5f));
    p = v_fma(p, r, v_set1(0x1.55541ap-3f));
    p = v_fma(p, r, v_set1(0x1.fffffcp-2f));
    p = v_fma(p, r, v_set1(1.0f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_mul(p, v_pow2(n));
}

V_FN v16 v_sigmoid(v16 x) {
    return v_div(v_set1(1.0f), v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), x))));
}

/* tanh: odd polynomial below 0.625 (Taylor terms refitted), 1 - 2 / (e^2x + 1) above; relative
 * error below 3e-7 */
V_FN v16 v_tanh(v16 x) {
    v16 a = v_abs(x), s = v_mul(x, x);
    v16 p = v_set1(-5.70498872745e-3f);
    p = v_fma(p, s, v_set1(2.06390887954e-2f));
    p = v_fma(p, s, v_set1(-5.37397155531e-2f));
    p = v_fma(p, s, v_set1(1.33314422036e-1f));
    p = v_fma(p, s, v_set1(-3.33332819422e-1f));
    v16 small = v_fma(v_mul(p, s), x, x);
    v16 e = v_exp(v_add(a, a));
    v16 big = v_sub(v_set1(1.0f), v_div(v_set1(2.0f), v_add(e, v_set1(1.0f))));
    return v_sel(v_lt(a, v_set1(0.625f)), small, v_copysign(big, x));
}

#endif
