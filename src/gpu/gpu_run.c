/* The executor: buffers sized by the plan, what every token of a pass brings with it (ids,
 * positions, rotation tables), and the walk over a part's operations. Everything is queued in order
 * and nothing waits but for results, the staging buffer, and now and then to see whether the run
 * was cancelled.
 *
 * The subtle thing is that wait: work that is queued cannot be called back, so the walk keeps count
 * of how long what it queued will take, by how long the last took, and lets the device come to rest
 * before that is more than a moment. */
#include "gpu/gpu_impl.h"

#include <math.h>
#include <string.h>

static const double MOMENT = 0.04; /* seconds of work that may be queued */

/* ---- Open and close ---- */

static ingle_status make_frequencies(struct ig_gpu *g, ingle_error *err) {
    for (int i = 0; i < 2; i++) {
        const struct ig_rope *r = &g->plan->hp->rope[i];
        if (r->pairing == IG_NOROPE || !r->dims) continue;
        g->frequency[i] = ig_calloc(g->mem, r->dims / 2, sizeof(double));
        if (!g->frequency[i]) return ig_fail_memory(err, r->dims / 2 * sizeof(double));
        ig_rope_frequencies(r, g->context, g->frequency[i], &g->mscale[i]);
    }
    return INGLE_OK;
}

static void survey(struct ig_gpu *g) {
    const struct ig_plan *p = g->plan;
    uint32_t cols = 0;
    for (unsigned i = 1; i < IG_B_COUNT; i++) g->stride[i] = (p->width[i] + 15u) / 16 * 16;
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (unsigned j = 0; j < p->ops[i].n_to; j++) {
            const struct ig_mat *m = &p->ops[i].w[j]->mat;
            if (m->cols > cols) cols = m->cols;
            if (m->type->kind == IG_QUANT_A32) g->act[0].need = true;
            if (m->type->kind == IG_QUANT_A256) g->act[1].need = true;
        }
    g->q_stride = (cols + 255u) / 256 * 256;
}

static ingle_status open_parts(struct ig_gpu *g, ingle_error *err) {
    const struct ig_hparams *hp = g->plan->hp;
    survey(g);
    IG_TRY(make_frequencies(g, err));
    g->stages = ig_calloc(g->mem, hp->n_layer + 1u, sizeof *g->stages);
    g->late_stages = ig_calloc(g->mem, hp->n_layer + 1u, sizeof *g->stages);
    if (!g->stages || !g->late_stages)
        return ig_fail_memory(err, (hp->n_layer + 1u) * sizeof *g->stages);
    g->n_slope = ig_alibi_heads(hp);
    if (!g->n_slope) return INGLE_OK;
    g->slope = ig_calloc(g->mem, g->n_slope, sizeof *g->slope);
    if (!g->slope) return ig_fail_memory(err, g->n_slope * sizeof *g->slope);
    ig_alibi_slopes(hp, g->n_slope, g->slope);
    return INGLE_OK;
}

ingle_status ig_gpu_open(struct ig_gpu **out, struct ig_mem *mem, struct ig_gpu_weights *w,
                         const struct ig_gpu_config *config, ingle_error *err) {
    struct ig_gpu *g = ig_calloc(mem, 1, sizeof *g);
    *out = NULL;
    if (!g) return ig_fail_memory(err, sizeof *g);
    g->mem = mem;
    g->w = w;
    g->plan = w->plan;
    g->cancel = config->cancel;
    g->log = config->log;
    g->to_f16 = config->to_f16 ? config->to_f16 : ig_kv_to_f16_plain;
    g->context = config->context;
    g->batch = config->batch;
    g->pace = 20e-6;
    ig_os_lock(&w->lock);
    g->next = w->sessions;
    w->sessions = g;
    ig_os_unlock(&w->lock);
    ingle_status status = open_parts(g, err);
    if (status != INGLE_OK)
        ig_gpu_close(g);
    else
        *out = g;
    return status;
}

static void free_tokens(struct ig_gpu *g) {
    for (unsigned i = 1; i < IG_B_XO; i++) ig_gpu_buffer_free(g->w, &g->buffer[i]);
    for (int i = 0; i < 2; i++) ig_gpu_buffer_free(g->w, &g->table[i]);
    ig_gpu_buffer_free(g->w, &g->tokens);
    ig_gpu_buffer_free(g->w, &g->route);
    ig_gpu_buffer_free(g->w, &g->weight);
    g->capacity = 0;
    g->live &= ~(((uint64_t)1 << IG_B_XO) - 1);
}

static void free_wanted(struct ig_gpu *g) {
    for (unsigned i = IG_B_XO; i < IG_B_COUNT; i++) ig_gpu_buffer_free(g->w, &g->buffer[i]);
    ig_gpu_buffer_free(g->w, &g->wanted);
    g->n_wanted_was = 0;
    g->max_wanted = 0;
    g->live &= ((uint64_t)1 << IG_B_XO) - 1;
}

static void free_act(struct ig_gpu *g) {
    for (int i = 0; i < 2; i++) {
        ig_gpu_buffer_free(g->w, &g->act[i].q);
        ig_gpu_buffer_free(g->w, &g->act[i].d);
        ig_gpu_buffer_free(g->w, &g->act[i].sum);
    }
    g->act_rows = 0;
}

void ig_gpu_scratch_free(struct ig_gpu *g) {
    ig_gpu_graphs_free(g);
    free_tokens(g);
    free_wanted(g);
    free_act(g);
    ig_gpu_buffer_free(g->w, &g->parts);
    ig_gpu_buffer_free(g->w, &g->stage);
    ig_gpu_buffer_free(g->w, &g->slopes);
}

void ig_gpu_close(struct ig_gpu *g) {
    if (!g) return;
    struct ig_gpu **at = &g->w->sessions;
    ig_os_lock(&g->w->lock);
    g->w->backend->sync(g->w->device, NULL);
    ig_gpu_scratch_free(g);
    while (*at && *at != g) at = &(*at)->next;
    if (*at) *at = g->next;
    ig_os_unlock(&g->w->lock);
    void *all[] = {g->frequency[0], g->frequency[1], g->slope,  g->token, g->runs,
                   g->rope,         g->bounce,       g->stages, g->late,  g->late_stages};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ig_free(g->mem, all[i]);
    ig_free(g->mem, g);
}

/* ---- Memory ---- */

ingle_status ig_gpu_bounce(struct ig_gpu *g, size_t bytes, ingle_error *err) {
    if (g->bounce_bytes >= bytes) return INGLE_OK;
    ig_free(g->mem, g->bounce);
    g->bounce_bytes = 0;
    g->bounce = ig_alloc(g->mem, bytes);
    if (!g->bounce) return ig_fail_memory(err, bytes);
    g->bounce_bytes = bytes;
    return INGLE_OK;
}

/* Buffers [from, to) with `rows(tokens, wanted)` rows each. Only what lies behind a row's width
 * must be zero, and never is written. */
static ingle_status grow_rows(struct ig_gpu *g, unsigned from, unsigned to, uint32_t tokens,
                              uint32_t wanted, ingle_error *err) {
    for (unsigned i = from; i < to; i++) {
        uint32_t width = g->plan->width[i];
        if (!width) continue;
        size_t bytes =
            (size_t)ig_plan_rows(g->plan, i, tokens, wanted) * g->stride[i] * sizeof(float);
        IG_TRY(ig_gpu_buffer_grow(g->w, &g->buffer[i], bytes, g->stride[i] > width, err));
    }
    return INGLE_OK;
}

/* What the host keeps of each token. */
static ingle_status grow_host(struct ig_gpu *g, uint32_t tokens, ingle_error *err) {
    const struct ig_hparams *hp = g->plan->hp;
    size_t dims = hp->rope[0].dims > hp->rope[1].dims ? hp->rope[0].dims : hp->rope[1].dims;
    ig_free(g->mem, g->token);
    ig_free(g->mem, g->runs);
    ig_free(g->mem, g->rope);
    g->token = ig_calloc(g->mem, tokens, sizeof *g->token);
    g->runs = ig_calloc(g->mem, tokens, sizeof *g->runs);
    g->rope = ig_calloc(g->mem, tokens, (dims + 1) * sizeof *g->rope);
    if (!g->token || !g->runs || !g->rope)
        return ig_fail_memory(err, tokens * (dims + 1) * sizeof *g->rope);
    return INGLE_OK;
}

static ingle_status grow_tokens(struct ig_gpu *g, uint32_t tokens, ingle_error *err) {
    const struct ig_hparams *hp = g->plan->hp;
    uint32_t slots = tokens * hp->n_expert_used;
    IG_TRY(grow_host(g, tokens, err));
    IG_TRY(grow_rows(g, 1, IG_B_XO, tokens, 0, err));
    IG_TRY(ig_gpu_buffer_grow(g->w, &g->tokens, tokens * sizeof(struct ig_token), false, err));
    for (int i = 0; i < 2; i++)
        if (g->frequency[i])
            IG_TRY(ig_gpu_buffer_grow(
                g->w, &g->table[i], (size_t)tokens * hp->rope[i].dims * sizeof(float), false, err));
    if (!hp->n_expert) return INGLE_OK;
    IG_TRY(ig_gpu_buffer_grow(
        g->w, &g->route, ((size_t)slots * 2 + hp->n_expert + 1) * sizeof(uint32_t), false, err));
    return ig_gpu_buffer_grow(g->w, &g->weight, slots * sizeof(float), false, err);
}

static ingle_status grow_act(struct ig_gpu *g, ingle_error *err) {
    uint32_t used = g->plan->hp->n_expert_used, rows = g->capacity * (used > 1 ? used : 1);
    if (g->max_wanted > rows) rows = g->max_wanted;
    if (rows <= g->act_rows) return INGLE_OK;
    free_act(g);
    for (unsigned i = 0; i < 2; i++) {
        struct ig_gpu_act *a = &g->act[i];
        size_t q = (size_t)rows * g->q_stride;
        if (!a->need) continue;
        IG_TRY(ig_gpu_buffer_grow(g->w, &a->q, q, false, err));
        IG_TRY(ig_gpu_buffer_grow(g->w, &a->d, q / (i ? 256 : 32) * sizeof(float), false, err));
        IG_TRY(ig_gpu_buffer_grow(g->w, &a->sum, q / 16 * sizeof(int16_t), false, err));
    }
    g->act_rows = rows;
    return INGLE_OK;
}

static uint32_t step_up(uint32_t have, uint32_t want) {
    uint32_t n = have ? have : 1;
    while (n < want) n *= 2;
    return n;
}

/* Room for a pass. Sizes go up in steps so that growth is rare; the two kinds of rows grow apart,
 * so that what was put into one stays when the other grows. */
static ingle_status grow(struct ig_gpu *g, uint32_t tokens, uint32_t wanted, ingle_error *err) {
    if (tokens > g->capacity) {
        uint32_t room = step_up(g->capacity, tokens);
        free_tokens(g);
        IG_TRY(grow_tokens(g, room, err));
        g->capacity = room;
    }
    if (wanted > g->max_wanted) {
        uint32_t room = step_up(g->max_wanted, wanted);
        free_wanted(g);
        IG_TRY(grow_rows(g, IG_B_XO, IG_B_COUNT, 0, room, err));
        IG_TRY(ig_gpu_buffer_grow(g->w, &g->wanted, room * sizeof(uint32_t), false, err));
        g->max_wanted = room;
    }
    if (g->n_slope && !g->slopes.mem) {
        size_t bytes = g->n_slope * sizeof *g->slope;
        IG_TRY(ig_gpu_buffer_grow(g->w, &g->slopes, bytes, false, err));
        IG_TRY(g->w->backend->upload(g->w->device, g->slopes.mem, 0, g->slope, bytes, err));
    }
    return grow_act(g, err);
}

/* ---- What tokens bring ---- */

/* The factor of IG_OP_TEMPERATURE, which is the same in every layer that has one. */
static float temperature(const struct ig_op *op, uint32_t position) {
    double at = floor((position + op->heads) / (double)op->f[1]);
    return (float)(1 + (double)op->f[0] * ig_det_log(1 + at));
}

static const struct ig_op *find_op(const struct ig_plan *p, uint32_t from, uint32_t to,
                                   enum ig_op_kind kind) {
    for (uint32_t i = from; i < to; i++)
        if (p->ops[i].kind == kind) return &p->ops[i];
    return NULL;
}

static ingle_status send_tokens(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    const struct ig_op *op = find_op(g->plan, from, to, IG_OP_TEMPERATURE);
    uint32_t n = g->pass.n;
    for (uint32_t i = 0; i < n; i++) {
        const struct ig_pass_token *t = &g->pass.tokens[i];
        g->token[i] = (struct ig_token){.id = (uint32_t)t->id,
                                        .position = t->position,
                                        .temperature = op ? temperature(op, t->position) : 1.0f};
    }
    return g->w->backend->upload(g->w->device, g->tokens.mem, 0, g->token, n * sizeof *g->token,
                                 err);
}

static ingle_status send_tables(struct ig_gpu *g, ingle_error *err) {
    for (int i = 0; i < 2; i++) {
        uint32_t dims = g->plan->hp->rope[i].dims;
        if (!g->frequency[i]) continue;
        for (uint32_t t = 0; t < g->pass.n; t++)
            ig_rope_table(g->frequency[i], dims / 2, g->pass.tokens[t].position, g->mscale[i],
                          g->rope + (size_t)t * dims);
        IG_TRY(g->w->backend->upload(g->w->device, g->table[i].mem, 0, g->rope,
                                     (size_t)g->pass.n * dims * sizeof(float), err));
    }
    return INGLE_OK;
}

/* Which rows are wanted, unless it is what was wanted before: so it is from step to step. */
static ingle_status send_wanted(struct ig_gpu *g, ingle_error *err) {
    uint32_t n = g->pass.n_wanted;
    size_t bytes = n * sizeof *g->pass.wanted;
    if (!n || (n == g->n_wanted_was && !memcmp(g->wanted_was, g->pass.wanted, bytes)))
        return INGLE_OK;
    g->n_wanted_was = 0;
    IG_TRY(g->w->backend->upload(g->w->device, g->wanted.mem, 0, g->pass.wanted, bytes, err));
    if (n > IG_GPU_FEW) return INGLE_OK;
    memcpy(g->wanted_was, g->pass.wanted, bytes);
    g->n_wanted_was = n;
    return INGLE_OK;
}

static void find_runs(struct ig_gpu *g) {
    const struct ig_pass_token *t = g->pass.tokens;
    g->n_runs = 0;
    for (uint32_t i = 0, end; i < g->pass.n; i = end) {
        for (end = i + 1; end < g->pass.n && t[end].cache == t[i].cache &&
                          t[end].position == t[end - 1].position + 1;)
            end++;
        g->runs[g->n_runs++] = (struct ig_gpu_run_of){
            .from = i, .n = end - i, .first = t[i].position, .cache = t[i].cache};
    }
}

/* ---- The walk ---- */

static ingle_status settle(struct ig_gpu *g, ingle_error *err) {
    IG_TRY(g->w->backend->sync(g->w->device, err));
    double now = ig_os_seconds();
    if (g->pending > 0) g->pace = (now - g->since) / g->pending;
    g->since = now;
    g->pending = 0;
    return INGLE_OK;
}

ingle_status ig_gpu_breathe(struct ig_gpu *g, uint32_t rows, ingle_error *err) {
    if (g->recording) return INGLE_OK;
    g->pending += rows;
    if (++g->queued % 32 == 0) IG_TRY(g->w->backend->flush(g->w->device, err));
    if (g->pending * g->pace > MOMENT) IG_TRY(settle(g, err));
    if (g->cancel && atomic_load(g->cancel)) {
        IG_TRY(settle(g, err));
        return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
    }
    return INGLE_OK;
}

static ingle_status run_op(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_LINEAR:
    case IG_OP_EXPERT_LINEAR: return ig_gpu_op_linear(g, op, err);
    case IG_OP_ROUTE:
    case IG_OP_SPREAD:
    case IG_OP_COMBINE: return ig_gpu_op_route(g, op, err);
    case IG_OP_KV_PUT: return ig_gpu_op_kv_put(g, op, NULL, err);
    case IG_OP_ATTEND: return ig_gpu_op_attend(g, op, err);
    default: return ig_gpu_op_rows(g, op, err);
    }
}

/* Operation `at` and what goes into the same launch; *n says how many that are. */
static ingle_status run_next(struct ig_gpu *g, uint32_t at, uint32_t to, uint32_t *n,
                             ingle_error *err) {
    const struct ig_op *ops = g->plan->ops;
    struct ig_gpu_fused f;
    bool fused = ig_gpu_fuse(g, at, to, &f);
    *n = fused ? f.len : 1;
    if (!ig_gpu_rows(g, &ops[at])) return INGLE_OK;
    IG_TRY(fused ? ig_gpu_run_fused(g, &f, err) : run_op(g, &ops[at], err));
    for (uint32_t i = at; i < at + *n; i++) {
        if (ops[i].dst) ig_gpu_forget(g, ops[i].dst);
        for (unsigned k = 0; k < ops[i].n_to; k++) ig_gpu_forget(g, ops[i].to[k]);
    }
    if (fused && f.kind >= 0) g->act[f.kind].holds = f.norm ? f.norm->dst : f.act->dst;
    return ig_gpu_breathe(g, ig_gpu_rows(g, &ops[at]), err);
}

static ingle_status queue(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    g->act[0].holds = g->act[1].holds = IG_B_NONE;
    for (uint32_t i = from, n; i < to; i += n) IG_TRY(run_next(g, i, to, &n, err));
    return INGLE_OK;
}

static ingle_status walk(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    g->since = ig_os_seconds();
    g->pending = 0;
    IG_TRY(ig_gpu_walk(g, from, to, queue, err));
    IG_TRY(ig_gpu_stage_flush(g, err));
    ig_gpu_stage_put(g);
    return INGLE_OK;
}

/* A buffer that was given back in the middle of a pass would be read as garbage. */
static ingle_status check_in(const struct ig_gpu *g, const struct ig_plan_part *part,
                             ingle_error *err) {
    uint64_t in = part->in & ~g->live;
    for (unsigned b = 1; b < IG_B_COUNT; b++)
        if (in >> b & 1 && ig_pass_rows(g->plan, &g->pass, b))
            return ig_fail(err, INGLE_DEVICE, NULL,
                           "its memory was given back in the middle of a pass");
    return INGLE_OK;
}

static ingle_status run(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err) {
    if (g->loaded != g->w->generation || from < g->loaded_from || to > g->loaded_to) {
        IG_TRY(ig_gpu_load(g->w, from, to, g->cancel, err));
        g->loaded = g->w->generation;
        g->loaded_from = from;
        g->loaded_to = to;
    }
    IG_TRY(grow(g, g->pass.n, g->pass.n_wanted, err));
    find_runs(g);
    IG_TRY(ig_gpu_mirrors_begin(g, from, to, err));
    IG_TRY(send_tokens(g, from, to, err));
    IG_TRY(send_tables(g, err));
    IG_TRY(send_wanted(g, err));
    ingle_status status = walk(g, from, to, err);
    ig_gpu_mirrors_end(g, from, to, status == INGLE_OK);
    return status;
}

ingle_status ig_gpu_run(struct ig_gpu *g, const struct ig_plan_part *part,
                        const struct ig_pass *pass, ingle_error *err) {
    uint32_t end = ig_pass_end(g->plan, pass), to = part->to < end ? part->to : end;
    if (part->from >= to) return INGLE_OK;
    if (ig_gpu_can_run(g->plan, part->from, to) < to)
        return ig_fail(err, INGLE_UNSUPPORTED, "run it on the CPU",
                       "a part has operations that run on CPUs only");
    ig_os_lock(&g->w->lock);
    g->pass = *pass;
    g->out = part->out;
    g->n_runs = 0;
    ingle_status status = check_in(g, part, err);
    if (status == INGLE_OK) status = run(g, part->from, to, err);
    if (status == INGLE_OK) g->live |= part->out;
    g->busy = status == INGLE_OK && to < end;
    g->used = ig_os_seconds();
    if (status != INGLE_OK && status != INGLE_CANCELLED) ig_fail_in(err, "%s", g->w->info.name);
    ig_os_unlock(&g->w->lock);
    return status;
}

/* ---- Rows in and out ---- */

static ingle_status put_rows(struct ig_gpu *g, unsigned buffer, uint32_t rows, const float *from,
                             size_t stride, ingle_error *err) {
    const struct ig_hparams *hp = g->plan->hp;
    uint32_t width = g->plan->width[buffer], own = g->stride[buffer], tokens = rows;
    if (buffer >= IG_B_EX && hp->n_expert_used) tokens = ig_gpu_div(rows, hp->n_expert_used);
    IG_TRY(grow(g, buffer < IG_B_XO ? tokens : 0, buffer < IG_B_XO ? 0 : rows, err));
    size_t bytes = (size_t)rows * own * sizeof(float);
    IG_TRY(ig_gpu_bounce(g, bytes, err));
    float *to = (float *)(void *)g->bounce;
    memset(to, 0, bytes);
    for (uint32_t i = 0; i < rows; i++)
        memcpy(to + (size_t)i * own, from + i * stride, width * sizeof *to);
    return g->w->backend->upload(g->w->device, g->buffer[buffer].mem, 0, to, bytes, err);
}

ingle_status ig_gpu_put(struct ig_gpu *g, unsigned buffer, uint32_t rows, const float *from,
                        size_t stride, ingle_error *err) {
    if (!rows) return INGLE_OK;
    ig_os_lock(&g->w->lock);
    ingle_status status = put_rows(g, buffer, rows, from, stride, err);
    g->busy = status == INGLE_OK;
    if (g->busy) g->live |= (uint64_t)1 << buffer;
    g->used = ig_os_seconds();
    ig_os_unlock(&g->w->lock);
    return status;
}

static ingle_status get_rows(struct ig_gpu *g, unsigned buffer, uint32_t first, uint32_t rows,
                             float *to, size_t stride, ingle_error *err) {
    size_t own = g->stride[buffer], bytes = rows * own * sizeof(float),
           at = first * own * sizeof(float);
    if (!g->buffer[buffer].mem || at + bytes > g->buffer[buffer].bytes)
        return ig_fail(err, INGLE_INTERNAL, NULL, "%u rows of buffer %u are not there", rows,
                       buffer);
    if (stride == own)
        return g->w->backend->download(g->w->device, g->buffer[buffer].mem, at, to, bytes, err);
    IG_TRY(ig_gpu_bounce(g, bytes, err));
    IG_TRY(g->w->backend->download(g->w->device, g->buffer[buffer].mem, at, g->bounce, bytes, err));
    const float *from = (const float *)(const void *)g->bounce;
    for (uint32_t i = 0; i < rows; i++)
        memcpy(to + i * stride, from + i * own, g->plan->width[buffer] * sizeof *to);
    return INGLE_OK;
}

ingle_status ig_gpu_get(struct ig_gpu *g, unsigned buffer, uint32_t first, uint32_t rows, float *to,
                        size_t stride, ingle_error *err) {
    if (!rows) return INGLE_OK;
    ig_os_lock(&g->w->lock);
    ingle_status status = get_rows(g, buffer, first, rows, to, stride, err);
    ig_os_unlock(&g->w->lock);
    return status;
}
