/* Vectors for products over panels: PV_N registers hold one value for each of a panel's 16 rows, as
 * int32 or as float. One register of 512 bits or, with PV_256, two of 256. The including file has
 * set the target. */
#include <immintrin.h>

#define PV_FN static inline __attribute__((always_inline))

#ifndef PV_256
enum { PV_N = 1, PV_LANES = 16 };
typedef __m512i pv;
typedef __m512 pvf;
#define pv_zero        _mm512_setzero_si512
#define pv_set16       _mm512_set1_epi16
#define pv_set32       _mm512_set1_epi32
#define pv_load(p)     _mm512_load_si512(p)
#define pv_store(p, x) _mm512_store_si512(p, x)
#define pv_and         _mm512_and_si512
#define pv_or          _mm512_or_si512
#define pv_xor         _mm512_xor_si512
#define pv_shl32       _mm512_slli_epi32
#define pv_sub8        _mm512_sub_epi8
#define pv_add16       _mm512_add_epi16
#define pv_add32       _mm512_add_epi32
#define pv_sub32       _mm512_sub_epi32
#define pv_mul32       _mm512_mullo_epi32
#define pv_maddubs     _mm512_maddubs_epi16
#define pv_madd        _mm512_madd_epi16
#define pv_abs8        _mm512_abs_epi8
#ifdef PV_VNNI
#define pv_dpbusd _mm512_dpbusd_epi32
#define pv_dpwssd _mm512_dpwssd_epi32
#else
#define pv_dpwssd(s, a, b) _mm512_add_epi32(s, _mm512_madd_epi16(a, b))
#endif
#define pvf_zero   _mm512_setzero_ps
#define pvf_set    _mm512_set1_ps
#define pvf_load   _mm512_load_ps
#define pvf_loadu  _mm512_loadu_ps
#define pvf_storeu _mm512_storeu_ps
#define pvf_of     _mm512_cvtepi32_ps
#define pvf_add    _mm512_add_ps
#define pvf_mul    _mm512_mul_ps
#define pvf_fma    _mm512_fmadd_ps
#define pvf_fnma   _mm512_fnmadd_ps
/* All ones in the bytes below 0 */
PV_FN pv pv_negative8(pv x) {
    return _mm512_movm_epi8(_mm512_movepi8_mask(x));
}
#else
enum { PV_N = 2, PV_LANES = 8 };
typedef __m256i pv;
typedef __m256 pvf;
#define pv_zero        _mm256_setzero_si256
#define pv_set16       _mm256_set1_epi16
#define pv_set32       _mm256_set1_epi32
#define pv_load(p)     _mm256_load_si256((const __m256i *)(const void *)(p))
#define pv_store(p, x) _mm256_store_si256((__m256i *)(void *)(p), x)
#define pv_and         _mm256_and_si256
#define pv_or          _mm256_or_si256
#define pv_xor         _mm256_xor_si256
#define pv_shl32       _mm256_slli_epi32
#define pv_add16       _mm256_add_epi16
#define pv_add32       _mm256_add_epi32
#define pv_sub32       _mm256_sub_epi32
#define pv_mul32       _mm256_mullo_epi32
#define pv_maddubs     _mm256_maddubs_epi16
#define pv_madd        _mm256_madd_epi16
#define pv_abs8        _mm256_abs_epi8
#ifdef PV_VNNI
#ifdef PV_VEX
#define pv_dpbusd _mm256_dpbusd_avx_epi32
#define pv_dpwssd _mm256_dpwssd_avx_epi32
#else
#define pv_dpbusd _mm256_dpbusd_epi32
#define pv_dpwssd _mm256_dpwssd_epi32
#endif
#else
#define pv_dpwssd(s, a, b) _mm256_add_epi32(s, _mm256_madd_epi16(a, b))
#endif
#define pvf_zero   _mm256_setzero_ps
#define pvf_set    _mm256_set1_ps
#define pvf_load   _mm256_load_ps
#define pvf_loadu  _mm256_loadu_ps
#define pvf_storeu _mm256_storeu_ps
#define pvf_of     _mm256_cvtepi32_ps
#define pvf_add    _mm256_add_ps
#define pvf_mul    _mm256_mul_ps
#define pvf_fma    _mm256_fmadd_ps
#define pvf_fnma   _mm256_fnmadd_ps
PV_FN pv pv_negative8(pv x) {
    return _mm256_cmpgt_epi8(_mm256_setzero_si256(), x);
}
#endif

/* sum + the pairs of products of w (unsigned) and x, as int16. These instructions are kept
 * together: apart, gcc runs out of 16 registers and carries sums through memory. */
PV_FN pv pv_pairs16(pv sum, pv w, pv x) {
#ifdef PV_256
    pv y;
    __asm__("vpmaddubsw %2, %3, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "=&x"(y) : "x"(x), "x"(w));
    return sum;
#else
    return pv_add16(sum, pv_maddubs(w, x));
#endif
}

/* sum + m times the pairs of products of w (signed, v = |w|) and x, as int32; m is the same in both
 * halves. `negative`: all ones where w < 0 (vpsignb would take the pipes of the products). */
PV_FN pv pv_pairs32(pv sum, pv negative, pv v, pv x, const pv *m) {
#ifdef PV_256
    pv y;
    __asm__("vpxor %2, %3, %1\n\tvpsubb %3, %1, %1\n\tvpmaddubsw %1, %4, %1\n\t"
            "vpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(y)
            : "x"(x), "x"(negative), "x"(v), "m"(*m));
    return sum;
#else
    x = pv_sub8(pv_xor(x, negative), negative);
    return pv_add32(sum, pv_madd(pv_maddubs(v, x), *m));
#endif
}

/* Four bytes to every row. */
PV_FN pv pv_dup(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return pv_set32(v);
}
PV_FN pvf pvf_dup(const void *p) {
    float v;
    memcpy(&v, p, 4);
    return pvf_set(v);
}
