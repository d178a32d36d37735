/* States and logits follow from tokens alone, so what was computed for a token stays right as long
 * as the tokens up to it are the same: comparing tokens is all that is needed after guesses, cuts
 * and new requests. */
#include "engine/heads.h"

static ingle_status open_parts(struct ig_heads *h, ingle_error *err) {
    struct ingle_session *s = h->main;
    const struct ig_arch *a = s->model->arch.predict;
    h->tokens = ig_calloc(&s->mem, s->context, sizeof *h->tokens);
    h->pass = ig_calloc(&s->mem, s->batch, sizeof *h->pass);
    h->state = ig_calloc(&s->mem, a->hp.n_embd, sizeof *h->state);
    if (!h->tokens || !h->pass || !h->state)
        return ig_fail_memory(err, s->context * sizeof *h->tokens);
    IG_TRY(ig_session_keep_states(s, err));
    IG_TRY(ig_session_cache(s, &a->hp, &h->cache, err));
    struct ig_placement placed;
    IG_TRY(ig_session_exec(s, &s->model->predict, &s->placed, &h->exec, &placed, err));
    ig_exec_keep_states(h->exec);
    return INGLE_OK;
}

ingle_status ig_heads_open(struct ig_heads **out, struct ingle_session *main, ingle_error *err) {
    struct ig_heads *h = ig_calloc(&main->mem, 1, sizeof *h);
    *out = NULL;
    if (!h) return ig_fail_memory(err, sizeof *h);
    h->main = main;
    ingle_status status = open_parts(h, err);
    if (status != INGLE_OK)
        ig_heads_close(h);
    else
        *out = h;
    return status;
}

void ig_heads_close(struct ig_heads *h) {
    if (!h) return;
    struct ig_mem *mem = &h->main->mem;
    ig_exec_close(h->exec);
    if (h->cache.mem) ig_cache_close(&h->cache);
    ig_free(mem, h->tokens);
    ig_free(mem, h->pass);
    ig_free(mem, h->state);
    ig_free(mem, h);
}

bool ig_heads_can(const struct ig_heads *h, uint32_t n) {
    return n >= 2 && n <= h->main->context && n - 1 <= h->main->n_states;
}

/* h->pass[0..n) behind the entries in the cache; logits and state of the last. */
static ingle_status run(struct ig_heads *h, uint32_t n, const float *states, ingle_error *err) {
    uint32_t last = n - 1;
    struct ig_pass pass = {
        .tokens = h->pass, .n = n, .wanted = &last, .n_wanted = 1, .states = states};
    h->logits = NULL;
    IG_TRY(ig_cache_reserve(&h->cache, h->cache.n + n, err));
    IG_TRY(ig_exec_run(h->exec, &pass, err));
    ig_cache_advance(&h->cache, h->cache.n + n);
    h->logits = ig_exec_logits(h->exec, 0);
    ig_exec_state(h->exec, last, h->state);
    return INGLE_OK;
}

static uint32_t common(const struct ig_heads *h, const int32_t *tokens, uint32_t entries) {
    uint32_t i = 0;
    if (tokens[0] != h->tokens[0]) return 0;
    while (i < h->n && i < entries && tokens[i + 1] == h->tokens[i + 1]) i++;
    return i;
}

ingle_status ig_heads_sync(struct ig_heads *h, const int32_t *tokens, uint32_t n,
                           ingle_error *err) {
    uint32_t entries = n - 1, same = common(h, tokens, entries), batch = h->main->batch;
    size_t width = h->main->model->arch.hp.n_embd;
    h->n = ig_cache_keep(&h->cache, same < entries ? same : entries - 1);
    h->tokens[0] = tokens[0];
    while (h->n < entries) {
        uint32_t take = entries - h->n < batch ? entries - h->n : batch;
        for (uint32_t i = 0; i < take; i++)
            h->pass[i] = (struct ig_pass_token){tokens[h->n + i + 1], h->n + i, &h->cache};
        IG_TRY(run(h, take, h->main->states + h->n * width, err));
        memcpy(h->tokens + h->n + 1, tokens + h->n + 1, take * sizeof *tokens);
        h->n += take;
    }
    return INGLE_OK;
}

ingle_status ig_heads_step(struct ig_heads *h, int32_t id, ingle_error *err) {
    h->pass[0] = (struct ig_pass_token){id, h->cache.n, &h->cache};
    return run(h, 1, h->state, err);
}
