/* Writing keys and values into the cache, and attention over it. */
#include "cpu/exec.h"
#include "kv/put.h"

#include <math.h>

void ig_op_kv_put(struct ig_cpu *c, const struct ig_op *op, uint32_t t, bool values, uint32_t head,
                  uint32_t n, const float *x) {
    const struct ig_pass_token *token = &c->pass.tokens[t];
    ig_kv_put(token->cache, &token->cache->layers[op->layer], token->position, values, head, n, x,
              c->k->to_f16);
}

static uint32_t first_visible(const struct ig_hparams *hp, const struct ig_layer_params *l,
                              uint32_t position) {
    if (!l->window) return 0;
    if (hp->row->chunked) return position / l->window * l->window;
    return position + 1 > l->window ? position + 1 - l->window : 0;
}

/* ---- Attention ----
 *
 * The query heads of neighbouring tokens of one timeline that share a kv head are rows, taken in
 * tiles. A prompt has tiles enough for all threads: each tile runs through its chunks and merges
 * them as it goes. A decode step has few; there the chunks are shared out too, and merged behind a
 * barrier. */

enum { PER_THREAD = 12 }; /* units that should be there for each thread */

struct tiles {
    uint32_t group, n_kv; /* query heads of a kv head, kv heads */
    uint32_t n;           /* tiles of one kv head */
    uint32_t chunks;      /* most of a tile */
};

struct cursor {                /* a run of tokens with consecutive positions of one timeline */
    uint32_t token, end, tile; /* tile: its first */
};

static uint32_t run_end(const struct ig_cpu *c, uint32_t token) {
    const struct ig_pass_token *t = c->pass.tokens;
    uint32_t i = token + 1;
    while (i < c->pass.n && t[i].cache == t[token].cache && t[i].position == t[i - 1].position + 1)
        i++;
    return i;
}

static uint32_t run_tiles(const struct cursor *r, uint32_t group) {
    return ((r->end - r->token) * group + IG_ATTEND_ROWS - 1) / IG_ATTEND_ROWS;
}

/* Moves to the run of `tile`, which is not before it. */
static void seek(const struct ig_cpu *c, struct cursor *r, uint32_t group, uint32_t tile) {
    if (!r->end) r->end = run_end(c, 0);
    while (tile - r->tile >= run_tiles(r, group)) {
        r->tile += run_tiles(r, group);
        r->token = r->end;
        r->end = run_end(c, r->token);
    }
}

static uint32_t chunks_of(const struct ig_attend_row *first, const struct ig_attend_row *last) {
    return last->last / IG_ATTEND_CHUNK - first->first / IG_ATTEND_CHUNK + 1;
}

/* Row `i` of a kv head's rows in a run; `head` and `token` are where it is from. */
static struct ig_attend_row row_of(struct ig_cpu *c, const struct ig_op *op, const struct cursor *r,
                                   uint32_t kv, uint32_t i, unsigned thread, uint32_t *token,
                                   uint32_t *head) {
    const struct ig_layer_params *l = &c->plan->hp->layer[op->layer];
    uint32_t group = l->n_head / l->n_head_kv;
    *token = r->token + i / group;
    *head = kv * group + i % group;
    uint32_t position = c->pass.tokens[*token].position;
    bool own = (ig_own(c, op) & IG_OWN_A) != 0;
    return (struct ig_attend_row){
        .q = ig_row_of(c, thread, own, op->a, *token) + (size_t)*head * l->head_k,
        .first = first_visible(c->plan->hp, l, position),
        .last = position,
        .slope = c->slopes ? c->slopes[*head] : 0.0f,
    };
}

struct tile {
    struct ig_attend j;
    struct ig_attend_row rows[IG_ATTEND_ROWS];
    uint32_t token[IG_ATTEND_ROWS], head[IG_ATTEND_ROWS];
};

static void make_tile(struct ig_cpu *c, const struct ig_op *op, const struct cursor *r, uint32_t kv,
                      uint32_t tile, unsigned thread, struct tile *t) {
    const struct ig_hparams *hp = c->plan->hp;
    const struct ig_layer_params *l = &hp->layer[op->layer];
    uint32_t group = l->n_head / l->n_head_kv, rows = (r->end - r->token) * group;
    uint32_t first = (tile - r->tile) * IG_ATTEND_ROWS, n = rows - first;
    const struct ig_cache *cache = c->pass.tokens[r->token].cache;
    double scale = hp->attn_scale > 0 ? hp->attn_scale : 1.0 / sqrt((double)l->head_k);
    if (n > IG_ATTEND_ROWS) n = IG_ATTEND_ROWS;
    for (uint32_t i = 0; i < n; i++)
        t->rows[i] = row_of(c, op, r, kv, first + i, thread, &t->token[i], &t->head[i]);
    t->j = (struct ig_attend){.cache = cache,
                              .layer = &cache->layers[op->layer],
                              .kv_head = kv,
                              .n = n,
                              .rows = t->rows,
                              .scale = (float)scale,
                              .softcap = (float)hp->attn_softcap,
                              .scratch = c->lane[thread].attend};
    c->k->attend_queries(&t->j);
}

static bool sees(const struct ig_attend_row *r, uint32_t chunk) {
    return r->first < chunk + IG_ATTEND_CHUNK && r->last >= chunk;
}

static void finish_row(struct ig_cpu *c, const struct ig_op *op, uint32_t token, uint32_t head,
                       const float state[2]) {
    uint32_t n = c->plan->hp->layer[op->layer].head_v;
    const float *sink = op->w[0] && op->w[0]->vec ? op->w[0]->vec + head : NULL;
    c->k->attend_finish(ig_row(c, op->dst, token) + (size_t)head * n, n, state, sink);
}

/* All chunks of a tile, merged on the way. */
static void whole_tile(struct ig_cpu *c, const struct ig_op *op, struct tile *t, unsigned thread) {
    uint32_t n = t->j.layer->head_v, last = t->rows[t->j.n - 1].last;
    float state[IG_ATTEND_ROWS][2],
        *parts = c->lane[thread].attend + ig_attend_scratch(t->j.layer->head_k);
    for (uint32_t i = 0; i < t->j.n; i++) {
        state[i][0] = -1e30f, state[i][1] = 0.0f;
        t->rows[i].part = parts + i * ig_attend_part(t->j.layer);
        memset(ig_row(c, op->dst, t->token[i]) + (size_t)t->head[i] * n, 0, n * sizeof(float));
    }
    for (uint32_t at = t->rows[0].first / IG_ATTEND_CHUNK * IG_ATTEND_CHUNK; at <= last;
         at += IG_ATTEND_CHUNK) {
        if (atomic_load_explicit(c->cancel, memory_order_relaxed)) return;
        c->k->attend_chunk(&t->j, at);
        for (uint32_t i = 0; i < t->j.n; i++)
            if (sees(&t->rows[i], at))
                c->k->attend_merge(ig_row(c, op->dst, t->token[i]) + (size_t)t->head[i] * n, n,
                                   state[i], t->rows[i].part);
    }
    for (uint32_t i = 0; i < t->j.n; i++) finish_row(c, op, t->token[i], t->head[i], state[i]);
}

/* The parts of a row when chunks are shared out: [token][head][chunk] */
static float *shared_parts(const struct ig_cpu *c, const struct ig_op *op, const struct tiles *s,
                           uint32_t token, uint32_t head) {
    const struct ig_cache_layer *l = &c->pass.tokens[token].cache->layers[op->layer];
    return c->parts + ((size_t)token * s->n_kv * s->group + head) * s->chunks * ig_attend_part(l);
}

/* Chunks [from, to) of a tile, counted from its first. */
static void part_tile(struct ig_cpu *c, const struct ig_op *op, const struct tiles *s,
                      struct tile *t, uint32_t from, uint32_t to) {
    uint32_t base = t->rows[0].first / IG_ATTEND_CHUNK;
    for (uint32_t k = from; k < to; k++) {
        uint32_t at = (base + k) * IG_ATTEND_CHUNK;
        if (at > t->rows[t->j.n - 1].last || atomic_load_explicit(c->cancel, memory_order_relaxed))
            return;
        for (uint32_t i = 0; i < t->j.n; i++) {
            if (!sees(&t->rows[i], at)) continue;
            uint32_t own = base + k - t->rows[i].first / IG_ATTEND_CHUNK;
            t->rows[i].part =
                shared_parts(c, op, s, t->token[i], t->head[i]) + own * ig_attend_part(t->j.layer);
        }
        c->k->attend_chunk(&t->j, at);
    }
}

static void merge_shared(struct ig_cpu *c, const struct ig_op *op, const struct tiles *s,
                         unsigned thread) {
    const struct ig_hparams *hp = c->plan->hp;
    uint32_t heads = s->n_kv * s->group, unit;
    while (ig_take(c, thread, c->pass.n * heads, &unit)) {
        uint32_t token = unit / heads, head = unit % heads,
                 position = c->pass.tokens[token].position;
        const struct ig_cache_layer *l = &c->pass.tokens[token].cache->layers[op->layer];
        uint32_t first = first_visible(hp, &hp->layer[op->layer], position) / IG_ATTEND_CHUNK;
        float state[2] = {-1e30f, 0.0f},
              *out = ig_row(c, op->dst, token) + (size_t)head * l->head_v;
        const float *part = shared_parts(c, op, s, token, head);
        memset(out, 0, l->head_v * sizeof *out);
        for (uint32_t k = first; k <= position / IG_ATTEND_CHUNK; k++, part += ig_attend_part(l))
            c->k->attend_merge(out, l->head_v, state, part);
        finish_row(c, op, token, head, state);
    }
}

static struct tiles count_tiles(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    const struct ig_layer_params *l = &c->plan->hp->layer[op->layer];
    struct tiles s = {.group = l->n_head / l->n_head_kv, .n_kv = l->n_head_kv};
    for (uint32_t token = 0; token < c->pass.n;) {
        struct cursor r = {token, run_end(c, token), 0};
        uint32_t a, b, rows = (r.end - r.token) * s.group;
        struct ig_attend_row first = row_of(c, op, &r, 0, 0, thread, &a, &b),
                             last = row_of(c, op, &r, 0, rows - 1, thread, &a, &b);
        if (chunks_of(&first, &last) > s.chunks) s.chunks = chunks_of(&first, &last);
        s.n += run_tiles(&r, s.group);
        token = r.end;
    }
    return s;
}

/* Into how many spans of chunks each tile is cut; 1: not at all. */
static uint32_t count_spans(const struct ig_cpu *c, const struct ig_op *op, const struct tiles *s) {
    uint32_t units = s->n * s->n_kv, want = PER_THREAD * ig_pool_threads(c->pool);
    size_t part = ig_attend_part(&c->pass.tokens[0].cache->layers[op->layer]);
    size_t floats = (size_t)c->pass.n * s->n_kv * s->group * s->chunks * part;
    if (ig_pool_threads(c->pool) == 1 || units >= want || floats > c->part_floats) return 1;
    uint32_t spans = (want + units - 1) / units;
    return spans < s->chunks ? spans : s->chunks;
}

void ig_op_attend(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    struct tiles s = count_tiles(c, op, thread);
    uint32_t spans = count_spans(c, op, &s), per = (s.chunks + spans - 1) / spans, unit, kv = 0;
    struct cursor run = {0};
    while (ig_take(c, thread, s.n_kv * s.n * spans, &unit)) {
        uint32_t tile = unit / spans % s.n, span = unit % spans;
        struct tile t;
        if (unit / spans / s.n != kv) run = (struct cursor){0};
        kv = unit / spans / s.n;
        seek(c, &run, s.group, tile);
        make_tile(c, op, &run, kv, tile, thread, &t);
        if (spans == 1)
            whole_tile(c, op, &t, thread);
        else
            part_tile(c, op, &s, &t, span * per, (span + 1) * per);
    }
    if (spans == 1) return;
    ig_barrier(c, thread, (struct ig_pool_next){NULL, 0});
    merge_shared(c, op, &s, thread);
}

/* Scratch for each thread, and parts for a decode step at the end of the context: never cleared, so
 * that pages which no step needs cost nothing. */
ingle_status ig_attend_open(struct ig_cpu *c, ingle_error *err) {
    const struct ig_hparams *hp = c->plan->hp;
    size_t scratch = 0, part = 0, heads = 0, chunks = c->context / IG_ATTEND_CHUNK + 2;
    unsigned threads = ig_pool_threads(c->pool);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct ig_layer_params *l = &hp->layer[i];
        size_t own = IG_ATTEND_PART + (l->head_v + 15u) / 16 * 16;
        size_t need = ig_attend_scratch(l->head_k) + own * IG_ATTEND_ROWS;
        if (need > scratch) scratch = need;
        if (own > part) part = own;
        if (l->n_head > heads) heads = l->n_head;
    }
    for (unsigned i = 0; scratch && i < threads; i++) {
        c->lane[i].attend = ig_alloc(c->mem, scratch * sizeof(float));
        if (!c->lane[i].attend) return ig_fail_memory(err, scratch * sizeof(float));
    }
    c->part_floats = threads > 1 ? heads * part * chunks : 0;
    if (!c->part_floats) return INGLE_OK;
    c->parts = ig_alloc(c->mem, c->part_floats * sizeof(float));
    return c->parts ? INGLE_OK : ig_fail_memory(err, c->part_floats * sizeof(float));
}
