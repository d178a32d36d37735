/* Rows of the host's cache in the form in which they go to a device. The host keeps keys in panels
 * of 16 positions (kv/cache.h); a row has the dims of one position side by side. */
#include "gpu/kv_shape.h"

#include <string.h>

static uint32_t up16(uint32_t n) {
    return (n + 15) / 16 * 16;
}

struct ig_kv_shape ig_kv_shape_of(const struct ig_cache *cache, const struct ig_cache_layer *layer,
                                  uint32_t ring) {
    uint32_t element = (uint32_t)ig_cache_element(cache->type), n = layer->n_head_kv;
    struct ig_kv_shape s = {.type = (uint32_t)cache->type,
                            .n_kv = n,
                            .head_k = layer->head_k,
                            .head_v = layer->head_v,
                            .ring = ring};
    s.v_at = n * up16(layer->head_k * element);
    s.ks_at = s.v_at + n * up16(layer->head_v * element);
    s.vs_at = s.ks_at + (cache->type == IG_CACHE_Q8 ? n * 4 : 0);
    s.row = up16(s.vs_at + (cache->type == IG_CACHE_Q8 ? n * 4 : 0));
    return s;
}

uint64_t ig_kv_bytes(const struct ig_kv_shape *s, uint32_t n) {
    if (s->ring && n > s->ring) n = s->ring;
    return (uint64_t)((n + IG_KV_BLOCK - 1) / IG_KV_BLOCK) * IG_KV_BLOCK * s->row;
}

/* Dims of one position lie `together` at a time, then come those of the panel's other positions. */
static void keys(uint8_t *out, const uint8_t *panel, uint32_t lane, uint32_t dims, size_t element,
                 uint32_t together) {
    size_t run = element * together, step = run * IG_CACHE_PANEL, left = element * dims;
    for (panel += lane * run; left; out += run, panel += step) {
        size_t n = left < run ? left : run;
        memcpy(out, panel, n);
        left -= n;
    }
}

void ig_kv_row(const struct ig_cache *cache, const struct ig_cache_layer *layer,
               const struct ig_kv_shape *s, uint32_t position, uint8_t *out) {
    const uint8_t *block = ig_cache_block(cache, layer, position);
    uint32_t in = position % IG_CACHE_BLOCK, n = s->n_kv;
    size_t element = ig_cache_element(cache->type);
    size_t panel = (size_t)(in / IG_CACHE_PANEL) * layer->k_stride * IG_CACHE_PANEL * element;
    bool q8 = cache->type == IG_CACHE_Q8;
    memset(out, 0, s->row);
    for (uint32_t h = 0; h < n; h++) {
        keys(out + h * (s->v_at / n), block + layer->k_at + layer->k_head * h + panel,
             in % IG_CACHE_PANEL, s->head_k, element, q8 ? 4 : 1);
        memcpy(out + s->v_at + h * ((s->ks_at - s->v_at) / n),
               block + layer->v_at + layer->v_head * h + in * layer->v_stride * element,
               s->head_v * element);
        if (!q8) continue;
        size_t scale = (h * IG_CACHE_BLOCK + in) * sizeof(float);
        memcpy(out + s->ks_at + h * sizeof(float), block + layer->k_scale_at + scale,
               sizeof(float));
        memcpy(out + s->vs_at + h * sizeof(float), block + layer->v_scale_at + scale,
               sizeof(float));
    }
}
