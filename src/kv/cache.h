/* The cache of keys and values of one timeline, in blocks of 64 positions.
 *
 * Within a block, for each layer and kv head:   K  [4 panels][head_k][16 positions]   so that one
 * vector holds 16 positions V  [64 positions][v_stride]           v_stride = head_v rounded up to
 * 16 Element types: f32, f16, or q8 (int8 with an f32 scale for each position and head, K and V
 * apart).
 * A q8 key's panel is [head_k / 4][16 positions][4], so that four dims of a position meet in one
 * integer dot; k_stride is head_k rounded up to 4 there, and the dims behind head_k are 0.
 *
 * Layers that see all positions share one table of blocks; layers with a window share, per window,
 * a ring that is just long enough for the window and the largest pass. Blocks are allocated when
 * first written and never cleared. Not thread safe. */
#ifndef IG_CACHE_H
#define IG_CACHE_H

#include "base/mem.h"
#include "base/status.h"

enum { IG_CACHE_BLOCK = 64, IG_CACHE_PANEL = 16 };
enum ig_cache_type { IG_CACHE_F16, IG_CACHE_F32, IG_CACHE_Q8 };

struct ig_cache_want { /* what a layer needs */
    uint32_t n_head_kv, head_k, head_v;
    uint32_t window; /* 0 = all positions */
    uint32_t source; /* layer whose cache is used; its own index if it has one */
};

struct ig_cache_layer {
    uint32_t group, n_head_kv, head_k, head_v, k_stride, v_stride;
    size_t k_at, v_at;             /* offsets in a block */
    size_t k_head, v_head;         /* bytes of one head */
    size_t k_scale_at, v_scale_at; /* q8: [n_head_kv][64] f32 */
};

struct ig_cache_group {
    uint32_t window;  /* 0: full */
    uint32_t n_slots; /* table length: all blocks of the context, or the ring */
    size_t block_bytes;
    uint8_t **slots; /* NULL until needed */
};

/* A copy of some layers on a device, made by its executor, which keeps more behind these members.
 * A cache has at most one of each owner. */
struct ig_cache_mirror {
    struct ig_cache_mirror *next;
    const void *owner; /* the weights on the device that it goes with */
    uint32_t n;        /* positions [0, n) are what the cache holds */
    void (*close)(struct ig_cache_mirror *m);
};

struct ig_cache {
    struct ig_mem *mem;
    enum ig_cache_type type;
    uint32_t n_layers, n_groups, context;
    struct ig_cache_layer *layers;
    struct ig_cache_group *groups;
    uint32_t n;    /* positions held */
    uint32_t high; /* most positions ever held since empty: what a ring may have overwritten */
    uint32_t low;  /* rings hold nothing below (a loaded timeline brings only its windows) */
    struct ig_cache_mirror *mirrors; /* freed by ig_cache_close */
};

ingle_status ig_cache_open(struct ig_cache *c, struct ig_mem *mem, const struct ig_cache_want *want,
                           uint32_t n_layers, enum ig_cache_type type, uint32_t context,
                           uint32_t batch, ingle_error *err);
void ig_cache_close(struct ig_cache *c);
/* Makes room for positions up to `end` (exclusive). */
ingle_status ig_cache_reserve(struct ig_cache *c, uint32_t end, ingle_error *err);
/* The first n positions stay, if the rings still hold what they need; otherwise nothing does.
 * Returns how many stay. */
uint32_t ig_cache_keep(struct ig_cache *c, uint32_t n);
/* Positions [c->n, end) have been written. */
void ig_cache_advance(struct ig_cache *c, uint32_t end);
/* Positions from `n` on are to be written, or were, by others than the executors of the mirrors. */
void ig_cache_mirrors_keep(struct ig_cache *c, uint32_t n);
/* First position of group g that a timeline of c->n positions can still need. */
uint32_t ig_cache_first(const struct ig_cache *c, const struct ig_cache_group *g);
size_t ig_cache_bytes(const struct ig_cache *c);

static inline uint8_t *ig_cache_block(const struct ig_cache *c, const struct ig_cache_layer *l,
                                      uint32_t position) {
    const struct ig_cache_group *g = &c->groups[l->group];
    uint32_t b = position / IG_CACHE_BLOCK;
    return g->slots[g->window ? b % g->n_slots : b];
}
static inline size_t ig_cache_element(enum ig_cache_type t) {
    return t == IG_CACHE_F32 ? 4 : t == IG_CACHE_F16 ? 2 : 1;
}
/* Version of the layout of a type's blocks, for files. */
static inline uint32_t ig_cache_layout(enum ig_cache_type t) {
    return t == IG_CACHE_Q8; /* 0: keys were [head_k][16 positions] */
}

#endif
