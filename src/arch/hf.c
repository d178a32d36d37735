/* config.json -> the GGUF key names (arch.h: ig_keys). Most families share the names that llama's
 * configuration made common; the tables below list every spelling. What a family means differently
 * is a line in `special`. */
#include "arch/arch.h"

#include <math.h>

struct hf {
    struct ig_keys *k;
    const struct ig_row *row;
    const struct ig_json *c; /* config.json, or its text_config */
    ingle_error *err;
};

/* Numbers and flags that only change their name; the first that exists counts. */
static const struct {
    const char *key, *hf;
} renames[] = {
    {"block_count", "num_hidden_layers"},
    {"block_count", "n_layer"},
    {"block_count", "n_layers"},
    {"block_count", "num_layers"},
    {"embedding_length", "hidden_size"},
    {"embedding_length", "n_embd"},
    {"embedding_length", "d_model"},
    {"context_length", "max_position_embeddings"},
    {"context_length", "n_positions"},
    {"context_length", "max_seq_len"},
    {"context_length", "seq_length"},
    {"feed_forward_length", "intermediate_size"},
    {"feed_forward_length", "ffn_hidden_size"},
    {"feed_forward_length", "n_inner"},
    {"feed_forward_length", "ffn_dim"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count", "n_head"},
    {"attention.head_count", "n_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.value_length", "head_dim"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"attention.layer_norm_epsilon", "layer_norm_eps"},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon"},
    {"attention.layer_norm_epsilon", "norm_eps"},
    {"attention.layer_norm_epsilon", "norm_epsilon"},
    {"expert_count", "num_local_experts"},
    {"expert_count", "num_experts"},
    {"expert_count", "n_routed_experts"},
    {"expert_count", "moe_num_experts"},
    {"expert_used_count", "num_experts_per_tok"},
    {"expert_used_count", "moe_k"},
    {"expert_used_count", "moe_topk"},
    {"expert_weights_norm", "norm_topk_prob"},
    {"expert_weights_scale", "routed_scaling_factor"},
    {"expert_group_count", "n_group"},
    {"expert_group_used_count", "topk_group"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"logit_scale", "logit_scale"},
    {"logit_scale", "logits_scaling"},
    {"embedding_scale", "embedding_multiplier"},
    {"residual_scale", "residual_multiplier"},
    {"attention.scale", "attention_multiplier"},
    {"attention.clamp_kqv", "clip_qkv"},
    {"use_parallel_residual", "use_parallel_residual"},
    {"activation.limit", "swiglu_limit"},
    {"activation.alpha", "swiglu_alpha"},
    {"vocab_size", "vocab_size"},
    {"rope.freq_base", "rope_theta"},
    {"rope.freq_base", "rotary_emb_base"},
};

static ingle_status put_renamed(const struct hf *h) {
    for (size_t i = 0; i < sizeof renames / sizeof *renames; i++) {
        const struct ig_json *v = ig_json_get(h->c, renames[i].hf);
        if (ig_key_count(h->k, renames[i].key)) continue;
        if (ig_json_is(v, IG_JSON_NUMBER))
            IG_TRY(ig_key_put(h->k, renames[i].key, ig_json_f64(v, 0), h->err));
        if (ig_json_is(v, IG_JSON_BOOL)) IG_TRY(ig_key_put(h->k, renames[i].key, v->truth, h->err));
    }
    return INGLE_OK;
}

static double number(const struct hf *h, const char *name, double fallback) {
    const struct ig_json *v = ig_json_get(h->c, name);
    return ig_json_is(v, IG_JSON_NUMBER) ? ig_json_f64(v, fallback) : fallback;
}

static double key_number(const struct hf *h, const char *key, double fallback) {
    ig_key_f64(h->k, key, 0, &fallback);
    return fallback;
}

static ingle_status put_act(const struct hf *h) {
    static const char *const names[] = {"hidden_activation", "hidden_act", "activation_function",
                                        "activation"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_str s = ig_json_str(ig_json_get(h->c, names[i]), NULL);
        if (!s.p) continue;
        if (h->row->act == IG_ACT_OAI) s = IG_STR("oai");
        return ig_key_put_str(h->k, "hidden_activation", s, h->err);
    }
    return INGLE_OK;
}

/* layer_types / sliding_window -> one flag a layer. */
static ingle_status put_windows(const struct hf *h) {
    const struct ig_json *types = ig_json_get(h->c, "layer_types"),
                         *use = ig_json_get(h->c, "use_sliding_window");
    double window = number(h, "sliding_window", 0), layers = key_number(h, "block_count", 0),
           flags[1024];
    if (!(window > 0) || (ig_json_is(use, IG_JSON_BOOL) && !use->truth)) return INGLE_OK;
    uint64_t n = layers > 0 && layers <= 1024 ? (uint64_t)layers : 0;
    const struct ig_json *at = types ? types->child : NULL;
    for (uint64_t i = 0; i < n; i++, at = at ? at->next : NULL)
        flags[i] = !types || ig_str_is(ig_json_str(at, ""), "sliding_attention");
    IG_TRY(ig_key_put(h->k, "attention.sliding_window", window, h->err));
    return ig_key_put_list(h->k, "attention.sliding_window_pattern", flags, n, h->err);
}

/* One rope_parameters / rope_scaling object -> rope.* keys. */
static ingle_status put_rope(const struct hf *h, const struct ig_json *r, const char *base_key) {
    struct ig_str type = ig_json_str(ig_json_get(r, "rope_type"), NULL);
    if (!type.p) type = ig_json_str(ig_json_get(r, "type"), "default");
    double base = ig_json_f64(ig_json_get(r, "rope_theta"), 0);
    if (base > 0) IG_TRY(ig_key_put(h->k, base_key, base, h->err));
    if (ig_str_is(type, "default")) return INGLE_OK;
    double factor = ig_json_f64(ig_json_get(r, "factor"), 1);
    double original = ig_json_f64(ig_json_get(r, "original_max_position_embeddings"), 0);
    if (original > 0)
        IG_TRY(ig_key_put(h->k, "rope.scaling.original_context_length", original, h->err));
    IG_TRY(ig_key_put_str(h->k, "rope.scaling.type", type, h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.factor", factor, h->err));
    static const struct {
        const char *key, *hf;
    } more[] = {{"rope.scaling.yarn_beta_fast", "beta_fast"},
                {"rope.scaling.yarn_beta_slow", "beta_slow"},
                {"rope.scaling.low_freq_factor", "low_freq_factor"},
                {"rope.scaling.high_freq_factor", "high_freq_factor"}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        const struct ig_json *v = ig_json_get(r, more[i].hf);
        if (ig_json_is(v, IG_JSON_NUMBER))
            IG_TRY(ig_key_put(h->k, more[i].key, ig_json_f64(v, 0), h->err));
    }
    IG_TRY(ig_key_put(h->k, "rope.scaling.yarn_truncate",
                      ig_json_bool(ig_json_get(r, "truncate"), true), h->err));
    double mscale = ig_str_is(type, "yarn") && factor > 1 ? 1 + 0.1 * log(factor) : 1;
    return ig_key_put(h->k, "rope.scaling.mscale",
                      ig_json_f64(ig_json_get(r, "attention_factor"), mscale), h->err);
}

static ingle_status put_ropes(const struct hf *h) {
    const struct ig_json *r = ig_json_get(h->c, "rope_parameters"),
                         *full = ig_json_get(r, "full_attention");
    if (!ig_json_is(r, IG_JSON_OBJECT)) r = ig_json_get(h->c, "rope_scaling");
    if (full) {
        IG_TRY(put_rope(h, full, "rope.freq_base"));
        double local =
            ig_json_f64(ig_json_get(ig_json_get(r, "sliding_attention"), "rope_theta"), 0);
        if (local > 0) IG_TRY(ig_key_put(h->k, "rope.freq_base_swa", local, h->err));
        r = full;
    } else {
        IG_TRY(put_rope(h, r, "rope.freq_base"));
    }
    double partial = ig_json_f64(ig_json_get(r, "partial_rotary_factor"),
                                 number(h, "partial_rotary_factor", number(h, "rotary_pct", 1)));
    double head =
        key_number(h, "attention.key_length",
                   key_number(h, "embedding_length", 0) / key_number(h, "attention.head_count", 1));
    if (partial < 1 && partial > 0)
        return ig_key_put(h->k, "rope.dimension_count", floor(head * partial), h->err);
    return INGLE_OK;
}

static bool is(const struct hf *h, const char *row) {
    return strcmp(h->row->name, row) == 0;
}

/* What a family means differently. */
static ingle_status put_special(const struct hf *h) {
    double q = number(h, "query_pre_attn_scalar", 0);
    if (q > 0) IG_TRY(ig_key_put(h->k, "attention.scale", 1 / sqrt(q), h->err));
    if (is(h, "smollm3")) {
        const struct ig_json *list = ig_json_get(h->c, "no_rope_layers");
        double flags[1024];
        uint64_t n = 0;
        for (const struct ig_json *v = list ? list->child : NULL; v && n < 1024; v = v->next)
            flags[n++] = ig_json_f64(v, 1);
        if (n) IG_TRY(ig_key_put_list(h->k, "attention.rope_pattern", flags, n, h->err));
    }
    if (is(h, "gpt2") && !ig_key_count(h->k, "feed_forward_length"))
        IG_TRY(ig_key_put(h->k, "feed_forward_length", 4 * key_number(h, "embedding_length", 0),
                          h->err));
    return INGLE_OK;
}

ingle_status ig_arch_hf_keys(struct ig_keys *k, const struct ig_row *row, ingle_error *err) {
    const struct ig_json *text = ig_json_get(k->view->config, "text_config");
    struct hf h = {k, row, ig_json_is(text, IG_JSON_OBJECT) ? text : k->view->config, err};
    IG_TRY(put_renamed(&h));
    IG_TRY(put_act(&h));
    IG_TRY(put_windows(&h));
    IG_TRY(put_ropes(&h));
    return put_special(&h);
}
