/* A part of the op list: who reads what of whom is found by walking the list, so that executors and
 * those who place parts need not know how a family is built. Nothing here says where a part runs.
 *
 * The subtle thing is liveness: a buffer goes to later parts only if one of them reads it before it
 * is written anew. The head's results and the stream, whose last value is every token's hidden
 * state, go to the caller. What experts were chosen is in no buffer, so no cut comes between ROUTE
 * and the last operation that needs it. */
#include "plan/plan.h"

/* Buffers that someone reads behind operation `at` - 1 before they are written. */
static uint64_t live_at(const struct ig_plan *p, uint32_t at) {
    uint64_t live = 1ull << p->ops[p->gather].a | 1ull << IG_B_XO | 1ull << IG_B_LOGITS;
    for (uint32_t i = p->n_ops; i-- > at;)
        live = (live & ~ig_op_writes(&p->ops[i])) | ig_op_reads(&p->ops[i]);
    return live;
}

bool ig_plan_can_cut(const struct ig_plan *p, uint32_t at) {
    for (uint32_t i = at; i < p->n_ops; i++) switch ((enum ig_op_kind)p->ops[i].kind) {
        case IG_OP_ROUTE: return true;
        case IG_OP_SPREAD:
        case IG_OP_EXPERT_LINEAR:
        case IG_OP_COMBINE: return false;
        default: break;
        }
    return true;
}

ingle_status ig_plan_part_make(struct ig_plan_part *part, const struct ig_plan *p, uint32_t from,
                               uint32_t to, struct ig_arena *arena, ingle_error *err) {
    uint64_t written = 0;
    *part = (struct ig_plan_part){.plan = p, .from = from, .to = to};
    for (uint32_t i = from; i < to; i++) {
        part->in |= ig_op_reads(&p->ops[i]) & ~written;
        written |= ig_op_writes(&p->ops[i]);
    }
    part->out = written & live_at(p, to);
    return ig_plan_fuse_range(p, from, to, part->walk, arena, err);
}
