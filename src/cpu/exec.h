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

/* What one thread has for itself. With few tokens every thread keeps rows of its own for whatever
 * plan/fuse.c says it computes alone; pointers are NULL where it says nothing. */
struct ig_lane {
    uint8_t *scratch;
    struct ig_packed packed;   /* in scratch */
    float *attend;             /* ops_attend.c */
    float *buffer[IG_B_COUNT]; /* [IG_FEW_TOKENS rows] */
    struct ig_act_rows act[2];
    float *table[2];
    struct ig_route route;
    unsigned counter; /* of the step being done */
    unsigned begun;   /* bit i: the thread has taken its first unit of counter i */
    uint8_t pad[64];  /* lanes are written all the time: none shares a line with another */
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
    float *parts;              /* of chunks that threads share out (ops_attend.c) */
    size_t part_floats;        /* room in it */
    struct ig_lane *lane;      /* [threads] */
    _Atomic uint32_t *unit_of; /* [heads of a layer's q, k, v] units of the head that are done */
    uint32_t n_unit_of;
    struct ig_pass pass;        /* the one running */
    bool few;                   /* it goes the way for few tokens */
    const struct ig_walk *walk; /* this one: of the plan or of a part */
    uint32_t to;                /* operations [walk->from, to) are run */
};

/* Row i of a buffer, of the thread's own where `own`. */
static inline float *ig_row_of(const struct ig_cpu *c, unsigned thread, bool own, unsigned buffer,
                               uint32_t i) {
    return (own ? c->lane[thread].buffer : c->buffer)[buffer] + c->stride[buffer] * i;
}
static inline float *ig_row(const struct ig_cpu *c, unsigned buffer, uint32_t i) {
    return ig_row_of(c, 0, false, buffer, i);
}
/* Where the rows of an operation lie in this pass: IG_OWN bits. */
static inline unsigned ig_own(const struct ig_cpu *c, const struct ig_op *op) {
    return c->few ? c->walk->own[op - c->plan->ops - c->walk->from] : 0;
}
static inline struct ig_act_rows *ig_act(struct ig_cpu *c, unsigned thread, unsigned kind) {
    return c->few ? &c->lane[thread].act[kind] : &c->act[kind];
}
static inline struct ig_route *ig_routes(struct ig_cpu *c, unsigned thread) {
    return c->few ? &c->lane[thread].route : &c->route;
}

/* Claims the next of the step's n units; false when none is left or the run is cancelled. A
 * thread's first unit is that of its number, so that it knows before which weights it will read. */
static inline bool ig_take(const struct ig_cpu *c, unsigned thread, uint32_t n, uint32_t *unit) {
    struct ig_lane *l = &c->lane[thread];
    if (atomic_load_explicit(c->cancel, memory_order_relaxed)) return false;
    if (l->begun & 1u << l->counter) {
        *unit = ig_pool_take(c->pool, l->counter);
    } else {
        l->begun |= 1u << l->counter;
        *unit = thread;
    }
    return *unit < n;
}
/* Units that lie side by side, for one thread: rows that follow each other in memory are read much
 * faster than rows here and there. Half of the units are shared out at once, then half of the rest,
 * and so on down to single units, so that all threads end together. */
struct ig_near {
    uint32_t at, end;
};
/* Range i of n units; the first `team` ranges are those of the threads' numbers. */
static inline struct ig_near ig_near_range(uint32_t n, uint32_t team, uint32_t i) {
    uint32_t start = 0, size = n / (2 * team);
    for (; i >= team && size > 1; i -= team) {
        start += size * team;
        size = (n - start) / (2 * team);
    }
    if (size == 0) size = 1;
    if (i >= n || start + i * size >= n) return (struct ig_near){n, n};
    start += i * size;
    return (struct ig_near){start, n - start < size ? n : start + size};
}
/* As ig_take; `r` is zero at first. */
static inline bool ig_take_near(const struct ig_cpu *c, unsigned thread, uint32_t n,
                                struct ig_near *r, uint32_t *unit) {
    uint32_t i;
    if (r->at == r->end) {
        if (!ig_take(c, thread, UINT32_MAX, &i)) return false;
        *r = ig_near_range(n, ig_pool_team(c->pool), i);
    } else if (atomic_load_explicit(c->cancel, memory_order_relaxed)) {
        return false;
    }
    *unit = r->at++;
    return *unit < n;
}
static inline void ig_barrier(const struct ig_cpu *c, unsigned thread, struct ig_pool_next next) {
    ig_pool_barrier(c->pool, thread, next);
    c->lane[thread].begun = 0;
}
/* Rows an op works on. */
static inline uint32_t ig_op_rows(const struct ig_cpu *c, const struct ig_op *op) {
    return ig_pass_op_rows(c->plan, &c->pass, op);
}

/* A step's operation with units of its own, called on every thread. */
void ig_op_linear(struct ig_cpu *c, const struct ig_step *s, unsigned thread); /* ops_linear.c */
void ig_op_expert_linear(struct ig_cpu *c, const struct ig_step *s, unsigned thread);
ingle_status ig_attend_open(struct ig_cpu *c, ingle_error *err); /* scratch, freed by the closer */
void ig_op_attend(struct ig_cpu *c, const struct ig_op *op, unsigned thread); /* ops_attend.c */
void ig_op_route(struct ig_cpu *c, const struct ig_op *op, unsigned thread);  /* ops_route.c */

/* Columns [from, from + n) of row i of an operation that takes row by row (ops_rows.c). A part of a
 * row must be whole heads where the operation has heads; KV_PUT takes whole rows. */
void ig_op_columns(struct ig_cpu *c, const struct ig_op *op, uint32_t i, uint32_t from, uint32_t n,
                   unsigned thread);
void ig_op_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i, unsigned thread);
/* Heads [head, head + n) of keys or of values of token t into the cache; `x` is the first
 * (ops_attend.c). */
void ig_op_kv_put(struct ig_cpu *c, const struct ig_op *op, uint32_t t, bool values, uint32_t head,
                  uint32_t n, const float *x);
/* ROUTE of a few tokens by one thread; SPREAD and COMBINE of one token. */
void ig_op_route_few(struct ig_cpu *c, const struct ig_op *op, unsigned thread);
void ig_op_spread_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i, unsigned thread);
void ig_op_combine_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i, unsigned thread);
/* Row i of a linear op's input as int8, in the formats 1 (per 32) and 2 (per 256). */
void ig_op_quantize_row(struct ig_cpu *c, const struct ig_op *op, unsigned formats, uint32_t i,
                        unsigned thread);
/* The weights that this thread will read first in a step. */
struct ig_pool_next ig_op_first_weights(const struct ig_cpu *c, const struct ig_step *s,
                                        unsigned thread);

#endif
