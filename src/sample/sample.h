/* From logits to a token. A sampler is one request's chain of samplers with its history and random
 * numbers.
 *
 * One seed gives one text on every machine: random numbers are counted, not streamed; logits stay
 * IEEE f32, sums are f64 in one fixed order, and exp and log are ours (sample/number.h). Ties go to
 * the lower token id everywhere.
 *
 * Knows nothing about models: tokens are numbers, their text comes through a callback (only DRY's
 * breakers need it). */
#ifndef IG_SAMPLE_H
#define IG_SAMPLE_H

#include "base/str.h"

/* Names and order of llama.cpp. X(NAME, "name in the samplers option", letter of --sampler-seq) */
#define IG_SAMPLERS(X)                                                                             \
    X(PENALTIES, "penalties", 'e')                                                                 \
    X(DRY, "dry", 'd')                                                                             \
    X(TOP_N_SIGMA, "top_n_sigma", 's')                                                             \
    X(TOP_K, "top_k", 'k')                                                                         \
    X(TYP_P, "typ_p", 'y')                                                                         \
    X(TOP_P, "top_p", 'p')                                                                         \
    X(MIN_P, "min_p", 'm')                                                                         \
    X(XTC, "xtc", 'x')                                                                             \
    X(TEMPERATURE, "temperature", 't')

enum ig_sampler_kind {
#define X(name, text, letter) IG_SAMPLER_##name,
    IG_SAMPLERS(X)
#undef X
        IG_SAMPLER_KINDS
};

enum {
    IG_SAMPLE_MAX_ORDER = 16,    /* samplers in a chain */
    IG_SAMPLE_MAX_BREAKERS = 64, /* DRY sequence breakers, texts and id sequences together */
    IG_SAMPLE_MAX_BREAKER = 64   /* bytes of a text, ids of a sequence */
};

struct ig_logit_bias {
    int32_t id;
    float bias; /* finite, or -INFINITY to forbid the token */
};

struct ig_token_seq {
    const int32_t *ids; /* [n] */
    size_t n;
};

/* Neutral values switch a sampler off: top_k 0, top_p 1, min_p 0, typical_p 1, top_n_sigma <= 0,
 * xtc_probability 0, dynatemp_range 0, repeat 1, frequency 0, presence 0, dry_multiplier 0.
 * Pointers are only read by ig_sampler_open. */
struct ig_sample_params {
    uint64_t seed;
    double temperature; /* below 1e-10: the most likely token (greedy) */
    double dynatemp_range,
        dynatemp_exponent; /* temperature +- range, by the entropy of what is left */
    double top_p, min_p, typical_p, top_n_sigma;
    double xtc_probability, xtc_threshold;
    double mirostat_tau, mirostat_eta;
    double repeat_penalty, frequency_penalty, presence_penalty;
    double dry_multiplier, dry_base;
    int32_t top_k, min_keep;
    int32_t mirostat;                   /* 1 or 2: takes the place of all truncating samplers */
    int32_t repeat_last_n;              /* tokens looked back at; -1 = n_context, 0 = off */
    int32_t dry_allowed_length;         /* repeats up to this length are free */
    int32_t dry_penalty_last_n;         /* -1 = n_context, 0 = off */
    int32_t n_context;                  /* what -1 stands for above */
    uint8_t order[IG_SAMPLE_MAX_ORDER]; /* enum ig_sampler_kind; kinds left out do not run */
    size_t n_order;
    const struct ig_logit_bias *bias;
    size_t n_bias;
    const struct ig_str *dry_breakers; /* texts; need a text callback */
    size_t n_dry_breakers;
    const struct ig_token_seq *dry_breaker_ids;
    size_t n_dry_breaker_ids;
};

/* llama.cpp's defaults: temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, the rest off; breakers
 * \n : " *; seed 0. */
void ig_sample_defaults(struct ig_sample_params *p);
/* "penalties;dry;top_k" (also with ',' and '-'), or letters as in "edskypmxt". */
ingle_status ig_sample_parse_order(struct ig_sample_params *p, struct ig_str text,
                                   ingle_error *err);

/* Bytes of a token's text; false if there is none. The text must stay valid until the sampler's
 * call returns. */
typedef bool (*ig_sampler_text_fn)(void *ud, int32_t id, const char **text, size_t *n);

struct ig_sampler;

/* All memory is allocated here. `text` may be NULL: then text breakers never match. Out-of-range
 * parameters are refused. */
ingle_status ig_sampler_open(struct ig_sampler **out, struct ig_mem *mem,
                             const struct ig_sample_params *p, int32_t n_vocab,
                             ig_sampler_text_fn text, void *ud, ingle_error *err);
void ig_sampler_close(struct ig_sampler *s); /* NULL is fine */
/* Forgets history, random position and mirostat's state; parameters stay. */
void ig_sampler_reset(struct ig_sampler *s);
/* Forbids tokens from now on (end tokens with ignore-eos). Allocates. */
ingle_status ig_sampler_ban(struct ig_sampler *s, const int32_t *ids, size_t n, ingle_error *err);
/* Tells the chain which token was appended (prompt and generated): penalties and DRY look back at
 * them. Ids outside the vocabulary are ignored. */
void ig_sampler_accept(struct ig_sampler *s, int32_t id);
/* Chooses a token. -inf forbids a token; NaN or +inf is INGLE_NUMERIC. Does not accept. Allocates
 * nothing. */
ingle_status ig_sampler_pick(struct ig_sampler *s, const float *logits /* [n_vocab] */, int32_t *id,
                             ingle_error *err);
/* After a pick: the candidates that were left and the chance each had, for tests and
 * "top_logprobs"; in the chain's order. Returns how many there are and writes at most `cap`. */
size_t ig_sampler_candidates(const struct ig_sampler *s, int32_t *ids, double *chances, size_t cap);

/* A sampler in the same state with memory of its own. */
ingle_status ig_sampler_clone(struct ig_sampler **out, const struct ig_sampler *s,
                              ingle_error *err);
/* The state without the parameters, little-endian and versioned, for session files. ig_sampler_save
 * writes ig_sampler_state_size bytes; ig_sampler_load refuses anything that a sampler of these
 * parameters could not have saved. */
size_t ig_sampler_state_size(const struct ig_sampler *s);
void ig_sampler_save(const struct ig_sampler *s, uint8_t *out);
ingle_status ig_sampler_load(struct ig_sampler *s, const uint8_t *state, size_t n,
                             ingle_error *err);

#endif
