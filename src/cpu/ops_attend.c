/* Writing keys and values into the cache, and attention over it. */
#include "cpu/exec.h"

#include <math.h>

enum { MAX_HEAD = 1024 }; /* arch/hparams.c refuses more */

static float quantize_head(const float *x, uint32_t n, int8_t *q) {
    float amax = 0;
    for (uint32_t i = 0; i < n; i++) amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    float inverse = amax > 0 ? 127.0f / amax : 0.0f;
    if (!(inverse <= 3e38f)) inverse = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        float v = rintf(x[i] * inverse);
        q[i] = (int8_t)(v > 127.0f ? 127.0f : v >= -127.0f ? v : -127.0f);
    }
    return inverse > 0 ? amax * (1.0f / 127.0f) : 0.0f;
}

/* `n` values of one head to `to`, element i at i * step. Returns the scale of a q8 row. */
static float store_head(const struct ig_cpu *c, enum ig_cache_type type, uint8_t *to, size_t step,
                        const float *x, uint32_t n) {
    float scale = 0;
    if (type == IG_CACHE_F32) {
        for (uint32_t i = 0; i < n; i++) memcpy(to + i * step * 4, x + i, 4);
    } else if (type == IG_CACHE_F16) {
        uint16_t h[MAX_HEAD];
        c->k->to_f16(h, x, n);
        for (uint32_t i = 0; i < n; i++) memcpy(to + i * step * 2, h + i, 2);
    } else {
        int8_t q[MAX_HEAD];
        scale = quantize_head(x, n, q);
        for (uint32_t i = 0; i < n; i++) to[i * step] = (uint8_t)q[i];
    }
    return scale;
}

void ig_op_kv_put(struct ig_cpu *c, const struct ig_op *op, uint32_t t, bool values, uint32_t head,
                  uint32_t n, const float *x) {
    const struct ig_pass_token *token = &c->pass.tokens[t];
    const struct ig_cache *cache = token->cache;
    const struct ig_cache_layer *l = &cache->layers[op->layer];
    uint8_t *block = ig_cache_block(cache, l, token->position);
    uint32_t in = token->position % IG_CACHE_BLOCK, width = values ? l->head_v : l->head_k;
    size_t element = ig_cache_element(cache->type),
           panel = (size_t)(in / IG_CACHE_PANEL) * l->head_k * IG_CACHE_PANEL + in % IG_CACHE_PANEL;
    for (uint32_t h = head; h < head + n; h++, x += width) {
        uint8_t *k = block + l->k_at + l->k_head * h + panel * element,
                *v = block + l->v_at + l->v_head * h + (size_t)in * l->v_stride * element;
        float scale =
            store_head(c, cache->type, values ? v : k, values ? 1 : IG_CACHE_PANEL, x, width);
        if (cache->type == IG_CACHE_Q8)
            memcpy(block + (values ? l->v_scale_at : l->k_scale_at) +
                       (h * IG_CACHE_BLOCK + in) * sizeof scale,
                   &scale, sizeof scale);
    }
}

static uint32_t first_visible(const struct ig_hparams *hp, const struct ig_layer_params *l,
                              uint32_t position) {
    if (!l->window) return 0;
    if (hp->row->chunked) return position / l->window * l->window;
    return position + 1 > l->window ? position + 1 - l->window : 0;
}

void ig_op_attend(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    const struct ig_hparams *hp = c->plan->hp;
    const struct ig_layer_params *l = &hp->layer[op->layer];
    uint32_t group = l->n_head / l->n_head_kv, unit;
    double scale = hp->attn_scale > 0 ? hp->attn_scale : 1.0 / sqrt((double)l->head_k);
    bool own = (ig_own(c, op) & IG_OWN_A) != 0;
    while (ig_take(c, thread, c->pass.n * l->n_head_kv, &unit)) {
        uint32_t t = unit / l->n_head_kv, kv = unit % l->n_head_kv, head = kv * group;
        const struct ig_pass_token *token = &c->pass.tokens[t];
        struct ig_attend j = {.cache = token->cache,
                              .layer = &token->cache->layers[op->layer],
                              .kv_head = kv,
                              .n_q = group};
        j.q = ig_row_of(c, thread, own, op->a, t) + (size_t)head * l->head_k;
        j.out = ig_row(c, op->dst, t) + (size_t)head * l->head_v;
        j.first = first_visible(hp, l, token->position);
        j.last = j.position = token->position;
        j.scale = (float)scale;
        j.softcap = (float)hp->attn_softcap;
        j.slopes = c->slopes ? c->slopes + head : NULL;
        j.sinks = op->w[0] && op->w[0]->vec ? op->w[0]->vec + head : NULL;
        c->k->attend(&j);
    }
}
