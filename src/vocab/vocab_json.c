/* A vocabulary from tokenizer.json and the three files beside it. The texts are copied into the
 * same packed form that GGUF has, so that everything behind this file is shared. Order matters:
 * steps first (they decide byte mode), then tokens, merges, template, roles, added tokens. */
#include "vocab/impl.h"

enum { MAX_IDS = 1 << 22, MAX_WORD_CHARS = 300 /* matching is quadratic in it */ };

struct reader {
    struct ig_vocab *v;
    const struct ig_vocab_json *s;
    const struct ig_json *model, *added;
    const struct ig_log *log;
    ingle_error *err;
    struct ig_str *text; /* [n] */
    uint8_t *type;       /* [n] */
    double *score;       /* [n], unigram */
    int32_t n;
};

static ingle_status damaged(struct reader *r, const char *what) {
    return ig_fail(r->err, INGLE_BAD_FILE, "the file is damaged: download it again", "%s", what);
}

static struct ig_str text_of(const struct ig_json *j, const char *key) {
    return ig_json_str(ig_json_get(j, key), "");
}

/* ---- which model ---- */

static ingle_status choose_model(struct reader *r) {
    struct ig_vocab *v = r->v;
    struct ig_str type = text_of(r->model, "type");
    if (ig_str_is(type, "BPE") || (!type.n && ig_json_get(r->model, "merges")))
        v->model = IG_MODEL_BPE;
    else if (ig_str_is(type, "Unigram") ||
             (!type.n && ig_json_is(ig_json_get(r->model, "vocab"), IG_JSON_ARRAY)))
        v->model = IG_MODEL_UNIGRAM;
    else if (ig_str_is(type, "WordPiece") ||
             (!type.n && ig_json_get(r->model, "max_input_chars_per_word")))
        v->model = IG_MODEL_WORDPIECE;
    else if (ig_str_is(type, "WordLevel") || (!type.n && ig_json_get(r->model, "vocab")))
        v->model = IG_MODEL_WORDLEVEL;
    else
        return ig_fail(r->err, INGLE_UNSUPPORTED, "a newer version of ingle may know it",
                       "unknown tokenizer model \"%.*s\"", (int)(type.n < 80 ? type.n : 80),
                       type.p);
    return INGLE_OK;
}

static ingle_status keep(struct reader *r, const char *key, struct ig_str *out,
                         const char *otherwise) {
    struct ig_str s = ig_json_str(ig_json_get(r->model, key), otherwise);
    char *p = ig_arena_copy(&r->v->arena, s.p, s.n);
    *out = (struct ig_str){p, s.n};
    return p ? INGLE_OK : ig_fail_memory(r->err, s.n);
}

static ingle_status model_settings(struct reader *r) {
    struct ig_vocab *v = r->v;
    v->byte_fallback = ig_json_bool(ig_json_get(r->model, "byte_fallback"), false);
    if (v->model == IG_MODEL_BPE) {
        v->fuse_unk = ig_json_bool(ig_json_get(r->model, "fuse_unk"), false);
        v->ignore_merges = ig_json_bool(ig_json_get(r->model, "ignore_merges"), false);
        IG_TRY(keep(r, "continuing_subword_prefix", &v->prefix, ""));
        IG_TRY(keep(r, "end_of_word_suffix", &v->suffix, ""));
    } else if (v->model == IG_MODEL_WORDPIECE) {
        int64_t most = ig_json_i64(ig_json_get(r->model, "max_input_chars_per_word"), 100);
        IG_TRY(keep(r, "continuing_subword_prefix", &v->prefix, "##"));
        v->max_chars = most < 0 ? 0 : most > MAX_WORD_CHARS ? MAX_WORD_CHARS : (uint32_t)most;
    }
    return INGLE_OK;
}

/* The byte alphabet as the last step before BPE means: work on bytes, and do not spell them. */
static void choose_bytes(struct ig_vocab *v) {
    struct ig_pre *last = v->n_pre ? &v->pre[v->n_pre - 1] : NULL;
    if (v->model != IG_MODEL_BPE || v->byte_fallback || v->prefix.n || v->suffix.n || !last ||
        last->kind != IG_PRE_BYTES)
        return;
    for (unsigned i = 0; i + 1 < v->n_pre; i++)
        if (v->pre[i].kind == IG_PRE_BYTES) return;
    last->spell = false;
    v->tokens.bytes = true;
}

/* ---- texts by id ---- */

static ingle_status see_id(struct reader *r, int64_t id, size_t entries, int64_t *most) {
    if (id < 0 || id >= MAX_IDS || (size_t)id > entries * 8 + 65536)
        return ig_fail(r->err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "token id %lld in a vocabulary of %zu", (long long)id, entries);
    if (id > *most) *most = id;
    return INGLE_OK;
}

static ingle_status count_ids(struct reader *r, const struct ig_json *vocab) {
    int64_t most = -1;
    size_t entries = vocab->count + (r->added ? r->added->count : 0u);
    if (r->v->model == IG_MODEL_UNIGRAM) {
        IG_TRY(vocab->count ? see_id(r, (int64_t)vocab->count - 1, entries, &most)
                            : damaged(r, "the vocabulary has no tokens"));
    } else {
        for (const struct ig_json *c = vocab->child; c; c = c->next) {
            if (!c->integer) return damaged(r, "a token's id is not an integer");
            IG_TRY(see_id(r, ig_json_i64(c, -1), entries, &most));
        }
    }
    for (const struct ig_json *c = r->added ? r->added->child : NULL; c; c = c->next)
        IG_TRY(see_id(r, ig_json_i64(ig_json_get(c, "id"), -1), entries, &most));
    if (most < 0) return damaged(r, "the vocabulary has no tokens");
    r->n = (int32_t)most + 1;
    r->text = ig_calloc(r->v->mem, (size_t)r->n, sizeof *r->text);
    r->type = ig_alloc(r->v->mem, (size_t)r->n);
    if (r->type) memset(r->type, IG_TOKEN_UNUSED, (size_t)r->n);
    return r->text && r->type ? INGLE_OK : ig_fail_memory(r->err, (size_t)r->n * sizeof *r->text);
}

static void set_text(struct reader *r, int64_t id, struct ig_str text) {
    r->text[id] = text;
    r->type[id] = r->v->byte_fallback && ig_byte_token(text) >= 0 ? IG_TOKEN_BYTE : IG_TOKEN_NORMAL;
}

static ingle_status read_vocab(struct reader *r, const struct ig_json *vocab) {
    struct ig_vocab *v = r->v;
    int64_t id = 0;
    if (v->model == IG_MODEL_UNIGRAM) {
        v->exact_score = ig_calloc(v->mem, (size_t)r->n, sizeof *v->exact_score);
        if (!v->exact_score) return ig_fail_memory(r->err, (size_t)r->n * 8);
    }
    for (const struct ig_json *c = vocab->child; c; c = c->next, id++) {
        if (v->model == IG_MODEL_UNIGRAM) {
            const struct ig_json *text = c->kind == IG_JSON_ARRAY ? c->child : NULL;
            if (!ig_json_is(text, IG_JSON_STRING) || !ig_json_is(text->next, IG_JSON_NUMBER))
                return damaged(r, "a unigram entry is not [text, score]");
            set_text(r, id, text->text);
            v->exact_score[id] = ig_json_f64(text->next, 0);
        } else {
            set_text(r, ig_json_i64(c, 0), c->key);
        }
    }
    return INGLE_OK;
}

/* One packed block: u32 length and text, as in a GGUF array. */
static ingle_status pack(struct reader *r) {
    struct ig_tokens *t = &r->v->tokens;
    size_t bytes = 0, at = 0;
    for (int32_t id = 0; id < r->n; id++)
        if (!ig_add(bytes, r->text[id].n + 4, &bytes)) return ig_fail_memory(r->err, SIZE_MAX);
    t->own_strings = ig_alloc(r->v->mem, bytes);
    if (!t->own_strings) return ig_fail_memory(r->err, bytes);
    for (int32_t id = 0; id < r->n; id++) {
        struct ig_str s = r->text[id];
        for (unsigned b = 0; b < 4; b++) t->own_strings[at++] = (char)(s.n >> 8 * b);
        if (s.n) memcpy(t->own_strings + at, s.p, s.n);
        at += s.n;
    }
    t->strings =
        (struct ig_vocab_strings){(const uint8_t *)t->own_strings, bytes, (uint64_t)r->n, 4};
    t->type = r->type;
    r->type = NULL;
    return INGLE_OK;
}

/* ---- added tokens ---- */

/* The id an added token has: that of the model's token of the same text, else its own. */
static ingle_status place_added(struct reader *r) {
    struct ig_vocab *v = r->v;
    size_t n = r->added ? r->added->count : 0;
    v->added = ig_arena_calloc(&v->arena, n + 1, sizeof *v->added);
    if (!v->added) return ig_fail_memory(r->err, n * sizeof *v->added);
    for (const struct ig_json *c = r->added ? r->added->child : NULL; c; c = c->next) {
        struct ig_str text = text_of(c, "content");
        int64_t id = ig_json_i64(ig_json_get(c, "id"), -1);
        if (!text.n) continue;
        char *copy = ig_arena_copy(&v->arena, text.p, text.n);
        if (!copy) return ig_fail_memory(r->err, text.n);
        struct ig_added *a = &v->added[v->n_added++];
        *a = (struct ig_added){.text = {copy, text.n}, .id = (int32_t)id};
        a->special = ig_json_bool(ig_json_get(c, "special"), false);
        a->lstrip = ig_json_bool(ig_json_get(c, "lstrip"), false);
        a->rstrip = ig_json_bool(ig_json_get(c, "rstrip"), false);
        a->single_word = ig_json_bool(ig_json_get(c, "single_word"), false);
        a->normalized = ig_json_bool(ig_json_get(c, "normalized"), !a->special);
        bool new_text = !r->text[id].p || !ig_str_eq(r->text[id], text);
        r->text[id] = a->text;
        if (a->special)
            r->type[id] = IG_TOKEN_CONTROL;
        else if (new_text)
            r->type[id] = IG_TOKEN_USER;
    }
    return INGLE_OK;
}

/* ---- merges ---- */

static ingle_status merge_sides(struct reader *r, const struct ig_json *c, struct ig_str *a,
                                struct ig_str *b) {
    if (c->kind == IG_JSON_ARRAY && c->count == 2 && c->child->kind == IG_JSON_STRING &&
        c->child->next->kind == IG_JSON_STRING) {
        *a = c->child->text;
        *b = c->child->next->text;
        return INGLE_OK;
    }
    const char *space =
        c->kind == IG_JSON_STRING && c->text.n ? memchr(c->text.p, ' ', c->text.n) : NULL;
    if (!space) return damaged(r, "a merge is not two texts with a space between");
    *a = (struct ig_str){c->text.p, (size_t)(space - c->text.p)};
    *b = (struct ig_str){space + 1, c->text.n - a->n - 1};
    return INGLE_OK;
}

static int32_t id_of(const struct ig_vocab *v, struct ig_str s) {
    return ig_tokens_find(&v->tokens, s.p, s.n, ig_vocab_hash(s.p, s.n));
}

/* With prefixes and suffixes the joined text is not the two texts joined: pairs of ids. */
static ingle_status id_merge(struct reader *r, struct ig_str a, struct ig_str b,
                             struct ig_buf *joined) {
    struct ig_vocab *v = r->v;
    size_t cut = v->prefix.n && ig_str_starts(b, v->prefix) ? v->prefix.n : 0;
    ig_buf_clear(joined);
    ig_buf_str(joined, a);
    ig_buf_add(joined, b.p + cut, b.n - cut);
    if (joined->failed) return ig_fail_memory(r->err, a.n + b.n);
    int32_t left = id_of(v, a), right = id_of(v, b), result = id_of(v, ig_buf_view(joined));
    if (left < 0 || right < 0 || result < 0)
        return damaged(r, "a merge names a token that is not in the vocabulary");
    ig_merges_add(v, left, right, result);
    return INGLE_OK;
}

static ingle_status read_merges(struct reader *r) {
    struct ig_vocab *v = r->v;
    const struct ig_json *merges = ig_json_get(r->model, "merges");
    bool by_id = v->prefix.n || v->suffix.n;
    struct ig_buf joined = {.mem = v->mem};
    if (!ig_json_is(merges, IG_JSON_ARRAY)) return damaged(r, "model.merges is missing");
    ingle_status status = by_id ? ig_merges_begin(v, merges->count, r->err)
                                : ig_merges_begin_texts(v, merges->count, r->err);
    for (const struct ig_json *c = merges->child; c && status == INGLE_OK; c = c->next) {
        struct ig_str a = {0}, b = {0};
        status = merge_sides(r, c, &a, &b);
        if (status != INGLE_OK) break;
        if (by_id)
            status = id_merge(r, a, b, &joined);
        else
            ig_merges_add_texts(v, a, b);
    }
    ig_buf_free(&joined);
    return status == INGLE_OK ? ig_merges_end(v, r->err) : status;
}

/* ---- roles ---- */

static int32_t named(const struct ig_vocab *v, const struct ig_json *config, const char *key) {
    const struct ig_json *j = ig_json_get(config, key);
    if (ig_json_is(j, IG_JSON_OBJECT)) j = ig_json_get(j, "content");
    return ig_json_is(j, IG_JSON_STRING) ? ig_vocab_find(v, j->text) : IG_NO_TOKEN;
}

/* An id or the first of a list of ids. */
static int32_t numbered(const struct ig_vocab *v, const struct ig_json *config, const char *key) {
    const struct ig_json *j = ig_json_get(config, key);
    if (ig_json_is(j, IG_JSON_ARRAY)) j = j->child;
    int64_t id = j && j->kind == IG_JSON_NUMBER ? ig_json_i64(j, -1) : -1;
    return id >= 0 && id < v->tokens.n ? (int32_t)id : IG_NO_TOKEN;
}

static void read_roles(struct reader *r) {
    static const struct {
        uint8_t role;
        const char *name, *id;
    } rows[] = {
        {IG_ROLE_BOS, "bos_token", "bos_token_id"},   {IG_ROLE_BOS, "cls_token", "cls_token_id"},
        {IG_ROLE_EOS, "eos_token", "eos_token_id"},   {IG_ROLE_UNK, "unk_token", "unk_token_id"},
        {IG_ROLE_SEP, "sep_token", "sep_token_id"},   {IG_ROLE_PAD, "pad_token", "pad_token_id"},
        {IG_ROLE_MASK, "mask_token", "mask_token_id"}};
    struct ig_vocab *v = r->v;
    const struct ig_json *configs[] = {r->s->generation_config, r->s->config,
                                       ig_json_get(r->s->config, "text_config")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t *role = &v->role[rows[i].role];
        if (*role == IG_NO_TOKEN) *role = named(v, r->s->tokenizer_config, rows[i].name);
        for (size_t c = 0; c < 3 && *role == IG_NO_TOKEN; c++)
            *role = numbered(v, configs[c], rows[i].id);
    }
}

/* Every id of eos_token_id ends the generation. */
static void read_ends(struct reader *r) {
    const struct ig_json *configs[] = {r->s->generation_config, r->s->config,
                                       ig_json_get(r->s->config, "text_config")};
    for (size_t c = 0; c < 3; c++) {
        const struct ig_json *j = ig_json_get(configs[c], "eos_token_id");
        for (const struct ig_json *i = ig_json_is(j, IG_JSON_ARRAY) ? j->child : j; i;
             i = j == i ? NULL : i->next) {
            int64_t id = i->kind == IG_JSON_NUMBER ? ig_json_i64(i, -1) : -1;
            if (id >= 0 && id < r->v->tokens.n) ig_mark_end(r->v, (int32_t)id);
        }
    }
}

static ingle_status read_unknown(struct reader *r) {
    struct ig_vocab *v = r->v;
    if (v->model == IG_MODEL_UNIGRAM) {
        int64_t id = ig_json_i64(ig_json_get(r->model, "unk_id"), -1);
        if (id >= v->tokens.n) return damaged(r, "unk_id is not in the vocabulary");
        v->unk = id < 0 ? IG_NO_TOKEN : (int32_t)id;
        v->fuse_unk = true;
    } else {
        struct ig_str unk = ig_json_str(ig_json_get(r->model, "unk_token"), "");
        v->unk = unk.n ? ig_vocab_find(v, unk) : IG_NO_TOKEN;
    }
    if (v->role[IG_ROLE_UNK] == IG_NO_TOKEN) v->role[IG_ROLE_UNK] = v->unk;
    return INGLE_OK;
}

/* Llama's and Gemma's tokenizer classes build their own template from add_bos_token and
 * add_eos_token. */
static void class_template(struct reader *r) {
    struct ig_vocab *v = r->v;
    struct ig_str class = text_of(r->s->tokenizer_config, "tokenizer_class");
    const struct ig_json *bos = ig_json_get(r->s->tokenizer_config, "add_bos_token");
    const struct ig_json *eos = ig_json_get(r->s->tokenizer_config, "add_eos_token");
    bool own = ig_str_starts(class, IG_STR("LlamaTokenizer")) ||
               ig_str_starts(class, IG_STR("GemmaTokenizer")) ||
               ig_str_starts(class, IG_STR("CodeLlamaTokenizer"));
    if (own && ig_json_is(bos, IG_JSON_BOOL) && v->role[IG_ROLE_BOS] != IG_NO_TOKEN) {
        v->n_before = bos->truth;
        v->before[0] = v->role[IG_ROLE_BOS];
    }
    if (own && ig_json_is(eos, IG_JSON_BOOL) && v->role[IG_ROLE_EOS] != IG_NO_TOKEN) {
        v->n_after = eos->truth;
        v->after[0] = v->role[IG_ROLE_EOS];
    }
    v->add_bos = v->n_before && v->before[0] == v->role[IG_ROLE_BOS];
    v->add_eos = v->n_after && v->after[v->n_after - 1] == v->role[IG_ROLE_EOS];
}

/* ---- all together ---- */

static enum ig_spelling_kind spelling_kind(const struct ig_vocab *v) {
    bool marks = false;
    if (v->tokens.bytes) return IG_SPELL_BYTES;
    for (unsigned i = 0; i < v->n_dec; i++) {
        if (v->dec[i].kind == IG_DEC_BYTES) return IG_SPELL_BYTES;
        marks |= v->dec[i].kind == IG_DEC_METASPACE ||
                 (v->dec[i].kind == IG_DEC_REPLACE && ig_str_is(v->dec[i].a, IG_SPACE_MARK));
    }
    return marks ? IG_SPELL_MARK : IG_SPELL_PLAIN;
}

static bool loses_nothing(const struct ig_vocab *v) {
    if (!v->tokens.bytes || v->n_norm) return false;
    for (unsigned i = 0; i < v->n_pre; i++)
        if (v->pre[i].kind == IG_PRE_SPLIT && v->pre[i].behavior == IG_REMOVED) return false;
    for (unsigned b = 0; b < 256; b++)
        if (v->tokens.byte_id[b] == IG_NO_TOKEN) return false;
    return true;
}

static ingle_status read_tokens(struct reader *r) {
    struct ig_vocab *v = r->v;
    const struct ig_json *vocab = ig_json_get(r->model, "vocab");
    bool list = v->model == IG_MODEL_UNIGRAM;
    if (!ig_json_is(vocab, list ? IG_JSON_ARRAY : IG_JSON_OBJECT))
        return damaged(r, "model.vocab is missing");
    r->added = ig_json_get(r->s->tokenizer, "added_tokens");
    if (!ig_json_is(r->added, IG_JSON_ARRAY)) r->added = NULL;
    IG_TRY(count_ids(r, vocab));
    IG_TRY(read_vocab(r, vocab));
    IG_TRY(place_added(r));
    IG_TRY(pack(r));
    return ig_tokens_build(&v->tokens, v->mem, spelling_kind(v), r->log, r->err);
}

static ingle_status open(struct reader *r) {
    struct ig_vocab *v = r->v;
    const struct ig_json *t = r->s->tokenizer;
    r->model = ig_json_get(t, "model");
    if (!ig_json_is(r->model, IG_JSON_OBJECT)) return damaged(r, "\"model\" is missing");
    IG_TRY(choose_model(r));
    IG_TRY(model_settings(r));
    IG_TRY(ig_json_normalizers(v, ig_json_get(t, "normalizer"), r->err));
    IG_TRY(ig_json_pretokenizers(v, ig_json_get(t, "pre_tokenizer"), r->err));
    IG_TRY(ig_json_decoders(v, ig_json_get(t, "decoder"), r->err));
    choose_bytes(v);
    IG_TRY(read_tokens(r));
    if (v->model == IG_MODEL_BPE) IG_TRY(read_merges(r));
    if (v->model == IG_MODEL_UNIGRAM) IG_TRY(ig_unigram_build(v, r->err));
    IG_TRY(ig_json_template(v, ig_json_get(t, "post_processor"), r->err));
    v->lossless = loses_nothing(v);
    read_roles(r);
    IG_TRY(read_unknown(r));
    class_template(r);
    IG_TRY(ig_roles_guess(v, r->log, r->err));
    read_ends(r);
    return ig_vocab_finish(v, r->log, r->err);
}

ingle_status ig_vocab_open_json(struct ig_vocab **out, struct ig_mem *mem,
                                const struct ig_vocab_json *source, const struct ig_log *log,
                                ingle_error *err) {
    struct ig_vocab *v = ig_calloc(mem, 1, sizeof *v);
    if (!v) return ig_fail_memory(err, sizeof *v);
    v->mem = v->arena.mem = mem;
    v->unk = IG_NO_TOKEN;
    for (int role = 0; role < IG_ROLES; role++) v->role[role] = IG_NO_TOKEN;
    struct reader r = {.v = v, .s = source, .log = log, .err = err};
    ingle_status status = open(&r);
    ig_free(mem, r.text);
    ig_free(mem, r.type);
    if (status == INGLE_OK)
        *out = v;
    else
        ig_vocab_close(v);
    return status;
}
