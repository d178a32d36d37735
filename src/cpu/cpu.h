/* The CPU executor: runs a plan over a batch of tokens, which may belong to several timelines. Owns
 * scratch and threads, not weights, not caches. One run at a time; any number of executors may
 * share a plan. */
#ifndef IG_CPU_H
#define IG_CPU_H

#include <stdatomic.h>
#include "kv/cache.h"
#include "plan/plan.h"

struct ig_pass_token {
    int32_t id;
    uint32_t position;
    struct ig_cache
        *cache; /* has room for `position`; earlier positions are there or in this pass before it */
};

struct ig_pass {
    const struct ig_pass_token *tokens;
    uint32_t n;
    const uint32_t *wanted; /* indices of tokens whose logits are wanted, ascending */
    uint32_t n_wanted;
    const float
        *states; /* [n][n_embd] for a plan of a prediction layer: what it joins with tokens */
    bool hidden; /* stop behind the final norm: hidden states in place of logits */
};

struct ig_cpu;

struct ig_cpu_config {
    const char *kernels; /* "auto" or a table's name */
    unsigned threads;    /* >= 1 */
    uint32_t context;    /* of the timelines: longrope chooses by it */
    bool background;     /* worker threads at lower priority */
    const _Atomic bool *cancel;
};

ingle_status ig_cpu_open(struct ig_cpu **out, struct ig_mem *mem, const struct ig_plan *plan,
                         const struct ig_cpu_config *config, ingle_error *err);
void ig_cpu_close(struct ig_cpu *c);
/* INGLE_CANCELLED if the flag was raised: the caches then hold garbage at the pass's positions,
 * nothing else changed. */
ingle_status ig_cpu_run(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err);
/* Logits [n_vocab] of wanted row i of the last run; valid until the next. */
const float *ig_cpu_logits(const struct ig_cpu *c, uint32_t i);
/* Hidden state [n_embd] of wanted row i of a run that asked for it; valid until the next. */
const float *ig_cpu_hidden(const struct ig_cpu *c, uint32_t i);
/* The same of token i of any last run that was not cancelled, wanted or not, into out. */
void ig_cpu_state(const struct ig_cpu *c, uint32_t i, float *out);
const char *ig_cpu_kernels_name(const struct ig_cpu *c);

#endif
