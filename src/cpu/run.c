/* The executor: buffers sized by the plan, then every thread walks the steps that plan/fuse.c made
 * of the op list. Scratch grows with the largest pass seen; a decode step after a prompt allocates
 * nothing. */
#include "cpu/exec.h"
#include "plan/rope.h"

#include <math.h>

enum { AHEAD = 32 << 10, ALONE_MOST = 4 /* steps */ };

/* ---- The walk ---- */

static void do_rows(struct ig_cpu *c, const struct ig_step *s, uint32_t row, unsigned thread) {
    for (uint32_t i = s->first; i < s->end && i < c->to; i++)
        ig_op_row(c, &c->plan->ops[i], row, thread);
}

/* The operation whose rows a step of rows goes by. */
static const struct ig_op *rows_op(const struct ig_cpu *c, const struct ig_step *s) {
    return &c->plan->ops[s->first < s->end ? s->first : s->op];
}

static unsigned formats(const struct ig_cpu *c, const struct ig_step *s) {
    return s->op < c->to ? s->quantize : 0;
}

static void step_rows(struct ig_cpu *c, const struct ig_step *s, unsigned thread) {
    uint32_t row, n = ig_op_rows(c, rows_op(c, s));
    while (ig_take(c, thread, n, &row)) {
        do_rows(c, s, row, thread);
        ig_op_quantize_row(c, &c->plan->ops[s->op], formats(c, s), row, thread);
    }
}

/* Every thread does the same, each in buffers of its own. */
static void step_alone(struct ig_cpu *c, const struct ig_step *s, unsigned thread) {
    const struct ig_op *ops = c->plan->ops;
    for (uint32_t i = s->first; i < s->end && i < c->to; i++) {
        if (ops[i].kind == IG_OP_ROUTE)
            ig_op_route_few(c, &ops[i], thread);
        else
            for (uint32_t row = 0; row < ig_op_rows(c, &ops[i]); row++)
                ig_op_row(c, &ops[i], row, thread);
    }
    for (uint32_t row = 0; formats(c, s) && row < ig_op_rows(c, &ops[s->op]); row++)
        ig_op_quantize_row(c, &ops[s->op], formats(c, s), row, thread);
}

static void step_units(struct ig_cpu *c, const struct ig_step *s, unsigned thread) {
    const struct ig_op *op = &c->plan->ops[s->op];
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_LINEAR: ig_op_linear(c, s, thread); break;
    case IG_OP_EXPERT_LINEAR: ig_op_expert_linear(c, s, thread); break;
    case IG_OP_ATTEND: ig_op_attend(c, op, thread); break;
    case IG_OP_ROUTE: ig_op_route(c, op, thread); break;
    default: break;
    }
}

/* cos and sin of a position of the pass, for both kinds of layers. */
static void make_table(struct ig_cpu *c, float *const table[2], uint32_t row) {
    for (int i = 0; i < 2; i++) {
        uint32_t dims = c->plan->hp->rope[i].dims;
        if (table[i])
            ig_rope_table(c->frequency[i], dims / 2, c->pass.tokens[row].position, c->mscale[i],
                          table[i] + (size_t)row * dims);
    }
}

static void make_tables(struct ig_cpu *c, unsigned thread) {
    uint32_t row;
    c->lane[thread].counter = 0;
    if (c->few) {
        for (row = 0; row < c->pass.n; row++) make_table(c, c->lane[thread].table, row);
        return;
    }
    while (ig_take(c, thread, c->pass.n, &row)) make_table(c, c->table, row);
    ig_barrier(c, thread, (struct ig_pool_next){NULL, 0});
}

/* The weights this thread reads first behind the barrier before step `s`, as many as the second
 * cache has room for beside other things. */
static struct ig_pool_next first_weights(const struct ig_cpu *c, const struct ig_walk *w,
                                         const struct ig_step *s, unsigned thread) {
    struct ig_pool_next next = {NULL, 0};
    for (; c->few && s < w->steps + w->n && s->op < c->to; s++)
        if (s->how == IG_STEP_UNITS && c->plan->ops[s->op].n_to) {
            next = ig_op_first_weights(c, s, thread);
            break;
        }
    if (next.bytes > AHEAD) next.bytes = AHEAD;
    return next;
}

static void walk(void *ud, unsigned thread) {
    struct ig_cpu *c = ud;
    const struct ig_walk *w = c->walk;
    c->lane[thread].begun = 0;
    make_tables(c, thread);
    for (const struct ig_step *s = w->steps; s < w->steps + w->n; s++) {
        bool rows = s->how != IG_STEP_UNITS;
        if ((rows && s->first < s->end ? s->first : s->op) >= c->to) break;
        if (s->barrier) ig_barrier(c, thread, first_weights(c, w, s, thread));
        c->lane[thread].counter = s->counter;
        if (s->how == IG_STEP_ALONE)
            step_alone(c, s, thread);
        else if (rows)
            step_rows(c, s, thread);
        else
            step_units(c, s, thread);
    }
}

/* ---- Memory ---- */

static void free_act(struct ig_cpu *c, struct ig_act_rows act[2]) {
    for (int i = 0; i < 2; i++) {
        ig_free(c->mem, act[i].q);
        ig_free(c->mem, act[i].d);
        ig_free(c->mem, act[i].sum);
        act[i] = (struct ig_act_rows){0};
    }
}

static void free_route(struct ig_cpu *c, struct ig_route *r) {
    void *all[] = {r->expert, r->weight, r->order, r->order_token, r->first, r->active, r->scores};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ig_free(c->mem, all[i]);
    *r = (struct ig_route){0};
}

static void free_rows(struct ig_cpu *c, float **buffer, float *table[2]) {
    for (int i = 0; i < IG_B_COUNT; i++) {
        ig_free(c->mem, buffer[i]);
        buffer[i] = NULL;
    }
    for (int i = 0; i < 2; i++) {
        ig_free(c->mem, table[i]);
        table[i] = NULL;
    }
}

static void free_buffers(struct ig_cpu *c) {
    free_rows(c, c->buffer, c->table);
    free_act(c, c->act);
    free_route(c, &c->route);
    c->capacity = 0;
}

static void free_lane(struct ig_cpu *c, struct ig_lane *l) {
    ig_free(c->mem, l->scratch);
    ig_free(c->mem, l->attend);
    free_rows(c, l->buffer, l->table);
    free_act(c, l->act);
    free_route(c, &l->route);
}

static bool grow_route(struct ig_cpu *c, struct ig_route *r, size_t tokens) {
    const struct ig_hparams *hp = c->plan->hp;
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

static bool grow_act(struct ig_cpu *c, struct ig_act_rows act[2], size_t rows) {
    for (int i = 0; i < 2; i++) {
        struct ig_act_rows *a = &act[i];
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

static bool grow_tables(struct ig_cpu *c, float *table[2], size_t tokens) {
    const struct ig_hparams *hp = c->plan->hp;
    for (int i = 0; i < 2; i++) {
        if (hp->rope[i].pairing == IG_NOROPE || !hp->rope[i].dims || (i == 1 && !c->frequency[1]))
            continue;
        table[i] = ig_calloc(c->mem, tokens, hp->rope[i].dims * sizeof(float));
        if (!table[i]) return false;
    }
    return true;
}

static size_t act_rows(const struct ig_cpu *c, size_t tokens, size_t wanted) {
    size_t used = c->plan->hp->n_expert_used, slots = used > 1 ? used : 1;
    return tokens * slots > wanted ? tokens * slots : wanted;
}

static bool grow_all(struct ig_cpu *c, uint32_t tokens, uint32_t wanted) {
    for (unsigned i = 1; i < IG_B_COUNT; i++) {
        if (!c->plan->width[i]) continue;
        size_t rows = ig_plan_rows(c->plan, i, tokens, wanted), row = c->stride[i] * sizeof(float);
        /* only what lies behind a row's width must be zero, and never is written */
        c->buffer[i] = c->stride[i] > c->plan->width[i] ? ig_calloc(c->mem, rows, row)
                                                        : ig_alloc(c->mem, rows * row);
        if (!c->buffer[i]) return false;
    }
    return grow_tables(c, c->table, tokens) && grow_act(c, c->act, act_rows(c, tokens, wanted)) &&
           grow_route(c, &c->route, tokens);
}

/* More rows with logits, the other buffers stay. */
static bool grow_wanted(struct ig_cpu *c, uint32_t wanted) {
    for (unsigned i = IG_B_XO; i < IG_B_COUNT; i++) {
        if (!c->plan->width[i]) continue;
        ig_free(c->mem, c->buffer[i]);
        c->buffer[i] = ig_calloc(c->mem, wanted, c->stride[i] * sizeof(float));
        if (!c->buffer[i]) return false;
    }
    return true;
}

/* Room for a pass. Sizes go up in steps so that growth is rare. */
static ingle_status grow(struct ig_cpu *c, uint32_t tokens, uint32_t wanted, ingle_error *err) {
    if (!wanted) wanted = 1;
    if (tokens <= c->capacity && wanted <= c->max_wanted) return INGLE_OK;
    uint32_t room = c->capacity ? c->capacity : 1;
    while (room < tokens) room *= 2;
    uint32_t rows = c->max_wanted ? c->max_wanted : 1;
    while (rows < wanted) rows *= 2;
    wanted = rows;
    bool few = tokens <= c->capacity && wanted <= c->capacity;
    if (!few) free_buffers(c);
    if (few ? !grow_wanted(c, wanted) : !grow_all(c, room, wanted)) {
        free_buffers(c);
        return ig_fail(err, INGLE_NO_MEMORY,
                       "close other programs, or use a smaller --batch or context",
                       "no memory for the working buffers of %u tokens", room);
    }
    c->capacity = room;
    c->max_wanted = wanted;
    return INGLE_OK;
}

/* ---- Rows of a thread's own ---- */

/* Buffers of which some operation's rows are a thread's own when tokens are few. */
static uint64_t own_buffers(const struct ig_plan *p, const struct ig_walk *w, uint32_t to) {
    uint64_t own = 0;
    for (uint32_t i = w->from; i < to; i++)
        if (w->own[i - w->from] & IG_OWN_DST) own |= (uint64_t)1 << p->ops[i].dst;
    return own;
}

static bool open_lane(struct ig_cpu *c, struct ig_lane *l, uint64_t own) {
    l->scratch = ig_alloc(c->mem, c->k->scratch_bytes(c->max_cols));
    if (!l->scratch) return false;
    for (unsigned i = 1; i < IG_B_COUNT; i++) {
        if (!(own >> i & 1)) continue;
        l->buffer[i] = ig_calloc(c->mem, ig_plan_rows(c->plan, i, IG_FEW_TOKENS, IG_FEW_TOKENS),
                                 c->stride[i] * sizeof(float));
        if (!l->buffer[i]) return false;
    }
    return grow_tables(c, l->table, IG_FEW_TOKENS) &&
           grow_act(c, l->act, act_rows(c, IG_FEW_TOKENS, 0)) &&
           grow_route(c, &l->route, IG_FEW_TOKENS);
}

static ingle_status open_lanes(struct ig_cpu *c, const struct ig_cpu_config *config,
                               ingle_error *err) {
    unsigned threads = config->threads;
    uint64_t own = own_buffers(c->plan, &c->plan->walk[1], c->plan->n_ops);
    for (uint32_t i = 0; i < config->n_parts; i++)
        own |= own_buffers(c->plan, &config->parts[i].walk[1], config->parts[i].to);
    c->lane = ig_calloc(c->mem, threads, sizeof *c->lane);
    c->unit_of = ig_calloc(c->mem, c->n_unit_of + 1u, sizeof *c->unit_of);
    if (!c->lane || !c->unit_of) return ig_fail_memory(err, threads * sizeof *c->lane);
    for (unsigned i = 0; i < threads; i++)
        if (!open_lane(c, &c->lane[i], own))
            return ig_fail(err, INGLE_NO_MEMORY, "use fewer threads (-t)",
                           "no memory for the working buffers of thread %u", i);
    return INGLE_OK;
}

/* ---- Open and run ---- */

static ingle_status make_slopes(struct ig_cpu *c, ingle_error *err) {
    const struct ig_hparams *hp = c->plan->hp;
    uint32_t heads = ig_alibi_heads(hp);
    if (!heads) return INGLE_OK;
    c->slopes = ig_calloc(c->mem, heads, sizeof *c->slopes);
    if (!c->slopes) return ig_fail_memory(err, heads * sizeof *c->slopes);
    ig_alibi_slopes(hp, heads, c->slopes);
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

/* Heads whose units meet (IG_SHAPE_HEADS), most of any step. */
static void count_heads(struct ig_cpu *c, const struct ig_walk *w) {
    for (uint32_t i = 0; i < w->n; i++) {
        const struct ig_step *s = &w->steps[i];
        const struct ig_op *op = &c->plan->ops[s->op];
        uint32_t heads = 0;
        for (unsigned j = 0; s->shape == IG_SHAPE_HEADS && j < op->n_to; j++)
            heads += op->w[j]->mat.rows / s->head[j];
        if (heads > c->n_unit_of) c->n_unit_of = heads;
    }
}

static void survey(struct ig_cpu *c, const struct ig_cpu_config *config) {
    const struct ig_plan *p = c->plan;
    for (unsigned i = 1; i < IG_B_COUNT; i++) c->stride[i] = (p->width[i] + 15u) / 16 * 16;
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (unsigned j = 0; j < p->ops[i].n_to; j++) {
            const struct ig_mat *m = &p->ops[i].w[j]->mat;
            if (m->cols > c->max_cols) c->max_cols = m->cols;
            if (m->type->kind == IG_QUANT_A32) c->need_act[0] = true;
            if (m->type->kind == IG_QUANT_A256) c->need_act[1] = true;
        }
    count_heads(c, &p->walk[0]);
    for (uint32_t i = 0; i < config->n_parts; i++) count_heads(c, &config->parts[i].walk[0]);
}

static ingle_status open_parts(struct ig_cpu *c, const struct ig_cpu_config *config,
                               ingle_error *err) {
    c->k = ig_kernels_choose(config->kernels);
    if (!c->k)
        return ig_fail(err, INGLE_UNSUPPORTED, "use --cpu auto",
                       "this processor cannot run the '%s' kernels", config->kernels);
    survey(c, config);
    IG_TRY(make_slopes(c, err));
    IG_TRY(make_frequencies(c, err));
    IG_TRY(ig_pool_open(&c->pool, c->mem, config->threads, config->background, err));
    IG_TRY(open_lanes(c, config, err));
    return ig_attend_open(c, err);
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
    for (unsigned i = 0; c->lane && i < ig_pool_threads(c->pool); i++) free_lane(c, &c->lane[i]);
    ig_pool_close(c->pool);
    ig_free(c->mem, c->lane);
    ig_free(c->mem, c->unit_of);
    ig_free(c->mem, c->parts);
    free_buffers(c);
    ig_free(c->mem, c->frequency[0]);
    ig_free(c->mem, c->frequency[1]);
    ig_free(c->mem, c->slopes);
    ig_free(c->mem, c);
}

ingle_status ig_cpu_begin(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err) {
    IG_TRY(grow(c, pass->n, pass->n_wanted, err));
    c->pass = *pass;
    c->few = pass->n <= IG_FEW_TOKENS;
    return INGLE_OK;
}

/* Every step of the walk is one that each thread does for itself: others need not be woken. */
static bool alone(const struct ig_cpu *c) {
    for (uint32_t i = 0; i < c->walk->n; i++)
        if (c->walk->steps[i].how != IG_STEP_ALONE) return false;
    return c->few;
}

static ingle_status run_walk(struct ig_cpu *c, const struct ig_walk *w, uint32_t to,
                             ingle_error *err) {
    uint32_t end = ig_pass_end(c->plan, &c->pass);
    c->walk = w;
    c->to = to < end ? to : end;
    if (w->n <= ALONE_MOST && alone(c))
        ig_pool_run_alone(c->pool, walk, c);
    else
        IG_TRY(ig_pool_run(c->pool, walk, c, err));
    if (!atomic_load(c->cancel)) return INGLE_OK;
    for (uint32_t i = 0; i < c->n_unit_of; i++) atomic_store(&c->unit_of[i], 0); /* half done */
    return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
}

ingle_status ig_cpu_run(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err) {
    IG_TRY(ig_cpu_begin(c, pass, err));
    return run_walk(c, &c->plan->walk[c->few], c->plan->n_ops, err);
}

ingle_status ig_cpu_run_part(struct ig_cpu *c, const struct ig_plan_part *part, ingle_error *err) {
    return run_walk(c, &part->walk[c->few], part->to, err);
}

float *ig_cpu_in(struct ig_cpu *c, unsigned buffer, size_t *stride) {
    *stride = c->stride[buffer];
    return c->buffer[buffer];
}

/* Where the rows of a buffer lie behind what was run: with the thread, if it wrote them last. */
static const float *rows_at(const struct ig_cpu *c, unsigned buffer) {
    for (uint32_t i = c->to; c->few && i-- > c->walk->from;)
        if (ig_op_writes(&c->plan->ops[i]) >> buffer & 1)
            return ig_row_of(c, 0, ig_own(c, &c->plan->ops[i]) & IG_OWN_DST, buffer, 0);
    return c->buffer[buffer];
}

const float *ig_cpu_out(const struct ig_cpu *c, unsigned buffer, size_t *stride) {
    *stride = c->stride[buffer];
    return rows_at(c, buffer);
}

const float *ig_cpu_logits(const struct ig_cpu *c, uint32_t i) {
    return rows_at(c, IG_B_LOGITS) + c->stride[IG_B_LOGITS] * i;
}
const float *ig_cpu_hidden(const struct ig_cpu *c, uint32_t i) {
    return rows_at(c, IG_B_XO) + c->stride[IG_B_XO] * i;
}
void ig_cpu_state(const struct ig_cpu *c, uint32_t i, float *out) {
    uint8_t x = c->plan->ops[c->plan->gather].a;
    ig_cpu_state_of(c, rows_at(c, x) + c->stride[x] * i, out);
}
void ig_cpu_state_of(const struct ig_cpu *c, const float *x, float *out) {
    const struct ig_op *gather = &c->plan->ops[c->plan->gather], *op = gather + 1;
    bool normed = c->plan->hidden > c->plan->gather + 1;
    const float *weight = normed && op->w[0] ? op->w[0]->vec : NULL,
                *bias = normed && op->w[0] ? op->w[0]->bias : NULL;
    if (!normed)
        memcpy(out, x, gather->n * sizeof *out);
    else if (op->what == IG_NORM_RMS)
        c->k->norm_rms(out, x, weight, bias, op->n, op->f[0]);
    else
        c->k->norm_layer(out, x, weight, bias, op->n, op->f[0]);
}
ig_to_f16_fn ig_cpu_to_f16(const struct ig_cpu *c) {
    return c->k->to_f16;
}
const char *ig_cpu_kernels_name(const struct ig_cpu *c) {
    return c->k->name;
}
