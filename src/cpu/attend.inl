/* Attention of a tile of query rows over one chunk of the cache, included by each instruction set's
 * file after v16.h. A row is one query head of one token; rows of a tile share a kv head and a
 * timeline, so each key and value is loaded once for up to ATT_MOST rows.
 *
 * Work is in base 2: t = score * log2(e) = n + f with whole n, so that weights are 2^f * 2^(n - m)
 * with a whole running maximum m, and rescaling is exact. Positions are taken in fixed chunks of
 * 256 counted from position 0; within a chunk the weights are summed in 16 lanes (lane = position
 * mod 16) and values accumulate position by position; chunks are merged in order. A row sees only
 * its own positions, first to last: what lies outside is never added, not even with weight 0. So
 * neither the split of the prompt nor what else is in the tile changes a bit. */

/* A score's row is a little longer than a chunk, so that rows do not meet in one set of the cache.
 */
enum { ATT_CHUNK = IG_ATTEND_CHUNK, ATT_ROWS = IG_ATTEND_ROWS, ATT_STRIDE = ATT_CHUNK + 16 };

/* Rows at a time, chosen so that sums stay in registers; a scalar machine has none to speak of. */
#if defined(V16_AVX2)
enum { ATT_MOST = 6 };
#else
enum { ATT_MOST = 8 };
#endif

V_FN v16 att_load(const uint8_t *p, size_t i, enum ig_cache_type type) {
    if (type == IG_CACHE_F32) return v_load((const float *)(const void *)p + i);
    if (type == IG_CACHE_F16) return v_load_f16((const uint16_t *)(const void *)p + i);
    return v_load_i8((const int8_t *)p + i);
}

/* How many of `left` rows to take next. Float caches are rare: fewer forms. */
static uint32_t att_take(uint32_t left, enum ig_cache_type type) {
    if (type == IG_CACHE_F32) return left < 4 ? 1 : 4;
    if (left >= ATT_MOST && left - ATT_MOST != 1 && left - ATT_MOST != 2) return ATT_MOST;
    return left > 4 ? (left == 5 ? 3 : 4) : left;
}

/* Calls f(.., n, ..) with a constant n, which keeps an array of sums in registers. */
#if defined(V16_SCALAR)
#define ATT_ROWS_OF(n, type, call) call(n)
#else
#define ATT_ROWS_OF(n, type, call)                                                                 \
    do {                                                                                           \
        if ((n) == 1) call(1);                                                                     \
        else if ((n) == 4 || (type) == IG_CACHE_F32) call(4);                                      \
        else if ((n) == 2) call(2);                                                                \
        else if ((n) == 3) call(3);                                                                \
        else call(ATT_MOST);                                                                       \
    } while (0)
#endif

#if defined(__GNUC__) /* into the second cache: the first has too few misses under way */
#define ATT_PREFETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define ATT_PREFETCH(p) ((void)(p))
#endif

#include "cpu/attend_q8.inl"

/* Where the stream of keys and values goes on behind the block of `position`, which belongs to
 * `chunk`: keys of the chunk, then its values, then the next chunk. A block is fetched while the one
 * before it is worked on; processors' own prefetching stops at each page. */
V_FN const uint8_t *att_next(const struct ig_attend *j, uint32_t chunk, uint32_t position,
                             uint32_t end, bool values) {
    const struct ig_cache_layer *l = j->layer;
    uint32_t next = (position / IG_CACHE_BLOCK + 1) * IG_CACHE_BLOCK;
    if (next >= end && !values) next = chunk, values = true;
    else if (next >= end) values = false;
    if (next > j->rows[j->n - 1].last) return NULL;
    const uint8_t *block = ig_cache_block(j->cache, l, next); /* NULL before a window */
    if (!block) return NULL;
    return block + (values ? l->v_at + l->v_head * j->kv_head : l->k_at + l->k_head * j->kv_head);
}

/* ---- Scores ---- */

/* q . k of n rows and `np` panels of 16 positions; n and np are constant. q is [head_k][ATT_ROWS].
 */
V_FN void att_panels(const float *q, const uint8_t *k, ptrdiff_t ahead, uint32_t head_k, uint32_t n,
                     uint32_t np, float *t, enum ig_cache_type type) {
    v16 acc[ATT_MOST * 2];
    V_EACH_OF(i, n * np) acc[i] = v_zero();
    size_t step = ig_cache_element(type) * IG_CACHE_PANEL;
    for (const float *end = q + (size_t)head_k * ATT_ROWS; q < end; q += ATT_ROWS, k += step) {
        V_EACH_OF(p, np) {
            v16 kd = att_load(k + p * head_k * step, 0, type);
            ATT_PREFETCH(k + p * head_k * step + ahead);
            V_EACH_OF(r, n) acc[p * n + r] = v_fma(v_set1(q[r]), kd, acc[p * n + r]);
        }
    }
    V_EACH_OF(p, np)
    V_EACH_OF(r, n) v_store(t + r * ATT_STRIDE + p * IG_CACHE_PANEL, acc[p * n + r]);
}

/* Few rows take two panels at once: the machine needs about eight sums to be busy. `k` is at an even
 * panel of its block then, and what is behind the last panel is computed for nothing. */
V_FN void att_block(const float *q, const uint8_t *k, ptrdiff_t ahead, uint32_t head_k, uint32_t n,
                    uint32_t panels, float *t, enum ig_cache_type type) {
    size_t bytes = ig_cache_element(type) * head_k * IG_CACHE_PANEL;
    const uint32_t np = n <= ATT_MOST / 2 ? 2 : 1;
    for (uint32_t p = 0; p < panels; p += np, k += np * bytes) {
        float *to = t + p * IG_CACHE_PANEL;
        if (type == IG_CACHE_Q8)
            att_panels_q8(q, k, ahead, head_k, n, np, to);
        else
            att_panels(q, k, ahead, head_k, n, np, to, type);
    }
}

/* From position `from`, an even panel's first */
V_FN void att_scores(const struct ig_attend *j, uint32_t chunk, uint32_t from, uint32_t to,
                     float *t, enum ig_cache_type type) {
    const struct ig_cache_layer *l = j->layer;
    for (uint32_t p = from; p < to;) {
        uint32_t in = (chunk + p) % IG_CACHE_BLOCK / IG_CACHE_PANEL;
        uint32_t end = p + (IG_CACHE_BLOCK - in * IG_CACHE_PANEL);
        uint32_t panels = ((end < to ? end : to) - p + IG_CACHE_PANEL - 1) / IG_CACHE_PANEL;
        const uint8_t *k =
            ig_cache_block(j->cache, l, chunk + p) + l->k_at + l->k_head * j->kv_head;
        const uint8_t *next = att_next(j, chunk, chunk + p, chunk + to, false);
        ptrdiff_t ahead = next ? next - k : 0;
        k += ig_cache_element(type) * in * l->k_stride * IG_CACHE_PANEL;
        for (uint32_t r = 0, n; r < j->n; r += n) {
            n = att_take(j->n - r, type);
#define ATT_CALL(c)                                                                                \
    att_block(j->scratch + r, k, ahead, l->k_stride, c, panels, t + r * ATT_STRIDE + p, type)
            ATT_ROWS_OF(n, type, ATT_CALL);
#undef ATT_CALL
        }
        p = end;
    }
}

/* ---- Weights ---- */

struct att_state {
    float m, l; /* maximum (whole), sum of weights */
};

/* One panel of q . k -> base-2 exponents. `scale` is NULL or a factor for each position, `f` the
 * row's. */
V_FN v16 att_exponent(const struct ig_attend *j, v16 s, const float *scale, float f) {
    if (scale) s = v_mul(s, v_load(scale));
    s = v_mul(s, v_set1(f));
    if (j->softcap > 0) s = v_mul(v_set1(j->softcap), v_tanh(v_div(s, v_set1(j->softcap))));
    return v_mul(s, v_set1(0x1.715476p+0f));
}

/* The scales of 16 positions from `position` on, NULL if the cache has none. */
V_FN const float *att_scale(const struct ig_attend *j, uint32_t position, size_t at) {
    if (j->cache->type != IG_CACHE_Q8) return NULL;
    const uint8_t *block = ig_cache_block(j->cache, j->layer, position);
    return (const float *)(const void *)(block + at) + j->kv_head * IG_CACHE_BLOCK +
           position % IG_CACHE_BLOCK;
}

/* -1e30 outside [lo, hi), counted from the first lane */
V_FN v16 att_mask(v16 x, uint32_t i, uint32_t lo, uint32_t hi) {
    float lanes[16];
    if (i >= lo && i + 16 <= hi) return x;
    v_store(lanes, x);
    for (uint32_t c = 0; c < 16; c++)
        if (i + c < lo || i + c >= hi) lanes[c] = -1e30f;
    return v_load(lanes);
}

/* ALiBi: -slope * (query position - key position), exact differences */
V_FN v16 att_alibi(v16 x, float distance, float slope) {
    float lanes[16];
    for (int c = 0; c < 16; c++) lanes[c] = distance + (float)c;
    return v_fma(v_load(lanes), v_set1(slope), x);
}

/* q . k -> exponents in place; returns the largest whole part. Positions outside [lo, hi) get none.
 */
V_FN float att_exponents(const struct ig_attend *j, uint32_t r, uint32_t chunk, float *t,
                         uint32_t lo, uint32_t hi) {
    v16 most = v_set1(-1e30f);
    const struct ig_attend_row *row = &j->rows[r];
    float lanes[16], slope = row->slope * 0x1.715476p+0f, m = -1e30f;
    float f = j->cache->type == IG_CACHE_Q8 ? att_scale_q8(j)[r] * j->scale : j->scale;
    for (uint32_t i = lo / 16 * 16; i < hi; i += 16) {
        const float *scale = att_scale(j, chunk + i, j->layer->k_scale_at);
        v16 x = att_exponent(j, v_load(t + i), scale, f);
        if (slope > 0) x = att_alibi(x, (float)((int32_t)(chunk + i) - (int32_t)row->last), slope);
        x = att_mask(x, i, lo, hi);
        v_store(t + i, x);
        most = v_max(v_floor(x), most);
    }
    v_store(lanes, most);
    for (int c = 0; c < 16; c++) m = lanes[c] > m ? lanes[c] : m;
    return m;
}

/* q . k of the chunk's positions [lo, hi) -> weights, in place; with q8 values, weights times the
 * values' scales. Returns the chunk's maximum and sum. One function for all types of cache. */
static struct att_state att_weights(const struct ig_attend *j, uint32_t r, uint32_t chunk, float *t,
                                    uint32_t lo, uint32_t hi) {
    float m = att_exponents(j, r, chunk, t, lo, hi);
    v16 sum = v_zero();
    for (uint32_t i = lo / 16 * 16; i < hi; i += 16) {
        const float *scale = att_scale(j, chunk + i, j->layer->v_scale_at);
        v16 x = v_load(t + i), whole = v_floor(x);
        v16 e = v_max(v_sub(whole, v_set1(m)), v_set1(-127.0f));
        v16 p = v_mul(v_exp2_fraction(v_sub(x, whole)), v_pow2(e));
        sum = v_add(sum, p);
        v_store(t + i, scale ? v_mul(p, v_load(scale)) : p);
    }
    return (struct att_state){m, v_sum(sum)};
}

/* ---- Values ---- */

/* sum[r][d..d + 16 nv) += weight * V over the chunk's positions [lo, hi); n and nv are constant.
 * Rows of `sum` are `stride` apart. */
V_FN void att_values(const struct ig_attend *j, const float *t, uint32_t chunk, uint32_t lo,
                     uint32_t hi, uint32_t n, float *const *sum, uint32_t d, uint32_t nv,
                     enum ig_cache_type type) {
    const struct ig_cache_layer *l = j->layer;
    v16 acc[16];
    V_EACH_OF(r, n) V_EACH_OF(i, nv) acc[r * nv + i] = v_load(sum[r] + d + i * 16);
    for (uint32_t p = lo; p < hi;) {
        uint32_t in = (chunk + p) % IG_CACHE_BLOCK, rest = IG_CACHE_BLOCK - in;
        uint32_t end = p + rest < hi ? p + rest : hi;
        const uint8_t *v =
            ig_cache_block(j->cache, l, chunk + p) + l->v_at + l->v_head * j->kv_head;
        size_t step = l->v_stride * ig_cache_element(type);
        const uint8_t *next = att_next(j, chunk, chunk + p, chunk + hi, true);
        ptrdiff_t ahead = next ? next - v : 0;
        v += in * step + d * ig_cache_element(type);
        const float *w = t + p;
        for (const float *stop = t + end; w < stop; w++, v += step) {
            v16 value[4];
            V_EACH_OF(i, nv) value[i] = att_load(v, i * 16, type);
            for (uint32_t i = 0; i < 16 * nv * ig_cache_element(type); i += 64)
                ATT_PREFETCH(v + ahead + i);
            V_EACH_OF(r, n) {
                v16 weight = v_set1(w[r * ATT_STRIDE]);
                V_EACH_OF(i, nv) acc[r * nv + i] = v_fma(weight, value[i], acc[r * nv + i]);
            }
        }
        p = end;
    }
    V_EACH_OF(r, n) V_EACH_OF(i, nv) v_store(sum[r] + d + i * 16, acc[r * nv + i]);
}

/* All dims for rows [r, r + n); `nv` vectors at a time while they last, then row by row where rows
 * are few */
V_FN void att_values_rows(const struct ig_attend *j, const float *t, uint32_t chunk, uint32_t lo,
                          uint32_t hi, uint32_t n, float *const *sum, uint32_t nv,
                          enum ig_cache_type type) {
    uint32_t d = 0, stride = j->layer->v_stride;
    for (; d + 16 * nv <= stride; d += 16 * nv)
        att_values(j, t, chunk, lo, hi, n, sum, d, nv, type);
    if (nv == 1) return;
    const uint32_t rows = n == ATT_MOST ? n : 1;
    for (; d < stride; d += 16)
        for (uint32_t r = 0; r < n; r += rows)
            att_values(j, t + r * ATT_STRIDE, chunk, lo, hi, rows, sum + r, d, 1, type);
}

/* Rows [r, end) see all of [lo, hi). */
V_FN void att_segment(const struct ig_attend *j, const float *t, uint32_t chunk, uint32_t lo,
                      uint32_t hi, uint32_t r, uint32_t end, float *const *sum,
                      enum ig_cache_type type) {
    for (uint32_t n; r < end; r += n) {
        n = att_take(end - r, type);
#if defined(V16_AVX2)
#define ATT_WIDE(n) (n) > 3 ? 1 : (n) > 1 ? 2 : 4
#else
#define ATT_WIDE(n) (n) > 4 ? 2 : 4
#endif
#define ATT_CALL(c)                                                                                \
    att_values_rows(j, t + r * ATT_STRIDE, chunk, lo, hi, c, sum + r, ATT_WIDE(c), type)
        ATT_ROWS_OF(n, type, ATT_CALL);
#undef ATT_CALL
#undef ATT_WIDE
    }
}

/* ---- A chunk ---- */

struct att_range {
    uint32_t lo[ATT_ROWS],
        hi[ATT_ROWS];  /* visible positions of each row in the chunk; may be empty */
    uint32_t from, to; /* of any row */
};

static struct att_range att_ranges(const struct ig_attend *j, uint32_t chunk) {
    struct att_range g = {.from = ATT_CHUNK};
    for (uint32_t r = 0; r < j->n; r++) {
        uint32_t first = j->rows[r].first, last = j->rows[r].last;
        g.lo[r] = first > chunk ? first - chunk : 0;
        g.hi[r] = last < chunk ? 0 : last - chunk + 1 < ATT_CHUNK ? last - chunk + 1 : ATT_CHUNK;
        if (g.lo[r] >= g.hi[r]) {
            g.lo[r] = g.hi[r]; /* nothing here */
            continue;
        }
        if (g.lo[r] < g.from) g.from = g.lo[r];
        if (g.hi[r] > g.to) g.to = g.hi[r];
    }
    return g;
}

/* Values in segments in which the same rows take part. As first and last never decrease from row to
 * row, these are neighbours. */
V_FN void att_all_values(const struct ig_attend *j, const float *t, uint32_t chunk,
                         const struct att_range *g, float *const *sum, enum ig_cache_type type) {
    for (uint32_t p = g->from, end; p < g->to; p = end) {
        uint32_t a = 0, b = 0;
        end = g->to;
        for (uint32_t r = 0; r < j->n; r++) {
            if (g->lo[r] > p && g->lo[r] < end) end = g->lo[r];
            if (g->hi[r] > p && g->hi[r] < end) end = g->hi[r];
        }
        while (a < j->n && g->hi[a] <= p) a++;
        for (b = a; b < j->n && g->lo[b] <= p && g->hi[b] > p;) b++;
        att_segment(j, t, chunk, p, end, a, b, sum, type);
    }
}

V_FN void att_chunk(const struct ig_attend *j, uint32_t chunk, enum ig_cache_type type) {
    float *t = j->scratch + ((size_t)j->layer->head_k + 4) * ATT_ROWS, *sum[ATT_ROWS];
    struct att_range g = att_ranges(j, chunk);
    att_scores(j, chunk, g.from / (2 * IG_CACHE_PANEL) * (2 * IG_CACHE_PANEL), g.to, t, type);
    for (uint32_t r = 0; r < j->n; r++) {
        float *part = j->rows[r].part;
        sum[r] = part + IG_ATTEND_PART;
        if (g.lo[r] >= g.hi[r]) continue;
        struct att_state s =
            att_weights(j, r, chunk, t + r * ATT_STRIDE, g.lo[r], g.hi[r]);
        part[0] = s.m;
        part[1] = s.l;
        memset(sum[r], 0, j->layer->v_stride * sizeof *sum[r]);
    }
    att_all_values(j, t, chunk, &g, sum, type);
}

static void attend_chunk(const struct ig_attend *j, uint32_t chunk) {
    if (j->cache->type == IG_CACHE_F16)
        att_chunk(j, chunk, IG_CACHE_F16);
    else if (j->cache->type == IG_CACHE_F32)
        att_chunk(j, chunk, IG_CACHE_F32);
    else
        att_chunk(j, chunk, IG_CACHE_Q8);
}

static void attend_queries(const struct ig_attend *j) {
    for (uint32_t r = 0; r < j->n; r++) {
        if (j->cache->type == IG_CACHE_Q8) att_query_q8(j, r);
        else
            for (uint32_t d = 0; d < j->layer->head_k; d++)
                j->scratch[d * ATT_ROWS + r] = j->rows[r].q[d];
    }
}

/* ---- Chunks together ---- */

/* 2^(a - b) for whole a <= b; 0 when it would be denormal */
V_FN float att_shift(float a, float b) {
    float e = a - b;
    if (!(e >= -126.0f)) return 0.0f; /* also for NaN */
    uint32_t bits = (uint32_t)((int32_t)e + 127) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void attend_merge(float *out, uint32_t n, float state[2], const float *part) {
    float m = part[0] > state[0] ? part[0] : state[0];
    float keep = att_shift(state[0], m), take = att_shift(part[0], m);
    for (uint32_t d = 0; d < n; d += 16) {
        v16 old = v_mul(v_load_n(out + d, n - d), v_set1(keep));
        v16 sum = v_fma(v_load(part + IG_ATTEND_PART + d), v_set1(take), old);
        v_store_n(out + d, sum, n - d);
    }
    state[0] = m;
    state[1] = fmaf(part[1], take, state[1] * keep);
}

static void attend_finish(float *out, uint32_t n, const float state[2], const float *sink) {
    float l = state[1], keep = 1.0f;
    if (sink) { /* a key that takes weight and gives no value */
        float t[16] = {*sink * 0x1.715476p+0f}, p[16];
        v16 x = v_load(t), whole = v_floor(x);
        v_store(p, v_exp2_fraction(v_sub(x, whole)));
        v_store(t, whole);
        float m = t[0] > state[0] ? t[0] : state[0];
        keep = att_shift(state[0], m);
        l = fmaf(p[0], att_shift(t[0], m), l * keep);
    }
    for (uint32_t d = 0; d < n; d += 16)
        v_store_n(out + d, v_div(v_mul(v_load_n(out + d, n - d), v_set1(keep)), v_set1(l)), n - d);
}
