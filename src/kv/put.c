/* The one place that knows where an element lies in a block: keys in panels of 16 positions, values
 * position by position (cache.h draws it). Knows no executor; the rounding to halves comes from
 * outside because only processors' own instructions make it cheap. The subtle thing is q8: a head's
 * scale is 1/127 of its largest element, multiplied and not divided, as everywhere in ingle. */
#include "kv/put.h"

#include <math.h>
#include <string.h>

#include "quant/quant.h"

struct place { /* the first element of a head's key and value */
    uint8_t *k, *v;
};

static struct place find(const struct ig_cache *c, const struct ig_cache_layer *l,
                         uint32_t position, uint32_t head) {
    uint8_t *block = ig_cache_block(c, l, position);
    uint32_t in = position % IG_CACHE_BLOCK;
    size_t element = ig_cache_element(c->type),
           lane = in % IG_CACHE_PANEL * (c->type == IG_CACHE_Q8 ? 4u : 1u),
           key = (size_t)(in / IG_CACHE_PANEL) * l->k_stride * IG_CACHE_PANEL + lane;
    return (struct place){block + l->k_at + l->k_head * head + key * element,
                          block + l->v_at + l->v_head * head + (size_t)in * l->v_stride * element};
}

/* From the first dim of a q8 key to dim i. */
static size_t q8_at(uint32_t i) {
    return (size_t)(i / 4) * IG_CACHE_PANEL * 4 + i % 4;
}

static uint8_t *scale_at(const struct ig_cache *c, const struct ig_cache_layer *l,
                         uint32_t position, uint32_t head, bool values) {
    return ig_cache_block(c, l, position) + (values ? l->v_scale_at : l->k_scale_at) +
           (head * IG_CACHE_BLOCK + position % IG_CACHE_BLOCK) * sizeof(float);
}

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

static float store_q8(bool values, uint8_t *to, const float *x, uint32_t n) {
    int8_t q[IG_KV_MAX_HEAD];
    float scale = quantize_head(x, n, q);
    for (uint32_t i = 0; !values && i < n; i++) to[q8_at(i)] = (uint8_t)q[i];
    if (values) memcpy(to, q, n);
    return scale;
}

/* `n` floats to `to`, element i at i * step, as f32 or f16 */
static void store_head(enum ig_cache_type type, uint8_t *to, size_t step, const float *x,
                       uint32_t n, ig_kv_to_f16 to_f16) {
    uint16_t h[IG_KV_MAX_HEAD];
    if (type == IG_CACHE_F32) {
        for (uint32_t i = 0; i < n; i++) memcpy(to + i * step * 4, x + i, 4);
    } else if (step == 1) {
        to_f16((uint16_t *)(void *)to, x, n);
    } else {
        to_f16(h, x, n);
        for (uint32_t i = 0; i < n; i++) memcpy(to + i * step * 2, h + i, 2);
    }
}

void ig_kv_put(const struct ig_cache *c, const struct ig_cache_layer *l, uint32_t position,
               bool values, uint32_t head, uint32_t n, const float *x, ig_kv_to_f16 to_f16) {
    uint32_t width = values ? l->head_v : l->head_k;
    for (uint32_t h = head; h < head + n; h++, x += width) {
        struct place p = find(c, l, position, h);
        if (c->type != IG_CACHE_Q8) {
            store_head(c->type, values ? p.v : p.k, values ? 1 : IG_CACHE_PANEL, x, width, to_f16);
            continue;
        }
        float scale = store_q8(values, values ? p.v : p.k, x, width);
        memcpy(scale_at(c, l, position, h, values), &scale, sizeof scale);
    }
}

void ig_kv_to_f16_plain(uint16_t *dst, const float *a, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) dst[i] = ig_f32_to_f16(a[i]);
}
