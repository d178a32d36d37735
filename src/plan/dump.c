/* The op list as text: what `ingle plan` prints. One line an operation, so that two plans can be
 * compared with diff. */
#include "plan/plan.h"

static const char *const op_names[] = {
#define OP(id, name, text) name,
#include "plan/ops.def"
#undef OP
};
static const char *const buffer_names[] = {"-",  "x",  "h",  "h2", "e",  "q",  "k",  "v",
                                           "a",  "f",  "f2", "g",  "u",  "r",  "s",  "p",
                                           "p2", "ex", "eg", "eu", "ed", "xo", "ho", "logits"};
static const char *const act_names[] = {"silu",  "gelu", "gelu_erf", "gelu_quick", "relu",
                                        "relu2", "oai",  "xielu",    "sigmoid",    "tanh"};

static void dump_weights(const struct ig_op *op, struct ig_buf *out) {
    for (unsigned i = 0; i < op->n_to; i++) {
        const struct ig_slot *w = op->w[i];
        ig_buf_f(out, "%s%s=%s[%u,%u]%s", i ? " " : "", buffer_names[op->to[i]], w->mat.type->name,
                 w->mat.rows, w->mat.cols, w->bias ? "+bias" : "");
        if (w->mat.count > 1) ig_buf_f(out, "x%u", w->mat.count);
    }
    ig_buf_f(out, " <- %s", buffer_names[op->a]);
}

static void dump_attend(const struct ig_hparams *hp, const struct ig_op *op, struct ig_buf *out) {
    const struct ig_layer_params *l = &hp->layer[op->layer];
    ig_buf_f(out, "a <- q  heads=%u/%u head=%u/%u", l->n_head, l->n_head_kv, l->head_k, l->head_v);
    if (l->window) ig_buf_f(out, " %s=%u", hp->row->chunked ? "chunk" : "window", l->window);
    if (l->kv_layer != (uint32_t)op->layer) ig_buf_f(out, " kv-of=%u", l->kv_layer);
    if (ig_slot_has(op->w[0])) ig_buf_z(out, " sinks");
    if (hp->pos == IG_POS_ALIBI) ig_buf_z(out, " alibi");
    if (hp->attn_softcap > 0) ig_buf_f(out, " softcap=%g", hp->attn_softcap);
}

static void dump_rest(const struct ig_plan *p, const struct ig_op *op, struct ig_buf *out) {
    ig_buf_f(out, "%s <- %s", buffer_names[op->dst], buffer_names[op->a ? op->a : op->dst]);
    if (op->b) ig_buf_f(out, ", %s", buffer_names[op->b]);
    if (op->kind == IG_OP_NORM) {
        ig_buf_f(out, "  %s n=%u", op->what == IG_NORM_RMS ? "rms" : "layer", op->n);
        if (op->heads > 1) ig_buf_f(out, " heads=%u", op->heads);
        if (!op->w[0] || !ig_slot_has(op->w[0])) ig_buf_z(out, " bare");
    }
    if (op->kind == IG_OP_ACT || op->kind == IG_OP_GLU) ig_buf_f(out, "  %s", act_names[op->what]);
    if (op->kind == IG_OP_ROPE) {
        const struct ig_rope *r = &p->hp->rope[op->what];
        ig_buf_f(out, "  %s dims=%u of %u base=%g", r->pairing == IG_PAIR ? "pair" : "half",
                 r->dims, op->n, r->base);
    }
    if (op->f[0] > 0 || op->f[0] < 0)
        if (op->kind != IG_OP_NORM && op->kind != IG_OP_ACT && op->kind != IG_OP_GLU)
            ig_buf_f(out, "  %g", (double)op->f[0]);
}

/* The step of a walk that begins with the operation; NULL if none does. */
static const struct ig_step *step_at(const struct ig_walk *w, uint32_t op) {
    for (uint32_t i = 0; i < w->n; i++) {
        const struct ig_step *s = &w->steps[i];
        if ((s->how != IG_STEP_UNITS && s->first < s->end ? s->first : s->op) == op) return s;
    }
    return NULL;
}

/* Barriers of a walk in the layer of the middle, a plain one in most models. */
static uint32_t layer_barriers(const struct ig_plan *p, const struct ig_walk *w) {
    uint32_t first = 0, end;
    while (first < p->n_ops && p->ops[first].layer != (int)p->hp->n_layer / 2) first++;
    for (end = first; end < p->n_ops && p->ops[end].layer == p->ops[first].layer;) end++;
    return ig_walk_barriers(w, first, end);
}

void ig_plan_dump(const struct ig_plan *p, struct ig_buf *out) {
    int last = -2;
    ig_buf_f(out, "# family %s, %u layers, width %u, %u tokens in the vocabulary, %u operations\n",
             p->hp->row->name, p->hp->n_layer, p->hp->n_embd, p->hp->n_vocab, p->n_ops);
    ig_buf_f(out,
             "# '|' = threads wait for each other before it: %u times a layer for a token, %u in "
             "prompts\n",
             layer_barriers(p, &p->walk[1]), layer_barriers(p, &p->walk[0]));
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const struct ig_op *op = &p->ops[i];
        const struct ig_step *s = step_at(&p->walk[1], i);
        if (op->layer != last) {
            if (op->layer >= 0)
                ig_buf_f(out, "layer %d\n", op->layer);
            else
                ig_buf_z(out, i ? "output\n" : "input\n");
        }
        last = op->layer;
        ig_buf_f(out, "%c %-11s ", s && s->barrier ? '|' : ' ', op_names[op->kind]);
        if (op->n_to)
            dump_weights(op, out);
        else if (op->kind == IG_OP_ATTEND)
            dump_attend(p->hp, op, out);
        else if (op->kind == IG_OP_KV_PUT)
            ig_buf_z(out, "cache <- k, v");
        else
            dump_rest(p, op, out);
        ig_buf_ch(out, '\n');
    }
}
