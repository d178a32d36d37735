/* Operations that take row after row, and the experts' choice, as launches: each is one kernel and
 * its arguments. Knows where an operation's rows lie; what is computed is said in rows.k and
 * route.k. */
#include "gpu/gpu_impl.h"

ingle_status ig_gpu_launch(struct ig_gpu *g, struct ig_dev_kernel *k,
                           struct ig_dev_mem *const *buffers, uint32_t n_buffers, const void *args,
                           size_t args_bytes, uint32_t x, uint32_t y, uint32_t z,
                           ingle_error *err) {
    struct ig_launch l = {.kernel = k,
                          .groups = {x, y, z},
                          .n_buffers = n_buffers,
                          .args = args,
                          .args_bytes = (uint32_t)args_bytes};
    struct ig_dev_mem *any = NULL; /* a buffer that is not needed is any other */
    for (uint32_t i = 0; i < n_buffers && !any; i++) any = buffers[i];
    for (uint32_t i = 0; i < n_buffers; i++) l.buffer[i] = buffers[i] ? buffers[i] : any;
    return g->w->backend->launch(g->w->device, &l, err);
}

static struct ig_dev_mem *mem_of(const struct ig_gpu *g, unsigned buffer) {
    return buffer ? g->buffer[buffer].mem : NULL;
}

static struct ig_dev_mem *vec_of(const struct ig_gpu *g, uint32_t index) {
    return index ? g->w->vectors[index - 1].mem : NULL;
}

static const struct ig_gpu_op *weights_of(const struct ig_gpu *g, const struct ig_op *op) {
    return &g->w->ops[op - g->plan->ops];
}

/* dst (+)= rows of a matrix, for each of its shards: a row is in one of them, the others leave it
 * alone */
static ingle_status embed(struct ig_gpu *g, const struct ig_op *op, bool position,
                          ingle_error *err) {
    const struct ig_gpu_tensor *t = &g->w->tensors[weights_of(g, op)->tensor[0] - 1];
    struct ig_dev_kernel *k;
    IG_TRY(ig_gpu_typed_get(g->w, t->mat->type, IG_GT_EMBED, &k, err));
    for (uint32_t i = 0; i < t->n_shards; i++) {
        struct ig_embed_args a = {.m = t->shape,
                                  .n = t->mat->cols,
                                  .dst_stride = g->stride[op->dst],
                                  .position = position,
                                  .offset = position ? op->heads : 0,
                                  .rows_at = t->shards[i].from,
                                  .rows = t->shards[i].rows,
                                  .f = position ? 1.0f : op->f[0]};
        struct ig_dev_mem *const b[] = {t->shards[i].mem, g->tokens.mem, mem_of(g, op->dst)};
        IG_TRY(ig_gpu_launch(g, k, b, 3, &a, sizeof a, ig_gpu_div(a.n, 256), g->pass.n, 1, err));
    }
    return INGLE_OK;
}

static ingle_status norm(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    const struct ig_gpu_op *o = weights_of(g, op);
    bool heads = op->heads > 1 && op->n <= 512;
    struct ig_dev_kernel *k;
    struct ig_norm_args a = {.n = op->n,
                             .heads = op->heads,
                             .a_stride = g->stride[op->a],
                             .a_at = op->a_at,
                             .dst_stride = g->stride[op->dst],
                             .eps = op->f[0]};
    if (o->vec) a.flags |= IG_NORM_WEIGHT;
    if (o->bias[0]) a.flags |= IG_NORM_BIAS;
    if (op->per_head) a.flags |= IG_NORM_PER_HEAD;
    if (op->what != IG_NORM_RMS) a.flags |= IG_NORM_MEAN;
    struct ig_dev_mem *const b[] = {mem_of(g, op->a), vec_of(g, o->vec), vec_of(g, o->bias[0]),
                                    mem_of(g, op->dst)};
    IG_TRY(ig_gpu_kernel_get(g->w, heads ? IG_GK_NORM_HEADS : IG_GK_NORM, &k, err));
    return ig_gpu_launch(g, k, b, 4, &a, sizeof a, heads ? ig_gpu_div(op->heads, 16) : op->heads,
                         ig_gpu_rows(g, op), 1, err);
}

static ingle_status element(struct ig_gpu *g, const struct ig_op *op, uint32_t what,
                            ingle_error *err) {
    struct ig_dev_kernel *k;
    struct ig_element_args a = {.n = op->n,
                                .what = what,
                                .act = op->what,
                                .a_stride = g->stride[op->a],
                                .a_at = op->a_at,
                                .b_stride = op->b ? g->stride[op->b] : 0,
                                .b_at = op->b_at,
                                .dst_stride = g->stride[op->dst],
                                .f0 = op->f[0],
                                .f1 = op->f[1],
                                .f2 = op->f[2],
                                .f3 = op->f[3]};
    struct ig_dev_mem *const b[] = {mem_of(g, op->a), mem_of(g, op->b), mem_of(g, op->dst)};
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_ELEMENT, &k, err));
    return ig_gpu_launch(g, k, b, 3, &a, sizeof a, ig_gpu_div(op->n, 256), ig_gpu_rows(g, op), 1,
                         err);
}

static ingle_status rope(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    const struct ig_rope *r = &g->plan->hp->rope[op->what];
    struct ig_dev_kernel *k;
    struct ig_rope_args a = {.n = op->n,
                             .heads = op->heads,
                             .dims = r->dims,
                             .x_stride = g->stride[op->dst],
                             .pairwise = r->pairing == IG_PAIR};
    struct ig_dev_mem *const b[] = {mem_of(g, op->dst), g->table[op->what].mem};
    if (!b[1]) return INGLE_OK; /* nothing turns */
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_ROPE, &k, err));
    return ig_gpu_launch(g, k, b, 2, &a, sizeof a, ig_gpu_div(op->heads * r->dims / 2, 64),
                         g->pass.n, 1, err);
}

static ingle_status temperature(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    struct ig_dev_kernel *k;
    struct ig_temperature_args a = {.n = op->n, .x_stride = g->stride[op->dst]};
    struct ig_dev_mem *const b[] = {mem_of(g, op->dst), g->tokens.mem};
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_TEMPERATURE, &k, err));
    return ig_gpu_launch(g, k, b, 2, &a, sizeof a, ig_gpu_div(op->n, 256), g->pass.n, 1, err);
}

static ingle_status gather(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    struct ig_dev_kernel *k;
    struct ig_gather_args a = {
        .n = op->n, .a_stride = g->stride[op->a], .dst_stride = g->stride[op->dst]};
    struct ig_dev_mem *const b[] = {mem_of(g, op->a), g->wanted.mem, mem_of(g, op->dst)};
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_GATHER, &k, err));
    return ig_gpu_launch(g, k, b, 3, &a, sizeof a, ig_gpu_div(op->n, 256), g->pass.n_wanted, 1,
                         err);
}

ingle_status ig_gpu_op_rows(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_EMBED: return embed(g, op, false, err);
    case IG_OP_POSITION: return embed(g, op, true, err);
    case IG_OP_NORM: return norm(g, op, err);
    case IG_OP_ROPE: return rope(g, op, err);
    case IG_OP_TEMPERATURE: return temperature(g, op, err);
    case IG_OP_ADD: return element(g, op, IG_EL_ADD, err);
    case IG_OP_COPY: return element(g, op, IG_EL_COPY, err);
    case IG_OP_SCALE: return element(g, op, IG_EL_SCALE, err);
    case IG_OP_CLAMP: return element(g, op, IG_EL_CLAMP, err);
    case IG_OP_SOFTCAP: return element(g, op, IG_EL_SOFTCAP, err);
    case IG_OP_ACT: return element(g, op, IG_EL_ACT, err);
    case IG_OP_GLU: return element(g, op, IG_EL_GLU, err);
    case IG_OP_MUL: return element(g, op, IG_EL_MUL, err);
    case IG_OP_GATE: return element(g, op, IG_EL_GATE, err);
    case IG_OP_GATHER: return gather(g, op, err);
    default:
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "operation %u runs on CPUs only", op->kind);
    }
}

/* ---- Experts ---- */

static ingle_status choose(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    const struct ig_hparams *hp = g->plan->hp;
    const struct ig_gpu_op *o = weights_of(g, op);
    uint32_t slots = g->pass.n * hp->n_expert_used;
    struct ig_dev_kernel *k;
    struct ig_route_args a = {.rows = g->pass.n,
                              .n = hp->n_expert,
                              .used = hp->n_expert_used,
                              .a_stride = g->stride[op->a],
                              .router = hp->router,
                              .groups = hp->n_expert_groups,
                              .groups_used = hp->n_expert_groups_used,
                              .norm = hp->expert_norm,
                              .has_bias = o->vec != 0,
                              .scale = (float)hp->expert_scale,
                              .jitter = (float)hp->router_jitter,
                              .order_at = slots,
                              .first_at = 2 * slots};
    struct ig_dev_mem *const b[] = {mem_of(g, op->a), vec_of(g, o->vec), g->route.mem,
                                    g->weight.mem};
    bool mixer = hp->router == IG_ROUTER_SPARSEMIXER;
    IG_TRY(ig_gpu_kernel_get(g->w, mixer ? IG_GK_ROUTE_MIXER : IG_GK_ROUTE_CHOOSE, &k, err));
    IG_TRY(ig_gpu_launch(g, k, b, 4, &a, sizeof a, 1, g->pass.n, 1, err));
    if (g->pass.n <= IG_GPU_FEW) return INGLE_OK; /* slots are taken as they are */
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_ROUTE_SORT, &k, err));
    return ig_gpu_launch(g, k, b + 2, 1, &a, sizeof a, hp->n_expert, 1, 1, err);
}

ingle_status ig_gpu_op_route(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    bool spread = op->kind == IG_OP_SPREAD;
    struct ig_dev_kernel *k;
    if (op->kind == IG_OP_ROUTE) return choose(g, op, err);
    struct ig_slots_args a = {.n = op->n,
                              .used = g->plan->hp->n_expert_used,
                              .a_stride = g->stride[op->a],
                              .dst_stride = g->stride[op->dst],
                              .unweighted = (op->flags & IG_OPF_UNWEIGHTED) != 0};
    struct ig_dev_mem *const b[] = {mem_of(g, op->a), g->weight.mem, mem_of(g, op->dst)};
    IG_TRY(ig_gpu_kernel_get(g->w, spread ? IG_GK_SPREAD : IG_GK_COMBINE, &k, err));
    return ig_gpu_launch(g, k, b, 3, &a, sizeof a, ig_gpu_div(op->n, 256), g->pass.n, 1, err);
}
