/* WordPiece: the longest token that begins a word, then the longest continuation, and so on; a word
 * that cannot be covered is unknown as a whole. Word-level: the word is a token or unknown. GGUF
 * files spell word starts with U+2581 and continuations bare, tokenizer.json spells continuations
 * with a prefix ("##") and starts bare. */
#include "vocab/impl.h"
#include "base/utf8.h"

enum { MAX_WORD = 4096 };

static size_t step_back(const char *p, size_t end) {
    size_t start = end - 1;
    while (start && end - start < 4 && ((unsigned char)p[start] & 0xc0) == 0x80) start--;
    return start;
}

static ingle_status unknown(struct ig_enc *e) {
    if (e->v->unk != IG_NO_TOKEN) return ig_enc_put(e, e->v->unk);
    return ig_fail(e->err, INGLE_BAD_FILE, "the tokenizer needs an unk_token",
                   "a word is not in the vocabulary");
}

static size_t characters(struct ig_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

ingle_status ig_encode_wordpiece(struct ig_enc *e, struct ig_str word) {
    const struct ig_vocab *v = e->v;
    struct ig_str mark = IG_STR(IG_SPACE_MARK);
    char text[MAX_WORD + 64];
    if (word.n > MAX_WORD || characters(word) > v->max_chars || v->prefix.n > 60) return unknown(e);
    size_t from = e->out->n;
    for (size_t at = 0; at < word.n;) {
        struct ig_str before = v->mark_words ? (at ? IG_STR("") : mark)
                               : at          ? v->prefix
                                             : IG_STR("");
        int32_t id = IG_NO_TOKEN;
        if (before.n) memcpy(text, before.p, before.n);
        memcpy(text + before.n, word.p + at, word.n - at);
        size_t end = word.n;
        if (end - at + before.n > v->tokens.longest) {
            if (before.n >= v->tokens.longest)
                end = at;
            else
                end = at + v->tokens.longest - before.n;
            while (end > at && end < word.n && ((unsigned char)word.p[end] & 0xc0) == 0x80) end--;
        }
        while (end > at) {
            size_t n = before.n + end - at;
            id = ig_tokens_find(&v->tokens, text, n, ig_vocab_hash(text, n));
            if (id >= 0) break;
            end = step_back(word.p, end);
        }
        if (id < 0) {
            e->out->n = from;
            return unknown(e);
        }
        IG_TRY(ig_enc_put(e, id));
        at = end;
    }
    return INGLE_OK;
}

ingle_status ig_encode_wordlevel(struct ig_enc *e, struct ig_str word) {
    int32_t id = ig_tokens_find(&e->v->tokens, word.p, word.n, ig_vocab_hash(word.p, word.n));
    return id >= 0 ? ig_enc_put(e, id) : unknown(e);
}
