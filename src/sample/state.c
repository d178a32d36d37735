/* A sampler's state as bytes, for session files, and clones. Only what changes is written: history
 * with its break marks, the position of the random numbers, mirostat's mu, the tail of text that
 * DRY watches. Counts are rebuilt. */
#include "sample/number.h"
#include "sample/chain.h"

#include <math.h>

enum { MAGIC = 0x31535349 /* "ISS1" */, HEAD = 4 + 4 + 8 + 8 + IG_SAMPLE_MAX_BREAKER + 4 };

static void put32(uint8_t **at, uint32_t v) {
    for (int i = 0; i < 4; i++) *(*at)++ = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t **at, uint64_t v) {
    put32(at, (uint32_t)v);
    put32(at, (uint32_t)(v >> 32));
}

static uint32_t get32(const uint8_t **at) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t) * (*at)++ << (8 * i);
    return v;
}

static uint64_t get64(const uint8_t **at) {
    uint64_t low = get32(at);
    return low | (uint64_t)get32(at) << 32;
}

size_t ig_sampler_state_size(const struct ig_sampler *s) {
    return HEAD + 4 * (size_t)s->ring_n;
}

void ig_sampler_save(const struct ig_sampler *s, uint8_t *out) {
    uint64_t mu;
    memcpy(&mu, &s->mu, sizeof mu);
    put32(&out, MAGIC);
    put32(&out, s->dry.tail_n);
    put64(&out, s->picks);
    put64(&out, mu);
    memset(out, 0, IG_SAMPLE_MAX_BREAKER);
    memcpy(out, s->dry.tail, s->dry.tail_n);
    out += IG_SAMPLE_MAX_BREAKER;
    put32(&out, (uint32_t)s->ring_n);
    for (int32_t i = s->ring_n; i-- > 0;) put32(&out, ig_ring_get(s, i));
}

static ingle_status fail_state(const char *what, ingle_error *err) {
    return ig_fail(err, INGLE_BAD_FILE, "save it again with the same sampling options",
                   "sampler state: %s", what);
}

ingle_status ig_sampler_load(struct ig_sampler *s, const uint8_t *state, size_t n,
                             ingle_error *err) {
    const uint8_t *at = state;
    if (n < HEAD) return fail_state("cut short", err);
    if (get32(&at) != MAGIC) return fail_state("not a sampler's state of this version", err);
    uint32_t tail_n = get32(&at);
    uint64_t picks = get64(&at), mu_bits = get64(&at);
    const uint8_t *tail = at;
    at += IG_SAMPLE_MAX_BREAKER;
    uint32_t ring_n = get32(&at);
    double mu;
    memcpy(&mu, &mu_bits, sizeof mu);
    if (tail_n > IG_SAMPLE_MAX_BREAKER || !isfinite(mu))
        return fail_state("a number is out of range", err);
    if (ring_n > (uint32_t)s->ring_cap)
        return fail_state("a longer history than these options keep", err);
    if (n != HEAD + 4 * (size_t)ring_n) return fail_state("the length is wrong", err);
    const uint8_t *words = at;
    for (uint32_t i = 0; i < ring_n; i++)
        if ((get32(&at) & 0x7fffffff) >= (uint32_t)s->n_vocab)
            return fail_state("a token is not in the vocabulary", err);
    ig_sampler_reset(s);
    for (at = words; ring_n--;) ig_ring_push(s, get32(&at));
    s->picks = picks;
    s->mu = mu;
    s->dry.tail_n = tail_n;
    memcpy(s->dry.tail, tail, tail_n);
    return INGLE_OK;
}

ingle_status ig_sampler_clone(struct ig_sampler **out, const struct ig_sampler *s,
                              ingle_error *err) {
    const struct ig_dry *d = &s->dry;
    struct ig_str texts[IG_SAMPLE_MAX_BREAKERS];
    struct ig_token_seq seqs[IG_SAMPLE_MAX_BREAKERS];
    struct ig_sample_params p = s->p;
    for (size_t i = 0; i < d->n_text; i++) texts[i] = (struct ig_str){d->text[i], d->text_n[i]};
    for (size_t i = 0; i < d->n_seq; i++) seqs[i] = (struct ig_token_seq){d->seq[i], d->seq_n[i]};
    p.bias = s->bias;
    p.dry_breakers = texts;
    p.n_dry_breakers = d->n_text;
    p.dry_breaker_ids = seqs;
    p.n_dry_breaker_ids = d->n_seq;
    IG_TRY(ig_sampler_open(out, s->mem, &p, s->n_vocab, s->text, s->ud, err));
    struct ig_sampler *c = *out;
    for (int32_t i = s->ring_n; i-- > 0;) ig_ring_push(c, ig_ring_get(s, i));
    c->picks = s->picks;
    c->mu = s->mu;
    c->dry.tail_n = d->tail_n;
    memcpy(c->dry.tail, d->tail, d->tail_n);
    return INGLE_OK;
}
