/* exp, ln and random numbers that are the same bits on every machine: plain IEEE double operations
 * in a stated order, never fused, no libm. Included first, because it forbids contraction for the
 * whole file. */
#ifndef IG_SAMPLE_NUMBER_H
#define IG_SAMPLE_NUMBER_H

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("O3", "fp-contract=off") /* O3: the vocabulary-long loops as vectors */
#endif

#include <stdint.h>
#include <string.h>

/* ln 2 in two parts: the first has 32 significant bits, so that k * IG_LN2_HI is exact for |k| <
 * 2^20. */
#define IG_LN2_HI 0x1.62e42feep-1
#define IG_LN2_LO 0x1.a39ef35793c76p-33
#define IG_LOG2_E 0x1.71547652b82fep+0
#define IG_LN2    0x1.62e42fefa39efp-1

/* e^x. 0 below -700, and x above 700 counts as 700. Relative error below 1e-15. */
static inline double ig_sample_exp(double x) {
    static const double inverse_factorial[] = {1.0,
                                               1.0,
                                               1.0 / 2,
                                               1.0 / 6,
                                               1.0 / 24,
                                               1.0 / 120,
                                               1.0 / 720,
                                               1.0 / 5040,
                                               1.0 / 40320,
                                               1.0 / 362880,
                                               1.0 / 3628800,
                                               1.0 / 39916800,
                                               1.0 / 479001600,
                                               1.0 / 6227020800.0};
    if (!(x >= -700)) return 0;
    if (x > 700) x = 700;
    double t = x * IG_LOG2_E;
    int k = (int)(t < 0 ? t - 0.5 : t + 0.5);
    double r = (x - k * IG_LN2_HI) - k * IG_LN2_LO;
    double y = inverse_factorial[13];
    for (int i = 12; i >= 0; i--) y = y * r + inverse_factorial[i];
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return y * scale;
}

/* ln x for finite x > 0. Absolute error below 1e-15 near 1, relative below 1e-15 elsewhere. */
static inline double ig_sample_ln(double x) {
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    e += (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | ((uint64_t)1023 << 52);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) { /* sqrt 2 */
        m *= 0.5;
        e++;
    }
    double f = (m - 1) / (m + 1), f2 = f * f, y = 1.0 / 25;
    for (int i = 23; i >= 1; i -= 2) y = y * f2 + 1.0 / i;
    return e * IG_LN2_HI + (e * IG_LN2_LO + 2 * f * y);
}

/* SplitMix64's output function: a bijection that scrambles a counter. */
static inline uint64_t ig_sample_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Number `lane` (0 or 1) of pick `at` under `seed`, uniform in [0, 1) with 53 bits. Counter based:
 * no state but the position, so drawing for XTC never shifts the draw for the token. */
static inline double ig_sample_uniform(uint64_t seed, uint64_t at, unsigned lane) {
    uint64_t base = ig_sample_mix(seed ^ 0x9e3779b97f4a7c15u);
    uint64_t z = ig_sample_mix(base + (2 * at + lane + 1) * 0x9e3779b97f4a7c15u);
    return (double)(z >> 11) * 0x1p-53;
}

#endif
