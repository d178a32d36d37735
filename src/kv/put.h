/* One position's keys and values into a cache. Every executor
 * writes through here, so that a timeline holds the same bytes whoever computed it. */
#ifndef IG_KV_PUT_H
#define IG_KV_PUT_H

#include "kv/cache.h"

enum { IG_KV_MAX_HEAD = 1024 }; /* arch/hparams.c refuses more */

/* Rounds n floats to halves, to nearest even; whoever has instructions for it brings them. */
typedef void (*ig_kv_to_f16)(uint16_t *dst, const float *a, uint32_t n);
void ig_kv_to_f16_plain(uint16_t *dst, const float *a, uint32_t n);

/* x [n][head_k], or head_v if `values`: heads [head, head + n) of `position`. There is room for it.
 */
void ig_kv_put(const struct ig_cache *c, const struct ig_cache_layer *l, uint32_t position,
               bool values, uint32_t head, uint32_t n, const float *x, ig_kv_to_f16 to_f16);

#endif
