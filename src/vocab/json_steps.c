/* Normalizers, pre-tokenizers, decoders and post-processors of tokenizer.json, as the steps the
 * room works with. Sequences are flattened. A step this file does not name is refused by name:
 * leaving it out would change the text. */
#include "vocab/impl.h"
#include "base/utf8.h"

enum { MAX_NESTING = 16 };

static ingle_status unknown(ingle_error *err, const char *what, struct ig_str type) {
    return ig_fail(err, INGLE_UNSUPPORTED, "a newer version of ingle may know it",
                   "unknown %s \"%.*s\"", what, (int)(type.n < 80 ? type.n : 80),
                   type.p ? type.p : "");
}

static ingle_status too_many(ingle_error *err, const char *what) {
    return ig_fail(err, INGLE_UNSUPPORTED, "report this tokenizer", "more than %d %s", IG_MAX_STEPS,
                   what);
}

static struct ig_str kept(struct ig_vocab *v, struct ig_str s) {
    char *p = ig_arena_copy(&v->arena, s.p ? s.p : "", s.n);
    return (struct ig_str){p, p ? s.n : 0};
}

static struct ig_str text_of(const struct ig_json *j, const char *key) {
    return ig_json_str(ig_json_get(j, key), "");
}

/* {"String": s} gives *literal; {"Regex": r} opens *regex. */
static ingle_status pattern(struct ig_vocab *v, const struct ig_json *j, struct ig_str *literal,
                            struct ig_regex **regex, ingle_error *err) {
    const struct ig_json *p = ig_json_get(j, "pattern");
    const struct ig_json *r = ig_json_get(p, "Regex"), *s = ig_json_get(p, "String");
    *literal = (struct ig_str){NULL, 0};
    if (ig_json_is(r, IG_JSON_STRING)) return ig_regex_open(regex, v->mem, r->text, 0, err);
    if (!s) s = p;
    if (!ig_json_is(s, IG_JSON_STRING))
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "a pattern is neither String nor Regex");
    *literal = kept(v, s->text);
    return literal->p ? INGLE_OK : ig_fail_memory(err, s->text.n);
}

/* ---- normalizers ---- */

static ingle_status base64(struct ig_vocab *v, struct ig_str in, struct ig_str *out,
                           ingle_error *err) {
    char *p = ig_arena_alloc(&v->arena, in.n / 4 * 3 + 4);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    if (!p) return ig_fail_memory(err, in.n);
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        char c = in.p[i];
        int d = c >= 'A' && c <= 'Z'   ? c - 'A'
                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52
                : c == '+'             ? 62
                : c == '/'             ? 63
                                       : -1;
        if (d < 0)
            return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                           "precompiled_charsmap is not base64 at byte %zu", i);
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (char)(bits >> have);
    }
    *out = (struct ig_str){p, n};
    return INGLE_OK;
}

static ingle_status charsmap(struct ig_vocab *v, const struct ig_json *j, struct ig_norm *s,
                             ingle_error *err) {
    struct ig_str text = text_of(j, "precompiled_charsmap");
    if (!text.n) return INGLE_OK;
    IG_TRY(base64(v, text, &s->charsmap, err));
    if (!ig_charsmap_ok(s->charsmap))
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "precompiled_charsmap: its trie does not fit its %zu bytes", s->charsmap.n);
    return INGLE_OK;
}

static const struct {
    const char *name;
    uint8_t kind;
} norm_names[] = {{"NFC", IG_NORM_NFC},
                  {"NFD", IG_NORM_NFD},
                  {"NFKC", IG_NORM_NFKC},
                  {"NFKD", IG_NORM_NFKD},
                  {"Lowercase", IG_NORM_LOWERCASE},
                  {"Strip", IG_NORM_STRIP},
                  {"StripAccents", IG_NORM_STRIP_ACCENTS},
                  {"Replace", IG_NORM_REPLACE},
                  {"Prepend", IG_NORM_PREPEND},
                  {"BertNormalizer", IG_NORM_BERT},
                  {"Nmt", IG_NORM_NMT},
                  {"Precompiled", IG_NORM_CHARSMAP},
                  {"ByteLevel", IG_NORM_BYTES}};

static ingle_status normalizer(struct ig_vocab *v, const struct ig_json *j, struct ig_norm *s,
                               ingle_error *err) {
    switch (s->kind) {
    case IG_NORM_STRIP:
        s->left = ig_json_bool(ig_json_get(j, "strip_left"), true);
        s->right = ig_json_bool(ig_json_get(j, "strip_right"), true);
        return INGLE_OK;
    case IG_NORM_REPLACE:
        s->to = kept(v, text_of(j, "content"));
        if (!s->to.p) return ig_fail_memory(err, 1);
        IG_TRY(pattern(v, j, &s->from, &s->regex, err));
        return s->regex || s->from.n ? INGLE_OK
                                     : ig_regex_open_literal(&s->regex, v->mem, s->from, err);
    case IG_NORM_PREPEND:
        s->to = kept(v, text_of(j, "prepend"));
        return s->to.p ? INGLE_OK : ig_fail_memory(err, 1);
    case IG_NORM_BERT:
        s->clean = ig_json_bool(ig_json_get(j, "clean_text"), true);
        s->chinese = ig_json_bool(ig_json_get(j, "handle_chinese_chars"), true);
        s->lowercase = ig_json_bool(ig_json_get(j, "lowercase"), true);
        s->strip_accents =
            ig_json_bool(ig_json_get(j, "strip_accents"), s->lowercase); /* null: as lowercase */
        return INGLE_OK;
    case IG_NORM_CHARSMAP: return charsmap(v, j, s, err);
    default: return INGLE_OK;
    }
}

static ingle_status normalizers(struct ig_vocab *v, const struct ig_json *j, unsigned depth,
                                ingle_error *err) {
    struct ig_str type = text_of(j, "type");
    if (!j || j->kind == IG_JSON_NULL) return INGLE_OK;
    if (ig_str_is(type, "Sequence")) {
        const struct ig_json *list = ig_json_get(j, "normalizers");
        if (depth > MAX_NESTING) return too_many(err, "nested normalizers");
        for (const struct ig_json *c = list ? list->child : NULL; c; c = c->next)
            IG_TRY(normalizers(v, c, depth + 1, err));
        return INGLE_OK;
    }
    for (size_t i = 0; i < sizeof norm_names / sizeof *norm_names; i++) {
        if (!ig_str_is(type, norm_names[i].name)) continue;
        if (v->n_norm == IG_MAX_STEPS) return too_many(err, "normalizers");
        struct ig_norm *s = &v->norm[v->n_norm++];
        *s = (struct ig_norm){.kind = norm_names[i].kind};
        return normalizer(v, j, s, err);
    }
    return unknown(err, "normalizer", type);
}

ingle_status ig_json_normalizers(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    return normalizers(v, j, 0, err);
}

/* ---- pre-tokenizers ---- */

static ingle_status behavior(const struct ig_json *j, uint8_t otherwise, uint8_t *out,
                             ingle_error *err) {
    static const struct {
        const char *name;
        uint8_t value;
    } names[] = {{"Removed", IG_REMOVED},
                 {"Isolated", IG_ISOLATED},
                 {"MergedWithPrevious", IG_MERGED_WITH_PREVIOUS},
                 {"MergedWithNext", IG_MERGED_WITH_NEXT},
                 {"Contiguous", IG_CONTIGUOUS}};
    const struct ig_json *b = ig_json_get(j, "behavior");
    *out = otherwise;
    if (!b) return INGLE_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!ig_str_is(ig_json_str(b, ""), names[i].name)) continue;
        *out = names[i].value;
        return INGLE_OK;
    }
    return unknown(err, "split behavior", ig_json_str(b, ""));
}

static ingle_status new_step(struct ig_vocab *v, struct ig_pre step, struct ig_pre **out,
                             ingle_error *err) {
    if (v->n_pre == IG_MAX_STEPS) return too_many(err, "pre-tokenizers");
    v->pre[v->n_pre] = step;
    *out = &v->pre[v->n_pre++];
    return INGLE_OK;
}

/* A step that cuts where `regex` matches. */
static ingle_status cuts(struct ig_vocab *v, const char *regex, uint8_t how, bool invert,
                         ingle_error *err) {
    struct ig_pre *s = NULL;
    IG_TRY(new_step(v, (struct ig_pre){.kind = IG_PRE_SPLIT, .behavior = how, .invert = invert}, &s,
                    err));
    return ig_regex_open(&s->regex, v->mem, ig_str_of(regex), 0, err);
}

static const char punctuation[] = "\\p{BertPunctuation}";

static ingle_status split(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    struct ig_pre *s = NULL;
    struct ig_str literal = {0};
    IG_TRY(new_step(v, (struct ig_pre){.kind = IG_PRE_SPLIT}, &s, err));
    IG_TRY(behavior(j, IG_ISOLATED, &s->behavior, err));
    s->invert = ig_json_bool(ig_json_get(j, "invert"), false);
    IG_TRY(pattern(v, j, &literal, &s->regex, err));
    return s->regex ? INGLE_OK : ig_regex_open_literal(&s->regex, v->mem, literal, err);
}

static ingle_status metaspace(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    struct ig_str mark = ig_json_str(ig_json_get(j, "replacement"), IG_SPACE_MARK);
    struct ig_str scheme = ig_json_str(ig_json_get(j, "prepend_scheme"), "");
    struct ig_pre *s = NULL;
    if (!mark.n || mark.n > 4) return unknown(err, "Metaspace replacement", mark);
    IG_TRY(new_step(v, (struct ig_pre){.kind = IG_PRE_METASPACE}, &s, err));
    memcpy(s->mark, mark.p, mark.n);
    bool prefix = ig_json_bool(ig_json_get(j, "add_prefix_space"), true); /* older files */
    s->prepend = ig_str_is(scheme, "never")   ? IG_PREPEND_NEVER
                 : ig_str_is(scheme, "first") ? IG_PREPEND_FIRST
                 : scheme.n || prefix         ? IG_PREPEND_ALWAYS
                                              : IG_PREPEND_NEVER;
    s->split = ig_json_bool(ig_json_get(j, "split"), true);
    return ig_regex_open_literal(&s->regex, v->mem, mark, err);
}

static ingle_status bytes(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    struct ig_pre *s = NULL;
    IG_TRY(new_step(v, (struct ig_pre){.kind = IG_PRE_BYTES, .spell = true}, &s, err));
    s->prefix_space = ig_json_bool(ig_json_get(j, "add_prefix_space"), true);
    if (!ig_json_bool(ig_json_get(j, "use_regex"), true)) return INGLE_OK;
    return ig_regex_open(
        &s->regex, v->mem,
        IG_STR(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
        0, err);
}

static ingle_status fixed_length(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    struct ig_pre *s = NULL;
    int64_t length = ig_json_i64(ig_json_get(j, "length"), 5);
    if (length < 1 || length > INT32_MAX)
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "FixedLength of %lld", (long long)length);
    return new_step(v, (struct ig_pre){.kind = IG_PRE_FIXED_LENGTH, .length = (uint32_t)length}, &s,
                    err);
}

static ingle_status delimiter(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    struct ig_pre *s = NULL;
    IG_TRY(new_step(v, (struct ig_pre){.kind = IG_PRE_SPLIT, .behavior = IG_REMOVED}, &s, err));
    return ig_regex_open_literal(&s->regex, v->mem, text_of(j, "delimiter"), err);
}

static ingle_status punctuation_step(struct ig_vocab *v, const struct ig_json *j,
                                     ingle_error *err) {
    uint8_t how = IG_ISOLATED;
    IG_TRY(behavior(j, IG_ISOLATED, &how, err));
    return cuts(v, punctuation, how, false, err);
}

static ingle_status pretokenizer(struct ig_vocab *v, const struct ig_json *j, struct ig_str type,
                                 ingle_error *err) {
    struct ig_pre *s = NULL;
    if (ig_str_is(type, "ByteLevel")) return bytes(v, j, err);
    if (ig_str_is(type, "Metaspace")) return metaspace(v, j, err);
    if (ig_str_is(type, "Split")) return split(v, j, err);
    if (ig_str_is(type, "Whitespace")) return cuts(v, "\\w+|[^\\w\\s]+", IG_REMOVED, true, err);
    if (ig_str_is(type, "WhitespaceSplit")) return cuts(v, "\\s", IG_REMOVED, false, err);
    if (ig_str_is(type, "Digits"))
        return cuts(v, "\\p{N}",
                    ig_json_bool(ig_json_get(j, "individual_digits"), false) ? IG_ISOLATED
                                                                             : IG_CONTIGUOUS,
                    false, err);
    if (ig_str_is(type, "Punctuation")) return punctuation_step(v, j, err);
    if (ig_str_is(type, "BertPreTokenizer")) {
        IG_TRY(cuts(v, "\\s", IG_REMOVED, false, err));
        return cuts(v, punctuation, IG_ISOLATED, false, err);
    }
    if (ig_str_is(type, "CharDelimiterSplit")) return delimiter(v, j, err);
    if (ig_str_is(type, "UnicodeScripts"))
        return new_step(v, (struct ig_pre){.kind = IG_PRE_SCRIPTS}, &s, err);
    if (ig_str_is(type, "FixedLength")) return fixed_length(v, j, err);
    return unknown(err, "pre-tokenizer", type);
}

static ingle_status pretokenizers(struct ig_vocab *v, const struct ig_json *j, unsigned depth,
                                  ingle_error *err) {
    struct ig_str type = text_of(j, "type");
    if (!j || j->kind == IG_JSON_NULL) return INGLE_OK;
    if (!ig_str_is(type, "Sequence")) return pretokenizer(v, j, type, err);
    const struct ig_json *list = ig_json_get(j, "pretokenizers");
    if (depth > MAX_NESTING) return too_many(err, "nested pre-tokenizers");
    for (const struct ig_json *c = list ? list->child : NULL; c; c = c->next)
        IG_TRY(pretokenizers(v, c, depth + 1, err));
    return INGLE_OK;
}

ingle_status ig_json_pretokenizers(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    return pretokenizers(v, j, 0, err);
}

/* ---- decoders ---- */

static ingle_status decoder(struct ig_vocab *v, const struct ig_json *j, struct ig_str type,
                            struct ig_decode *s, ingle_error *err) {
    if (ig_str_is(type, "ByteLevel")) {
        s->kind = IG_DEC_BYTES;
    } else if (ig_str_is(type, "ByteFallback")) {
        s->kind = IG_DEC_BYTE_FALLBACK;
    } else if (ig_str_is(type, "Fuse")) {
        s->kind = IG_DEC_FUSE;
    } else if (ig_str_is(type, "Metaspace")) {
        struct ig_str scheme = ig_json_str(ig_json_get(j, "prepend_scheme"), "");
        s->kind = IG_DEC_METASPACE;
        s->a = kept(v, ig_json_str(ig_json_get(j, "replacement"), IG_SPACE_MARK));
        s->drop_first = scheme.n ? !ig_str_is(scheme, "never")
                                 : ig_json_bool(ig_json_get(j, "add_prefix_space"), true);
    } else if (ig_str_is(type, "WordPiece")) {
        s->kind = IG_DEC_WORDPIECE;
        s->a = kept(v, ig_json_str(ig_json_get(j, "prefix"), "##"));
        s->cleanup = ig_json_bool(ig_json_get(j, "cleanup"), true);
    } else if (ig_str_is(type, "BPEDecoder")) {
        s->kind = IG_DEC_BPE;
        s->a = kept(v, ig_json_str(ig_json_get(j, "suffix"), "</w>"));
    } else if (ig_str_is(type, "CTC")) {
        s->kind = IG_DEC_CTC;
        s->a = kept(v, ig_json_str(ig_json_get(j, "pad_token"), "<pad>"));
        s->b = kept(v, ig_json_str(ig_json_get(j, "word_delimiter_token"), "|"));
        s->cleanup = ig_json_bool(ig_json_get(j, "cleanup"), true);
    } else if (ig_str_is(type, "Strip")) {
        s->kind = IG_DEC_STRIP;
        s->a = kept(v, ig_json_str(ig_json_get(j, "content"), " "));
        s->start = (uint32_t)ig_json_i64(ig_json_get(j, "start"), 0);
        s->stop = (uint32_t)ig_json_i64(ig_json_get(j, "stop"), 0);
        if (s->stop > 8) return unknown(err, "Strip decoder with a stop above 8:", type);
    } else if (ig_str_is(type, "Replace")) {
        s->kind = IG_DEC_REPLACE;
        s->b = kept(v, text_of(j, "content"));
        return pattern(v, j, &s->a, &s->regex, err);
    } else {
        return unknown(err, "decoder", type);
    }
    return INGLE_OK;
}

static ingle_status decoders(struct ig_vocab *v, const struct ig_json *j, unsigned depth,
                             ingle_error *err) {
    struct ig_str type = text_of(j, "type");
    if (!j || j->kind == IG_JSON_NULL) return INGLE_OK;
    if (ig_str_is(type, "Sequence")) {
        const struct ig_json *list = ig_json_get(j, "decoders");
        if (depth > MAX_NESTING) return too_many(err, "nested decoders");
        for (const struct ig_json *c = list ? list->child : NULL; c; c = c->next)
            IG_TRY(decoders(v, c, depth + 1, err));
        return INGLE_OK;
    }
    if (v->n_dec == IG_MAX_STEPS) return too_many(err, "decoders");
    bool fused = v->n_dec && v->dec[v->n_dec - 1].kind == IG_DEC_FUSE;
    struct ig_decode *s = &v->dec[v->n_dec++];
    IG_TRY(decoder(v, j, type, s, err));
    if (fused && s->kind != IG_DEC_STRIP && s->kind != IG_DEC_FUSE)
        return unknown(err, "decoder after Fuse", type);
    return INGLE_OK;
}

/* Joining tokens' bytes is enough for the two commonest forms. */
static void recognise(struct ig_vocab *v) {
    const struct ig_decode *d = v->dec;
    if (v->n_dec == 1 && d->kind == IG_DEC_BYTES) v->by_piece = true;
    bool marks = v->n_dec >= 3 && d[0].kind == IG_DEC_REPLACE && !d[0].regex &&
                 ig_str_is(d[0].a, IG_SPACE_MARK) && ig_str_is(d[0].b, " ") &&
                 d[1].kind == IG_DEC_BYTE_FALLBACK && d[2].kind == IG_DEC_FUSE;
    bool strip = v->n_dec == 4 && d[3].kind == IG_DEC_STRIP && ig_str_is(d[3].a, " ") &&
                 d[3].start == 1 && !d[3].stop;
    if (!marks || (v->n_dec != 3 && !strip)) return;
    v->by_piece = true;
    v->drop_leading_space = strip;
}

ingle_status ig_json_decoders(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    IG_TRY(decoders(v, j, 0, err));
    recognise(v);
    return INGLE_OK;
}

/* ---- post-processors ---- */

static ingle_status surround(struct ig_vocab *v, int64_t id, bool after, ingle_error *err) {
    if (id < 0 || id >= v->tokens.n)
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "post_processor: token %lld is not in the vocabulary of %d", (long long)id,
                       v->tokens.n);
    if ((after ? v->n_after : v->n_before) == IG_MAX_TEMPLATE)
        return too_many(err, "template tokens");
    if (after)
        v->after[v->n_after++] = (int32_t)id;
    else
        v->before[v->n_before++] = (int32_t)id;
    return INGLE_OK;
}

static ingle_status template(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    const struct ig_json *single = ig_json_get(j, "single"),
                         *specials = ig_json_get(j, "special_tokens");
    bool after = false;
    for (const struct ig_json *c = single ? single->child : NULL; c; c = c->next) {
        if (ig_json_get(c, "Sequence")) after = true;
        const struct ig_json *special = ig_json_get(c, "SpecialToken");
        if (!special) continue;
        struct ig_str name = text_of(special, "id");
        for (const struct ig_json *s = specials ? specials->child : NULL; s; s = s->next) {
            if (!ig_str_eq(s->key, name)) continue;
            const struct ig_json *ids = ig_json_get(s, "ids");
            for (const struct ig_json *i = ids ? ids->child : NULL; i; i = i->next)
                IG_TRY(surround(v, ig_json_i64(i, -1), after, err));
            break;
        }
    }
    return INGLE_OK;
}

static ingle_status processors(struct ig_vocab *v, const struct ig_json *j, unsigned depth,
                               ingle_error *err) {
    struct ig_str type = text_of(j, "type");
    if (!j || j->kind == IG_JSON_NULL || ig_str_is(type, "ByteLevel")) return INGLE_OK;
    if (ig_str_is(type, "Sequence")) {
        const struct ig_json *list = ig_json_get(j, "processors");
        if (depth > MAX_NESTING) return too_many(err, "nested post-processors");
        for (const struct ig_json *c = list ? list->child : NULL; c; c = c->next)
            IG_TRY(processors(v, c, depth + 1, err));
        return INGLE_OK;
    }
    if (ig_str_is(type, "TemplateProcessing")) return template(v, j, err);
    if (ig_str_is(type, "BertProcessing") || ig_str_is(type, "RobertaProcessing")) {
        IG_TRY(surround(v, ig_json_i64(ig_json_at(ig_json_get(j, "cls"), 1), -1), false, err));
        return surround(v, ig_json_i64(ig_json_at(ig_json_get(j, "sep"), 1), -1), true, err);
    }
    return unknown(err, "post-processor", type);
}

ingle_status ig_json_template(struct ig_vocab *v, const struct ig_json *j, ingle_error *err) {
    return processors(v, j, 0, err);
}
