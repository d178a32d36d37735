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

struct ig_plan {
    const struct ig_hparams *hp;
    struct ig_op *ops;
    uint32_t n_ops, cap;
    uint32_t gather;            /* index of the GATHER op: the head of the model begins there */
    uint32_t hidden; /* index behind the final norm: up to here IG_B_XO becomes the hidden state */
    uint32_t width[IG_B_COUNT]; /* floats a row, 0 = unused */
};

ingle_status ig_plan_make(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                          ingle_error *err);
void ig_plan_dump(const struct ig_plan *p, struct ig_buf *out);
/* Rows of a buffer for `tokens` tokens of which `wanted` have logits. */
static inline uint32_t ig_plan_rows(const struct ig_plan *p, unsigned buffer, uint32_t tokens,
                                    uint32_t wanted) {
    if (buffer >= IG_B_XO) return wanted;
    return buffer >= IG_B_EX ? tokens * p->hp->n_expert_used : tokens;
}

#endif
