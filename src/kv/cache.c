/* Block tables and rings. The subtle thing is going back: a ring forgets, so a timeline can only be
 * cut to a length whose window is still whole; ig_cache_keep says so by answering 0. */
#include "kv/cache.h"
#include "os/os.h"

#include <string.h>

enum { HUGE = 1 << 20, TOGETHER = 64 }; /* smaller blocks gain nothing from huge pages */

static size_t up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static uint32_t find_group(struct ig_cache *c, uint32_t window, uint32_t batch) {
    for (uint32_t i = 0; i < c->n_groups; i++)
        if (c->groups[i].window == window) return i;
    struct ig_cache_group *g = &c->groups[c->n_groups];
    uint32_t all = (c->context + IG_CACHE_BLOCK - 1) / IG_CACHE_BLOCK;
    uint64_t ring = ((uint64_t)window + batch + IG_CACHE_BLOCK - 1) / IG_CACHE_BLOCK + 1;
    *g = (struct ig_cache_group){.window = window, .n_slots = all};
    if (window && ring < all) g->n_slots = (uint32_t)ring;
    return c->n_groups++;
}

static void lay_out(struct ig_cache *c, struct ig_cache_layer *l, const struct ig_cache_want *w,
                    uint32_t group) {
    struct ig_cache_group *g = &c->groups[group];
    size_t element = ig_cache_element(c->type);
    *l = (struct ig_cache_layer){
        .group = group, .n_head_kv = w->n_head_kv, .head_k = w->head_k, .head_v = w->head_v};
    l->k_stride = c->type == IG_CACHE_Q8 ? (uint32_t)up(w->head_k, 4) : w->head_k;
    l->v_stride = (uint32_t)up(w->head_v, 16);
    l->k_head = (size_t)l->k_stride * IG_CACHE_BLOCK * element;
    l->v_head = (size_t)l->v_stride * IG_CACHE_BLOCK * element;
    l->k_at = g->block_bytes;
    l->v_at = l->k_at + up(l->k_head * w->n_head_kv, 64);
    g->block_bytes = l->v_at + up(l->v_head * w->n_head_kv, 64);
    if (c->type != IG_CACHE_Q8) return;
    size_t scales = up((size_t)w->n_head_kv * IG_CACHE_BLOCK * sizeof(float), 64);
    l->k_scale_at = g->block_bytes;
    l->v_scale_at = l->k_scale_at + scales;
    g->block_bytes = l->v_scale_at + scales;
}

ingle_status ig_cache_open(struct ig_cache *c, struct ig_mem *mem, const struct ig_cache_want *want,
                           uint32_t n_layers, enum ig_cache_type type, uint32_t context,
                           uint32_t batch, ingle_error *err) {
    *c = (struct ig_cache){.mem = mem, .type = type, .n_layers = n_layers, .context = context};
    c->layers = ig_calloc(mem, n_layers, sizeof *c->layers);
    c->groups = ig_calloc(mem, n_layers, sizeof *c->groups);
    if (!c->layers || !c->groups) {
        ig_cache_close(c);
        return ig_fail_memory(err, n_layers * sizeof *c->layers);
    }
    for (uint32_t i = 0; i < n_layers; i++) {
        if (want[i].source == i)
            lay_out(c, &c->layers[i], &want[i], find_group(c, want[i].window, batch));
        else
            c->layers[i] = c->layers[want[i].source];
    }
    for (uint32_t i = 0; i < c->n_groups; i++) {
        struct ig_cache_group *g = &c->groups[i];
        g->slots = ig_calloc(mem, g->n_slots, sizeof *g->slots);
        if (!g->slots) {
            size_t bytes = g->n_slots * sizeof *g->slots;
            ig_cache_close(c);
            return ig_fail_memory(err, bytes);
        }
    }
    return INGLE_OK;
}

void ig_cache_mirrors_keep(struct ig_cache *c, uint32_t n) {
    for (struct ig_cache_mirror *m = c->mirrors; m; m = m->next)
        if (m->n > n) m->n = n;
}

void ig_cache_close(struct ig_cache *c) {
    for (struct ig_cache_mirror *m = c->mirrors, *next; m; m = next) {
        next = m->next;
        m->close(m);
    }
    for (uint32_t i = 0; c->groups && i < c->n_groups; i++) {
        for (uint32_t j = 0; c->groups[i].slots && j < c->groups[i].n_slots; j++)
            ig_free(c->mem, c->groups[i].slots[j]);
        ig_free(c->mem, c->groups[i].slots);
    }
    ig_free(c->mem, c->groups);
    ig_free(c->mem, c->layers);
    *c = (struct ig_cache){0};
}

/* Kernels read whole panels: what lies behind the last position must be finite numbers. All blocks
 * are there before the first is touched, because a huge page mostly reaches into two. */
static void clear(uint8_t *const *fresh, uint32_t n, size_t bytes) {
    for (uint32_t i = 0; i < n && bytes >= HUGE; i++) ig_os_huge_pages(fresh[i], bytes);
    for (uint32_t i = 0; i < n; i++) memset(fresh[i], 0, bytes);
}

static ingle_status reserve_group(struct ig_cache *c, struct ig_cache_group *g, uint32_t end,
                                  ingle_error *err) {
    uint32_t blocks = (end + IG_CACHE_BLOCK - 1) / IG_CACHE_BLOCK, n = 0;
    uint8_t *fresh[TOGETHER] = {0};
    bool failed = false;
    for (uint32_t i = c->n / IG_CACHE_BLOCK; i < blocks && !failed; i++) {
        uint8_t **slot = &g->slots[i % g->n_slots];
        if (*slot) continue;
        *slot = ig_alloc(c->mem, g->block_bytes);
        failed = !*slot;
        if (!failed) fresh[n++] = *slot;
        if (n < TOGETHER) continue;
        clear(fresh, n, g->block_bytes);
        n = 0;
    }
    clear(fresh, n, g->block_bytes);
    return failed ? ig_fail_memory(err, g->block_bytes) : INGLE_OK;
}

ingle_status ig_cache_reserve(struct ig_cache *c, uint32_t end, ingle_error *err) {
    if (end > c->context)
        return ig_fail(err, INGLE_LIMIT,
                       "start over, shorten the text, or raise the context size (-c)",
                       "the context of %u tokens is full", c->context);
    for (uint32_t i = 0; i < c->n_groups; i++) IG_TRY(reserve_group(c, &c->groups[i], end, err));
    if (end > c->high) c->high = end; /* even a pass that fails may have overwritten a ring */
    return INGLE_OK;
}

uint32_t ig_cache_first(const struct ig_cache *c, const struct ig_cache_group *g) {
    return g->window && c->n > g->window ? c->n - g->window : 0;
}

uint32_t ig_cache_keep(struct ig_cache *c, uint32_t n) {
    if (n >= c->n) return c->n;
    c->n = n;
    for (uint32_t i = 0; i < c->n_groups; i++) {
        const struct ig_cache_group *g = &c->groups[i];
        uint32_t blocks = (c->high + IG_CACHE_BLOCK - 1) / IG_CACHE_BLOCK, low = c->low;
        if (blocks > g->n_slots && (blocks - g->n_slots) * IG_CACHE_BLOCK > low)
            low = (blocks - g->n_slots) * IG_CACHE_BLOCK;
        if (g->window && ig_cache_first(c, g) < low) n = 0;
    }
    c->n = n;
    ig_cache_mirrors_keep(c, n);
    if (!n) c->high = c->low = 0;
    return n;
}

void ig_cache_advance(struct ig_cache *c, uint32_t end) {
    c->n = end;
    if (end > c->high) c->high = end;
}

size_t ig_cache_bytes(const struct ig_cache *c) {
    size_t total = 0;
    for (uint32_t i = 0; i < c->n_groups; i++)
        for (uint32_t j = 0; j < c->groups[i].n_slots; j++)
            if (c->groups[i].slots[j]) total += c->groups[i].block_bytes;
    return total;
}
