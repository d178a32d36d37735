/* A timeline over a model. sync is the only way tokens get in: whatever prefix is already there is
 * kept, the rest is computed in passes of at most `batch` tokens. How it is cut changes no bit, so
 * nothing here needs to remember how it was done. */
#include "engine/session.h"

#include <math.h>

enum {
    SMALL_MODEL = 8 << 20 /* bytes */,
    MAX_THREADS = 1024,
    EACH = 64 /* positions a pass when all logits are wanted */
};

static uint32_t pick_context(const struct ingle_model *m, const ingle_options *o) {
    int64_t n = ig_options_int(o, IG_OPT_CONTEXT), trained = m->arch.hp.n_context;
    if (n == 0) n = trained < 4096 ? trained : 4096;
    if (m->arch.hp.pos == IG_POS_LEARNED && n > trained) n = trained; /* there are no rows beyond */
    return (uint32_t)n;
}

/* A model so small that waiting at barriers would cost more than the work is run on one thread. */
static unsigned pick_threads(const struct ingle_model *m, const ingle_options *o) {
    int64_t n = ig_options_int(o, IG_OPT_THREADS);
    unsigned cores = ig_os_core_count();
    if (n == 0 && ig_model_weight_bytes(m) < SMALL_MODEL) return 1;
    if (n == 0) n = cores > 16 ? 16 : cores;
    return n > MAX_THREADS ? MAX_THREADS : (unsigned)n;
}

ingle_status ig_session_cache(struct ingle_session *s, const struct ig_hparams *hp,
                              struct ig_cache *out, ingle_error *err) {
    struct ig_cache_want *want = ig_calloc(&s->mem, hp->n_layer, sizeof *want);
    if (!want) return ig_fail_memory(err, hp->n_layer * sizeof *want);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct ig_layer_params *l = &hp->layer[i];
        want[i] =
            (struct ig_cache_want){l->n_head_kv, l->head_k, l->head_v, l->window, l->kv_layer};
    }
    enum ig_cache_type type = (enum ig_cache_type)ig_options_choice(s->options, IG_OPT_KV);
    ingle_status status =
        ig_cache_open(out, &s->mem, want, hp->n_layer, type, s->context, s->batch, err);
    ig_free(&s->mem, want);
    return status;
}

ingle_status ig_session_exec(struct ingle_session *s, const struct ig_plan *plan,
                             const struct ig_placement *beside, struct ig_exec **out,
                             struct ig_placement *placed, ingle_error *err) {
    struct ig_placed p;
    struct ig_place_room room = {s->context, s->batch, beside};
    IG_TRY(ig_model_place(&p, s->model, plan, &s->mem, s->options, &room, true, err));
    struct ig_exec_config config = {
        .cpu = {.kernels = ingle_options_get(s->options, "cpu"),
                .threads = pick_threads(s->model, s->options),
                .context = s->context,
                .background = ig_options_bool(s->options, IG_OPT_BACKGROUND),
                .cancel = &s->cancel},
        .log = &s->hooks.log,
        .batch = s->batch,
        .where = p.place.where,
        .devices = p.devices,
        .n_devices = p.n,
        .gate = ig_model_devices_gate(s->model->devices)};
    ingle_status status = ig_exec_open(out, &s->mem, plan, &config, err);
    ig_placed_free(&p);
    *placed = p.place;
    return status;
}

static ingle_status open_parts(struct ingle_session *s, const struct ig_placement *beside,
                               ingle_error *err) {
    const struct ingle_model *m = s->model;
    IG_TRY(ig_model_recommend(m, &s->mem, s->options, err));
    s->context = pick_context(m, s->options);
    s->batch = (uint32_t)ig_options_int(s->options, IG_OPT_BATCH);
    if (s->batch > s->context) s->batch = s->context;
    if (s->context > m->arch.hp.n_context)
        ig_log(&s->hooks.log, INGLE_LOG_WARN,
               "context %u is longer than the %u positions the model was trained for", s->context,
               m->arch.hp.n_context);
    s->tokens = ig_calloc(&s->mem, s->context, sizeof *s->tokens);
    s->pass = ig_calloc(&s->mem, s->batch, sizeof *s->pass);
    s->wanted = ig_calloc(&s->mem, s->batch, sizeof *s->wanted);
    if (!s->tokens || !s->pass || !s->wanted)
        return ig_fail_memory(err, s->context * sizeof *s->tokens);
    IG_TRY(ig_session_cache(s, &m->arch.hp, &s->cache, err));
    return ig_session_exec(s, &m->plan, beside, &s->exec, &s->placed, err);
}

struct ig_placement ig_session_pending(const struct ingle_session *s) {
    struct ig_placement p = s->placed;
    for (uint32_t d = 0; d < IG_DEVICE_MOST && p.on[d]; d++) {
        uint64_t held = ig_exec_held(s->exec, p.on[d]);
        p.bytes[d] -= held < p.bytes[d] ? held : p.bytes[d];
    }
    return p;
}

ingle_status ingle_session_open(ingle_session **out, const ingle_model *m,
                                const ingle_options *options, ingle_error *err) {
    return ig_session_open(out, m, options, NULL, err);
}

ingle_status ig_session_open(struct ingle_session **out, const struct ingle_model *m,
                             const ingle_options *options, const struct ig_placement *beside,
                             ingle_error *err) {
    const struct ig_options_hooks *hooks = ig_options_hooks(options);
    if (!out || !m)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_session_open: out or model is NULL");
    *out = NULL;
    struct ig_mem mem = {.hook = hooks->alloc, .ud = hooks->alloc_ud};
    struct ingle_session *s = ig_calloc(&mem, 1, sizeof *s);
    if (!s) return ig_fail_memory(err, sizeof *s);
    size_t limit = (size_t)ig_options_int(options, IG_OPT_MEMORY_LIMIT),
           model = ig_mem_used(&m->mem);
    s->mem = mem;
    s->mem.limit = limit ? (limit > model ? limit - model : 1) : 0;
    s->model = m;
    ingle_status status = ig_options_copy(&s->options, options, err);
    if (status == INGLE_OK) {
        s->hooks = *ig_options_hooks(s->options);
        status = open_parts(s, beside, err);
        if (status == INGLE_OK) ig_ahead_start(&s->ahead, m);
    }
    if (status != INGLE_OK)
        ingle_session_close(s);
    else
        *out = s;
    return status;
}

void ingle_session_close(ingle_session *s) {
    if (!s) return;
    ig_ahead_stop(&s->ahead);
    ig_sampler_close(s->sampler);
    ig_exec_close(s->exec);
    ig_cache_close(&s->cache);
    ig_free(&s->mem, s->tokens);
    ig_free(&s->mem, s->pass);
    ig_free(&s->mem, s->wanted);
    ig_free(&s->mem, s->row);
    ig_free(&s->mem, s->states);
    ingle_options_free(s->options);
    struct ig_mem mem = s->mem;
    ig_free(&mem, s);
}

/* ---- Computing ---- */

uint32_t ig_session_common(const struct ingle_session *s, const int32_t *ids, size_t n) {
    uint32_t i = 0;
    while (i < s->n && i < n && s->tokens[i] == ids[i]) i++;
    return i;
}

void ig_session_cut(struct ingle_session *s, uint32_t n) {
    if (n >= s->n) return;
    s->n = ig_cache_keep(&s->cache, n);
    if (s->n_states > s->n) s->n_states = s->n;
    s->logits = NULL;
    if (s->accepted > s->n) {
        s->accepted = 0;
        if (s->sampler) ig_sampler_reset(s->sampler);
    }
}

ingle_status ig_session_check_ids(const struct ingle_session *s, const int32_t *ids, size_t n,
                                  ingle_error *err) {
    if (!n)
        return ig_fail(err, INGLE_BAD_ARGUMENT,
                       "give at least one token; many models begin with BOS",
                       "no tokens to compute");
    if (n > s->context)
        return ig_fail(err, INGLE_LIMIT, "shorten the text or raise the context size (-c)",
                       "%zu tokens do not fit the context of %u", n, s->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= s->model->arch.hp.n_vocab)
            return ig_fail(err, INGLE_BAD_ARGUMENT,
                           "ids come from ingle_tokenize of the same model",
                           "token id %d at index %zu is outside the vocabulary of %u", ids[i], i,
                           s->model->arch.hp.n_vocab);
    return INGLE_OK;
}

ingle_status ig_session_keep_states(struct ingle_session *s, ingle_error *err) {
    size_t bytes = (size_t)s->context * s->model->arch.hp.n_embd * sizeof *s->states;
    s->states = ig_alloc(&s->mem, bytes);
    ig_exec_keep_states(s->exec);
    return s->states ? INGLE_OK : ig_fail_memory(err, bytes);
}

/* Of the n tokens behind the timeline's end that were just computed. */
static void keep_states(struct ingle_session *s, uint32_t n) {
    size_t width = s->model->arch.hp.n_embd;
    if (!s->states || s->n_states < s->n) return; /* some before them were not kept */
    for (uint32_t i = 0; i < n; i++) ig_exec_state(s->exec, i, s->states + (s->n + i) * width);
    s->n_states = s->n + n;
}

/* ids[s->n .. s->n + n) in one pass; logits (or hidden states) of the last `wanted` of them. The
 * timeline does not grow yet. */
static ingle_status compute(struct ingle_session *s, const int32_t *ids, uint32_t n,
                            uint32_t wanted, bool hidden, ingle_error *err) {
    IG_TRY(ig_cache_reserve(&s->cache, s->n + n, err));
    for (uint32_t i = 0; i < n; i++)
        s->pass[i] = (struct ig_pass_token){ids[s->n + i], s->n + i, &s->cache};
    for (uint32_t i = 0; i < wanted; i++) s->wanted[i] = n - wanted + i;
    s->logits = NULL;
    struct ig_pass pass = {
        .tokens = s->pass, .n = n, .wanted = s->wanted, .n_wanted = wanted, .hidden = hidden};
    IG_TRY(ig_exec_run(s->exec, &pass, err));
    keep_states(s, n);
    return INGLE_OK;
}

static ingle_status run_pass(struct ingle_session *s, const int32_t *ids, uint32_t n,
                             uint32_t wanted, bool hidden, ingle_error *err) {
    IG_TRY(compute(s, ids, n, wanted, hidden, err));
    if (ids != s->tokens) memcpy(s->tokens + s->n, ids + s->n, n * sizeof *ids);
    s->n += n;
    ig_cache_advance(&s->cache, s->n);
    if (wanted && !hidden) s->logits = ig_exec_logits(s->exec, wanted - 1);
    return INGLE_OK;
}

ingle_status ig_session_ahead(struct ingle_session *s, uint32_t n, ingle_error *err) {
    IG_TRY(compute(s, s->tokens, n, n, false, err));
    ig_session_take(s, 0);
    return INGLE_OK;
}

void ig_session_take(struct ingle_session *s, uint32_t row) {
    ig_cache_advance(&s->cache, ++s->n);
    s->logits = ig_exec_logits(s->exec, row);
}

ingle_status ig_session_hidden(struct ingle_session *s, const int32_t *ids, uint32_t n,
                               uint32_t wanted, ingle_error *err) {
    return run_pass(s, ids, n, wanted, true, err);
}

static ingle_status told_to_stop(ingle_error *err) {
    return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
}

ingle_status ig_session_sync(struct ingle_session *s, const int32_t *ids, size_t n,
                             ig_session_progress_fn fn, void *ud, ingle_error *err) {
    IG_TRY(ig_session_check_ids(s, ids, n, err));
    uint32_t same = ig_session_common(s, ids, n);
    if (same == n && s->n == n && s->logits) return INGLE_OK;
    ig_session_cut(s, same < n ? same : (uint32_t)n - 1);
    while (s->n < n) {
        uint32_t left = (uint32_t)n - s->n, take = left < s->batch ? left : s->batch;
        if (fn && fn(ud, s->n, n)) return told_to_stop(err);
        if (s->hooks.progress && take > 1 &&
            s->hooks.progress(s->hooks.progress_ud, "prompt", (double)s->n / (double)n))
            return told_to_stop(err);
        IG_TRY(run_pass(s, ids, take, take == left, false, err));
    }
    return INGLE_OK;
}

ingle_status ingle_session_sync(ingle_session *s, const int32_t *ids, size_t n, ingle_error *err) {
    atomic_store(&s->cancel, false);
    return ig_session_sync(s, ids, n, NULL, NULL, err);
}

ingle_status ingle_session_sync_each(ingle_session *s, const int32_t *ids, size_t n,
                                     ingle_logits_fn fn, void *ud, ingle_error *err) {
    atomic_store(&s->cancel, false);
    IG_TRY(ig_session_check_ids(s, ids, n, err));
    uint32_t same = ig_session_common(s, ids, n);
    ig_session_cut(s, same < n ? same : (uint32_t)n - 1);
    while (s->n < n) {
        uint32_t left = (uint32_t)n - s->n, take = left < s->batch ? left : s->batch, from = s->n;
        if (take > EACH) take = EACH;
        IG_TRY(run_pass(s, ids, take, take, false, err));
        for (uint32_t i = 0; i < take; i++)
            if (fn(ud, from + i, ig_exec_logits(s->exec, i))) return told_to_stop(err);
    }
    return INGLE_OK;
}

ingle_status ig_session_step(struct ingle_session *s, int32_t id, ingle_error *err) {
    IG_TRY(ig_session_check_ids(s, &id, 1, err));
    if (s->n >= s->context) return ig_cache_reserve(&s->cache, s->context + 1, err); /* says so */
    s->tokens[s->n] = id; /* run_pass reads ids[s->n] */
    return run_pass(s, s->tokens, 1, 1, false, err);
}

ingle_status ingle_session_step(ingle_session *s, int32_t id, ingle_error *err) {
    atomic_store(&s->cancel, false);
    return ig_session_step(s, id, err);
}

const float *ingle_session_logits(const ingle_session *s) {
    return s->logits;
}

const int32_t *ingle_session_tokens(const ingle_session *s, size_t *n) {
    if (n) *n = s->n;
    return s->tokens;
}

void ingle_session_cancel(ingle_session *s) {
    atomic_store(&s->cancel, true);
}

size_t ingle_session_bytes(const ingle_session *s) {
    return ig_mem_used(&s->mem);
}

/* ---- Sampling ---- */

static bool token_text(void *ud, int32_t id, const char **text, size_t *n) {
    const struct ingle_model *m = ud;
    struct ig_str s = m->vocab ? ig_vocab_bytes(m->vocab, id) : (struct ig_str){NULL, 0};
    *text = s.p;
    *n = s.n;
    return s.p != NULL;
}

static ingle_status ban_ends(const struct ingle_session *s, struct ig_sampler *sampler,
                             ingle_error *err) {
    const struct ig_vocab *v = s->model->vocab;
    for (int32_t id = 0; v && id < ig_vocab_size(v); id++)
        if (ig_vocab_is_end(v, id)) IG_TRY(ig_sampler_ban(sampler, &id, 1, err));
    return INGLE_OK;
}

ingle_status ig_session_sampler(struct ingle_session *s, const ingle_options *o,
                                struct ig_sampler **out, ingle_error *err) {
    struct ig_sample_params p;
    ig_options_sampling(o, &p);
    p.n_context = (int32_t)s->context;
    void *ud = (void *)(uintptr_t)s->model;
    IG_TRY(
        ig_sampler_open(out, &s->mem, &p, (int32_t)s->model->arch.hp.n_vocab, token_text, ud, err));
    ingle_status status = ig_options_bool(o, IG_OPT_IGNORE_EOS) ? ban_ends(s, *out, err) : INGLE_OK;
    if (status == INGLE_OK) return status;
    ig_sampler_close(*out);
    *out = NULL;
    return status;
}

ingle_status ingle_session_sample(ingle_session *s, int32_t *id, ingle_error *err) {
    if (!s->logits)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "call ingle_session_sync first",
                       "there are no logits to sample from");
    if (!s->sampler) IG_TRY(ig_session_sampler(s, s->options, &s->sampler, err));
    for (; s->accepted < s->n; s->accepted++) ig_sampler_accept(s->sampler, s->tokens[s->accepted]);
    return ig_sampler_pick(s->sampler, s->logits, id, err);
}
