/* A vocabulary from GGUF's keys. The arrays stay in the mapped file. Every count and id is checked
 * once, here; after that -1 is the only id that is not a token. Defaults for absent keys are those
 * the format's writers rely on. */
#include "vocab/impl.h"

static ingle_status damaged(ingle_error *err, const char *what, long long value, long long limit) {
    return ig_fail(err, INGLE_BAD_FILE,
                   "the file is damaged: download it again or convert the model again",
                   "tokenizer.ggml.%s: %lld, the vocabulary has %lld tokens", what, value, limit);
}

static const char *const role_keys[IG_ROLES] = {
    "bos_token_id",     "eos_token_id",       "eot_token_id",     "eom_token_id",
    "unknown_token_id", "seperator_token_id", "padding_token_id", "mask_token_id",
    "fim_pre_token_id", "fim_suf_token_id",   "fim_mid_token_id", "fim_pad_token_id",
    "fim_rep_token_id", "fim_sep_token_id"};

/* Padding and mask are often written one past the end by converters; they are not needed to run, so
 * that is only noted. */
static ingle_status read_roles(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                               const struct ig_log *log, ingle_error *err) {
    for (int r = 0; r < IG_ROLES; r++) {
        int64_t id = g->role[r];
        if (id == IG_NO_TOKEN || id == UINT32_MAX) continue;
        if (id >= 0 && id < v->tokens.n) {
            v->role[r] = (int32_t)id;
            continue;
        }
        if (r == IG_ROLE_BOS || r == IG_ROLE_EOS || r == IG_ROLE_EOT || r == IG_ROLE_EOM)
            return damaged(err, role_keys[r], id, v->tokens.n);
        ig_log(log, INGLE_LOG_WARN,
               "tokenizer.ggml.%s is %lld, the vocabulary has %d tokens: ignored", role_keys[r],
               (long long)id, v->tokens.n);
    }
    return INGLE_OK;
}

static void default_role(struct ig_vocab *v, enum ig_token_role role, int32_t id) {
    v->role[role] = id < v->tokens.n ? id : IG_NO_TOKEN;
}

static ingle_status read_types(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                               ingle_error *err) {
    uint64_t n = g->tokens.count;
    if (g->types && g->n_types < n)
        return damaged(err, "token_type has too few elements", (long long)g->n_types, (long long)n);
    if (g->scores && g->n_scores < n)
        return damaged(err, "scores has too few elements", (long long)g->n_scores, (long long)n);
    /* Not before the array is known to be possible: count is checked against its bytes. */
    if (g->tokens.bytes / (g->tokens.length_size ? g->tokens.length_size : 1) < n)
        return damaged(err, "tokens", (long long)n, (long long)(g->tokens.bytes / 8));
    v->tokens.scores = g->scores;
    v->tokens.type = ig_alloc(v->mem, n ? (size_t)n : 1);
    if (!v->tokens.type) return ig_fail_memory(err, (size_t)n);
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p = g->types ? g->types + 4 * i : NULL;
        uint32_t t =
            p ? (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24
              : IG_TOKEN_NORMAL;
        v->tokens.type[i] = (uint8_t)(t <= IG_TOKEN_BYTE ? t : IG_TOKEN_UNDEFINED);
    }
    return INGLE_OK;
}

static bool flag(int8_t value, bool otherwise) {
    return value < 0 ? otherwise : value != 0;
}

static ingle_status open_bpe(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                             const struct ig_log *log, ingle_error *err) {
    struct ig_str pre = g->pre;
    v->model = IG_MODEL_BPE;
    if (ig_str_is(g->model, "gemma4")) pre = IG_STR("gemma4");
    IG_TRY(ig_pre_named(v, pre, log, err));
    enum ig_spelling_kind kind = v->tokens.bytes ? IG_SPELL_BYTES
                                 : v->n_norm     ? IG_SPELL_MARK
                                                 : IG_SPELL_PLAIN;
    v->byte_fallback = !v->tokens.bytes;
    IG_TRY(ig_tokens_build(&v->tokens, v->mem, kind, log, err));
    if (!g->merges.data)
        return ig_fail(err, INGLE_BAD_FILE, "convert the model again",
                       "tokenizer.ggml.merges is missing");
    v->lossless = true;
    return ig_merges_build(v, &g->merges, err);
}

static ingle_status open_spm(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                             const struct ig_log *log, ingle_error *err) {
    bool prefix = flag(g->add_space_prefix, true);
    v->model = IG_MODEL_SPM;
    v->norm[v->n_norm++] = (struct ig_norm){
        .kind = IG_NORM_SPM, .prefix = prefix, .escape = flag(g->escape_whitespaces, true)};
    v->drop_leading_space = prefix;
    v->after_special = true;
    v->add_bos = true;
    v->lossless = true;
    IG_TRY(ig_tokens_build(&v->tokens, v->mem, IG_SPELL_MARK, log, err));
    default_role(v, IG_ROLE_BOS, 1);
    default_role(v, IG_ROLE_EOS, 2);
    default_role(v, IG_ROLE_UNK, 0);
    return INGLE_OK;
}

static ingle_status open_unigram(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                                 const struct ig_log *log, ingle_error *err) {
    bool prefix = flag(g->add_space_prefix, true);
    if (g->charsmap.n && !ig_charsmap_ok(g->charsmap))
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "tokenizer.ggml.precompiled_charsmap: its trie does not fit its %zu bytes",
                       g->charsmap.n);
    v->model = IG_MODEL_UNIGRAM;
    v->norm[v->n_norm++] = (struct ig_norm){.kind = IG_NORM_UNIGRAM,
                                            .prefix = prefix,
                                            .charsmap = g->charsmap,
                                            .squeeze = flag(g->remove_extra_whitespaces, false),
                                            .escape = flag(g->escape_whitespaces, true)};
    v->drop_leading_space = prefix;
    v->after_special = true;
    v->add_eos = true;
    v->fuse_unk = true;
    IG_TRY(ig_tokens_build(&v->tokens, v->mem, IG_SPELL_MARK, log, err));
    default_role(v, IG_ROLE_EOS, 1);
    default_role(v, IG_ROLE_UNK, 2);
    default_role(v, IG_ROLE_PAD, 0);
    v->exact_score = ig_calloc(v->mem, (size_t)v->tokens.n, sizeof *v->exact_score);
    if (!v->exact_score) return ig_fail_memory(err, (size_t)v->tokens.n * 8);
    for (int32_t id = 0; id < v->tokens.n;
         id++) /* a user-defined token beats every segmentation of its text */
        v->exact_score[id] = (v->tokens.type[id] & IG_TYPE_BITS) == IG_TOKEN_USER
                                 ? 0
                                 : (double)ig_tokens_score(&v->tokens, id);
    return ig_unigram_build(v, err);
}

static ingle_status open_wordpiece(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                                   const struct ig_log *log, ingle_error *err) {
    bool lower = flag(g->lowercase, true);
    v->model = IG_MODEL_WORDPIECE;
    v->norm[v->n_norm++] = (struct ig_norm){.kind = IG_NORM_BERT,
                                            .clean = true,
                                            .chinese = true,
                                            .lowercase = lower,
                                            .strip_accents = flag(g->strip_accents, lower)};
    struct ig_pre *p = v->pre;
    p[0] = (struct ig_pre){.kind = IG_PRE_SPLIT, .behavior = IG_REMOVED};
    p[1] = (struct ig_pre){.kind = IG_PRE_SPLIT, .behavior = IG_ISOLATED};
    v->n_pre = 2;
    IG_TRY(ig_regex_open(&p[0].regex, v->mem, IG_STR("\\s"), 0, err));
    IG_TRY(ig_regex_open(&p[1].regex, v->mem, IG_STR("\\p{BertPunctuation}"), 0, err));
    v->mark_words = true;
    v->max_chars = 100;
    v->drop_leading_space = true;
    v->add_bos = v->add_sep = true;
    IG_TRY(ig_tokens_build(&v->tokens, v->mem, IG_SPELL_MARK, log, err));
    default_role(v, IG_ROLE_BOS, 101);
    default_role(v, IG_ROLE_UNK, 100);
    default_role(v, IG_ROLE_SEP, 102);
    default_role(v, IG_ROLE_PAD, 0);
    default_role(v, IG_ROLE_MASK, 103);
    return INGLE_OK;
}

static const struct {
    const char *name;
    ingle_status (*open)(struct ig_vocab *, const struct ig_vocab_gguf *, const struct ig_log *,
                         ingle_error *);
} models[] = {{"gpt2", open_bpe},
              {"gemma4", open_bpe},
              {"llama", open_spm},
              {"t5", open_unigram},
              {"bert", open_wordpiece}};

/* Which special tokens stand before and after a text. */
static void make_template(struct ig_vocab *v, const struct ig_vocab_gguf *g) {
    v->add_bos = flag(g->add_bos, v->add_bos);
    v->add_eos = flag(g->add_eos, v->add_eos);
    v->add_sep = flag(g->add_sep, v->add_sep);
    if (ig_str_is(g->model, "gemma4")) v->add_bos = true;
    v->add_bos = v->add_bos && v->role[IG_ROLE_BOS] != IG_NO_TOKEN;
    v->add_eos = v->add_eos && v->role[IG_ROLE_EOS] != IG_NO_TOKEN;
    if (v->add_bos) v->before[v->n_before++] = v->role[IG_ROLE_BOS];
    if (v->model == IG_MODEL_WORDPIECE) {
        if (v->add_sep && v->role[IG_ROLE_SEP] != IG_NO_TOKEN)
            v->after[v->n_after++] = v->role[IG_ROLE_SEP];
    } else if (v->add_eos) {
        v->after[v->n_after++] = v->role[IG_ROLE_EOS];
    }
}

/* Tokens that are cut out of a text before anything else. Phi-3 strips the space behind its special
 * tokens. */
static ingle_status collect_added(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                                  ingle_error *err) {
    size_t n = 0;
    for (int32_t id = 0; id < v->tokens.n; id++) {
        unsigned t = v->tokens.type[id] & IG_TYPE_BITS;
        n += t == IG_TOKEN_CONTROL || t == IG_TOKEN_USER || t == IG_TOKEN_UNKNOWN;
    }
    v->added = ig_arena_calloc(&v->arena, n + 1, sizeof *v->added);
    if (!v->added) return ig_fail_memory(err, n * sizeof *v->added);
    bool phi3 = ig_str_is(g->architecture, "phi3") && v->model == IG_MODEL_SPM;
    for (int32_t id = 0; id < v->tokens.n; id++) {
        unsigned t = v->tokens.type[id] & IG_TYPE_BITS;
        if (t != IG_TOKEN_CONTROL && t != IG_TOKEN_USER && t != IG_TOKEN_UNKNOWN) continue;
        struct ig_added *a = &v->added[v->n_added++];
        *a = (struct ig_added){
            .text = ig_tokens_spelling(&v->tokens, id), .id = id, .special = t != IG_TOKEN_USER};
        a->lstrip = ig_str_is(a->text, "<mask>") && v->model != IG_MODEL_SPM;
        a->rstrip = phi3 && !ig_str_is(a->text, "<unk>") && !ig_str_is(a->text, "<s>") &&
                    !ig_str_is(a->text, "<|endoftext|>");
    }
    return INGLE_OK;
}

static ingle_status open(struct ig_vocab *v, const struct ig_vocab_gguf *g,
                         const struct ig_log *log, ingle_error *err) {
    size_t m = 0;
    while (m < sizeof models / sizeof *models && !ig_str_is(g->model, models[m].name)) m++;
    if (m == sizeof models / sizeof *models)
        return ig_fail(err, INGLE_UNSUPPORTED, "a newer version of ingle may know it",
                       "unknown tokenizer.ggml.model \"%.*s\"",
                       (int)(g->model.n < 100 ? g->model.n : 100), g->model.p ? g->model.p : "");
    if (!g->tokens.data)
        return ig_fail(err, INGLE_BAD_FILE, "convert the model again",
                       "tokenizer.ggml.tokens is missing");
    v->tokens.strings = g->tokens;
    IG_TRY(read_types(v, g, err));
    IG_TRY(models[m].open(v, g, log, err));
    IG_TRY(read_roles(v, g, log, err));
    v->unk = v->role[IG_ROLE_UNK];
    v->by_piece = true;
    make_template(v, g);
    IG_TRY(ig_roles_guess(v, log, err)); /* may turn tokens into control tokens */
    IG_TRY(collect_added(v, g, err));
    return ig_vocab_finish(v, log, err);
}

/* Models without a vocabulary: ids only. */
static bool no_vocabulary(struct ig_str model) {
    return ig_str_is(model, "none") || ig_str_is(model, "no_vocab");
}

ingle_status ig_vocab_open_gguf(struct ig_vocab **out, struct ig_mem *mem,
                                const struct ig_vocab_gguf *g, const struct ig_log *log,
                                ingle_error *err) {
    struct ig_vocab *v = ig_calloc(mem, 1, sizeof *v);
    if (!v) return ig_fail_memory(err, sizeof *v);
    v->mem = v->arena.mem = mem;
    v->unk = IG_NO_TOKEN;
    for (int r = 0; r < IG_ROLES; r++) v->role[r] = IG_NO_TOKEN;
    ingle_status status = no_vocabulary(g->model) ? INGLE_OK : open(v, g, log, err);
    if (status == INGLE_OK)
        *out = v;
    else
        ig_vocab_close(v);
    return status;
}
