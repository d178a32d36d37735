/* Normalizers: text to text, before it is cut into pieces. Each step reads one buffer and writes
 * the other; a text that no step touches is passed on without a copy.
 *
 * The "charsmap" of SentencePiece is a double-array trie over bytes, packed by XOR, followed by
 * replacement texts. Every index into it is checked: the blob comes from the file. */
#include "vocab/impl.h"
#include "base/utf8.h"

static void put_cp(struct ig_buf *b, uint32_t cp) {
    char bytes[4];
    ig_buf_add(b, bytes, ig_utf8_encode(cp, bytes));
}

/* ---- charsmap ---- */

static uint32_t le32(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

bool ig_charsmap_ok(struct ig_str map) {
    if (map.n < 4) return false;
    uint32_t trie = le32(map.p);
    return trie % 4 == 0 && trie >= 4 && trie <= map.n - 4;
}

static bool unit(struct ig_str map, uint64_t i, uint32_t *out) {
    if (i >= le32(map.p) / 4) return false;
    *out = le32(map.p + 4 + 4 * i);
    return true;
}

static uint32_t offset_of(uint32_t u) {
    return (u >> 10) << ((u & 1u << 9) >> 6);
}

/* Replacement for a prefix of `text`: the longest, or with `shortest` the first there is. */
static struct ig_str charsmap_prefix(struct ig_str map, struct ig_str text, bool shortest,
                                     size_t *consumed, bool *found) {
    struct ig_str out = {NULL, 0};
    const char *texts = map.p + 4 + le32(map.p);
    size_t n_texts = map.n - 4 - le32(map.p);
    uint32_t u, at = 0, value;
    *found = false;
    *consumed = 0;
    if (!unit(map, 0, &u)) return out;
    at ^= offset_of(u);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (!c) break;
        at ^= c;
        if (!unit(map, at, &u) || (u & (1u << 31 | 0xff)) != c) break;
        at ^= offset_of(u);
        if (!(u >> 8 & 1) || !unit(map, at, &value)) continue;
        value &= 0x7fffffffu;
        if (value >= n_texts) continue;
        const char *end = memchr(texts + value, 0, n_texts - value);
        if (!end) continue;
        out = (struct ig_str){texts + value, (size_t)(end - texts - value)};
        *consumed = i + 1;
        *found = true;
        if (shortest) break;
    }
    return out;
}

struct ig_str ig_charsmap_find(struct ig_str map, struct ig_str text, size_t *consumed,
                               bool *found) {
    return charsmap_prefix(map, text, false, consumed, found);
}

/* The character at `at`, replaced if the map knows it; *len is what was read. */
static struct ig_str mapped(struct ig_str map, struct ig_str text, size_t at, size_t *len) {
    struct ig_str rest = {text.p + at, text.n - at}, got = {NULL, 0};
    bool found = false;
    if (map.n) got = ig_charsmap_find(map, rest, len, &found);
    if (found) return got;
    uint32_t cp;
    *len = ig_utf8_decode(rest.p, rest.n, &cp);
    if (*len) return (struct ig_str){rest.p, *len};
    *len = 1;
    return IG_STR("\xef\xbf\xbd");
}

/* tokenizer.json: whole grapheme clusters under 6 bytes first, then single characters; of a cluster
 * that begins with something mapped, only that is kept, as the reference does. */
static void charsmap_clusters(const struct ig_norm *s, struct ig_str in, struct ig_buf *out) {
    for (size_t at = 0, end; at < in.n; at = end) {
        end = ig_unicode_cluster_end(in, at);
        struct ig_str cluster = {in.p + at, end - at}, got;
        size_t used;
        bool found = false;
        if (cluster.n < 6) got = charsmap_prefix(s->charsmap, cluster, true, &used, &found);
        if (found) {
            ig_buf_str(out, got);
            continue;
        }
        for (size_t i = 0, len; i < cluster.n; i += len) {
            uint32_t cp;
            unsigned n = ig_utf8_decode(cluster.p + i, cluster.n - i, &cp);
            len = n ? n : 1;
            struct ig_str part = {cluster.p + i, len};
            got = charsmap_prefix(s->charsmap, part, true, &used, &found);
            ig_buf_str(out, found ? got : part);
        }
    }
}

/* ---- GGUF's SPM and Unigram spacing ---- */

static void spm(const struct ig_enc *e, const struct ig_norm *s, struct ig_str in,
                struct ig_buf *out) {
    struct ig_str space = s->escape ? IG_STR(IG_SPACE_MARK) : IG_STR(" ");
    if (s->prefix && (e->at_start || e->after_special)) ig_buf_str(out, space);
    for (size_t i = 0, from; i < in.n;) {
        for (from = i; i < in.n && in.p[i] != ' ';) i++;
        ig_buf_add(out, in.p + from, i - from);
        if (i < in.n) ig_buf_str(out, space), i++;
    }
}

static void unigram_spaces(const struct ig_norm *s, struct ig_str in, struct ig_buf *out) {
    struct ig_str space = s->escape ? IG_STR(IG_SPACE_MARK) : IG_STR(" ");
    bool prefixed = false, in_word = false;
    for (size_t i = 0, len; i < in.n; i += len) {
        struct ig_str got = mapped(s->charsmap, in, i, &len);
        for (size_t k = 0; k < got.n; k++) {
            if (got.p[k] == ' ') {
                in_word = false;
                if (!s->squeeze) ig_buf_str(out, space);
                continue;
            }
            if (!in_word && ((s->prefix && !prefixed) || s->squeeze)) {
                ig_buf_str(out, space);
                prefixed = true;
            }
            in_word = true;
            ig_buf_ch(out, got.p[k]);
        }
    }
}

/* ---- character by character ---- */

static bool is_chinese(uint32_t c) {
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* BertNormalizer's reference implementation knows categories as of Unicode 8, StripAccents' as of
 * Unicode 9. */
static bool bert_control(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r' || ig_unicode_age(c)) return false;
    unsigned category = ig_unicode_category(c);
    return ig_unicode_category_name(category)[0] == 'C' && category != 0;
}

static void put_lower(struct ig_buf *b, uint32_t c) {
    if (c == 0x130)
        ig_buf_z(b, "i\xcc\x87"); /* the one character whose lower case is two */
    else
        put_cp(b, ig_unicode_lower(c));
}

static bool nmt_dropped(uint32_t c) {
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
           c == 0x9f;
}

static bool nmt_space(uint32_t c) {
    return c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
           (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xfeff || c == 0xfffd;
}

static void one_char(const struct ig_norm *s, enum ig_norm_kind kind, uint32_t c,
                     struct ig_buf *out) {
    switch (kind) {
    case IG_NORM_LOWERCASE: put_lower(out, c); break;
    case IG_NORM_STRIP_ACCENTS:
        if (!ig_unicode_is_mark(c) || ig_unicode_age(c) > 9) put_cp(out, c);
        break;
    case IG_NORM_NMT:
        if (!nmt_dropped(c)) put_cp(out, nmt_space(c) ? ' ' : c);
        break;
    default: /* BERT, first part */
        if (s->clean && (!c || c == 0xfffd || bert_control(c))) break;
        if (s->clean && ig_unicode_is_space(c)) c = ' ';
        if (s->chinese && is_chinese(c)) {
            ig_buf_ch(out, ' ');
            put_cp(out, c);
            ig_buf_ch(out, ' ');
        } else {
            put_cp(out, c);
        }
        break;
    }
}

static void each_char(const struct ig_norm *s, enum ig_norm_kind kind, struct ig_str in,
                      struct ig_buf *out) {
    for (size_t i = 0; i < in.n;) {
        uint32_t cp;
        unsigned len = ig_utf8_decode(in.p + i, in.n - i, &cp);
        if (len)
            one_char(s, kind, cp, out);
        else
            ig_buf_ch(out, in.p[i]);
        i += len ? len : 1;
    }
}

static bool is_nonspacing(uint32_t c) {
    return !ig_unicode_age(c) && !strcmp(ig_unicode_category_name(ig_unicode_category(c)), "Mn");
}

static ingle_status bert(struct ig_enc *e, const struct ig_norm *s, struct ig_str in,
                         struct ig_buf *out) {
    struct ig_buf a = {.mem = e->mem}, b = {.mem = e->mem};
    each_char(s, IG_NORM_BERT, in, &a);
    struct ig_str at = ig_buf_view(&a);
    if (s->strip_accents && !a.failed) {
        ig_unicode_normalize(IG_NFD, at, &b);
        ig_buf_clear(&a);
        for (size_t i = 0; i < b.n;) {
            uint32_t cp;
            unsigned len = ig_utf8_decode(b.p + i, b.n - i, &cp);
            if (!len || !is_nonspacing(cp)) ig_buf_add(&a, b.p + i, len ? len : 1);
            i += len ? len : 1;
        }
        at = ig_buf_view(&a);
    }
    if (s->lowercase)
        each_char(s, IG_NORM_LOWERCASE, at, out);
    else
        ig_buf_str(out, at);
    bool failed = a.failed || b.failed;
    ig_buf_free(&a);
    ig_buf_free(&b);
    return failed ? ig_fail_memory(e->err, in.n) : INGLE_OK;
}

static struct ig_str strip(struct ig_str s, bool left, bool right) {
    uint32_t cp;
    while (left && s.n) {
        unsigned len = ig_utf8_decode(s.p, s.n, &cp);
        if (!len || !ig_unicode_is_space(cp)) break;
        s.p += len;
        s.n -= len;
    }
    while (right && s.n) {
        size_t start = s.n - 1;
        while (start && s.n - start < 4 && ((unsigned char)s.p[start] & 0xc0) == 0x80) start--;
        unsigned len = ig_utf8_decode(s.p + start, s.n - start, &cp);
        if (len != s.n - start || !ig_unicode_is_space(cp)) break;
        s.n = start;
    }
    return s;
}

static ingle_status replace(struct ig_enc *e, const struct ig_norm *s, struct ig_str in,
                            struct ig_buf *out) {
    if (!s->regex) {
        for (size_t i = 0; i < in.n;) {
            const char *hit = s->from.n && in.n - i >= s->from.n
                                  ? memchr(in.p + i, s->from.p[0], in.n - i - s->from.n + 1)
                                  : NULL;
            size_t at = hit ? (size_t)(hit - in.p) : in.n;
            ig_buf_add(out, in.p + i, at - i);
            i = at;
            if (!hit) break;
            if (!memcmp(hit, s->from.p, s->from.n)) {
                ig_buf_str(out, s->to);
                i += s->from.n;
            } else {
                ig_buf_ch(out, in.p[i++]);
            }
        }
        return INGLE_OK;
    }
    ig_buf_clear(&e->notes);
    if (!ig_buf_reserve(&e->notes, (in.n + 2) * sizeof(uint16_t)))
        return ig_fail_memory(e->err, in.n);
    uint16_t *notes = (uint16_t *)(void *)e->notes.p;
    ig_regex_prepare(s->regex, in.p, in.n, notes);
    size_t from = 0, done = 0, start, end, last_end = SIZE_MAX;
    while (ig_regex_next(s->regex, in.p, in.n, notes, from, &start, &end)) {
        if (start == end && start == last_end) {
            uint32_t cp;
            if (end >= in.n) break;
            unsigned len = ig_utf8_decode(in.p + end, in.n - end, &cp);
            from = end + (len ? len : 1);
            last_end = SIZE_MAX;
            continue;
        }
        ig_buf_add(out, in.p + done, start - done);
        ig_buf_str(out, s->to);
        done = from = last_end = end;
    }
    ig_buf_add(out, in.p + done, in.n - done);
    return INGLE_OK;
}

static void spell(struct ig_str in, struct ig_buf *out) {
    for (size_t i = 0; i < in.n; i++) put_cp(out, ig_alphabet_encode((uint8_t)in.p[i]));
}

static ingle_status apply(struct ig_enc *e, const struct ig_norm *s, struct ig_str in,
                          struct ig_buf *out) {
    switch (s->kind) {
    case IG_NORM_NFC: ig_unicode_normalize(IG_NFC, in, out); break;
    case IG_NORM_NFD: ig_unicode_normalize(IG_NFD, in, out); break;
    case IG_NORM_NFKC: ig_unicode_normalize(IG_NFKC, in, out); break;
    case IG_NORM_NFKD: ig_unicode_normalize(IG_NFKD, in, out); break;
    case IG_NORM_STRIP: ig_buf_str(out, strip(in, s->left, s->right)); break;
    case IG_NORM_REPLACE: return replace(e, s, in, out);
    case IG_NORM_PREPEND:
        if (in.n) ig_buf_str(out, s->to);
        ig_buf_str(out, in);
        break;
    case IG_NORM_BERT: return bert(e, s, in, out);
    case IG_NORM_CHARSMAP: charsmap_clusters(s, in, out); break;
    case IG_NORM_BYTES: spell(in, out); break;
    case IG_NORM_SPM: spm(e, s, in, out); break;
    case IG_NORM_UNIGRAM: unigram_spaces(s, in, out); break;
    default: each_char(s, (enum ig_norm_kind)s->kind, in, out); break;
    }
    return INGLE_OK;
}

static bool ascii(struct ig_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80) return false;
    return true;
}

ingle_status ig_normalize(struct ig_enc *e, struct ig_str in, struct ig_str *out) {
    const struct ig_vocab *v = e->v;
    *out = in;
    bool plain = ascii(in);
    unsigned which = 0;
    for (unsigned i = 0; i < v->n_norm; i++) {
        const struct ig_norm *s = &v->norm[i];
        if (plain && s->kind <= IG_NORM_NFKD) continue; /* ASCII is in every normal form */
        struct ig_buf *b = &e->text[which];
        ig_buf_clear(b);
        IG_TRY(apply(e, s, *out, b));
        if (b->failed) return ig_fail_memory(e->err, in.n);
        *out = ig_buf_view(b);
        plain = plain && ascii(*out);
        which ^= 1;
        e->turn++;
    }
    return INGLE_OK;
}
