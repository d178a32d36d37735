/* The op list as steps of a team of threads. Families know nothing of this, and it changes no bit:
 * it only says which thread does what, where its rows lie, and who waits for whom.
 *
 * With few tokens (generation) every thread does norms, sums and quantisation for itself in buffers
 * of its own, because that takes less time than a barrier; with many, rows are shared out. What
 * follows a linear operation and works on single columns or heads of its result (activation, rope,
 * writing to the cache) is done by the thread that finished those columns. A barrier is put where a
 * step touches what others wrote since the last one, or writes what others may still read. */
#include "plan/plan.h"

enum { MOST_HEAD = 512 }; /* columns one thread may finish alone */

/* What a step touches besides the buffers: bits behind those of enum ig_buffer. */
enum { ACT32 = 32, ACT256, CACHE, CHOICE };
#define BIT(i) ((uint64_t)1 << (i))

struct fuser {
    const struct ig_plan *p;
    uint32_t to; /* the list ends there */
    struct ig_walk *w;
    bool few;
    uint64_t own;         /* few: buffers whose rows lie in each thread's own copy */
    uint64_t read, wrote; /* since the last barrier, of what threads share */
    unsigned counters;    /* used since the last barrier */
    uint8_t holds[2];     /* buffer whose rows are quantised, per 32 and per 256 */
};

/* Few tokens are routed by every thread for itself; the cache has one writer. */
static bool is_row(const struct fuser *f, const struct ig_op *op) {
    if (ig_op_is_linear(op) || op->kind == IG_OP_ATTEND) return false;
    return op->kind == IG_OP_ROUTE ? f->few : !(f->few && op->kind == IG_OP_KV_PUT);
}

static bool in_place(const struct ig_op *op) {
    return op->kind == IG_OP_ROPE || op->kind == IG_OP_TEMPERATURE || op->kind == IG_OP_POSITION;
}

/* Is a row of op the same kind of row as a row of the linear operation's result? */
static bool on_result(const struct ig_op *linear, const struct ig_op *op) {
    if (linear->kind == IG_OP_EXPERT_LINEAR) return (op->flags & IG_OPF_SLOTS) != 0;
    return ig_op_same_rows(linear, op);
}

/* ---- What an operation reads and writes ---- */

uint64_t ig_op_reads(const struct ig_op *op) {
    uint64_t s = 0;
    if (op->a) s |= BIT(op->a);
    if (op->b) s |= BIT(op->b);
    if (in_place(op)) s |= BIT(op->dst);
    return s;
}

uint64_t ig_op_writes(const struct ig_op *op) {
    uint64_t s = op->dst ? BIT(op->dst) : 0;
    for (unsigned i = 0; i < op->n_to; i++) s |= BIT(op->to[i]);
    return s;
}

static uint64_t sources(const struct ig_op *op) {
    uint64_t s = ig_op_reads(op);
    if (op->kind == IG_OP_ATTEND) s |= BIT(CACHE);
    if (op->kind == IG_OP_EXPERT_LINEAR || op->kind == IG_OP_SPREAD || op->kind == IG_OP_COMBINE)
        s |= BIT(CHOICE);
    return s;
}

static uint64_t results(const struct ig_op *op) {
    uint64_t s = ig_op_writes(op);
    if (op->kind == IG_OP_KV_PUT) s |= BIT(CACHE);
    if (op->kind == IG_OP_ROUTE) s |= BIT(CHOICE);
    return s;
}

/* Formats in which a linear operation wants its input: 1 per 32, 2 per 256, 4 floats. */
static unsigned formats(const struct ig_op *op) {
    unsigned kinds = 0;
    for (unsigned i = 0; i < op->n_to; i++) {
        uint8_t kind = op->w[i]->mat.type->kind;
        kinds |= kind == IG_QUANT_A32 ? 1u : kind == IG_QUANT_A256 ? 2u : 4u;
    }
    return kinds;
}

static uint64_t formats_bits(unsigned kinds) {
    return (kinds & 1 ? BIT(ACT32) : 0) | (kinds & 2 ? BIT(ACT256) : 0);
}

/* ---- Steps ---- */

/* Adds a step that reads and writes these; with few tokens what is a thread's own does not count.
 */
static struct ig_step *put(struct fuser *f, struct ig_step s, uint64_t reads, uint64_t writes) {
    bool counted = s.how != IG_STEP_ALONE;
    const uint64_t mine = f->few ? f->own | BIT(ACT32) | BIT(ACT256) | BIT(CHOICE) : 0;
    reads &= ~mine;
    writes &= counted ? ~(f->few ? BIT(ACT32) | BIT(ACT256) | BIT(CHOICE) : 0) : 0;
    s.barrier = (reads & f->wrote) || (writes & (f->read | f->wrote)) ||
                (counted && f->counters == IG_STEP_COUNTERS);
    if (s.barrier) {
        f->read = f->wrote = 0;
        f->counters = 0;
    }
    f->read |= reads;
    f->wrote |= writes;
    s.counter = (uint8_t)(counted ? f->counters++ : 0);
    f->w->steps[f->w->n] = s;
    return &f->w->steps[f->w->n++];
}

/* Something new lies in these buffers: what was quantised of them is old. */
static void forget(struct fuser *f, uint64_t written) {
    for (int i = 0; i < 2; i++)
        if (written & BIT(f->holds[i])) f->holds[i] = IG_B_NONE;
}

static uint32_t rows_end(const struct fuser *f, uint32_t first) {
    const struct ig_op *ops = f->p->ops;
    uint32_t i = first;
    while (i < f->to && is_row(f, &ops[i]) &&
           (f->few ||
            (ig_op_same_rows(&ops[first], &ops[i]) && (i == first || ops[i].kind != IG_OP_GATHER))))
        i++;
    return i;
}

/* Where the sources of an operation lie, and from now on its result. */
static void place(struct fuser *f, uint32_t i, bool own_result) {
    const struct ig_op *op = &f->p->ops[i];
    uint8_t where = 0;
    if (!f->few) return;
    if (op->a && f->own & BIT(op->a)) where |= IG_OWN_A;
    if (op->b && f->own & BIT(op->b)) where |= IG_OWN_B;
    if (own_result && in_place(op) && !(f->own & BIT(op->dst))) where |= IG_OWN_COPY;
    if (own_result) where |= IG_OWN_DST;
    f->w->own[i - f->w->from] = where;
    f->own = own_result ? f->own | results(op) : f->own & ~results(op);
}

/* Operations [first, end) row by row and the quantisation for the linear one at `linear`. */
static void put_rows(struct fuser *f, uint32_t first, uint32_t end, uint32_t linear,
                     unsigned want) {
    bool alone = f->few && !(first < end && f->p->ops[first].kind == IG_OP_KV_PUT);
    uint64_t reads = 0, writes = 0, mine = 0;
    for (uint32_t i = first; i < end; i++) {
        const struct ig_op *op = &f->p->ops[i];
        reads |= sources(op) & ~(f->few ? mine | f->own : 0);
        writes |= results(op);
        if (alone) mine |= results(op);
    }
    if (want && !((mine | (f->few ? f->own : 0)) & BIT(f->p->ops[linear].a)))
        reads |= BIT(f->p->ops[linear].a);
    put(f,
        (struct ig_step){.how = alone ? IG_STEP_ALONE : IG_STEP_ROWS,
                         .first = first,
                         .end = end,
                         .op = linear,
                         .quantize = (uint8_t)want},
        reads, writes | formats_bits(want));
    for (uint32_t i = first; i < end; i++) place(f, i, alone);
    forget(f, writes);
    for (unsigned k = 0; k < 2; k++)
        if (want & 1u << k) f->holds[k] = f->p->ops[linear].a;
}

/* ---- What the finisher of a linear operation's columns can do ---- */

static int output_of(const struct ig_op *linear, unsigned buffer) {
    for (int i = 0; i < linear->n_to; i++)
        if (linear->to[i] == buffer) return i;
    return -1;
}

static bool is_columnwise(const struct ig_op *op) {
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_ACT:
    case IG_OP_GLU:
    case IG_OP_MUL:
    case IG_OP_SCALE:
    case IG_OP_CLAMP:
    case IG_OP_SOFTCAP: return true;
    default: return false;
    }
}

/* The end of the operations behind `at` that work on single columns of its outputs. */
static uint32_t columns_end(const struct fuser *f, uint32_t at) {
    const struct ig_op *ops = f->p->ops, *l = &ops[at];
    uint32_t i = at + 1, rows = l->w[0]->mat.rows;
    for (unsigned k = 1; k < l->n_to; k++)
        if (l->w[k]->mat.rows != rows) return i;
    for (; i < f->to; i++) {
        const struct ig_op *op = &ops[i];
        if (!is_columnwise(op) || !on_result(l, op) || op->n != rows) break;
        if (output_of(l, op->dst) < 0 || (output_of(l, op->a) < 0 && op->kind != IG_OP_MUL)) break;
    }
    return i;
}

/* Heads of this width in output `i`, if it has no others. */
static bool set_head(const struct ig_op *l, struct ig_step *s, int i, uint32_t width) {
    if (i < 0 || !width || width > MOST_HEAD || l->w[i]->mat.rows % width) return false;
    if (s->head[i] && s->head[i] != width) return false;
    s->head[i] = width;
    return true;
}

/* `alias`: v as a copy of k, done with k's heads. */
static bool fits_heads(const struct fuser *f, const struct ig_op *l, const struct ig_op *op,
                       struct ig_step *s, uint8_t *alias) {
    int i = op->kind != IG_OP_KV_PUT && op->dst == *alias ? output_of(l, IG_B_K)
                                                          : output_of(l, op->dst);
    if (!on_result(l, op)) return false;
    switch ((enum ig_op_kind)op->kind) {
    case IG_OP_NORM: return op->a == op->dst && set_head(l, s, i, op->n);
    case IG_OP_ROPE: return set_head(l, s, i, op->n);
    case IG_OP_CLAMP:
    case IG_OP_SCALE: return op->a == op->dst && i >= 0;
    case IG_OP_TEMPERATURE: return i >= 0;
    case IG_OP_COPY:
        if (op->a != IG_B_K || output_of(l, op->a) < 0 || i >= 0) return false;
        *alias = op->dst;
        return true;
    case IG_OP_KV_PUT: {
        const struct ig_layer_params *p = &f->p->hp->layer[op->layer];
        if (*alias == op->b && p->head_k != p->head_v) return false;
        return set_head(l, s, output_of(l, op->a), p->head_k) &&
               (*alias == op->b || set_head(l, s, output_of(l, op->b), p->head_v));
    }
    default: return false;
    }
}

static uint32_t heads_end(const struct fuser *f, uint32_t at, struct ig_step *s) {
    const struct ig_op *ops = f->p->ops, *l = &ops[at];
    uint8_t alias = IG_B_NONE;
    uint32_t i = at + 1;
    for (; i < f->to; i++) {
        struct ig_step before = *s;
        if (fits_heads(f, l, &ops[i], s, &alias)) continue;
        *s = before;
        break;
    }
    /* outputs nobody asked for heads of go with any; a plain width keeps their units apart */
    for (unsigned k = 0; k < l->n_to; k++)
        if (!s->head[k]) s->head[k] = l->w[k]->mat.rows % 64 ? l->w[k]->mat.rows : 64;
    return i;
}

static void find_shape(const struct fuser *f, struct ig_step *s) {
    const struct ig_op *l = &f->p->ops[s->op];
    s->end = s->first = s->op + 1;
    if (!ig_op_is_linear(l)) return;
    s->end = columns_end(f, s->op);
    if (s->end > s->first) s->shape = IG_SHAPE_COLUMNS;
    if (s->end > s->first || l->kind != IG_OP_LINEAR) return;
    struct ig_step heads = *s;
    heads.end = heads_end(f, s->op, &heads);
    heads.shape = IG_SHAPE_HEADS;
    for (unsigned k = 0; k < l->n_to; k++)
        if (heads.head[k] > MOST_HEAD) return;
    if (heads.end > s->first) *s = heads;
}

/* An operation with units of its own and what belongs behind it. Returns the next operation. */
static uint32_t put_units(struct fuser *f, uint32_t at) {
    const struct ig_op *op = &f->p->ops[at];
    struct ig_step s = {.how = IG_STEP_UNITS, .op = at};
    find_shape(f, &s);
    uint64_t reads = sources(op), writes = results(op), inner = writes;
    if (ig_op_is_linear(op)) {
        unsigned want = formats(op);
        if (!(want & 4)) reads &= ~BIT(op->a);
        reads |= formats_bits(want);
    }
    for (uint32_t i = s.first; i < s.end; i++) {
        reads |= sources(&f->p->ops[i]) & ~inner;
        inner |= results(&f->p->ops[i]);
        writes |= results(&f->p->ops[i]);
    }
    put(f, s, reads, writes);
    place(f, at, false);
    for (uint32_t i = s.first; i < s.end; i++) place(f, i, false);
    forget(f, writes);
    return s.end;
}

/* Formats the linear operation wants that its input is not in yet. */
static unsigned missing(const struct fuser *f, const struct ig_op *op) {
    unsigned want = formats(op) & 3;
    for (unsigned k = 0; k < 2; k++)
        if (f->holds[k] == op->a) want &= ~(1u << k);
    return want;
}

static void walk(struct fuser *f) {
    const struct ig_op *ops = f->p->ops;
    for (uint32_t i = f->w->from; i < f->to;) {
        uint32_t end = rows_end(f, i);
        const struct ig_op *op = end < f->to && !is_row(f, &ops[end]) ? &ops[end] : NULL;
        if (end > i) { /* a row's new value may be what the linear operation wants */
            uint64_t written = 0;
            for (uint32_t j = i; j < end; j++) written |= results(&ops[j]);
            forget(f, written);
        }
        unsigned want = op && ig_op_is_linear(op) ? missing(f, op) : 0;
        bool joined = want && (end == i || f->few || ig_op_same_rows(&ops[i], op));
        if (end > i || joined) put_rows(f, i, end, end, joined ? want : 0);
        if (want && !joined) put_rows(f, end, end, end, want);
        i = end;
        if (!op) continue;
        if (op->kind == IG_OP_KV_PUT) {
            put_rows(f, end, end + 1, end, 0);
            i = end + 1;
        } else {
            i = put_units(f, end);
        }
    }
}

ingle_status ig_plan_fuse_range(const struct ig_plan *p, uint32_t from, uint32_t to,
                                struct ig_walk walks[2], struct ig_arena *arena, ingle_error *err) {
    for (int few = 0; few < 2; few++) {
        struct ig_walk *w = &walks[few];
        size_t most = (size_t)(to - from) * 2 + 1;
        *w = (struct ig_walk){.steps = ig_arena_calloc(arena, most, sizeof *w->steps),
                              .from = from,
                              .own = ig_arena_calloc(arena, to - from + 1u, 1)};
        if (!w->steps || !w->own) return ig_fail_memory(err, most * sizeof *w->steps);
        struct fuser f = {.p = p, .to = to, .w = w, .few = few};
        walk(&f);
    }
    return INGLE_OK;
}

ingle_status ig_plan_fuse(struct ig_plan *p, struct ig_arena *arena, ingle_error *err) {
    return ig_plan_fuse_range(p, 0, p->n_ops, p->walk, arena, err);
}

uint32_t ig_walk_barriers(const struct ig_walk *w, uint32_t from, uint32_t to) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct ig_step *s = &w->steps[i];
        uint32_t at = s->how != IG_STEP_UNITS && s->first < s->end ? s->first : s->op;
        n += s->barrier && at >= from && at < to;
    }
    return n;
}
