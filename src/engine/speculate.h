/* Speculation: guesses at what comes next are computed in the same pass as the token before them,
 * and used if the sampler then chooses the same. Nothing else changes: tokens, random numbers and
 * the timeline are those of plain decoding, because ig_spec_step keeps the promise of
 * ig_session_step, only sooner. */
#ifndef IG_SPECULATE_H
#define IG_SPECULATE_H

#include "engine/draft.h"
#include "engine/lookup.h"

enum ig_spec_mode {
    IG_SPEC_AUTO,
    IG_SPEC_OFF,
    IG_SPEC_NGRAM,
    IG_SPEC_DRAFT,
    IG_SPEC_MTP
}; /* the option */

enum {
    IG_SPEC_MOST = 23,   /* guesses in a pass */
    IG_SPEC_SIZES = 6,   /* lengths of a pass that are tried */
    IG_SPEC_CLASSES = 10 /* of matches, by length */
};

extern const uint8_t ig_spec_sizes[IG_SPEC_SIZES];

struct ig_spec_cost { /* of a pass of one size */
    double seconds;   /* running average */
    uint32_t samples;
    uint64_t last; /* the pass that measured it last */
};

struct ig_spec {
    struct ingle_session *s;
    enum ig_spec_mode mode;
    struct ig_lookup lookup;
    struct ig_draft *draft; /* NULL: none; may be another one from ig_spec_begin on */
    int32_t guess[IG_SPEC_MOST];
    uint32_t held, at;     /* guesses in the last pass, and how many of them came true */
    bool first;            /* no pass had that size before */
    bool drafted;          /* they are the draft's */
    double round;          /* seconds of the last pass and what it took to guess */
    bool prompt_read;      /* by the draft, */
    double prompt_seconds; /* which took so long, if it was in this round */
    struct ig_spec_cost cost[IG_SPEC_SIZES];
    double chance[IG_SPEC_CLASSES]; /* that a match of such a length goes on */
    uint64_t passes, last_draft;
    double total,
        lost; /* seconds of all passes; of those with guesses, more than plain steps take */
    uint64_t guessed, accepted; /* since ig_spec_begin */
    uint32_t force;             /* tests: guess so many whatever it costs; 0 = choose */
};

/* `draft` may be NULL; both outlive it. */
ingle_status ig_spec_open(struct ig_spec **out, struct ingle_session *s, struct ig_draft *draft,
                          ingle_error *err);
void ig_spec_close(struct ig_spec *sp); /* NULL is fine */
/* The session's timeline is a new one. What was learned about speed and chances stays. */
void ig_spec_begin(struct ig_spec *sp, enum ig_spec_mode mode);
/* As ig_session_step. `room`: tokens that may still be sampled after this step, so that none are
 * computed for nothing. */
ingle_status ig_spec_step(struct ig_spec *sp, int32_t id, uint32_t room, ingle_error *err);

#endif
