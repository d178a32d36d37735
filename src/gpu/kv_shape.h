/* How keys and values lie on a device, for host code: what args.h says in words. Knows the host's
 * cache and nothing of devices. */
#ifndef IG_KV_SHAPE_H
#define IG_KV_SHAPE_H

#include "gpu/host_types.h"

#include "gpu/args.h"
#include "kv/cache.h"

/* `ring` is a multiple of IG_KV_BLOCK, or 0. */
struct ig_kv_shape ig_kv_shape_of(const struct ig_cache *cache, const struct ig_cache_layer *layer,
                                  uint32_t ring);
/* Bytes of a buffer for positions [0, n), or for the whole ring. */
uint64_t ig_kv_bytes(const struct ig_kv_shape *s, uint32_t n);
/* One position of the host's cache as a row of s->row bytes, as kv_load takes it. */
void ig_kv_row(const struct ig_cache *cache, const struct ig_cache_layer *layer,
               const struct ig_kv_shape *s, uint32_t position, uint8_t *out);

#endif
