/* config.json -> the GGUF key names (arch.h: ig_keys). Most families share the names that llama's
 * configuration made common; `renames` lists every spelling, of transformers 4 and 5. What a family
 * means differently stands in put_special and the functions it calls. Numbers are not checked here:
 * hparams.c does that for both kinds of file. */
#include "arch/arch.h"

#include <math.h>
#include <stdio.h>

enum { HF_MAX_LAYERS = 512 };

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
    {"embedding_length", "n_embed"},
    {"context_length", "max_position_embeddings"},
    {"context_length", "n_positions"},
    {"context_length", "max_seq_len"},
    {"context_length", "seq_length"},
    {"context_length", "model_max_length"},
    {"feed_forward_length", "intermediate_size"},
    {"feed_forward_length", "ffn_hidden_size"},
    {"feed_forward_length", "n_inner"},
    {"feed_forward_length", "ffn_dim"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count", "n_head"},
    {"attention.head_count", "n_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.key_length", "attention_head_dim"},
    {"attention.value_length", "head_dim"},
    {"attention.value_length", "attention_head_dim"},
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
    {"expert_used_count", "top_k_experts"},
    {"expert_jitter", "router_jitter_noise"},
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
    {"attention.shared_kv_layers", "num_kv_shared_layers"},
    {"attention.temperature_scale", "attn_scale"},
    {"attention.temperature_length", "floor_scale"},
    {"attention.l2_qk", "use_qk_norm"},
    {"embedding_length_per_layer_input", "hidden_size_per_layer_input"},
    {"use_parallel_residual", "use_parallel_residual"},
    {"activation.limit", "swiglu_limit"},
    {"activation.alpha", "swiglu_alpha"},
    {"no_output_norm", "_remove_final_layer_norm"}, /* opt */
    {"extra_layers", "num_nextn_predict_layers"},
    {"vocab_size", "vocab_size"},
    {"rope.freq_base", "rope_theta"},
    {"rope.freq_base", "rotary_emb_base"},
};

/* A value that some configurations give as a list of equal numbers, one a layer. */
static const struct ig_json *scalar(const struct ig_json *v) {
    return ig_json_is(v, IG_JSON_ARRAY) && v->child ? v->child : v;
}

static ingle_status put_renamed(const struct hf *h) {
    for (size_t i = 0; i < sizeof renames / sizeof *renames; i++) {
        const struct ig_json *v = scalar(ig_json_get(h->c, renames[i].hf));
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

static bool flag(const struct hf *h, const char *name, bool fallback) {
    const struct ig_json *v = ig_json_get(h->c, name);
    return ig_json_is(v, IG_JSON_BOOL) ? v->truth : fallback;
}

static double key_number(const struct hf *h, const char *key, double fallback) {
    ig_key_f64(h->k, key, 0, &fallback);
    return fallback;
}

static bool is(const struct hf *h, const char *row) {
    return strcmp(h->row->name, row) == 0;
}

static bool type_is(const struct hf *h, const char *model_type) {
    return ig_str_is(ig_json_str(ig_json_get(h->c, "model_type"), ""), model_type);
}

/* Layers as the lists below have them; hparams.c says no to more. */
static uint32_t n_layers(const struct hf *h) {
    double n = key_number(h, "block_count", 0);
    return n >= 1 && n <= HF_MAX_LAYERS ? (uint32_t)n : 0;
}

static ingle_status put_act(const struct hf *h) {
    static const char *const names[] = {"hidden_activation", "hidden_act", "activation_function",
                                        "activation"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_str s = ig_json_str(ig_json_get(h->c, names[i]), NULL);
        if (!s.p) continue;
        if (h->row->act == IG_ACT_OAI) s = IG_STR("oai");
        /* The first gemmas say gelu and mean its tanh form. */
        if (h->row->embed_sqrt && ig_str_is(s, "gelu")) s = IG_STR("gelu_pytorch_tanh");
        return ig_key_put_str(h->k, "hidden_activation", s, h->err);
    }
    return INGLE_OK;
}

/* ---- Windows ---- */

/* Is layer i windowed where the file does not list it? Some configurations give a period (exaone4
 * also as text, "LLLG"), qwen's the number of layers before the first window, the others nothing.
 */
static bool window_by_rule(const struct hf *h, uint32_t i) {
    const struct ig_json *p = ig_json_get(h->c, "sliding_window_pattern");
    double first = number(h, "max_window_layers", -1);
    uint32_t period = h->row->swa;
    if (ig_json_is(p, IG_JSON_STRING) && p->text.n) period = (uint32_t)p->text.n;
    if (ig_json_is(p, IG_JSON_NUMBER) && ig_json_f64(p, 0) >= 1 &&
        ig_json_f64(p, 0) <= HF_MAX_LAYERS)
        period = (uint32_t)ig_json_f64(p, 0);
    if (period) return (i + 1) % period != 0;
    return first < 0 || !ig_json_get(h->c, "use_sliding_window") || i >= first;
}

/* layer_types and sliding_window -> one flag a layer. */
static ingle_status put_windows(const struct hf *h) {
    const struct ig_json *types = ig_json_get(h->c, "layer_types");
    double window = number(h, "sliding_window", 0), flags[HF_MAX_LAYERS];
    if (h->row->chunked) window = number(h, "attention_chunk_size", 0);
    if (!(window > 0) || !flag(h, "use_sliding_window", true))
        return ig_key_put(h->k, "attention.sliding_window", 0, h->err);
    const struct ig_json *at = ig_json_is(types, IG_JSON_ARRAY) ? types->child : NULL;
    bool listed = at != NULL;
    for (uint32_t i = 0; i < n_layers(h); i++, at = at ? at->next : NULL) {
        struct ig_str type = ig_json_str(at, "");
        flags[i] =
            listed ? ig_str_is(type, "sliding_attention") || ig_str_is(type, "chunked_attention")
                   : window_by_rule(h, i);
    }
    IG_TRY(ig_key_put(h->k, "attention.sliding_window", window, h->err));
    return ig_key_put_list(h->k, "attention.sliding_window_pattern", flags, n_layers(h), h->err);
}

/* smollm3, llama4: no_rope_layers has 1 where a layer does rotate. */
static ingle_status put_nope(const struct hf *h) {
    const struct ig_json *list = ig_json_get(h->c, "no_rope_layers"),
                         *at = ig_json_is(list, IG_JSON_ARRAY) ? list->child : NULL;
    double every = number(h, "no_rope_layer_interval", 4), flags[HF_MAX_LAYERS];
    bool listed = at != NULL;
    if (!(every >= 1 && every <= HF_MAX_LAYERS)) every = 4;
    for (uint32_t i = 0; i < n_layers(h); i++, at = at ? at->next : NULL)
        flags[i] = listed ? ig_json_f64(at, 1) : (i + 1) % (uint32_t)every != 0;
    return ig_key_put_list(h->k, "attention.rope_pattern", flags, n_layers(h), h->err);
}

/* ---- Rope ---- */

/* What transformers takes when the file does not say: base and rotated part of a head. */
static const struct {
    const char *type;
    double base, part;
} rope_defaults[] = {{"mixtral", 1e6, 1},
                     {"phimoe", 1e6, 1},
                     {"smollm3", 2e6, 1},
                     {"olmo3", 5e5, 1},
                     {"cohere", 5e5, 1},
                     {"ernie4_5", 5e5, 1},
                     {"apertus", 12e6, 1},
                     {"helium", 1e5, 1},
                     {"gpt_oss", 15e4, 1},
                     {"ernie4_5_moe", 5e5, 1},
                     {"llama4_text", 5e5, 1},
                     {"gemma3_text", 1e6, 1},
                     {"phi", 1e4, 0.5},
                     {"glm", 1e4, 0.5},
                     {"glm4", 1e4, 0.5},
                     {"glm4_moe", 1e4, 0.5},
                     {"nemotron", 1e4, 0.5},
                     {"stablelm", 1e4, 0.25},
                     {"stablelm_epoch", 1e4, 0.25},
                     {"gpt_neox", 1e4, 0.25}};

static double head_length(const struct hf *h) {
    return key_number(h, "attention.key_length",
                      key_number(h, "embedding_length", 0) /
                          key_number(h, "attention.head_count", 1));
}

static ingle_status put_list(const struct hf *h, const struct ig_json *list, const char *key) {
    double values[1024];
    uint64_t n = 0;
    const struct ig_json *v = ig_json_is(list, IG_JSON_ARRAY) ? list->child : NULL;
    for (; v && n < 1024; v = v->next) values[n++] = ig_json_f64(v, 0);
    return n ? ig_key_put_list(h->k, key, values, n, h->err) : INGLE_OK;
}

/* longrope: one list of divisors up to the original context, another beyond. */
static ingle_status put_longrope(const struct hf *h, const struct ig_json *r, double original) {
    double context = key_number(h, "context_length", 0),
           n = number(h, "original_max_position_embeddings", 0);
    if (!(original > 0)) original = n > 0 ? n : context;
    double factor = ig_json_f64(ig_json_get(r, "factor"), original > 0 ? context / original : 1);
    double scale = factor > 1 && original > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
    scale = ig_json_f64(ig_json_get(r, "attention_factor"), scale);
    IG_TRY(ig_key_put(h->k, "rope.scaling.original_context_length", original, h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.factor", 1, h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.mscale",
                      ig_json_f64(ig_json_get(r, "short_mscale"), scale), h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.mscale_long",
                      ig_json_f64(ig_json_get(r, "long_mscale"), scale), h->err));
    IG_TRY(put_list(h, ig_json_get(r, "long_factor"), "rope.long_factor"));
    return put_list(h, ig_json_get(r, "short_factor"), "rope.short_factor");
}

/* gemma4: frequencies as of the whole head, but only the first `part` of them rotate; the others
 * stand still, as if divided by a huge number. */
static ingle_status put_proportional(const struct hf *h, double head, double part) {
    double values[512];
    uint32_t n = head >= 2 && head <= 1024 ? (uint32_t)head / 2 : 0;
    for (uint32_t i = 0; i < n; i++) values[i] = i < floor(part * head / 2) ? 1 : 1e30;
    return ig_key_put_list(h->k, "rope.divisors", values, n, h->err);
}

static double yarn_scale(const struct ig_json *r, double factor) {
    double m = ig_json_f64(ig_json_get(r, "mscale"), 0),
           all = ig_json_f64(ig_json_get(r, "mscale_all_dim"), 0);
    if (!(factor > 1)) return 1;
    if (!(m > 0 && all > 0)) return 1 + 0.1 * log(factor);
    return (1 + 0.1 * m * log(factor)) / (1 + 0.1 * all * log(factor));
}

static ingle_status put_scaling(const struct hf *h, const struct ig_json *r, struct ig_str type) {
    static const struct {
        const char *key, *hf;
    } more[] = {{"rope.scaling.yarn_beta_fast", "beta_fast"},
                {"rope.scaling.yarn_beta_slow", "beta_slow"},
                {"rope.scaling.low_freq_factor", "low_freq_factor"},
                {"rope.scaling.high_freq_factor", "high_freq_factor"},
                {"attention.temperature_scale", "llama_4_scaling_beta"}};
    double factor = ig_json_f64(ig_json_get(r, "factor"), 1);
    double original = ig_json_f64(ig_json_get(r, "original_max_position_embeddings"), 0);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        const struct ig_json *v = ig_json_get(r, more[i].hf);
        if (ig_json_is(v, IG_JSON_NUMBER))
            IG_TRY(ig_key_put(h->k, more[i].key, ig_json_f64(v, 0), h->err));
    }
    if (ig_str_is(type, "su")) type = IG_STR("longrope"); /* phi3's first name for it */
    IG_TRY(ig_key_put_str(h->k, "rope.scaling.type", type, h->err));
    if (ig_str_is(type, "longrope")) return put_longrope(h, r, original);
    if (original > 0)
        IG_TRY(ig_key_put(h->k, "rope.scaling.original_context_length", original, h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.factor", factor, h->err));
    IG_TRY(ig_key_put(h->k, "rope.scaling.yarn_truncate",
                      ig_json_bool(ig_json_get(r, "truncate"), true), h->err));
    double mscale = ig_str_is(type, "yarn") ? yarn_scale(r, factor) : 1;
    return ig_key_put(h->k, "rope.scaling.mscale",
                      ig_json_f64(ig_json_get(r, "attention_factor"), mscale), h->err);
}

/* One rope_parameters or rope_scaling object -> rope.* keys of the global layers. */
static ingle_status put_rope(const struct hf *h, const struct ig_json *r) {
    struct ig_str type = ig_json_str(ig_json_get(r, "rope_type"), NULL);
    if (!type.p) type = ig_json_str(ig_json_get(r, "type"), "default");
    double base = 1e4, part = 1, head = head_length(h);
    for (size_t i = 0; i < sizeof rope_defaults / sizeof *rope_defaults; i++)
        if (type_is(h, rope_defaults[i].type))
            base = rope_defaults[i].base, part = rope_defaults[i].part;
    base = ig_json_f64(ig_json_get(r, "rope_theta"), key_number(h, "rope.freq_base", base));
    part = number(h, "partial_rotary_factor", number(h, "rotary_pct", number(h, "rope_pct", part)));
    part = ig_json_f64(ig_json_get(r, "partial_rotary_factor"), part);
    double alpha = ig_json_f64(ig_json_get(r, "alpha"), 0);
    bool ntk = ig_str_is(type, "dynamic") && alpha > 0; /* hunyuan: a base, fixed once */
    if (ntk && head > 2) base *= pow(alpha, head / (head - 2));
    IG_TRY(ig_key_put(h->k, "rope.freq_base", base, h->err));
    if (ig_str_is(type, "proportional")) return put_proportional(h, head, part);
    if (part > 0 && part < 1)
        IG_TRY(ig_key_put(h->k, "rope.dimension_count", floor(head * part), h->err));
    return ig_str_is(type, "default") || ntk ? INGLE_OK : put_scaling(h, r, type);
}

static ingle_status put_ropes(const struct hf *h) {
    const struct ig_json *r = ig_json_get(h->c, "rope_parameters"),
                         *full = ig_json_get(r, "full_attention"),
                         *swa = ig_json_get(r, "sliding_attention");
    if (!ig_json_is(r, IG_JSON_OBJECT)) r = ig_json_get(h->c, "rope_scaling");
    double local =
        ig_json_f64(ig_json_get(swa, "rope_theta"), number(h, "rope_local_base_freq", 0));
    double part = ig_json_f64(ig_json_get(swa, "partial_rotary_factor"), 1);
    if (local > 0) IG_TRY(ig_key_put(h->k, "rope.freq_base_swa", local, h->err));
    if (is(h, "gemma4") && part > 0 && part <= 1) {
        double head = key_number(h, "attention.key_length_swa", head_length(h));
        IG_TRY(ig_key_put(h->k, "rope.dimension_count_swa", floor(head * part), h->err));
    }
    return put_rope(h, full ? full : r);
}

/* ---- Families ---- */

/* gemma4: global layers may have longer heads, other kv heads and a wider feed-forward. Version 5
 * of transformers writes them layer by layer, version 4 as global_*. */
static ingle_status put_gemma4(const struct hf *h) {
    const struct ig_json *types = ig_json_get(h->c, "layer_types"),
                         *per = ig_json_get(h->c, "per_layer_config"),
                         *at = ig_json_is(types, IG_JSON_ARRAY) ? types->child : NULL;
    double head = number(h, "head_dim", 0), global_head = number(h, "global_head_dim", head),
           kv = number(h, "num_key_value_heads", 1), ff = number(h, "intermediate_size", 0),
           shared = number(h, "num_kv_shared_layers", 0), heads[HF_MAX_LAYERS], kvs[HF_MAX_LAYERS],
           ffs[HF_MAX_LAYERS], global = head;
    double global_kv =
        flag(h, "attention_k_eq_v", false) ? number(h, "num_global_key_value_heads", kv) : kv;
    bool wide = flag(h, "use_double_wide_mlp", false);
    uint32_t n = n_layers(h);
    for (uint32_t i = 0; i < n; i++, at = at ? at->next : NULL) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        const struct ig_json *own = ig_json_get(per, name);
        bool full = types ? ig_str_is(ig_json_str(at, ""), "full_attention") : (i + 1) % 6 == 0;
        heads[i] = ig_json_f64(ig_json_get(own, "head_dim"), full ? global_head : head);
        kvs[i] = ig_json_f64(ig_json_get(own, "num_key_value_heads"), full ? global_kv : kv);
        ffs[i] = wide && shared > 0 && i >= n - shared ? 2 * ff : ff;
        if (full) global = heads[i];
    }
    IG_TRY(ig_key_put_list(h->k, "attention.key_length_swa", heads, n, h->err));
    IG_TRY(ig_key_put_list(h->k, "attention.value_length_swa", heads, n, h->err));
    IG_TRY(ig_key_put_list(h->k, "attention.head_count_kv", kvs, n, h->err));
    IG_TRY(ig_key_put_list(h->k, "feed_forward_length", ffs, n, h->err));
    IG_TRY(ig_key_put(h->k, "attention.key_length", global, h->err));
    IG_TRY(ig_key_put(h->k, "attention.value_length", global, h->err));
    if (!flag(h, "enable_moe_block", false)) IG_TRY(ig_key_put(h->k, "expert_count", 0, h->err));
    return ig_key_put(h->k, "attention.scale", 1, h->err);
}

static ingle_status put_minicpm(const struct hf *h) {
    double layers = n_layers(h) ? n_layers(h) : 1, width = key_number(h, "embedding_length", 0);
    IG_TRY(ig_key_put(h->k, "embedding_scale", number(h, "scale_emb", 1), h->err));
    IG_TRY(ig_key_put(h->k, "residual_scale", number(h, "scale_depth", sqrt(layers)) / sqrt(layers),
                      h->err));
    return ig_key_put(h->k, "logit_scale", width / number(h, "dim_model_base", width), h->err);
}

/* xIELU's four numbers are tensors of one element in every layer. */
static ingle_status put_xielu(const struct hf *h) {
    static const char *const names[] = {"alpha_p", "alpha_n", "beta", "eps"}, *const keys[] = {
                                                                                  "xielu.alpha_p",
                                                                                  "xielu.alpha_n",
                                                                                  "xielu.beta",
                                                                                  "xielu.eps"};
    double values[HF_MAX_LAYERS];
    for (int j = 0; j < 4; j++) {
        uint32_t n = 0;
        for (; n < n_layers(h); n++) {
            char name[80];
            float v;
            snprintf(name, sizeof name, "model.layers.%u.mlp.act_fn.%s", n, names[j]);
            const struct ig_tensor *t = ig_view_tensor(h->k->view, ig_str_of(name));
            const struct ig_quant *q = t ? ig_quant_by_id(t->type) : NULL;
            if (!q || q->kind != IG_QUANT_FLOAT || t->bytes != q->bytes) break;
            q->decode(t->data, &v, 1);
            values[n] = (double)v;
        }
        if (n == n_layers(h)) {
            IG_TRY(ig_key_put_list(h->k, keys[j], values, n, h->err));
        } else if (j >= 2) { /* older files leave the two constants out */
            IG_TRY(ig_key_put(h->k, keys[j], j == 2 ? 0.5 : -1e-6, h->err));
        }
    }
    return INGLE_OK;
}

static ingle_status put_falcon(const struct hf *h) {
    double heads = key_number(h, "attention.head_count", 1);
    double kv = flag(h, "new_decoder_architecture", false)
                    ? number(h, "num_kv_heads", number(h, "n_head_kv", heads))
                : flag(h, "multi_query", true) ? 1
                                               : heads;
    IG_TRY(ig_key_put(h->k, "attention.head_count_kv", kv, h->err));
    bool parallel = flag(h, "parallel_attn", true) || flag(h, "new_decoder_architecture", false);
    IG_TRY(ig_key_put(h->k, "use_parallel_residual", parallel, h->err));
    if (!flag(h, "alibi", false)) return INGLE_OK;
    IG_TRY(ig_key_put(h->k, "attention.max_alibi_bias", 8, h->err));
    double head = head_length(h);
    return ig_key_put(h->k, "attention.alibi_scale", head > 0 ? 1 / sqrt(head) : 1, h->err);
}

static ingle_status put_mpt(const struct hf *h) {
    const struct ig_json *a = ig_json_get(h->c, "attn_config");
    double clip = ig_json_f64(ig_json_get(a, "clip_qkv"), 0),
           scale = ig_json_f64(ig_json_get(a, "softmax_scale"), 0),
           kv = ig_json_f64(ig_json_get(a, "kv_n_heads"), 0);
    if (clip > 0) IG_TRY(ig_key_put(h->k, "attention.clamp_kqv", clip, h->err));
    if (scale > 0) IG_TRY(ig_key_put(h->k, "attention.scale", scale, h->err));
    if (kv > 0) IG_TRY(ig_key_put(h->k, "attention.head_count_kv", kv, h->err));
    if (!ig_json_bool(ig_json_get(a, "alibi"), true)) return INGLE_OK;
    return ig_key_put(h->k, "attention.max_alibi_bias",
                      ig_json_f64(ig_json_get(a, "alibi_bias_max"), 8), h->err);
}

static ingle_status put_gpt2(const struct hf *h) {
    double head = head_length(h), scales[HF_MAX_LAYERS];
    bool by_layer = flag(h, "scale_attn_by_inverse_layer_idx", false);
    if (!flag(h, "scale_attn_weights", true) && head > 0)
        IG_TRY(ig_key_put(h->k, "attention.scale", 1, h->err));
    if (!by_layer) return INGLE_OK;
    for (uint32_t i = 0; i < n_layers(h); i++) scales[i] = 1.0 / (i + 1);
    return ig_key_put_list(h->k, "attention.q_scale", scales, n_layers(h), h->err);
}

static ingle_status put_opt(const struct hf *h) {
    IG_TRY(ig_key_put(h->k, "position_offset", 2, h->err));
    IG_TRY(ig_key_put(h->k, "bare_norm", !flag(h, "layer_norm_elementwise_affine", true), h->err));
    IG_TRY(ig_key_put(h->k, "attention.layer_norm_epsilon", 1e-5, h->err));
    return ig_key_put(h->k, "post_norm", !flag(h, "do_layer_norm_before", true), h->err);
}

/* 7B: rope. 13B: ALiBi, seen by the missing length of the rope table. Version 2 has another, larger
 * vocabulary, and output rows of length 1. */
static ingle_status put_baichuan(const struct hf *h) {
    if (!ig_json_get(h->c, "max_position_embeddings"))
        IG_TRY(ig_key_put(h->k, "attention.max_alibi_bias", 8, h->err));
    bool second =
        ig_json_get(h->c, "z_loss_weight") || fabs(number(h, "vocab_size", 0) - 125696) < 1;
    return ig_key_put(h->k, "output_unit_rows", second, h->err);
}

static ingle_status put_llama4(const struct hf *h) {
    if (!flag(h, "attn_temperature_tuning", true))
        IG_TRY(ig_key_put(h->k, "attention.temperature_scale", 0, h->err));
    return put_nope(h);
}

/* What a family means differently. */
static ingle_status put_special(const struct hf *h) {
    static const struct {
        const char *row;
        ingle_status (*put)(const struct hf *h);
    } own[] = {{"gemma4", put_gemma4}, {"minicpm", put_minicpm},   {"apertus", put_xielu},
               {"falcon", put_falcon}, {"mpt", put_mpt},           {"gpt2", put_gpt2},
               {"opt", put_opt},       {"baichuan", put_baichuan}, {"llama4", put_llama4},
               {"smollm3", put_nope}};
    double heads = key_number(h, "attention.head_count", 1),
           query = number(h, "query_pre_attn_scalar", 0);
    if (query > 0) IG_TRY(ig_key_put(h->k, "attention.scale", 1 / sqrt(query), h->err));
    /* Families that have no grouped heads; transformers may have left the key in the file. */
    if (is(h, "bloom") || is(h, "gptneox") || is(h, "gpt2") || is(h, "opt") || is(h, "mpt"))
        IG_TRY(ig_key_put(h->k, "attention.head_count_kv", heads, h->err));
    if (is(h, "olmo")) IG_TRY(ig_key_put(h->k, "attention.layer_norm_epsilon", 1e-5, h->err));
    if (is(h, "bloom"))
        IG_TRY(ig_key_put(h->k, "residual_normed",
                          flag(h, "apply_residual_connection_post_layernorm", false), h->err));
    if (!ig_key_count(h->k, "context_length"))
        IG_TRY(ig_key_put(h->k, "context_length", 2048, h->err));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (is(h, own[i].row)) return own[i].put(h);
    return INGLE_OK;
}

ingle_status ig_arch_hf_keys(struct ig_keys *k, const struct ig_row *row, ingle_error *err) {
    const struct ig_json *text = ig_json_get(k->view->config, "text_config");
    struct hf h = {k, row, ig_json_is(text, IG_JSON_OBJECT) ? text : k->view->config, err};
    IG_TRY(put_renamed(&h));
    IG_TRY(put_act(&h));
    IG_TRY(put_windows(&h));
    IG_TRY(put_special(&h));
    return put_ropes(&h);
}
