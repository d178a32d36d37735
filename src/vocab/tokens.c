/* The token table: where each token's text lies, what it decodes to, and a hash from text to id.
 *
 * Spellings stay where the file has them; only an offset per token is kept, the length is read from
 * the file again. Decoded pieces are one block. The hash compares a 32-bit fingerprint, then the
 * text itself, so a collision costs a comparison, never a wrong answer. Special tokens are not in
 * it: a stranger's text must not spell a control token. */
#include "vocab/impl.h"
#include "base/utf8.h"

enum { MAX_TOKENS = 1 << 22, MAX_TOKEN_BYTES = 1 << 24 };

/* ---- the byte alphabet: printable Latin-1 stands for itself, the rest are U+0100 and up in order
 * ---- */

uint32_t ig_alphabet_encode(uint8_t byte) {
    if (ig_alphabet_prints(byte)) return byte;
    if (byte < 33) return 0x100u + byte;
    return byte == 173 ? 0x143 : 0x100u + 33 + byte - 127u;
}

size_t ig_alphabet_text(struct ig_str s, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 32 && c < 127) {
            out[n++] = (char)c;
            i++;
            continue;
        }
        if (c < 0xc2 || c > 0xc5 || i + 1 >= s.n || ((unsigned char)s.p[i + 1] & 0xc0) != 0x80)
            return SIZE_MAX;
        int b = ig_alphabet_decode((uint32_t)(c & 0x1f) << 6 | ((unsigned char)s.p[i + 1] & 0x3f));
        if (b < 0) return SIZE_MAX;
        out[n++] = (char)b;
        i += 2;
    }
    return n;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

int ig_byte_token(struct ig_str s) {
    if (s.n != 6 || memcmp(s.p, "<0x", 3) || s.p[5] != '>') return -1;
    int hi = hex_digit(s.p[3]), lo = hex_digit(s.p[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* ---- building ---- */

struct ig_str ig_tokens_spelling(const struct ig_tokens *t, int32_t id) {
    const uint8_t *p = t->strings.data + t->at[id];
    uint64_t n = 0;
    for (unsigned i = t->strings.length_size; i-- > 0;)
        n = n << 8 | p[(int)i - t->strings.length_size];
    return (struct ig_str){(const char *)p, (size_t)n};
}

float ig_tokens_score(const struct ig_tokens *t, int32_t id) {
    if (!t->scores) return 0;
    const uint8_t *p = t->scores + 4 * (size_t)id;
    uint32_t bits =
        (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Walks the array once, before anything is allocated. */
static ingle_status check_strings(const struct ig_vocab_strings *s, uint64_t *total,
                                  ingle_error *err) {
    const char *hint = "the file is damaged: download it again";
    uint64_t at = 0, empty = 0;
    *total = 0;
    if (s->length_size != 8 && s->length_size != 4)
        return ig_fail(err, INGLE_INTERNAL, NULL, "tokens: length size %u", s->length_size);
    if (!s->count) return ig_fail(err, INGLE_BAD_FILE, hint, "the vocabulary has no tokens");
    if (s->count > MAX_TOKENS || s->bytes > UINT32_MAX)
        return ig_fail(err, INGLE_BAD_FILE, hint,
                       "the vocabulary claims %llu tokens in %llu bytes (at most %d)",
                       (unsigned long long)s->count, (unsigned long long)s->bytes, MAX_TOKENS);
    for (uint64_t i = 0; i < s->count; i++) {
        if (s->bytes - at < s->length_size)
            return ig_fail(err, INGLE_BAD_FILE, hint, "token %llu lies behind the end of its array",
                           (unsigned long long)i);
        uint64_t n = 0;
        for (unsigned b = s->length_size; b-- > 0;) n = n << 8 | s->data[at + b];
        at += s->length_size;
        if (n > s->bytes - at)
            return ig_fail(err, INGLE_BAD_FILE, hint,
                           "token %llu of %llu bytes does not fit its array", (unsigned long long)i,
                           (unsigned long long)n);
        if (n > MAX_TOKEN_BYTES)
            return ig_fail(err, INGLE_BAD_FILE, hint, "token %llu has %llu bytes (at most %d)",
                           (unsigned long long)i, (unsigned long long)n, MAX_TOKEN_BYTES);
        empty += !n;
        at += n;
        *total += n;
    }
    if (empty > 1000 && empty > s->count / 2)
        return ig_fail(err, INGLE_BAD_FILE, hint, "%llu of %llu tokens are empty",
                       (unsigned long long)empty, (unsigned long long)s->count);
    return INGLE_OK;
}

/* Decoded text of a token into out (room for its spelling); false if it is not in the model's own
 * alphabet. */
static bool decode_piece(enum ig_spelling_kind kind, unsigned type, struct ig_str s, char *out,
                         size_t *n) {
    int byte;
    if (kind == IG_SPELL_BYTES && type == IG_TOKEN_NORMAL) { /* nearly all */
        *n = ig_alphabet_text(s, out);
        if (*n != SIZE_MAX) return true;
    }
    if (s.n) memcpy(out, s.p, s.n);
    *n = s.n;
    if (type == IG_TOKEN_BYTE && (byte = ig_byte_token(s)) >= 0) {
        out[0] = (char)byte;
        *n = 1;
        return true;
    }
    if (type == IG_TOKEN_CONTROL || type == IG_TOKEN_UNKNOWN) return false;
    if (type == IG_TOKEN_USER) return false; /* spelled raw */
    if (kind == IG_SPELL_BYTES) {
        size_t len = ig_alphabet_text(s, out);
        if (len != SIZE_MAX) {
            *n = len;
            return true;
        }
        memcpy(out, s.p, s.n);
        return false;
    }
    if (kind == IG_SPELL_MARK) {
        size_t len = 0;
        for (size_t i = 0; i < s.n;) {
            if (s.n - i >= 3 && !memcmp(s.p + i, IG_SPACE_MARK, 3)) {
                out[len++] = ' ';
                i += 3;
            } else {
                out[len++] = s.p[i++];
            }
        }
        *n = len;
    }
    return true;
}

static struct ig_str hashed_text(const struct ig_tokens *t, int32_t id) {
    return t->bytes ? ig_tokens_piece(t, id) : ig_tokens_spelling(t, id);
}

static ingle_status same_text(int32_t a, int32_t b, struct ig_str text, ingle_error *err) {
    return ig_fail(err, INGLE_BAD_FILE, "the vocabulary is damaged: convert the model again",
                   "tokens %d and %d have the same text \"%.*s\"", a, b,
                   (int)(text.n < 60 ? text.n : 60), text.p);
}

static ingle_status collisions(ingle_error *err) {
    return ig_fail(err, INGLE_BAD_FILE, "do not trust this file",
                   "the vocabulary's texts were chosen to collide");
}

/* Bytes beyond the end of a token are never read: pieces has 8 spare bytes, spellings lie in a
 * checked array. */
static ingle_status insert(struct ig_tokens *t, int32_t id, uint64_t hash, ingle_error *err) {
    uint64_t fingerprint = hash >> 32;
    struct ig_str text = hashed_text(t, id);
    uint32_t at = (uint32_t)hash & t->mask;
    for (unsigned probes = 0; probes < IG_MAX_PROBES; probes++, at = (at + 1) & t->mask) {
        uint64_t slot = t->slots[at];
        if (!slot) {
            t->slots[at] = fingerprint << 32 | ((uint32_t)id + 1);
            return INGLE_OK;
        }
        if (slot >> 32 != fingerprint) continue;
        int32_t other = (int32_t)((uint32_t)slot - 1);
        if (ig_str_eq(hashed_text(t, other), text)) return same_text(other, id, text, err);
    }
    return collisions(err);
}

int32_t ig_tokens_find(const struct ig_tokens *t, const char *p, size_t n, uint64_t hash) {
    uint64_t fingerprint = hash >> 32;
    if (!n || n > t->longest) return IG_NO_TOKEN;
    for (uint32_t at = (uint32_t)hash & t->mask;; at = (at + 1) & t->mask) {
        uint64_t slot = t->slots[at];
        if (!slot) return IG_NO_TOKEN;
        if (slot >> 32 != fingerprint) continue;
        int32_t id = (int32_t)((uint32_t)slot - 1);
        struct ig_str text = hashed_text(t, id);
        if (text.n == n && !memcmp(text.p, p, n)) return id;
    }
}

/* Special tokens and the like, by spelling. */
static ingle_status index_hidden(struct ig_tokens *t, struct ig_mem *mem, ingle_error *err) {
    size_t n = 0, slots = 16;
    for (int32_t id = 0; id < t->n; id++) n += t->type[id] >> 7;
    while (slots < 2 * n) slots *= 2;
    t->hidden = ig_calloc(mem, slots, sizeof *t->hidden);
    if (!t->hidden) return ig_fail_memory(err, slots * 8);
    t->hidden_mask = (uint32_t)(slots - 1);
    for (int32_t id = 0; id < t->n; id++) {
        if (!(t->type[id] & IG_TYPE_HIDDEN)) continue;
        struct ig_str s = ig_tokens_spelling(t, id);
        if (!s.n) continue;
        uint64_t hash = ig_vocab_hash(s.p, s.n);
        uint32_t at = (uint32_t)hash & t->hidden_mask;
        for (unsigned probes = 0; t->hidden[at]; at = (at + 1) & t->hidden_mask) {
            int32_t other = (int32_t)((uint32_t)t->hidden[at] - 1);
            if (ig_str_eq(ig_tokens_spelling(t, other), s)) return same_text(other, id, s, err);
            if (++probes == IG_MAX_PROBES) return collisions(err);
        }
        t->hidden[at] = hash >> 32 << 32 | ((uint32_t)id + 1);
    }
    return INGLE_OK;
}

int32_t ig_tokens_spelled(const struct ig_tokens *t, struct ig_str s) {
    char scratch[512];
    int32_t id = IG_NO_TOKEN;
    if (!s.n) return IG_NO_TOKEN;
    uint64_t hash = ig_vocab_hash(s.p, s.n);
    for (uint32_t at = (uint32_t)hash & t->hidden_mask; t->hidden[at];
         at = (at + 1) & t->hidden_mask) {
        int32_t other = (int32_t)((uint32_t)t->hidden[at] - 1);
        if (t->hidden[at] >> 32 == hash >> 32 && ig_str_eq(ig_tokens_spelling(t, other), s))
            return other;
    }
    if (!t->bytes) return ig_tokens_find(t, s.p, s.n, hash);
    if (s.n <= sizeof scratch) {
        size_t n = ig_alphabet_text(s, scratch);
        return n == SIZE_MAX ? IG_NO_TOKEN
                             : ig_tokens_find(t, scratch, n, ig_vocab_hash(scratch, n));
    }
    for (id = t->n - 1; id >= 0 && !ig_str_eq(ig_tokens_spelling(t, id), s);) id--;
    return id;
}

static void note_byte(struct ig_tokens *t, int32_t id, unsigned type, struct ig_str spelling,
                      struct ig_str piece) {
    if (type == IG_TOKEN_BYTE) {
        int b = ig_byte_token(spelling);
        if (b >= 0) t->byte_id[b] = id;
    } else if (t->bytes && piece.n == 1 && !(t->type[id] & IG_TYPE_HIDDEN)) {
        t->byte_id[(unsigned char)piece.p[0]] = id;
    }
}

/* Insertions run IG_AHEAD tokens behind their hashes. */
struct pending {
    int32_t id[IG_AHEAD];
    uint64_t hash[IG_AHEAD];
    size_t n;
};

static ingle_status insert_later(struct ig_tokens *t, struct pending *p, int32_t id, uint64_t hash,
                                 ingle_error *err) {
    size_t i = p->n++ % IG_AHEAD;
    if (p->n > IG_AHEAD) IG_TRY(insert(t, p->id[i], p->hash[i], err));
    p->id[i] = id;
    p->hash[i] = hash;
    IG_PREFETCH(t->slots + ((uint32_t)hash & t->mask));
    return INGLE_OK;
}

static ingle_status insert_rest(struct ig_tokens *t, struct pending *p, ingle_error *err) {
    for (size_t i = p->n < IG_AHEAD ? 0 : p->n - IG_AHEAD; i < p->n; i++)
        IG_TRY(insert(t, p->id[i % IG_AHEAD], p->hash[i % IG_AHEAD], err));
    return INGLE_OK;
}

static ingle_status fill(struct ig_tokens *t, enum ig_spelling_kind kind, ingle_error *err) {
    uint64_t at = 0, used = 0;
    struct pending pending = {.n = 0};
    for (int32_t id = 0; id < t->n; id++) {
        at += t->strings.length_size;
        t->at[id] = (uint32_t)at;
        struct ig_str s = ig_tokens_spelling(t, id);
        at += s.n;
        size_t n;
        unsigned type = t->type[id];
        bool known = decode_piece(kind, type, s, t->pieces + used, &n);
        t->piece_at[id] = (uint32_t)used;
        used += n;
        t->piece_at[id + 1] = (uint32_t)used;
        bool special =
            type == IG_TOKEN_CONTROL || type == IG_TOKEN_UNKNOWN || type == IG_TOKEN_BYTE;
        if (special || !s.n || (t->bytes && !known)) t->type[id] |= IG_TYPE_HIDDEN;
        note_byte(t, id, type, s, ig_tokens_piece(t, id));
        if (t->type[id] & IG_TYPE_HIDDEN) continue;
        struct ig_str text = hashed_text(t, id);
        if (text.n > t->longest) t->longest = (uint32_t)text.n;
        IG_TRY(insert_later(t, &pending, id, ig_vocab_hash(text.p, text.n), err));
    }
    return insert_rest(t, &pending, err);
}

ingle_status ig_tokens_build(struct ig_tokens *t, struct ig_mem *mem, enum ig_spelling_kind kind,
                             const struct ig_log *log, ingle_error *err) {
    uint64_t total;
    (void)log;
    IG_TRY(check_strings(&t->strings, &total, err));
    size_t n = (size_t)t->strings.count, slots = 64;
    while (slots < n + n / 2) slots *= 2;
    t->n = (int32_t)n;
    t->mask = (uint32_t)(slots - 1);
    t->at = ig_alloc(mem, n * sizeof *t->at);
    t->piece_at = ig_alloc(mem, (n + 1) * sizeof *t->piece_at);
    t->pieces = ig_alloc(mem, (size_t)total + 8);
    t->slots = ig_calloc(mem, slots, sizeof *t->slots);
    if (!t->at || !t->piece_at || !t->pieces || !t->slots)
        return ig_fail_memory(err, (size_t)total);
    t->piece_at[0] = 0;
    for (unsigned b = 0; b < 256; b++) t->byte_id[b] = IG_NO_TOKEN;
    IG_TRY(fill(t, kind, err));
    return index_hidden(t, mem, err);
}

void ig_tokens_free(struct ig_tokens *t, struct ig_mem *mem) {
    ig_free(mem, t->at);
    ig_free(mem, t->piece_at);
    ig_free(mem, t->pieces);
    ig_free(mem, t->slots);
    ig_free(mem, t->hidden);
    ig_free(mem, t->type);
    ig_free(mem, t->own_strings);
    ig_free(mem, t->own_scores);
    *t = (struct ig_tokens){0};
}
