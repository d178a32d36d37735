/* AVX2 + FMA + F16C. The float kernels are the shared ones over two registers; integer dots use the
 * sign trick of maddubs: |q| * sign(a, q), whose pair sums stay below 2^15 because |a| <= 127.
 * Empty on other machines. */
#include "cpu/kernels.h"

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

static inline __attribute__((always_inline)) int32_t lq_dot_avx2(const int8_t *q, const int8_t *a,
                                                                 uint32_t n) {
    __m128i sum = _mm_setzero_si128();
    for (uint32_t i = 0; i < n; i += 16) {
        __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(q + i));
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a + i));
        __m128i pairs = _mm_maddubs_epi16(_mm_abs_epi8(w), _mm_sign_epi8(x, w));
        sum = _mm_add_epi32(sum, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
    }
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}
#define LQ_DOT lq_dot_avx2
#include "cpu/quant.inl"

#define PL_PRODUCTS "cpu/panel_avx2.inl"
#define PL_FIND     ig_quant_panel_avx2
#include "cpu/panel_linear.inl"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct ig_kernels ig_kernels_avx2 = {
    .name = "avx2",
    .scratch_bytes = pl_scratch_bytes,
    .linear_float = linear_float,
    .linear_quant = pl_linear,
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

#else
const struct ig_kernels ig_kernels_avx2 = {0};
#endif
