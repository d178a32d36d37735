/* Inside of the CPU executor: what an operation's function sees. */
#ifndef IG_EXEC_H
#define IG_EXEC_H

#include <stdatomic.h>
#include "cpu/cpu.h"
#include "cpu/kernels.h"
#include "cpu/pool.h"

struct ig_route {          /* the experts of a pass */
    uint32_t *expert;      /* [tokens][used] */
    float *weight;         /* [tokens][used] */
    uint32_t *order;       /* slots (token * used + k) sorted by expert */
    uint32_t *order_token; /* the token of each */
    uint32_t *first;       /* [n_expert + 1] */
    uint32_t *active;      /* experts that have slots */
    uint32_t n_active;
    float *scores; /* [tokens][3 * n_expert] scratch */
};

struct ig_cpu {
    struct ig_mem *mem;
    const struct ig_plan *plan;
    const struct ig_kernels *k;
    struct ig_pool *pool;
    const _Atomic bool *cancel;
    uint32_t context, max_wanted;
    uint32_t capacity; /* tokens the buffers have room for */
    float *buffer[IG_B_COUNT];
    size_t stride[IG_B_COUNT]; /* floats a row */
    struct ig_act_rows act[2]; /* per 32, per 256 */
    bool need_act[2];
    uint32_t max_cols;
    double *frequency[2], mscale[2]; /* rope */
    float *table[2];                 /* [tokens][dims] cos, sin */
    float *slopes;                   /* ALiBi [most heads] */
    struct ig_route route;
    uint8_t **scratch;   /* [threads] */
    struct ig_pass pass; /* the one running */
    uint32_t from, to;   /* ops of it */
};

static inline float *ig_row(const struct ig_cpu *c, unsigned buffer, uint32_t i) {
    return c->buffer[buffer] + c->stride[buffer] * i;
}
/* Claims the next of n units; false when none is left or the run is cancelled. */
static inline bool ig_take(const struct ig_cpu *c, uint32_t n, uint32_t *unit) {
    if (atomic_load_explicit(c->cancel, memory_order_relaxed)) return false;
    *unit = ig_pool_next(c->pool);
    return *unit < n;
}
/* Rows an op works on. */
static inline uint32_t ig_op_rows(const struct ig_cpu *c, const struct ig_op *op) {
    if (op->flags & IG_OPF_OUT) return c->pass.n_wanted;
    return op->flags & IG_OPF_SLOTS ? c->pass.n * c->plan->hp->n_expert_used : c->pass.n;
}

/* Each is called on every thread of the pool and ends before the barrier that follows every op;
 * barriers within are its own. */
void ig_op_linear(struct ig_cpu *c, const struct ig_op *op, unsigned thread); /* ops_linear.c */
void ig_op_expert_linear(struct ig_cpu *c, const struct ig_op *op, unsigned thread);
void ig_op_route(struct ig_cpu *c, const struct ig_op *op, unsigned thread); /* ops_route.c */
void ig_op_spread(struct ig_cpu *c, const struct ig_op *op, unsigned thread);
void ig_op_combine(struct ig_cpu *c, const struct ig_op *op, unsigned thread);
void ig_op_attend(struct ig_cpu *c, const struct ig_op *op, unsigned thread);
/* One row of an operation that takes row by row (ops_rows.c), or of KV_PUT (ops_attend.c). */
void ig_op_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i);
void ig_op_kv_put_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i);
/* Row i of a linear op's input as int8, in each format that some matrix of the op wants. */
void ig_op_quantize_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i);
bool ig_op_wants_int8(const struct ig_op *op);

#endif
