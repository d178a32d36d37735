/* Linear layers with quantised weights, portable form: a row is taken apart once (quant.h: struct ig_unpacked) and multiplied
 * with every input. The including file may define LQ_DOT(q, a, group) for its instruction set: the exact integer dot of one
 * group; the loop around it is the contract. */

struct lq_row { /* one row of W taken apart */
    int8_t *q;
    int16_t *scale, *min;
    float *d, *dmin;
};

static size_t lq_scratch_bytes(uint32_t cols) {
    /* q, scale and min per 16, d and dmin per 16; each part rounded up to 64 */
    return (size_t)cols + 2 * ((size_t)cols / 16 * sizeof(int16_t)) + 2 * ((size_t)cols / 16 * sizeof(float)) + 6 * 64 +
           5 * IG_QUANT_MAX_BLOCK;
}

static struct lq_row lq_place(void *scratch, uint32_t cols) {
    uint8_t *p = scratch;
    struct lq_row r;
    size_t n = ((size_t)cols + IG_QUANT_MAX_BLOCK + 63) / 64 * 64, g = (n / 16 * sizeof(float) + 63) / 64 * 64;
    r.q = (int8_t *)p;
    r.d = (float *)(void *)(p + n);
    r.dmin = (float *)(void *)(p + n + g);
    r.scale = (int16_t *)(void *)(p + n + 2 * g);
    r.min = (int16_t *)(void *)(p + n + 2 * g + g / 2);
    return r;
}

static void lq_unpack_row(const struct ig_quant *t, const uint8_t *w, uint32_t cols, const struct lq_row *r) {
    uint32_t groups = t->block / t->group, units = t->block / t->unit, g = 0, u = 0;
    struct ig_unpacked b;
    for (uint32_t k = 0; k < cols; k += t->block, w += t->bytes, g += groups, u += units) {
        t->unpack(w, &b);
        memcpy(r->q + k, b.q, t->block);
        memcpy(r->scale + g, b.scale, groups * sizeof *b.scale);
        memcpy(r->d + u, b.d, units * sizeof *b.d);
        if (!t->has_min) continue;
        memcpy(r->min + g, b.min, groups * sizeof *b.min);
        memcpy(r->dmin + u, b.dmin, units * sizeof *b.dmin);
    }
}

#ifndef LQ_DOT
#define LQ_DOT lq_dot
static inline int32_t lq_dot(const int8_t *q, const int8_t *a, uint32_t n) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += q[i] * a[i];
    return sum;
}
#endif

/* DESIGN 6: units in order within a slice, slices in order. */
static float lq_dot_row(const struct ig_quant *t, const struct lq_row *r, uint32_t cols, const int8_t *a, const float *da,
                        const int16_t *sum) {
    uint32_t per = t->kind == IG_QUANT_A256 ? 256 : 32, group = t->group;
    float y = 0;
    for (uint32_t s = 0; s < cols; s += IG_SLICE) {
        uint32_t end = cols - s < IG_SLICE ? cols : s + IG_SLICE;
        float acc = 0;
        for (uint32_t u = s; u < end; u += t->unit) {
            int32_t total = 0, mins = 0;
            for (uint32_t k = u; k < u + t->unit; k += group) {
                total += r->scale[k / group] * LQ_DOT(r->q + k, a + k, group);
                if (t->has_min) mins += r->min[k / group] * (group == 32 ? sum[k / 16] + sum[k / 16 + 1] : sum[k / 16]);
            }
            float d = da[u / per];
            acc = fmaf(r->d[u / t->unit] * d, (float)total, acc);
            if (t->has_min) acc = fmaf(-(r->dmin[u / t->unit] * d), (float)mins, acc);
        }
        y = y + acc;
    }
    return y;
}

static void lq_linear(const struct ig_linear *j) {
    struct lq_row r = lq_place(j->scratch, j->cols);
    for (uint32_t row = 0; row < j->rows; row++) {
        lq_unpack_row(j->type, j->w + j->row_bytes * row, j->cols, &r);
        for (uint32_t i = 0; i < j->n; i++) {
            size_t x = ig_linear_x(j, i);
            ig_linear_y(j, i)[row] = lq_dot_row(j->type, &r, j->cols, j->act.q + j->act.q_stride * x,
                                                j->act.d + j->act.d_stride * x, j->act.sum + j->act.s_stride * x);
        }
    }
}
