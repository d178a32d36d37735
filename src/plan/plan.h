/* A model as a flat list of operations, made once at load. The same list serves prompts and
 * generation: only the number of tokens differs. Executors (cpu, gpu) know operations and buffers,
 * not families. */
#ifndef IG_PLAN_H
#define IG_PLAN_H

#include "arch/arch.h"

enum ig_op_kind {
#define OP(id, name, text) IG_OP_##id,
#include "plan/ops.def"
#undef OP
    IG_OP_COUNT
};

enum ig_buffer { /* f32, one row of `width` a token, rows padded to 16 floats */
                 IG_B_NONE,
                 IG_B_X,  /* residual stream */
                 IG_B_H,  /* normed input of a block */
                 IG_B_H2, /* the second one of parallel blocks */
                 IG_B_E,  /* embedding before a projection */
                 IG_B_Q,
                 IG_B_K,
                 IG_B_V,
                 IG_B_A, /* attention output, heads side by side */
                 IG_B_F, /* a block's contribution */
                 IG_B_F2,
                 IG_B_G, /* feed-forward gate */
                 IG_B_U, /* feed-forward up */
                 IG_B_R, /* router logits */
                 IG_B_S, /* one number a token: gate of the shared expert */
                 IG_B_P, /* per-layer inputs, [n_layer][n_embd_per_layer] side by side */
                 IG_B_P2,
                 IG_B_EX, /* experts: one row for each token and slot; EX their inputs where they
                             differ by slot */
                 IG_B_EG,
                 IG_B_EU,
                 IG_B_ED,
                 IG_B_XO, /* from here on only rows whose logits are wanted */
                 IG_B_HO,
                 IG_B_LOGITS,
                 IG_B_COUNT
};

enum {
    IG_OPF_SLOTS = 1 /* rows are token x slot */,
    IG_OPF_OUT = 2 /* rows are wanted rows */,
    IG_OPF_UNWEIGHTED = 4 /* COMBINE: plain sum */
};

struct ig_op {
    uint8_t kind, flags;
    uint8_t dst, a, b;   /* enum ig_buffer */
    uint8_t to[3], n_to; /* LINEAR, EXPERT_LINEAR */
    uint8_t what;   /* NORM: enum ig_norm_kind; ACT, GLU: enum ig_act; ROPE: index of hp->rope */
    int16_t layer;  /* -1: none */
    uint32_t n;     /* width of a row or of a head; EMBED: of a row */
    uint32_t heads; /* NORM, ROPE: heads in a row, 1 = the whole row */
    uint32_t a_at, b_at; /* first column in a, b (0 but for per-layer inputs) */
    bool per_head;       /* NORM: weights differ by head, [heads, n] */
    float f[4];
    const struct ig_slot *w[3];
};

/* ---- How a team of threads walks the list (fuse.c). A barrier stands only where one step needs
 * what other threads made in another; between two barriers lies a phase. ---- */

enum ig_step_how {
    IG_STEP_ALONE, /* row by row operations that every thread does for itself, all rows, into
                      buffers of its own: cheaper than waiting while there are few rows */
    IG_STEP_ROWS,  /* the same operations, rows are units of work */
    IG_STEP_UNITS, /* operation `op` has units of its own: rows of weights, heads */
};
enum ig_step_shape {                   /* UNITS: what the operations behind a linear one work on */
                     IG_SHAPE_NONE,    /* there are none */
                     IG_SHAPE_COLUMNS, /* the same columns of all outputs: act(gate) * up */
                     IG_SHAPE_HEADS,   /* whole heads of one output: rope, writing to the cache */
};
/* Where an operation's rows lie when there are few tokens. */
enum {
    IG_OWN_A = 1 /* source a is the thread's own buffer */,
    IG_OWN_B = 2,
    IG_OWN_DST = 4,
    IG_OWN_COPY = 8 /* an operation in place whose rows lie in the common buffer so far */
};
enum { IG_STEP_COUNTERS = 4, IG_FEW_TOKENS = 2 };

struct ig_step {
    uint8_t how, shape;
    uint8_t counter;     /* which of the phase's counters of units, < IG_STEP_COUNTERS */
    uint8_t quantize;    /* ALONE, ROWS: then quantise the inputs of `op`: 1 per 32, 2 per 256 */
    bool barrier;        /* all threads must be done with everything before */
    uint32_t first, end; /* ALONE, ROWS: the operations; UNITS: those behind `op` */
    uint32_t op;         /* UNITS, quantize */
    uint32_t head[3];    /* HEADS: columns of a head of each output */
};

struct ig_walk {
    struct ig_step *steps;
    uint32_t n;
    uint32_t from; /* the first operation */
    uint8_t *own;  /* of operations from `from` on */
};

struct ig_plan {
    const struct ig_hparams *hp;
    struct ig_op *ops;
    uint32_t n_ops, cap;
    uint32_t gather; /* index of the GATHER op: the head of the model begins there */
    uint32_t hidden; /* index behind the final norm: up to here IG_B_XO becomes the hidden state */
    uint32_t width[IG_B_COUNT]; /* floats a row, 0 = unused */
    struct ig_walk walk[2];     /* for many tokens, for at most IG_FEW_TOKENS */
};

/* ---- A part of the list (part.c): what one executor runs before another goes on. Bits of `in` and
 * `out` are buffers, 1 << enum ig_buffer. ---- */

struct ig_plan_part {
    const struct ig_plan *plan;
    uint32_t from, to;      /* operations [from, to) */
    uint64_t in, out;       /* buffers it reads that others wrote; that it writes and others, or
                               the caller, read: the head's results and the stream */
    struct ig_walk walk[2]; /* as those of the plan */
};

ingle_status ig_plan_make(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                          ingle_error *err);
/* The plan of a->predict: a pass of it brings a state for each token (struct ig_pass). */
ingle_status ig_plan_predict(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                             ingle_error *err);
void ig_plan_dump(const struct ig_plan *p, struct ig_buf *out);
/* Makes both walks; part of ig_plan_make. */
ingle_status ig_plan_fuse(struct ig_plan *p, struct ig_arena *arena, ingle_error *err);
/* Operations [from, to) as a part of their own. */
ingle_status ig_plan_part_make(struct ig_plan_part *part, const struct ig_plan *p, uint32_t from,
                               uint32_t to, struct ig_arena *arena, ingle_error *err);
/* May a part begin at `at`? Not between an expert's choice and the sum: the choice is no buffer. */
bool ig_plan_can_cut(const struct ig_plan *p, uint32_t at);
/* Walks over operations [from, to) (fuse.c). */
ingle_status ig_plan_fuse_range(const struct ig_plan *p, uint32_t from, uint32_t to,
                                struct ig_walk walk[2], struct ig_arena *arena, ingle_error *err);
/* Buffers that an operation reads and writes, as bits. */
uint64_t ig_op_reads(const struct ig_op *op);
uint64_t ig_op_writes(const struct ig_op *op);
static inline bool ig_op_is_linear(const struct ig_op *op) {
    return op->kind == IG_OP_LINEAR || op->kind == IG_OP_EXPERT_LINEAR;
}
/* Do the two work on the same kind of rows (tokens, slots, wanted rows)? */
static inline bool ig_op_same_rows(const struct ig_op *a, const struct ig_op *b) {
    const int kinds = IG_OPF_SLOTS | IG_OPF_OUT;
    return (a->flags & kinds) == (b->flags & kinds);
}
/* Which of the two forms of quantised inputs a matrix wants; -1 for floats. */
static inline int ig_mat_act_kind(const struct ig_mat *m) {
    return m->type->kind == IG_QUANT_A32 ? 0 : m->type->kind == IG_QUANT_A256 ? 1 : -1;
}
/* Barriers of a walk from operation `from` up to `to`, the one behind the last step not counted. */
uint32_t ig_walk_barriers(const struct ig_walk *w, uint32_t from, uint32_t to);
/* Rows of a buffer for `tokens` tokens of which `wanted` have logits. */
static inline uint32_t ig_plan_rows(const struct ig_plan *p, unsigned buffer, uint32_t tokens,
                                    uint32_t wanted) {
    if (buffer >= IG_B_XO) return wanted;
    return buffer >= IG_B_EX ? tokens * p->hp->n_expert_used : tokens;
}

#endif
