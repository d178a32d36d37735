/* Several timelines, one token each, in one pass over the weights. Tokens of a pass do not see each
 * other unless they share a cache, so every session gets the bits it would have got alone.
 *
 * The first session's executor computes. Its output rows live until its next pass, but a session's
 * logits until that session's next call: so each keeps a row of its own, allocated once. */
#include "engine/session.h"

static ingle_status refuse(ingle_error *err, size_t i, const char *hint, const char *what) {
    return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "session %zu %s", i, what);
}

static ingle_status in_session(ingle_status status, size_t i, ingle_error *err) {
    if (status != INGLE_OK) ig_fail_in(err, "session %zu", i);
    return status;
}

/* Rope scalings that look at the context's size give other bits in another context. */
static bool context_counts(const struct ig_hparams *hp) {
    for (int i = 0; i < 2; i++)
        if (hp->rope[i].scaling == IG_ROPE_LONG || hp->rope[i].scaling == IG_ROPE_DYNAMIC)
            return true;
    return false;
}

static ingle_status check_session(struct ingle_session *lead, struct ingle_session *s, size_t i,
                                  ingle_error *err) {
    const char *alike = "open all sessions with the same options";
    if (s->model != lead->model)
        return refuse(err, i, "one call advances sessions of one model",
                      "belongs to another model than session 0");
    if (s->cache.type != lead->cache.type)
        return refuse(err, i, alike, "has another KV type (--kv) than session 0");
    if (strcmp(ig_exec_kernels_name(s->exec), ig_exec_kernels_name(lead->exec)) != 0)
        return refuse(err, i, alike, "has other kernels (--cpu) than session 0");
    if (s->context != lead->context && context_counts(&s->model->arch.hp))
        return refuse(err, i, alike,
                      "has another context size than session 0, which matters to "
                      "this model's rope");
    return INGLE_OK;
}

static ingle_status check(ingle_session *const *sessions, const int32_t *ids, size_t n,
                          ingle_error *err) {
    if (!sessions || !ids || !n || !sessions[0])
        return ig_fail(err, INGLE_BAD_ARGUMENT, "give at least one session and its token",
                       "ingle_sessions_step: there is no session");
    if (n > sessions[0]->batch)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "raise --batch, or make several calls",
                       "%zu sessions do not fit a pass of %u tokens", n, sessions[0]->batch);
    for (size_t i = 0; i < n; i++) {
        if (!sessions[i]) return refuse(err, i, NULL, "is NULL");
        IG_TRY(check_session(sessions[0], sessions[i], i, err));
        IG_TRY(in_session(ig_session_check_ids(sessions[i], ids + i, 1, err), i, err));
        sessions[i]->seat = (uint32_t)i;
    }
    for (size_t i = 0; i < n; i++) /* a session that is named twice has only its last seat */
        if (sessions[i]->seat != i) return refuse(err, i, NULL, "is there twice");
    return INGLE_OK;
}

/* Everything that can fail before the pass. */
static ingle_status make_room(ingle_session *const *sessions, size_t n, ingle_error *err) {
    uint32_t width = sessions[0]->model->arch.hp.n_vocab;
    for (size_t i = 0; i < n; i++) {
        struct ingle_session *s = sessions[i];
        IG_TRY(in_session(ig_cache_reserve(&s->cache, s->n + 1, err), i, err));
        if (!s->row) s->row = ig_calloc(&s->mem, width, sizeof *s->row);
        if (!s->row) return ig_fail_memory(err, width * sizeof *s->row);
    }
    return INGLE_OK;
}

static void keep_row(struct ingle_session *s, const float *logits) {
    memcpy(s->row, logits, s->model->arch.hp.n_vocab * sizeof *s->row);
    s->logits = s->row;
}

ingle_status ingle_sessions_step(ingle_session *const *sessions, const int32_t *ids, size_t n,
                                 ingle_error *err) {
    IG_TRY(check(sessions, ids, n, err));
    IG_TRY(make_room(sessions, n, err));
    struct ingle_session *lead = sessions[0];
    atomic_store(&lead->cancel, false);
    for (uint32_t i = 0; i < n; i++) {
        struct ingle_session *s = sessions[i];
        lead->pass[i] = (struct ig_pass_token){ids[i], s->n, &s->cache};
        lead->wanted[i] = i;
    }
    if (lead->logits && lead->logits != lead->row) keep_row(lead, lead->logits);
    struct ig_pass pass = {
        .tokens = lead->pass, .n = (uint32_t)n, .wanted = lead->wanted, .n_wanted = (uint32_t)n};
    IG_TRY(ig_exec_run(lead->exec, &pass, err));
    for (uint32_t i = 0; i < n; i++) {
        struct ingle_session *s = sessions[i];
        s->tokens[s->n++] = ids[i];
        ig_cache_advance(&s->cache, s->n);
        keep_row(s, ig_exec_logits(lead->exec, i));
    }
    return INGLE_OK;
}
