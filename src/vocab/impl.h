/* Private to the room: the parts a vocabulary is made of and how a text goes through them.
 *
 *   text -added tokens-> fragments -normalizer-> text -pre-tokenizer-> pieces -model-> ids
 * -template-> ids
 *
 * GGUF files and tokenizer.json both end up as these parts; nothing behind vocab_gguf.c and
 * vocab_json.c knows which it was.
 *
 * Byte mode: byte-level BPE is done on bytes, not on the printable alphabet the files spell them
 * in. Token texts and merges are decoded once when the vocabulary is opened. */
#ifndef IG_VOCAB_IMPL_H
#define IG_VOCAB_IMPL_H

#include "vocab/regex.h"
#include "vocab/unicode.h"
#include "vocab/vocab.h"

#define IG_SPACE_MARK "\xe2\x96\x81" /* U+2581 */

enum ig_model {
    IG_MODEL_NONE,
    IG_MODEL_BPE,
    IG_MODEL_SPM,
    IG_MODEL_UNIGRAM,
    IG_MODEL_WORDPIECE,
    IG_MODEL_WORDLEVEL
};

/* ---- tokens.c: texts, hash of texts ---- */

struct ig_tokens {
    int32_t n;
    bool bytes; /* byte mode: the hash is over `piece`, else over the spelling */
    struct ig_vocab_strings strings; /* the spellings */
    char *own_strings;               /* strings.data if it is ours */
    uint32_t *at;          /* [n] offset of spelling i in strings.data, behind its length */
    char *pieces;          /* decoded texts, one after the other */
    uint32_t *piece_at;    /* [n + 1] */
    uint8_t *type;         /* [n] enum ig_token_type; top bit: not in the hash */
    const uint8_t *scores; /* [n] f32 or NULL */
    float *own_scores;
    uint64_t *slots;  /* fingerprint << 32 | id + 1 */
    uint32_t mask;    /* slots - 1 */
    uint64_t *hidden; /* the same for tokens that are not in `slots`, by spelling */
    uint32_t hidden_mask;
    uint32_t longest;     /* bytes of the longest text in the hash */
    int32_t byte_id[256]; /* byte tokens <0xNN> or, in byte mode, the token of one byte */
};
enum { IG_TYPE_BITS = 0x7f, IG_TYPE_HIDDEN = 0x80 };

enum ig_spelling_kind {
    IG_SPELL_PLAIN,
    IG_SPELL_BYTES,
    IG_SPELL_MARK
}; /* as is; byte alphabet; U+2581 for a space */

/* Hash of a text for the tables of tokens and merges. */
static inline uint64_t ig_load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint64_t ig_load32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t ig_stir(uint64_t h, uint64_t w) {
    h = (h ^ w) * 0x9fb21c651e98df25u;
    return h ^ h >> 32;
}

static inline uint64_t ig_vocab_hash(const char *p, size_t n) {
    uint64_t h = (uint64_t)n * 0x9e3779b97f4a7c15u;
    if (n >= 8) {
        const char *last = p + n - 8;
        for (; p < last; p += 8) h = ig_stir(h, ig_load64(p));
        h = ig_stir(h, ig_load64(last));
    } else if (n >= 4) {
        h = ig_stir(h, ig_load32(p) | ig_load32(p + n - 4) << 32);
    } else if (n) {
        h = ig_stir(h, (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
                           (uint64_t)(unsigned char)p[n - 1] << 16);
    }
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

struct ig_str ig_tokens_spelling(const struct ig_tokens *t, int32_t id);
static inline struct ig_str ig_tokens_piece(const struct ig_tokens *t, int32_t id) {
    return (struct ig_str){t->pieces + t->piece_at[id], t->piece_at[id + 1] - t->piece_at[id]};
}
float ig_tokens_score(const struct ig_tokens *t, int32_t id);
/* Indexes strings (already set), decodes pieces. `type` must be filled; special tokens are left out
 * of the hash. */
ingle_status ig_tokens_build(struct ig_tokens *t, struct ig_mem *mem, enum ig_spelling_kind kind,
                             const struct ig_log *log, ingle_error *err);
/* IG_NO_TOKEN if the model has no such text. */
int32_t ig_tokens_find(const struct ig_tokens *t, const char *p, size_t n, uint64_t hash);
int32_t ig_tokens_spelled(const struct ig_tokens *t, struct ig_str spelling); /* any token */
void ig_tokens_free(struct ig_tokens *t, struct ig_mem *mem);
/* The byte of "<0xNN>", strictly two hexadecimal digits, or -1. */
int ig_byte_token(struct ig_str s);
/* The byte alphabet of GPT-2: code point of a byte, byte of a code point (-1: none), text to bytes
 * in place of out. */
uint32_t ig_alphabet_encode(uint8_t byte);
static inline bool ig_alphabet_prints(unsigned b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}
static inline int ig_alphabet_decode(uint32_t cp) {
    if (cp >= 0x100 && cp < 0x121) return (int)cp - 0x100;
    if (cp < 0x100) return ig_alphabet_prints(cp) ? (int)cp : -1;
    if (cp < 0x143) return (int)cp - 0x121 + 127;
    return cp == 0x143 ? 173 : -1;
}
/* out has room for s.n bytes; returns the bytes written or SIZE_MAX if s is not in the alphabet. */
size_t ig_alphabet_text(struct ig_str s, char *out);

/* ---- bpe.c ---- */

#if defined(__GNUC__)
#define IG_PREFETCH(p) __builtin_prefetch(p)
#else
#define IG_PREFETCH(p) ((void)(p))
#endif
enum {
    IG_MAX_PROBES = 2000, /* a table that needs more was made to need them: its file is refused */
    IG_MAX_MATCHED = 512, /* bytes: longer tokens are never looked for in a text by position */
};
enum {
    IG_AHEAD = 16
}; /* insertions under way while a table is filled: their cache misses overlap */

struct ig_merges {
    uint64_t *slots; /* key bits above, rank + 1 below */
    uint32_t mask;
    unsigned rank_bits;
    uint32_t n;
    bool crowded;    /* some insertion gave up */
    int32_t *result; /* id mode: token a rank makes; NULL: pairs are known by the hashes of their
                        texts */
};

/* Symbols of the word being merged, indexed by their first byte. */
struct ig_symbol {
    uint32_t prev, next; /* byte offsets; next of the last is the word's length */
    uint32_t rank;       /* of the pair with the next symbol */
    int32_t id;          /* id mode and SPM */
};

struct ig_bpe {
    struct ig_symbol *sym;
    size_t cap;
    struct ig_merge_queue *queue;
};

enum { IG_CACHE_IDS = 6 };
struct ig_cached_word {
    uint64_t hash;
    const char *p;
    uint32_t n, turn;
    int32_t count, ids[IG_CACHE_IDS];
};

/* merge_queue.c: (rank, position) pairs, lowest first. Nearly O(1) when pushes come in the order
 * merging makes them. */
struct ig_merge_queue;
struct ig_merge_queue *ig_merge_queue_new(struct ig_mem *mem);
void ig_merge_queue_free(struct ig_merge_queue *q);
void ig_merge_queue_clear(struct ig_merge_queue *q);
bool ig_merge_queue_push(struct ig_merge_queue *q, uint32_t rank,
                         uint32_t pos); /* false: out of memory */
bool ig_merge_queue_pop(struct ig_merge_queue *q, uint32_t *rank, uint32_t *pos); /* false: empty */

/* ---- the parts ---- */

enum ig_norm_kind {
    IG_NORM_NFC,
    IG_NORM_NFD,
    IG_NORM_NFKC,
    IG_NORM_NFKD,
    IG_NORM_LOWERCASE,
    IG_NORM_STRIP,
    IG_NORM_STRIP_ACCENTS,
    IG_NORM_REPLACE,
    IG_NORM_PREPEND,
    IG_NORM_BERT,
    IG_NORM_NMT,
    IG_NORM_CHARSMAP,
    IG_NORM_BYTES,
    IG_NORM_SPM,
    IG_NORM_UNIGRAM
};

struct ig_norm {
    uint8_t kind;
    bool left, right;                              /* STRIP */
    bool clean, chinese, strip_accents, lowercase; /* BERT */
    bool prefix, squeeze, escape;                  /* SPM, UNIGRAM (as GGUF has them) */
    struct ig_str from, to; /* REPLACE (from empty: the regex), PREPEND (to) */
    struct ig_regex *regex;
    struct ig_str charsmap;
};

enum ig_pre_kind {
    IG_PRE_SPLIT,
    IG_PRE_BYTES,
    IG_PRE_METASPACE,
    IG_PRE_WHITESPACE_SPLIT,
    IG_PRE_DIGITS,
    IG_PRE_PUNCTUATION,
    IG_PRE_BERT,
    IG_PRE_SCRIPTS,
    IG_PRE_FIXED_LENGTH
};
enum ig_behavior {
    IG_REMOVED,
    IG_ISOLATED,
    IG_MERGED_WITH_PREVIOUS,
    IG_MERGED_WITH_NEXT,
    IG_CONTIGUOUS
};
enum ig_prepend { IG_PREPEND_NEVER, IG_PREPEND_FIRST, IG_PREPEND_ALWAYS };

struct ig_pre {
    uint8_t kind, behavior, prepend;
    bool invert;
    bool individual;        /* DIGITS */
    bool prefix_space;      /* BYTES */
    bool spell;             /* BYTES: write the byte alphabet (the model works on spellings) */
    bool split;             /* METASPACE */
    char mark[5];           /* METASPACE: replacement as UTF-8 */
    uint32_t length;        /* FIXED_LENGTH */
    struct ig_regex *regex; /* SPLIT; BYTES: NULL without regex */
};

struct ig_added {
    struct ig_str text;
    int32_t id;
    bool special, lstrip, rstrip, single_word, normalized;
};

/* Aho-Corasick over bytes; leftmost-longest. */
struct ig_matcher {
    struct ig_buf nodes; /* struct of added.c */
    uint32_t root[256];
    size_t patterns;
};

enum { IG_MAX_STEPS = 16, IG_MAX_TEMPLATE = 64 };

enum ig_decode_kind {
    IG_DEC_REPLACE,
    IG_DEC_BYTES,
    IG_DEC_METASPACE,
    IG_DEC_WORDPIECE,
    IG_DEC_BPE,
    IG_DEC_BYTE_FALLBACK,
    IG_DEC_FUSE,
    IG_DEC_STRIP,
    IG_DEC_CTC
};
struct ig_decode {
    uint8_t kind;
    bool cleanup, drop_first;
    struct ig_str a, b; /* REPLACE from, to; WORDPIECE prefix; BPE suffix; CTC pad, word delimiter;
                           METASPACE mark; STRIP content */
    uint32_t start, stop;   /* STRIP */
    struct ig_regex *regex; /* REPLACE */
};

struct ig_vocab {
    struct ig_mem *mem;
    struct ig_arena arena;
    uint8_t model;
    struct ig_tokens tokens;
    struct ig_merges merges;
    int32_t role[IG_ROLES];
    uint64_t *is_end; /* [n / 64 + 1] bits */
    bool add_bos, add_eos, add_sep;
    bool split_marks; /* no token crosses from another character into a U+2581: words can be cut
                         there */
    bool lossless;    /* no step shortens the text and every byte becomes part of a token */
    size_t longest;   /* bytes of the longest token, special ones counted */
    /* model */
    bool ignore_merges, byte_fallback, fuse_unk;
    bool newline_words; /* gemma 4: a run of newlines that is a token is taken whole */
    struct ig_str prefix,
        suffix;         /* BPE continuing_subword_prefix, end_of_word_suffix; WORDPIECE prefix */
    uint32_t max_chars; /* WORDPIECE: longer words are unknown */
    bool mark_words;    /* WORDPIECE: words start with U+2581 instead of continuing with a prefix
                           (GGUF) */
    int32_t unk;
    double unk_score;    /* UNIGRAM */
    double *exact_score; /* UNIGRAM: [n] */
    uint64_t *
        prefixes; /* UNIGRAM: filter of the hashes of all prefixes, and behind it of whole tokens */
    uint32_t prefix_mask;
    struct ig_norm norm[IG_MAX_STEPS];
    struct ig_pre pre[IG_MAX_STEPS];
    struct ig_decode dec[IG_MAX_STEPS];
    unsigned n_norm, n_pre, n_dec;
    bool after_special; /* prefixes apply after special tokens too (GGUF) */
    /* added tokens */
    struct ig_added *added; /* [n_added] */
    size_t n_added;
    struct ig_matcher raw, normal;
    /* template: ids before and after the text */
    int32_t before[IG_MAX_TEMPLATE], after[IG_MAX_TEMPLATE];
    unsigned n_before, n_after;
    bool by_piece;           /* decoding is joining ig_tokens_piece */
    bool drop_leading_space; /* of by_piece: the first text token loses one space */
};

/* ---- one encoding ---- */

struct ig_piece {
    uint32_t start, end;
};

struct ig_enc {
    const struct ig_vocab *v;
    struct ig_mem *mem;
    ingle_error *err;
    unsigned flags;
    size_t max; /* 0: none */
    struct ig_ids *out;
    bool at_start;           /* nothing precedes the fragment being worked on */
    bool after_special;      /* a special token does */
    struct ig_buf text[2];   /* normalizer and pre-tokenizer scratch */
    struct ig_buf pieces[2]; /* struct ig_piece */
    struct ig_buf notes;     /* uint16_t */
    struct ig_bpe bpe;
    struct ig_buf best;           /* unigram */
    struct ig_cached_word *cache; /* entries of another turn point to text that is gone */
    size_t cache_mask;
    uint32_t turn;
};

ingle_status ig_enc_put(struct ig_enc *e, int32_t id);
ingle_status ig_enc_room(struct ig_enc *e,
                         size_t more); /* space for `more` ids without further checks of memory */

ingle_status ig_normalize(struct ig_enc *e, struct ig_str in, struct ig_str *out); /* normal.c */
bool ig_charsmap_ok(struct ig_str map);
struct ig_str ig_charsmap_find(struct ig_str map, struct ig_str text, size_t *consumed,
                               bool *found);
ingle_status ig_pretokenize(struct ig_enc *e, struct ig_str in, struct ig_str *text); /* pretok.c */
ingle_status ig_encode_bpe(struct ig_enc *e, struct ig_str word);     /* bpe.c; SPM too */
ingle_status ig_encode_unigram(struct ig_enc *e, struct ig_str word); /* unigram.c */
ingle_status ig_unigram_build(struct ig_vocab *v,
                              ingle_error *err); /* after exact_score is filled */
ingle_status ig_encode_wordpiece(struct ig_enc *e, struct ig_str word); /* wordpiece.c */
ingle_status ig_encode_wordlevel(struct ig_enc *e, struct ig_str word);
void ig_bpe_free(struct ig_bpe *b, struct ig_mem *mem);

/* Pairs as "left right" texts. */
ingle_status ig_merges_build(struct ig_vocab *v, const struct ig_vocab_strings *pairs,
                             ingle_error *err);
void ig_merges_free(struct ig_merges *m, struct ig_mem *mem);
ingle_status ig_merges_begin_texts(struct ig_vocab *v, size_t n, ingle_error *err);
void ig_merges_add_texts(struct ig_vocab *v, struct ig_str left, struct ig_str right);
ingle_status ig_merges_end(const struct ig_vocab *v,
                           ingle_error *err); /* after the last ig_merges_add(_texts) */
/* Id mode. */
ingle_status ig_merges_begin(struct ig_vocab *v, size_t n, ingle_error *err);
void ig_merges_add(struct ig_vocab *v, int32_t left, int32_t right, int32_t result);
/* The byte fallback, unknown token or nothing for text the model does not know. */
ingle_status ig_enc_unknown(struct ig_enc *e, struct ig_str text, bool *last_unknown);

ingle_status ig_added_build(struct ig_vocab *v, ingle_error *err); /* added.c */
/* The next added token at or after `from` that `parse` allows; false if none. */
bool ig_added_next(const struct ig_vocab *v, const struct ig_matcher *m, struct ig_str text,
                   size_t from, bool parse, size_t *start, size_t *end,
                   const struct ig_added **token);
void ig_matcher_free(struct ig_matcher *m);

/* json_steps.c: the processing steps of tokenizer.json. */
ingle_status ig_json_normalizers(struct ig_vocab *v, const struct ig_json *j, ingle_error *err);
ingle_status ig_json_pretokenizers(struct ig_vocab *v, const struct ig_json *j, ingle_error *err);
ingle_status ig_json_decoders(struct ig_vocab *v, const struct ig_json *j, ingle_error *err);
ingle_status ig_json_template(struct ig_vocab *v, const struct ig_json *j,
                              ingle_error *err); /* needs the tokens */

/* roles.c: guesses roles and the end set from token texts where the file is silent. */
ingle_status ig_roles_guess(struct ig_vocab *v, const struct ig_log *log, ingle_error *err);
void ig_mark_end(struct ig_vocab *v, int32_t id);

/* vocab.c: after all parts are in place. Computes what follows from them. */
ingle_status ig_vocab_finish(struct ig_vocab *v, const struct ig_log *log, ingle_error *err);

/* pretok.c */
ingle_status ig_pre_named(struct ig_vocab *v, struct ig_str name, const struct ig_log *log,
                          ingle_error *err);

#endif
