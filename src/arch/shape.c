/* What the shapes say. Fused tensors are split into views (no bytes move), so that the planner sees
 * one form; then every matrix and vector is held against the numbers of the model. After this file
 * a kernel may trust any shape. */
#include "arch/arch.h"

#include <stdio.h>

struct shaper {
    struct ig_arch *a;
    struct ig_arena *arena;
    ingle_error *err;
    int32_t layer; /* for messages; -1 global */
};

static ingle_status bad_role(const struct shaper *s, enum ig_role role, const char *what) {
    static const char *const names[] = {
#define ROLE(id, text, kind) (text)[0] == '.' ? (text) + 1 : (text),
#include "arch/roles.def"
#undef ROLE
    };
    char block[24] = "";
    if (s->layer >= 0) snprintf(block, sizeof block, "blk.%d.", s->layer);
    return ig_fail(s->err, INGLE_BAD_FILE,
                   "the file is damaged or made by a faulty converter: get another copy",
                   "%s: tensor %s%s %s", s->a->keys.view->path, block, names[role], what);
}

/* rows [from, from + rows) of a matrix as a matrix of its own */
static struct ig_mat rows_of(const struct ig_mat *m, uint32_t from, uint32_t rows) {
    struct ig_mat part = *m;
    part.data += m->row_bytes * from;
    part.rows = rows;
    return part;
}

static ingle_status split_qkv(const struct shaper *s, struct ig_slot *slots,
                              const struct ig_layer_params *l) {
    struct ig_slot *f = &slots[IG_R_attn_qkv];
    if (!f->mat.data) return INGLE_OK;
    uint32_t rows[3] = {l->n_head * l->head_k, l->n_head_kv * l->head_k, l->n_head_kv * l->head_v},
             at = 0;
    enum ig_role roles[3] = {IG_R_attn_q, IG_R_attn_k, IG_R_attn_v};
    if (f->mat.rows != rows[0] + rows[1] + rows[2] || f->mat.count != 1)
        return bad_role(s, IG_R_attn_qkv, "does not have the rows its head counts ask for");
    if (f->bias && f->n_bias != f->mat.rows)
        return bad_role(s, IG_R_attn_qkv, "has a bias of another length");
    for (int i = 0; i < 3; i++) {
        struct ig_slot *to = &slots[roles[i]];
        if (ig_slot_has(to)) return bad_role(s, roles[i], "exists both fused and on its own");
        *to = (struct ig_slot){.mat = rows_of(&f->mat, at, rows[i]), .n_scale = f->n_scale};
        if (f->bias) to->bias = f->bias + at, to->n_bias = rows[i];
        at += rows[i];
    }
    *f = (struct ig_slot){0};
    return INGLE_OK;
}

/* Bias [count][2n] of a fused pair -> two [count][n]. */
static ingle_status split_bias(const struct shaper *s, const struct ig_slot *f,
                               struct ig_slot *first, struct ig_slot *second) {
    uint32_t half = f->mat.rows / 2, count = f->mat.count;
    if (!f->bias) return INGLE_OK;
    if (f->n_bias != f->mat.rows * count)
        return bad_role(s, IG_R_ffn_up, "has a bias of another length");
    float *copy = ig_arena_alloc(s->arena, (size_t)f->n_bias * sizeof *copy);
    if (!copy) return ig_fail_memory(s->err, f->n_bias * sizeof *copy);
    for (uint32_t c = 0; c < count; c++) {
        memcpy(copy + (size_t)c * half, f->bias + (size_t)c * 2 * half, half * sizeof *copy);
        memcpy(copy + (size_t)(count + c) * half, f->bias + (size_t)c * 2 * half + half,
               half * sizeof *copy);
    }
    first->bias = copy;
    second->bias = copy + (size_t)count * half;
    first->n_bias = second->n_bias = half * count;
    return INGLE_OK;
}

/* A fused gate|up pair is recognised by its height: twice what the down projection takes. */
static ingle_status split_pair(const struct shaper *s, struct ig_slot *fused, struct ig_slot *gate,
                               struct ig_slot *up, const struct ig_slot *down, enum ig_role role) {
    if (!fused->mat.data || ig_slot_has(gate)) return INGLE_OK;
    if ((uint64_t)fused->mat.rows != 2ull * down->mat.cols)
        return fused == up
                   ? INGLE_OK
                   : bad_role(s, role, "is not twice as high as the down projection is wide");
    struct ig_slot f = *fused;
    uint32_t half = f.mat.rows / 2;
    *fused = (struct ig_slot){0};
    *gate = (struct ig_slot){.mat = rows_of(&f.mat, 0, half), .n_scale = f.n_scale};
    *up = (struct ig_slot){.mat = rows_of(&f.mat, half, half), .n_scale = f.n_scale};
    return split_bias(s, &f, gate, up);
}

static ingle_status check_mat(const struct shaper *s, struct ig_slot *slots, enum ig_role role,
                              uint32_t rows, uint32_t cols, uint32_t count, bool needed) {
    const struct ig_slot *t = &slots[role];
    if (!t->mat.data && !t->mat.parts) return needed ? bad_role(s, role, "is missing") : INGLE_OK;
    if (t->mat.rows != rows || t->mat.cols != cols || t->mat.count != count) {
        char what[96];
        snprintf(what, sizeof what, "is %u x %u x %u, but must be %u x %u x %u", t->mat.count,
                 t->mat.rows, t->mat.cols, count, rows, cols);
        return bad_role(s, role, what);
    }
    if (t->bias && t->n_bias != rows * count)
        return bad_role(s, role, "has a bias of another length");
    if (t->mat.scale && t->n_scale != count)
        return bad_role(s, role, "has a scale of another length");
    for (uint32_t i = 0; t->mat.parts && i < count; i++)
        if (!t->mat.parts[i]) return bad_role(s, role, "lacks an expert");
    return INGLE_OK;
}

static ingle_status check_vec(const struct shaper *s, struct ig_slot *slots, enum ig_role role,
                              uint32_t n, uint32_t or_n) {
    const struct ig_slot *t = &slots[role];
    if (t->vec && t->n != n && t->n != or_n)
        return bad_role(s, role, "has another length than its layer");
    if (t->bias && t->n_bias != n && t->n_bias != or_n)
        return bad_role(s, role, "has a bias of another length");
    return INGLE_OK;
}

static ingle_status check_attention(const struct shaper *s, struct ig_slot *w, uint32_t il) {
    const struct ig_hparams *hp = &s->a->hp;
    const struct ig_layer_params *l = &hp->layer[il];
    bool own_kv = l->kv_layer == il;
    uint32_t q = l->n_head * l->head_k, k = l->n_head_kv * l->head_k;
    IG_TRY(split_qkv(s, w, l));
    IG_TRY(check_mat(s, w, IG_R_attn_q, q, hp->n_embd, 1, true));
    IG_TRY(check_mat(s, w, IG_R_attn_k, k, hp->n_embd, 1, own_kv));
    IG_TRY(check_mat(s, w, IG_R_attn_v, l->n_head_kv * l->head_v, hp->n_embd, 1,
                     own_kv && l->head_k != l->head_v));
    IG_TRY(check_mat(s, w, IG_R_attn_output, hp->n_embd, l->n_head * l->head_v, 1, true));
    IG_TRY(check_vec(s, w, IG_R_attn_q_norm, l->head_k, q));
    IG_TRY(check_vec(s, w, IG_R_attn_k_norm, l->head_k, k));
    return check_vec(s, w, IG_R_attn_sinks, l->n_head, l->n_head);
}

static ingle_status check_dense(const struct shaper *s, struct ig_slot *w, enum ig_role gate,
                                enum ig_role up, enum ig_role down) {
    uint32_t n = s->a->hp.n_embd, ff = w[down].mat.cols;
    IG_TRY(split_pair(s, &w[up], &w[gate], &w[up], &w[down], up));
    IG_TRY(check_mat(s, w, down, n, ff, 1, true));
    IG_TRY(check_mat(s, w, up, ff, n, 1, true));
    return check_mat(s, w, gate, ff, n, 1, false);
}

static ingle_status check_experts(const struct shaper *s, struct ig_slot *w) {
    const struct ig_hparams *hp = &s->a->hp;
    uint32_t n = hp->n_embd, e = hp->n_expert, ff = w[IG_R_ffn_down_exps].mat.cols;
    if (!e) return bad_role(s, IG_R_ffn_gate_inp, "belongs to experts, but expert_count is 0");
    IG_TRY(check_mat(s, w, IG_R_ffn_gate_inp, e, n, 1, true));
    IG_TRY(check_vec(s, w, IG_R_exp_probs_b, e, e));
    IG_TRY(check_vec(s, w, IG_R_ffn_gate_inp_scale, n, n));
    struct ig_slot *scale = &w[IG_R_ffn_down_exps_scale], *d = &w[IG_R_ffn_down_exps];
    if (scale->vec) d->mat.scale = scale->vec, d->n_scale = scale->n;
    IG_TRY(split_pair(s, &w[IG_R_ffn_gate_up_exps], &w[IG_R_ffn_gate_exps], &w[IG_R_ffn_up_exps],
                      &w[IG_R_ffn_down_exps], IG_R_ffn_gate_up_exps));
    IG_TRY(split_pair(s, &w[IG_R_ffn_up_exps], &w[IG_R_ffn_gate_exps], &w[IG_R_ffn_up_exps],
                      &w[IG_R_ffn_down_exps], IG_R_ffn_up_exps));
    IG_TRY(check_mat(s, w, IG_R_ffn_down_exps, n, ff, e, true));
    IG_TRY(check_mat(s, w, IG_R_ffn_up_exps, ff, n, e, true));
    IG_TRY(check_mat(s, w, IG_R_ffn_gate_exps, ff, n, e, false));
    IG_TRY(check_mat(s, w, IG_R_ffn_gate_inp_shexp, 1, n, 1, false));
    if (!ig_slot_has(&w[IG_R_ffn_down_shexp])) return INGLE_OK;
    return check_dense(s, w, IG_R_ffn_gate_shexp, IG_R_ffn_up_shexp, IG_R_ffn_down_shexp);
}

static ingle_status check_layer(struct shaper *s, uint32_t il) {
    static const enum ig_role norms[] = {
        IG_R_attn_norm,           IG_R_attn_norm_2,     IG_R_ffn_norm,
        IG_R_post_attention_norm, IG_R_post_ffw_norm,   IG_R_pre_ffw_norm_2,
        IG_R_post_ffw_norm_1,     IG_R_post_ffw_norm_2, IG_R_post_norm};
    struct ig_slot *w = s->a->w.layer[il];
    uint32_t n = s->a->hp.n_embd;
    s->layer = (int32_t)il;
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        IG_TRY(check_vec(s, w, norms[i], n, n));
        seen += w[norms[i]].vec != NULL;
    }
    if (!s->a->hp.bare_norm && seen < (s->a->hp.parallel ? 1 : 2))
        return bad_role(s, w[IG_R_attn_norm].vec ? IG_R_ffn_norm : IG_R_attn_norm, "is missing");
    IG_TRY(check_vec(s, w, IG_R_layer_output_scale, 1, 1));
    IG_TRY(check_attention(s, w, il));
    bool experts = ig_slot_has(&w[IG_R_ffn_gate_inp]) || ig_slot_has(&w[IG_R_ffn_down_exps]);
    if (experts) IG_TRY(check_experts(s, w));
    if (!experts || ig_slot_has(&w[IG_R_ffn_down]))
        IG_TRY(check_dense(s, w, IG_R_ffn_gate, IG_R_ffn_up, IG_R_ffn_down));
    uint32_t p = s->a->hp.n_embd_per_layer;
    IG_TRY(check_mat(s, w, IG_R_inp_gate, p, n, 1, p != 0));
    return check_mat(s, w, IG_R_proj, n, p, 1, p != 0);
}

/* Reference logits of small bf16 checkpoints (tests/golden/models) come from modules that were cast
 * to bf16 as a whole, rotary frequencies included. Up to SHORT_CONTEXT positions that is followed,
 * because the reference decides; beyond, the rounding would be worth whole turns, and models of
 * that length are run with f32 frequencies everywhere. Option rope-precision overrides. */
enum { SHORT_CONTEXT = 1024 };
static void choose_precision(struct ig_arch *a) {
    const struct ig_quant *type = a->w.global[IG_R_token_embd].mat.type;
    bool round = type == ig_quant_by_id(30) && a->hp.n_context <= SHORT_CONTEXT;
    a->hp.rope[0].bf16 = a->hp.rope[1].bf16 = round;
}

/* Rope tables that travel as tensors. */
static ingle_status take_divisors(const struct shaper *s) {
    struct ig_hparams *hp = &s->a->hp;
    struct ig_slot *g = s->a->w.global;
    for (int i = 0; i < 2; i++) {
        struct ig_rope *r = &hp->rope[i];
        if (i == 1 && hp->row->swa_unscaled) break;
        if (!r->dims) continue; /* no layer uses it */
        struct ig_slot *from[3] = {&g[IG_R_rope_freqs], &g[IG_R_rope_factors_long],
                                   &g[IG_R_rope_factors_short]};
        const float **to[3] = {&r->divisors, &r->long_divisors, &r->short_divisors};
        for (int j = 0; j < 3; j++) {
            if (!from[j]->vec) continue;
            if (from[j]->n != r->dims / 2)
                return bad_role(s, IG_R_rope_freqs,
                                "has another length than half the rotated dimensions");
            for (uint32_t k = 0; k < from[j]->n; k++)
                if (!(from[j]->vec[k] > 0 && from[j]->vec[k] <= 1e30f))
                    return bad_role(s, IG_R_rope_freqs,
                                    "holds a divisor that is not a positive number");
            *to[j] = from[j]->vec;
        }
        if (r->long_divisors && r->short_divisors) r->scaling = IG_ROPE_LONG;
    }
    return INGLE_OK;
}

static ingle_status check_global(const struct shaper *s) {
    struct ig_hparams *hp = &s->a->hp;
    struct ig_slot *g = s->a->w.global;
    struct ig_slot *embd = &g[IG_R_token_embd];
    if (!embd->mat.data) return bad_role(s, IG_R_token_embd, "is missing");
    hp->n_vocab = embd->mat.rows;
    uint32_t width = g[IG_R_project_in].mat.data ? embd->mat.cols : hp->n_embd;
    if (!g[IG_R_output].mat.data) { /* tied */
        g[IG_R_output].mat = embd->mat;
        g[IG_R_output].n_scale = embd->n_scale;
    }
    IG_TRY(check_mat(s, g, IG_R_token_embd, hp->n_vocab, width, 1, true));
    IG_TRY(check_mat(s, g, IG_R_output, hp->n_vocab, width, 1, true));
    IG_TRY(check_mat(s, g, IG_R_project_in, hp->n_embd, width, 1, false));
    IG_TRY(check_mat(s, g, IG_R_project_out, width, hp->n_embd, 1, width != hp->n_embd));
    IG_TRY(check_vec(s, g, IG_R_token_embd_norm, hp->n_embd, hp->n_embd));
    IG_TRY(check_vec(s, g, IG_R_output_norm, hp->n_embd, hp->n_embd));
    if (!g[IG_R_output_norm].vec && !hp->bare_norm && !hp->post_norm && !hp->no_output_norm)
        return bad_role(s, IG_R_output_norm, "is missing");
    if (hp->pos == IG_POS_NONE && g[IG_R_position_embd].mat.data) hp->pos = IG_POS_LEARNED;
    if (hp->pos == IG_POS_LEARNED) {
        const struct ig_mat *p = &g[IG_R_position_embd].mat;
        if (!p->data || p->cols != hp->n_embd || p->rows <= hp->position_offset)
            return bad_role(s, IG_R_position_embd,
                            "is missing or has another width than the model");
        if (hp->n_context > p->rows - hp->position_offset)
            hp->n_context = p->rows - hp->position_offset;
    }
    uint32_t pl = hp->n_embd_per_layer;
    IG_TRY(check_mat(s, g, IG_R_per_layer_token_embd, hp->n_vocab, pl * hp->n_layer, 1, pl != 0));
    IG_TRY(check_mat(s, g, IG_R_per_layer_model_proj, pl * hp->n_layer, hp->n_embd, 1, pl != 0));
    return check_vec(s, g, IG_R_per_layer_proj_norm, pl, pl);
}

/* ---- The prediction layer ---- */

static ingle_status check_predict(struct shaper *s, struct ig_slot *w) {
    uint32_t n = s->a->hp.n_embd, vocab = s->a->hp.n_vocab;
    IG_TRY(check_layer(s, s->a->hp.n_layer));
    IG_TRY(check_mat(s, w, IG_R_nextn_eh_proj, n, 2 * n, 1, true));
    IG_TRY(check_mat(s, w, IG_R_nextn_embed_tokens, vocab, n, 1, false));
    IG_TRY(check_mat(s, w, IG_R_nextn_shared_head_head, vocab, n, 1, false));
    for (int i = 0; i < 2; i++) {
        enum ig_role role = i ? IG_R_nextn_hnorm : IG_R_nextn_enorm;
        if (!w[role].vec) return bad_role(s, role, "is missing");
        IG_TRY(check_vec(s, w, role, n, n));
    }
    return check_vec(s, w, IG_R_nextn_shared_head_norm, n, n);
}

/* The weights of both norms side by side: one operation does both halves of the input. */
static ingle_status join_norms(const struct shaper *s, struct ig_slot *w) {
    uint32_t n = s->a->hp.n_embd;
    float *both = ig_arena_alloc(s->arena, 2 * (size_t)n * sizeof *both);
    if (!both) return ig_fail_memory(s->err, 2 * (size_t)n * sizeof *both);
    memcpy(both, w[IG_R_nextn_enorm].vec, n * sizeof *both);
    memcpy(both + n, w[IG_R_nextn_hnorm].vec, n * sizeof *both);
    w[IG_R_nextn_enorm] = (struct ig_slot){.vec = both, .n = 2 * n};
    return INGLE_OK;
}

/* What the layer does not bring along it shares with the model. */
static ingle_status take_predict(struct shaper *s) {
    static const enum ig_role from[] = {IG_R_nextn_embed_tokens, IG_R_nextn_shared_head_head,
                                        IG_R_nextn_shared_head_norm},
                              to[] = {IG_R_token_embd, IG_R_output, IG_R_output_norm};
    struct ig_arch *a = s->a, *p;
    struct ig_slot *w = a->w.layer[a->hp.n_layer];
    bool any = false;
    for (unsigned r = 0; r < IG_ROLE_COUNT; r++) any = any || ig_slot_has(&w[r]);
    if (!any) return INGLE_OK; /* counted, but left out by the converter */
    IG_TRY(check_predict(s, w));
    if (a->hp.pos == IG_POS_LEARNED || a->hp.xielu || a->hp.n_embd_per_layer ||
        a->w.global[IG_R_project_in].mat.data || a->w.global[IG_R_project_out].mat.data)
        return INGLE_OK; /* no family joins these with a prediction layer */
    IG_TRY(join_norms(s, w));
    p = ig_arena_alloc(s->arena, sizeof *p);
    if (!p) return ig_fail_memory(s->err, sizeof *p);
    *p = *a;
    p->hp.layer = &a->hp.layer[a->hp.n_layer];
    p->hp.layer->kv_layer = 0;
    p->hp.n_layer = 1;
    p->w.layer = &a->w.layer[a->hp.n_layer];
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        if (ig_slot_has(&w[from[i]])) p->w.global[to[i]] = w[from[i]];
    a->predict = p;
    return INGLE_OK;
}

ingle_status ig_arch_shape(struct ig_arch *a, struct ig_arena *arena, ingle_error *err) {
    struct shaper s = {a, arena, err, -1};
    IG_TRY(check_global(&s));
    choose_precision(a);
    IG_TRY(take_divisors(&s));
    for (uint32_t il = 0; il < a->hp.n_layer; il++) IG_TRY(check_layer(&s, il));
    return a->hp.n_predict ? take_predict(&s) : INGLE_OK;
}
