/* DRY ("don't repeat yourself"): a token that would continue a sequence which already occurred is
 * made less likely, the more the longer that sequence is:  logit -= multiplier * base ^ (length -
 * allowed_length).
 *
 * Lengths come from the Z-algorithm over the reversed history, linear in the window. Nothing counts
 * across a sequence breaker. Breakers are found once, when a token is accepted, in the running text
 * of the history, so that one is seen whatever way the tokeniser cut it, and without scanning the
 * vocabulary. */
#include "sample/number.h"
#include "sample/chain.h"

#include <float.h>
#include <math.h>

static const uint32_t id_mask = 0x7fffffff, break_bit = 0x80000000;

static ingle_status copy_breakers(struct ig_sampler *s, const struct ig_sample_params *p,
                                  ingle_error *err) {
    struct ig_dry *d = &s->dry;
    static const char hint[] = "use at most 64 breakers of 1 to 64 bytes (or ids)";
    if (p->n_dry_breakers > IG_SAMPLE_MAX_BREAKERS || p->n_dry_breaker_ids > IG_SAMPLE_MAX_BREAKERS)
        return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "there are too many DRY sequence breakers");
    d->text = ig_calloc(s->mem, p->n_dry_breakers + 1, sizeof *d->text);
    d->text_n = ig_calloc(s->mem, p->n_dry_breakers + 1, 1);
    d->seq = ig_calloc(s->mem, p->n_dry_breaker_ids + 1, sizeof *d->seq);
    d->seq_n = ig_calloc(s->mem, p->n_dry_breaker_ids + 1, 1);
    if (!d->text || !d->text_n || !d->seq || !d->seq_n) return ig_fail_memory(err, sizeof *d->seq);
    for (size_t i = 0; i < p->n_dry_breakers; i++) {
        struct ig_str b = p->dry_breakers[i];
        if (!b.n || b.n > IG_SAMPLE_MAX_BREAKER)
            return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "DRY sequence breaker %zu has %zu bytes",
                           i, b.n);
        memcpy(d->text[i], b.p, b.n);
        d->text_n[i] = (uint8_t)b.n;
    }
    for (size_t i = 0; i < p->n_dry_breaker_ids; i++) {
        struct ig_token_seq b = p->dry_breaker_ids[i];
        if (!b.n || b.n > IG_SAMPLE_MAX_BREAKER)
            return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "DRY sequence breaker %zu has %zu ids", i,
                           b.n);
        memcpy(d->seq[i], b.ids, b.n * sizeof *b.ids);
        d->seq_n[i] = (uint8_t)b.n;
    }
    d->n_text = p->n_dry_breakers;
    d->n_seq = p->n_dry_breaker_ids;
    return INGLE_OK;
}

ingle_status ig_dry_open(struct ig_sampler *s, const struct ig_sample_params *p, ingle_error *err) {
    struct ig_dry *d = &s->dry;
    if (!d->window) return INGLE_OK;
    d->length = ig_calloc(s->mem, (size_t)d->window, sizeof *d->length);
    d->best = ig_calloc(s->mem, (size_t)s->n_vocab, sizeof *d->best);
    if (!d->length || !d->best) return ig_fail_memory(err, (size_t)s->n_vocab * sizeof *d->best);
    return copy_breakers(s, p, err);
}

void ig_dry_close(struct ig_sampler *s) {
    struct ig_dry *d = &s->dry;
    ig_free(s->mem, d->length);
    ig_free(s->mem, d->best);
    ig_free(s->mem, d->text);
    ig_free(s->mem, d->text_n);
    ig_free(s->mem, d->seq);
    ig_free(s->mem, d->seq_n);
}

/* Does an occurrence of `b` end inside `text`, which follows the tail? */
static bool text_ends(const struct ig_dry *d, struct ig_str b, struct ig_str text) {
    char seam[2 * IG_SAMPLE_MAX_BREAKER];
    if (ig_str_find(text, b, NULL)) return true;
    size_t before = b.n - 1 < d->tail_n ? b.n - 1 : d->tail_n,
           after = b.n - 1 < text.n ? b.n - 1 : text.n;
    memcpy(seam, d->tail + d->tail_n - before, before);
    if (after) memcpy(seam + before, text.p, after);
    return ig_str_find((struct ig_str){seam, before + after}, b, NULL);
}

static void push_tail(struct ig_dry *d, struct ig_str text) {
    size_t cap = sizeof d->tail;
    if (text.n > cap) {
        text.p += text.n - cap;
        text.n = cap;
    }
    size_t keep = d->tail_n < cap - text.n ? d->tail_n : cap - text.n;
    memmove(d->tail, d->tail + d->tail_n - keep, keep);
    if (text.n) memcpy(d->tail + keep, text.p, text.n);
    d->tail_n = (uint32_t)(keep + text.n);
}

static bool ids_end(const struct ig_sampler *s, const int32_t *seq, size_t n, int32_t id) {
    if (seq[n - 1] != id || (int32_t)(n - 1) > s->ring_n) return false;
    for (size_t i = 0; i + 1 < n; i++)
        if ((int32_t)(ig_ring_get(s, (int32_t)i) & id_mask) != seq[n - 2 - i]) return false;
    return true;
}

bool ig_dry_breaks(struct ig_sampler *s, int32_t id) {
    struct ig_dry *d = &s->dry;
    bool found = false;
    for (size_t i = 0; i < d->n_seq && !found; i++) found = ids_end(s, d->seq[i], d->seq_n[i], id);
    struct ig_str text = {NULL, 0};
    if (!d->n_text || !s->text || !s->text(s->ud, id, &text.p, &text.n)) return found;
    for (size_t i = 0; i < d->n_text && !found; i++)
        found = text_ends(d, (struct ig_str){d->text[i], d->text_n[i]}, text);
    push_tail(d, text);
    return found;
}

/* length[i] = how many of the tokens before (and with) the one `i` back are the same as the last
 * ones, at most `limit`. */
static void z_array(const struct ig_sampler *s, int32_t *z, int32_t n, int32_t limit) {
    int32_t from = 0, to = 0; /* the match that reaches furthest is [from, to) */
    z[0] = 0;
    for (int32_t i = 1; i < n; i++) {
        int32_t len = i < to ? (z[i - from] < to - i ? z[i - from] : to - i) : 0;
        while (i + len < n && len < limit &&
               (ig_ring_get(s, len) & id_mask) == (ig_ring_get(s, i + len) & id_mask))
            len++;
        z[i] = len;
        if (i + len > to) {
            from = i;
            to = i + len;
        }
    }
}

static float penalty(const struct ig_sampler *s, float logit, int32_t length) {
    double power = (double)(length - s->p.dry_allowed_length) * ig_sample_ln(s->p.dry_base);
    double y = (double)logit - s->p.dry_multiplier * ig_sample_exp(power < 88.5 ? power : 88.5);
    if (logit == -INFINITY) return logit;
    return y < -(double)FLT_MAX ? -FLT_MAX : (float)y;
}

void ig_dry_apply(struct ig_sampler *s) {
    struct ig_dry *d = &s->dry;
    int32_t n = s->ring_n < d->window ? s->ring_n : d->window, limit = 0,
            allowed = s->p.dry_allowed_length;
    while (limit < n && !(ig_ring_get(s, limit) & break_bit)) limit++;
    if (n <= allowed || limit < allowed) return;
    z_array(s, d->length, n, limit);
    for (int32_t i = 1; i < n; i++) {
        int32_t *best = &d->best[ig_ring_get(s, i - 1) & id_mask];
        if (d->length[i] >= allowed && d->length[i] > *best) *best = d->length[i];
    }
    for (size_t i = 0; !s->dense && i < s->n; i++) {
        struct ig_cand *c = &s->cands[i];
        if (!d->best[c->id]) continue;
        c->logit = penalty(s, c->logit, d->best[c->id]);
        s->sorted = false;
    }
    for (int32_t i = 1; i < n; i++) {
        uint32_t id = ig_ring_get(s, i - 1) & id_mask;
        if (s->dense && d->best[id]) s->work[id] = penalty(s, s->work[id], d->best[id]);
        d->best[id] = 0;
    }
}
