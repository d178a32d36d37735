/* The executor: buffers sized by the plan, then every thread walks the same ops with a barrier
 * after each. Scratch grows with the largest pass seen; a decode step after a prompt allocates
 * nothing. */
#include "cpu/exec.h"
#include "cpu/rope.h"

#include <math.h>

typedef void (*op_fn)(struct ig_cpu *, const struct ig_op *, unsigned);

/* NULL for operations that go row by row. */
static op_fn op_function(uint8_t kind) {
    switch ((enum ig_op_kind)kind) {
    case IG_OP_LINEAR: return ig_op_linear;
    case IG_OP_EXPERT_LINEAR: return ig_op_expert_linear;
    case IG_OP_ROUTE: return ig_op_route;
    case IG_OP_SPREAD: return ig_op_spread;
    case IG_OP_COMBINE: return ig_op_combine;
    case IG_OP_ATTEND: return ig_op_attend;
    default: return NULL;
    }
}

static bool is_linear(const struct ig_op *op) {
    return op->kind == IG_OP_LINEAR || op->kind == IG_OP_EXPERT_LINEAR;
}

/* Do the two work on the same kind of rows (tokens, slots, wanted rows)? */
static bool same_rows(const struct ig_op *a, const struct ig_op *b) {
    const int kinds = IG_OPF_SLOTS | IG_OPF_OUT;
    return (a->flags & kinds) == (b->flags & kinds);
}

/* The end of the run of row-by-row operations that begins at `first`: all on the same kind of rows.
 * GATHER reads other rows than it writes and so begins a run of its own. */
static uint32_t rows_end(const struct ig_cpu *c, uint32_t first) {
    const struct ig_op *ops = c->plan->ops;
    uint32_t i = first;
    while (i < c->to && !op_function(ops[i].kind) && same_rows(&ops[first], &ops[i]) &&
           (i == first || ops[i].kind != IG_OP_GATHER))
        i++;
    return i;
}

/* Row-by-row operations [first, end), and the quantisation of a linear op's input behind them, a
 * row at a time. */
static void walk_rows(struct ig_cpu *c, uint32_t first, uint32_t end, const struct ig_op *linear) {
    uint32_t unit, n = ig_op_rows(c, first < end ? &c->plan->ops[first] : linear);
    while (ig_take(c, n, &unit)) {
        for (uint32_t i = first; i < end; i++) ig_op_row(c, &c->plan->ops[i], unit);
        if (linear) ig_op_quantize_row(c, linear, unit);
    }
    ig_pool_barrier(c->pool);
}

/* cos and sin of every position of the pass, for both kinds of layers. */
static void make_tables(struct ig_cpu *c) {
    uint32_t unit;
    while (ig_take(c, c->pass.n, &unit))
        for (int i = 0; i < 2; i++) {
            uint32_t dims = c->plan->hp->rope[i].dims;
            if (c->table[i])
                ig_rope_table(c->frequency[i], dims / 2, c->pass.tokens[unit].position,
                              c->mscale[i], c->table[i] + (size_t)unit * dims);
        }
}

static void walk(void *ud, unsigned thread) {
    struct ig_cpu *c = ud;
    if (c->from == 0) {
        make_tables(c);
        ig_pool_barrier(c->pool);
    }
    for (uint32_t i = c->from; i < c->to;) {
        uint32_t end = rows_end(c, i);
        const struct ig_op *op = end < c->to ? &c->plan->ops[end] : NULL;
        bool linear = op && is_linear(op) && ig_op_wants_int8(op);
        bool joined = linear && (end == i || same_rows(&c->plan->ops[i], op));
        if (end > i || joined) walk_rows(c, i, end, joined ? op : NULL);
        if (linear && !joined) walk_rows(c, end, end, op);
        if (op && op_function(op->kind)) {
            op_function(op->kind)(c, op, thread);
            ig_pool_barrier(c->pool);
            end++;
        }
        i = end;
    }
}

/* ---- Memory ---- */

static void free_buffers(struct ig_cpu *c) {
    for (int i = 0; i < IG_B_COUNT; i++) {
        ig_free(c->mem, c->buffer[i]);
        c->buffer[i] = NULL;
    }
    for (int i = 0; i < 2; i++) {
        ig_free(c->mem, c->act[i].q);
        ig_free(c->mem, c->act[i].d);
        ig_free(c->mem, c->act[i].sum);
        ig_free(c->mem, c->table[i]);
        c->act[i] = (struct ig_act_rows){0};
        c->table[i] = NULL;
    }
    struct ig_route *r = &c->route;
    void *all[] = {r->expert, r->weight, r->order, r->order_token, r->first, r->active, r->scores};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ig_free(c->mem, all[i]);
    *r = (struct ig_route){0};
    c->capacity = 0;
}

static bool grow_route(struct ig_cpu *c, size_t tokens) {
    const struct ig_hparams *hp = c->plan->hp;
    struct ig_route *r = &c->route;
    size_t slots = tokens * hp->n_expert_used;
    if (!hp->n_expert) return true;
    r->expert = ig_calloc(c->mem, slots, sizeof *r->expert);
    r->weight = ig_calloc(c->mem, slots, sizeof *r->weight);
    r->order = ig_calloc(c->mem, slots, sizeof *r->order);
    r->order_token = ig_calloc(c->mem, slots, sizeof *r->order_token);
    r->first = ig_calloc(c->mem, hp->n_expert + 1, sizeof *r->first);
    r->active = ig_calloc(c->mem, hp->n_expert, sizeof *r->active);
    r->scores = ig_calloc(c->mem, tokens * 3 * hp->n_expert, sizeof *r->scores);
    return r->expert && r->weight && r->order && r->order_token && r->first && r->active &&
           r->scores;
}

static bool grow_act(struct ig_cpu *c, size_t rows) {
    for (int i = 0; i < 2; i++) {
        struct ig_act_rows *a = &c->act[i];
        if (!c->need_act[i]) continue;
        a->q_stride = (c->max_cols + 255u) / 256 * 256;
        a->d_stride = a->q_stride / (i ? 256 : 32);
        a->s_stride = a->q_stride / 16;
        a->q = ig_calloc(c->mem, rows, a->q_stride);
        a->d = ig_calloc(c->mem, rows, a->d_stride * sizeof *a->d);
        a->sum = ig_calloc(c->mem, rows, a->s_stride * sizeof *a->sum);
        if (!a->q || !a->d || !a->sum) return false;
    }
    return true;
}

static bool grow_all(struct ig_cpu *c, uint32_t tokens, uint32_t wanted) {
    const struct ig_hparams *hp = c->plan->hp;
    size_t slots = hp->n_expert_used > 1 ? hp->n_expert_used : 1;
    for (unsigned i = 1; i < IG_B_COUNT; i++) {
        if (!c->plan->width[i]) continue;
        c->stride[i] = (c->plan->width[i] + 15u) / 16 * 16;
        c->buffer[i] = ig_calloc(c->mem, ig_plan_rows(c->plan, i, tokens, wanted),
                                 c->stride[i] * sizeof(float));
        if (!c->buffer[i]) return false;
    }
    for (int i = 0; i < 2; i++) {
        if (hp->rope[i].pairing == IG_NOROPE || !hp->rope[i].dims || (i == 1 && !c->frequency[1]))
            continue;
        c->table[i] = ig_calloc(c->mem, tokens, hp->rope[i].dims * sizeof(float));
        if (!c->table[i]) return false;
    }
    return grow_act(c, tokens * slots > wanted ? tokens * slots : wanted) && grow_route(c, tokens);
}

/* Room for a pass. Sizes go up in steps so that growth is rare. */
static ingle_status grow(struct ig_cpu *c, uint32_t tokens, uint32_t wanted, ingle_error *err) {
    if (!wanted) wanted = 1;
    if (tokens <= c->capacity && wanted <= c->max_wanted) return INGLE_OK;
    uint32_t room = c->capacity ? c->capacity : 1;
    while (room < tokens) room *= 4;
    if (wanted < c->max_wanted) wanted = c->max_wanted;
    free_buffers(c);
    if (!grow_all(c, room, wanted)) {
        free_buffers(c);
        return ig_fail(err, INGLE_NO_MEMORY,
                       "close other programs, or use a smaller --batch or context",
                       "no memory for the working buffers of %u tokens", room);
    }
    c->capacity = room;
    c->max_wanted = wanted;
    return INGLE_OK;
}

/* ---- Open and run ---- */

/* ALiBi: powers of 2^(-max / n), interleaved for head counts that are no power of two (the paper's
 * recipe). */
static ingle_status make_slopes(struct ig_cpu *c, ingle_error *err) {
    const struct ig_hparams *hp = c->plan->hp;
    uint32_t heads = 0, power = 1;
    if (hp->pos != IG_POS_ALIBI) return INGLE_OK;
    for (uint32_t i = 0; i < hp->n_layer; i++)
        if (hp->layer[i].n_head > heads) heads = hp->layer[i].n_head;
    while (power * 2 <= heads) power *= 2;
    c->slopes = ig_calloc(c->mem, heads, sizeof *c->slopes);
    if (!c->slopes) return ig_fail_memory(err, heads * sizeof *c->slopes);
    for (uint32_t h = 0; h < heads; h++) {
        double e = h < power ? -hp->alibi_max * (h + 1) / power
                             : -hp->alibi_max * (2 * (h - power) + 1) / (2.0 * power);
        c->slopes[h] = (float)(exp2(e) * hp->alibi_scale);
    }
    return INGLE_OK;
}

static ingle_status make_frequencies(struct ig_cpu *c, ingle_error *err) {
    const struct ig_hparams *hp = c->plan->hp;
    for (int i = 0; i < 2; i++) {
        const struct ig_rope *r = &hp->rope[i];
        if (r->pairing == IG_NOROPE || !r->dims) continue;
        c->frequency[i] = ig_calloc(c->mem, r->dims / 2, sizeof(double));
        if (!c->frequency[i]) return ig_fail_memory(err, r->dims / 2 * sizeof(double));
        ig_rope_frequencies(r, c->context, c->frequency[i], &c->mscale[i]);
    }
    return INGLE_OK;
}

static void survey(struct ig_cpu *c) {
    for (uint32_t i = 0; i < c->plan->n_ops; i++)
        for (unsigned j = 0; j < c->plan->ops[i].n_to; j++) {
            const struct ig_mat *m = &c->plan->ops[i].w[j]->mat;
            if (m->cols > c->max_cols) c->max_cols = m->cols;
            if (m->type->kind == IG_QUANT_A32) c->need_act[0] = true;
            if (m->type->kind == IG_QUANT_A256) c->need_act[1] = true;
        }
}

static ingle_status open_parts(struct ig_cpu *c, const struct ig_cpu_config *config,
                               ingle_error *err) {
    c->k = ig_kernels_choose(config->kernels);
    if (!c->k)
        return ig_fail(err, INGLE_UNSUPPORTED, "use --cpu auto",
                       "this processor cannot run the '%s' kernels", config->kernels);
    survey(c);
    IG_TRY(make_slopes(c, err));
    IG_TRY(make_frequencies(c, err));
    IG_TRY(ig_pool_open(&c->pool, c->mem, config->threads, config->background, err));
    c->scratch = ig_calloc(c->mem, config->threads, sizeof *c->scratch);
    if (!c->scratch) return ig_fail_memory(err, config->threads * sizeof *c->scratch);
    size_t bytes = c->k->scratch_bytes(c->max_cols);
    for (unsigned i = 0; i < config->threads; i++) {
        c->scratch[i] = ig_alloc(c->mem, bytes);
        if (!c->scratch[i]) return ig_fail_memory(err, bytes);
    }
    return INGLE_OK;
}

ingle_status ig_cpu_open(struct ig_cpu **out, struct ig_mem *mem, const struct ig_plan *plan,
                         const struct ig_cpu_config *config, ingle_error *err) {
    struct ig_cpu *c = ig_calloc(mem, 1, sizeof *c);
    *out = NULL;
    if (!c) return ig_fail_memory(err, sizeof *c);
    c->mem = mem;
    c->plan = plan;
    c->cancel = config->cancel;
    c->context = config->context;
    ingle_status status = open_parts(c, config, err);
    if (status != INGLE_OK)
        ig_cpu_close(c);
    else
        *out = c;
    return status;
}

void ig_cpu_close(struct ig_cpu *c) {
    if (!c) return;
    for (unsigned i = 0; c->scratch && i < ig_pool_threads(c->pool); i++)
        ig_free(c->mem, c->scratch[i]);
    ig_pool_close(c->pool);
    ig_free(c->mem, c->scratch);
    free_buffers(c);
    ig_free(c->mem, c->frequency[0]);
    ig_free(c->mem, c->frequency[1]);
    ig_free(c->mem, c->slopes);
    ig_free(c->mem, c);
}

ingle_status ig_cpu_run(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err) {
    IG_TRY(grow(c, pass->n, pass->n_wanted, err));
    c->pass = *pass;
    c->from = 0;
    c->to = !pass->n_wanted ? c->plan->gather : pass->hidden ? c->plan->hidden : c->plan->n_ops;
    IG_TRY(ig_pool_run(c->pool, walk, c, err));
    if (atomic_load(c->cancel)) return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
    return INGLE_OK;
}

const float *ig_cpu_logits(const struct ig_cpu *c, uint32_t i) {
    return ig_row(c, IG_B_LOGITS, i);
}
const float *ig_cpu_hidden(const struct ig_cpu *c, uint32_t i) {
    return ig_row(c, IG_B_XO, i);
}
const char *ig_cpu_kernels_name(const struct ig_cpu *c) {
    return c->k->name;
}
