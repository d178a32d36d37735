/* One encoding from beginning to end: the driver of the parts. Everything it needs beyond the
 * vocabulary lives in struct ig_enc and is freed before it returns. */
#include "vocab/impl.h"

enum { CACHE_FROM = 512, CACHE_MAX = 4096 };

ingle_status ig_enc_room(struct ig_enc *e, size_t more) {
    struct ig_ids *o = e->out;
    if (e->max && o->n + more > e->max)
        return ig_fail(e->err, INGLE_LIMIT, "shorten the text or raise the context size",
                       "the text has more than %zu tokens", e->max);
    if (o->cap - o->n >= more) return INGLE_OK;
    size_t cap = o->cap + o->cap / 2 + more + 64, bytes;
    int32_t *p = ig_mul(cap, sizeof *p, &bytes) ? ig_realloc(e->mem, o->p, bytes) : NULL;
    if (!p) return ig_fail_memory(e->err, cap * sizeof *p);
    o->p = p;
    o->cap = cap;
    return INGLE_OK;
}

ingle_status ig_enc_put(struct ig_enc *e, int32_t id) {
    IG_TRY(ig_enc_room(e, 1));
    e->out->p[e->out->n++] = id;
    return INGLE_OK;
}

void ig_ids_free(struct ig_mem *mem, struct ig_ids *ids) {
    ig_free(mem, ids->p);
    *ids = (struct ig_ids){0};
}

static ingle_status model(struct ig_enc *e, struct ig_str word) {
    switch (e->v->model) {
    case IG_MODEL_BPE:
    case IG_MODEL_SPM: return ig_encode_bpe(e, word);
    case IG_MODEL_UNIGRAM: return ig_encode_unigram(e, word);
    case IG_MODEL_WORDPIECE: return ig_encode_wordpiece(e, word);
    case IG_MODEL_WORDLEVEL: return ig_encode_wordlevel(e, word);
    default:
        return ig_fail(e->err, INGLE_UNSUPPORTED, "pass token ids instead of text",
                       "the model has no vocabulary");
    }
}

static bool is_mark(struct ig_str s, size_t at) {
    return s.n - at >= 3 && !memcmp(s.p + at, IG_SPACE_MARK, 3);
}

/* Cuts where a U+2581 follows something else: no token crosses, so the result is the same, and
 * words can be cached. */
static ingle_status model_words(struct ig_enc *e, struct ig_str piece) {
    size_t from = 0, at = 0;
    while (at < piece.n) {
        while (is_mark(piece, at)) at += 3;
        while (at < piece.n && !is_mark(piece, at)) at++;
        IG_TRY(model(e, (struct ig_str){piece.p + from, at - from}));
        from = at;
    }
    return INGLE_OK;
}

static ingle_status plain_text(struct ig_enc *e, struct ig_str text) {
    struct ig_str cut;
    IG_TRY(ig_pretokenize(e, text, &cut));
    size_t n = e->pieces[0].n / sizeof(struct ig_piece);
    for (size_t i = 0; i < n; i++) {
        struct ig_piece p = ((struct ig_piece *)(void *)e->pieces[0].p)[i];
        struct ig_str piece = {cut.p + p.start, p.end - p.start};
        IG_TRY(e->v->split_marks ? model_words(e, piece) : model(e, piece));
    }
    return INGLE_OK;
}

/* Text between two special tokens: normalized, then searched for added tokens that match after
 * normalization. */
static ingle_status fragment(struct ig_enc *e, struct ig_str text) {
    const struct ig_vocab *v = e->v;
    struct ig_str normal;
    size_t at = 0, start, end;
    const struct ig_added *a;
    if (!text.n) return INGLE_OK;
    IG_TRY(ig_normalize(e, text, &normal));
    e->turn++;
    if (!v->normal.patterns) {
        IG_TRY(plain_text(e, normal));
        e->at_start = e->after_special = false;
        return INGLE_OK;
    }
    /* The pre-tokenizer reuses the normalizer's buffers: this text must survive it. */
    struct ig_buf keep = {.mem = e->mem};
    ig_buf_str(&keep, normal);
    normal = ig_buf_view(&keep);
    ingle_status status = keep.failed ? ig_fail_memory(e->err, normal.n) : INGLE_OK;
    while (status == INGLE_OK &&
           ig_added_next(v, &v->normal, normal, at, e->flags & IG_ENCODE_PARSE_SPECIAL, &start,
                         &end, &a)) {
        if (start > at) status = plain_text(e, (struct ig_str){normal.p + at, start - at});
        if (status == INGLE_OK) status = ig_enc_put(e, a->id);
        e->at_start = false;
        e->after_special = true;
        at = end;
    }
    if (status == INGLE_OK && at < normal.n) {
        status = plain_text(e, (struct ig_str){normal.p + at, normal.n - at});
        e->at_start = e->after_special = false;
    }
    ig_buf_free(&keep);
    return status;
}

static ingle_status whole_text(struct ig_enc *e, struct ig_str text) {
    const struct ig_vocab *v = e->v;
    size_t at = 0, start, end;
    const struct ig_added *a;
    bool parse = e->flags & IG_ENCODE_PARSE_SPECIAL;
    while (ig_added_next(v, &v->raw, text, at, parse, &start, &end, &a)) {
        if (start > at) IG_TRY(fragment(e, (struct ig_str){text.p + at, start - at}));
        IG_TRY(ig_enc_put(e, a->id));
        e->at_start = false;
        e->after_special = true;
        at = end;
    }
    return at < text.n ? fragment(e, (struct ig_str){text.p + at, text.n - at}) : INGLE_OK;
}

static ingle_status encode(struct ig_enc *e, struct ig_str text) {
    const struct ig_vocab *v = e->v;
    bool add = e->flags & IG_ENCODE_ADD_SPECIAL;
    if (e->max && v->lossless && v->longest &&
        text.n / v->longest > e->max) /* certain without looking */
        return ig_enc_room(e, e->max + 1);
    if (text.n >= CACHE_FROM && (v->model == IG_MODEL_BPE || v->model == IG_MODEL_SPM)) {
        size_t n = 64;
        while (n < CACHE_MAX && n * 8 < text.n) n *= 2;
        e->cache = ig_calloc(e->mem, n, sizeof *e->cache);
        if (!e->cache) return ig_fail_memory(e->err, n * sizeof *e->cache);
        e->cache_mask = n - 1;
    }
    for (unsigned i = 0; add && i < v->n_before; i++) IG_TRY(ig_enc_put(e, v->before[i]));
    IG_TRY(whole_text(e, text));
    for (unsigned i = 0; add && i < v->n_after; i++) IG_TRY(ig_enc_put(e, v->after[i]));
    return INGLE_OK;
}

ingle_status ig_vocab_encode(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text,
                             unsigned flags, size_t max, struct ig_ids *out, ingle_error *err) {
    struct ig_enc e = {.v = v,
                       .mem = mem,
                       .err = err,
                       .flags = flags,
                       .max = max,
                       .out = out,
                       .at_start = true,
                       .after_special = v->after_special,
                       .turn = 1};
    struct ig_buf *bufs[] = {&e.text[0], &e.text[1], &e.pieces[0], &e.pieces[1], &e.notes, &e.best};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) bufs[i]->mem = mem;
    ingle_status status = encode(&e, text);
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) ig_buf_free(bufs[i]);
    ig_bpe_free(&e.bpe, mem);
    ig_free(mem, e.cache);
    return status;
}

ingle_status ig_vocab_encode_into(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text,
                                  unsigned flags, int32_t *ids, size_t cap, size_t *n,
                                  ingle_error *err) {
    struct ig_ids out = {0};
    ingle_status status = ig_vocab_encode(v, mem, text, flags, 0, &out, err);
    if (status == INGLE_OK) {
        *n = out.n;
        size_t fits = out.n < cap ? out.n : cap;
        if (fits) memcpy(ids, out.p, fits * sizeof *ids);
        if (cap && out.n > cap)
            status = ig_fail(err, INGLE_LIMIT, "make room for all of them",
                             "the text has %zu tokens, there is room for %zu", out.n, cap);
    }
    ig_ids_free(mem, &out);
    return status;
}
