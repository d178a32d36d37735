/* Scores against q8 keys, included by attend.inl: a query head is quantised to int8 with one scale,
 * and its products with the keys' integers are summed exactly, so every instruction set has its own
 * loop and all give the same numbers. The sums stay below 2^24 (127 * 127 * 1024), so that they are
 * exact as floats too.
 *
 * In the scratch: q as [k_stride / 4][ATT_ROWS] words of four int8, then the rows' sums of q, then
 * their scales. */

V_FN int32_t *att_sum_q8(const struct ig_attend *j) {
    return (int32_t *)(void *)(j->scratch + (size_t)j->layer->k_stride / 4 * ATT_ROWS);
}
V_FN float *att_scale_q8(const struct ig_attend *j) {
    return j->scratch + ((size_t)j->layer->k_stride / 4 + 1) * ATT_ROWS;
}

/* q[0..n) as int8 to `to`, a multiple of 16 of them; returns the scale */
V_FN float att_round_q8(const float *q, uint32_t n, int8_t *to) {
    v16 most = v_zero();
    for (uint32_t d = 0; d < n; d += 16) most = v_max(v_abs(v_load_n(q + d, n - d)), most);
    float amax = v_largest(most), inverse = amax > 0 ? 127.0f / amax : 0.0f;
    if (!(inverse <= 3e38f)) inverse = 0.0f;
    for (uint32_t d = 0; d < n; d += 16) {
        v16 x = v_rint(v_mul(v_load_n(q + d, n - d), v_set1(inverse)));
        v_store_i8(to + d, v_max(v_min(x, v_set1(127.0f)), v_set1(-127.0f)));
    }
    return inverse > 0 ? amax * (1.0f / 127.0f) : 0.0f;
}

static void att_query_q8(const struct ig_attend *j, uint32_t r) {
    uint32_t n = j->layer->head_k, words = j->layer->k_stride / 4;
    int8_t q[1024 + 16];
    int32_t sum = 0;
    att_scale_q8(j)[r] = att_round_q8(j->rows[r].q, n, q);
    for (uint32_t d = n; d < words * 4; d++) q[d] = 0;
    for (uint32_t d = 0; d < n; d++) sum += q[d];
    for (uint32_t i = 0; i < words; i++) memcpy(j->scratch + i * ATT_ROWS + r, q + 4 * i, 4);
    att_sum_q8(j)[r] = sum;
}

/* As att_panels; head_k is a multiple of 4. */
#if defined(V16_AVX512)

/* vpdpbusd wants one side unsigned: keys + 128, and 128 times the sum of q taken off first. */
V_FN void att_panels_q8(const float *q, const uint8_t *k, ptrdiff_t ahead, uint32_t head_k,
                        uint32_t n, uint32_t np, float *t) {
    __m512i acc[ATT_MOST * 2], flip = _mm512_set1_epi8((char)0x80);
    const int32_t *word = (const int32_t *)(const void *)q, *end = word + head_k / 4 * ATT_ROWS;
    V_EACH_OF(p, np) V_EACH_OF(r, n) acc[p * n + r] = _mm512_set1_epi32(-128 * end[r]);
    for (; word < end; word += ATT_ROWS, k += 64) {
        V_EACH_OF(p, np) {
            const uint8_t *at = k + (size_t)p * head_k * IG_CACHE_PANEL;
            __m512i kd = _mm512_xor_si512(_mm512_loadu_si512(at), flip);
            ATT_PREFETCH(at + ahead);
            V_EACH_OF(r, n)
            acc[p * n + r] = _mm512_dpbusd_epi32(acc[p * n + r], kd, _mm512_set1_epi32(word[r]));
        }
    }
    V_EACH_OF(p, np) V_EACH_OF(r, n)
    v_store(t + r * ATT_STRIDE + p * IG_CACHE_PANEL, _mm512_cvtepi32_ps(acc[p * n + r]));
}

#elif defined(V16_AVX2)

/* |k| * (q with k's sign): pairs stay below 2^15. Eight positions at a time. */
V_FN void att_panels_q8(const float *q, const uint8_t *k, ptrdiff_t ahead, uint32_t head_k,
                        uint32_t n, uint32_t np, float *t) {
    const __m256i one = _mm256_set1_epi16(1);
    for (uint32_t half = 0; half < np * 2; half++) {
        __m256i acc[ATT_MOST];
        const int32_t *word = (const int32_t *)(const void *)q, *end = word + head_k / 4 * ATT_ROWS;
        const uint8_t *at = k + (size_t)(half / 2) * head_k * IG_CACHE_PANEL + half % 2 * 32;
        V_EACH_OF(r, n) acc[r] = _mm256_setzero_si256();
        for (; word < end; word += ATT_ROWS, at += 64) {
            __m256i kd = _mm256_loadu_si256((const __m256i *)(const void *)at);
            __m256i size = _mm256_abs_epi8(kd);
            ATT_PREFETCH(at + ahead);
            V_EACH_OF(r, n) {
                __m256i x = _mm256_sign_epi8(_mm256_set1_epi32(word[r]), kd);
                x = _mm256_madd_epi16(_mm256_maddubs_epi16(size, x), one);
                acc[r] = _mm256_add_epi32(acc[r], x);
            }
        }
        V_EACH_OF(r, n)
        _mm256_storeu_ps(t + r * ATT_STRIDE + half * 8, _mm256_cvtepi32_ps(acc[r]));
    }
}

#else

V_FN void att_panels_q8(const float *q, const uint8_t *k, ptrdiff_t ahead, uint32_t head_k,
                        uint32_t n, uint32_t np, float *t) {
    (void)ahead;
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < np * IG_CACHE_PANEL; i++) {
            const uint8_t *at = k + (size_t)(i / 16) * head_k * IG_CACHE_PANEL + i % 16 * 4;
            int32_t sum = 0;
            for (uint32_t d = 0; d < head_k; d++) {
                int8_t word[4];
                memcpy(word, q + d / 4 * ATT_ROWS + r, 4);
                sum += word[d % 4] * (int8_t)at[(size_t)(d / 4) * 64 + d % 4];
            }
            t[r * ATT_STRIDE + i] = (float)sum;
        }
}

#endif
