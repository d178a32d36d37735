/* One pass of tokens through a plan, as every executor sees it. Tokens may belong to several
 * timelines. */
#ifndef IG_PASS_H
#define IG_PASS_H

#include "plan/plan.h"

struct ig_cache; /* kv/cache.h */

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

/* Operations [0, end) are run. */
static inline uint32_t ig_pass_end(const struct ig_plan *p, const struct ig_pass *pass) {
    return !pass->n_wanted ? p->gather : pass->hidden ? p->hidden : p->n_ops;
}
/* Rows that an operation works on. */
static inline uint32_t ig_pass_op_rows(const struct ig_plan *p, const struct ig_pass *pass,
                                       const struct ig_op *op) {
    if (op->flags & IG_OPF_OUT) return pass->n_wanted;
    return op->flags & IG_OPF_SLOTS ? pass->n * p->hp->n_expert_used : pass->n;
}
/* Rows of a buffer in this pass. */
static inline uint32_t ig_pass_rows(const struct ig_plan *p, const struct ig_pass *pass,
                                    unsigned buffer) {
    return ig_plan_rows(p, buffer, pass->n, pass->n_wanted);
}

#endif
