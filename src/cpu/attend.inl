/* Attention of one query token over the cache, included by each instruction set's file after v16.h.
 *
 * Work is in base 2: t = score * log2(e) = n + f with whole n, so that weights are 2^f * 2^(n - m) with a whole running
 * maximum m, and rescaling is exact. Positions are taken in fixed chunks of 256 counted from position 0; within a chunk the
 * weights are summed in 16 lanes (lane = position mod 16) and values accumulate position by position; chunks are merged in
 * order. So neither the split of the prompt nor what else is in the batch changes a bit. */

enum { ATT_CHUNK = 256, ATT_HEADS = 4, ATT_WIDE = 4 };

V_FN v16 att_load(const uint8_t *p, size_t i, enum ig_cache_type type) {
    if (type == IG_CACHE_F32) return v_load((const float *)(const void *)p + i);
    if (type == IG_CACHE_F16) return v_load_f16((const uint16_t *)(const void *)p + i);
    return v_load_i8((const int8_t *)p + i);
}

struct att_state {
    float m, l;   /* running maximum (whole), sum of weights */
};

/* Scores of one panel of 16 positions for up to ATT_HEADS heads, as base-2 exponents. */
V_FN void att_panel(const struct ig_attend *j, const uint8_t *block, uint32_t panel, uint32_t h0, uint32_t nh, float (*t)[ATT_CHUNK],
                    uint32_t at, enum ig_cache_type type) {
    const struct ig_cache_layer *l = j->layer;
    const uint8_t *k = block + l->k_at + l->k_head * j->kv_head;
    size_t base = (size_t)panel * l->head_k * IG_CACHE_PANEL;
    const float *q = j->q + (size_t)h0 * l->head_k;
    v16 acc[ATT_HEADS];
    V_EACH_OF(h, nh) acc[h] = v_zero();
    for (uint32_t d = 0; d < l->head_k; d++) {
        v16 kd = att_load(k, base + (size_t)d * IG_CACHE_PANEL, type);
        V_EACH_OF(h, nh) acc[h] = v_fma(v_set1(q[h * l->head_k + d]), kd, acc[h]);
    }
    V_EACH_OF(h, nh) {
        v16 s = acc[h];
        if (type == IG_CACHE_Q8) {
            const float *scale = (const float *)(const void *)(block + l->k_scale_at) + j->kv_head * IG_CACHE_BLOCK;
            s = v_mul(s, v_load(scale + panel * IG_CACHE_PANEL));
        }
        s = v_mul(s, v_set1(j->scale));
        if (j->softcap > 0) s = v_mul(v_set1(j->softcap), v_tanh(v_div(s, v_set1(j->softcap))));
        v_store(t[h] + at, v_mul(s, v_set1(0x1.715476p+0f)));
    }
}

/* Exponents t[0..n) -> weights, in place; positions outside [lo, hi) get 0. Returns the chunk's maximum and sum. */
V_FN struct att_state att_weights(float *t, uint32_t n, uint32_t lo, uint32_t hi, float slope, float distance) {
    v16 most = v_set1(-1e30f), sum = v_zero();
    for (uint32_t i = 0; i < n; i += 16) {
        float lanes[16];
        v16 x = v_load(t + i);
        if (slope > 0) { /* ALiBi: -slope * (query position - key position), exact differences */
            for (int c = 0; c < 16; c++) lanes[c] = distance + (float)i + (float)c;
            x = v_fma(v_load(lanes), v_set1(slope), x);
            v_store(t + i, x);
        }
        if (i < lo || i + 16 > hi) {
            v_store(lanes, x);
            for (uint32_t c = 0; c < 16; c++)
                if (i + c < lo || i + c >= hi) lanes[c] = -1e30f;
            x = v_load(lanes);
            v_store(t + i, x);
        }
        most = v_max(v_floor(x), most);
    }
    float m = -1e30f, lanes[16];
    v_store(lanes, most);
    for (int c = 0; c < 16; c++) m = lanes[c] > m ? lanes[c] : m;
    for (uint32_t i = 0; i < n; i += 16) {
        v16 x = v_load(t + i), whole = v_floor(x);
        v16 e = v_max(v_sub(whole, v_set1(m)), v_set1(-127.0f));
        v16 p = v_mul(v_exp2_fraction(v_sub(x, whole)), v_pow2(e));
        v_store(t + i, p);
        sum = v_add(sum, p);
    }
    return (struct att_state){m, v_sum(sum)};
}

/* 2^(a - b) for whole a <= b; 0 when it would be denormal */
V_FN float att_shift(float a, float b) {
    float e = a - b;
    if (!(e >= -126.0f)) return 0.0f; /* also for NaN */
    uint32_t bits = (uint32_t)((int32_t)e + 127) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* out[d..d + 16 nv) = out * keep + (sum over positions of weight * V) * take; nv is constant */
V_FN void att_values(const struct ig_attend *j, const float *w, uint32_t chunk, uint32_t lo, uint32_t hi, float *out, uint32_t d,
                     uint32_t nv, float keep, float take, enum ig_cache_type type) {
    const struct ig_cache_layer *l = j->layer;
    v16 acc[ATT_WIDE];
    V_EACH_OF(i, nv) acc[i] = v_zero();
    for (uint32_t p = lo; p < hi;) {
        uint32_t position = chunk + p, in = position % IG_CACHE_BLOCK;
        uint32_t end = p + (IG_CACHE_BLOCK - in) < hi ? p + (IG_CACHE_BLOCK - in) : hi;
        const uint8_t *block = ig_cache_block(j->cache, l, position), *v = block + l->v_at + l->v_head * j->kv_head;
        const float *scale = type == IG_CACHE_Q8 ? (const float *)(const void *)(block + l->v_scale_at) + j->kv_head * IG_CACHE_BLOCK : NULL;
        for (; p < end; p++, in++) {
            v16 weight = v_set1(type == IG_CACHE_Q8 ? w[p] * scale[in] : w[p]);
            size_t row = (size_t)in * l->v_stride + d;
            V_EACH_OF(i, nv) acc[i] = v_fma(weight, att_load(v, row + i * 16, type), acc[i]);
        }
    }
    V_EACH_OF(i, nv) {
        uint32_t at = d + i * 16, n = l->head_v - at;
        v16 old = v_mul(v_load_n(out + at, n), v_set1(keep));
        v_store_n(out + at, v_fma(acc[i], v_set1(take), old), n);
    }
}

V_FN void att_chunk(const struct ig_attend *j, uint32_t chunk, uint32_t h0, uint32_t nh, struct att_state *state, enum ig_cache_type type) {
    float t[ATT_HEADS][ATT_CHUNK];
    uint32_t lo = j->first > chunk ? j->first - chunk : 0;
    uint32_t hi = j->last - chunk + 1 < ATT_CHUNK ? j->last - chunk + 1 : ATT_CHUNK;
    uint32_t from = lo / IG_CACHE_PANEL * IG_CACHE_PANEL;
    for (uint32_t p = from; p < hi; p += IG_CACHE_PANEL) {
        uint32_t position = chunk + p;
        const uint8_t *block = ig_cache_block(j->cache, j->layer, position);
        uint32_t panel = position % IG_CACHE_BLOCK / IG_CACHE_PANEL;
#ifdef V16_SCALAR
        att_panel(j, block, panel, h0, nh, t, p, type);
#else /* constant numbers of heads keep the sums in registers */
        if (nh == 4) att_panel(j, block, panel, h0, 4, t, p, type);
        else if (nh == 3) att_panel(j, block, panel, h0, 3, t, p, type);
        else if (nh == 2) att_panel(j, block, panel, h0, 2, t, p, type);
        else att_panel(j, block, panel, h0, 1, t, p, type);
#endif
    }
    for (uint32_t h = 0; h < nh; h++) {
        float slope = j->slopes ? j->slopes[h0 + h] * 0x1.715476p+0f : 0.0f;
        uint32_t n = (hi - from + 15) / 16 * 16;
        struct att_state c = att_weights(t[h] + from, n, lo - from, hi - from, slope,
                                         (float)((int32_t)(chunk + from) - (int32_t)j->position));
        float m = c.m > state[h].m ? c.m : state[h].m;
        float keep = att_shift(state[h].m, m), take = att_shift(c.m, m);
        float *out = j->out + (size_t)(h0 + h) * j->layer->head_v;
        uint32_t d = 0, wide = 16 * ATT_WIDE;
        for (; d + wide <= j->layer->v_stride; d += wide)
            att_values(j, t[h], chunk, lo, hi, out, d, ATT_WIDE, keep, take, type);
        for (; d < j->layer->head_v; d += 16) att_values(j, t[h], chunk, lo, hi, out, d, 1, keep, take, type);
        state[h] = (struct att_state){m, fmaf(c.l, take, state[h].l * keep)};
    }
}

V_FN void att_finish(const struct ig_attend *j, uint32_t h, struct att_state s) {
    float *out = j->out + (size_t)h * j->layer->head_v, l = s.l, keep = 1.0f;
    if (j->sinks) { /* a key that takes weight and gives no value */
        float t[16] = {j->sinks[h] * 0x1.715476p+0f}, p[16];
        v16 x = v_load(t), whole = v_floor(x);
        v_store(p, v_exp2_fraction(v_sub(x, whole)));
        v_store(t, whole);
        float m = t[0] > s.m ? t[0] : s.m;
        keep = att_shift(s.m, m);
        l = fmaf(p[0], att_shift(t[0], m), l * keep);
    }
    for (uint32_t d = 0; d < j->layer->head_v; d += 16) {
        uint32_t n = j->layer->head_v - d;
        v_store_n(out + d, v_div(v_mul(v_load_n(out + d, n), v_set1(keep)), v_set1(l)), n);
    }
}

V_FN void att_all(const struct ig_attend *j, enum ig_cache_type type) {
    memset(j->out, 0, (size_t)j->n_q * j->layer->head_v * sizeof *j->out);
    for (uint32_t h0 = 0; h0 < j->n_q; h0 += ATT_HEADS) {
        uint32_t nh = j->n_q - h0 < ATT_HEADS ? j->n_q - h0 : ATT_HEADS;
        struct att_state state[ATT_HEADS];
        for (uint32_t h = 0; h < ATT_HEADS; h++) state[h] = (struct att_state){-1e30f, 0.0f};
        for (uint32_t c = j->first / ATT_CHUNK * ATT_CHUNK; c <= j->last; c += ATT_CHUNK) att_chunk(j, c, h0, nh, state, type);
        for (uint32_t h = 0; h < nh; h++) att_finish(j, h0 + h, state[h]);
    }
}

static void attend(const struct ig_attend *j) {
    if (j->cache->type == IG_CACHE_F16) att_all(j, IG_CACHE_F16);
    else if (j->cache->type == IG_CACHE_F32) att_all(j, IG_CACHE_F32);
    else att_all(j, IG_CACHE_Q8);
}
