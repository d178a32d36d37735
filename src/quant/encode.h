/* What the encoders share. Inputs come from anywhere, so `clean` comes first: a NaN counts as 0 and
 * magnitudes end at 1e38; a scale too large for a half is stored as the largest half. After it no
 * float leaves its range, no conversion to int is undefined, and every block decodes to finite
 * values. */
#ifndef IG_QUANT_ENCODE_H
#define IG_QUANT_ENCODE_H

#include <float.h>
#include <math.h>
#include "quant/parts.h"

/* Copies n floats; returns the first of those with the largest magnitude, with its sign. */
static float clean(const float *restrict in, float *restrict x, int n) {
    float peak = 0;
    for (int i = 0; i < n; i++) {
        float v = in[i];
        v = v > 1e38f ? 1e38f : v < -1e38f ? -1e38f : v == v ? v : 0;
        x[i] = v;
        if (fabsf(v) > fabsf(peak)) peak = v;
    }
    return peak;
}

static void range_of(const float *x, int n, float *low, float *high) {
    *low = *high = x[0];
    for (int i = 1; i < n; i++) {
        if (x[i] < *low) *low = x[i];
        if (x[i] > *high) *high = x[i];
    }
}

/* 1/d, or 0 where that would not be finite */
static float inverse(float d) {
    return fabsf(d) < FLT_MIN ? 0 : 1 / d;
}

/* Towards zero, within [low, high]; NaN becomes low. */
static int clamp_int(float v, int low, int high) {
    return v > (float)low ? v < (float)high ? (int)v : high : low;
}

static uint16_t half_saturated(float f) {
    return ig_f32_to_f16(f > 65504.0f ? 65504.0f : f < -65504.0f ? -65504.0f : f);
}

/* The inverses of nibbles and crumbs. */
static void join_nibbles(const uint8_t *q, uint8_t *b, int bytes) {
    for (int i = 0; i < bytes; i++) b[i] = (uint8_t)((q[i] & 15) | q[i + bytes] << 4);
}
static void join_crumbs(const uint8_t *q, uint8_t *b) {
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)((q[i] & 3) | (q[i + 32] & 3) << 2 | (q[i + 64] & 3) << 4 |
                         (q[i + 96] & 3) << 6);
}
/* Bit 4 of 32 numbers as a little-endian word. */
static void fifth_bits(const uint8_t *q, uint8_t *b) {
    for (int j = 0; j < 4; j++) {
        unsigned bits = 0;
        for (int i = 0; i < 8; i++) bits |= (q[8 * j + i] >> 4 & 1u) << i;
        b[j] = (uint8_t)bits;
    }
}

/* Index of the nearest table value times d; the lower index wins a tie. */
static uint8_t nearest(const int8_t table[16], float x, float d) {
    int best = 0;
    float error = FLT_MAX;
    for (int i = 0; i < 16; i++) {
        float e = fabsf(d * (float)table[i] - x);
        if (e < error) error = e, best = i;
    }
    return (uint8_t)best;
}

#endif
