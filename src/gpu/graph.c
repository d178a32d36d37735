/* A step's launches recorded once and replayed, where the device can: hundreds of launches become
 * one call. Everything that changes from step to step lies in buffers (ids, positions, rotations),
 * so a recording stays true while the same buffers are used and attention spans the same chunks; a
 * key says so. Passes of many tokens are not worth it.
 *
 * The subtle thing is that nothing may be allocated or compiled while it is recorded. So a pass is
 * recorded only when one of the same key has just run, which has brought everything there. */
#include "gpu/gpu_impl.h"

#include <string.h>

enum { MOST_TOKENS = IG_GPU_FEW };

static uint64_t mix(uint64_t h, uint64_t x) {
    for (int i = 0; i < 8; i++, x >>= 8) h = (h ^ (x & 255)) * 0x100000001b3ull;
    return h;
}

static uint64_t key_of(const struct ig_gpu *g, uint32_t from, uint32_t to) {
    uint64_t h = mix(0xcbf29ce484222325ull, g->w->generation);
    h = mix(mix(mix(h, to), g->pass.n), g->pass.n_wanted);
    for (uint32_t r = 0; r < g->n_runs; r++) {
        h = mix(mix(h, (uintptr_t)g->runs[r].cache), g->runs[r].n);
        for (uint32_t i = from; i < to; i++)
            if (g->plan->ops[i].kind == IG_OP_ATTEND)
                h = mix(h, ig_gpu_attend_span(g, &g->plan->ops[i], &g->runs[r]));
    }
    return h;
}

static void drop_graph(struct ig_gpu *g, struct ig_gpu_graph *e) {
    if (e->graph) g->w->backend->graph_free(g->w->device, e->graph);
    e->graph = NULL;
    ig_free(g->mem, e->stages);
    e->stages = NULL;
}

void ig_gpu_graphs_free(struct ig_gpu *g) {
    for (struct ig_gpu_graph *e = g->graphs, *next; e; e = next) {
        next = e->next;
        drop_graph(g, e);
        ig_free(g->mem, e);
    }
    g->graphs = NULL;
}

static struct ig_gpu_graph *find(struct ig_gpu *g, uint32_t from) {
    struct ig_gpu_graph *e = g->graphs;
    while (e && e->from != from) e = e->next;
    if (e) return e;
    e = ig_calloc(g->mem, 1, sizeof *e);
    if (!e) return NULL;
    *e = (struct ig_gpu_graph){.from = from, .next = g->graphs};
    g->graphs = e;
    return e;
}

static ingle_status replay(struct ig_gpu *g, const struct ig_gpu_graph *e, ingle_error *err) {
    if (e->n_stages) memcpy(g->stages, e->stages, e->n_stages * sizeof *e->stages);
    g->n_stages = e->n_stages;
    g->stage_used = e->stage_used;
    return g->w->backend->replay(g->w->device, e->graph, err);
}

/* What was staged while it was recorded is staged at each replay. */
static bool keep_stages(struct ig_gpu *g, struct ig_gpu_graph *e) {
    e->n_stages = g->n_stages;
    e->stage_used = g->stage_used;
    if (!g->n_stages) return true;
    e->stages = ig_alloc(g->mem, g->n_stages * sizeof *e->stages);
    if (e->stages) memcpy(e->stages, g->stages, g->n_stages * sizeof *e->stages);
    return e->stages != NULL;
}

/* False: it did not work, and nothing was run. */
static bool record(struct ig_gpu *g, struct ig_gpu_graph *e, uint32_t to, ig_gpu_queue_fn *queue) {
    const struct ig_backend *b = g->w->backend;
    ingle_error err;
    if (b->record_begin(g->w->device, &err) != INGLE_OK) return false;
    g->recording = true;
    ingle_status queued = queue(g, e->from, to, &err),
                 ended = b->record_end(g->w->device, &e->graph, &err);
    g->recording = false;
    if (ended != INGLE_OK) e->graph = NULL;
    if (queued == INGLE_OK && ended == INGLE_OK && keep_stages(g, e)) return true;
    drop_graph(g, e);
    g->n_stages = 0;
    g->stage_used = 0;
    return false;
}

ingle_status ig_gpu_walk(struct ig_gpu *g, uint32_t from, uint32_t to, ig_gpu_queue_fn *queue,
                         ingle_error *err) {
    bool may = g->w->backend->record_begin && !g->no_graphs && g->pass.n <= MOST_TOKENS;
    struct ig_gpu_graph *e = may ? find(g, from) : NULL;
    if (!e) return queue(g, from, to, err);
    uint64_t key = key_of(g, from, to);
    if (e->graph && e->key == key) return replay(g, e, err);
    if (e->seen != key || e->to != to) {
        e->seen = key;
        e->to = to;
        return queue(g, from, to, err);
    }
    drop_graph(g, e);
    if (!record(g, e, to, queue)) {
        g->no_graphs = true;
        return queue(g, from, to, err);
    }
    e->key = key;
    return replay(g, e, err);
}
