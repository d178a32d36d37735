/* Guesses of a second, smaller model with the same vocabulary, or of the prediction layer in the
 * model's own file. It follows the timeline of the first with a session (or entries) of its own and
 * always names its most likely token. */
#ifndef IG_DRAFT_H
#define IG_DRAFT_H

#include "engine/heads.h"

enum {
    IG_DRAFT_MOST = 32 /* guesses at a time */,
    IG_DRAFT_CLASSES = 8 /* of guesses, by their lead */
};

struct ig_draft {
    struct ig_mem *mem;
    struct ingle_model *model;
    struct ingle_session *s;
    struct ig_heads *heads; /* in place of model and s */
    uint32_t context;
    uint32_t n_vocab; /* rows that both models have */
    double size;      /* of its weights, in weights of the other model */
    double seconds;   /* that a guess takes, running average */
    uint32_t samples;
    double mean, chance[IG_DRAFT_CLASSES]; /* that a guess comes true: all, and by class */
    uint8_t kind[IG_DRAFT_MOST];           /* class of each guess of the last round */
};

/* Opens `path` to draft for `main`, with its options. Refuses another vocabulary and says why. */
ingle_status ig_draft_open(struct ig_draft **out, struct ingle_session *main, const char *path,
                           ingle_error *err);
/* The prediction layer of main's model, which must have one. */
ingle_status ig_draft_open_heads(struct ig_draft **out, struct ingle_session *main,
                                 ingle_error *err);
void ig_draft_close(struct ig_draft *d); /* NULL is fine */
/* *n <= most guesses at what follows tokens[0..n_tokens), and the chance of each if those before it
 * are right. Ends where the chance of all together falls below `least`. Cancelled by the cancel
 * flag of d->s, or of the main session where there are heads. */
ingle_status ig_draft_guess(struct ig_draft *d, const int32_t *tokens, uint32_t n_tokens,
                            uint32_t most, double least, int32_t *guess, double *chance,
                            uint32_t *n, ingle_error *err);
/* Computes tokens[0..n), as ig_draft_guess does for itself. */
ingle_status ig_draft_follow(struct ig_draft *d, const int32_t *tokens, uint32_t n,
                             ingle_error *err);
/* Guess i of the last round was reached. */
void ig_draft_learn(struct ig_draft *d, uint32_t i, bool came_true);

#endif
