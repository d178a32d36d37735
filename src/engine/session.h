/* One timeline: tokens, their keys and values, the executor, the sampler. */
#ifndef IG_SESSION_H
#define IG_SESSION_H

#include <stdatomic.h>

#include "engine/ahead.h"
#include "engine/gpus.h"
#include "engine/exec.h"
#include "engine/model.h"

struct ingle_session {
    struct ig_mem mem;
    const struct ingle_model *model;
    ingle_options *options; /* a copy */
    struct ig_options_hooks hooks;
    struct ig_cache cache;
    struct ig_exec *exec;
    struct ig_placement placed; /* what lies where; `where` is NULL once exec knows */
    struct ig_sampler *sampler; /* made at the first sample */
    size_t accepted;            /* tokens the sampler has seen */
    int32_t *tokens;            /* [context] */
    uint32_t n, context, batch;
    struct ig_pass_token *pass; /* [batch] */
    uint32_t *wanted;           /* [batch] */
    const float *logits;        /* of tokens[n - 1], or NULL */
    float *row;                 /* [n_vocab] own copy of them, once stepped with others */
    uint32_t seat;              /* among those */
    float *states;     /* [context][n_embd] hidden states of the tokens, or NULL: nobody asked */
    uint32_t n_states; /* the first so many are there */
    struct ig_ahead ahead;
    _Atomic bool cancel;
};

/* Cuts the timeline to at most n tokens; fewer stay if a window's ring has forgotten what they
 * need. */
void ig_session_cut(struct ingle_session *s, uint32_t n);
ingle_status ig_session_check_ids(const struct ingle_session *s, const int32_t *ids, size_t n,
                                  ingle_error *err);
uint32_t ig_session_common(const struct ingle_session *s, const int32_t *ids, size_t n);
/* As ingle_session_sync, reporting prompt progress to fn (may be NULL): tokens done of n. Non-zero
 * cancels. */
typedef int (*ig_session_progress_fn)(void *ud, size_t done, size_t n);
ingle_status ig_session_sync(struct ingle_session *s, const int32_t *ids, size_t n,
                             ig_session_progress_fn fn, void *ud, ingle_error *err);
/* ids[s->n .. s->n + n) in one pass of at most `batch`; hidden states of the last `wanted` of them
 * (ig_exec_hidden). */
ingle_status ig_session_hidden(struct ingle_session *s, const int32_t *ids, uint32_t n,
                               uint32_t wanted, ingle_error *err);
/* Computes the n tokens that stand in s->tokens behind the timeline's end, in one pass of at most
 * `batch`, and takes up the first of them. The others may follow one by one, as row 1, 2, ...,
 * until the next pass. */
ingle_status ig_session_ahead(struct ingle_session *s, uint32_t n, ingle_error *err);
void ig_session_take(struct ingle_session *s, uint32_t row);
/* From now on the hidden states of all tokens computed are kept, for a prediction layer. */
ingle_status ig_session_keep_states(struct ingle_session *s, ingle_error *err);
/* As ingle_session_open, beside what will be on devices (may be NULL). */
ingle_status ig_session_open(struct ingle_session **out, const struct ingle_model *m,
                             const ingle_options *options, const struct ig_placement *beside,
                             ingle_error *err);
/* What the session will take of devices yet. */
struct ig_placement ig_session_pending(const struct ingle_session *s);
/* An executor of the session's options for the model's plan or its prediction plan, in the
 * session's memory. `beside`: what is on devices already, or NULL; *placed: where its own
 * operations are. */
ingle_status ig_session_exec(struct ingle_session *s, const struct ig_plan *plan,
                             const struct ig_placement *beside, struct ig_exec **out,
                             struct ig_placement *placed, ingle_error *err);
/* A cache for `hp` of the session's size and type, in its memory. */
ingle_status ig_session_cache(struct ingle_session *s, const struct ig_hparams *hp,
                              struct ig_cache *out, ingle_error *err);
ingle_status ig_session_step(struct ingle_session *s, int32_t id, ingle_error *err);
/* A sampler for the options, knowing the model's token texts and end tokens. */
ingle_status ig_session_sampler(struct ingle_session *s, const ingle_options *o,
                                struct ig_sampler **out, ingle_error *err);

#endif
