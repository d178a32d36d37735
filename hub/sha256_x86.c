/* SHA-256 with the SHA instructions of x86 (Intel since Goldmont and Ice Lake, AMD since Zen);
 * elsewhere there is no fast one. The state is kept as the instructions want it, ABEF and CDGH, and
 * turned at the ends. */
#include "sha256.h"

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(_MSC_VER))
#include <immintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#define SHA_TARGET
#else
#include <cpuid.h>
#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))
#endif

/* Four rounds at a time; w[i & 3] is overwritten by the words needed 16 rounds later. */
SHA_TARGET static void compress(uint32_t state[8], const uint8_t *p, size_t n) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
    __m128i badc = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, efgh, 8), cdgh = _mm_blend_epi16(efgh, badc, 0xf0);
    for (; n; n--, p += 64) {
        __m128i abef_before = abef, cdgh_before = cdgh, w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)),
                                    swap);
        for (int i = 0; i < 16; i++) {
            __m128i now = w[i & 3];
            __m128i sum = _mm_add_epi32(
                now, _mm_loadu_si128((const __m128i *)(const void *)(ig_sha256_k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            if (i >= 12) continue;
            __m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
            w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* SHA is bit 29 of EBX of leaf 7, SSSE3 and SSE4.1 are bits 9 and 19 of ECX of leaf 1. */
static int has_sha(void) {
#ifdef _MSC_VER
    int one[4], seven[4];
    __cpuid(one, 0);
    if (one[0] < 7) return 0;
    __cpuid(one, 1);
    __cpuidex(seven, 7, 0);
    unsigned c = (unsigned)one[2], b = (unsigned)seven[1];
#else
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    unsigned ebx = b;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    b = ebx;
#endif
    return (b >> 29 & 1) && (c >> 9 & 1) && (c >> 19 & 1);
}

ig_sha256_blocks ig_sha256_fast(void) {
    return has_sha() ? compress : 0;
}
#else
ig_sha256_blocks ig_sha256_fast(void) {
    return 0;
}
#endif
