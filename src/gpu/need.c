/* What a plan takes on a device, and what of it can run there: pure functions that the planner asks
 * before anything is opened. Sizes are those of the buffers that load.c, run.c and mirror.c make.
 */
#include "gpu/gpu_impl.h"

enum { LOGITS = 64 }; /* rows of a pass whose logits are wanted, at most */

static uint64_t slot_bytes(const struct ig_slot *s) {
    uint64_t bytes = ((uint64_t)s->n + s->n_bias + s->n_scale) * sizeof(float);
    if (s->mat.data || s->mat.parts)
        bytes += (uint64_t)s->mat.count * s->mat.rows *
                 ig_planes_shape(s->mat.type, s->mat.cols, false).row_bytes;
    return bytes;
}

static bool seen(const struct ig_plan *p, uint32_t from, uint32_t to, const struct ig_slot *s) {
    for (uint32_t i = from; i < to; i++)
        for (unsigned k = 0; k < 3; k++) {
            const struct ig_slot *o = p->ops[i].w[k];
            if (o && (o == s || (s->mat.data && o->mat.data == s->mat.data))) return true;
        }
    return false;
}

uint64_t ig_gpu_weight_bytes(const struct ig_plan *plan, uint32_t from, uint32_t to) {
    uint64_t bytes = 0;
    for (uint32_t i = from; i < to; i++)
        for (unsigned k = 0; k < 3; k++) {
            const struct ig_slot *s = plan->ops[i].w[k];
            if (s && !seen(plan, from, i, s)) bytes += slot_bytes(s);
        }
    return bytes;
}

uint64_t ig_gpu_kv_bytes(const struct ig_plan *plan, uint32_t layer, enum ig_cache_type type,
                         uint32_t context, uint32_t batch) {
    const struct ig_layer_params *l = &plan->hp->layer[layer];
    struct ig_cache cache = {.type = type};
    struct ig_cache_layer own = {
        .n_head_kv = l->n_head_kv, .head_k = l->head_k, .head_v = l->head_v};
    if (l->kv_layer != layer) return 0;
    struct ig_kv_shape s = ig_kv_shape_of(&cache, &own, 0);
    uint64_t ring = (uint64_t)l->window + batch + 2 * IG_CACHE_BLOCK;
    return ig_kv_bytes(&s, l->window && ring < context ? (uint32_t)ring : context);
}

uint64_t ig_gpu_scratch_bytes(const struct ig_plan *plan, uint32_t context, uint32_t batch) {
    const struct ig_hparams *hp = plan->hp;
    uint64_t bytes = 0, stage = 0, cols = 0, parts = 0,
             used = hp->n_expert_used > 1 ? hp->n_expert_used : 1;
    for (unsigned i = 1; i < IG_B_COUNT; i++)
        bytes += (uint64_t)ig_plan_rows(plan, i, batch,
                                        i < IG_B_LOGITS || batch < LOGITS ? batch : LOGITS) *
                 ((plan->width[i] + 15u) / 16 * 16) * sizeof(float);
    for (uint32_t i = 0; i < plan->n_ops; i++)
        for (unsigned k = 0; k < plan->ops[i].n_to; k++)
            if (plan->ops[i].w[k]->mat.cols > cols) cols = plan->ops[i].w[k]->mat.cols;
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct ig_layer_params *l = &hp->layer[i];
        uint64_t row =
            (uint64_t)l->n_head * (context / IG_GPU_CHUNK + 1) * (l->head_v + 32u) * sizeof(float);
        if (row > parts) parts = row;
        stage += (uint64_t)batch * ig_gpu_stage_stride(l) * sizeof(float);
    }
    if (stage > IG_GPU_STAGE) stage = IG_GPU_STAGE;
    if (parts < IG_GPU_PARTS) parts = parts * batch < IG_GPU_PARTS ? parts * batch : IG_GPU_PARTS;
    return bytes + stage + parts + batch * used * cols * 3 / 2 +
           (uint64_t)batch * 2 * 1024 * sizeof(float);
}

/* Nothing a device cannot do but what no kernel was written for. */
static bool can_run(const struct ig_plan *p, const struct ig_op *op) {
    const struct ig_hparams *hp = p->hp;
    for (unsigned i = 0; i < 3; i++) {
        const struct ig_quant *t = op->w[i] ? op->w[i]->mat.type : NULL;
        if (t && (op->w[i]->mat.data || op->w[i]->mat.parts) &&
            (!(t->device.main + t->device.rest) || t->id >= IG_GPU_TYPES))
            return false;
    }
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_JOIN: return false;
    case IG_OP_ROUTE: return hp->n_expert <= IG_ROUTE_EXPERTS && hp->n_expert_used <= IG_ROUTE_USED;
    case IG_OP_KV_PUT:
    case IG_OP_ATTEND:
        return hp->layer[op->layer].head_k <= IG_KV_MAX_HEAD &&
               hp->layer[op->layer].head_v <= IG_KV_MAX_HEAD;
    default: return op->kind < IG_OP_COUNT;
    }
}

uint32_t ig_gpu_can_run(const struct ig_plan *plan, uint32_t from, uint32_t to) {
    while (from < to && can_run(plan, &plan->ops[from])) from++;
    return from;
}
