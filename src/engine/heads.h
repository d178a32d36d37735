/* The prediction layer of a model's own file (MTP, nextn) on the timeline of a session. An entry
 * joins a token with the state of the one before it, and its logits are of the token behind both;
 * entry i is token i + 1. Entries have keys and values of their own. */
#ifndef IG_HEADS_H
#define IG_HEADS_H

#include "engine/session.h"

struct ig_heads {
    struct ingle_session *main;
    struct ig_exec *exec;
    struct ig_cache cache;
    int32_t *tokens;            /* [context] tokens of the entries */
    struct ig_pass_token *pass; /* [batch] */
    float *state;               /* [n_embd] of the last entry */
    uint32_t n;                 /* entries that joined states of the session, not of guesses */
    const float *logits;        /* of the last entry */
};

/* Of main->model->arch.predict, in the session's memory; the session outlives it. */
ingle_status ig_heads_open(struct ig_heads **out, struct ingle_session *main, ingle_error *err);
void ig_heads_close(struct ig_heads *h); /* NULL is fine */
/* Does the session know the states that entries for tokens[0..n) need? */
bool ig_heads_can(const struct ig_heads *h, uint32_t n);
/* Computes what entries of tokens[0..n), n >= 2, are missing, the last always. The session's
 * timeline begins with tokens[0..n - 1). */
ingle_status ig_heads_sync(struct ig_heads *h, const int32_t *tokens, uint32_t n, ingle_error *err);
/* A further entry, for a guess: joins its token with the state of the entry before. */
ingle_status ig_heads_step(struct ig_heads *h, int32_t id, ingle_error *err);

#endif
