/* Linear layers. The walk (run.c) has quantised the inputs; chunks of output rows are units of
 * work. How rows are cut into units never changes a result: a row is one unit's, whole. */
#include "cpu/exec.h"

/* CHUNK_MANY: for many inputs, which each unit packs for itself (panel_many.inl) */
enum { CHUNK = 64, CHUNK_MIN = 16, CHUNK_MANY = 256, MANY = 64 };

void ig_op_quantize_row(struct ig_cpu *c, const struct ig_op *op, unsigned formats, uint32_t i,
                        unsigned thread) {
    bool own = (ig_own(c, op) & IG_OWN_A) != 0;
    for (unsigned kind = 0; kind < 2; kind++) {
        const struct ig_act_rows *r = ig_act(c, thread, kind);
        if (formats & 1u << kind)
            c->k->quantize(ig_row_of(c, thread, own, op->a, i), op->n, kind ? 256 : 32,
                           r->q + r->q_stride * i, r->d + r->d_stride * i,
                           r->sum + r->s_stride * i);
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
    int kind = ig_mat_act_kind(&w->mat);
    j->type = w->mat.type;
    j->row_bytes = w->mat.row_bytes;
    j->w = ig_mat_at(&w->mat, expert) + w->mat.row_bytes * row;
    j->rows = rows;
    j->cols = w->mat.cols;
    j->x = ig_row_of(c, thread, ig_own(c, op) & IG_OWN_A, op->a, 0);
    j->x_stride = c->stride[op->a];
    j->y = c->buffer[op->to[i]] + row;
    j->y_stride = c->stride[op->to[i]];
    j->scratch = c->lane[thread].scratch;
    if (kind >= 0) {
        j->act = *ig_act(c, thread, (unsigned)kind);
        c->k->linear_quant(j);
    } else {
        c->k->linear_float(j);
        c->lane[thread].packed.held = 0;
    }
    finish_rows(j, w->bias ? w->bias + (size_t)expert * w->mat.rows + row : NULL,
                w->mat.scale ? w->mat.scale + expert : NULL);
}

/* ---- Units ---- */

/* How the rows of a step's matrices are cut. A unit is `rows` rows of matrix i; of all matrices
 * where the step works on columns of all outputs. Where it works on heads, `parts` units make one.
 */
struct units {
    uint32_t n, at[3], rows[3], parts[3];
    uint32_t head_at[3]; /* first of the matrix in unit_of */
};

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

static uint32_t chunk_size(const struct ig_cpu *c, uint32_t rows, uint32_t n) {
    uint32_t chunk = n < MANY ? CHUNK : CHUNK_MANY;
    while (chunk > CHUNK_MIN && rows / chunk < 4 * ig_pool_team(c->pool)) chunk /= 2;
    return chunk;
}

/* Units that are whole heads, or equal parts of one. */
static uint32_t cut_heads(uint32_t head, uint32_t chunk, uint32_t *parts) {
    *parts = 1;
    if (head <= chunk) return chunk / head * head;
    *parts = ceil_div(head, chunk);
    uint32_t rows = ceil_div(ceil_div(head, *parts), CHUNK_MIN) * CHUNK_MIN;
    *parts = ceil_div(head, rows);
    return rows;
}

static struct units cut(const struct ig_cpu *c, const struct ig_step *s) {
    const struct ig_op *op = &c->plan->ops[s->op];
    struct units u = {.n = 0};
    uint32_t total = 0, heads = 0, n = ig_op_rows(c, op);
    if (s->shape == IG_SHAPE_COLUMNS) {
        u.rows[0] = chunk_size(c, op->w[0]->mat.rows, n);
        u.n = ceil_div(op->w[0]->mat.rows, u.rows[0]);
        return u;
    }
    for (unsigned i = 0; i < op->n_to; i++) total += op->w[i]->mat.rows;
    uint32_t chunk = chunk_size(c, total, n);
    for (unsigned i = 0; i < op->n_to; i++) {
        uint32_t rows = op->w[i]->mat.rows, head = s->head[i];
        bool whole = s->shape == IG_SHAPE_HEADS;
        u.at[i] = u.n;
        u.head_at[i] = heads;
        u.rows[i] = whole ? cut_heads(head, chunk, &u.parts[i]) : chunk;
        if (whole) heads += rows / head;
        u.n += whole && u.parts[i] > 1 ? rows / head * u.parts[i] : ceil_div(rows, u.rows[i]);
    }
    return u;
}

/* Matrix and rows of a unit (SHAPE_COLUMNS: the rows, of every matrix). */
struct place {
    unsigned i;
    uint32_t row, rows, head;
};

static struct place find_unit(const struct ig_op *op, const struct ig_step *s,
                              const struct units *u, uint32_t unit) {
    struct place p = {.i = 0};
    uint32_t end, index;
    if (s->shape != IG_SHAPE_COLUMNS)
        for (p.i = op->n_to - 1u; unit < u->at[p.i];) p.i--;
    index = unit - u->at[p.i];
    if (u->parts[p.i] > 1) {
        p.head = index / u->parts[p.i];
        p.row = p.head * s->head[p.i] + index % u->parts[p.i] * u->rows[p.i];
        end = (p.head + 1) * s->head[p.i];
    } else {
        p.row = index * u->rows[p.i];
        end = op->w[p.i]->mat.rows;
    }
    p.rows = end - p.row < u->rows[p.i] ? end - p.row : u->rows[p.i];
    return p;
}

struct ig_pool_next ig_op_first_weights(const struct ig_cpu *c, const struct ig_step *s,
                                        unsigned thread) {
    const struct ig_op *op = &c->plan->ops[s->op];
    if (op->kind != IG_OP_LINEAR) return (struct ig_pool_next){NULL, 0};
    struct units u = cut(c, s);
    struct ig_near first = ig_near_range(u.n, ig_pool_team(c->pool), thread);
    if (first.at >= u.n) return (struct ig_pool_next){NULL, 0};
    struct place p = find_unit(op, s, &u, first.at);
    const struct ig_mat *m = &op->w[p.i]->mat;
    return (struct ig_pool_next){ig_mat_at(m, 0) + m->row_bytes * p.row, m->row_bytes * p.rows};
}

/* ---- What follows on a unit's own results ---- */

static void finish_columns(struct ig_cpu *c, const struct ig_step *s, uint32_t first, uint32_t n,
                           const uint32_t *rows, uint32_t n_rows, unsigned thread) {
    for (uint32_t i = 0; i < n_rows; i++)
        for (uint32_t j = s->first; j < s->end; j++)
            ig_op_columns(c, &c->plan->ops[j], rows ? rows[i] : i, first, n, thread);
}

/* The part of KV_PUT that concerns columns [from, from + n) of buffer `out`. */
static void put_heads(struct ig_cpu *c, const struct ig_op *op, uint8_t out, bool alias, uint32_t t,
                      uint32_t from, uint32_t n) {
    const struct ig_layer_params *l = &c->plan->hp->layer[op->layer];
    if (out == op->a)
        ig_op_kv_put(c, op, t, false, from / l->head_k, n / l->head_k, ig_row(c, op->a, t) + from);
    if (out == op->b || (out == op->a && alias))
        ig_op_kv_put(c, op, t, true, from / l->head_v, n / l->head_v, ig_row(c, op->b, t) + from);
}

/* Columns [from, from + n) of output i are done: whole heads. A copy of it (v that is k) goes the
 * same way. */
static void finish_heads(struct ig_cpu *c, const struct ig_step *s, unsigned i, uint32_t from,
                         uint32_t n, unsigned thread) {
    const struct ig_op *ops = c->plan->ops;
    uint8_t out = ops[s->op].to[i];
    for (uint32_t t = 0; t < ig_op_rows(c, &ops[s->op]); t++) {
        uint8_t alias = IG_B_NONE;
        for (uint32_t j = s->first; j < s->end; j++) {
            const struct ig_op *op = &ops[j];
            if (op->kind == IG_OP_COPY && op->a == out) alias = op->dst;
            if (op->kind == IG_OP_KV_PUT)
                put_heads(c, op, out, alias && alias == op->b, t, from, n);
            else if (op->dst == out || op->dst == alias)
                ig_op_columns(c, op, t, from, n, thread);
        }
    }
}

/* Rows of matrix i are done. Where a head has several units, the last one to end does the rest. */
static void finish_unit(struct ig_cpu *c, const struct ig_step *s, const struct units *u,
                        const struct place *p, unsigned thread) {
    if (u->parts[p->i] == 1) {
        finish_heads(c, s, p->i, p->row, p->rows, thread);
        return;
    }
    _Atomic uint32_t *done = &c->unit_of[u->head_at[p->i] + p->head];
    if (atomic_fetch_add_explicit(done, 1, memory_order_acq_rel) + 1 < u->parts[p->i]) return;
    atomic_store_explicit(done, 0, memory_order_relaxed);
    finish_heads(c, s, p->i, p->head * s->head[p->i], s->head[p->i], thread);
}

/* ---- The operations ---- */

void ig_op_linear(struct ig_cpu *c, const struct ig_step *s, unsigned thread) {
    const struct ig_op *op = &c->plan->ops[s->op];
    bool columns = s->shape == IG_SHAPE_COLUMNS;
    uint32_t n = ig_op_rows(c, op), unit;
    struct units u = cut(c, s);
    struct ig_near near = {0, 0};
    if (!n) return;
    c->lane[thread].packed.op++;
    while (ig_take_near(c, thread, u.n, &near, &unit)) {
        struct place p = find_unit(op, s, &u, unit);
        for (unsigned i = columns ? 0 : p.i; i < (columns ? op->n_to : p.i + 1); i++) {
            struct ig_linear j = {.n = n, .packed = &c->lane[thread].packed};
            run_rows(c, op, i, 0, p.row, p.rows, &j, thread);
        }
        if (columns) finish_columns(c, s, p.row, p.rows, NULL, n, thread);
        if (s->shape == IG_SHAPE_HEADS) finish_unit(c, s, &u, &p, thread);
    }
}

void ig_op_expert_linear(struct ig_cpu *c, const struct ig_step *s, unsigned thread) {
    const struct ig_op *op = &c->plan->ops[s->op];
    const struct ig_route *route = ig_routes(c, thread);
    bool slots = (op->flags & IG_OPF_SLOTS) != 0, columns = s->shape == IG_SHAPE_COLUMNS;
    uint32_t rows = op->w[0]->mat.rows, chunk = chunk_size(c, rows * op->n_to * route->n_active, 1),
             chunks = ceil_div(rows, chunk), each = columns ? 1 : op->n_to, unit;
    while (ig_take(c, thread, route->n_active * chunks * each, &unit)) {
        uint32_t e = route->active[unit / (chunks * each)], row = unit % chunks * chunk,
                 n = rows - row < chunk ? rows - row : chunk,
                 first = columns ? 0 : unit / chunks % each;
        const uint32_t *order = route->order + route->first[e];
        for (unsigned i = first; i < (columns ? op->n_to : first + 1); i++) {
            struct ig_linear j = {.n = route->first[e + 1] - route->first[e], .y_index = order};
            j.x_index = slots ? order : route->order_token + route->first[e];
            run_rows(c, op, i, e, row, n, &j, thread);
        }
        if (columns)
            finish_columns(c, s, row, n, order, route->first[e + 1] - route->first[e], thread);
    }
}
