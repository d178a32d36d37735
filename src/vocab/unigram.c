/* Unigram: the most probable segmentation, by dynamic programming over the bytes of a piece.
 *
 * The tokens that start at a position are found by extending a rolling hash byte by byte. A filter
 * of all prefixes of all tokens says when to stop, a second one whether to ask the token table;
 * both may say yes too often, never no wrongly. Scores are added as doubles from left to right, the
 * order the reference has. */
#include "vocab/impl.h"
#include "base/utf8.h"

struct best {
    double score;
    uint32_t from;
    int32_t id;
};
enum { UNSET = -2, UNKNOWN = -1 };

static uint64_t extend(uint64_t h, char c) {
    return (h ^ (unsigned char)c) * 0x9fb21c651e98df25u + 0x9e3779b9u;
}
static uint32_t place(const struct ig_vocab *v, uint64_t h) {
    return (uint32_t)(h >> 32) & v->prefix_mask;
}
static bool bit(const uint64_t *set, uint32_t i) {
    return set[i >> 6] >> (i & 63) & 1;
}
static void set_bit(uint64_t *set, uint32_t i) {
    set[i >> 6] |= (uint64_t)1 << (i & 63);
}

static const uint64_t *whole(const struct ig_vocab *v) {
    return v->prefixes + ((size_t)v->prefix_mask + 1) / 64;
}

ingle_status ig_unigram_build(struct ig_vocab *v, ingle_error *err) {
    const struct ig_tokens *t = &v->tokens;
    uint64_t bytes = 1024, size = 1024;
    for (int32_t id = 0; id < t->n; id++)
        if (!(t->type[id] & IG_TYPE_HIDDEN)) bytes += ig_tokens_spelling(t, id).n;
    while (size < bytes * 4 && size < 1u << 28) size *= 2;
    v->prefix_mask = (uint32_t)size - 1;
    v->prefixes = ig_calloc(v->mem, (size_t)size / 64 * 2, sizeof *v->prefixes);
    if (!v->prefixes) return ig_fail_memory(err, (size_t)size / 4);
    double least = 0;
    bool any = false;
    for (int32_t id = 0; id < t->n; id++) {
        double s = v->exact_score[id];
        if (s != s)
            return ig_fail(err, INGLE_BAD_FILE, "convert the model again",
                           "the score of token %d is not a number", id);
        if (!any || s < least) least = s;
        any = true;
        if (t->type[id] & IG_TYPE_HIDDEN) continue;
        struct ig_str text = ig_tokens_spelling(t, id);
        uint64_t h = 0;
        for (size_t i = 0; i < text.n; i++)
            set_bit(v->prefixes, place(v, h = extend(h, text.p[i])));
        set_bit(v->prefixes + size / 64, place(v, h));
    }
    v->unk_score = least - 10.0;
    return INGLE_OK;
}

static void offer(struct best *at, double score, uint32_t from, int32_t id) {
    if (at->id == UNSET || score > at->score) *at = (struct best){score, from, id};
}

/* All tokens that start at `at`; true if one covers exactly the first character. */
static bool tokens_from(const struct ig_vocab *v, struct ig_str s, size_t at, size_t len,
                        struct best *best) {
    const uint64_t *ends = whole(v);
    uint64_t h = 0;
    bool single = false;
    size_t most = s.n - at < v->tokens.longest ? s.n - at : v->tokens.longest;
    if (most > IG_MAX_MATCHED) most = IG_MAX_MATCHED;
    for (size_t n = 1; n <= most; n++) {
        uint32_t where = place(v, h = extend(h, s.p[at + n - 1]));
        if (!bit(v->prefixes, where)) break;
        if (!bit(ends, where)) continue;
        int32_t id = ig_tokens_find(&v->tokens, s.p + at, n, ig_vocab_hash(s.p + at, n));
        if (id < 0) continue;
        offer(best + at + n, best[at].score + v->exact_score[id], (uint32_t)at, id);
        if (n == len) single = true;
    }
    return single;
}

static ingle_status put_unknown(struct ig_enc *e, struct ig_str text) {
    const struct ig_vocab *v = e->v;
    bool last = false;
    int32_t id = ig_tokens_find(&v->tokens, text.p, text.n, ig_vocab_hash(text.p, text.n));
    if (id >= 0) return ig_enc_put(e, id);
    return ig_enc_unknown(e, text, &last);
}

ingle_status ig_encode_unigram(struct ig_enc *e, struct ig_str s) {
    const struct ig_vocab *v = e->v;
    size_t size;
    if (!s.n) return INGLE_OK;
    ig_buf_clear(&e->best);
    if (!ig_mul(s.n + 1, sizeof(struct best), &size) || !ig_buf_reserve(&e->best, size))
        return ig_fail_memory(e->err, s.n);
    struct best *best = (struct best *)(void *)e->best.p;
    for (size_t i = 0; i <= s.n; i++) best[i].id = UNSET;
    best[0].score = 0;
    for (size_t at = 0; at < s.n;) {
        uint32_t cp;
        size_t len = ig_utf8_decode(s.p + at, s.n - at, &cp);
        if (!len) len = 1;
        if (!tokens_from(v, s, at, len, best))
            offer(best + at + len, best[at].score + v->unk_score, (uint32_t)at, UNKNOWN);
        at += len;
    }
    /* Back along the chosen path, turning `from` round so that it leads forward. */
    uint32_t end = (uint32_t)s.n, next = end;
    while (end) {
        uint32_t from = best[end].from;
        best[end].from = next;
        next = end;
        end = from;
    }
    for (uint32_t at = next, start = 0;; start = at, at = best[at].from) {
        if (best[at].id == UNKNOWN) /* neighbours that are unknown are one */
            while (at < s.n && best[best[at].from].id == UNKNOWN) at = best[at].from;
        if (best[at].id == UNKNOWN)
            IG_TRY(put_unknown(e, (struct ig_str){s.p + start, at - start}));
        else
            IG_TRY(ig_enc_put(e, best[at].id));
        if (at == s.n) return INGLE_OK;
    }
}
