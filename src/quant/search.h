/* The search for scales behind the encoders of types with integer scales per group.
 *
 * Everything happens on a block divided by its largest magnitude, so no sum can overflow, and
 * minimises sum of w * (x - decoded x)^2 with w = rms + |x|: large weights matter more, none is
 * ignored. Three steps:
 *   1. each group alone: round for some twenty steps near range / levels, take the least-squares
 * step (and offset) for each rounding, keep the best;
 *   2. put the groups' steps on a common integer grid d * s (and dmin * m);
 *   3. twice: per group try the neighbouring integers with fresh rounding; then refit d (and dmin)
 * to the whole block. A refit is kept only if the error falls, so the result is never worse than
 * step 2. */
#ifndef IG_QUANT_SEARCH_H
#define IG_QUANT_SEARCH_H

#include "quant/encode.h"

struct search {
    /* in */
    int groups, size;    /* 8 x 32 or 16 x 16; IQ4_NL: 1 x 32 */
    float low, high;     /* levels: the integers low..high, */
    const int8_t *table; /* or 16 table values */
    int s_low, s_high;   /* range of s; m uses 0..s_high */
    /* out */
    uint16_t d, dmin; /* halves */
    int s[16], m[16];
    float level[256]; /* integers or table values */
    /* while searching */
    float x[256], w[256], peak;
    float step[16], offset[16];
};

/* v to the nearest integer, for |v| < 2^22 */
static float round_near(float v) {
    return (v + 12582912.0f) - 12582912.0f;
}

/* Sum of a * b * c over n, a multiple of 8; eight lanes so that it vectorises. */
static float dot3(const float *a, const float *b, const float *c, int n) {
    float lane[8] = {0};
    for (int i = 0; i < n; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[i + k] * b[i + k] * c[i + k];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}
static float dot2(const float *a, const float *b, int n) {
    float lane[8] = {0};
    for (int i = 0; i < n; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[i + k] * b[i + k];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Sum of w * (x - step * level - offset)^2 */
static float error_of(const float *x, const float *w, const float *level, float step, float offset,
                      int n) {
    float lane[8] = {0};
    for (int i = 0; i < n; i += 8)
        for (int k = 0; k < 8; k++) {
            float e = x[i + k] - (step * level[i + k] + offset);
            lane[k] += w[i + k] * (e * e);
        }
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* The nearest levels to (x - offset) * inv. */
static void to_levels(const struct search *s, const float *restrict x, float inv, float offset,
                      float *restrict level) {
    int n = s->size;
    if (!s->table) {
        float low = s->low, high = s->high;
        for (int i = 0; i < n; i++) {
            float v = (x[i] - offset) * inv;
            v = v < low ? low : v;
            v = v > high ? high : v;
            level[i] = round_near(v);
        }
        return;
    }
    for (int i = 0; i < n; i++) level[i] = s->table[0];
    for (int k = 0; k < 15; k++) {
        float rise = (float)(s->table[k + 1] - s->table[k]),
              middle = 0.5f * (float)(s->table[k + 1] + s->table[k]);
        for (int i = 0; i < n; i++) level[i] += x[i] * inv > middle ? rise : 0.0f;
    }
}

/* Divides the block by its peak and sets the weights; false if all of it is (next to) zero. */
static bool search_begin(struct search *s, const float *in) {
    int n = s->groups * s->size;
    s->peak = fabsf(clean(in, s->x, n));
    float inv = inverse(s->peak);
    if (inv == 0) return false;
    for (int i = 0; i < n; i++) s->x[i] *= inv;
    float rms = sqrtf(dot2(s->x, s->x, n) / (float)n);
    for (int i = 0; i < n; i++) s->w[i] = rms + fabsf(s->x[i]);
    return true;
}

/* Rounds a step of the whole block to a half and returns it in units of the peak. */
static float settle(const struct search *s, float d, uint16_t *half) {
    *half = half_saturated(d * s->peak);
    return half_float(*half) / s->peak;
}

static int round_clamped(float v, int low, int high) {
    return clamp_int(v < 0 ? v - 0.5f : v + 0.5f, low, high);
}

/* ---- x = d * s * level ---- */

static float best_step(const struct search *s, const float *x, const float *w) {
    float peak = 0, best = 0, step = 0, level[32];
    for (int i = 0; i < s->size; i++)
        if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
    if (fabsf(peak) < 1e-15f) return 0;
    float low = s->table ? s->table[0] : s->low, high = s->table ? s->table[15] : s->high;
    for (int k = -9; k <= 9; k++)
        for (int side = 0; side < 2; side++) {
            float end = side ? high : low, inv = end * (1 + 0.025f * (float)k) / peak;
            if (!s->table) inv = (end + (side ? 0.1f : -0.1f) * (float)k) / peak;
            to_levels(s, x, inv, 0, level);
            float xl = dot3(w, x, level, s->size), ll = dot3(w, level, level, s->size);
            if (ll > 0 && xl * xl > best * ll) best = xl * xl / ll, step = xl / ll;
        }
    return step;
}

/* Chooses s (near s->s[g]) and the levels of group g for the block step d; returns the error. */
static float settle_group(struct search *s, int g, float d) {
    const float *x = s->x + g * s->size, *w = s->w + g * s->size;
    float best = FLT_MAX, level[32];
    int middle = s->s[g];
    for (int c = middle - 1; c <= middle + 1; c++) {
        if (c < s->s_low || c > s->s_high) continue;
        float step = d * (float)c;
        to_levels(s, x, inverse(step), 0, level);
        float e = error_of(x, w, level, step, 0, s->size);
        if (e < best) {
            best = e;
            s->s[g] = c;
            memcpy(s->level + g * s->size, level, (size_t)s->size * sizeof *level);
        }
    }
    return best;
}

static float settle_block(struct search *s, float d) {
    float e = 0;
    for (int g = 0; g < s->groups; g++) e += settle_group(s, g, d);
    return e;
}

/* The least-squares d for the levels and integer scales as they are. */
static float refit(const struct search *s, float d) {
    float xl = 0, ll = 0;
    for (int g = 0; g < s->groups; g++) {
        const float *x = s->x + g * s->size, *w = s->w + g * s->size, *l = s->level + g * s->size;
        float c = (float)s->s[g];
        xl += c * dot3(w, x, l, s->size);
        ll += c * c * dot3(w, l, l, s->size);
    }
    return ll > 0 ? xl / ll : d;
}

/* False: a block of zeros. */
static bool search_steps(struct search *s, const float *in) {
    if (!search_begin(s, in)) return false;
    float widest = 0;
    for (int g = 0; g < s->groups; g++) {
        s->step[g] = best_step(s, s->x + g * s->size, s->w + g * s->size);
        if (fabsf(s->step[g]) > fabsf(widest)) widest = s->step[g];
    }
    /* s_low is the larger end of the range, so the widest group gets it */
    float d = settle(s, widest / (float)(s->s_low ? s->s_low : s->s_high), &s->d), inv = inverse(d);
    for (int g = 0; g < s->groups; g++)
        s->s[g] = round_clamped(s->step[g] * inv, s->s_low, s->s_high);
    float e = settle_block(s, d);
    for (int pass = 0; pass < 2; pass++) {
        struct search t = *s;
        d = settle(&t, refit(&t, d), &t.d);
        float changed = settle_block(&t, d);
        if (!(changed < e)) break;
        e = changed;
        *s = t;
    }
    return true;
}

/* ---- x = d * s * level - dmin * m, with m >= 0 and levels 0..high ---- */

static void best_range(struct search *s, int g) {
    const float *x = s->x + g * s->size, *w = s->w + g * s->size;
    float low, high, ones[32], level[32], best = -1;
    range_of(x, s->size, &low, &high);
    low = low > 0 ? 0 : low;
    s->step[g] = 0;
    s->offset[g] = low;
    if (high - low < 1e-15f) return;
    for (int i = 0; i < s->size; i++) ones[i] = 1;
    float sw = dot2(w, ones, s->size), sx = dot2(w, x, s->size);
    for (int k = -10; k <= 10; k++) {
        to_levels(s, x, (s->high + 0.1f * (float)k) / (high - low), low, level);
        float sl = dot2(w, level, s->size), sll = dot3(w, level, level, s->size),
              sxl = dot3(w, x, level, s->size);
        float det = sw * sll - sl * sl;
        if (!(det > 0)) continue;
        float step = (sw * sxl - sx * sl) / det, offset = (sll * sx - sl * sxl) / det;
        if (offset > 0) offset = 0, step = sxl / sll;
        float gain = 2 * (step * sxl + offset * sx) -
                     (step * step * sll + 2 * step * offset * sl + offset * offset * sw);
        if (gain > best) best = gain, s->step[g] = step, s->offset[g] = offset;
    }
}

static float settle_range_group(struct search *s, int g, float d, float dmin) {
    const float *x = s->x + g * s->size, *w = s->w + g * s->size;
    float best = FLT_MAX, level[32];
    int c0 = s->s[g], m0 = s->m[g];
    for (int c = c0 - 1; c <= c0 + 1; c++)
        for (int m = m0 - 1; m <= m0 + 1; m++) {
            if (c < 0 || m < 0 || c > s->s_high || m > s->s_high) continue;
            float step = d * (float)c, offset = -dmin * (float)m;
            to_levels(s, x, inverse(step), offset, level);
            float e = error_of(x, w, level, step, offset, s->size);
            if (e < best) {
                best = e;
                s->s[g] = c;
                s->m[g] = m;
                memcpy(s->level + g * s->size, level, (size_t)s->size * sizeof *level);
            }
        }
    return best;
}

static float settle_ranges(struct search *s, float d, float dmin) {
    float e = 0;
    for (int g = 0; g < s->groups; g++) e += settle_range_group(s, g, d, dmin);
    return e;
}

/* Least squares for d and dmin together. */
static void refit_range(const struct search *s, float *d, float *dmin) {
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0, ones[32];
    for (int i = 0; i < 32; i++) ones[i] = 1;
    for (int g = 0; g < s->groups; g++) {
        const float *x = s->x + g * s->size, *w = s->w + g * s->size, *l = s->level + g * s->size;
        float c = (float)s->s[g], m = -(float)s->m[g];
        aa += c * c * dot3(w, l, l, s->size);
        ab += c * m * dot2(w, l, s->size);
        bb += m * m * dot2(w, ones, s->size);
        xa += c * dot3(w, x, l, s->size);
        xb += m * dot2(w, x, s->size);
    }
    float det = aa * bb - ab * ab;
    if (det > 1e-6f * aa * bb) {
        *d = (bb * xa - ab * xb) / det;
        *dmin = (aa * xb - ab * xa) / det;
    } else if (aa > 0 && bb == 0) {
        *d = xa / aa;
    }
}

static bool search_ranges(struct search *s, const float *in) {
    if (!search_begin(s, in)) return false;
    float widest = 0, lowest = 0;
    for (int g = 0; g < s->groups; g++) {
        best_range(s, g);
        if (s->step[g] > widest) widest = s->step[g];
        if (s->offset[g] < lowest) lowest = s->offset[g];
    }
    float d = settle(s, widest / (float)s->s_high, &s->d), inv = inverse(d);
    float dmin = settle(s, -lowest / (float)s->s_high, &s->dmin), inv_min = inverse(dmin);
    for (int g = 0; g < s->groups; g++) {
        s->s[g] = round_clamped(s->step[g] * inv, 0, s->s_high);
        s->m[g] = round_clamped(-s->offset[g] * inv_min, 0, s->s_high);
    }
    float e = settle_ranges(s, d, dmin);
    for (int pass = 0; pass < 2; pass++) {
        struct search t = *s;
        refit_range(&t, &d, &dmin);
        d = settle(&t, d, &t.d);
        dmin = settle(&t, dmin, &t.dmin);
        float changed = settle_ranges(&t, d, dmin);
        if (!(changed < e)) break;
        e = changed;
        *s = t;
    }
    return true;
}

/* Levels as unsigned codes: the integer plus `bias`, or the place in the table. */
static void codes_of(const struct search *s, int bias, uint8_t *q) {
    for (int i = 0; i < s->groups * s->size; i++) {
        int v = (int)s->level[i], k = 0;
        if (!s->table)
            k = v + bias;
        else
            while (k < 15 && s->table[k] != v) k++;
        q[i] = (uint8_t)k;
    }
}

/* The 12 bytes that scales_6bit reads. */
static void join_scales_6bit(const int *s, const int *m, uint8_t *b) {
    for (int j = 0; j < 4; j++) {
        b[j] = (uint8_t)(s[j] | s[j + 4] >> 4 << 6);
        b[j + 4] = (uint8_t)(m[j] | m[j + 4] >> 4 << 6);
        b[j + 8] = (uint8_t)((s[j + 4] & 15) | (m[j + 4] & 15) << 4);
    }
}

#endif
