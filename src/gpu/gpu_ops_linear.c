/* Matrices times rows. Inputs are quantised when a matrix first wants them and stay so until their
 * buffer is written anew, like plan/fuse.c arranges it for the CPU. Few inputs go through kernels
 * that read each row of weights once for all of them; many through tiles. Which of them runs
 * changes no bit. */
#include "gpu/gpu_impl.h"

void ig_gpu_forget(struct ig_gpu *g, unsigned buffer) {
    for (int i = 0; i < 2; i++)
        if (g->act[i].holds == buffer) g->act[i].holds = IG_B_NONE;
}

static uint32_t d_stride(const struct ig_gpu *g, int kind) {
    return g->q_stride / (kind ? 256 : 32);
}

static ingle_status quantize(struct ig_gpu *g, const struct ig_op *op, int kind, uint32_t rows,
                             ingle_error *err) {
    struct ig_gpu_act *act = &g->act[kind];
    struct ig_dev_kernel *k;
    if (act->holds == op->a) return INGLE_OK;
    struct ig_quantize_args a = {.n = op->n,
                                 .per = kind ? 256 : 32,
                                 .a_stride = g->stride[op->a],
                                 .q_stride = g->q_stride,
                                 .d_stride = d_stride(g, kind),
                                 .s_stride = g->q_stride / 16};
    struct ig_dev_mem *const b[] = {g->buffer[op->a].mem, act->q.mem, act->d.mem, act->sum.mem};
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_QUANTIZE, &k, err));
    IG_TRY(ig_gpu_launch(g, k, b, 4, &a, sizeof a, ig_gpu_div(op->n, 256), rows, 1, err));
    act->holds = op->a;
    return INGLE_OK;
}

struct job {
    const struct ig_op *op;
    const struct ig_gpu_tensor *t;
    uint32_t i;      /* which of the operation's matrices */
    uint32_t inputs; /* rows of the source */
    bool experts, few;
    int kind;
};

static enum ig_gpu_typed kernel_of(const struct job *j) {
    if (!j->few) return IG_GT_MANY;
    if (j->experts || j->inputs == 1) return IG_GT_FEW1;
    return j->inputs == 2 ? IG_GT_FEW2 : j->inputs <= 4 ? IG_GT_FEW4 : IG_GT_FEW8;
}

static struct ig_linear_args args_of(const struct ig_gpu *g, const struct job *j,
                                     const struct ig_gpu_shard *s) {
    const struct ig_gpu_op *o = &g->w->ops[j->op - g->plan->ops];
    uint32_t used = g->plan->hp->n_expert_used, slots = g->pass.n * used;
    bool by_slot = (j->op->flags & IG_OPF_SLOTS) != 0;
    struct ig_linear_args a = {.m = j->t->shape,
                               .rows = s->rows,
                               .cols = j->t->mat->cols,
                               .n = j->inputs,
                               .q_stride = g->q_stride,
                               .d_stride = j->kind >= 0 ? d_stride(g, j->kind) : 0,
                               .s_stride = g->q_stride / 16,
                               .x_stride = g->stride[j->op->a],
                               .y_stride = g->stride[j->op->to[j->i]],
                               .y_at = s->from,
                               .bias_at = s->from,
                               .bias_stride = j->t->mat->rows};
    if (o->bias[j->i]) a.flags |= IG_LIN_BIAS;
    if (o->scale[j->i]) a.flags |= IG_LIN_SCALE;
    if (!j->experts) return a;
    a.flags |= IG_LIN_EXPERTS;
    a.n = j->few ? slots : g->pass.n; /* many: an expert has at most one slot of each token */
    a.expert_rows = s->rows;
    a.x_div = by_slot ? 1 : used;
    a.order_at = slots;
    a.first_at = 2 * slots;
    return a;
}

static ingle_status run_shard(struct ig_gpu *g, const struct job *j, const struct ig_gpu_shard *s,
                              struct ig_dev_kernel *k, ingle_error *err) {
    const struct ig_gpu_op *o = &g->w->ops[j->op - g->plan->ops];
    struct ig_linear_args a = args_of(g, j, s);
    const struct ig_gpu_act *act = j->kind >= 0 ? &g->act[j->kind] : NULL;
    struct ig_dev_mem *const b[] = {
        s->mem,
        act ? act->q.mem : NULL,
        act ? act->d.mem : NULL,
        act ? act->sum.mem : NULL,
        g->buffer[j->op->a].mem,
        o->bias[j->i] ? g->w->vectors[o->bias[j->i] - 1].mem : NULL,
        o->scale[j->i] ? g->w->vectors[o->scale[j->i] - 1].mem : NULL,
        j->experts ? g->route.mem : NULL,
        g->buffer[j->op->to[j->i]].mem,
    };
    if (j->few)
        return ig_gpu_launch(g, k, b, 9, &a, sizeof a, ig_gpu_div(s->rows, IG_FEW_ROWS),
                             j->experts ? a.n : 1, 1, err);
    return ig_gpu_launch(g, k, b, 9, &a, sizeof a, ig_gpu_div(s->rows, IG_MANY_ROWS),
                         ig_gpu_div(a.n, IG_MANY_INPUTS), j->experts ? j->t->mat->count : 1, err);
}

ingle_status ig_gpu_op_linear(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    const struct ig_gpu_op *o = &g->w->ops[op - g->plan->ops];
    struct job j = {
        .op = op, .experts = op->kind == IG_OP_EXPERT_LINEAR, .inputs = ig_gpu_rows(g, op)};
    j.few = (j.experts ? g->pass.n : j.inputs) <= IG_GPU_FEW;
    for (j.i = 0; j.i < op->n_to; j.i++) {
        struct ig_dev_kernel *k;
        j.t = &g->w->tensors[o->tensor[j.i] - 1];
        j.kind = ig_mat_act_kind(j.t->mat);
        if (j.kind >= 0) IG_TRY(quantize(g, op, j.kind, j.inputs, err));
        IG_TRY(ig_gpu_typed_get(g->w, j.t->mat->type, kernel_of(&j), &k, err));
        for (uint32_t s = 0; s < j.t->n_shards; s++)
            IG_TRY(run_shard(g, &j, &j.t->shards[s], k, err));
    }
    return INGLE_OK;
}
