/* Row + weights -> operations. This is the only author of forward passes: it computes nothing and
 * knows no device. What a tensor's presence says is asked here (`has`); what it cannot say comes
 * from hparams. Mixers other than attention will be further emit_* functions beside emit_attention.
 */
#include "plan/plan.h"

#include <math.h>

struct emitter {
    struct ig_plan *p;
    struct ig_arena *arena;
    const struct ig_hparams *hp;
    const struct ig_slot *global;
    bool failed;
    int16_t layer;
};

static void use(struct emitter *e, unsigned buffer, uint32_t width) {
    if (e->p->width[buffer] < width) e->p->width[buffer] = width;
}

static struct ig_op *put(struct emitter *e, struct ig_op op) {
    struct ig_plan *p = e->p;
    if (p->n_ops == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 256;
        struct ig_op *more = ig_arena_calloc(e->arena, cap, sizeof *more);
        if (!more) {
            e->failed = true;
            return NULL;
        }
        if (p->n_ops) memcpy(more, p->ops, p->n_ops * sizeof *more);
        p->ops = more;
        p->cap = cap;
    }
    op.layer = e->layer;
    p->ops[p->n_ops] = op;
    return &p->ops[p->n_ops++];
}

static bool has(const struct ig_slot *w, enum ig_role role) {
    return ig_slot_has(&w[role]);
}

/* ---- One operation each ---- */

static void linear(struct emitter *e, unsigned a, unsigned to, const struct ig_slot *w,
                   uint8_t flags) {
    use(e, to, w->mat.rows);
    put(e, (struct ig_op){.kind = IG_OP_LINEAR,
                          .flags = flags,
                          .a = (uint8_t)a,
                          .to = {(uint8_t)to},
                          .n_to = 1,
                          .n = w->mat.cols,
                          .w = {w}});
}

static void also(struct emitter *e, unsigned to, const struct ig_slot *w) {
    struct ig_op *op = e->failed ? NULL : &e->p->ops[e->p->n_ops - 1];
    use(e, to, w->mat.rows);
    if (!op) return;
    op->to[op->n_to] = (uint8_t)to;
    op->w[op->n_to++] = w;
}

static void norm(struct emitter *e, unsigned a, unsigned dst, const struct ig_slot *w, uint32_t n,
                 uint8_t flags) {
    use(e, dst, n);
    put(e, (struct ig_op){.kind = IG_OP_NORM,
                          .flags = flags,
                          .a = (uint8_t)a,
                          .dst = (uint8_t)dst,
                          .what = e->hp->norm,
                          .n = n,
                          .heads = 1,
                          .f = {(float)e->hp->eps},
                          .w = {w}});
}

static void simple(struct emitter *e, enum ig_op_kind kind, unsigned dst, unsigned a, unsigned b,
                   uint32_t n, double f, uint8_t flags) {
    use(e, dst, n);
    put(e, (struct ig_op){.kind = (uint8_t)kind,
                          .flags = flags,
                          .dst = (uint8_t)dst,
                          .a = (uint8_t)a,
                          .b = (uint8_t)b,
                          .n = n,
                          .f = {(float)f}});
}

static void add(struct emitter *e, unsigned dst, unsigned a, unsigned b, double f) {
    simple(e, IG_OP_ADD, dst, a, b, e->hp->n_embd, f, 0);
}

/* gate and up -> u: act(g) * u, or act(u) where there is no gate */
static void activate(struct emitter *e, bool gated, unsigned g, unsigned u, uint32_t n,
                     uint8_t flags) {
    struct ig_op op = {.kind = gated ? IG_OP_GLU : IG_OP_ACT,
                       .flags = flags,
                       .dst = (uint8_t)u,
                       .a = (uint8_t)(gated ? g : u),
                       .b = (uint8_t)(gated ? u : IG_B_NONE),
                       .what = e->hp->act,
                       .n = n,
                       .f = {(float)e->hp->act_limit, (float)e->hp->act_alpha}};
    for (int i = 0; e->hp->act == IG_ACT_XIELU && i < 4; i++)
        op.f[i] = (float)e->hp->xielu[e->layer * 4 + i];
    put(e, op);
}

/* ---- Attention ---- */

/* q or k norm: per head where the weights say so. Stacked weights [heads, head] mean a LayerNorm
 * per head with weights of its own (command-r, stablelm) but an RMS norm over the whole row (olmo).
 */
static void head_norm(struct emitter *e, unsigned buf, const struct ig_slot *w, uint32_t heads,
                      uint32_t head) {
    if (!ig_slot_has(w)) return;
    bool stacked = w->n != head || heads == 1;
    bool whole = stacked && (e->hp->norm == IG_NORM_RMS || e->hp->row->qk_whole);
    put(e, (struct ig_op){.kind = IG_OP_NORM,
                          .a = (uint8_t)buf,
                          .dst = (uint8_t)buf,
                          .what = e->hp->norm,
                          .n = whole ? heads * head : head,
                          .heads = whole ? 1 : heads,
                          .per_head = stacked && !whole,
                          .f = {(float)e->hp->eps},
                          .w = {w}});
}

static void rope(struct emitter *e, unsigned buf, const struct ig_layer_params *l, uint32_t heads) {
    put(e, (struct ig_op){.kind = IG_OP_ROPE,
                          .dst = (uint8_t)buf,
                          .what = l->local,
                          .n = l->head_k,
                          .heads = heads});
}

/* RMS norm of each of `heads` parts of a row, with the same weights or with none. */
static void rms(struct emitter *e, unsigned a, unsigned dst, const struct ig_slot *w,
                uint32_t heads, uint32_t n) {
    use(e, dst, heads * n);
    put(e, (struct ig_op){.kind = IG_OP_NORM,
                          .a = (uint8_t)a,
                          .dst = (uint8_t)dst,
                          .what = IG_NORM_RMS,
                          .n = n,
                          .heads = heads,
                          .f = {(float)e->hp->eps},
                          .w = {w}});
}

static void emit_qkv(struct emitter *e, const struct ig_slot *w, const struct ig_layer_params *l,
                     unsigned in, bool own_kv) {
    uint32_t nv = l->n_head_kv * l->head_v;
    linear(e, in, IG_B_Q, &w[IG_R_attn_q], 0);
    if (own_kv) also(e, IG_B_K, &w[IG_R_attn_k]);
    if (own_kv && has(w, IG_R_attn_v)) also(e, IG_B_V, &w[IG_R_attn_v]);
    if (own_kv && !has(w, IG_R_attn_v)) simple(e, IG_OP_COPY, IG_B_V, IG_B_K, 0, nv, 0, 0);
}

static void emit_clamp(struct emitter *e, const struct ig_layer_params *l, bool own_kv) {
    double limit = e->hp->clamp_kqv;
    if (!(limit > 0)) return;
    simple(e, IG_OP_CLAMP, IG_B_Q, IG_B_Q, 0, l->n_head * l->head_k, limit, 0);
    if (!own_kv) return;
    simple(e, IG_OP_CLAMP, IG_B_K, IG_B_K, 0, l->n_head_kv * l->head_k, limit, 0);
    simple(e, IG_OP_CLAMP, IG_B_V, IG_B_V, 0, l->n_head_kv * l->head_v, limit, 0);
}

static void emit_positions(struct emitter *e, const struct ig_slot *w,
                           const struct ig_layer_params *l, bool own_kv) {
    bool late = e->hp->row->qk_late;
    if (!late) head_norm(e, IG_B_Q, &w[IG_R_attn_q_norm], l->n_head, l->head_k);
    if (!late && own_kv) head_norm(e, IG_B_K, &w[IG_R_attn_k_norm], l->n_head_kv, l->head_k);
    emit_clamp(e, l, own_kv);
    if (own_kv && e->hp->row->v_norm) rms(e, IG_B_V, IG_B_V, NULL, l->n_head_kv, l->head_v);
    if (l->rope) rope(e, IG_B_Q, l, l->n_head);
    if (l->rope && own_kv) rope(e, IG_B_K, l, l->n_head_kv);
    if (late) head_norm(e, IG_B_Q, &w[IG_R_attn_q_norm], l->n_head, l->head_k);
    if (late && own_kv) head_norm(e, IG_B_K, &w[IG_R_attn_k_norm], l->n_head_kv, l->head_k);
}

/* q, k, v from `in`; result in F. */
static void emit_attention(struct emitter *e, const struct ig_slot *w, unsigned in) {
    const struct ig_layer_params *l = &e->hp->layer[e->layer];
    bool own_kv = l->kv_layer == (uint32_t)e->layer;
    emit_qkv(e, w, l, in, own_kv);
    emit_positions(e, w, l, own_kv);
    if (e->hp->l2_qk && l->rope) {
        rms(e, IG_B_Q, IG_B_Q, NULL, l->n_head, l->head_k);
        rms(e, IG_B_K, IG_B_K, NULL, l->n_head_kv, l->head_k);
    }
    if (l->q_scale > 1 || l->q_scale < 1)
        simple(e, IG_OP_SCALE, IG_B_Q, IG_B_Q, 0, l->n_head * l->head_k, l->q_scale, 0);
    if (e->hp->temperature_scale > 0 && (!l->rope || !e->hp->row->nope))
        put(e, (struct ig_op){
                   .kind = IG_OP_TEMPERATURE,
                   .dst = IG_B_Q,
                   .n = l->n_head * l->head_k,
                   .heads = e->hp->temperature_offset > 0 ? 1 : 0,
                   .f = {(float)e->hp->temperature_scale, (float)e->hp->temperature_length}});
    if (own_kv) put(e, (struct ig_op){.kind = IG_OP_KV_PUT, .a = IG_B_K, .b = IG_B_V});
    use(e, IG_B_A, l->n_head * l->head_v);
    put(e, (struct ig_op){.kind = IG_OP_ATTEND,
                          .dst = IG_B_A,
                          .a = IG_B_Q,
                          .n = l->head_k,
                          .heads = l->n_head,
                          .w = {&w[IG_R_attn_sinks]}});
    linear(e, IG_B_A, IG_B_F, &w[IG_R_attn_output], 0);
}

/* ---- Feed-forward ---- */

static void emit_up(struct emitter *e, const struct ig_slot *w, unsigned in, enum ig_role gate,
                    enum ig_role up, enum ig_role down) {
    bool gated = has(w, gate);
    linear(e, in, IG_B_U, &w[up], 0);
    if (gated) also(e, IG_B_G, &w[gate]);
    activate(e, gated, IG_B_G, IG_B_U, w[down].mat.cols, 0);
}

static void emit_dense(struct emitter *e, const struct ig_slot *w, unsigned in, unsigned out,
                       enum ig_role gate, enum ig_role up, enum ig_role down) {
    emit_up(e, w, in, gate, up, down);
    linear(e, IG_B_U, out, &w[down], 0);
}

static void expert_linear(struct emitter *e, unsigned a, unsigned to, const struct ig_slot *w,
                          uint8_t flags) {
    use(e, to, w->mat.rows);
    put(e, (struct ig_op){.kind = IG_OP_EXPERT_LINEAR,
                          .flags = flags,
                          .a = (uint8_t)a,
                          .to = {(uint8_t)to},
                          .n_to = 1,
                          .n = w->mat.cols,
                          .w = {w}});
}

/* The shared expert's operations stand beside those of the others that need no more than they do,
 * so that threads need not wait between them. */
static void emit_shared_up(struct emitter *e, const struct ig_slot *w, unsigned in) {
    if (!has(w, IG_R_ffn_down_shexp)) return;
    emit_up(e, w, in, IG_R_ffn_gate_shexp, IG_R_ffn_up_shexp, IG_R_ffn_down_shexp);
    if (has(w, IG_R_ffn_gate_inp_shexp)) linear(e, in, IG_B_S, &w[IG_R_ffn_gate_inp_shexp], 0);
}

static void emit_shared_down(struct emitter *e, const struct ig_slot *w, unsigned to) {
    if (has(w, IG_R_ffn_down_shexp)) linear(e, IG_B_U, to, &w[IG_R_ffn_down_shexp], 0);
}

static void emit_shared_sum(struct emitter *e, const struct ig_slot *w, unsigned out, unsigned to) {
    if (!has(w, IG_R_ffn_down_shexp)) return;
    if (has(w, IG_R_ffn_gate_inp_shexp)) simple(e, IG_OP_GATE, to, to, IG_B_S, e->hp->n_embd, 0, 0);
    add(e, out, out, to, 1);
}

static void emit_experts(struct emitter *e, const struct ig_slot *w, unsigned router_in,
                         unsigned in, unsigned out) {
    bool gated = has(w, IG_R_ffn_gate_exps), first = e->hp->row->weight_first;
    unsigned shared = out == IG_B_F ? IG_B_F2 : IG_B_F;
    linear(e, router_in, IG_B_R, &w[IG_R_ffn_gate_inp], 0);
    emit_shared_up(e, w, in);
    put(e,
        (struct ig_op){
            .kind = IG_OP_ROUTE, .a = IG_B_R, .n = e->hp->n_expert, .w = {&w[IG_R_exp_probs_b]}});
    if (first) simple(e, IG_OP_SPREAD, IG_B_EX, in, 0, e->hp->n_embd, 0, 0);
    expert_linear(e, first ? IG_B_EX : in, IG_B_EU, &w[IG_R_ffn_up_exps], first ? IG_OPF_SLOTS : 0);
    if (gated) also(e, IG_B_EG, &w[IG_R_ffn_gate_exps]);
    activate(e, gated, IG_B_EG, IG_B_EU, w[IG_R_ffn_down_exps].mat.cols, IG_OPF_SLOTS);
    emit_shared_down(e, w, shared);
    expert_linear(e, IG_B_EU, IG_B_ED, &w[IG_R_ffn_down_exps], IG_OPF_SLOTS);
    simple(e, IG_OP_COMBINE, out, IG_B_ED, 0, e->hp->n_embd, 0, first ? IG_OPF_UNWEIGHTED : 0);
    emit_shared_sum(e, w, out, shared);
}

/* gemma4: a dense block and experts side by side, each with norms of its own; the router looks at
 * the residual stream divided by its RMS. */
static void emit_both(struct emitter *e, const struct ig_slot *w, unsigned in, unsigned out) {
    uint32_t n = e->hp->n_embd;
    unsigned other = out == IG_B_F ? IG_B_F2 : IG_B_F;
    emit_dense(e, w, in, out, IG_R_ffn_gate, IG_R_ffn_up, IG_R_ffn_down);
    if (has(w, IG_R_post_ffw_norm_1)) norm(e, out, out, &w[IG_R_post_ffw_norm_1], n, 0);
    rms(e, IG_B_X, IG_B_H, &w[IG_R_ffn_gate_inp_scale], 1, n);
    simple(e, IG_OP_SCALE, IG_B_H, IG_B_H, 0, n, 1 / sqrt((double)n), 0);
    norm(e, IG_B_X, IG_B_H2, &w[IG_R_pre_ffw_norm_2], n, 0);
    emit_experts(e, w, IG_B_H, IG_B_H2, other);
    if (has(w, IG_R_post_ffw_norm_2)) norm(e, other, other, &w[IG_R_post_ffw_norm_2], n, 0);
    add(e, out, out, other, 1);
}

static void emit_ffn(struct emitter *e, const struct ig_slot *w, unsigned in, unsigned out) {
    if (has(w, IG_R_pre_ffw_norm_2) && has(w, IG_R_ffn_gate_inp) && has(w, IG_R_ffn_down))
        emit_both(e, w, in, out);
    else if (has(w, IG_R_ffn_gate_inp))
        emit_experts(e, w, in, in, out);
    else
        emit_dense(e, w, in, out, IG_R_ffn_gate, IG_R_ffn_up, IG_R_ffn_down);
}

/* ---- Blocks ---- */

/* Does the block norm before the role? A LayerNorm without weights (olmo) has no tensor to show it.
 */
static unsigned normed(struct emitter *e, const struct ig_slot *w, enum ig_role role, unsigned to) {
    if (e->hp->post_norm || (!has(w, role) && !e->hp->bare_norm)) return IG_B_X;
    norm(e, IG_B_X, to, &w[role], e->hp->n_embd, 0);
    return to;
}

/* gemma's per-layer inputs: a small part of the token's own, gated by the stream and projected
 * back. */
static void emit_per_layer(struct emitter *e, const struct ig_slot *w) {
    uint32_t n = e->hp->n_embd, p = e->hp->n_embd_per_layer;
    if (!p) return;
    linear(e, IG_B_X, IG_B_G, &w[IG_R_inp_gate], 0);
    put(e, (struct ig_op){.kind = IG_OP_GLU,
                          .dst = IG_B_G,
                          .a = IG_B_G,
                          .b = IG_B_P,
                          .b_at = (uint32_t)e->layer * p,
                          .what = e->hp->act,
                          .n = p});
    linear(e, IG_B_G, IG_B_F, &w[IG_R_proj], 0);
    if (has(w, IG_R_post_norm)) norm(e, IG_B_F, IG_B_F, &w[IG_R_post_norm], n, 0);
    add(e, IG_B_X, IG_B_X, IG_B_F, 1);
}

/* The stream behind a block whose result is in F and whose input was h. */
static void join(struct emitter *e, const struct ig_slot *w, unsigned h, enum ig_role post,
                 enum ig_role pre) {
    uint32_t n = e->hp->n_embd;
    if (has(w, post)) norm(e, IG_B_F, IG_B_F, &w[post], n, 0);
    add(e, IG_B_X, e->hp->residual_normed ? h : IG_B_X, IG_B_F, e->hp->residual_scale);
    if (e->hp->post_norm) norm(e, IG_B_X, IG_B_X, &w[pre], n, 0);
}

static void emit_serial(struct emitter *e, const struct ig_slot *w) {
    unsigned h = normed(e, w, IG_R_attn_norm, IG_B_H);
    emit_attention(e, w, h);
    join(e, w, h, IG_R_post_attention_norm, IG_R_attn_norm);
    h = normed(e, w, IG_R_ffn_norm, IG_B_H);
    emit_ffn(e, w, h, IG_B_F);
    join(e, w, h, IG_R_post_ffw_norm, IG_R_ffn_norm);
    emit_per_layer(e, w);
    if (has(w, IG_R_layer_output_scale))
        simple(e, IG_OP_SCALE, IG_B_X, IG_B_X, 0, e->hp->n_embd,
               (double)w[IG_R_layer_output_scale].vec[0], 0);
}

static void emit_parallel(struct emitter *e, const struct ig_slot *w) {
    unsigned h = normed(e, w, IG_R_attn_norm, IG_B_H), f = h;
    if (has(w, IG_R_ffn_norm)) f = normed(e, w, IG_R_ffn_norm, IG_B_H2);
    if (has(w, IG_R_attn_norm_2)) h = normed(e, w, IG_R_attn_norm_2, IG_B_H2);
    emit_attention(e, w, h);
    emit_ffn(e, w, f, IG_B_F2);
    add(e, IG_B_F, IG_B_F, IG_B_F2, 1);
    add(e, IG_B_X, IG_B_X, IG_B_F, e->hp->residual_scale);
}

static void emit_layer(struct emitter *e, const struct ig_slot *w) {
    bool no_second_norm =
        !has(w, IG_R_ffn_norm) && !has(w, IG_R_post_attention_norm) && has(w, IG_R_attn_norm);
    if (e->hp->parallel || no_second_norm)
        emit_parallel(e, w);
    else
        emit_serial(e, w);
}

/* The per-layer inputs of all layers side by side: (embedding + projection of the stream) /
 * sqrt(2). */
static void emit_per_layer_input(struct emitter *e) {
    const struct ig_slot *g = e->global;
    uint32_t p = e->hp->n_embd_per_layer, all = p * e->hp->n_layer;
    if (!p) return;
    use(e, IG_B_P, all);
    put(e, (struct ig_op){.kind = IG_OP_EMBED,
                          .dst = IG_B_P,
                          .n = all,
                          .f = {sqrtf((float)p)},
                          .w = {&g[IG_R_per_layer_token_embd]}});
    linear(e, IG_B_X, IG_B_P2, &g[IG_R_per_layer_model_proj], 0);
    simple(e, IG_OP_SCALE, IG_B_P2, IG_B_P2, 0, all, 1 / sqrt((double)e->hp->n_embd), 0);
    rms(e, IG_B_P2, IG_B_P2, &g[IG_R_per_layer_proj_norm], e->hp->n_layer, p);
    simple(e, IG_OP_ADD, IG_B_P, IG_B_P2, IG_B_P, all, 1, 0);
    simple(e, IG_OP_SCALE, IG_B_P, IG_B_P, 0, all, sqrt(0.5), 0);
}

static void emit_input(struct emitter *e) {
    const struct ig_slot *g = e->global;
    bool project = has(g, IG_R_project_in);
    unsigned to = project ? IG_B_E : IG_B_X;
    use(e, to, g[IG_R_token_embd].mat.cols);
    put(e, (struct ig_op){.kind = IG_OP_EMBED,
                          .dst = (uint8_t)to,
                          .n = g[IG_R_token_embd].mat.cols,
                          .f = {(float)e->hp->embed_scale},
                          .w = {&g[IG_R_token_embd]}});
    if (project) linear(e, IG_B_E, IG_B_X, &g[IG_R_project_in], 0);
    if (e->hp->pos == IG_POS_LEARNED)
        put(e, (struct ig_op){.kind = IG_OP_POSITION,
                              .dst = IG_B_X,
                              .n = e->hp->n_embd,
                              .heads = e->hp->position_offset,
                              .w = {&g[IG_R_position_embd]}});
    if (has(g, IG_R_token_embd_norm))
        norm(e, IG_B_X, IG_B_X, &g[IG_R_token_embd_norm], e->hp->n_embd, 0);
    emit_per_layer_input(e);
}

/* A prediction layer's: W [norm(embedding) ; norm(state)]. */
static void emit_joined(struct emitter *e, const struct ig_slot *w) {
    const struct ig_slot *embd = &e->global[IG_R_token_embd];
    uint32_t n = e->hp->n_embd;
    use(e, IG_B_E, 2 * n);
    put(e, (struct ig_op){.kind = IG_OP_JOIN,
                          .dst = IG_B_E,
                          .n = n,
                          .f = {(float)e->hp->embed_scale},
                          .w = {embd}});
    norm(e, IG_B_E, IG_B_E, &w[IG_R_nextn_enorm], n, 0);
    if (e->failed) return;
    e->p->ops[e->p->n_ops - 1].heads = 2;
    e->p->ops[e->p->n_ops - 1].per_head = true;
    linear(e, IG_B_E, IG_B_X, &w[IG_R_nextn_eh_proj], 0);
}

static void emit_output(struct emitter *e) {
    const struct ig_slot *g = e->global;
    unsigned h = IG_B_XO;
    uint32_t n = e->hp->n_vocab;
    e->p->gather = e->p->n_ops;
    simple(e, IG_OP_GATHER, IG_B_XO, IG_B_X, 0, e->hp->n_embd, 0, IG_OPF_OUT);
    if (has(g, IG_R_output_norm) || e->hp->bare_norm)
        norm(e, IG_B_XO, IG_B_XO, &g[IG_R_output_norm], e->hp->n_embd, IG_OPF_OUT);
    e->p->hidden = e->p->n_ops;
    if (has(g, IG_R_project_out))
        linear(e, IG_B_XO, IG_B_HO, &g[IG_R_project_out], IG_OPF_OUT), h = IG_B_HO;
    linear(e, h, IG_B_LOGITS, &g[IG_R_output], IG_OPF_OUT);
    double scale = e->hp->logit_scale;
    if (scale > 1 || scale < 1)
        simple(e, IG_OP_SCALE, IG_B_LOGITS, IG_B_LOGITS, 0, n, scale, IG_OPF_OUT);
    if (e->hp->logit_softcap > 0)
        simple(e, IG_OP_SOFTCAP, IG_B_LOGITS, IG_B_LOGITS, 0, n, e->hp->logit_softcap, IG_OPF_OUT);
}

static ingle_status make(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                         bool joined, ingle_error *err) {
    struct emitter e = {.p = p, .arena = arena, .hp = &a->hp, .global = a->w.global, .layer = -1};
    *p = (struct ig_plan){.hp = &a->hp};
    if (joined)
        emit_joined(&e, a->w.layer[0]);
    else
        emit_input(&e);
    for (uint32_t il = 0; il < a->hp.n_layer && !e.failed; il++) {
        e.layer = (int16_t)il;
        emit_layer(&e, a->w.layer[il]);
    }
    e.layer = -1;
    if (!e.failed) emit_output(&e);
    if (e.failed) return ig_fail_memory(err, p->cap * 2 * sizeof *p->ops);
    return ig_plan_fuse(p, arena, err);
}

ingle_status ig_plan_make(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                          ingle_error *err) {
    return make(p, arena, a, false, err);
}

ingle_status ig_plan_predict(struct ig_plan *p, struct ig_arena *arena, const struct ig_arch *a,
                             ingle_error *err) {
    return make(p, arena, a->predict, true, err);
}
