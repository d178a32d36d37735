/* Products of a panel with T inputs, NEON: eight rows at a time in two registers, four bytes a lane. Codes are signed here
 * (quant/lanes.h), so types whose codes are bytes need no correction; for the others dots begin with  - zero * sum(a).
 * With PL_MMLA the dots of two inputs and two rows come from one smmla, else from sdot by lane. */

enum { PL_R = 2 }; /* registers of four rows in a half of the panel */

PL_FN int8x16_t pl_codes(const struct ig_panel *p, size_t k, int row) {
    return vreinterpretq_s8_u8(vld1q_u8(p->q[k][row]));
}

/* 16 columns from 4 k added to i[][]. */
PL_FN void pl_dot_16(const struct ig_panel *p, size_t k, int half, const int8_t *const *a, int32x4_t (*i)[PL_R], int T) {
    int8x16_t x[PL_MAX];
    PL_EACH(t, T) x[t] = vld1q_s8(a[t] + 4 * k);
#define PL_LANE(lane)                                                                          \
    PL_EACH(r, PL_R) {                                                                         \
        int8x16_t w = pl_codes(p, k + lane, 8 * half + 4 * r);                                 \
        PL_EACH(t, T) i[t][r] = vdotq_laneq_s32(i[t][r], w, x[t], lane);                       \
    }
    PL_LANE(0)
    PL_LANE(1)
    PL_LANE(2)
    PL_LANE(3)
#undef PL_LANE
}

#ifdef PL_MMLA
/* The same for pairs of inputs: m[t][r] holds two rows by two inputs, twice. */
PL_FN void pl_dot_pairs(const struct ig_panel *p, size_t k, int half, int steps, const int8_t *const *a, int32x4_t (*i)[PL_R],
                        int T) {
    int32x4_t m[PL_MAX / 2][PL_R][2];
    PL_EACH(t, T / 2)
    PL_EACH(r, PL_R) m[t][r][0] = m[t][r][1] = vdupq_n_s32(0);
    for (int s = 0; s < steps; s += 2) { /* eight columns */
        size_t at = k + (size_t)s;
        int8x16_t x[PL_MAX / 2];
        PL_EACH(t, T / 2) x[t] = vcombine_s8(vld1_s8(a[2 * t] + 4 * at), vld1_s8(a[2 * t + 1] + 4 * at));
        PL_EACH(r, PL_R) {
            int32x4_t u = vreinterpretq_s32_s8(pl_codes(p, at, 8 * half + 4 * r));
            int32x4_t v = vreinterpretq_s32_s8(pl_codes(p, at + 1, 8 * half + 4 * r));
            int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(u, v)), high = vreinterpretq_s8_s32(vzip2q_s32(u, v));
            PL_EACH(t, T / 2) {
                m[t][r][0] = vmmlaq_s32(m[t][r][0], low, x[t]);
                m[t][r][1] = vmmlaq_s32(m[t][r][1], high, x[t]);
            }
        }
    }
    PL_EACH(t, T / 2)
    PL_EACH(r, PL_R) {
        i[2 * t][r] = vaddq_s32(i[2 * t][r], vuzp1q_s32(m[t][r][0], m[t][r][1]));
        i[2 * t + 1][r] = vaddq_s32(i[2 * t + 1][r], vuzp2q_s32(m[t][r][0], m[t][r][1]));
    }
}
#endif

/* Columns [4 k, 4 k + 4 * steps) of the panel's half added to i[][]. */
PL_FN void pl_dot(const struct ig_panel *p, size_t k, int half, int steps, const int8_t *const *a, int32x4_t (*i)[PL_R], int T) {
#ifdef PL_MMLA
    if (T > 1) {
        pl_dot_pairs(p, k, half, steps, a, i, T);
        return;
    }
#endif
    for (int s = 0; s < steps; s += 4) pl_dot_16(p, k + (size_t)s, half, a, i, T);
}

PL_FN void pl_begin(int32x4_t *i, int32_t value) {
    PL_EACH(r, PL_R) i[r] = vdupq_n_s32(value);
}

PL_FN void pl_unit(float *f, const float *d, const float *m, float da, const int32x4_t *i, const int32x4_t *mins, bool has_min) {
    PL_EACH(r, PL_R) {
        float32x4_t s = vld1q_f32(f + 4 * r);
        s = vfmaq_f32(s, vmulq_n_f32(vld1q_f32(d + 4 * r), da), vcvtq_f32_s32(i[r]));
        if (has_min) s = vfmsq_f32(s, vmulq_n_f32(vld1q_f32(m + 4 * r), da), vcvtq_f32_s32(mins[r]));
        vst1q_f32(f + 4 * r, s);
    }
}

/* One float step per 32 columns */
PL_FN void pl_mul_32(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols, float (*acc)[16], int T,
                     bool has_min) {
    for (size_t u = 0; u < cols / 32; u++)
        for (int h = 0; h < 2; h++) {
            int32x4_t i[PL_MAX][PL_R];
            PL_EACH(t, T) pl_begin(i[t], -zero * (in->sum[t][2 * u] + in->sum[t][2 * u + 1]));
            pl_dot(p, 8 * u, h, 8, in->q, i, T);
            PL_EACH(t, T) {
                int32x4_t mins[PL_R];
                pl_begin(mins, in->sum[t][2 * u] + in->sum[t][2 * u + 1]);
                pl_unit(acc[t] + 8 * h, p->d[u] + 8 * h, p->dmin[u] + 8 * h, in->d[t][u], i[t], mins, has_min);
            }
        }
}

/* One float step per 16 columns, activations still scaled per 32 */
PL_FN void pl_mul_16(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols, float (*acc)[16], int T) {
    for (size_t u = 0; u < cols / 16; u++)
        for (int h = 0; h < 2; h++) {
            int32x4_t i[PL_MAX][PL_R];
            PL_EACH(t, T) pl_begin(i[t], -zero * in->sum[t][u]);
            pl_dot(p, 4 * u, h, 4, in->q, i, T);
            PL_EACH(t, T) pl_unit(acc[t] + 8 * h, p->d[u] + 8 * h, NULL, in->d[t][u / 2], i[t], i[t], false);
        }
}

/* min[0] * sum[0] + min[1] * sum[1] of the eight rows added to mins */
PL_FN void pl_mins(const int16_t (*min)[2], const int16_t *sum, int32x4_t *mins) {
    int32_t pair;
    memcpy(&pair, sum, sizeof pair);
    int16x8_t s = vreinterpretq_s16_s32(vdupq_n_s32(pair));
    PL_EACH(r, PL_R) {
        int16x8_t m = vld1q_s16(min[4 * r]);
        int32x4_t low = vmull_s16(vget_low_s16(m), vget_low_s16(s)), high = vmull_high_s16(m, s);
        mins[r] = vaddq_s32(mins[r], vpaddq_s32(low, high));
    }
}

/* One float step per 256 columns, integer scales per `group` */
PL_FN void pl_mul_256(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols, float (*acc)[16], int T,
                      int group, bool has_min) {
    for (size_t b = 0; b < cols / 256; b++)
        for (int half = 0; half < 2; half++) {
            int32x4_t total[PL_MAX][PL_R], mins[PL_MAX][PL_R];
            PL_EACH(t, T) pl_begin(total[t], 0), pl_begin(mins[t], 0);
            for (size_t g = b * 256 / (size_t)group; g < (b + 1) * 256 / (size_t)group; g++) {
                const int32_t *scale = p->scale[g] + 8 * half;
                int32x4_t i[PL_MAX][PL_R];
                PL_EACH(t, T)
                pl_begin(i[t], -zero * (group == 32 ? in->sum[t][2 * g] + in->sum[t][2 * g + 1] : in->sum[t][g]));
                pl_dot(p, g * (size_t)group / 4, half, group / 4, in->q, i, T);
                PL_EACH(t, T)
                PL_EACH(r, PL_R) total[t][r] = vmlaq_s32(total[t][r], i[t][r], vld1q_s32(scale + 4 * r));
            }
            for (size_t u = 8 * b; has_min && u < 8 * b + 8; u++)
                PL_EACH(t, T) pl_mins(p->min[u] + 8 * half, in->sum[t] + 2 * u, mins[t]);
            PL_EACH(t, T)
            pl_unit(acc[t] + 8 * half, p->d[b] + 8 * half, p->dmin[b] + 8 * half, in->d[t][b], total[t], mins[t], has_min);
        }
}

PL_FN void pl_add(float *y, const float *acc, bool first) {
    for (int r = 0; r < 16; r += 4) {
        float32x4_t s = first ? vdupq_n_f32(0) : vld1q_f32(y + r);
        vst1q_f32(y + r, vaddq_f32(s, vld1q_f32(acc + r)));
    }
}

enum { PL_LOG_MAX = 3 };
#define PL_TILES(name, call)                                                                       \
    PL_TILE(name, 1, call)                                                                         \
    PL_TILE(name, 2, call)                                                                         \
    PL_TILE(name, 4, call)                                                                         \
    PL_TILE(name, 8, call)                                                                         \
    static const pl_tile_fn name[] = {name##_1, name##_2, name##_4, name##_8};
#define PL_ZERO (zero == 128 ? 0 : zero) /* bytes: the code is the weight */
PL_TILES(pl_32, pl_mul_32(p, PL_ZERO, in, cols, acc, N, false))
PL_TILES(pl_32_min, pl_mul_32(p, PL_ZERO, in, cols, acc, N, true))
PL_TILES(pl_16, pl_mul_16(p, PL_ZERO, in, cols, acc, N))
PL_TILES(pl_256_32, pl_mul_256(p, PL_ZERO, in, cols, acc, N, 32, false))
PL_TILES(pl_256_32_min, pl_mul_256(p, PL_ZERO, in, cols, acc, N, 32, true))
PL_TILES(pl_256_16, pl_mul_256(p, PL_ZERO, in, cols, acc, N, 16, false))
PL_TILES(pl_256_16_min, pl_mul_256(p, PL_ZERO, in, cols, acc, N, 16, true))

static const pl_tile_fn *pl_tiles(const struct ig_quant *t, int top) {
    (void)top;
    if (t->unit == 16) return pl_16;
    if (t->unit == 32) return t->has_min ? pl_32_min : pl_32;
    if (t->group == 32) return t->has_min ? pl_256_32_min : pl_256_32;
    return t->has_min ? pl_256_16_min : pl_256_16;
}
