/* A timeline in a file: tokens, keys and values, nothing else, because logits and scratch can be
 * computed again to the bit.
 *
 *   "INGLEKV1" | header | tokens [n] i32 | for each group, the blocks that are still needed |
 * checksum u64
 *
 * All little-endian. The checksum covers everything before it, the header holds a fingerprint of
 * the model and the shape of the cache: what does not match exactly is refused, because KV of
 * another model gives fluent nonsense. Sources: ours. */
#include "base/hash.h"
#include "engine/session.h"

static const char magic[8] = {'I', 'N', 'G', 'L', 'E', 'K', 'V', '1'};

struct header {
    uint64_t model;                     /* fingerprint */
    uint64_t total;                     /* bytes of the file */
    uint32_t type, n, n_groups, layout; /* layout: of blocks of this type */
};

/* Family, shapes, what the layers do, and a sample of every tensor's bytes. */
static uint64_t fingerprint(const struct ingle_model *m) {
    uint64_t h = ig_checksum(0, m->arch.hp.row->name, strlen(m->arch.hp.row->name));
    for (size_t i = 0; i < m->view.n_tensors; i++) {
        const struct ig_tensor *t = &m->view.tensors[i];
        uint64_t shape[IG_MAX_DIMS + 2] = {t->type, t->bytes};
        memcpy(shape + 2, t->ne, sizeof t->ne);
        h = ig_checksum(h, shape, sizeof shape);
        h = ig_checksum(h, t->name.p, t->name.n);
        h = ig_checksum(h, t->data, t->bytes < 256 ? (size_t)t->bytes : 256);
    }
    for (uint32_t il = 0; il < m->arch.hp.n_layer; il++) {
        const struct ig_layer_params *l = &m->arch.hp.layer[il];
        uint32_t what[] = {l->rope,      l->local,  l->window, l->n_head,
                           l->n_head_kv, l->head_k, l->head_v, l->kv_layer};
        h = ig_checksum(h, what, sizeof what);
    }
    const struct ig_rope *r = m->arch.hp.rope;
    double rope[] = {r[0].base, r[0].factor, r[0].bf16, r[1].base};
    return ig_checksum(h, rope, sizeof rope);
}

struct writer {
    struct ig_file *file;
    uint64_t sum;
};

static ingle_status put(struct writer *w, const void *p, size_t n, ingle_error *err) {
    w->sum = ig_checksum(w->sum, p, n);
    return ig_os_write(w->file, p, n, err);
}

static uint64_t file_size(const struct ig_cache *c) {
    uint64_t total =
        sizeof magic + sizeof(struct header) + c->n * sizeof(int32_t) + sizeof(uint64_t);
    for (uint32_t i = 0; i < c->n_groups; i++) {
        const struct ig_cache_group *g = &c->groups[i];
        uint64_t blocks =
            (c->n + IG_CACHE_BLOCK - 1) / IG_CACHE_BLOCK - ig_cache_first(c, g) / IG_CACHE_BLOCK;
        total += sizeof(uint64_t) + blocks * g->block_bytes;
    }
    return total;
}

static ingle_status write_all(const struct ingle_session *s, struct writer *w, ingle_error *err) {
    const struct ig_cache *c = &s->cache;
    struct header h = {fingerprint(s->model),   file_size(c), (uint32_t)c->type, c->n, c->n_groups,
                       ig_cache_layout(c->type)};
    IG_TRY(put(w, magic, sizeof magic, err));
    IG_TRY(put(w, &h, sizeof h, err));
    IG_TRY(put(w, s->tokens, c->n * sizeof *s->tokens, err));
    for (uint32_t i = 0; i < c->n_groups; i++) {
        const struct ig_cache_group *g = &c->groups[i];
        uint64_t bytes = g->block_bytes;
        IG_TRY(put(w, &bytes, sizeof bytes, err));
        for (uint32_t b = ig_cache_first(c, g) / IG_CACHE_BLOCK; b * IG_CACHE_BLOCK < c->n; b++)
            IG_TRY(put(w, g->slots[b % g->n_slots], g->block_bytes, err));
    }
    uint64_t sum = w->sum;
    return ig_os_write(w->file, &sum, sizeof sum, err);
}

ingle_status ingle_session_save(ingle_session *s, const char *path, ingle_error *err) {
    struct writer w = {0};
    if (!s->n)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "compute something first",
                       "%s: the session is empty, there is nothing to save", path);
    IG_TRY(ig_os_create(&w.file, &s->mem, path, err));
    ingle_status status = write_all(s, &w, err);
    if (status == INGLE_OK) return ig_os_commit(w.file, err);
    ig_os_discard(w.file);
    return status;
}

/* ---- Loading ---- */

struct reader {
    const uint8_t *p;
    uint64_t left, sum;
};

static bool take(struct reader *r, void *to, uint64_t n) {
    if (n > r->left) return false;
    r->sum = ig_checksum(r->sum, r->p, (size_t)n);
    if (to) memcpy(to, r->p, (size_t)n);
    r->p += n;
    r->left -= n;
    return true;
}

static ingle_status refuse(const char *path, const char *what, ingle_error *err) {
    return ig_fail(
        err, INGLE_BAD_FILE,
        "a session file fits only the model and settings it was saved with; start afresh", "%s: %s",
        path, what);
}

static ingle_status check_header(const struct ingle_session *s, const char *path,
                                 const struct header *h, uint64_t size, ingle_error *err) {
    if (h->total != size)
        return refuse(path, "the file is truncated or has something behind its end", err);
    if (h->model != fingerprint(s->model))
        return refuse(path, "the session belongs to another model", err);
    if (h->type != (uint32_t)s->cache.type)
        return refuse(path, "the session has another KV type (--kv)", err);
    if (h->layout != ig_cache_layout(s->cache.type))
        return refuse(path, "another version of ingle saved the session", err);
    if (!h->n || h->n > s->context)
        return refuse(path, "the session is longer than the context (-c)", err);
    if (h->n_groups != s->cache.n_groups)
        return refuse(path, "the session's cache has another shape", err);
    return INGLE_OK;
}

/* Walks the whole file without touching the session: sizes, ids, checksum. */
static ingle_status verify(const struct ingle_session *s, const char *path, struct reader r,
                           uint32_t n, ingle_error *err) {
    const struct ig_cache *c = &s->cache;
    struct ig_cache held = *c;
    held.n = n;
    for (uint32_t i = 0; i < n; i++) {
        int32_t id;
        if (r.left < (uint64_t)(i + 1) * sizeof id)
            return refuse(path, "the file is truncated", err);
        memcpy(&id, r.p + i * sizeof id, sizeof id);
        if (id < 0 || (uint32_t)id >= s->model->arch.hp.n_vocab)
            return refuse(path, "a token is outside the vocabulary", err);
    }
    if (!take(&r, NULL, n * sizeof(int32_t))) return refuse(path, "the file is truncated", err);
    for (uint32_t i = 0; i < c->n_groups; i++) {
        uint64_t bytes;
        if (!take(&r, &bytes, sizeof bytes) || bytes != c->groups[i].block_bytes)
            return refuse(path, "the session's cache has another shape", err);
        for (uint32_t b = ig_cache_first(&held, &c->groups[i]) / IG_CACHE_BLOCK;
             b * IG_CACHE_BLOCK < n; b++)
            if (!take(&r, NULL, bytes)) return refuse(path, "the file is truncated", err);
    }
    uint64_t sum;
    if (r.left != sizeof sum)
        return refuse(path, "the file has another length than its header says", err);
    memcpy(&sum, r.p, sizeof sum);
    return sum == r.sum ? INGLE_OK
                        : refuse(path, "the checksum is wrong: the file is damaged", err);
}

static ingle_status restore(struct ingle_session *s, struct reader r, uint32_t n,
                            ingle_error *err) {
    struct ig_cache *c = &s->cache;
    ig_session_cut(s, 0);
    IG_TRY(ig_cache_reserve(c, n, err));
    ig_cache_mirrors_keep(c, 0);
    take(&r, s->tokens, n * sizeof *s->tokens);
    ig_cache_advance(c, n);
    for (uint32_t i = 0; i < c->n_groups; i++) {
        struct ig_cache_group *g = &c->groups[i];
        uint32_t first = ig_cache_first(c, g) / IG_CACHE_BLOCK;
        if (g->window && first * IG_CACHE_BLOCK > c->low) c->low = first * IG_CACHE_BLOCK;
        take(&r, NULL, sizeof(uint64_t));
        for (uint32_t b = first; b * IG_CACHE_BLOCK < n; b++)
            take(&r, g->slots[b % g->n_slots], g->block_bytes);
    }
    s->n = n;
    s->n_states = 0;
    return INGLE_OK;
}

static ingle_status load(struct ingle_session *s, const char *path, const struct ig_map *map,
                         ingle_error *err) {
    struct reader r = {map->data, map->size, 0};
    struct header h;
    char got[sizeof magic];
    if (!take(&r, got, sizeof got) || memcmp(got, magic, sizeof magic) != 0)
        return refuse(path, "this is not a session file of this version", err);
    if (!take(&r, &h, sizeof h)) return refuse(path, "the file is truncated", err);
    IG_TRY(check_header(s, path, &h, map->size, err));
    IG_TRY(verify(s, path, r, h.n, err));
    return restore(s, r, h.n, err);
}

ingle_status ingle_session_load(ingle_session *s, const char *path, ingle_error *err) {
    struct ig_map map;
    IG_TRY(ig_os_map(&map, path, err));
    ingle_status status = load(s, path, &map, err);
    ig_os_unmap(&map);
    return status;
}
