/* Pre-tokenizers: a text into the pieces that the model sees one by one. A step reads pieces (spans
 * of the current text) and writes pieces; the few that change the text itself write a new text as
 * well. Everything that cuts by characters is a regex with a behaviour, so there is one loop for
 * all of them. Pieces are never empty. */
#include "vocab/impl.h"
#include "base/utf8.h"

struct cut {
    struct ig_buf *out; /* struct ig_piece */
    uint8_t behavior;
    bool invert;
    bool any, last_match; /* state of the behaviour */
    struct ig_piece held; /* MERGED_WITH_NEXT, CONTIGUOUS */
    bool holding;
};

static void put(struct cut *c, uint32_t start, uint32_t end) {
    struct ig_piece p = {start, end};
    if (start < end) ig_buf_add(c->out, (const char *)&p, sizeof p);
}

static void let_go(struct cut *c) {
    if (c->holding) put(c, c->held.start, c->held.end);
    c->holding = false;
}

static void hold(struct cut *c, uint32_t start, uint32_t end) {
    c->held = (struct ig_piece){start, end};
    c->holding = true;
}

/* Every span of the piece comes here in order, matches and what lies between them. */
static void span(struct cut *c, uint32_t start, uint32_t end, bool match) {
    match ^= c->invert;
    switch (c->behavior) {
    case IG_REMOVED:
        if (!match) put(c, start, end);
        break;
    case IG_MERGED_WITH_PREVIOUS: /* the last piece stays held until it is known that nothing joins
                                     it */
        if (match && !c->last_match && c->holding) {
            c->held.end = end;
        } else {
            let_go(c);
            hold(c, start, end);
        }
        break;
    case IG_MERGED_WITH_NEXT: /* a match is held until the next span shows whether it takes it in */
        if (c->holding && !match) {
            put(c, c->held.start, end);
            c->holding = false;
        } else {
            let_go(c);
            if (match)
                hold(c, start, end);
            else
                put(c, start, end);
        }
        break;
    case IG_CONTIGUOUS:
        if (c->holding && match == c->last_match) {
            c->held.end = end;
        } else {
            let_go(c);
            hold(c, start, end);
        }
        break;
    default: put(c, start, end); break;
    }
    c->last_match = match;
}

/* Notes for a text of n bytes. */
static uint16_t *notes_for(struct ig_enc *e, size_t n) {
    ig_buf_clear(&e->notes);
    return ig_buf_reserve(&e->notes, (n + 2) * sizeof(uint16_t)) ? (uint16_t *)(void *)e->notes.p
                                                                 : NULL;
}

static void cut_piece(const struct ig_regex *r, const char *text, struct ig_piece p,
                      uint16_t *notes, struct cut *c) {
    const char *at = text + p.start;
    size_t n = p.end - p.start, from = 0, done = 0, start, end, last_end = SIZE_MAX;
    ig_regex_prepare(r, at, n, notes);
    c->holding = c->last_match = false;
    while (ig_regex_next(r, at, n, notes, from, &start, &end)) {
        if (start == end && start == last_end) { /* empty right behind a match */
            if (end >= n) break;
            uint32_t cp;
            unsigned len = ig_utf8_decode(at + end, n - end, &cp);
            from = end + (len ? len : 1);
            last_end = SIZE_MAX;
            continue;
        }
        if (done != start) span(c, p.start + (uint32_t)done, p.start + (uint32_t)start, false);
        span(c, p.start + (uint32_t)start, p.start + (uint32_t)end, true);
        done = from = last_end = end;
    }
    if (done != n) span(c, p.start + (uint32_t)done, p.end, false);
    let_go(c);
}

static size_t count(const struct ig_buf *b) {
    return b->n / sizeof(struct ig_piece);
}
static struct ig_piece *items(const struct ig_buf *b) {
    return (struct ig_piece *)(void *)b->p;
}

static void swap_pieces(struct ig_enc *e) {
    struct ig_buf t = e->pieces[0];
    e->pieces[0] = e->pieces[1];
    e->pieces[1] = t;
}

static ingle_status split(struct ig_enc *e, const struct ig_regex *r, uint8_t behavior, bool invert,
                          struct ig_str text) {
    size_t longest = 0;
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i];
        if (p.end - p.start > longest) longest = p.end - p.start;
    }
    uint16_t *notes = notes_for(e, longest);
    if (!notes) return ig_fail_memory(e->err, longest * 2);
    ig_buf_clear(&e->pieces[1]);
    struct cut c = {.out = &e->pieces[1], .behavior = behavior, .invert = invert};
    for (size_t i = 0; i < count(&e->pieces[0]); i++)
        cut_piece(r, text.p, items(&e->pieces[0])[i], notes, &c);
    if (e->pieces[1].failed) return ig_fail_memory(e->err, e->pieces[1].n);
    swap_pieces(e);
    return INGLE_OK;
}

/* ---- steps that rewrite the text: the other text buffer becomes the current one ---- */

static struct ig_buf *other_text(struct ig_enc *e, struct ig_str text) {
    struct ig_buf *b =
        &e->text[e->text[0].p && text.p >= e->text[0].p && text.p <= e->text[0].p + e->text[0].cap];
    ig_buf_clear(b);
    return b;
}

static ingle_status finish_rewrite(struct ig_enc *e, struct ig_buf *b, struct ig_str *text) {
    if (b->failed || e->pieces[1].failed) return ig_fail_memory(e->err, b->n);
    if (b->n >= UINT32_MAX)
        return ig_fail(e->err, INGLE_LIMIT, "split the text", "the text is too long to tokenize");
    *text = ig_buf_view(b);
    swap_pieces(e);
    e->turn++;
    return INGLE_OK;
}

static ingle_status metaspace(struct ig_enc *e, const struct ig_pre *step, struct ig_str *text) {
    struct ig_buf *b = other_text(e, *text);
    struct ig_str mark = ig_str_of(step->mark);
    ig_buf_clear(&e->pieces[1]);
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i], q = {(uint32_t)b->n, 0};
        struct ig_str s = {text->p + p.start, p.end - p.start};
        bool marked = s.p[0] == ' ' || ig_str_starts(s, mark);
        bool prepend = step->prepend == IG_PREPEND_ALWAYS ||
                       (step->prepend == IG_PREPEND_FIRST && e->at_start && !p.start);
        if (prepend && !marked) ig_buf_str(b, mark);
        for (size_t k = 0, from; k < s.n;) {
            for (from = k; k < s.n && s.p[k] != ' ';) k++;
            ig_buf_add(b, s.p + from, k - from);
            if (k < s.n) ig_buf_str(b, mark), k++;
        }
        q.end = (uint32_t)b->n;
        ig_buf_add(&e->pieces[1], (const char *)&q, sizeof q);
        if (b->n >= UINT32_MAX) break;
    }
    IG_TRY(finish_rewrite(e, b, text));
    return step->split ? split(e, step->regex, IG_MERGED_WITH_NEXT, false, *text) : INGLE_OK;
}

static ingle_status prefix_spaces(struct ig_enc *e, struct ig_str *text) {
    struct ig_buf *b = other_text(e, *text);
    ig_buf_clear(&e->pieces[1]);
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i], q = {(uint32_t)b->n, 0};
        if (text->p[p.start] != ' ') ig_buf_ch(b, ' ');
        ig_buf_add(b, text->p + p.start, p.end - p.start);
        q.end = (uint32_t)b->n;
        ig_buf_add(&e->pieces[1], (const char *)&q, sizeof q);
        if (b->n >= UINT32_MAX) break;
    }
    return finish_rewrite(e, b, text);
}

static ingle_status spell_bytes(struct ig_enc *e, struct ig_str *text) {
    struct ig_buf *b = other_text(e, *text);
    ig_buf_clear(&e->pieces[1]);
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i], q = {(uint32_t)b->n, 0};
        for (uint32_t k = p.start; k < p.end; k++) {
            char cp[4];
            ig_buf_add(b, cp, ig_utf8_encode(ig_alphabet_encode((uint8_t)text->p[k]), cp));
        }
        q.end = (uint32_t)b->n;
        ig_buf_add(&e->pieces[1], (const char *)&q, sizeof q);
        if (b->n >= UINT32_MAX) break;
    }
    return finish_rewrite(e, b, text);
}

static ingle_status bytes(struct ig_enc *e, const struct ig_pre *step, struct ig_str *text) {
    if (step->prefix_space) {
        bool needed = false;
        for (size_t i = 0; i < count(&e->pieces[0]) && !needed; i++)
            needed = text->p[items(&e->pieces[0])[i].start] != ' ';
        if (needed) IG_TRY(prefix_spaces(e, text));
    }
    if (step->regex) IG_TRY(split(e, step->regex, IG_ISOLATED, false, *text));
    return step->spell ? spell_bytes(e, text) : INGLE_OK;
}

/* ---- by script, by length ---- */

static int script_of(uint32_t cp, const unsigned ids[3]) {
    if (cp == ' ') return -1;
    if (cp == 0x30fc) return (int)ids[0];
    unsigned s = ig_unicode_script(cp);
    if (!s || ig_unicode_age(cp) > 9)
        return -1; /* the reference's table is Unicode 9: later ones have no script */
    return (int)(s == ids[1] || s == ids[2] ? ids[0] : s);
}

static ingle_status scripts(struct ig_enc *e, struct ig_str text) {
    unsigned ids[3] = {0, 0, 0};
    for (unsigned i = 0; i < ig_unicode_scripts(); i++) {
        const char *name = ig_unicode_script_name(i);
        if (!strcmp(name, "Han")) ids[0] = i;
        if (!strcmp(name, "Hiragana")) ids[1] = i;
        if (!strcmp(name, "Katakana")) ids[2] = i;
    }
    ig_buf_clear(&e->pieces[1]);
    struct cut c = {.out = &e->pieces[1]};
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i];
        uint32_t from = p.start, cp;
        int last = -1;
        for (uint32_t at = p.start; at < p.end;) {
            unsigned len = ig_utf8_decode(text.p + at, p.end - at, &cp);
            int now = script_of(len ? cp : 0xfffd, ids);
            if (now >= 0 &&
                now != last) { /* what precedes the first script is lost, as in the reference */
                if (last >= 0) put(&c, from, at);
                from = at;
            }
            if (now >= 0) last = now;
            at += len ? len : 1;
        }
        if (last >= 0) put(&c, from, p.end);
    }
    if (e->pieces[1].failed) return ig_fail_memory(e->err, e->pieces[1].n);
    swap_pieces(e);
    return INGLE_OK;
}

static ingle_status fixed_length(struct ig_enc *e, uint32_t length, struct ig_str text) {
    ig_buf_clear(&e->pieces[1]);
    struct cut c = {.out = &e->pieces[1]};
    for (size_t i = 0; i < count(&e->pieces[0]); i++) {
        struct ig_piece p = items(&e->pieces[0])[i];
        uint32_t from = p.start, n = 0, cp;
        for (uint32_t at = p.start; at < p.end;) {
            unsigned len = ig_utf8_decode(text.p + at, p.end - at, &cp);
            at += len ? len : 1;
            if (++n < length) continue;
            put(&c, from, at);
            from = at;
            n = 0;
        }
        put(&c, from, p.end);
    }
    if (e->pieces[1].failed) return ig_fail_memory(e->err, e->pieces[1].n);
    swap_pieces(e);
    return INGLE_OK;
}

ingle_status ig_pretokenize(struct ig_enc *e, struct ig_str in, struct ig_str *text) {
    const struct ig_vocab *v = e->v;
    *text = in;
    if (in.n >= UINT32_MAX)
        return ig_fail(e->err, INGLE_LIMIT, "split the text",
                       "a text of %zu bytes is too long to tokenize", in.n);
    struct ig_piece all = {0, (uint32_t)in.n};
    ig_buf_clear(&e->pieces[0]);
    if (in.n) ig_buf_add(&e->pieces[0], (const char *)&all, sizeof all);
    if (e->pieces[0].failed) return ig_fail_memory(e->err, sizeof all);
    for (unsigned i = 0; i < v->n_pre; i++) {
        const struct ig_pre *s = &v->pre[i];
        switch (s->kind) {
        case IG_PRE_BYTES: IG_TRY(bytes(e, s, text)); break;
        case IG_PRE_METASPACE: IG_TRY(metaspace(e, s, text)); break;
        case IG_PRE_SCRIPTS: IG_TRY(scripts(e, *text)); break;
        case IG_PRE_FIXED_LENGTH: IG_TRY(fixed_length(e, s->length, *text)); break;
        default: IG_TRY(split(e, s->regex, s->behavior, s->invert, *text)); break;
        }
    }
    return INGLE_OK;
}

/* ---- GGUF's names ---- */

enum {
    IG_PRE_IGNORE_MERGES = 1,
    IG_PRE_ADD_BOS = 2,
    IG_PRE_ADD_SEP = 4,
    IG_PRE_NO_BOS = 8,
    IG_PRE_MARK = 16,
    IG_PRE_NEWLINES = 32,
    IG_PRE_RAW = 64
};

#define CUTS(id, ...) static const char *const cuts_##id[] = {__VA_ARGS__, NULL};
#include "vocab/pre.def"

static const struct {
    const char *name;
    const char *const *cuts;
    unsigned flags;
} names[] = {
#define PRE(name, id, flags) {name, cuts_##id, flags},
#include "vocab/pre.def"
};

ingle_status ig_pre_named(struct ig_vocab *v, struct ig_str name, const struct ig_log *log,
                          ingle_error *err) {
    if (!name.p) {
        ig_log(log, INGLE_LOG_WARN,
               "the file names no pre-tokenizer (tokenizer.ggml.pre): using \"default\", answers "
               "may be "
               "worse than they should be; convert the model again");
        name = IG_STR("default");
    }
    size_t i = 0, n = sizeof names / sizeof *names;
    while (i < n && !ig_str_is(name, names[i].name)) i++;
    if (i == n)
        return ig_fail(err, INGLE_UNSUPPORTED, "a newer version of ingle may know it",
                       "unknown pre-tokenizer \"%.*s\" (tokenizer.ggml.pre)",
                       (int)(name.n < 100 ? name.n : 100), name.p);
    unsigned flags = names[i].flags;
    v->ignore_merges = flags & IG_PRE_IGNORE_MERGES;
    v->newline_words = flags & IG_PRE_NEWLINES;
    v->add_bos = flags & IG_PRE_ADD_BOS;
    v->add_sep = flags & IG_PRE_ADD_SEP;
    v->tokens.bytes = !(flags & (IG_PRE_MARK | IG_PRE_RAW));
    if (flags & IG_PRE_MARK)
        v->norm[v->n_norm++] = (struct ig_norm){
            .kind = IG_NORM_REPLACE, .from = IG_STR(" "), .to = IG_STR(IG_SPACE_MARK)};
    for (const char *const *c = names[i].cuts; *c; c++) {
        struct ig_pre *p = &v->pre[v->n_pre];
        *p = (struct ig_pre){.kind = IG_PRE_SPLIT, .behavior = IG_ISOLATED};
        IG_TRY(ig_regex_open(&p->regex, v->mem, ig_str_of(*c), 0, err));
        v->n_pre++;
    }
    return INGLE_OK;
}
