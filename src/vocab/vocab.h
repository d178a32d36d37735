/* Text to token ids and back.
 *
 * A vocabulary is opened from what a GGUF file holds (its arrays are used where they lie) or from a
 * parsed tokenizer.json, and is immutable afterwards: any number of threads may use it without
 * locks. Scratch memory of a call comes from the `mem` given to that call.
 *
 * Costs are bounded on hostile input: encoding is O(n) in the length of the text up to a logarithm,
 * without recursion. */
#ifndef IG_VOCAB_H
#define IG_VOCAB_H

#include "base/json.h"
#include "base/log.h"

struct ig_vocab;

enum { IG_NO_TOKEN = -1 }; /* the only "none" */

enum ig_token_type { /* GGUF's numbers */
                     IG_TOKEN_UNDEFINED,
                     IG_TOKEN_NORMAL,
                     IG_TOKEN_UNKNOWN,
                     IG_TOKEN_CONTROL,
                     IG_TOKEN_USER,
                     IG_TOKEN_UNUSED,
                     IG_TOKEN_BYTE
};

/* Roles a token can have; ig_vocab_special gives its id or IG_NO_TOKEN. */
enum ig_token_role {
    IG_ROLE_BOS,
    IG_ROLE_EOS,
    IG_ROLE_EOT,
    IG_ROLE_EOM,
    IG_ROLE_UNK,
    IG_ROLE_SEP,
    IG_ROLE_PAD,
    IG_ROLE_MASK,
    IG_ROLE_FIM_PRE,
    IG_ROLE_FIM_SUF,
    IG_ROLE_FIM_MID,
    IG_ROLE_FIM_PAD,
    IG_ROLE_FIM_REP,
    IG_ROLE_FIM_SEP,
    IG_ROLES
};

/* A GGUF string array: `count` times a little-endian length of `length_size` bytes (8, or 4 in
 * version 1) and the text. */
struct ig_vocab_strings {
    const uint8_t *data;
    uint64_t bytes, count;
    uint8_t length_size;
};

/* What a GGUF file says under tokenizer.ggml.*; everything stays in the caller's memory, which must
 * outlive the vocabulary. */
struct ig_vocab_gguf {
    struct ig_str model, pre; /* p NULL: the key is absent */
    struct ig_vocab_strings tokens, merges;
    const uint8_t *scores; /* [n_scores] little-endian f32, any alignment; NULL: absent */
    const uint8_t *types;  /* [n_types] little-endian i32, any alignment; NULL: absent */
    uint64_t n_scores, n_types;
    int64_t role[IG_ROLES]; /* as in the file; IG_NO_TOKEN: absent. Checked here */
    /* flags: -1 absent, 0, 1 */
    int8_t add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces,
        escape_whitespaces;
    int8_t lowercase, strip_accents;
    struct ig_str charsmap;     /* precompiled_charsmap, empty if absent */
    struct ig_str architecture; /* general.architecture: decides nothing but a few known quirks */
    uint64_t n_types_tokens;    /* tokenizer.ggml.token_type_count, 0 = absent */
};

/* The parsed files of a folder; all but `tokenizer` may be NULL. The texts behind the trees must
 * outlive the vocabulary only during ig_vocab_open_json (strings are copied). */
struct ig_vocab_json {
    const struct ig_json *tokenizer, *tokenizer_config, *config, *generation_config;
};

ingle_status ig_vocab_open_gguf(struct ig_vocab **out, struct ig_mem *mem,
                                const struct ig_vocab_gguf *source, const struct ig_log *log,
                                ingle_error *err);
ingle_status ig_vocab_open_json(struct ig_vocab **out, struct ig_mem *mem,
                                const struct ig_vocab_json *source, const struct ig_log *log,
                                ingle_error *err);
void ig_vocab_close(struct ig_vocab *v); /* NULL is fine */

int32_t ig_vocab_size(const struct ig_vocab *v); /* ids are 0 .. size - 1 */
/* The bytes the token stands for: byte alphabets and U+2581 are decoded, byte tokens are one byte,
 * special tokens their name. Valid until the vocabulary is closed; {NULL, 0} for an id out of
 * range. */
struct ig_str ig_vocab_bytes(const struct ig_vocab *v, int32_t id);
/* The token as it is spelled in the file ("Ġthe", "▁the", "<0x0A>"). */
struct ig_str ig_vocab_spelling(const struct ig_vocab *v, int32_t id);
/* The id of a token by its spelling (special tokens by their name); IG_NO_TOKEN if there is none.
 */
int32_t ig_vocab_find(const struct ig_vocab *v, struct ig_str spelling);
enum ig_token_type ig_vocab_type(const struct ig_vocab *v, int32_t id); /* UNDEFINED out of range */
float ig_vocab_score(const struct ig_vocab *v, int32_t id); /* 0 where the file has none */
int32_t ig_vocab_special(const struct ig_vocab *v, enum ig_token_role role);
bool ig_vocab_is_end(const struct ig_vocab *v,
                     int32_t id); /* EOS, EOT, EOM, ...: generation ends here */
/* True for control tokens: not part of the text a user sees. */
bool ig_vocab_is_control(const struct ig_vocab *v, int32_t id);
bool ig_vocab_adds_bos(const struct ig_vocab *v);
bool ig_vocab_adds_eos(const struct ig_vocab *v);
/* "bpe", "spm", "unigram", "wordpiece", "wordlevel", "none": static. */
const char *ig_vocab_model(const struct ig_vocab *v);
size_t ig_vocab_memory(const struct ig_vocab *v); /* bytes held, mapped files not counted */

enum {
    IG_ENCODE_ADD_SPECIAL = 1,
    IG_ENCODE_PARSE_SPECIAL = 2
}; /* = INGLE_ADD_SPECIAL, INGLE_PARSE_SPECIAL */

struct ig_ids {
    int32_t *p; /* from `mem` of the call that filled it: give it to ig_ids_free */
    size_t n, cap;
};
void ig_ids_free(struct ig_mem *mem, struct ig_ids *ids);

/* Appends the ids of `text` to *out. Stops with INGLE_LIMIT as soon as it is certain that out->n
 * would pass `max` (0 = no limit). Invalid UTF-8 is taken byte by byte. */
ingle_status ig_vocab_encode(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text,
                             unsigned flags, size_t max, struct ig_ids *out, ingle_error *err);
/* The shape of ingle_tokenize: at most `cap` ids, *n is the number the text has; INGLE_LIMIT if cap
 * != 0 was too small. */
ingle_status ig_vocab_encode_into(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text,
                                  unsigned flags, int32_t *ids, size_t cap, size_t *n,
                                  ingle_error *err);

/* ---- ids to text
 * --------------------------------------------------------------------------------------------------
 */

enum {
    IG_DECODE_SPECIAL =
        2, /* control tokens are spelled out (INGLE_PARSE_SPECIAL) instead of dropped */
    IG_DECODE_MIDDLE =
        4 /* the ids continue a text: keep the leading space that the first word would lose */
};

/* A streaming detokenizer: whole code points come out, unfinished ones are held back until they are
 * complete or known to be broken (then U+FFFD). `out` is appended to. Never fails but for memory
 * (out->failed). */
struct ig_detok {
    const struct ig_vocab *v;
    unsigned flags;
    bool begun;     /* a token was decoded */
    uint8_t n_held; /* bytes of an unfinished code point */
    char held[4];
    uint8_t n_tail; /* bytes that are dropped if the text ends here */
    char tail[32];
    uint32_t to_strip; /* characters that may still be stripped from the start */
    int32_t last;      /* previous id */
};
void ig_detok_begin(struct ig_detok *d, const struct ig_vocab *v, unsigned flags);
void ig_detok_add(struct ig_detok *d, int32_t id, struct ig_buf *out);
void ig_detok_end(struct ig_detok *d,
                  struct ig_buf *out); /* flushes what is held; then begin again */

/* All at once; `out` is appended to. INGLE_BAD_ARGUMENT names an id out of range. */
ingle_status ig_vocab_decode(const struct ig_vocab *v, const int32_t *ids, size_t n, unsigned flags,
                             struct ig_buf *out, ingle_error *err);

#endif
