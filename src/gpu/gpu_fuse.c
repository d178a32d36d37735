/* Neighbouring operations as one launch: a sum with the norms around it and the quantisation
 * behind, an activation with its quantisation, rotation with the writing of keys and values. Only
 * what the plan says is looked at, so any family gains by it, and no bit changes: each kernel does
 * what the operations would have done one after another.
 *
 * The subtle thing is what need not be written. Rows that only quantised matrices read are never
 * stored as floats, and a key that is turned on its way into the cache stays unturned in its
 * buffer: allowed where nobody in this part reads the buffer before it is written anew. */
#include "gpu/gpu_impl.h"

static bool reads(const struct ig_op *op, unsigned buffer) {
    return ig_op_reads(op) >> buffer & 1;
}

static bool writes(const struct ig_op *op, unsigned buffer) {
    return ig_op_writes(op) >> buffer & 1;
}

/* Is the value that `buffer` has at operation `at` read before it is written anew? A linear
 * operation that takes it quantised as `kind` does not count; unknown readers behind the part do.
 */
static bool is_read(const struct ig_gpu *g, uint32_t at, uint32_t to, unsigned buffer, int kind) {
    for (uint32_t i = at; i < to; i++) {
        const struct ig_op *op = &g->plan->ops[i];
        if (reads(op, buffer)) {
            if (kind < 0 || !ig_op_is_linear(op)) return true;
            for (unsigned k = 0; k < op->n_to; k++)
                if (ig_mat_act_kind(&op->w[k]->mat) != kind) return true;
        }
        if (writes(op, buffer)) return false;
    }
    return g->out >> buffer & 1;
}

/* How the first linear operation behind `at` wants `buffer` quantised; -1: not, or there is none.
 */
static int wanted_kind(const struct ig_gpu *g, uint32_t at, uint32_t to, unsigned buffer) {
    for (uint32_t i = at; i < to; i++) {
        const struct ig_op *op = &g->plan->ops[i];
        if (ig_op_is_linear(op) && op->a == buffer) return ig_mat_act_kind(&op->w[0]->mat);
        if (writes(op, buffer)) return -1;
    }
    return -1;
}

static const struct ig_op *op_at(const struct ig_gpu *g, uint32_t i, uint32_t to,
                                 enum ig_op_kind kind) {
    return i < to && g->plan->ops[i].kind == kind ? &g->plan->ops[i] : NULL;
}

static bool plain_norm(const struct ig_op *op) {
    return op && op->heads == 1 && !op->per_head && !op->a_at && op->n >= 16;
}

/* [norm of the block's result,] sum, norm, quantisation; or the last two. */
static bool find_norm(const struct ig_gpu *g, uint32_t at, uint32_t to, struct ig_gpu_fused *f) {
    uint32_t i = at;
    const struct ig_op *post = op_at(g, i, to, IG_OP_NORM), *add = op_at(g, i + 1, to, IG_OP_ADD),
                       *norm;
    if (plain_norm(post) && add && post->dst == add->b && add->a != add->b &&
        post->a == post->dst && g->w->ops[at].vec && !g->w->ops[at].bias[0] &&
        ig_op_same_rows(post, add)) {
        f->post = post;
        i++;
    } else {
        add = op_at(g, i, to, IG_OP_ADD);
    }
    if (add && (add->a_at || add->b_at)) return false;
    if (add) i++;
    norm = op_at(g, i, to, IG_OP_NORM);
    if (!plain_norm(norm)) return false;
    if (add &&
        (add->dst != norm->a || norm->dst == norm->a || add->n != norm->n || !ig_op_same_rows(add, norm)))
        return false;
    if (f->post && (f->post->n != add->n || f->post->what != norm->what ||
                    (norm->dst != f->post->dst && is_read(g, i + 1, to, f->post->dst, -1))))
        return false;
    f->add = add;
    f->norm = norm;
    f->len = i + 1 - at;
    f->kind = wanted_kind(g, i + 1, to, norm->dst);
    f->keep = is_read(g, i + 1, to, norm->dst, f->kind);
    return f->len > 1 || f->kind >= 0;
}

static bool find_act(const struct ig_gpu *g, uint32_t at, uint32_t to, struct ig_gpu_fused *f) {
    const struct ig_op *op = op_at(g, at, to, IG_OP_GLU);
    if (!op) op = op_at(g, at, to, IG_OP_ACT);
    if (!op || op->a_at || op->b_at) return false;
    f->act = op;
    f->len = 1;
    f->kind = wanted_kind(g, at + 1, to, op->dst);
    f->keep = is_read(g, at + 1, to, op->dst, f->kind);
    return f->kind >= 0;
}

static bool find_put(const struct ig_gpu *g, uint32_t at, uint32_t to, struct ig_gpu_fused *f) {
    const struct ig_op *q = op_at(g, at, to, IG_OP_ROPE), *k = op_at(g, at + 1, to, IG_OP_ROPE),
                       *put = op_at(g, at + 2, to, IG_OP_KV_PUT);
    if (!q || !k || !put || k->dst != put->a || q->dst == k->dst || put->b == put->a ||
        q->what != k->what)
        return false;
    const struct ig_layer_params *l = &g->plan->hp->layer[put->layer];
    if (q->n != l->head_k || k->n != l->head_k || k->heads != l->n_head_kv ||
        !g->table[q->what].mem)
        return false;
    if (is_read(g, at + 3, to, k->dst, -1)) return false;
    *f = (struct ig_gpu_fused){.rope = q, .put = put, .len = 3, .kind = -1};
    return true;
}

bool ig_gpu_fuse(const struct ig_gpu *g, uint32_t at, uint32_t to, struct ig_gpu_fused *f) {
    switch ((enum ig_op_kind)g->plan->ops[at].kind) {
    case IG_OP_NORM:
    case IG_OP_ADD: *f = (struct ig_gpu_fused){0}; return find_norm(g, at, to, f);
    case IG_OP_GLU:
    case IG_OP_ACT: *f = (struct ig_gpu_fused){0}; return find_act(g, at, to, f);
    case IG_OP_ROPE: return find_put(g, at, to, f);
    default: return false;
    }
}

/* ---- Launches ---- */

static struct ig_dev_mem *vec_of(const struct ig_gpu *g, uint32_t index) {
    return index ? g->w->vectors[index - 1].mem : NULL;
}

static ingle_status run_norm(struct ig_gpu *g, const struct ig_gpu_fused *f, ingle_error *err) {
    const struct ig_op *op = f->norm, *add = f->add, *post = f->post;
    const struct ig_gpu_op *o = &g->w->ops[op - g->plan->ops];
    struct ig_gpu_act *act = f->kind >= 0 ? &g->act[f->kind] : NULL;
    struct ig_add_norm_args a = {.n = op->n,
                                 .per = f->kind < 0 ? 0
                                        : f->kind   ? 256
                                                    : 32,
                                 .a_stride = g->stride[add ? add->a : op->a],
                                 .b_stride = add ? g->stride[add->b] : 0,
                                 .x_stride = add ? g->stride[add->dst] : 0,
                                 .h_stride = g->stride[op->dst],
                                 .q_stride = g->q_stride,
                                 .d_stride = g->q_stride / (f->kind == 1 ? 256 : 32),
                                 .s_stride = g->q_stride / 16,
                                 .f = add ? add->f[0] : 0.0f,
                                 .eps = op->f[0],
                                 .post_eps = post ? post->f[0] : 0.0f};
    if (o->vec) a.flags |= IG_NORM_WEIGHT;
    if (o->bias[0]) a.flags |= IG_NORM_BIAS;
    if (op->what != IG_NORM_RMS) a.flags |= IG_NORM_MEAN;
    if (add) a.flags |= IG_NORM_ADD;
    if (post) a.flags |= IG_NORM_POST;
    if (f->keep) a.flags |= IG_NORM_KEEP;
    struct ig_dev_mem *const b[] = {g->buffer[add ? add->a : op->a].mem,
                                    add ? g->buffer[add->b].mem : NULL,
                                    post ? vec_of(g, g->w->ops[post - g->plan->ops].vec) : NULL,
                                    vec_of(g, o->vec),
                                    vec_of(g, o->bias[0]),
                                    add ? g->buffer[add->dst].mem : NULL,
                                    g->buffer[op->dst].mem,
                                    act ? act->q.mem : NULL,
                                    act ? act->d.mem : NULL,
                                    act ? act->sum.mem : NULL};
    struct ig_dev_kernel *k;
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_ADD_NORM_QUANTIZE, &k, err));
    return ig_gpu_launch(g, k, b, 10, &a, sizeof a, ig_gpu_rows(g, op), 1, 1, err);
}

static ingle_status run_act(struct ig_gpu *g, const struct ig_gpu_fused *f, ingle_error *err) {
    const struct ig_op *op = f->act;
    struct ig_gpu_act *act = &g->act[f->kind];
    struct ig_glu_args a = {.n = op->n,
                            .what = op->kind == IG_OP_GLU ? IG_EL_GLU : IG_EL_ACT,
                            .act = op->what,
                            .per = f->kind ? 256 : 32,
                            .keep = f->keep,
                            .a_stride = g->stride[op->a],
                            .b_stride = op->b ? g->stride[op->b] : 0,
                            .dst_stride = g->stride[op->dst],
                            .q_stride = g->q_stride,
                            .d_stride = g->q_stride / (f->kind ? 256 : 32),
                            .s_stride = g->q_stride / 16,
                            .f0 = op->f[0],
                            .f1 = op->f[1],
                            .f2 = op->f[2],
                            .f3 = op->f[3]};
    struct ig_dev_mem *const b[] = {g->buffer[op->a].mem,
                                    op->b ? g->buffer[op->b].mem : NULL,
                                    g->buffer[op->dst].mem,
                                    act->q.mem,
                                    act->d.mem,
                                    act->sum.mem};
    struct ig_dev_kernel *k;
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_GLU_QUANTIZE, &k, err));
    return ig_gpu_launch(g, k, b, 6, &a, sizeof a, ig_gpu_div(op->n, 256), ig_gpu_rows(g, op), 1,
                         err);
}

ingle_status ig_gpu_run_fused(struct ig_gpu *g, const struct ig_gpu_fused *f, ingle_error *err) {
    if (f->put) return ig_gpu_op_kv_put(g, f->put, f->rope, err);
    return f->norm ? run_norm(g, f, err) : run_act(g, f, err);
}
