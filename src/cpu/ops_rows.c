/* Operations that take one row after another. A row of the result needs only the same row of the
 * sources, so the walk (run.c) runs several of them on a row before it meets the other threads. */
#include "cpu/exec.h"
#include "cpu/rope.h"

#include <math.h>

static void embed(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    const struct ig_mat *m = &op->w[0]->mat;
    float *dst = ig_row(c, op->dst, i), f = op->f[0];
    m->type->decode(m->data + m->row_bytes * (size_t)c->pass.tokens[i].id, dst,
                    m->cols / m->type->block);
    if (f > 1 || f < 1) c->k->scale(dst, dst, f, op->n);
}

static void position(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    const struct ig_mat *m = &op->w[0]->mat;
    float *dst = ig_row(c, op->dst, i), part[256];
    const uint8_t *row = m->data + m->row_bytes * (size_t)(c->pass.tokens[i].position + op->heads);
    for (uint32_t at = 0; at < m->cols; at += 256) { /* 256 is a multiple of every block */
        uint32_t n = m->cols - at < 256 ? m->cols - at : 256;
        m->type->decode(row + (size_t)at / m->type->block * m->type->bytes, part,
                        n / m->type->block);
        c->k->add(dst + at, dst + at, part, 1.0f, n);
    }
}

static void norm(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    const struct ig_slot *w = op->w[0];
    for (uint32_t h = 0; h < op->heads; h++) {
        const float *x = ig_row(c, op->a, i) + op->a_at + (size_t)h * op->n;
        float *dst = ig_row(c, op->dst, i) + (size_t)h * op->n;
        size_t at = op->per_head ? (size_t)h * op->n : 0;
        const float *weight = w && w->vec ? w->vec + at : NULL,
                    *bias = w && w->bias ? w->bias + at : NULL;
        if (op->what == IG_NORM_RMS)
            c->k->norm_rms(dst, x, weight, bias, op->n, op->f[0]);
        else
            c->k->norm_layer(dst, x, weight, bias, op->n, op->f[0]);
    }
}

static void rope(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    const struct ig_rope *r = &c->plan->hp->rope[op->what];
    const float *table = c->table[op->what] + (size_t)i * r->dims;
    for (uint32_t h = 0; h < op->heads; h++)
        ig_rope_apply(ig_row(c, op->dst, i) + (size_t)h * op->n, table, r->dims,
                      r->pairing == IG_PAIR);
}

static void temperature(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    double at = floor((c->pass.tokens[i].position + op->heads) / (double)op->f[1]);
    float *dst = ig_row(c, op->dst, i), f = (float)(1 + (double)op->f[0] * ig_det_log(1 + at));
    c->k->scale(dst, dst, f, op->n);
}

static void clamp(float *dst, const float *a, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) dst[i] = a[i] > f ? f : a[i] < -f ? -f : a[i];
}

static void gate(const struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    float s;
    c->k->act(IG_ACT_SIGMOID, op->f, &s, ig_row(c, op->b, i), 1);
    c->k->scale(ig_row(c, op->dst, i), ig_row(c, op->a, i), s, op->n);
}

void ig_op_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    float *dst = op->dst ? ig_row(c, op->dst, i) : NULL;
    const float *a = op->a ? ig_row(c, op->a, i) + op->a_at : NULL,
                *b = op->b ? ig_row(c, op->b, i) + op->b_at : NULL;
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_EMBED: embed(c, op, i); break;
    case IG_OP_POSITION: position(c, op, i); break;
    case IG_OP_NORM: norm(c, op, i); break;
    case IG_OP_ROPE: rope(c, op, i); break;
    case IG_OP_TEMPERATURE: temperature(c, op, i); break;
    case IG_OP_ADD: c->k->add(dst, a, b, op->f[0], op->n); break;
    case IG_OP_COPY: memcpy(dst, a, op->n * sizeof *dst); break;
    case IG_OP_SCALE: c->k->scale(dst, a, op->f[0], op->n); break;
    case IG_OP_CLAMP: clamp(dst, a, op->f[0], op->n); break;
    case IG_OP_SOFTCAP: c->k->softcap(dst, a, op->f[0], op->n); break;
    case IG_OP_ACT: c->k->act(op->what, op->f, dst, a, op->n); break;
    case IG_OP_GLU: c->k->glu(op->what, op->f, dst, a, b, op->n); break;
    case IG_OP_MUL: c->k->mul(dst, a, b, op->n); break;
    case IG_OP_GATE: gate(c, op, i); break;
    case IG_OP_GATHER: memcpy(dst, ig_row(c, op->a, c->pass.wanted[i]), op->n * sizeof *dst); break;
    case IG_OP_KV_PUT: ig_op_kv_put_row(c, op, i); break;
    default: break;
    }
}
