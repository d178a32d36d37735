/* Writing keys and values into the mirrors, and attention over them, timeline by timeline. A
 * prompt's rows are tiles enough to keep the device busy; a step's few rows are spread over chunks
 * of positions whose parts are merged by a second kernel. Either way chunks are merged in order, so
 * the way changes no bit. */
#include "gpu/gpu_impl.h"

#include <math.h>

static ingle_status kernel_for(struct ig_gpu *g, enum ig_gpu_kernel first,
                               const struct ig_kv_shape *s, struct ig_dev_kernel **k,
                               ingle_error *err) {
    return ig_gpu_kernel_get(g->w, (enum ig_gpu_kernel)(first + s->type), k, err);
}

static const struct ig_gpu_mirror_layer *layer_of(const struct ig_gpu *g, const struct ig_op *op,
                                                  const struct ig_gpu_run_of *run) {
    return &run->mirror->layers[g->plan->hp->layer[op->layer].kv_layer];
}

static ingle_status put_run(struct ig_gpu *g, const struct ig_op *op, const struct ig_op *rope,
                            const struct ig_gpu_run_of *run, struct ig_kv_put_args a,
                            ingle_error *err) {
    const struct ig_gpu_mirror_layer *l = layer_of(g, op, run);
    struct ig_dev_kernel *k;
    a.s = l->shape;
    a.from = run->from;
    a.stage_at += run->from * a.stage_stride;
    IG_TRY(kernel_for(g, rope ? IG_GK_ROPE_PUT : IG_GK_KV_PUT, &l->shape, &k, err));
    if (!rope) {
        struct ig_dev_mem *const b[] = {g->buffer[op->a].mem, g->buffer[op->b].mem, g->tokens.mem,
                                        l->mem, g->stage.mem};
        return ig_gpu_launch(g, k, b, 5, &a, sizeof a, l->shape.n_kv, run->n, 1, err);
    }
    const struct ig_rope *r = &g->plan->hp->rope[rope->what];
    struct ig_rope_put_args turned = {.put = a,
                                      .heads = rope->heads,
                                      .q_stride = g->stride[rope->dst],
                                      .dims = r->dims,
                                      .pairwise = r->pairing == IG_PAIR};
    struct ig_dev_mem *const b[] = {g->buffer[rope->dst].mem,
                                    g->buffer[op->a].mem,
                                    g->buffer[op->b].mem,
                                    g->table[rope->what].mem,
                                    g->tokens.mem,
                                    l->mem,
                                    g->stage.mem};
    return ig_gpu_launch(g, k, b, 7, &turned, sizeof turned, rope->heads + l->shape.n_kv, run->n, 1,
                         err);
}

ingle_status ig_gpu_op_kv_put(struct ig_gpu *g, const struct ig_op *op, const struct ig_op *rope,
                              ingle_error *err) {
    struct ig_kv_put_args a = {.k_stride = g->stride[op->a],
                               .v_stride = g->stride[op->b],
                               .keep = 1,
                               .stage_stride = ig_gpu_stage_stride(&g->plan->hp->layer[op->layer])};
    size_t at;
    IG_TRY(ig_gpu_stage(g, op, &at, err));
    a.stage_at = (uint32_t)at;
    for (uint32_t i = 0; i < g->n_runs; i++) IG_TRY(put_run(g, op, rope, &g->runs[i], a, err));
    return INGLE_OK;
}

/* ---- Attention ---- */

static uint32_t first_visible(const struct ig_hparams *hp, const struct ig_layer_params *l,
                              uint32_t position) {
    if (!l->window) return 0;
    if (hp->row->chunked) return position / l->window * l->window;
    return position + 1 > l->window ? position + 1 - l->window : 0;
}

static struct ig_attend_args args_of(const struct ig_gpu *g, const struct ig_op *op,
                                     const struct ig_kv_shape *s, uint32_t from, uint32_t n,
                                     uint32_t first) {
    const struct ig_hparams *hp = g->plan->hp;
    const struct ig_layer_params *l = &hp->layer[op->layer];
    double scale = hp->attn_scale > 0 ? hp->attn_scale : 1.0 / sqrt((double)l->head_k);
    struct ig_attend_args a = {.s = *s,
                               .from = from,
                               .n = n,
                               .heads = l->n_head,
                               .q_stride = g->stride[op->a],
                               .dst_stride = g->stride[op->dst],
                               .window = l->window,
                               .chunk0 = first_visible(hp, l, first) / IG_GPU_CHUNK,
                               .scale = (float)scale,
                               .softcap = (float)hp->attn_softcap};
    a.chunks = (first + n - 1) / IG_GPU_CHUNK - a.chunk0 + 1;
    if (op->w[0] && op->w[0]->vec) a.flags |= IG_ATT_SINKS;
    if (g->slopes.mem) a.flags |= IG_ATT_SLOPES;
    if (hp->row->chunked) a.flags |= IG_ATT_CHUNKED;
    return a;
}

uint64_t ig_gpu_attend_span(const struct ig_gpu *g, const struct ig_op *op,
                            const struct ig_gpu_run_of *run) {
    const struct ig_gpu_mirror_layer *l = layer_of(g, op, run);
    struct ig_attend_args a = args_of(g, op, &l->shape, run->from, run->n, run->first);
    return (uint64_t)a.chunk0 << 32 | a.chunks;
}

static ingle_status launch(struct ig_gpu *g, const struct ig_op *op, const struct ig_attend_args *a,
                           const struct ig_gpu_mirror_layer *l, bool many, ingle_error *err) {
    uint32_t sinks = g->w->ops[op - g->plan->ops].vec, rows = a->n * (a->heads / a->s.n_kv);
    struct ig_dev_kernel *k;
    struct ig_dev_mem *const b[] = {g->buffer[op->a].mem,
                                    l->mem,
                                    g->tokens.mem,
                                    g->parts.mem,
                                    sinks ? g->w->vectors[sinks - 1].mem : NULL,
                                    g->slopes.mem,
                                    g->buffer[op->dst].mem};
    IG_TRY(kernel_for(g, many ? IG_GK_ATTEND_MANY : IG_GK_ATTEND_FEW, &l->shape, &k, err));
    if (many)
        return ig_gpu_launch(g, k, b, 7, a, sizeof *a, ig_gpu_div(rows, IG_ATT_MANY_ROWS),
                             a->s.n_kv, 1, err);
    IG_TRY(ig_gpu_launch(g, k, b, 7, a, sizeof *a, a->chunks,
                         a->s.n_kv * ig_gpu_div(rows, IG_ATT_FEW_ROWS), 1, err));
    IG_TRY(ig_gpu_kernel_get(g->w, IG_GK_ATTEND_MERGE, &k, err));
    return ig_gpu_launch(g, k, b, 7, a, sizeof *a, a->heads, a->n, 1, err);
}

/* Are the tiles of many rows enough groups for the device? */
static bool take_many(const struct ig_gpu *g, const struct ig_attend_args *a) {
    uint32_t rows = a->n * (a->heads / a->s.n_kv);
    if (a->n < 8) return false;
    return a->chunks == 1 || ig_gpu_div(rows, IG_ATT_MANY_ROWS) * a->s.n_kv >= g->w->info.units;
}

/* Rows of one timeline: all at once, or so many that their parts fit. */
static ingle_status attend_run(struct ig_gpu *g, const struct ig_op *op,
                               const struct ig_gpu_run_of *run, ingle_error *err) {
    const struct ig_gpu_mirror_layer *l = layer_of(g, op, run);
    struct ig_attend_args a = args_of(g, op, &l->shape, run->from, run->n, run->first);
    if (take_many(g, &a)) return launch(g, op, &a, l, true, err);
    size_t part = (IG_ATT_PART + (l->shape.head_v + 15u) / 16 * 16) * sizeof(float),
           row = (size_t)a.heads * a.chunks * part;
    uint32_t most = (uint32_t)(IG_GPU_PARTS / row);
    if (!most) most = 1;
    for (uint32_t i = 0; i < run->n; i += most) {
        uint32_t n = run->n - i < most ? run->n - i : most;
        a = args_of(g, op, &l->shape, run->from + i, n, run->first + i);
        IG_TRY(
            ig_gpu_buffer_grow(g->w, &g->parts, (size_t)n * a.heads * a.chunks * part, false, err));
        IG_TRY(launch(g, op, &a, l, false, err));
    }
    return INGLE_OK;
}

ingle_status ig_gpu_op_attend(struct ig_gpu *g, const struct ig_op *op, ingle_error *err) {
    for (uint32_t i = 0; i < g->n_runs; i++) IG_TRY(attend_run(g, op, &g->runs[i], err));
    return INGLE_OK;
}
