/* Ids to text, token by token.
 *
 * Most vocabularies decode by joining the tokens' bytes. The others run the decoder steps of
 * tokenizer.json, each of which looks at one token (and whether it is the first); what depends on
 * the end of the text is held back in `tail`. All bytes leave through `emit`, which lets only whole
 * code points pass: a sequence that is broken becomes U+FFFD as soon as that is certain, one that
 * is unfinished waits. */
#include "vocab/impl.h"
#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* May `byte` follow the n bytes of `held`? Unicode's table of well-formed sequences. */
static bool continues(const char *held, size_t n, unsigned char byte) {
    unsigned char lead = (unsigned char)held[0];
    if (n > 1) return (byte & 0xc0) == 0x80;
    switch (lead) {
    case 0xe0: return byte >= 0xa0 && byte <= 0xbf;
    case 0xed: return byte >= 0x80 && byte <= 0x9f;
    case 0xf0: return byte >= 0x90 && byte <= 0xbf;
    case 0xf4: return byte >= 0x80 && byte <= 0x8f;
    default: return (byte & 0xc0) == 0x80;
    }
}

static size_t length_of(unsigned char lead) {
    return lead < 0x80   ? 1
           : lead < 0xc2 ? 0
           : lead < 0xe0 ? 2
           : lead < 0xf0 ? 3
           : lead < 0xf5 ? 4
                         : 0;
}

static void emit(struct ig_detok *d, const char *p, size_t n, struct ig_buf *out) {
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)p[i];
        if (d->n_held) {
            if (!continues(d->held, d->n_held, c)) {
                ig_buf_z(out, REPLACEMENT);
                d->n_held = 0;
                continue;
            }
            d->held[d->n_held++] = p[i++];
            if (d->n_held == length_of((unsigned char)d->held[0])) {
                ig_buf_add(out, d->held, d->n_held);
                d->n_held = 0;
            }
            continue;
        }
        size_t from = i;
        while (i < n && (unsigned char)p[i] < 0x80) i++;
        if (i > from) {
            ig_buf_add(out, p + from, i - from);
            continue;
        }
        if (!length_of(c))
            ig_buf_z(out, REPLACEMENT);
        else
            d->held[d->n_held++] = p[i];
        i++;
    }
}

static void flush_tail(struct ig_detok *d, struct ig_buf *out) {
    emit(d, d->tail, d->n_tail, out);
    d->n_tail = 0;
}

/* ---- steps ---- */

static void replace_all(struct ig_buf *b, struct ig_str from, struct ig_str to) {
    struct ig_str rest = ig_buf_view(b);
    size_t at;
    if (!from.n || !ig_str_find(rest, from, &at)) return;
    struct ig_buf made = {.mem = b->mem};
    while (ig_str_find(rest, from, &at)) {
        ig_buf_add(&made, rest.p, at);
        ig_buf_str(&made, to);
        rest.p += at + from.n;
        rest.n -= at + from.n;
    }
    ig_buf_str(&made, rest);
    made.failed |= b->failed;
    ig_buf_free(b);
    *b = made;
}

static void replace_matches(struct ig_buf *b, const struct ig_regex *r, struct ig_str to) {
    struct ig_buf made = {.mem = b->mem}, notes = {.mem = b->mem};
    size_t from = 0, done = 0, start, end;
    if (ig_buf_reserve(&notes, (b->n + 2) * sizeof(uint16_t))) {
        uint16_t *n = (uint16_t *)(void *)notes.p;
        ig_regex_prepare(r, b->p ? b->p : "", b->n, n);
        while (from <= b->n && ig_regex_next(r, b->p, b->n, n, from, &start, &end)) {
            ig_buf_add(&made, b->p + done, start - done);
            ig_buf_str(&made, to);
            done = end;
            from = end > start ? end : end + 1;
            while (from < b->n && ((unsigned char)b->p[from] & 0xc0) == 0x80) from++;
        }
        ig_buf_add(&made, b->p + done, b->n - done);
    }
    made.failed |= notes.failed || b->failed;
    ig_buf_free(&notes);
    ig_buf_free(b);
    *b = made;
}

static void cleanup(struct ig_buf *b) {
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},           {" !", "!"},
                                           {" ,", ","},     {" ' ", "'"},          {" n't", "n't"},
                                           {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        replace_all(b, ig_str_of(pairs[i][0]), ig_str_of(pairs[i][1]));
}

static void set_text(struct ig_buf *b, struct ig_str s) {
    struct ig_buf made = {.mem = b->mem};
    ig_buf_str(&made, s);
    ig_buf_free(b);
    *b = made;
}

static void from_alphabet(struct ig_buf *b) {
    size_t n = b->n ? ig_alphabet_text(ig_buf_view(b), b->p)
                    : 0; /* in place: output never overtakes input */
    if (n != SIZE_MAX) b->n = n;
}

static void strip_token(struct ig_buf *b, const struct ig_decode *s) {
    struct ig_str t = ig_buf_view(b);
    for (uint32_t i = 0; i < s->start && s->a.n && ig_str_starts(t, s->a); i++)
        t.p += s->a.n, t.n -= s->a.n;
    for (uint32_t i = 0; i < s->stop && s->a.n && ig_str_ends(t, s->a); i++) t.n -= s->a.n;
    set_text(b, t);
}

static void metaspace(struct ig_buf *b, const struct ig_decode *s, bool first) {
    replace_all(b, s->a, first && s->drop_first ? IG_STR("") : IG_STR(" "));
}

static void wordpiece(struct ig_buf *b, const struct ig_decode *s, bool first) {
    if (!first) {
        struct ig_str t = ig_buf_view(b);
        if (s->a.n && ig_str_starts(t, s->a)) {
            set_text(b, (struct ig_str){t.p + s->a.n, t.n - s->a.n});
        } else {
            struct ig_buf made = {.mem = b->mem};
            ig_buf_ch(&made, ' ');
            ig_buf_str(&made, t);
            ig_buf_free(b);
            *b = made;
        }
    }
    if (s->cleanup) cleanup(b);
}

static void one_step(const struct ig_decode *s, bool first, struct ig_buf *b) {
    int byte;
    switch (s->kind) {
    case IG_DEC_REPLACE:
        if (s->regex)
            replace_matches(b, s->regex, s->b);
        else
            replace_all(b, s->a, s->b);
        break;
    case IG_DEC_BYTES: from_alphabet(b); break;
    case IG_DEC_METASPACE: metaspace(b, s, first); break;
    case IG_DEC_WORDPIECE: wordpiece(b, s, first); break;
    case IG_DEC_BPE: replace_all(b, s->a, IG_STR(" ")); break;
    case IG_DEC_BYTE_FALLBACK:
        byte = ig_byte_token(ig_buf_view(b));
        if (byte >= 0) {
            b->p[0] = (char)byte;
            b->n = 1;
        }
        break;
    case IG_DEC_STRIP: strip_token(b, s); break;
    case IG_DEC_CTC:
        replace_all(b, s->a, IG_STR(""));
        if (s->cleanup) {
            cleanup(b);
            replace_all(b, s->b, IG_STR(" "));
        }
        break;
    default: break;
    }
}

/* Strips after FUSE: at the start of the whole text as its first characters appear, at the end
 * through `tail`. */
static void fused(struct ig_detok *d, struct ig_buf *b, const struct ig_decode *strip,
                  struct ig_buf *out) {
    struct ig_str t = ig_buf_view(b);
    while (d->to_strip && t.n) {
        if (!strip->a.n || !ig_str_starts(t, strip->a))
            d->to_strip = 0;
        else
            t.p += strip->a.n, t.n -= strip->a.n, d->to_strip--;
    }
    if (!t.n) return;
    size_t kept = 0;
    while (strip && strip->a.n && kept < strip->stop &&
           strip->stop * strip->a.n <= sizeof d->tail &&
           ig_str_ends((struct ig_str){t.p, t.n - kept * strip->a.n}, strip->a))
        kept++;
    if (kept * strip->a.n < t.n) flush_tail(d, out);
    emit(d, t.p, t.n - kept * strip->a.n, out);
    for (size_t i = 0; i < kept; i++) {
        if (d->n_tail >= strip->stop * strip->a.n)
            emit(d, strip->a.p, strip->a.n, out); /* an older one is safe now */
        else
            memcpy(d->tail + d->n_tail, strip->a.p, strip->a.n),
                d->n_tail = (uint8_t)(d->n_tail + strip->a.n);
    }
}

static const struct ig_decode *strip_after_fuse(const struct ig_vocab *v) {
    bool fuse = false;
    for (unsigned i = 0; i < v->n_dec; i++) {
        if (v->dec[i].kind == IG_DEC_FUSE)
            fuse = true;
        else if (fuse && v->dec[i].kind == IG_DEC_STRIP)
            return &v->dec[i];
    }
    return NULL;
}

static void run_steps(struct ig_detok *d, int32_t id, struct ig_buf *out) {
    const struct ig_vocab *v = d->v;
    const struct ig_decode *strip = strip_after_fuse(v);
    struct ig_buf b = {.mem = out->mem};
    bool trailing = false;
    ig_buf_str(&b, ig_tokens_spelling(&v->tokens, id));
    for (unsigned i = 0; i < v->n_dec; i++) {
        if (v->dec[i].kind == IG_DEC_FUSE) break;
        if (v->dec[i].kind == IG_DEC_CTC && d->begun && d->last == id) b.n = 0;
        trailing |= v->dec[i].kind == IG_DEC_BPE && ig_str_ends(ig_buf_view(&b), v->dec[i].a);
        one_step(&v->dec[i], !d->begun, &b);
    }
    if (!v->n_dec && d->begun) emit(d, " ", 1, out); /* no decoder: tokens with spaces between */
    if (strip) {
        fused(d, &b, strip, out);
    } else if (b.n) {
        flush_tail(d, out);
        if (trailing && b.p[b.n - 1] == ' ') d->tail[d->n_tail++] = ' ', b.n--;
        emit(d, b.p, b.n, out);
    }
    if (b.failed) out->failed = true;
    ig_buf_free(&b);
}

static void add_piece(struct ig_detok *d, int32_t id, struct ig_buf *out) {
    struct ig_str s = ig_tokens_piece(&d->v->tokens, id);
    if (!d->begun && d->v->drop_leading_space && s.n && s.p[0] == ' ') s.p++, s.n--;
    emit(d, s.p, s.n, out);
}

/* ---- the interface ---- */

void ig_detok_begin(struct ig_detok *d, const struct ig_vocab *v, unsigned flags) {
    const struct ig_decode *strip = strip_after_fuse(v);
    *d = (struct ig_detok){
        .v = v, .flags = flags, .begun = flags & IG_DECODE_MIDDLE, .last = IG_NO_TOKEN};
    if (strip && !d->begun) d->to_strip = strip->start;
}

void ig_detok_add(struct ig_detok *d, int32_t id, struct ig_buf *out) {
    const struct ig_vocab *v = d->v;
    if (id < 0 || id >= v->tokens.n) return;
    unsigned type = v->tokens.type[id] & IG_TYPE_BITS;
    bool special = type == IG_TOKEN_CONTROL || type == IG_TOKEN_UNKNOWN;
    if (special && !(d->flags & IG_DECODE_SPECIAL)) return;
    if (v->by_piece)
        add_piece(d, id, out);
    else
        run_steps(d, id, out);
    d->begun = true;
    d->last = id;
}

void ig_detok_end(struct ig_detok *d, struct ig_buf *out) {
    if (d->n_held) ig_buf_z(out, REPLACEMENT);
    ig_detok_begin(d, d->v, d->flags);
}

ingle_status ig_vocab_decode(const struct ig_vocab *v, const int32_t *ids, size_t n, unsigned flags,
                             struct ig_buf *out, ingle_error *err) {
    struct ig_detok d;
    ig_detok_begin(&d, v, flags);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= v->tokens.n)
            return ig_fail(err, INGLE_BAD_ARGUMENT, "ids are 0 to the vocabulary's size less 1",
                           "id %d at place %zu is not in 0..%d", ids[i], i, v->tokens.n - 1);
        ig_detok_add(&d, ids[i], out);
    }
    ig_detok_end(&d, out);
    return out->failed ? ig_fail_memory(err, out->n) : INGLE_OK;
}
