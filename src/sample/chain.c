/* The sampler: opens a chain for checked parameters, keeps the history that penalties look back at,
 * and runs the chain on a row of logits.
 *
 * A pick never allocates and is total: any bits may stand in the logits. NaN and +inf cannot come
 * from a healthy model, so they are an error; -inf means a forbidden token. Logit biases come
 * first, then the chain in its order, then the draw. Mirostat takes the place of the truncating
 * samplers: penalties, DRY, temperature, mirostat.
 *
 * The subtle thing is how much memory a list of candidates needs: as long as only steps that work
 * on dense logits come before top-k (the default chain), it is k entries and not the vocabulary's
 * size. */
#include "sample/number.h"
#include "sample/chain.h"

#include <float.h>
#include <math.h>

static const uint32_t id_mask = 0x7fffffff, break_bit = 0x80000000;

/* ---- Opening ---- */

static bool penalties_on(const struct ig_sample_params *p) {
    return p->repeat_last_n &&
           (p->repeat_penalty != 1 || p->frequency_penalty != 0 || p->presence_penalty != 0);
}

/* Would this step do anything? */
static bool active(const struct ig_sampler *s, unsigned kind) {
    const struct ig_sample_params *p = &s->p;
    switch ((enum ig_sampler_kind)kind) {
    case IG_SAMPLER_PENALTIES: return s->repeat_window > 0;
    case IG_SAMPLER_DRY: return s->dry.window > 0;
    case IG_SAMPLER_TOP_N_SIGMA: return p->top_n_sigma > 0;
    case IG_SAMPLER_TOP_K: return p->top_k > 0 && p->top_k < s->n_vocab;
    case IG_SAMPLER_TYP_P: return p->typical_p < 1;
    case IG_SAMPLER_TOP_P: return p->top_p < 1;
    case IG_SAMPLER_MIN_P: return p->min_p > 0;
    case IG_SAMPLER_XTC: return p->xtc_probability > 0 && p->xtc_threshold <= 0.5;
    case IG_SAMPLER_TEMPERATURE: return true;
    case IG_SAMPLER_KINDS: break;
    }
    return false;
}

/* Entries the list can have: see the head of this file. */
static size_t list_capacity(const struct ig_sampler *s) {
    size_t all = (size_t)s->n_vocab, keep = s->p.min_keep > 1 ? (size_t)s->p.min_keep : 1;
    for (size_t i = 0; i < s->p.n_order && !s->p.mirostat; i++) {
        unsigned kind = s->p.order[i];
        if (!active(s, kind) || kind == IG_SAMPLER_PENALTIES || kind == IG_SAMPLER_DRY) continue;
        if (kind == IG_SAMPLER_TOP_N_SIGMA && keep == 1) continue;
        if (kind == IG_SAMPLER_TEMPERATURE && s->p.dynatemp_range <= 0) {
            if (s->p.temperature < 1e-10) return 1;
            continue;
        }
        if (kind != IG_SAMPLER_TOP_K) return all;
        size_t k = (size_t)s->p.top_k > keep ? (size_t)s->p.top_k : keep;
        return k < all ? k : all;
    }
    return all;
}

/* True if nothing in the chain can drop the most likely token and temperature is 0: then the argmax
 * after the penalties is the answer. */
static bool is_greedy(const struct ig_sampler *s) {
    bool cold = false, cut = false;
    if (s->p.mirostat || s->p.temperature >= 1e-10 || s->p.dynatemp_range > 0) return false;
    for (size_t i = 0; i < s->p.n_order; i++) {
        unsigned kind = s->p.order[i];
        bool changes = kind == IG_SAMPLER_PENALTIES || kind == IG_SAMPLER_DRY;
        if (!active(s, kind)) continue;
        if (kind == IG_SAMPLER_XTC || kind == IG_SAMPLER_TYP_P || (changes && cut)) return false;
        cold = cold || kind == IG_SAMPLER_TEMPERATURE;
        cut = cut || !changes;
    }
    return cold;
}

static bool in_order(const struct ig_sample_params *p, unsigned kind) {
    for (size_t i = 0; i < p->n_order; i++)
        if (p->order[i] == kind) return true;
    return p->mirostat != 0;
}

static ingle_status set_windows(struct ig_sampler *s, ingle_error *err) {
    const struct ig_sample_params *p = &s->p;
    bool penalties = penalties_on(p) && in_order(p, IG_SAMPLER_PENALTIES);
    bool dry = p->dry_multiplier > 0 && p->dry_penalty_last_n && in_order(p, IG_SAMPLER_DRY);
    s->repeat_window = penalties ? p->repeat_last_n : 0;
    s->dry.window = dry ? p->dry_penalty_last_n : 0;
    if ((s->repeat_window < 0 || s->dry.window < 0) && p->n_context < 1)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "set n_context",
                       "last_n is -1, but the context's size is not known");
    if (s->repeat_window < 0) s->repeat_window = p->n_context;
    if (s->dry.window < 0) s->dry.window = p->n_context;
    s->ring_cap = s->repeat_window > s->dry.window ? s->repeat_window : s->dry.window;
    return INGLE_OK;
}

static ingle_status copy_bias(struct ig_sampler *s, const struct ig_sample_params *p,
                              ingle_error *err) {
    for (size_t i = 0; i < p->n_bias; i++)
        if (p->bias[i].id < 0 || p->bias[i].id >= s->n_vocab)
            return ig_fail(err, INGLE_BAD_ARGUMENT, "use ids of this model's vocabulary",
                           "logit bias for token %d, but the vocabulary has %d", p->bias[i].id,
                           s->n_vocab);
    s->p.n_bias = 0;
    if (!p->n_bias) return INGLE_OK;
    size_t bytes;
    s->bias = ig_mul(p->n_bias, sizeof *s->bias, &bytes) ? ig_alloc(s->mem, bytes) : NULL;
    if (!s->bias) return ig_fail_memory(err, p->n_bias);
    memcpy(s->bias, p->bias, bytes);
    s->p.n_bias = p->n_bias;
    return INGLE_OK;
}

static ingle_status allocate(struct ig_sampler *s, const struct ig_sample_params *p,
                             ingle_error *err) {
    size_t n = (size_t)s->n_vocab;
    IG_TRY(set_windows(s, err));
    s->greedy = is_greedy(s);
    s->cap = s->greedy ? 1 : list_capacity(s);
    s->work = ig_calloc(s->mem, n, sizeof *s->work);
    s->cands = ig_calloc(s->mem, s->cap, sizeof *s->cands);
    if (!s->work || !s->cands)
        return ig_fail_memory(err, n * sizeof *s->work + s->cap * sizeof *s->cands);
    if (s->ring_cap && !(s->ring = ig_calloc(s->mem, (size_t)s->ring_cap, sizeof *s->ring)))
        return ig_fail_memory(err, (size_t)s->ring_cap * sizeof *s->ring);
    if (s->repeat_window && !(s->count = ig_calloc(s->mem, n, sizeof *s->count)))
        return ig_fail_memory(err, n * sizeof *s->count);
    IG_TRY(copy_bias(s, p, err));
    return ig_dry_open(s, p, err);
}

ingle_status ig_sampler_open(struct ig_sampler **out, struct ig_mem *mem,
                             const struct ig_sample_params *p, int32_t n_vocab,
                             ig_sampler_text_fn text, void *ud, ingle_error *err) {
    *out = NULL;
    IG_TRY(ig_sample_check(p, err));
    if (n_vocab < 1)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "the vocabulary has %d tokens", n_vocab);
    struct ig_sampler *s = ig_calloc(mem, 1, sizeof *s);
    if (!s) return ig_fail_memory(err, sizeof *s);
    s->mem = mem;
    s->p = *p;
    s->n_vocab = n_vocab;
    s->text = text;
    s->ud = ud;
    ingle_status st = allocate(s, p, err);
    if (st != INGLE_OK) {
        ig_sampler_close(s);
        return st;
    }
    ig_sampler_reset(s);
    *out = s;
    return INGLE_OK;
}

void ig_sampler_close(struct ig_sampler *s) {
    if (!s) return;
    ig_dry_close(s);
    ig_free(s->mem, s->bias);
    ig_free(s->mem, s->count);
    ig_free(s->mem, s->ring);
    ig_free(s->mem, s->cands);
    ig_free(s->mem, s->work);
    ig_free(s->mem, s);
}

void ig_sampler_reset(struct ig_sampler *s) {
    s->ring_n = s->ring_at = 0;
    s->picks = 0;
    s->mu = 2 * s->p.mirostat_tau;
    s->n = 0;
    s->dry.tail_n = 0;
    if (s->count) memset(s->count, 0, (size_t)s->n_vocab * sizeof *s->count);
}

ingle_status ig_sampler_ban(struct ig_sampler *s, const int32_t *ids, size_t n, ingle_error *err) {
    size_t total, bytes;
    if (!n) return INGLE_OK;
    if (!ig_add(s->p.n_bias, n, &total) || !ig_mul(total, sizeof *s->bias, &bytes))
        return ig_fail_memory(err, n);
    struct ig_logit_bias *bias = ig_realloc(s->mem, s->bias, bytes);
    if (!bias) return ig_fail_memory(err, bytes);
    s->bias = bias;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < s->n_vocab)
            s->bias[s->p.n_bias++] = (struct ig_logit_bias){ids[i], -INFINITY};
    return INGLE_OK;
}

/* ---- History ---- */

void ig_ring_push(struct ig_sampler *s, uint32_t word) {
    if (s->count) {
        if (s->ring_n >= s->repeat_window)
            s->count[ig_ring_get(s, s->repeat_window - 1) & id_mask]--;
        s->count[word & id_mask]++;
    }
    s->ring[s->ring_at] = word;
    s->ring_at = s->ring_at + 1 == s->ring_cap ? 0 : s->ring_at + 1;
    if (s->ring_n < s->ring_cap) s->ring_n++;
}

void ig_sampler_accept(struct ig_sampler *s, int32_t id) {
    if (id < 0 || id >= s->n_vocab || !s->ring_cap) return;
    bool breaks = s->dry.window && ig_dry_breaks(s, id);
    ig_ring_push(s, (uint32_t)id | (breaks ? break_bit : 0));
}

/* A penalty must not make a disliked token likelier: negative logits are multiplied. */
static float penalise(const struct ig_sampler *s, float logit, uint32_t count) {
    double y = (double)logit;
    if (logit == -INFINITY) return logit;
    y = y <= 0 ? y * s->p.repeat_penalty : y / s->p.repeat_penalty;
    y = y - ((double)count * s->p.frequency_penalty + s->p.presence_penalty);
    return y < -(double)FLT_MAX ? -FLT_MAX : y > (double)FLT_MAX ? FLT_MAX : (float)y;
}

static void apply_penalties(struct ig_sampler *s) {
    if (!s->dense) {
        for (size_t i = 0; i < s->n; i++) {
            struct ig_cand *c = &s->cands[i];
            if (s->count[c->id]) c->logit = penalise(s, c->logit, s->count[c->id]);
        }
        s->sorted = false;
        return;
    }
    /* Walk the window; bit 31 of a count marks the tokens already done. */
    int32_t n = s->ring_n < s->repeat_window ? s->ring_n : s->repeat_window;
    for (int32_t i = 0; i < n; i++) {
        uint32_t id = ig_ring_get(s, i) & id_mask;
        if (s->count[id] & break_bit) continue;
        s->work[id] = penalise(s, s->work[id], s->count[id]);
        s->count[id] |= break_bit;
    }
    for (int32_t i = 0; i < n; i++) s->count[ig_ring_get(s, i) & id_mask] &= id_mask;
}

/* ---- Picking ---- */

static ingle_status fail_logit(const float *logits, int32_t n, ingle_error *err) {
    for (int32_t i = 0; i < n; i++)
        if (!(logits[i] <= FLT_MAX))
            return ig_fail(err, INGLE_NUMERIC,
                           "the weights are damaged: get the model again and compare its checksum",
                           "the logit of token %d is %s", i,
                           logits[i] > 0 ? "infinite" : "not a number");
    return ig_fail(err, INGLE_INTERNAL, NULL, "logits changed during a pick");
}

/* Integer tests, so that compilers vectorise them without permission to reorder floats. */
static bool copy_logits(float *to, const float *from, size_t n) {
    uint32_t bad = 0;
    memcpy(to, from, n * sizeof *to);
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &to[i], sizeof u);
        bad |= (uint32_t)((u & 0x7fffffffu) >= 0x7f800000u) & (uint32_t)(u != 0xff800000u);
    }
    return !bad;
}

static void apply_bias(struct ig_sampler *s) {
    for (size_t i = 0; i < s->p.n_bias; i++) {
        float *w = &s->work[s->bias[i].id];
        double y = (double)*w + (double)s->bias[i].bias;
        *w = y > (double)FLT_MAX                     ? FLT_MAX
             : y < -(double)FLT_MAX && y > -INFINITY ? -FLT_MAX
                                                     : (float)y;
    }
}

static void run_step(struct ig_sampler *s, unsigned kind) {
    switch ((enum ig_sampler_kind)kind) {
    case IG_SAMPLER_PENALTIES: apply_penalties(s); break;
    case IG_SAMPLER_DRY: ig_dry_apply(s); break;
    case IG_SAMPLER_TOP_N_SIGMA: ig_step_top_n_sigma(s); break;
    case IG_SAMPLER_TOP_K: ig_step_top_k(s, s->p.top_k); break;
    case IG_SAMPLER_TYP_P: ig_step_typical(s); break;
    case IG_SAMPLER_TOP_P: ig_step_top_p(s); break;
    case IG_SAMPLER_MIN_P: ig_step_min_p(s); break;
    case IG_SAMPLER_XTC: ig_step_xtc(s, ig_sample_uniform(s->p.seed, s->picks, 1)); break;
    case IG_SAMPLER_TEMPERATURE: ig_step_temperature(s); break;
    case IG_SAMPLER_KINDS: break;
    }
}

static void run_chain(struct ig_sampler *s) {
    if (s->p.mirostat || s->greedy) {
        if (active(s, IG_SAMPLER_PENALTIES)) apply_penalties(s);
        if (active(s, IG_SAMPLER_DRY)) ig_dry_apply(s);
        ig_step_temperature(s);
        ig_step_make_list(s);
        return;
    }
    for (size_t i = 0; i < s->p.n_order; i++)
        if (active(s, s->p.order[i])) run_step(s, s->p.order[i]);
    ig_step_make_list(s);
}

ingle_status ig_sampler_pick(struct ig_sampler *s, const float *logits, int32_t *id,
                             ingle_error *err) {
    *id = -1;
    s->dense = true;
    s->sorted = false;
    s->n = 0;
    if (!copy_logits(s->work, logits, (size_t)s->n_vocab))
        return fail_logit(logits, s->n_vocab, err);
    apply_bias(s);
    run_chain(s);
    if (!s->n)
        return ig_fail(err, INGLE_NUMERIC, "take logit biases back",
                       "every token is forbidden (all logits are -inf)");
    double u = ig_sample_uniform(s->p.seed, s->picks++, 0);
    size_t chosen = s->p.mirostat == 1   ? ig_step_mirostat1(s, u)
                    : s->p.mirostat == 2 ? ig_step_mirostat2(s, u)
                                         : ig_step_dist(s, u);
    *id = s->cands[chosen].id;
    return INGLE_OK;
}

size_t ig_sampler_candidates(const struct ig_sampler *s, int32_t *ids, double *chances,
                             size_t cap) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->cands[i].p;
    for (size_t i = 0; i < s->n && i < cap; i++) {
        if (ids) ids[i] = s->cands[i].id;
        if (chances) chances[i] = s->cands[i].p / sum;
    }
    return s->n;
}
