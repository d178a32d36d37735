/* Inside sample/: the sampler's state, shared by its files. */
#ifndef IG_CHAIN_H
#define IG_CHAIN_H

#include "sample/sample.h"

struct ig_cand {
    float logit;
    int32_t id;
    double p; /* a chance or a key to sort by, as the step needs */
};

/* What DRY needs at each pick; allocated only if it is on. */
struct ig_dry {
    int32_t window;  /* tokens looked back at */
    int32_t *length; /* [window] Z-array of the reversed history */
    int32_t *best;   /* [n_vocab] longest repeat a token would continue, 0 between picks */
    char (*text)[IG_SAMPLE_MAX_BREAKER];   /* [n_text] */
    uint8_t *text_n;                       /* [n_text] */
    int32_t (*seq)[IG_SAMPLE_MAX_BREAKER]; /* [n_seq] */
    uint8_t *seq_n;                        /* [n_seq] */
    size_t n_text, n_seq;
    char tail[IG_SAMPLE_MAX_BREAKER]; /* last bytes of the history's text */
    uint32_t tail_n;
};

struct ig_sampler {
    struct ig_mem *mem;
    struct ig_sample_params p; /* its pointers are not used after open, except bias (owned) */
    int32_t n_vocab;
    ig_sampler_text_fn text;
    void *ud;
    struct ig_logit_bias *bias; /* [p.n_bias] owned */

    float *work;           /* [n_vocab] logits by token id, while the chain is `dense` */
    struct ig_cand *cands; /* [cap] candidates once it is not */
    size_t n, cap;
    bool greedy;        /* only penalties and the argmax matter */
    bool dense, sorted; /* sorted: by falling logit, then rising id */

    /* Ring of the last `ring_n` accepted tokens; bit 31 marks that a DRY breaker ended with the
     * token. */
    uint32_t *ring;                    /* [ring_cap] */
    int32_t ring_cap, ring_n, ring_at; /* ring_at: where the next one goes */
    int32_t repeat_window;
    uint32_t
        *count; /* [n_vocab] occurrences in the last repeat_window; NULL if penalties are off */
    struct ig_dry dry;

    uint64_t picks; /* position of the random numbers */
    double mu;      /* mirostat */
};

ingle_status ig_sample_check(const struct ig_sample_params *p, ingle_error *err);

/* The token accepted `back` tokens ago, 0 = the last; back < ring_n. */
static inline uint32_t ig_ring_get(const struct ig_sampler *s, int32_t back) {
    int32_t at = s->ring_at - 1 - back;
    return s->ring[at < 0 ? at + s->ring_cap : at];
}

/* chain.c */
void ig_ring_push(struct ig_sampler *s, uint32_t word);

/* dry.c */
ingle_status ig_dry_open(struct ig_sampler *s, const struct ig_sample_params *p, ingle_error *err);
void ig_dry_close(struct ig_sampler *s);
/* Called before the token enters the ring: does a breaker end with it? */
bool ig_dry_breaks(struct ig_sampler *s, int32_t id);
void ig_dry_apply(struct ig_sampler *s);

/* steps.c: the samplers that cut the candidates or change all of them. */
void ig_step_make_list(struct ig_sampler *s);
void ig_step_top_k(struct ig_sampler *s, int32_t k);
void ig_step_top_p(struct ig_sampler *s);
void ig_step_min_p(struct ig_sampler *s);
void ig_step_typical(struct ig_sampler *s);
void ig_step_top_n_sigma(struct ig_sampler *s);
void ig_step_xtc(struct ig_sampler *s, double chance);
void ig_step_temperature(struct ig_sampler *s);
/* These choose and return an index into cands. u in [0, 1). */
size_t ig_step_dist(struct ig_sampler *s, double u);
size_t ig_step_mirostat1(struct ig_sampler *s, double u);
size_t ig_step_mirostat2(struct ig_sampler *s, double u);

#endif
