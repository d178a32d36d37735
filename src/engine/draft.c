/* The draft's session is brought to the timeline's tokens at each round: what it guessed wrongly is
 * cut off, what it missed is computed in one pass. How sure a guess is shows in the lead of the
 * highest logit over the next; what a lead is worth is learned. */
#include "engine/draft.h"

#include <stdio.h>

enum { MEMORY = 64 /* guesses over which a chance is averaged */ };
static const float leads[IG_DRAFT_CLASSES - 1] = {0.3f, 0.7f, 1.2f, 2, 3, 5, 8}; /* upper ends */
static const double prior[IG_DRAFT_CLASSES] = {0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95};

/* ---- Opening ---- */

static ingle_status other_vocabulary(const struct ingle_model *m, ingle_error *err) {
    return ig_fail_in(err, "%s cannot draft", m->path);
}

/* Rows may differ by padding; a name that differs would make every guess another word. */
static ingle_status compare(const struct ig_vocab *a, const struct ig_vocab *b, ingle_error *err) {
    const char *hint = "a draft model must have the vocabulary of the model it drafts for";
    int32_t n = ig_vocab_size(a), other = ig_vocab_size(b);
    if (n != other)
        return ig_fail(err, INGLE_UNSUPPORTED, hint, "its vocabulary has %d tokens, the model's %d",
                       other, n);
    for (int32_t id = 0; id < n; id++)
        if (!ig_str_eq(ig_vocab_bytes(a, id), ig_vocab_bytes(b, id)))
            return ig_fail(err, INGLE_UNSUPPORTED, hint,
                           "token %d is '%.*s' in its vocabulary and '%.*s' in the model's", id,
                           (int)ig_vocab_bytes(b, id).n, ig_vocab_bytes(b, id).p,
                           (int)ig_vocab_bytes(a, id).n, ig_vocab_bytes(a, id).p);
    return INGLE_OK;
}

static ingle_status check_vocabulary(const struct ingle_model *main, const struct ingle_model *m,
                                     ingle_error *err) {
    ingle_status status = INGLE_OK;
    if (main->vocab && m->vocab)
        status = compare(main->vocab, m->vocab, err);
    else if (main->vocab || m->vocab || main->arch.hp.n_vocab != m->arch.hp.n_vocab)
        status = ig_fail(err, INGLE_UNSUPPORTED,
                         "a draft model must have the vocabulary of the model it drafts for",
                         "its vocabulary cannot be compared");
    if (status != INGLE_OK) other_vocabulary(m, err);
    return status;
}

/* One limit for both models: the draft may have what the other left. */
static ingle_status limit_memory(const struct ingle_session *main, ingle_options *o,
                                 ingle_error *err) {
    char text[32];
    size_t used = ig_mem_used(&main->mem);
    if (!main->mem.limit) return INGLE_OK;
    snprintf(text, sizeof text, "%zu", main->mem.limit > used ? main->mem.limit - used : 1);
    return ingle_options_set(o, "memory-limit", text, err);
}

static ingle_status open_parts(struct ig_draft *d, struct ingle_session *main, const char *path,
                               ingle_options *o, ingle_error *err) {
    char context[16];
    snprintf(context, sizeof context, "%u", main->context);
    IG_TRY(limit_memory(main, o, err));
    IG_TRY(ingle_options_set(o, "context", context, err));
    IG_TRY(ingle_options_set(o, "rope-freq-base", "0", err)); /* these were for the other model */
    IG_TRY(ingle_options_set(o, "rope-freq-scale", "0", err));
    IG_TRY(ingle_options_set(o, "rope-precision", "auto", err));
    if (ig_options_int(o, IG_OPT_GPU_LAYERS) > 0)
        IG_TRY(ingle_options_set(o, "gpu-layers", "auto",
                                 err)); /* a number is of the other's layers */
    IG_TRY(ingle_model_open(&d->model, path, o, err));
    IG_TRY(check_vocabulary(main->model, d->model, err));
    d->size = (double)ig_model_weight_bytes(d->model) / (double)ig_model_weight_bytes(main->model);
    d->n_vocab = d->model->arch.hp.n_vocab;
    if (d->n_vocab > main->model->arch.hp.n_vocab) d->n_vocab = main->model->arch.hp.n_vocab;
    d->context = main->context;
    struct ig_placement beside = ig_session_pending(main);
    return ig_session_open(&d->s, d->model, o, &beside, err);
}

static ingle_status new_draft(struct ig_draft **out, struct ingle_session *main, ingle_error *err) {
    struct ig_draft *d = *out = ig_calloc(&main->mem, 1, sizeof *d);
    if (!d) return ig_fail_memory(err, sizeof *d);
    d->mem = &main->mem;
    d->mean = 0.7;
    memcpy(d->chance, prior, sizeof prior);
    return INGLE_OK;
}

ingle_status ig_draft_open(struct ig_draft **out, struct ingle_session *main, const char *path,
                           ingle_error *err) {
    ingle_options *o = NULL;
    struct ig_draft *d;
    *out = NULL;
    IG_TRY(new_draft(&d, main, err));
    ingle_status status = ig_options_copy(&o, main->options, err);
    if (status == INGLE_OK) status = open_parts(d, main, path, o, err);
    ingle_options_free(o);
    if (status != INGLE_OK)
        ig_draft_close(d);
    else
        *out = d;
    return status;
}

/* Bytes of the matrices that a plan reads. */
static double plan_bytes(const struct ig_plan *p) {
    double bytes = 0;
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (unsigned j = 0; j < p->ops[i].n_to; j++) {
            const struct ig_mat *m = &p->ops[i].w[j]->mat;
            bytes += (double)m->row_bytes * m->rows * m->count;
        }
    return bytes;
}

ingle_status ig_draft_open_heads(struct ig_draft **out, struct ingle_session *main,
                                 ingle_error *err) {
    struct ig_draft *d;
    *out = NULL;
    IG_TRY(new_draft(&d, main, err));
    d->context = main->context;
    d->n_vocab = main->model->arch.hp.n_vocab;
    d->size = plan_bytes(&main->model->predict) / plan_bytes(&main->model->plan);
    ingle_status status = ig_heads_open(&d->heads, main, err);
    if (status != INGLE_OK)
        ig_draft_close(d);
    else
        *out = d;
    return status;
}

void ig_draft_close(struct ig_draft *d) {
    if (!d) return;
    ig_heads_close(d->heads);
    ingle_session_close(d->s);
    ingle_model_close(d->model);
    ig_free(d->mem, d);
}

/* ---- Guessing ---- */

/* The most likely token, the lower id of equals, and the class of its lead. */
static int32_t best(const float *logits, uint32_t n, uint8_t *kind) {
    float first = logits[0], second = -3e38f;
    int32_t id = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > first) {
            second = first;
            first = logits[i];
            id = (int32_t)i;
        } else if (logits[i] > second) {
            second = logits[i];
        }
    for (*kind = 0; *kind + 1 < IG_DRAFT_CLASSES && !(first - second < leads[*kind]);) ++*kind;
    return id;
}

/* Tokens without a row in the draft, and the end of its context, end its part. */
static bool can_follow(const struct ig_draft *d, const int32_t *tokens, uint32_t n) {
    if (n >= d->context) return false;
    if (d->heads) return ig_heads_can(d->heads, n);
    for (uint32_t i = ig_session_common(d->s, tokens, n); i < n; i++)
        if ((uint32_t)tokens[i] >= d->model->arch.hp.n_vocab) return false;
    return true;
}

static ingle_status follow(struct ig_draft *d, const int32_t *tokens, uint32_t n,
                           ingle_error *err) {
    return d->heads ? ig_heads_sync(d->heads, tokens, n, err)
                    : ig_session_sync(d->s, tokens, n, NULL, NULL, err);
}

static ingle_status go_on(struct ig_draft *d, int32_t id, ingle_error *err) {
    return d->heads ? ig_heads_step(d->heads, id, err) : ig_session_step(d->s, id, err);
}

/* Tokens it has computed, beside guesses of heads. */
static uint32_t behind(const struct ig_draft *d) {
    return d->heads ? d->heads->n + 1 : d->s->n;
}

ingle_status ig_draft_follow(struct ig_draft *d, const int32_t *tokens, uint32_t n,
                             ingle_error *err) {
    if (!can_follow(d, tokens, n)) return INGLE_OK;
    return follow(d, tokens, n, err);
}

static void note_time(struct ig_draft *d, double seconds) {
    d->samples++;
    d->seconds = d->samples <= 2
                     ? seconds
                     : d->seconds + 0.15 * ((seconds < 2 * d->seconds ? seconds : 2 * d->seconds) -
                                            d->seconds);
}

ingle_status ig_draft_guess(struct ig_draft *d, const int32_t *tokens, uint32_t n_tokens,
                            uint32_t most, double least, int32_t *guess, double *chance,
                            uint32_t *n, ingle_error *err) {
    double run = 1;
    *n = 0;
    if (!can_follow(d, tokens, n_tokens)) return INGLE_OK;
    if (most > IG_DRAFT_MOST) most = IG_DRAFT_MOST;
    if (most > d->context - n_tokens) most = d->context - n_tokens;
    for (uint32_t i = 0; i < most && run > least; i++) {
        double start = ig_os_seconds();
        bool step = i || behind(d) + 2 >= n_tokens; /* not one that has to catch up first */
        IG_TRY(i ? go_on(d, guess[i - 1], err) : follow(d, tokens, n_tokens, err));
        int32_t id = best(d->heads ? d->heads->logits : d->s->logits, d->n_vocab, &d->kind[i]);
        if (step) note_time(d, ig_os_seconds() - start);
        guess[i] = id;
        chance[i] = d->chance[d->kind[i]];
        run *= chance[i];
        *n = i + 1;
    }
    return INGLE_OK;
}

void ig_draft_learn(struct ig_draft *d, uint32_t i, bool came_true) {
    double *chance = &d->chance[d->kind[i]];
    *chance += (came_true - *chance) / MEMORY;
    d->mean += (came_true - d->mean) / MEMORY;
}
