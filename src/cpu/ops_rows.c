/* Operations that take one row after another. A row of the result needs only the same row of the
 * sources, so several of them run on a row before threads meet; most can be done for some columns
 * only, by whoever has just made those (plan/fuse.c says which). */
#include "cpu/exec.h"
#include "plan/rope.h"

#include <math.h>

/* One row, or some columns of it: pointers are at the first of them. */
struct part {
    const struct ig_op *op;
    uint32_t i, from, n; /* row; columns */
    float *dst;
    const float *a, *b;
    const float *table; /* rope */
};

static void embed(const struct ig_cpu *c, const struct part *p) {
    const struct ig_mat *m = &p->op->w[0]->mat;
    float f = p->op->f[0];
    m->type->decode(m->data + m->row_bytes * (size_t)c->pass.tokens[p->i].id, p->dst,
                    m->cols / m->type->block);
    if (f > 1 || f < 1) c->k->scale(p->dst, p->dst, f, p->n);
}

/* An embedding and the state handed in with its token. */
static void join(const struct ig_cpu *c, const struct part *p) {
    embed(c, p);
    memcpy(p->dst + p->n, c->pass.states + (size_t)p->i * p->n, p->n * sizeof *p->dst);
}

static void position(const struct ig_cpu *c, const struct part *p) {
    const struct ig_mat *m = &p->op->w[0]->mat;
    float part[256];
    const uint8_t *row =
        m->data + m->row_bytes * (size_t)(c->pass.tokens[p->i].position + p->op->heads);
    for (uint32_t at = 0; at < m->cols; at += 256) { /* 256 is a multiple of every block */
        uint32_t n = m->cols - at < 256 ? m->cols - at : 256;
        m->type->decode(row + (size_t)at / m->type->block * m->type->bytes, part,
                        n / m->type->block);
        c->k->add(p->dst + at, p->dst + at, part, 1.0f, n);
    }
}

static void norm(const struct ig_cpu *c, const struct part *p) {
    const struct ig_op *op = p->op;
    const struct ig_slot *w = op->w[0];
    for (uint32_t at = 0; at < p->n; at += op->n) {
        size_t first = op->per_head ? (size_t)p->from + at : 0;
        const float *weight = w && w->vec ? w->vec + first : NULL,
                    *bias = w && w->bias ? w->bias + first : NULL;
        if (op->what == IG_NORM_RMS)
            c->k->norm_rms(p->dst + at, p->a + at, weight, bias, op->n, op->f[0]);
        else
            c->k->norm_layer(p->dst + at, p->a + at, weight, bias, op->n, op->f[0]);
    }
}

static void rope(const struct ig_cpu *c, const struct part *p) {
    const struct ig_rope *r = &c->plan->hp->rope[p->op->what];
    for (uint32_t at = 0; at < p->n; at += p->op->n)
        ig_rope_apply(p->dst + at, p->table + (size_t)p->i * r->dims, r->dims,
                      r->pairing == IG_PAIR);
}

static void temperature(const struct ig_cpu *c, const struct part *p) {
    const struct ig_op *op = p->op;
    double at = floor((c->pass.tokens[p->i].position + op->heads) / (double)op->f[1]);
    float f = (float)(1 + (double)op->f[0] * ig_det_log(1 + at));
    c->k->scale(p->dst, p->dst, f, p->n);
}

static void clamp(float *dst, const float *a, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) dst[i] = a[i] > f ? f : a[i] < -f ? -f : a[i];
}

static void gate(const struct ig_cpu *c, const struct part *p) {
    float s;
    c->k->act(IG_ACT_SIGMOID, p->op->f, &s, p->b, 1);
    c->k->scale(p->dst, p->a, s, p->n);
}

static void put_row(struct ig_cpu *c, const struct part *p) {
    const struct ig_layer_params *l = &c->plan->hp->layer[p->op->layer];
    ig_op_kv_put(c, p->op, p->i, false, 0, l->n_head_kv, p->a);
    ig_op_kv_put(c, p->op, p->i, true, 0, l->n_head_kv, p->b);
}

static void run(struct ig_cpu *c, const struct part *p, unsigned thread) {
    const struct ig_op *op = p->op;
    const float *f = op->f;
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_EMBED: embed(c, p); break;
    case IG_OP_JOIN: join(c, p); break;
    case IG_OP_POSITION: position(c, p); break;
    case IG_OP_NORM: norm(c, p); break;
    case IG_OP_ROPE: rope(c, p); break;
    case IG_OP_TEMPERATURE: temperature(c, p); break;
    case IG_OP_ADD: c->k->add(p->dst, p->a, p->b, f[0], p->n); break;
    case IG_OP_COPY:
    case IG_OP_GATHER: memcpy(p->dst, p->a, p->n * sizeof *p->dst); break;
    case IG_OP_SCALE: c->k->scale(p->dst, p->a, f[0], p->n); break;
    case IG_OP_CLAMP: clamp(p->dst, p->a, f[0], p->n); break;
    case IG_OP_SOFTCAP: c->k->softcap(p->dst, p->a, f[0], p->n); break;
    case IG_OP_ACT: c->k->act(op->what, f, p->dst, p->a, p->n); break;
    case IG_OP_GLU: c->k->glu(op->what, f, p->dst, p->a, p->b, p->n); break;
    case IG_OP_MUL: c->k->mul(p->dst, p->a, p->b, p->n); break;
    case IG_OP_GATE: gate(c, p); break;
    case IG_OP_KV_PUT: put_row(c, p); break;
    case IG_OP_SPREAD: ig_op_spread_row(c, op, p->i, thread); break;
    case IG_OP_COMBINE: ig_op_combine_row(c, op, p->i, thread); break;
    default: break;
    }
}

void ig_op_columns(struct ig_cpu *c, const struct ig_op *op, uint32_t i, uint32_t from, uint32_t n,
                   unsigned thread) {
    unsigned own = ig_own(c, op);
    struct part p = {.op = op, .i = i, .from = from, .n = n};
    uint32_t source = op->kind == IG_OP_GATHER ? c->pass.wanted[i] : i;
    if (op->dst) p.dst = ig_row_of(c, thread, own & IG_OWN_DST, op->dst, i) + from;
    if (op->a) p.a = ig_row_of(c, thread, own & IG_OWN_A, op->a, source) + op->a_at + from;
    if (op->b) p.b = ig_row_of(c, thread, own & IG_OWN_B, op->b, i) + op->b_at + from;
    if (op->kind == IG_OP_ROPE) p.table = (c->few ? c->lane[thread].table : c->table)[op->what];
    if (own & IG_OWN_COPY)
        memcpy(p.dst, ig_row(c, op->dst, i) + from, c->plan->width[op->dst] * sizeof *p.dst);
    run(c, &p, thread);
}

void ig_op_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i, unsigned thread) {
    bool heads = op->kind == IG_OP_NORM || op->kind == IG_OP_ROPE;
    ig_op_columns(c, op, i, 0, heads ? op->n * op->heads : op->n, thread);
}
