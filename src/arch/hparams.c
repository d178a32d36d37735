/* Keys -> the numbers of a model. Every number is checked here for range and finiteness, so that
 * nothing behind this file divides by zero, overflows a size or loops for ever on what a file said.
 */
#include "arch/arch.h"

#include <math.h>

enum {
    MAX_LAYERS = 1024,
    MAX_HEADS = 4096,
    MAX_HEAD_DIM = 1024,
    MAX_WIDTH = 1 << 20,
    MAX_EXPERTS = 4096
};

static ingle_status bad(const struct ig_keys *k, const char *key, const char *what,
                        ingle_error *err) {
    return ig_fail(err, INGLE_BAD_FILE,
                   "the file is damaged or made by a faulty converter: get another copy",
                   "%s: key %.*s.%s %s", k->view->path, (int)k->family.n, k->family.p, key, what);
}

/* An integer key in [min, max]; `fallback` < 0 means the key is required. */
static ingle_status whole(const struct ig_keys *k, const char *key, uint64_t index,
                          int64_t fallback, int64_t min, int64_t max, uint32_t *out,
                          ingle_error *err) {
    int64_t v = fallback;
    if (!ig_key_i64(k, key, index, &v)) {
        if (ig_key_count(k, key))
            return bad(k, key, "is not a whole number, or has too few entries", err);
        if (fallback < 0) return bad(k, key, "is missing", err);
    }
    if (v < min || v > max) return bad(k, key, "is out of range", err);
    *out = (uint32_t)v;
    return INGLE_OK;
}

static ingle_status real(const struct ig_keys *k, const char *key, double fallback, double min,
                         double max, double *out, ingle_error *err) {
    double v = fallback;
    if (!ig_key_f64(k, key, 0, &v)) {
        if (ig_key_count(k, key)) return bad(k, key, "is not a number", err);
    } else if (!(v >= min && v <= max)) {
        return bad(k, key, "is out of range or not finite", err);
    }
    *out = v;
    return INGLE_OK;
}

static ingle_status read_flags(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    hp->bare_norm = hp->row->bare_norm;
    hp->l2_qk = hp->row->l2_qk;
    ig_key_bool(k, "bare_norm", 0, &hp->bare_norm);
    if (!k->view->folder && hp->n_expert == 128) hp->l2_qk = false; /* maverick, which has no key */
    ig_key_bool(k, "attention.l2_qk", 0, &hp->l2_qk);
    hp->l2_qk = hp->l2_qk && hp->row->l2_qk; /* other families mean a norm with weights */
    ig_key_bool(k, "post_norm", 0, &hp->post_norm);
    ig_key_bool(k, "no_output_norm", 0, &hp->no_output_norm);
    ig_key_bool(k, "residual_normed", 0, &hp->residual_normed);
    ig_key_bool(k, "output_unit_rows", 0, &hp->unit_rows);
    return real(k, "expert_jitter", 0.01, 0, 1, &hp->router_jitter, err);
}

/* llama4 and ministral: attention sharpens with the position. */
static ingle_status read_temperature(struct ig_hparams *hp, const struct ig_keys *k,
                                     ingle_error *err) {
    IG_TRY(real(k, "attention.temperature_scale", 0, 0, 1e3, &hp->temperature_scale, err));
    IG_TRY(real(k, "attention.temperature_length", hp->rope[0].original_context, 0, 1e9,
                &hp->temperature_length, err));
    if (hp->temperature_scale > 0 && !(hp->temperature_length >= 1))
        return bad(k, "attention.temperature_length", "is below 1", err);
    return real(k, "attention.temperature_offset", 0, 0, 1, &hp->temperature_offset, err);
}

static ingle_status read_alibi(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    const struct ig_row *row = hp->row;
    bool alibi = row->pos == IG_POS_ALIBI ||
                 (!k->view->folder && row->alibi_layers && hp->n_layer == row->alibi_layers);
    IG_TRY(real(k, "attention.max_alibi_bias", alibi ? 8 : 0, 0, 1e3, &hp->alibi_max, err));
    if (hp->alibi_max > 0) hp->pos = IG_POS_ALIBI;
    return real(k, "attention.alibi_scale", 1, 0, 1e3, &hp->alibi_scale, err);
}

static ingle_status read_scales(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    const struct ig_row *row = hp->row;
    double v;
    IG_TRY(real(k, "embedding_scale", row->embed_sqrt ? sqrt((double)hp->n_embd) : 1, -1e6, 1e6,
                &hp->embed_scale, err));
    IG_TRY(real(k, "residual_scale", 1, -1e6, 1e6, &hp->residual_scale, err));
    IG_TRY(real(k, "logit_scale", 1, -1e6, 1e6, &v, err));
    if (row->logit_divide && !(fabs(v) > 0)) return bad(k, "logit_scale", "is zero", err);
    hp->logit_scale = row->logit_divide ? 1 / v : v;
    IG_TRY(real(k, "attention.scale", 0, 0, 1e6, &hp->attn_scale, err));
    IG_TRY(real(k, "attn_logit_softcapping", 0, 0, 1e6, &hp->attn_softcap, err));
    IG_TRY(real(k, "final_logit_softcapping", 0, 0, 1e6, &hp->logit_softcap, err));
    IG_TRY(real(k, "router_logit_softcapping", 0, 0, 1e6, &hp->router_softcap, err));
    IG_TRY(real(k, "attention.clamp_kqv", 0, 0, 1e9, &hp->clamp_kqv, err));
    if (row->wide_layers && hp->n_layer == row->wide_layers && !(hp->attn_scale > 0))
        hp->attn_scale = 1 / sqrt((double)hp->n_embd / hp->layer[0].n_head);
    return read_flags(hp, k, err);
}

static ingle_status read_norm(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    static const char *const rms = "attention.layer_norm_rms_epsilon",
                             *const layer = "attention.layer_norm_epsilon";
    bool has_rms = ig_key_count(k, rms) > 0, has_layer = ig_key_count(k, layer) > 0;
    if (!has_rms && !has_layer) return bad(k, rms, "is missing", err);
    hp->norm = hp->row->norm != IG_NORM_BY_KEY ? hp->row->norm
               : has_rms                       ? IG_NORM_RMS
                                               : IG_NORM_LAYER;
    const char *key = (hp->norm == IG_NORM_RMS ? has_rms : !has_layer) ? rms : layer;
    return real(k, key, 1e-5, 0, 1, &hp->eps, err);
}

static ingle_status read_act(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    static const struct {
        const char *name;
        uint8_t act;
    } acts[] = {{"silu", IG_ACT_SILU},
                {"swish", IG_ACT_SILU},
                {"swiglu", IG_ACT_SILU},
                {"gelu", IG_ACT_GELU_ERF},
                {"gelu_new", IG_ACT_GELU},
                {"gelu_fast", IG_ACT_GELU},
                {"gelu_pytorch_tanh", IG_ACT_GELU},
                {"gelu_tanh", IG_ACT_GELU},
                {"geglu", IG_ACT_GELU},
                {"quick_gelu", IG_ACT_GELU_QUICK},
                {"relu", IG_ACT_RELU},
                {"relu2", IG_ACT_RELU2},
                {"xielu", IG_ACT_XIELU},
                {"oai", IG_ACT_OAI},
                {"sigmoid", IG_ACT_SIGMOID},
                {"tanh", IG_ACT_TANH}};
    struct ig_str name;
    hp->act = hp->row->act;
    IG_TRY(real(k, "activation.limit", 7, 0, 1e6, &hp->act_limit, err));
    IG_TRY(real(k, "activation.alpha", 1.702, 0, 1e3, &hp->act_alpha, err));
    if (!ig_key_str(k, "hidden_activation", &name)) return INGLE_OK;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (ig_str_is(name, acts[i].name)) {
            hp->act = acts[i].act;
            return INGLE_OK;
        }
    return ig_fail(err, INGLE_UNSUPPORTED,
                   "this activation function is not built in; please open an issue",
                   "%s: activation '%.*s' is not known", k->view->path,
                   (int)(name.n < 40 ? name.n : 40), name.p);
}

static ingle_status read_experts(struct ig_hparams *hp, const struct ig_keys *k, ingle_error *err) {
    uint32_t gate;
    const struct ig_row *row = hp->row;
    IG_TRY(whole(k, "expert_count", 0, 0, 0, MAX_EXPERTS, &hp->n_expert, err));
    IG_TRY(whole(k, "expert_used_count", 0, 0, 0, hp->n_expert, &hp->n_expert_used, err));
    if (hp->n_expert && !hp->n_expert_used)
        return bad(k, "expert_used_count", "is missing or zero", err);
    IG_TRY(whole(k, "expert_group_count", 0, 0, 0, MAX_EXPERTS, &hp->n_expert_groups, err));
    IG_TRY(
        whole(k, "expert_group_used_count", 0, 0, 0, MAX_EXPERTS, &hp->n_expert_groups_used, err));
    if (hp->n_expert_groups > 1 &&
        (hp->n_expert % hp->n_expert_groups || !hp->n_expert_groups_used ||
         hp->n_expert_groups_used > hp->n_expert_groups))
        return bad(k, "expert_group_count",
                   "does not divide the experts, or its used count is wrong", err);
    IG_TRY(whole(k, "expert_gating_func", 0, 0, 0, 100, &gate, err));
    hp->router = gate ? (uint8_t)gate : row->router ? row->router : (uint8_t)IG_ROUTER_SOFTMAX;
    if (hp->router > IG_ROUTER_TOPK_SOFTMAX && hp->router != IG_ROUTER_SPARSEMIXER)
        return bad(k, "expert_gating_func", "names a router this version does not know", err);
    hp->expert_norm = !row->router_raw;
    ig_key_bool(k, "expert_weights_norm", 0, &hp->expert_norm);
    IG_TRY(real(k, "expert_weights_scale", 1, 0, 1e6, &hp->expert_scale, err));
    if (!(hp->expert_scale > 0)) hp->expert_scale = 1;
    return INGLE_OK;
}

/* Is layer il windowed? */
static bool is_local(const struct ig_hparams *hp, const struct ig_keys *k, uint32_t il) {
    static const char *const key = "attention.sliding_window_pattern";
    bool local;
    int64_t period = hp->row->swa;
    if (ig_key_count(k, key) > 1 && ig_key_bool(k, key, il, &local)) return local;
    if (!ig_key_i64(k, key, 0, &period)) period = hp->row->swa;
    if (period <= 0) return false;
    if (period == 255) return true;
    int64_t at = il % (uint32_t)period;
    return hp->row->swa_first ? at != 0 : at < period - 1;
}

static bool has_rope(const struct ig_hparams *hp, const struct ig_keys *k, uint32_t il, bool local,
                     bool any_window) {
    bool on;
    const struct ig_row *row = hp->row;
    if (hp->rope[0].pairing == IG_NOROPE) return false;
    if (ig_key_bool(k, "attention.rope_pattern", il, &on)) return on;
    if (row->nope && (il + 1) % row->nope == 0) return false;
    if (row->rope_tuned && ig_key_bool(k, "rope.scaling.finetuned", 0, &on) && !on) return false;
    return !(row->nope_global && any_window && !local);
}

static ingle_status read_layer(struct ig_hparams *hp, const struct ig_keys *k, uint32_t il,
                               uint32_t window, ingle_error *err) {
    struct ig_layer_params *l = &hp->layer[il];
    l->local = window && is_local(hp, k, il);
    l->window = l->local ? window : 0;
    l->rope = has_rope(hp, k, il, l->local, window != 0);
    l->kv_layer = il;
    l->q_scale = 1;
    if (ig_key_f64(k, "attention.q_scale", il, &l->q_scale) && !(fabs(l->q_scale) < 1e6))
        return bad(k, "attention.q_scale", "is out of range or not finite", err);
    IG_TRY(whole(k, "attention.head_count", il, -1, 1, MAX_HEADS, &l->n_head, err));
    IG_TRY(whole(k, "attention.head_count_kv", il, l->n_head, 1, MAX_HEADS, &l->n_head_kv, err));
    if (l->n_head % l->n_head_kv)
        return bad(k, "attention.head_count", "is not a multiple of the kv heads", err);
    int64_t head = hp->n_embd / l->n_head;
    bool swa = l->local && ig_key_count(k, "attention.key_length_swa");
    IG_TRY(whole(k, swa ? "attention.key_length_swa" : "attention.key_length", il, head, 1,
                 MAX_HEAD_DIM, &l->head_k, err));
    swa = l->local && ig_key_count(k, "attention.value_length_swa");
    IG_TRY(whole(k, swa ? "attention.value_length_swa" : "attention.value_length", il, l->head_k, 1,
                 MAX_HEAD_DIM, &l->head_v, err));
    return whole(k, "feed_forward_length", il, 0, 0, MAX_WIDTH, &l->n_ff, err);
}

static ingle_status read_layers(struct ig_hparams *hp, const struct ig_keys *k,
                                struct ig_arena *arena, ingle_error *err) {
    uint32_t window, shared;
    IG_TRY(whole(k, "attention.sliding_window", 0, 0, 0, 1 << 30, &window, err));
    IG_TRY(whole(k, "attention.shared_kv_layers", 0, 0, 0, hp->n_layer, &shared, err));
    hp->layer = ig_arena_calloc(arena, hp->n_layer + hp->n_predict, sizeof *hp->layer);
    if (!hp->layer) return ig_fail_memory(err, hp->n_layer * sizeof *hp->layer);
    for (uint32_t il = 0; il < hp->n_layer; il++) IG_TRY(read_layer(hp, k, il, window, err));
    if (hp->n_predict && !k->view->folder) IG_TRY(read_layer(hp, k, hp->n_layer, window, err));
    if (hp->n_predict && k->view->folder) { /* their lists end with the counted layers */
        hp->layer[hp->n_layer] = hp->layer[hp->n_layer - 1];
        hp->layer[hp->n_layer].kv_layer = hp->n_layer;
    }
    /* Shared KV: the last `shared` layers read the cache of the last earlier layer of their own
     * kind. */
    for (uint32_t il = hp->n_layer - shared; shared && il < hp->n_layer; il++)
        for (uint32_t from = 0; from < hp->n_layer - shared; from++)
            if (hp->layer[from].local == hp->layer[il].local) hp->layer[il].kv_layer = from;
    for (uint32_t il = 0; il < hp->n_layer; il++) {
        const struct ig_layer_params *l = &hp->layer[il], *from = &hp->layer[l->kv_layer];
        if (l->n_head_kv != from->n_head_kv || l->head_k != from->head_k ||
            l->head_v != from->head_v || l->window != from->window)
            return bad(k, "attention.shared_kv_layers", "joins layers of different heads", err);
    }
    return INGLE_OK;
}

static ingle_status read_scaling(struct ig_hparams *hp, const struct ig_keys *k, struct ig_rope *r,
                                 ingle_error *err) {
    static const char *const names[] = {"none",     "linear",  "yarn",        "llama3",
                                        "longrope", "dynamic", "proportional"};
    struct ig_str type;
    uint32_t original;
    IG_TRY(real(
        k, ig_key_count(k, "rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear", 0,
        0, 1e6, &r->factor, err));
    if (!(r->factor > 0)) r->factor = 1;
    r->scaling = r->factor > 1 || r->factor < 1 ? IG_ROPE_LINEAR : IG_ROPE_PLAIN;
    if (ig_key_str(k, "rope.scaling.type", &type)) {
        size_t i = 0;
        while (i < sizeof names / sizeof *names && !ig_str_is(type, names[i])) i++;
        if (i == sizeof names / sizeof *names)
            return bad(k, "rope.scaling.type", "is not a kind this version knows", err);
        r->scaling = (uint8_t)i;
    }
    IG_TRY(whole(k, "rope.scaling.original_context_length", 0, hp->n_context, 1, 1 << 30, &original,
                 err));
    r->original_context = original;
    IG_TRY(real(k, "rope.scaling.yarn_beta_fast", 32, 0, 1e6, &r->beta_fast, err));
    IG_TRY(real(k, "rope.scaling.yarn_beta_slow", 1, 0, 1e6, &r->beta_slow, err));
    IG_TRY(real(k, "rope.scaling.low_freq_factor", 1, 1e-6, 1e6, &r->low_freq, err));
    IG_TRY(real(k, "rope.scaling.high_freq_factor", 4, 1e-6, 1e6, &r->high_freq, err));
    r->truncate = true;
    ig_key_bool(k, "rope.scaling.yarn_truncate", 0, &r->truncate);
    /* The factor on cos and sin. GGUF's yarn derives it from the scaling factor and multiplies
     * attn_factor on top. */
    double attn, log_multiplier;
    IG_TRY(real(k, "rope.scaling.attn_factor", 1, 0, 1e6, &attn, err));
    IG_TRY(real(k, "rope.scaling.yarn_log_multiplier", 0, -1e3, 1e3, &log_multiplier, err));
    r->mscale = attn;
    if (r->scaling == IG_ROPE_YARN && r->factor > 1)
        r->mscale *= (1 + 0.1 * log(r->factor)) / (1 + 0.1 * log_multiplier * log(r->factor));
    /* Folders say it outright. */
    IG_TRY(real(k, "rope.scaling.mscale", r->mscale, 0, 1e6, &r->mscale, err));
    return real(k, "rope.scaling.mscale_long", r->mscale, 0, 1e6, &r->mscale_long, err);
}

/* Divisors of the frequencies that a configuration lists (GGUF files have tensors for them). */
static ingle_status read_divisors(const struct ig_keys *k, struct ig_arena *arena, const char *key,
                                  uint32_t dims, const float **out, ingle_error *err) {
    uint64_t n = ig_key_count(k, key);
    if (!n || !dims) return INGLE_OK;
    if (n != dims / 2) return bad(k, key, "is not half as long as the rotated dimensions", err);
    float *v = ig_arena_calloc(arena, (size_t)n, sizeof *v);
    if (!v) return ig_fail_memory(err, (size_t)n * sizeof *v);
    for (uint64_t i = 0; i < n; i++) {
        double x;
        if (!ig_key_f64(k, key, i, &x) || !(x > 0 && x <= 1e30))
            return bad(k, key, "has an entry that is not a positive number", err);
        v[i] = (float)x;
    }
    *out = v;
    return INGLE_OK;
}

static ingle_status read_rope(struct ig_hparams *hp, const struct ig_keys *k,
                              struct ig_arena *arena, ingle_error *err) {
    struct ig_rope *global = &hp->rope[0], *local = &hp->rope[1];
    IG_TRY(read_scaling(hp, k, global, err));
    IG_TRY(real(k, "rope.freq_base", 10000, 1e-3, 1e15, &global->base, err));
    *local = *global;
    IG_TRY(real(k, "rope.freq_base_swa",
                hp->row->swa_unscaled && hp->row->swa == 6 ? 10000 : global->base, 1e-3, 1e15,
                &local->base, err));
    if (hp->row->swa_unscaled)
        local->scaling = IG_ROPE_PLAIN, local->factor = local->mscale = local->mscale_long = 1;
    for (uint32_t il = 0; il < hp->n_layer; il++) {
        struct ig_rope *r = &hp->rope[hp->layer[il].local];
        const char *key = hp->layer[il].local && ig_key_count(k, "rope.dimension_count_swa")
                              ? "rope.dimension_count_swa"
                              : "rope.dimension_count";
        IG_TRY(whole(k, key, 0, hp->layer[il].head_k, 0, hp->layer[il].head_k, &r->dims, err));
        if (r->dims % 2 && r->pairing != IG_NOROPE) return bad(k, key, "is odd", err);
    }
    for (uint32_t il = 0; il < hp->n_layer; il++) /* heads may differ from layer to layer */
        if (hp->layer[il].rope && hp->rope[hp->layer[il].local].dims > hp->layer[il].head_k)
            return bad(k, "rope.dimension_count", "is more than a layer's head has", err);
    for (int i = 0; i < (hp->row->swa_unscaled ? 1 : 2); i++) {
        struct ig_rope *r = &hp->rope[i];
        IG_TRY(read_divisors(k, arena, "rope.divisors", r->dims, &r->divisors, err));
        IG_TRY(read_divisors(k, arena, "rope.long_factor", r->dims, &r->long_divisors, err));
        IG_TRY(read_divisors(k, arena, "rope.short_factor", r->dims, &r->short_divisors, err));
    }
    return INGLE_OK;
}

static double softplus(double x) {
    return x > 30 ? x : log1p(exp(x));
}

static ingle_status read_xielu(struct ig_hparams *hp, const struct ig_keys *k,
                               struct ig_arena *arena, ingle_error *err) {
    static const char *const keys[] = {"xielu.alpha_p", "xielu.alpha_n", "xielu.beta", "xielu.eps"};
    if (hp->act != IG_ACT_XIELU) return INGLE_OK;
    double *v = ig_arena_calloc(arena, (size_t)hp->n_layer * 4, sizeof *v);
    if (!v) return ig_fail_memory(err, (size_t)hp->n_layer * 4 * sizeof *v);
    for (uint32_t il = 0; il < hp->n_layer; il++)
        for (int j = 0; j < 4; j++)
            if (!ig_key_f64(k, keys[j], il, &v[il * 4 + (unsigned)j]) ||
                !isfinite(v[il * 4 + (unsigned)j]))
                return bad(k, keys[j], "is missing, too short or not finite", err);
    for (uint32_t il = 0; il < hp->n_layer; il++) { /* the files hold them before softplus */
        double *x = v + (size_t)il * 4;
        x[0] = softplus(x[0]);
        x[1] = x[2] + softplus(x[1]);
    }
    hp->xielu = v;
    return INGLE_OK;
}

ingle_status ig_arch_hparams(struct ig_hparams *hp, const struct ig_keys *k, struct ig_arena *arena,
                             ingle_error *err) {
    const struct ig_row *row = hp->row;
    hp->family = k->family;
    hp->pos = row->pos;
    hp->parallel = row->parallel;
    ig_key_bool(k, "use_parallel_residual", 0, &hp->parallel);
    IG_TRY(whole(k, "block_count", 0, -1, 1, MAX_LAYERS, &hp->n_layer, err));
    uint32_t nextn, behind; /* prediction layers: counted by GGUF files, not by folders */
    IG_TRY(whole(k, "nextn_predict_layers", 0, 0, 0, hp->n_layer - 1, &nextn, err));
    IG_TRY(whole(k, "extra_layers", 0, 0, 0, MAX_LAYERS, &behind, err));
    hp->n_layer_file = hp->n_layer + behind;
    hp->n_layer -= nextn; /* they stand behind the others; only the first is used */
    hp->n_predict = nextn || behind;
    IG_TRY(whole(k, "embedding_length", 0, -1, 1, MAX_WIDTH, &hp->n_embd, err));
    IG_TRY(whole(k, "context_length", 0, -1, 1, 1 << 30, &hp->n_context, err));
    IG_TRY(whole(k, "vocab_size", 0, 0, 0, 1 << 24, &hp->n_vocab, err));
    IG_TRY(whole(k, "embedding_length_per_layer_input", 0, 0, 0, MAX_WIDTH, &hp->n_embd_per_layer,
                 err));
    IG_TRY(whole(k, "position_offset", 0, 0, 0, 1 << 20, &hp->position_offset, err));
    IG_TRY(read_norm(hp, k, err));
    IG_TRY(read_act(hp, k, err));
    IG_TRY(read_experts(hp, k, err));
    IG_TRY(read_alibi(hp, k, err));
    hp->rope[0].pairing = k->view->folder ? row->hf_rope : row->rope;
    if (hp->pos == IG_POS_ALIBI) hp->rope[0].pairing = IG_NOROPE;
    IG_TRY(read_layers(hp, k, arena, err));
    IG_TRY(read_scales(hp, k, err));
    IG_TRY(read_rope(hp, k, arena, err));
    IG_TRY(read_temperature(hp, k, err));
    for (uint32_t il = 0; il < hp->n_layer; il++)
        if (hp->layer[il].n_ff > hp->n_ff) hp->n_ff = hp->layer[il].n_ff;
    return read_xielu(hp, k, arena, err);
}
