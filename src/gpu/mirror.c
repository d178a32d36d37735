/* Keys and values on the device. A mirror holds some layers of one timeline; the host's cache is
 * the truth, so a mirror may be dropped at any time and is filled from it again. New positions are
 * written to both: kernels leave them as floats in a staging buffer, and ig_gpu_stage_put puts
 * them into the cache with the same code that the CPU uses.
 *
 * The subtle thing is what a mirror knows. Each layer holds positions [from, held): `from`, because
 * a window's ring is filled only as far back as it was needed. head.n is lowered by whoever cuts
 * the timeline or writes to it otherwise; every pass takes that over and then sets it to the top
 * again. A layer that an operation reads but that is not written in this part is brought up to date
 * whole, the pass's own positions too: another executor has just written them. */
#include "gpu/gpu_impl.h"

#include <string.h>

enum {
    FIRST_ROOM = 256,    /* positions */
    LOAD_BYTES = 1 << 20 /* of the host's cache at a time */
};

/* ---- Opening and closing ---- */

void ig_gpu_mirror_drop(struct ig_gpu_mirror *m) {
    for (uint32_t i = 0; i < m->cache->n_layers; i++) {
        ig_gpu_free(m->w, &m->layers[i].mem);
        m->layers[i].room = m->layers[i].from = m->layers[i].held = 0;
    }
}

static void close_mirror(struct ig_cache_mirror *head) {
    struct ig_gpu_mirror *m = (struct ig_gpu_mirror *)(void *)head, **at;
    struct ig_gpu_weights *w = m->w;
    ig_os_lock(&w->lock);
    w->backend->sync(w->device, NULL);
    ig_gpu_mirror_drop(m);
    for (at = &w->mirrors; *at && *at != m;) at = &(*at)->next;
    if (*at) *at = m->next;
    ig_os_unlock(&w->lock);
    ig_free(m->mem, m->layers);
    ig_free(m->mem, m);
}

/* Positions a ring holds; 0: all positions have a place of their own. */
static uint32_t ring_of(const struct ig_cache *c, const struct ig_cache_layer *l) {
    const struct ig_cache_group *g = &c->groups[l->group];
    uint64_t ring = (uint64_t)g->n_slots * IG_CACHE_BLOCK;
    return g->window && ring < c->context ? (uint32_t)ring : 0;
}

static ingle_status find_mirror(struct ig_gpu *g, struct ig_cache *c, struct ig_gpu_mirror **out,
                                ingle_error *err) {
    for (struct ig_cache_mirror *m = c->mirrors; m; m = m->next)
        if (m->owner == g->w) {
            *out = (struct ig_gpu_mirror *)(void *)m;
            return INGLE_OK;
        }
    struct ig_gpu_mirror *m = ig_calloc(c->mem, 1, sizeof *m);
    if (!m) return ig_fail_memory(err, sizeof *m);
    *m = (struct ig_gpu_mirror){.head = {.next = c->mirrors, .owner = g->w, .close = close_mirror},
                                .next = g->w->mirrors,
                                .w = g->w,
                                .mem = c->mem,
                                .cache = c};
    m->layers = ig_calloc(c->mem, c->n_layers, sizeof *m->layers);
    if (!m->layers) {
        ig_free(c->mem, m);
        return ig_fail_memory(err, c->n_layers * sizeof *m->layers);
    }
    for (uint32_t i = 0; i < c->n_layers; i++)
        m->layers[i].shape = ig_kv_shape_of(c, &c->layers[i], ring_of(c, &c->layers[i]));
    c->mirrors = &m->head;
    g->w->mirrors = m;
    *out = m;
    return INGLE_OK;
}

/* ---- From the host's cache ---- */

/* Places for positions [0, end). */
static ingle_status reserve(struct ig_gpu_weights *w, struct ig_gpu_mirror_layer *l,
                            uint32_t context, uint32_t end, ingle_error *err) {
    uint32_t most = l->shape.ring ? l->shape.ring : context, room = l->room ? l->room : FIRST_ROOM;
    struct ig_dev_mem *more;
    if (end > most) end = most;
    if (l->room >= end) return INGLE_OK;
    while (room < end) room *= 2;
    if (room > most) room = most;
    IG_TRY(w->backend->alloc(w->device, &more, (size_t)ig_kv_bytes(&l->shape, room), NULL, err));
    ingle_status status = INGLE_OK;
    if (l->room && l->held > l->from)
        status = w->backend->copy(w->device, l->mem, 0, more, 0,
                                  (size_t)ig_kv_bytes(&l->shape, l->room), err);
    if (status != INGLE_OK) {
        w->backend->free(w->device, more);
        return status;
    }
    ig_gpu_free(w, &l->mem);
    l->mem = more;
    l->room = room;
    return INGLE_OK;
}

/* Positions [from, to), which lie in the host's cache. */
static ingle_status load_rows(struct ig_gpu *g, const struct ig_cache *c, uint32_t layer,
                              struct ig_gpu_mirror_layer *l, uint32_t from, uint32_t to,
                              ingle_error *err) {
    struct ig_gpu_weights *w = g->w;
    size_t row = l->shape.row, most = LOAD_BYTES / row + 1;
    struct ig_dev_kernel *k;
    IG_TRY(ig_gpu_kernel_get(w, IG_GK_KV_LOAD, &k, err));
    for (uint32_t at = from; at < to;) {
        uint32_t n = to - at < most ? to - at : (uint32_t)most;
        IG_TRY(ig_gpu_bounce(g, n * row, err));
        for (uint32_t i = 0; i < n; i++)
            ig_kv_row(c, &c->layers[layer], &l->shape, at + i, g->bounce + i * row);
        IG_TRY(ig_gpu_buffer_grow(w, &g->stage, n * row, false, err));
        IG_TRY(w->backend->upload(w->device, g->stage.mem, 0, g->bounce, n * row, err));
        struct ig_kv_load_args a = {.s = l->shape, .first = at};
        struct ig_dev_mem *const b[] = {g->stage.mem, l->mem};
        IG_TRY(ig_gpu_launch(g, k, b, 2, &a, sizeof a, l->shape.n_kv, n, 1, err));
        at += n;
    }
    return INGLE_OK;
}

/* The first position that a row at `first` can see and the cache holds. */
static uint32_t lowest(const struct ig_cache *c, const struct ig_cache_layer *l, uint32_t first) {
    const struct ig_cache_group *group = &c->groups[l->group];
    if (!group->window) return 0;
    uint32_t low = first > group->window ? first - group->window : 0;
    return low < c->low ? c->low : low;
}

/* Layer `layer` holds all that rows from `run` on can see up to position `need`, and has room for
 * the pass. */
static ingle_status bring(struct ig_gpu *g, const struct ig_gpu_run_of *run, uint32_t layer,
                          uint32_t need, ingle_error *err) {
    struct ig_gpu_mirror_layer *l = &run->mirror->layers[layer];
    const struct ig_cache *c = run->cache;
    uint32_t low = lowest(c, &c->layers[layer], run->first);
    if (l->held > run->first) l->held = run->first; /* written anew */
    if (l->held < low || l->from > low) l->from = l->held = low;
    IG_TRY(reserve(g->w, l, c->context, run->first + run->n, err));
    if (l->held < need) {
        IG_TRY(load_rows(g, c, layer, l, l->held, need, err));
        l->held = need;
    }
    return INGLE_OK;
}

/* ---- A pass ---- */

/* Does this part write the layer before operation `at`? It is mostly just before. */
static bool written(const struct ig_gpu *g, uint32_t from, uint32_t at, uint32_t layer) {
    for (uint32_t i = at; i > from; i--)
        if (g->plan->ops[i - 1].kind == IG_OP_KV_PUT &&
            (uint32_t)g->plan->ops[i - 1].layer == layer)
            return true;
    return false;
}

static void take_over_cuts(struct ig_gpu_mirror *m) {
    for (uint32_t i = 0; i < m->cache->n_layers; i++)
        if (m->layers[i].held > m->head.n) m->layers[i].held = m->head.n;
    m->head.n = UINT32_MAX;
}

/* Room for what this part stages, or for as much as is staged at a time. */
static ingle_status grow_stage(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    size_t all = 0, most = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct ig_op *op = &g->plan->ops[i];
        if (op->kind != IG_OP_KV_PUT) continue;
        size_t n =
            (size_t)g->pass.n * ig_gpu_stage_stride(&g->plan->hp->layer[op->layer]) * sizeof(float);
        if (n > most) most = n;
        all += n;
    }
    if (all > IG_GPU_STAGE) all = most > IG_GPU_STAGE ? most : IG_GPU_STAGE;
    g->n_stages = g->n_late = 0;
    g->stage_used = 0;
    return ig_gpu_buffer_grow(g->w, &g->stage, all, false, err);
}

ingle_status ig_gpu_mirrors_begin(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    const struct ig_plan *p = g->plan;
    for (uint32_t r = 0; r < g->n_runs; r++) {
        IG_TRY(find_mirror(g, g->runs[r].cache, &g->runs[r].mirror, err));
        take_over_cuts(g->runs[r].mirror);
    }
    for (uint32_t i = from; i < to; i++) {
        bool put = p->ops[i].kind == IG_OP_KV_PUT;
        if (!put && p->ops[i].kind != IG_OP_ATTEND) continue;
        uint32_t layer = p->hp->layer[p->ops[i].layer].kv_layer;
        if (!put && written(g, from, i, layer)) continue; /* its KV_PUT has brought it */
        for (uint32_t r = 0; r < g->n_runs; r++) {
            const struct ig_gpu_run_of *run = &g->runs[r];
            IG_TRY(bring(g, run, layer, put ? run->first : run->first + run->n, err));
        }
    }
    return grow_stage(g, from, to, err);
}

void ig_gpu_mirrors_end(struct ig_gpu *g, uint32_t from, uint32_t to, bool ok) {
    for (uint32_t i = from; i < to; i++) {
        if (g->plan->ops[i].kind != IG_OP_KV_PUT) continue;
        for (uint32_t r = 0; r < g->n_runs; r++) {
            const struct ig_gpu_run_of *run = &g->runs[r];
            if (!run->mirror) continue;
            struct ig_gpu_mirror_layer *l = &run->mirror->layers[g->plan->ops[i].layer];
            if (ok)
                l->held = run->first + run->n;
            else if (l->held > run->first)
                l->held = run->first;
        }
    }
}

/* ---- To the host's cache ---- */

ingle_status ig_gpu_stage(struct ig_gpu *g, const struct ig_op *op, size_t *at, ingle_error *err) {
    size_t n = (size_t)g->pass.n * ig_gpu_stage_stride(&g->plan->hp->layer[op->layer]);
    if ((g->stage_used + n) * sizeof(float) > g->stage.bytes) IG_TRY(ig_gpu_stage_flush(g, err));
    *at = g->stage_used;
    g->stages[g->n_stages++] = (struct ig_gpu_stage){op, g->stage_used};
    g->stage_used += n;
    return INGLE_OK;
}

static void put_layer(const struct ig_gpu *g, const struct ig_gpu_stage *s) {
    const struct ig_layer_params *p = &g->plan->hp->layer[s->op->layer];
    const float *x = (const float *)(const void *)g->late + s->at;
    for (uint32_t i = 0; i < g->pass.n; i++, x += ig_gpu_stage_stride(p)) {
        const struct ig_pass_token *t = &g->pass.tokens[i];
        const struct ig_cache_layer *l = &t->cache->layers[s->op->layer];
        ig_kv_put(t->cache, l, t->position, false, 0, p->n_head_kv, x, g->to_f16);
        ig_kv_put(t->cache, l, t->position, true, 0, p->n_head_kv, x + p->n_head_kv * p->head_k,
                  g->to_f16);
    }
}

void ig_gpu_stage_put(struct ig_gpu *g) {
    for (uint32_t i = 0; i < g->n_late; i++) put_layer(g, &g->late_stages[i]);
    g->n_late = 0;
}

static ingle_status grow_late(struct ig_gpu *g, size_t bytes, ingle_error *err) {
    if (g->late_bytes >= bytes) return INGLE_OK;
    ig_free(g->mem, g->late);
    g->late_bytes = 0;
    g->late = ig_alloc(g->mem, bytes);
    if (!g->late) return ig_fail_memory(err, bytes);
    g->late_bytes = bytes;
    return INGLE_OK;
}

ingle_status ig_gpu_stage_flush(struct ig_gpu *g, ingle_error *err) {
    size_t bytes = g->stage_used * sizeof(float);
    if (g->recording)
        return ig_fail(err, INGLE_INTERNAL, NULL, "too much to stage for a recording");
    IG_TRY(g->w->backend->flush(g->w->device, err));
    ig_gpu_stage_put(g); /* while the device works on what was queued since */
    if (bytes) {
        IG_TRY(grow_late(g, bytes, err));
        IG_TRY(g->w->backend->download(g->w->device, g->stage.mem, 0, g->late, bytes, err));
        memcpy(g->late_stages, g->stages, g->n_stages * sizeof *g->stages);
        g->n_late = g->n_stages;
    }
    g->n_stages = 0;
    g->stage_used = 0;
    return INGLE_OK;
}
