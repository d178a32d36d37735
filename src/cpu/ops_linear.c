/* Linear layers. The walk (run.c) has quantised the inputs; chunks of output rows are units of
 * work. How rows are cut into units never changes a result: a row is one unit's, whole. */
#include "cpu/exec.h"

enum { CHUNK = 64, CHUNK_MIN = 16 };

/* Which of the two activation formats a matrix wants; -1 for floats. */
static int act_kind(const struct ig_mat *m) {
    return m->type->kind == IG_QUANT_A32 ? 0 : m->type->kind == IG_QUANT_A256 ? 1 : -1;
}

bool ig_op_wants_int8(const struct ig_op *op) {
    for (unsigned i = 0; i < op->n_to; i++)
        if (act_kind(&op->w[i]->mat) >= 0) return true;
    return false;
}

void ig_op_quantize_row(struct ig_cpu *c, const struct ig_op *op, uint32_t i) {
    bool want[2] = {false, false};
    for (unsigned j = 0; j < op->n_to; j++)
        if (act_kind(&op->w[j]->mat) >= 0) want[act_kind(&op->w[j]->mat)] = true;
    for (unsigned kind = 0; kind < 2; kind++) {
        const struct ig_act_rows *r = &c->act[kind];
        if (want[kind])
            c->k->quantize(ig_row(c, op->a, i), op->n, kind ? 256 : 32, r->q + r->q_stride * i,
                           r->d + r->d_stride * i, r->sum + r->s_stride * i);
    }
}

static void finish_rows(const struct ig_linear *j, const float *bias, const float *scale) {
    for (uint32_t i = 0; i < j->n && (bias || scale); i++) {
        float *y = ig_linear_y(j, i);
        for (uint32_t r = 0; scale && r < j->rows; r++) y[r] = y[r] * scale[0];
        for (uint32_t r = 0; bias && r < j->rows; r++) y[r] = y[r] + bias[r];
    }
}

/* Rows [row, row + rows) of matrix `expert` of op->w[i] for the inputs that `j` names. */
static void run_rows(struct ig_cpu *c, const struct ig_op *op, unsigned i, uint32_t expert,
                     uint32_t row, uint32_t rows, struct ig_linear *j, unsigned thread) {
    const struct ig_slot *w = op->w[i];
    int kind = act_kind(&w->mat);
    j->type = w->mat.type;
    j->row_bytes = w->mat.row_bytes;
    j->w = ig_mat_at(&w->mat, expert) + w->mat.row_bytes * row;
    j->rows = rows;
    j->cols = w->mat.cols;
    j->x = c->buffer[op->a];
    j->x_stride = c->stride[op->a];
    j->y = c->buffer[op->to[i]] + row;
    j->y_stride = c->stride[op->to[i]];
    j->scratch = c->scratch[thread];
    if (kind >= 0) {
        j->act = c->act[kind];
        c->k->linear_quant(j);
    } else {
        c->k->linear_float(j);
    }
    finish_rows(j, w->bias ? w->bias + (size_t)expert * w->mat.rows + row : NULL,
                w->mat.scale ? w->mat.scale + expert : NULL);
}

static uint32_t chunk_size(const struct ig_cpu *c, uint32_t rows) {
    uint32_t chunk = CHUNK;
    while (chunk > CHUNK_MIN && rows / chunk < 4 * ig_pool_threads(c->pool)) chunk /= 2;
    return chunk;
}

void ig_op_linear(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    uint32_t n = ig_op_rows(c, op), total = 0, units = 0, unit, at[3];
    if (!n) return;
    for (unsigned i = 0; i < op->n_to; i++) total += op->w[i]->mat.rows;
    uint32_t chunk = chunk_size(c, total);
    for (unsigned i = 0; i < op->n_to; i++) {
        at[i] = units;
        units += (op->w[i]->mat.rows + chunk - 1) / chunk;
    }
    while (ig_take(c, units, &unit)) {
        unsigned i = op->n_to - 1u;
        while (unit < at[i]) i--;
        uint32_t row = (unit - at[i]) * chunk, left = op->w[i]->mat.rows - row;
        struct ig_linear j = {.n = n};
        run_rows(c, op, i, 0, row, left < chunk ? left : chunk, &j, thread);
    }
}

void ig_op_expert_linear(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    const struct ig_route *route = &c->route;
    bool slots = (op->flags & IG_OPF_SLOTS) != 0;
    uint32_t rows = op->w[0]->mat.rows, chunk = chunk_size(c, rows * route->n_active), unit;
    uint32_t chunks = (rows + chunk - 1) / chunk, per_expert = chunks * op->n_to;
    while (ig_take(c, route->n_active * per_expert, &unit)) {
        uint32_t e = route->active[unit / per_expert], i = unit % per_expert / chunks,
                 row = unit % chunks * chunk;
        const uint32_t *order = route->order + route->first[e];
        struct ig_linear j = {.n = route->first[e + 1] - route->first[e], .y_index = order};
        j.x_index = slots ? order : route->order_token + route->first[e];
        run_rows(c, op, i, e, row, rows - row < chunk ? rows - row : chunk, &j, thread);
    }
}
