/* Fills the vocabulary's source from a view: GGUF keys as slices of the map, or a folder's JSON
 * trees. The types of the arrays are checked here, since the vocabulary only sees bytes. */
#include "engine/vocab_source.h"

static ingle_status wrong_type(const struct ig_view *view, const char *key, const char *want,
                               ingle_error *err) {
    return ig_fail(err, INGLE_BAD_FILE,
                   "the file is damaged: download it again or convert the model again",
                   "%s: %s is not %s", view->path ? view->path : "model", key, want);
}

static ingle_status strings(const struct ig_view *view, const char *key,
                            struct ig_vocab_strings *out, ingle_error *err) {
    const struct ig_kv *kv = ig_view_kv(view, key);
    if (!kv) return INGLE_OK;
    if (kv->type != IG_KV_ARRAY || kv->item != IG_KV_STRING)
        return wrong_type(view, key, "an array of strings", err);
    *out = (struct ig_vocab_strings){kv->data, kv->bytes, kv->count, kv->length_size};
    return INGLE_OK;
}

static ingle_status numbers(const struct ig_view *view, const char *key, unsigned item,
                            const uint8_t **out, uint64_t *n, ingle_error *err) {
    const struct ig_kv *kv = ig_view_kv(view, key);
    if (!kv) return INGLE_OK;
    if (kv->type != IG_KV_ARRAY || kv->item != item)
        return wrong_type(view, key, item == IG_KV_F32 ? "an array of f32" : "an array of i32",
                          err);
    *out = kv->data;
    *n = kv->count;
    return INGLE_OK;
}

static ingle_status text(const struct ig_view *view, const char *key, struct ig_str *out,
                         ingle_error *err) {
    const struct ig_kv *kv = ig_view_kv(view, key);
    if (kv && !ig_kv_str(kv, out)) return wrong_type(view, key, "a string", err);
    return INGLE_OK;
}

static ingle_status flag(const struct ig_view *view, const char *key, int8_t *out,
                         ingle_error *err) {
    const struct ig_kv *kv = ig_view_kv(view, key);
    bool value;
    *out = -1;
    if (!kv) return INGLE_OK;
    if (!ig_kv_bool(kv, 0, &value)) return wrong_type(view, key, "a boolean", err);
    *out = value;
    return INGLE_OK;
}

/* The second name is the one older files use. */
static const char *const role_keys[IG_ROLES][2] = {
    {"tokenizer.ggml.bos_token_id", NULL},
    {"tokenizer.ggml.eos_token_id", NULL},
    {"tokenizer.ggml.eot_token_id", NULL},
    {"tokenizer.ggml.eom_token_id", NULL},
    {"tokenizer.ggml.unknown_token_id", NULL},
    {"tokenizer.ggml.seperator_token_id", "tokenizer.ggml.separator_token_id"},
    {"tokenizer.ggml.padding_token_id", NULL},
    {"tokenizer.ggml.mask_token_id", NULL},
    {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
    {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
    {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
    {"tokenizer.ggml.fim_pad_token_id", NULL},
    {"tokenizer.ggml.fim_rep_token_id", NULL},
    {"tokenizer.ggml.fim_sep_token_id", NULL},
};

static ingle_status roles(const struct ig_view *view, int64_t *role, ingle_error *err) {
    for (int r = 0; r < IG_ROLES; r++) {
        role[r] = IG_NO_TOKEN;
        for (int name = 1; name >= 0; name--) {
            const char *key = role_keys[r][name];
            const struct ig_kv *kv = key ? ig_view_kv(view, key) : NULL;
            if (kv && !ig_kv_i64(kv, 0, &role[r])) return wrong_type(view, key, "an integer", err);
        }
    }
    return INGLE_OK;
}

static ingle_status charsmap(const struct ig_view *view, struct ig_str *out, ingle_error *err) {
    const char *key = "tokenizer.ggml.precompiled_charsmap";
    const struct ig_kv *kv = ig_view_kv(view, key);
    if (!kv) return INGLE_OK;
    if (kv->type != IG_KV_ARRAY || (kv->item != IG_KV_U8 && kv->item != IG_KV_I8))
        return wrong_type(view, key, "an array of bytes", err);
    *out = (struct ig_str){(const char *)kv->data, (size_t)kv->count};
    return INGLE_OK;
}

static ingle_status open_gguf(struct ig_vocab **out, struct ig_mem *mem, const struct ig_view *view,
                              const struct ig_log *log, ingle_error *err) {
    struct ig_vocab_gguf g = {0};
    IG_TRY(text(view, "tokenizer.ggml.model", &g.model, err));
    if (!g.model.p)
        return ig_fail(err, INGLE_NOT_FOUND, "this file holds no tokenizer",
                       "%s: tokenizer.ggml.model is missing", view->path ? view->path : "model");
    IG_TRY(text(view, "tokenizer.ggml.pre", &g.pre, err));
    IG_TRY(text(view, "general.architecture", &g.architecture, err));
    IG_TRY(strings(view, "tokenizer.ggml.tokens", &g.tokens, err));
    IG_TRY(strings(view, "tokenizer.ggml.merges", &g.merges, err));
    IG_TRY(numbers(view, "tokenizer.ggml.scores", IG_KV_F32, &g.scores, &g.n_scores, err));
    IG_TRY(numbers(view, "tokenizer.ggml.token_type", IG_KV_I32, &g.types, &g.n_types, err));
    IG_TRY(charsmap(view, &g.charsmap, err));
    IG_TRY(roles(view, g.role, err));
    IG_TRY(flag(view, "tokenizer.ggml.add_bos_token", &g.add_bos, err));
    IG_TRY(flag(view, "tokenizer.ggml.add_eos_token", &g.add_eos, err));
    IG_TRY(flag(view, "tokenizer.ggml.add_sep_token", &g.add_sep, err));
    IG_TRY(flag(view, "tokenizer.ggml.add_space_prefix", &g.add_space_prefix, err));
    IG_TRY(flag(view, "tokenizer.ggml.remove_extra_whitespaces", &g.remove_extra_whitespaces, err));
    IG_TRY(flag(view, "tokenizer.ggml.escape_whitespaces", &g.escape_whitespaces, err));
    IG_TRY(flag(view, "tokenizer.ggml.normalizer.lowercase", &g.lowercase, err));
    IG_TRY(flag(view, "tokenizer.ggml.normalizer.strip_accents", &g.strip_accents, err));
    ingle_status status = ig_vocab_open_gguf(out, mem, &g, log, err);
    return status == INGLE_OK || !view->path ? status : ig_fail_in(err, "%s", view->path);
}

ingle_status ig_vocab_source_open(struct ig_vocab **out, struct ig_mem *mem,
                                  const struct ig_view *view, const struct ig_log *log,
                                  ingle_error *err) {
    if (!view->folder) return open_gguf(out, mem, view, log, err);
    if (!view->tokenizer)
        return ig_fail(err, INGLE_NOT_FOUND, "put the model's tokenizer.json into the folder",
                       "%s: tokenizer.json is missing", view->path ? view->path : "folder");
    struct ig_vocab_json j = {view->tokenizer, view->tokenizer_config, view->config,
                              view->generation_config};
    ingle_status status = ig_vocab_open_json(out, mem, &j, log, err);
    return status == INGLE_OK || !view->path ? status
                                             : ig_fail_in(err, "%s/tokenizer.json", view->path);
}
