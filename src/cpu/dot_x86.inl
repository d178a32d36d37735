/* The exact integer dot of a group with SSE's maddubs: |q| * sign(a, q), whose pair sums stay below 2^15 because
 * |a| <= 127. For rows that are taken apart by the portable code (quant.inl). */
static inline __attribute__((always_inline)) int32_t lq_dot_x86(const int8_t *q, const int8_t *a,
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
#define LQ_DOT lq_dot_x86
